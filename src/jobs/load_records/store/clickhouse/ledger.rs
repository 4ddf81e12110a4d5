//! The ledger in ClickHouse: lines that say that a run has begun a slice, has loaded it, or is to be forgotten. Nothing is changed
//! in its place; of lines that are alike the newest counts. One that comes late, from a connection that broke, hides no other: what
//! is loaded is so, whatever is said of its beginning.
//!
//! A run writes down that it begins a slice before its first batch: what another run has begun may be in the table in part.

use super::ClickhouseStore;
use crate::database::clickhouse::{Session, literal};
use crate::database::error::DatabaseError;
use crate::jobs::load_records::error::LoadError;
use crate::jobs::load_records::ledger::{Entry, Ledger, Line, TABLE};
use crate::jobs::load_records::slices::Slice;
use crate::jobs::load_records::store::{Terms, conflicting};
use crate::stop::Stop;
use std::collections::HashMap;

/// What a line says of its slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Begun,
    Loaded,
    Forgotten,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Loaded => "loaded",
            Self::Forgotten => "forgotten",
        }
    }

    fn of(word: &str) -> Option<Self> {
        [Self::Begun, Self::Loaded, Self::Forgotten].into_iter().find(|state| state.word() == word)
    }
}

/// What a line says, the newest of its kind.
#[derive(Debug, Clone)]
pub(super) struct Row {
    state: State,
    line: Line,
}

/// The lines of a load, as far as they were read.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// By slice: of each run the newest of each kind.
    rows: HashMap<String, Vec<Row>>,
    /// The newest line's time; later ones are still to be read.
    until: String,
    /// What other runs have loaded.
    others: Ledger,
}

/// What the ledger says of a slice that is to be loaded.
#[derive(Debug)]
pub(super) enum Said {
    /// This run has loaded it.
    Own(Entry),
    /// Another has.
    Before(Entry),
    /// Another run has begun it, and may have sent a part.
    Begun(Entry),
    /// Nothing, or no more than that it is to be loaded again.
    Free,
}

impl Seen {
    /// What each run has come to with a slice: loaded it, or begun it; nothing, once that is to be forgotten.
    fn live(&self, slice: &str) -> Vec<&Row> {
        let rows = self.rows.get(slice).map(Vec::as_slice).unwrap_or_default();
        let is_forgotten = |row: &Row| {
            rows.iter().any(|other| {
                let is_own = other.line.entry.run == row.line.entry.run;
                is_own && other.state == State::Forgotten && other.line.at >= row.line.at
            })
        };
        let mut live: Vec<&Row> = Vec::new();
        for state in [State::Loaded, State::Begun] {
            let of_state = rows.iter().filter(|row| row.state == state && !is_forgotten(row));
            let others: Vec<&Row> = of_state
                .filter(|row| !live.iter().any(|known| known.line.entry.run == row.line.entry.run))
                .collect();
            live.extend(others);
        }
        live
    }

    /// The newest that a slice was loaded.
    fn loaded(&self, slice: &str) -> Option<&Row> {
        let live = self.live(slice).into_iter().filter(|row| row.state == State::Loaded);
        live.max_by(|one, other| one.line.at.cmp(&other.line.at))
    }

    /// What was begun since it was loaded.
    fn begun(&self, slice: &str) -> Vec<&Row> {
        let loaded = self.loaded(slice).map(|row| &row.line.at);
        let live = self.live(slice).into_iter();
        live.filter(|row| row.state == State::Begun && loaded < Some(&row.line.at)).collect()
    }

    fn add(&mut self, rows: Vec<Row>, run: &str) {
        for row in rows {
            if row.line.at > self.until {
                self.until.clone_from(&row.line.at);
            }
            let entry = &row.line.entry;
            if row.state == State::Loaded && entry.run != run {
                self.others.add(vec![entry.clone()]);
            }
            let of_slice = self.rows.entry(entry.slice.clone()).or_default();
            let is_same = |known: &Row| known.line.entry.run == entry.run && known.state == row.state;
            match of_slice.iter_mut().find(|known| is_same(known)) {
                Some(known) => *known = row,
                None => of_slice.push(row),
            }
        }
    }

