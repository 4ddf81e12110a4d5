//! What is wrong with a job file, by line and column.

use super::spec::{CheckSpec, ClickhouseSpec, HttpSpec, Method, NextSpec, RuleSpec, SourceSpec, TargetSpec};
use super::targets::Mode;
use super::{JobFile, Mistake, TOKEN, VARIABLE, VERSION, rate_of};
use crate::jobs::load_records::dates;
use crate::jobs::load_records::filter::Filter;
use crate::jobs::load_records::query::Query;
use crate::jobs::load_records::span::Span;
use crate::jobs::load_records::template::Template;
use crate::source::grammar::Grammar;
use chrono_tz::Tz;
use serde_json::Value;
use serde_saphyr::Spanned;

impl JobFile {
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let mut found = Found(Vec::new());
        if self.version.value != VERSION {
            found.at(
                &self.version,
                format!("version {} is not known: this is version {VERSION}", self.version.value),
            );
        }
        for name in std::iter::once(&self.job_name).chain(&self.load_id) {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if name.value.is_empty() || name.value.len() > 100 || !name.value.chars().all(fits) {
                found.at(
                    name,
                    format!("`{}`: a name has letters, digits, `_`, `-` and `.`, at most 100", name.value),
                );
            }
        }
        if let Some(name) = &self.timezone
            && let Err(problem) = dates::zone(&name.value)
        {
            found.at(name, problem);
        }
        self.mistakes_of_source(&mut found);
        self.mistakes_of_slices(&mut found);
        self.mistakes_of_target(&mut found);
        let names = self.variables();
        if let Some(transform) = &self.transform {
            found.filter(transform, &names);
        }
        for rule in &self.rules {
            mistakes_of_rule(rule, &mut found);
        }
        for check in &self.checks {
            let CheckSpec { count, gaps, sql, expect, per } = &check.value;
            let kinds = u8::from(count.is_some()) + u8::from(gaps.is_some()) + u8::from(sql.is_some());
            if kinds != 1 {
                found.at(check, "a check has one of count, gaps and sql".to_owned());
            } else if sql.is_some() != expect.is_some() {
                found.at(check, "sql and expect go together".to_owned());
            } else if gaps.is_none() && !per.is_empty() {
                found.at(check, "per belongs to gaps".to_owned());
            } else if let Some(field) = gaps
                && self.dates().is_none_or(|dates| dates.field != *field)
            {
                found.at(check, format!("gaps: `{field}` has to be the field of slices.dates"));
            }
        }
        if let Some(size) = &self.batch_size
            && !(1..=100_000).contains(&size.value)
        {
            found.at(size, "batch_size is from 1 to 100000".to_owned());
        }
        found.0
    }

    fn mistakes_of_source(&self, found: &mut Found) {
        let SourceSpec {
            http,
            csv,
            jsonl,
            sqlite,
            postgres,
            clickhouse,
            metabase,
            snowflake,
            kafka,
            devrev,
            api_endpoint,
            rate_limit,
        } = &self.source.value;
        let kinds = [
            http.is_some(),
            csv.is_some(),
            jsonl.is_some(),
            sqlite.is_some(),
            postgres.is_some(),
            devrev.is_some(),
            clickhouse.is_some(),
            metabase.is_some(),
            snowflake.is_some(),
            kafka.is_some(),
            api_endpoint.is_some(),
        ];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            found.at(
                &self.source,
                "source has one of http, csv, jsonl, sqlite, postgres, clickhouse, snowflake, metabase, kafka and devrev"
                    .to_owned(),
            );
        }
        self.mistakes_of_devrev_source(found);
        self.mistakes_of_services(found);
        self.mistakes_of_kafka(found);
        if rate_limit.is_some() && api_endpoint.is_none() {
            found.at(&self.source, "rate_limit belongs into http".to_owned());
        }
        if let Some(endpoint) = api_endpoint {
            self.template(endpoint, found);
            if *rate_limit == Some(0) {
                found.at(&self.source, "rate_limit is a number of calls a minute, from 1".to_owned());
            }
        }
        if let Some(http) = http {
            self.mistakes_of_http(http, found);
        }
        for files in csv.iter().chain(jsonl) {
            self.template(&files.path, found);
        }
        for (query, is_file) in
            sqlite.iter().map(|query| (query, true)).chain(postgres.iter().map(|query| (query, false)))
        {
            self.one_of_query_and_table(query.query.is_some(), query.table.is_some(), found);
            if is_file && (query.path.is_none() || query.url.is_some()) {
                found.at(&self.source, "sqlite has a path, and no url".to_owned());
            } else if !is_file && query.path.is_some() {
                found.at(&self.source, "postgres has a url, and no path".to_owned());
            }
            for text in query.path.iter().chain(&query.url).chain(&query.query) {
                self.template(text, found);
            }
            if let Some(url) = &query.url {
                found.no_password(url);
            }
            let grammar = if is_file { Grammar::Sqlite } else { Grammar::Postgres };
            found.query(query.query.as_ref(), grammar);
        }
        if let Some(spec) = clickhouse {
            self.mistakes_of_clickhouse(spec, found);
        }
    }

    pub(super) fn one_of_query_and_table(&self, query: bool, table: bool, found: &mut Found) {
        if query == table {
            found.at(&self.source, "a database has one of query and table".to_owned());
        }
    }

    fn mistakes_of_clickhouse(&self, spec: &ClickhouseSpec, found: &mut Found) {
        let ClickhouseSpec { url, user, password, database, query, table } = spec;
        self.one_of_query_and_table(query.is_some(), table.is_some(), found);
        self.mistakes_of_clickhouse_access([url, user, password, database], found);
        if let Some(query) = query {
            self.template(query, found);
        }
        found.query(query.as_ref(), Grammar::Clickhouse);
    }

    pub(super) fn mistakes_of_clickhouse_access(
        &self,
        [url, user, password, database]: [&Option<Spanned<String>>; 4],
        found: &mut Found,
    ) {
        for text in url.iter().chain(user).chain(password).chain(database) {
            self.template(text, found);
        }
        found.secret(password.as_ref(), "a password");
        if let Some(url) = url {
            found.no_password(url);
        }
    }

    fn mistakes_of_http(&self, http: &HttpSpec, found: &mut Found) {
        self.template(&http.url, found);
        for (name, value) in &http.headers {
            if reqwest::header::HeaderName::try_from(name).is_err() {
                found.at(value, format!("`{name}` is not the name of a header"));
            }
            self.template(value, found);
            let is_secret = ["authorization", "x-api-key", "api-key", "cookie", "x-auth-token"]
                .contains(&name.to_ascii_lowercase().as_str());
            if is_secret
                && Template::parse(&value.value).is_ok_and(|template| template.variables().next().is_none())
            {
                found.at(
                    value,
                    format!("`{name}` is a secret: write ${{env.NAME}}, and set NAME in the environment"),
                );
            }
        }
        for value in http.query.values() {
            if let Some(text) = value.value.as_str() {
                self.template_text(Span::of(value), text, found);
            } else if value.value.is_array() || value.value.is_object() {
                found.at(value, "a parameter of the address is a text or a number".to_owned());
            }
        }
        if http.body.is_some() && http.method == Method::Get {
            found.at(&http.url, "a body belongs to method: POST".to_owned());
        }
        let names = self.variables();
        if let Some(records) = &http.records {
            found.filter(records, &names);
        }
        if let Some(rate) = &http.rate_limit
            && let Err(problem) = rate_of(&rate.value)
        {
            found.at(rate, problem);
        }
        if let Some(next) = &http.next {
            let NextSpec { cursor, param, page, offset, link, url, first } = &next.value;
            let kinds = [cursor.is_some(), page.is_some(), offset.is_some(), *link, url.is_some()];
            if kinds.into_iter().filter(|given| *given).count() != 1 {
                found.at(next, "next has one of cursor, page, offset, link and url".to_owned());
            } else if cursor.is_some() != param.is_some() {
                found.at(next, "cursor and param go together".to_owned());
            } else if first.is_some() && page.is_none() {
                found.at(next, "first belongs to page".to_owned());
            }
            for filter in cursor.iter().chain(url) {
                found.filter(filter, &names);
            }
        }
    }

    fn mistakes_of_slices(&self, found: &mut Found) {
        let Some(slices) = &self.slices else { return };
        if let Some(dates) = &slices.value.dates {
            if let Err(problem) = dates::Step::parse(&dates.value.step.value) {
                found.at(&dates.value.step, problem);
            }
            for name in ["start_date", "end_date"] {
                match self.params.get(name) {
                    None => {}
                    Some(Value::String(text)) if dates::moment(text, self.zone()).is_some() => {}
                    Some(value) => {
                        found.at(dates, format!("params.{name}: {value} is not a date such as 2026-12-31"));
                    }
                }
            }
        }
        if let Some(keys) = &slices.value.keys {
            let SourceSpec { postgres, sqlite, clickhouse, .. } = &self.source.value;
            if postgres.is_none() && sqlite.is_none() && clickhouse.is_none() {
                found.at(keys, "slices.keys needs a source of postgres, sqlite or clickhouse".to_owned());
            }
            if slices.value.dates.is_some() {
                found.at(keys, "slices has dates or keys, and not both".to_owned());
            }
            if keys.value.field.is_empty() {
                found.at(keys, "slices.keys: the field has no name".to_owned());
            }
            if !(1..=1_000_000_000).contains(&keys.value.rows.value) {
                found.at(&keys.value.rows, "rows is from 1 to 1000000000".to_owned());
            }
        }
        for (name, value) in &slices.value.each {
            let is_list = |value: &Value| {
                value.as_array().is_some_and(|list| {
                    !list.is_empty()
                        && list
                            .iter()
                            .all(|value| !value.is_array() && !value.is_object() && !value.is_null())
                })
            };
            let named =
                value.as_str().and_then(|text| Template::parse(text).ok()?.only_param().map(str::to_owned));
            let fits = match &named {
                Some(param) => self.params.get(param).is_none_or(is_list),
                None => is_list(value),
            };
            if !fits {
                found.at(slices, format!("each.{name} is a list, or ${{name}} of a parameter that is one"));
            }
            if let Some(param) = &named
                && !self.params.contains_key(param)
            {
                found.at(slices, format!("each.{name}: there is no parameter `{param}`"));
            }
        }
    }

    fn mistakes_of_target(&self, found: &mut Found) {
        let TargetSpec { sqlite, postgres, clickhouse, csv, jsonl, devrev, database, table } =
            &self.target.value;
        let kinds = [
            sqlite.is_some(),
            postgres.is_some(),
            clickhouse.is_some(),
            csv.is_some(),
            jsonl.is_some(),
            devrev.is_some(),
            database.is_some(),
        ];
        if kinds.into_iter().filter(|given| *given).count() != 1 {
            found.at(
                &self.target,
                "target has one of sqlite, postgres, clickhouse, csv, jsonl and devrev".to_owned(),
            );
        }
        self.mistakes_of_file_target(found);
        self.mistakes_of_devrev_target(found);
        self.mistakes_of_clickhouse_target(found);
        if database.is_some() != table.is_some() {
            found.at(&self.target, "the short form of a target is database and table".to_owned());
        }
        if let Some(table) = sqlite
            && (table.path.is_none() || table.url.is_some())
        {
            found.at(&self.target, "sqlite has a path, and no url".to_owned());
        }
        if let Some(table) = postgres
            && table.path.is_some()
        {
            found.at(&self.target, "postgres has a url, and no path".to_owned());
        }
        let spec = self.table();
        if spec.as_ref().map(|spec| &spec.table).or(table.as_ref()).is_some_and(|name| name.trim().is_empty())
        {
            found.at(&self.target, "target: the table has no name".to_owned());
        }
        if let Some(undo) = self.undo.as_ref().filter(|undo| undo.value)
            && sqlite.as_ref().or(postgres.as_ref()).is_none()
            && database.is_none()
        {
            found.at(undo, "undo: true needs a target of PostgreSQL or SQLite".to_owned());
        }
        let Some(table) = spec else { return };
        for text in table.path.iter().chain(&table.url) {
            self.template(text, found);
        }
        if let Some(url) = &table.url {
            found.no_password(url);
        }
        if let Some(newest) = &table.newest {
            if self.mode() != Mode::Upsert {
                found.at(newest, "newest goes with mode upsert: the others replace no record".to_owned());
            } else if table.key.contains(&newest.value) {
                found.at(
                    newest,
                    format!("newest: `{}` is in the key, so nothing differs by it", newest.value),
                );
            }
        }
        if let Some(mode) = &table.mode {
            match mode.value {
                Mode::Upsert | Mode::Insert if table.key.is_empty() => {
                    found.at(mode, "this mode needs a key: the columns that tell records apart".to_owned());
                }
                Mode::Replace if self.keys().is_some() => {
                    found.at(
                        mode,
                        "replace deletes the slice's range, which the target does not have of slices.keys: use upsert, insert or \
                         append"
                            .to_owned(),
                    );
                }
                Mode::Replace
                    if self.dates().is_none()
                        && self.slices.as_ref().is_none_or(|slices| slices.value.each.is_empty()) =>
                {
                    found.at(
                        mode,
                        "replace deletes the slice's range: it needs slices.dates or slices.each".to_owned(),
                    );
                }
                Mode::Replace
                    if self.zone() != Tz::UTC
                        && self.dates().is_some_and(|dates| {
                            matches!(dates::Step::parse(&dates.step.value), Ok(dates::Step::Time(_)))
                        }) =>
                {
                    found.at(
                        mode,
                        "replace with a timezone needs steps of days, weeks, months or years: an hour may come twice"
                            .to_owned(),
                    );
                }
                _ => {}
            }
        }
    }

    pub(super) fn template(&self, text: &Spanned<String>, found: &mut Found) {
        self.template_text(Span::of(text), &text.value, found);
    }

    pub(super) fn template_text(&self, span: Span, text: &str, found: &mut Found) {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(problem) => return found.0.push(Mistake { span, text: problem }),
        };
        let known = self.variables();
        for name in template.params().filter(|name| {
            *name == "slice"
                || (*name == VARIABLE && self.kafka().is_some())
                || !known.iter().any(|known| known == name)
        }) {
            let text =
                format!("there is no parameter `{name}`: params and slices.each have {}", listed(&known));
            found.0.push(Mistake { span, text });
        }
        if template.needs_dates() && self.dates().is_none() {
            found.0.push(Mistake { span, text: "${slice...} needs slices.dates".to_owned() });
        }
        if template.variables().any(|name| name == TOKEN) {
            found.0.push(Mistake { span, text: format!("${{env.{TOKEN}}} goes to DevRev alone") });
        }
    }
}

