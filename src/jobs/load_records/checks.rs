//! What has to be so after a load: the checks of a job file, held against the target.

use super::dates::{first_moment, moment};
use super::error::LoadError;
use super::file::{CheckSpec, Expect, JobFile};
use super::slices::Slice;
use super::span::Span;
use super::store::{Store, Terms};
use crate::report::units::counted;
use crate::stop::Stop;
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Differences of one check that are told; more are counted.
const SHOWN: usize = 5;

/// A check that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    /// Where it stands in the job file.
    pub span: Span,
    /// What is otherwise.
    pub text: String,
}

/// Holds all checks against the target. `slices` are those of the whole load.
pub(super) async fn run(
    file: &JobFile,
    store: &Store,
    terms: &Terms,
    slices: &[Slice],
    stop: &Stop,
) -> Result<Vec<Failed>, LoadError> {
    let mut failed = Vec::new();
    for check in &file.checks {
        let spec = &check.value;
        let problem = if spec.count.is_some() {
            count(store, terms, slices, stop).await?
        } else if let Some(field) = &spec.gaps {
            gaps(field, spec, store, terms, slices, stop).await?
        } else if let Some(sql) = &spec.sql {
            let rows = store.find(&sql.value, stop).await?;
            match spec.expect {
                Some(Expect::None) if rows > 0 => {
                    Some(format!("sql: it finds {}, and nothing was expected", counted(rows, "row")))
                }
                Some(Expect::Some) if rows == 0 => Some("sql: it finds nothing".to_owned()),
                _ => None,
            }
        } else {
            None
        };
        failed.extend(problem.map(|text| Failed { span: Span::of(check), text }));
    }
    Ok(failed)
}

/// Whether the target has as many records of each slice as were loaded.
async fn count(
    store: &Store,
    terms: &Terms,
    slices: &[Slice],
    stop: &Stop,
) -> Result<Option<String>, LoadError> {
    let ledger = store.ledger(&terms.load, stop).await?;
    let (mut wrong, mut missing) = (Vec::new(), 0_u64);
    // Of slices that nothing in the table tells apart: counted once.
    let mut together: HashMap<String, u64> = HashMap::new();
    for slice in slices {
        let Some(entry) = ledger.get(slice) else {
            missing += 1;
            continue;
        };
        let is_range = slice.keys.is_some() || slice.file.is_some();
        let tells = slice.start.is_some() || !slice.each.is_empty() && !is_range || store.files().is_some();
        let list = Slice { file: None, keys: None, ..slice.clone() }.id();
        let known = together.get(&list).copied().filter(|_| !tells);
        let rows = match known {
            Some(rows) => rows,
            None => store.count(terms, slice, stop).await?,
        };
        // Of a slice that nothing in the table tells from others, there are at least as many.
        if !tells {
            together.insert(list, rows);
        }
        if if tells { rows != entry.rows } else { rows < entry.rows } {
            wrong.push(format!("slice {} has {} of {}", slice.name(), rows, counted(entry.rows, "record")));
        }
    }
    if let Some(files) = store.files() {
        wrong.extend(files.lacking(&terms.load, stop)?);
    }
    let mut texts = Vec::new();
    if missing > 0 {
        let are = if missing == 1 { "is" } else { "are" };
        texts.push(format!("{} {are} not loaded", counted(missing, "slice")));
    }
    if let Some(text) = listed(&wrong) {
        texts.push(text);
    }
    Ok((!texts.is_empty()).then(|| format!("count: {}", texts.join("; "))))
}

/// Whether every day of the range is there, for each of the groups.
async fn gaps(
    field: &str,
    spec: &CheckSpec,
    store: &Store,
    terms: &Terms,
    slices: &[Slice],
    stop: &Stop,
) -> Result<Option<String>, LoadError> {
    let zone = slices.first().map_or(Tz::UTC, |slice| slice.zone);
    let range = slices.iter().filter_map(|slice| slice.start.zip(slice.end));
    let range = range.reduce(|(start, end), (other, last)| (start.min(other), end.max(last)));
    let Some((start, end)) = range else { return Ok(None) };
    // What is to come is not missing.
    let end = end.min(Utc::now());
    let mut found: BTreeMap<Vec<String>, BTreeSet<NaiveDate>> = BTreeMap::new();
    let asked = groups(&spec.per, slices);
    for group in &asked {
        found.insert(group.clone(), BTreeSet::new());
    }
    store
        .days(terms, field, &spec.per, (start, end), stop, &mut |group, day| {
            if let Some(day) = moment(&day, zone).or_else(|| seconds(&day)) {
                let day = day.with_timezone(&zone).date_naive();
                // Where the lists say which groups there are, others are none of this load's.
                match found.get_mut(&group) {
                    Some(days) => drop(days.insert(day)),
                    None if asked.is_empty() => drop(found.insert(group, BTreeSet::from([day]))),
                    None => {}
                }
            }
        })
        .await?;
    let mut wrong = Vec::new();
    for (group, days) in &found {
        let first = start.with_timezone(&zone).date_naive();
        // A day that the zone has left out is not missing.
        let begins = |day: NaiveDate| first_moment(day, zone);
        let all = first
            .iter_days()
            .take_while(|day| begins(*day).is_some_and(|begin| begin < end))
            .filter(|day| day.succ_opt().is_none_or(|next| begins(*day) != begins(next)));
        let lacking: Vec<NaiveDate> = all.filter(|day| !days.contains(day)).collect();
        if let Some(first) = lacking.first() {
            let of = if group.is_empty() { String::new() } else { format!("{} ", group.join(" ")) };
            let more =
                if lacking.len() > 1 { format!(" and {} more", lacking.len() - 1) } else { String::new() };
            wrong.push(format!("{of}lacks {first}{more}"));
        }
    }
    Ok(listed(&wrong).map(|text| format!("gaps: {text}")))
}

/// The groups that there have to be, where the lists of the slices tell.
fn groups(per: &[String], slices: &[Slice]) -> BTreeSet<Vec<String>> {
    let group = |slice: &Slice| -> Option<Vec<String>> {
        per.iter().map(|name| super::template::plain(slice.each.get(name)?)).collect()
    };
    slices.iter().filter_map(group).collect()
}

fn seconds(text: &str) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(text.parse().ok()?, 0)
}

fn listed(wrong: &[String]) -> Option<String> {
    if wrong.is_empty() {
        return None;
    }
    let more = wrong.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let shown: Vec<&str> = wrong.iter().take(SHOWN).map(String::as_str).collect();
    Some(format!("{}{more}", shown.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(symbol: &str) -> Slice {
        let each = BTreeMap::from([("symbol".to_owned(), symbol.into())]);
        Slice { each, ..Slice::whole() }
    }

    #[test]
    fn groups_come_from_the_lists() {
        let slices = [slice("BTC"), slice("ETH"), slice("BTC")];
        let per = ["symbol".to_owned()];
        assert_eq!(groups(&per, &slices).len(), 2);
        assert_eq!(groups(&[], &slices).len(), 1, "one group: all of it");
        assert!(groups(&["other".to_owned()], &slices).is_empty());
    }

    #[test]
    fn long_lists_are_cut() {
        let wrong: Vec<String> = (0..8).map(|n| n.to_string()).collect();
        assert_eq!(listed(&wrong).unwrap(), "0; 1; 2; 3; 4; and 3 more");
        assert_eq!(listed(&[]), None);
    }
}