    fn lines(&self) -> Vec<Line> {
        let line = |slice: &String| {
            let loaded = self.loaded(slice).map(|row| row.line.clone());
            let begun = self.begun(slice).into_iter().map(|row| Line { begun: true, ..row.line.clone() });
            loaded.into_iter().chain(begun.collect::<Vec<_>>())
        };
        let mut lines: Vec<Line> = self.rows.keys().flat_map(line).collect();
        lines.sort_by(|one, other| one.entry.slice.cmp(&other.entry.slice));
        lines
    }

    /// The slice that another run has begun, and that lies over this one or is this one.
    fn begun_by_others(&self, slice: &Slice, run: &str) -> Option<Entry> {
        let id = slice.id();
        let is_begun = |row: &Row| row.state == State::Begun && row.line.entry.run != run;
        let mut begun =
            self.rows.iter().filter(|(_, rows)| rows.iter().any(is_begun)).map(|(slice, _)| slice);
        begun.find_map(|other| {
            let begun = self.begun(other).into_iter().find(|row| row.line.entry.run != run)?;
            let is_near = *other == id
                || serde_json::from_str::<Slice>(other).is_ok_and(|other| slice.overlaps(&other));
            is_near.then(|| begun.line.entry.clone())
        })
    }
}

impl ClickhouseStore {
    /// Makes the table if it is not there.
    pub(super) async fn make_ledger(&self, session: &Session<'_>, stop: &Stop) -> Result<(), LoadError> {
        let made = self.ledger.get_or_try_init(|| async {
            // Asked first: whoever may write to the table need not be allowed to make it.
            if self.has_ledger(session, stop).await? {
                return Ok(());
            }
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS {TABLE} (load String, slice String, name String, digest String, rows UInt64, rejected \
                 UInt64, run String, open Bool, state String, loaded_at DateTime64(6, 'UTC')) ENGINE = \
                 ReplacingMergeTree(loaded_at) ORDER BY (load, slice, run, state)"
            );
            self.run(session, &sql, stop).await
        });
        made.await?;
        Ok(())
    }

    async fn has_ledger(&self, session: &Session<'_>, stop: &Stop) -> Result<bool, LoadError> {
        let sql = format!(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND name = {}",
            literal(TABLE)
        );
        Ok(!self.rows(session, &sql, stop).await?.is_empty())
    }

    /// The newest lines of a load; those since a time, if there is one.
    async fn newest(
        &self,
        session: &Session<'_>,
        load: &str,
        since: &str,
        stop: &Stop,
    ) -> Result<Vec<Row>, LoadError> {
        let later = if since.is_empty() {
            String::new()
        } else {
            // The clocks of servers that keep one table are not quite alike.
            let since = literal(since);
            format!(" AND loaded_at >= parseDateTime64BestEffort({since}, 6, 'UTC') - toIntervalSecond(10)")
        };
        let sql = format!(
            "SELECT slice, name, digest, toString(rows), toString(rejected), run, toString(open), state, \
             concat(replaceOne(toString(loaded_at), ' ', 'T'), 'Z') FROM {TABLE} FINAL WHERE load = {}{later} \
             ORDER BY slice, run, state",
            literal(load)
        );
        let odd = || {
            LoadError::Settings(format!("{}: {TABLE} has other columns than this tool makes", self.place()))
        };
        let rows = self.rows(session, &sql, stop).await?;
        let row = |row: Vec<String>| {
            let [slice, name, digest, rows, rejected, run, open, state, at] =
                <[String; 9]>::try_from(row).map_err(|_| odd())?;
            let number = |text: String| text.parse::<u64>().map_err(|_| odd());
            let state = State::of(&state).ok_or_else(odd)?;
            let (rows, rejected) = (number(rows)?, number(rejected)?);
            let entry = Entry { slice, digest, rows, rejected, run, open: open == "true" };
            Ok(Row { state, line: Line { entry, name, at, begun: false } })
        };
        rows.into_iter().map(row).collect()
    }

    async fn all(
        &self,
        session: &Session<'_>,
        load: &str,
        run: &str,
        stop: &Stop,
    ) -> Result<Seen, LoadError> {
        let mut seen = Seen::default();
        seen.add(self.newest(session, load, "", stop).await?, run);
        Ok(seen)
    }

    pub(in crate::jobs::load_records::store) async fn lines(
        &self,
        load: &str,
        stop: &Stop,
    ) -> Result<Vec<Line>, LoadError> {
        let session = self.clickhouse.connect()?;
        if !self.has_ledger(&session, stop).await? {
            return Ok(Vec::new());
        }
        Ok(self.all(&session, load, "", stop).await?.lines())
    }

    pub(in crate::jobs::load_records::store) async fn forget(
        &self,
        load: &str,
        slices: &[String],
        stop: &Stop,
    ) -> Result<u64, LoadError> {
        let session = self.clickhouse.connect()?;
        let seen = self.all(&session, load, "", stop).await?;
        let mut forgotten = 0;
        for slice in slices {
            let live = seen.live(slice);
            for row in &live {
                self.put(&session, load, State::Forgotten, &row.line, stop).await?;
            }
            let was_there = !live.is_empty();
            forgotten += u64::from(was_there);
        }
        Ok(forgotten)
    }

    /// Adds a line: newer than the one that it takes the place of, whatever the server's clock says.
    pub(super) async fn put(
        &self,
        session: &Session<'_>,
        load: &str,
        state: State,
        line: &Line,
        stop: &Stop,
    ) -> Result<(), LoadError> {
        let Line { entry, name, at, begun: _ } = line;
        let Entry { slice, digest, rows, rejected, run, open } = entry;
        let now = if at.is_empty() {
            "now64(6, 'UTC')".to_owned()
        } else {
            let at = literal(at);
            format!(
                "greatest(now64(6, 'UTC'), parseDateTime64BestEffort({at}, 6, 'UTC') + toIntervalMicrosecond(1))"
            )
        };
        let texts = [load, slice, name, digest, run, state.word()].map(literal).join(", ");
        let sql = format!(
            "INSERT INTO {TABLE} (load, slice, name, digest, run, state, rows, rejected, open, loaded_at) \
             SELECT {texts}, {rows}, {rejected}, {open}, {now}"
        );
        self.run(session, &sql, stop).await
    }

    /// What the ledger says of a slice now, and since when this run has it begun.
    pub(super) async fn said(
        &self,
        session: &Session<'_>,
        terms: &Terms,
        slice: &Slice,
        stop: &Stop,
    ) -> Result<(Said, Option<Line>), LoadError> {
        let mut known = self.seen.lock().await;
        let mut seen = match known.take() {
            Some(mut seen) => {
                seen.add(self.newest(session, &terms.load, &seen.until, stop).await?, &terms.run);
                seen
            }
            None => self.all(session, &terms.load, &terms.run, stop).await?,
        };
        if !terms.reload && conflicting(&seen.others, terms, slice).is_err() {
            // What was read before may have been forgotten since.
            seen = self.all(session, &terms.load, &terms.run, stop).await?;
        }
        let seen = known.insert(seen);
        let id = slice.id();
        let own = seen.live(&id).into_iter().find(|row| row.line.entry.run == terms.run);
        if let Some(row) = own.filter(|row| row.state == State::Loaded) {
            return Ok((Said::Own(row.line.entry.clone()), None));
        }
        let own = own.map(|row| row.line.clone());
        if !terms.reload {
            conflicting(&seen.others, terms, slice)?;
        }
        if let Some(row) = seen.loaded(&id)
            && !row.line.entry.open
            && !terms.reload
        {
            return Ok((Said::Before(row.line.entry.clone()), own));
        }
        let begun = seen.begun_by_others(slice, &terms.run);
        Ok((begun.map_or(Said::Free, Said::Begun), own))
    }

    /// Runs a statement that may be run twice.
    pub(super) async fn run(&self, session: &Session<'_>, sql: &str, stop: &Stop) -> Result<(), LoadError> {
        let once = || async {
            let response = session.ask(sql.to_owned(), &super::RUNS).await?;
            session.connection.whole(response, super::MAX_ANSWER).await.map(drop)
        };
        let done: Result<(), DatabaseError> = self.until_answered(session, stop, once).await;
        done.map_err(LoadError::from)
    }
}