fn mistakes_of_rule(rule: &Spanned<RuleSpec>, found: &mut Found) {
    let RuleSpec { field, required, kind, min, max, one_of, max_length, unique } = &rule.value;
    let of_field = *required
        || kind.is_some()
        || min.is_some()
        || max.is_some()
        || one_of.is_some()
        || max_length.is_some();
    if field.is_some() != of_field || (field.is_none() && unique.is_empty()) {
        found.at(
            rule,
            "a rule has a field and what holds of it (required, type, min, max, in, max_length), or unique"
                .to_owned(),
        );
    } else if field.is_some() && !unique.is_empty() {
        found.at(rule, "unique is a rule of its own".to_owned());
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        found.at(rule, format!("min {min} is more than max {max}"));
    }
}

pub(super) fn listed(names: &[String]) -> String {
    let names: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !["slice", VARIABLE].contains(name)).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

pub(super) struct Found(pub(super) Vec<Mistake>);

impl Found {
    pub(super) fn at<T>(&mut self, place: &Spanned<T>, text: String) {
        self.0.push(Mistake { span: Span::of(place), text });
    }

    pub(super) fn filter(&mut self, filter: &Spanned<String>, variables: &[String]) {
        if let Err(problem) = Filter::compile(&filter.value, variables) {
            self.at(filter, problem);
        }
    }

