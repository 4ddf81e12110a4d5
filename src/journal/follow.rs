//! A journal as it grows, read from beside the process that writes it: nothing is locked, fixed or judged.

use super::error::JournalError;
use super::line::{Line, MAX_LINE, Reading, Said};
use super::record::{Outcome, Rows, State};
use super::replay::{LastWords, Now};
use super::run_dir::RunDir;
use crate::files;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

/// Lines between two looks at the clock.
const LINES: u32 = 256;

/// Follows one run's journal.
#[derive(Debug)]
pub struct Follow {
    run: RunDir,
    /// What was read so far, and where it ends.
    words: LastWords,
    place: u64,
    next_seq: u64,
    file: Option<files::Identity>,
    /// How long the journal was at the last look, and whether a part of it was left for the next one.
    length: u64,
    left: bool,
}

/// A row that was heard to fail, or of which nobody knows whether it was changed.
#[derive(Debug)]
pub struct Trouble {
    /// The rows.
    pub rows: Rows,
    /// The object's ID as people know it.
    pub key: String,
    /// How it ended.
    pub outcome: Outcome,
}

impl Follow {
    /// Begins with the first record, whenever that is written.
    pub fn new(run: &RunDir) -> Self {
        Self {
            run: run.clone(),
            words: LastWords::default(),
            place: 0,
            next_seq: 1,
            file: None,
            length: 0,
            left: false,
        }
    }

    /// Reads what was added, and tells `each` row that did not go well. Begins again where the journal is another file, or is
    /// shorter: a torn tail was set aside. What is no whole record yet is left for the next time.
    ///
    /// Fails when the journal cannot be read; one that is not there yet has no records.
    pub fn read(&mut self, each: impl FnMut(Trouble)) -> Result<Now, JournalError> {
        self.read_until(None, each)
    }

    /// As [`Follow::read`], for about so long; the next time continues. Says too how many bytes it has read of those there
    /// are, if they are not all.
    pub fn read_within(&mut self, time: Duration) -> Result<(Now, Option<(u64, u64)>), JournalError> {
        let now = self.read_until(Instant::now().checked_add(time), |_| ())?;
        Ok((now, self.left.then_some((self.place, self.length))))
    }

