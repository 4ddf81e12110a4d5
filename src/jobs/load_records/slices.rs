//! What a load is cut into: each slice is one task, and loaded whole or not at all.

use super::dates::{Step, begins_a_day, first_moment, moment};
use super::file::JobFile;
use super::keys::{Ask, Keys};
use super::offsets::Offsets;
use super::template::{Template, Values, iso, plain};
use crate::jobs::undoing::feed::Made;
use chrono::{DateTime, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The most slices of a load: each is a row in memory once, in the target's ledger for good.
pub(super) const MAX_SLICES: u64 = 1_000_000;

/// A slice. What it is made of is its identity in the target's ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Slice {
    /// Its first moment.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub start: Option<DateTime<Utc>>,
    /// The first moment after it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub end: Option<DateTime<Utc>>,
    /// The value of each list.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub each: BTreeMap<String, Value>,
    /// The zone of its days: how its range is shown, and no part of its identity.
    #[serde(skip_serializing_if = "is_utc", default = "utc")]
    pub zone: Tz,
    /// The file that it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// Its range of a key.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) keys: Option<Keys>,
    /// The messages of a partition that it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) offsets: Option<Offsets>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_utc(zone: &Tz) -> bool {
    *zone == Tz::UTC
}

fn utc() -> Tz {
    Tz::UTC
}

impl Slice {
    /// All of a load at once.
    pub(super) fn whole() -> Self {
        Self {
            start: None,
            end: None,
            each: BTreeMap::new(),
            zone: Tz::UTC,
            file: None,
            keys: None,
            offsets: None,
        }
    }

    /// Its identity, as the ledger has it.
    pub(super) fn id(&self) -> String {
        // What it is made of is JSON.
        serde_json::to_string(&Self { zone: Tz::UTC, ..self.clone() }).unwrap_or_default()
    }

    /// Its range on the clocks of its zone.
    pub(super) fn range(&self) -> Option<(DateTime<Tz>, DateTime<Tz>)> {
        let of_zone = |moment: DateTime<Utc>| moment.with_timezone(&self.zone);
        self.start.map(of_zone).zip(self.end.map(of_zone))
    }

    /// For people: `BTC 2020-01-01..2020-01-31`, the end excluded.
    pub(super) fn name(&self) -> String {
        let mut words: Vec<String> = self.each.values().filter_map(plain).collect();
        if let Some((start, end)) = self.range() {
            words.push(format!("{}..{}", iso(start), iso(end)));
        }
        words.extend(self.file.clone());
        words.extend(self.keys.as_ref().map(Keys::name));
        words.extend(self.offsets.as_ref().map(Offsets::name));
        if words.is_empty() { "all".to_owned() } else { words.join(" ") }
    }

    /// What fills the places of texts for it.
    pub(super) fn values(&self, params: &BTreeMap<String, Value>) -> Values {
        let mut params = params.clone();
        params.extend(self.each.clone());
        Values { params, range: self.range(), keys: self.keys.clone().map(|keys| (keys, Ask::Rows)) }
    }

    /// Whether a record of this date is one of it.
    pub(super) fn has(&self, moment: DateTime<Utc>) -> bool {
        self.start.is_none_or(|start| moment >= start) && self.end.is_none_or(|end| moment < end)
    }

    /// Whether it ends in the future: what it holds is not all there yet.
    pub(super) fn is_open(&self, now: DateTime<Utc>) -> bool {
        self.end.is_some_and(|end| end > now)
    }

    /// Whether both hold the same records in part, but are not the same.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let is_same = self.start == other.start && self.end == other.end && self.keys == other.keys;
        if self.each != other.each || self.file != other.file || is_same {
            return false;
        }
        match (self.start.zip(self.end), other.start.zip(other.end)) {
            (Some((start, end)), Some((other_start, other_end))) => start < other_end && other_start < end,
            (None, None) => match (&self.keys, &other.keys) {
                (Some(keys), Some(others)) => keys.overlaps(others),
                _ => true,
            },
            // One of them is all of it.
            _ => true,
        }
    }

    /// Whether it begins where another one ends, or later.
    pub(super) fn begins_after(&self, other: &Self) -> bool {
        match (&self.keys, &other.keys) {
            (Some(keys), Some(others)) => keys.begins_after(others),
            _ => other.end.is_some() && self.start >= other.end,
        }
    }

    /// Which of both begins first.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        self.start.cmp(&other.start).then_with(|| match (&self.keys, &other.keys) {
            (Some(keys), Some(others)) => keys.order(others),
            (keys, others) => keys.is_some().cmp(&others.is_some()),
        })
    }
}

impl Made for Slice {
    const COLUMNS: &'static [&'static str] = &["slice", "name"];

    fn read(fields: &[&str]) -> Result<(String, Self), String> {
        let &[slice, name] = fields else { return Err("it lacks fields".to_owned()) };
        let slice = serde_json::from_str(slice).map_err(|error| format!("it is not a slice: {error}"))?;
        Ok((name.to_owned(), slice))
    }
}