    /// A text that is no template is found elsewhere.
    pub(super) fn query(&mut self, query: Option<&Spanned<String>>, grammar: Grammar) {
        let Some(text) = query else { return };
        match Template::parse(&text.value) {
            Ok(template) if template.variables().next().is_some() => {
                self.at(text, "a query takes no ${env.NAME}: pass it as a parameter".to_owned());
            }
            Ok(_) => {
                if let Err(problem) = Query::parse(&text.value, grammar) {
                    self.at(text, problem);
                }
            }
            Err(_) => {}
        }
    }

    /// A secret that has a field of its own.
    pub(super) fn secret(&mut self, text: Option<&Spanned<String>>, what: &str) {
        if let Some(text) = text
            && Template::parse(&text.value).is_ok_and(|template| template.only_variable().is_none())
        {
            self.at(
                text,
                format!("{what} is a secret: write ${{env.NAME}}, and set NAME in the environment"),
            );
        }
    }

    /// A password in a job file would be read by everyone who reads the file.
    pub(super) fn no_password(&mut self, url: &Spanned<String>) {
        let has = url::Url::parse(&url.value).is_ok_and(|url| {
            url.password().is_some_and(|password| !password.contains("$%7Benv."))
                || url.query_pairs().any(|(name, value)| name == "password" && !value.contains("${env."))
        });
        if has {
            self.at(
                url,
                "it has a password in it: write ${env.NAME} in its place, and set NAME in the environment"
                    .to_owned(),
            );
        }
    }
}
