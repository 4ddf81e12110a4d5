//! jq filters: what a job does to answers and records.
//!
//! A filter is a pure function here: it sees the record and the job's parameters, and neither the environment, where secrets
//! are, nor other records, nor a way to end the process. It has no measure of its own work, so whoever runs it watches the
//! time.

use jaq_core::load::{Arena, File, Loader, parse::Def};
use jaq_core::{Compiler, Ctx, Native, Vars, data::JustLut};
use jaq_json::Val;
use std::fmt;
use std::sync::Arc;

/// Outputs for one input: more are taken for a filter that has no end.
const MOST_OUTPUTS: usize = 100_000;
/// What filters have no use for here, or must not have.
const LEFT_OUT: [&str; 9] =
    ["env", "halt", "halt_error", "input", "inputs", "stderr", "stderr_empty", "debug", "debug_empty"];

type Data = JustLut<Val>;

/// A filter that was compiled. Cheap to clone.
#[derive(Clone)]
pub(super) struct Filter(Arc<jaq_core::compile::Filter<Native<Data>>>);

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Filter")
    }
}

impl Filter {
    /// Compiles a filter that may use these variables, without their `$`. The error says what is wrong with it.
    pub(super) fn compile(code: &str, variables: &[String]) -> Result<Self, String> {
        let kept = |def: &Def<&'static str>| !LEFT_OUT.contains(&def.name);
        let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).filter(kept);
        let funs = jaq_core::funs::<Data>().chain(jaq_std::funs()).chain(jaq_json::funs());
        let funs = funs.filter(|(name, ..)| !LEFT_OUT.contains(name));
        let arena = Arena::default();
        let modules = Loader::new(defs).load(&arena, File { code, path: () });
        let modules = modules.map_err(|errors| {
            let first = errors.into_iter().next().map(|(_, error)| match error {
                jaq_core::load::Error::Io(_) => "it cannot import modules".to_owned(),
                jaq_core::load::Error::Lex(errors) => {
                    errors.into_iter().next().map_or_else(String::new, |(expected, at)| {
                        format!("{} expected at `{}`", expected.as_str(), near(at))
                    })
                }
                jaq_core::load::Error::Parse(errors) => {
                    errors.into_iter().next().map_or_else(String::new, |(expected, at)| {
                        let at = near(at);
                        let at = if at.is_empty() { "its end".to_owned() } else { format!("`{at}`") };
                        format!("{} expected at {at}", expected.as_str())
                    })
                }
            });
            format!("not a jq filter: {}", first.unwrap_or_default())
        })?;
        let globals: Vec<String> = variables.iter().map(|name| format!("${name}")).collect();
        let compiled = Compiler::default()
            .with_funs(funs)
            .with_global_vars(globals.iter().map(String::as_str))
            .compile(modules);
        let compiled = compiled.map_err(|errors| {
            let first = errors.into_iter().flat_map(|(_, errors)| errors).next();
            let (name, kind) = first
                .map_or_else(Default::default, |(name, undefined)| (name.to_owned(), undefined.as_str()));
            let known = if name.starts_with('$') && !globals.is_empty() {
                format!("; there are {}", globals.join(", "))
            } else {
                String::new()
            };
            format!("not a jq filter: the {kind} `{name}` is not defined{known}")
        })?;
        Ok(Self(Arc::new(compiled)))
    }

    /// What it makes of an input, with the values of its variables in the order of their names.
    pub(super) fn run(&self, input: Val, variables: &[Val]) -> Result<Vec<Val>, String> {
        let ctx = Ctx::<Data>::new(&self.0.lut, Vars::new(variables.iter().cloned()));
        let mut outputs = Vec::new();
        for output in self.0.id.run((ctx, input)).map(jaq_core::unwrap_valr) {
            let output = output.map_err(|error| bounded(&error.to_string()))?;
            if outputs.len() >= MOST_OUTPUTS {
                return Err(format!("it makes more than {MOST_OUTPUTS} records of one"));
            }
            outputs.push(output);
        }
        Ok(outputs)
    }
}

/// The beginning of a place in a filter.
fn near(code: &str) -> String {
    let line = code.lines().next().unwrap_or_default();
    line.chars().take(30).collect()
}

fn bounded(text: &str) -> String {
    const MOST: usize = 300;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn val(json: &str) -> Val {
        jaq_json::read::parse_single(json.as_bytes()).unwrap()
    }

    fn run(code: &str, input: &str) -> Result<Vec<String>, String> {
        let filter = Filter::compile(code, &["symbol".to_owned()])?;
        Ok(filter.run(val(input), &[val("\"BTC\"")])?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_record_becomes_none_one_or_several() {
        assert_eq!(run(".a", r#"{"a":1}"#).unwrap(), ["1"]);
        assert_eq!(run(".[] | select(. > 1)", "[1,2,3]").unwrap(), ["2", "3"]);
        assert!(run("empty", "1").unwrap().is_empty());
        let day =
            run("{symbol: $symbol, day: (.time | todate[:10]), open}", r#"{"time":1580428800,"open":2.5}"#);
        assert_eq!(day.unwrap(), [r#"{"symbol":"BTC","day":"2020-01-31","open":2.5}"#]);
    }

    #[test]
    fn mistakes_are_named() {
        for (code, says) in [
            (".a |", "expected"),
            ("nosuch", "`nosuch` is not defined"),
            ("$coin", "$symbol"),
            ("(", "expected"),
            ("env", "`env` is not defined"),
            ("$ENV", "is not defined"),
            ("halt", "`halt` is not defined"),
            ("input", "`input` is not defined"),
        ] {
            let error = run(code, "1").unwrap_err();
            assert!(error.contains(says), "{code}: {error}");
        }
        assert!(run(".a", "[1]").is_err());
    }

    #[test]
    fn a_filter_without_an_end_is_stopped() {
        assert!(run("repeat(1)", "1").unwrap_err().contains("more than"));
    }
}