/// All slices of a load, in order, before they are cut by a key; `files` are those that the source's pattern finds. The error says
/// what is missing.
pub(super) fn all(
    file: &JobFile,
    params: &BTreeMap<String, Value>,
    files: Option<Vec<String>>,
) -> Result<Vec<Slice>, String> {
    let mut slices = vec![Slice::whole()];
    if let Some(files) = files {
        slices = files.into_iter().map(|file| Slice { file: Some(file), ..Slice::whole() }).collect();
    }
    let spec = file.slices.as_ref().map(|slices| &slices.value);
    for (name, value) in spec.iter().flat_map(|spec| &spec.each) {
        let named =
            value.as_str().and_then(|text| Template::parse(text).ok()?.only_param().map(str::to_owned));
        let list = match &named {
            Some(param) => params
                .get(param)
                .ok_or_else(|| format!("slices.each.{name}: there is no parameter `{param}`"))?,
            None => value,
        };
        let list = list.as_array().ok_or_else(|| format!("slices.each.{name} is not a list"))?;
        let mut more = Vec::new();
        for value in list {
            for slice in &slices {
                let mut slice = slice.clone();
                slice.each.insert(name.clone(), value.clone());
                more.push(slice);
            }
            bounded(more.len())?;
        }
        slices = more;
    }
    let Some(dates) = file.dates() else { return Ok(slices) };
    let (step, zone) = (Step::parse(&dates.step.value)?, file.zone());
    let of = |name: &str, flag: &str| {
        let value = params.get(name).and_then(Value::as_str);
        let value =
            value.ok_or_else(|| format!("slices.dates needs {name}: give {flag}, or set it under params"))?;
        let moment = moment(value, zone).map(|moment| moment.with_timezone(&zone));
        moment.ok_or_else(|| format!("{name}: `{value}` is not a date such as 2026-12-31"))
    };
    let (start, last) = (of("start_date", "--start-date")?, of("end_date", "--end-date")?);
    // A day is included; a moment is the first that is not.
    let next_day = last.date_naive().succ_opt().and_then(|day| first_moment(day, zone));
    let end = next_day.filter(|_| begins_a_day(last)).unwrap_or(last);
    if start >= end {
        return Err(format!("start_date {} is after end_date {}", iso(start), iso(last)));
    }
    // A day may begin later than at midnight; the next one does not for that.
    let start_clock =
        if begins_a_day(start) { start.date_naive().and_time(NaiveTime::MIN) } else { start.naive_local() };
    let mut dated = Vec::new();
    for slice in &slices {
        let (mut from, mut clock) = (start, start_clock);
        while from < end {
            let (next, next_clock) = step.after(from, clock).unwrap_or((end, clock));
            let to = next.min(end);
            clock = next_clock;
            // A day that the zone has left out has no slice.
            if from < to {
                dated.push(Slice {
                    start: Some(from.to_utc()),
                    end: Some(to.to_utc()),
                    zone,
                    ..slice.clone()
                });
                from = to;
                bounded(dated.len())?;
            }
        }
    }
    Ok(dated)
}

fn bounded(slices: usize) -> Result<(), String> {
    if slices as u64 > MAX_SLICES {
        return Err(format!("that is more than {MAX_SLICES} slices: make them longer"));
    }
    Ok(())
}