    fn read_until(
        &mut self,
        end: Option<Instant>,
        mut each: impl FnMut(Trouble),
    ) -> Result<Now, JournalError> {
        self.left = false;
        let path = self.run.journal();
        let failed = || JournalError::io("read", &path);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.words.now()),
            Err(error) => return Err(failed()(error)),
        };
        let data = file.metadata().map_err(failed())?;
        let identity = files::Identity::of(&data);
        if self.file.as_ref().is_some_and(|seen| *seen != identity) || data.len() < self.place {
            *self = Self::new(&self.run);
        }
        self.file = Some(identity);
        self.length = data.len();
        let mut reader = BufReader::with_capacity(256 << 10, file);
        reader.seek(SeekFrom::Start(self.place)).map_err(failed())?;
        let (mut bytes, mut lines) = (Vec::new(), 0);
        loop {
            // Some lines are read in any case, else nothing would ever be.
            if lines == LINES {
                lines = 0;
                if end.is_some_and(|end| Instant::now() >= end) {
                    self.left = self.place < self.length;
                    break;
                }
            }
            lines += 1;
            bytes.clear();
            let read = (&mut reader).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut bytes);
            let read = read.map_err(failed())? as u64;
            if bytes.pop_if(|last| *last == b'\n').is_none() {
                break;
            }
            let Reading::Record(line) = Line::read(&bytes) else { break };
            // Not the line that was there when the place was noted: a tail was set aside and another one written.
            if line.seq != self.next_seq {
                *self = Self::new(&self.run);
                break;
            }
            self.words.hear(&line);
            self.place += read;
            self.next_seq += 1;
            if let Said::Outcome(ended) = line.said()
                && matches!(ended.state, State::Failed | State::Unknown)
            {
                let (rows, key) = (line.rows(), ended.key.to_owned());
                each(Trouble { rows, key, outcome: ended.to_outcome() });
            }
        }
        Ok(self.words.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use std::fmt::Write as _;

    fn run() -> (tempfile::TempDir, RunDir) {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDir::create(folder.path(), "undo", DateTime::UNIX_EPOCH).unwrap();
        (folder, run)
    }

    fn line(text: &mut String, seq: u64, rest: &str) {
        writeln!(text, r#"{{"seq":{seq},"at":"2026-11-22T03:45:00.123Z",{rest}}}"#).unwrap();
    }

    fn journal(lines: &[&str]) -> String {
        let mut text = String::new();
        lines.iter().zip(1..).for_each(|(rest, seq)| line(&mut text, seq, rest));
        text
    }

    const INTENT: &str = r#""type":"intent","row":5,"key":"ISS-5","change":{}"#;
    const STEP: &str = r#""type":"step","row":5,"data":{"step":"backed-up"}"#;
    const FAILED: &str =
        r#""type":"outcome","row":5,"key":"ISS-5","state":"failed","reason":"refused","detail":"no"}"#;

    fn texts(follow: &mut Follow) -> (Now, Vec<String>) {
        let mut troubles = Vec::new();
        let now = follow
            .read(|trouble| {
                let Trouble { rows, key, outcome } = trouble;
                troubles.push(format!("{} {key} {}", rows.row, outcome.reason.unwrap()));
            })
            .unwrap();
        (now, troubles)
    }

    /// Whatever part of the file is there, what is whole of it is heard once and nothing is heard twice.
    #[test]
    fn a_journal_that_grows_byte_by_byte_is_heard_once() {
        let (_folder, run) = run();
        let failed = FAILED.trim_end_matches('}');
        let whole = journal(&[INTENT, STEP, failed]);
        let mut follow = Follow::new(&run);
        assert_eq!(texts(&mut follow).0, Now::default());
        let mut heard = Vec::new();
        for end in 0..=whole.len() {
            std::fs::write(run.journal(), &whole[..end]).unwrap();
            let (now, troubles) = texts(&mut follow);
            heard.extend(troubles);
            let lines = whole[..end].matches('\n').count();
            assert_eq!(now.rows, u64::from(lines == 3), "{end}");
            let steps = [None, Some(""), Some("backed-up"), None][lines];
            assert_eq!(now.under_way.first().map(|(_, step)| step.as_str()), steps, "{end}");
        }
        assert_eq!(heard, ["5 ISS-5 refused"]);
    }

    #[test]
    fn a_long_one_is_read_in_parts() {
        let (_folder, run) = run();
        let mut text = String::new();
        for row in 1..=1000 {
            line(&mut text, row, &format!(r#""type":"outcome","row":{row},"key":"K","state":"done""#));
        }
        std::fs::write(run.journal(), &text).unwrap();
        let mut follow = Follow::new(&run);
        let mut parts = Vec::new();
        loop {
            let (now, left) = follow.read_within(Duration::ZERO).unwrap();
            parts.push(now.rows);
            let Some((read, of)) = left else { break };
            assert!(read < of && of == text.len() as u64, "{read} of {of}");
            assert!(parts.len() < 20, "{parts:?}");
        }
        assert_eq!(parts.last(), Some(&1000), "{parts:?}");
        assert!(parts.len() > 3, "{parts:?}");
    }

    #[test]
    fn one_that_was_mended_or_replaced_is_read_anew() {
        let (_folder, run) = run();
        let done = r#""type":"outcome","row":5,"key":"ISS-5","state":"done""#;
        let (long, short) = (journal(&[INTENT, STEP, done]), journal(&[INTENT]));
        let mut follow = Follow::new(&run);
        for text in [&long, &short, &long] {
            std::fs::write(run.journal(), text).unwrap();
            assert_eq!(texts(&mut follow).0.rows, u64::from(text == &long));
        }
        // As long as before, and another file.
        std::fs::write(run.path().join("new"), long.replace("ISS-5", "ISS-6")).unwrap();
        std::fs::rename(run.path().join("new"), run.journal()).unwrap();
        assert_eq!(texts(&mut follow).0.rows, 1);
        std::fs::write(run.journal(), format!("{short}\0\0garbage")).unwrap();
        assert_eq!(texts(&mut follow).0.rows, 0);
    }
}