/// Writes them as a run's input.
pub(super) fn write(slices: &[Slice], file: &mut dyn Write) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(file);
    rows.write_record(Slice::COLUMNS)?;
    for slice in slices {
        rows.write_record([serde_json::to_string(slice)?, slice.name()])?;
    }
    rows.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(slices: &str) -> JobFile {
        let text = format!(
            "version: 1\njob_name: j\nparams: {{symbols: [BTC, ETH], start_date: 2020-01-01, end_date: 2020-01-31}}\n\
             source: {{csv: {{path: a.csv}}}}\ntarget: {{sqlite: {{path: a.db, table: t}}}}\nslices: {slices}\n"
        );
        JobFile::read("job.yaml", &text).unwrap().file
    }

    fn names(slices: &str) -> Vec<String> {
        let job = job(slices);
        all(&job, &job.params, None).unwrap().iter().map(Slice::name).collect()
    }

    #[test]
    fn dates_are_cut_and_the_last_day_is_included() {
        assert_eq!(
            names("{dates: {field: day, step: 14d}}"),
            ["2020-01-01..2020-01-15", "2020-01-15..2020-01-29", "2020-01-29..2020-02-01"]
        );
        assert_eq!(names("{dates: {field: day, step: 1month}}"), ["2020-01-01..2020-02-01"]);
        assert_eq!(
            names("{each: {symbol: '${symbols}', kind: [a, b]}}"),
            ["a BTC", "b BTC", "a ETH", "b ETH"]
        );
    }

    fn cut(zone: &str, step: &str, start: &str, end: &str) -> Vec<Slice> {
        let text = format!(
            "version: 1\njob_name: j\ntimezone: {zone}\nparams: {{start_date: {start}, end_date: {end}}}\n\
             source: {{csv: {{path: a.csv}}}}\ntarget: {{sqlite: {{path: a.db, table: t}}}}\n\
             slices: {{dates: {{field: day, step: {step}}}}}\n"
        );
        let job = JobFile::read("job.yaml", &text).unwrap().file;
        all(&job, &job.params, None).unwrap()
    }

    fn hours(slices: &[Slice]) -> Vec<i64> {
        slices.iter().map(|slice| (slice.end.unwrap() - slice.start.unwrap()).num_hours()).collect()
    }

    #[test]
    fn days_of_a_zone_have_the_hours_that_its_clocks_give_them() {
        let march = cut("Europe/Berlin", "1d", "2026-03-28", "2026-03-30");
        assert_eq!(hours(&march), [24, 23, 24]);
        assert_eq!(march[1].id(), r#"{"start":"2026-03-28T23:00:00Z","end":"2026-03-29T22:00:00Z"}"#);
        assert_eq!(march[1].name(), "2026-03-29..2026-03-30");
        let october = cut("Europe/Berlin", "1d", "2026-10-24", "2026-10-26");
        assert_eq!(hours(&october), [24, 25, 24]);
        assert_eq!(
            hours(&cut("Europe/Berlin", "24h", "2026-10-25", "2026-10-25")),
            [24, 1],
            "an hour is an hour"
        );
        assert_eq!(hours(&cut("Europe/Berlin", "1w", "2026-03-23", "2026-04-05")), [167, 168]);
        assert_eq!(hours(&cut("Europe/Berlin", "1month", "2026-03-01", "2026-03-31")), [31 * 24 - 1]);
        // Midnight does not exist: the day begins at 01:00, and the next one at midnight again.
        let gap = cut("America/Sao_Paulo", "1d", "2018-11-03", "2018-11-05");
        assert_eq!(hours(&gap), [24, 23, 24]);
        assert_eq!(gap[1].name(), "2018-11-04T01:00:00-02:00..2018-11-05");
        assert_eq!(gap[1].values(&BTreeMap::new()).range, gap[1].range());
        assert_eq!(hours(&cut("America/Sao_Paulo", "1d", "2018-11-04", "2018-11-05")), [23, 24]);
        // Midnight comes twice: the day begins with the first.
        let fold = cut("America/Havana", "1d", "2026-10-31", "2026-11-02");
        assert_eq!(hours(&fold), [24, 25, 24]);
        assert_eq!(fold[1].name(), "2026-11-01T00:00:00-04:00..2026-11-02");
        // A day that was left out has no slice.
        assert_eq!(hours(&cut("Pacific/Apia", "1d", "2011-12-29", "2011-12-31")), [24, 24]);
        let (_, back) = Slice::read(&[&serde_json::to_string(&march[1]).unwrap(), "x"]).unwrap();
        assert_eq!((back.name(), back.id()), (march[1].name(), march[1].id()));
        assert!(!march[1].overlaps(&Slice { zone: Tz::UTC, ..march[1].clone() }), "it is the same slice");
    }

    #[test]
    fn an_identity_comes_back_as_it_went() {
        let job = job("{dates: {field: day, step: 14d}, each: {symbol: '${symbols}'}}");
        let slices = all(&job, &job.params, None).unwrap();
        assert_eq!(slices.len(), 6);
        for slice in &slices {
            let (_, back) = Slice::read(&[&slice.id(), "x"]).unwrap();
            assert_eq!(back.id(), slice.id());
            assert_eq!(&back, slice);
        }
        assert!(Slice::read(&["{", "x"]).is_err());
    }

    #[test]
    fn slices_of_other_boundaries_overlap() {
        let slices = |step: &str| {
            let job =
                job(&format!("{{dates: {{field: day, step: {step}}}, each: {{symbol: '${{symbols}}'}}}}"));
            all(&job, &job.params, None).unwrap()
        };
        let (ten, week) = (slices("10d"), slices("7d"));
        assert!(ten.iter().all(|one| ten.iter().all(|other| !one.overlaps(other))));
        assert!(ten[0].overlaps(&week[0]) && ten[0].overlaps(&week[1]) && !ten[0].overlaps(&week[2]));
        assert!(!ten[0].overlaps(&ten[0]));
        let (btc, eth) = (&ten[0], week.iter().find(|slice| slice.each["symbol"] == "ETH").unwrap());
        assert!(!btc.overlaps(eth), "another symbol's records are others");
        assert!(Slice::whole().overlaps(&Slice { start: ten[0].start, end: ten[0].end, ..Slice::whole() }));
    }

    #[test]
    fn too_many_slices_are_refused() {
        let too_many = job("{dates: {field: day, step: 1m}}");
        let params = BTreeMap::from([
            ("start_date".to_owned(), Value::from("1000-01-01")),
            ("end_date".to_owned(), Value::from("2999-01-01")),
        ]);
        assert!(all(&too_many, &params, None).unwrap_err().contains("more than"));
    }
}
