//! `--group-map FILE`: the operator's own word on which group a user's issues belong to.

use super::membership::{GroupRef, Membership};
use crate::devrev::ids::{Group, GroupId, Key, Names, User, UserId, id_text};
use crate::exit::{Exit, Failure};
use crate::report::units::counted;
use crate::source::dialect::{self, Dialect};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

/// Users and their groups, as the file says.
#[derive(Debug, Clone, Default)]
pub(crate) struct GroupMap(HashMap<Key, GroupRef>);

/// Problems of a file that are told before the rest is only counted.
const SHOWN: usize = 10;

impl GroupMap {
    /// Reads a CSV of user and group, with or without a header `user,group`. Each group has to be one that
    /// DevRev lists. All problems are told together.
    ///
    /// `name` is what the operator calls the file, of which `path` may be a copy.
    pub(crate) fn read(path: &Path, name: &str, membership: &Membership) -> Result<Self, Failure> {
        let failure = |text: String| Failure::new(Exit::Usage, format!("--group-map {name}: {text}"));
        let file = File::open(path).map_err(|error| failure(error.to_string()))?;
        let opened = dialect::open(file, name, Dialect::default());
        let opened = opened
            .map_err(|error| Failure::new(Exit::Usage, format!("--group-map: {error}")).because(error))?;
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(opened.delimiter)
            .from_reader(opened.input);
        let (mut map, mut problems) = (HashMap::new(), Vec::new());
        for (number, record) in reader.records().enumerate() {
            let record = record.map_err(|error| failure(error.to_string()))?;
            let line = record.position().map_or(0, csv::Position::line);
            if record.iter().all(str::is_empty) {
                continue;
            }
            let (user, group) = (record.get(0).unwrap_or(""), record.get(1).unwrap_or(""));
            let user = user.trim_start_matches('\u{feff}');
            if number == 0 && user.eq_ignore_ascii_case("user") && group.eq_ignore_ascii_case("group") {
                continue;
            }
            match entry(user, group, record.len(), membership) {
                Ok((key, group)) => match map.insert(key, group.clone()) {
                    Some(before) if before != group => {
                        problems.push(format!("line {line}: {user} has another group further up"));
                    }
                    _ => {}
                },
                Err(problem) => problems.push(format!("line {line}: {problem}")),
            }
        }
        if problems.is_empty() {
            return Ok(Self(map));
        }
        let mut text = problems.iter().take(SHOWN).fold(String::new(), |mut text, problem| {
            let _ = write!(text, "\n  {problem}");
            text
        });
        if problems.len() > SHOWN {
            let _ = write!(text, "\n  and {} more", problems.len() - SHOWN);
        }
        Err(failure(format!("each line is a user and a group, such as `DEVU-7,GROUP-4`:{text}")))
    }

    /// The group of a user, if the file names one.
    pub(crate) fn group_of(&self, user: &Key) -> Option<&GroupRef> {
        self.0.get(user)
    }
}

fn entry(user: &str, group: &str, fields: usize, membership: &Membership) -> Result<(Key, GroupRef), String> {
    if fields != 2 {
        return Err(format!("{} where 2 are needed", counted(fields as u64, "field")));
    }
    let user = UserId::parse(&id_text(user, User::TYPES)).map_err(|error| error.to_string())?;
    let group = GroupId::parse(&id_text(group, Group::TYPES)).map_err(|error| error.to_string())?;
    let known = membership.group(&group.key()).ok_or_else(|| format!("DevRev lists no group {group}"))?;
    Ok((user.key(), known.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<GroupMap, Failure> {
        let group = GroupRef { id: "don:identity:x:devo/1:group/4".into(), display_id: None, name: None };
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        GroupMap::read(file.path(), "map.csv", &Membership::new(vec![(group, vec![])]))
    }

    #[test]
    fn a_header_is_optional() {
        let user = UserId::parse("DEVU-7").unwrap().key();
        for text in ["DEVU-7,GROUP-4\n", "\u{feff}User, Group\r\nDEVU-7 , GROUP-4\r\n"] {
            assert!(read(text).unwrap().group_of(&user).is_some(), "{text}");
        }
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let error = read("user,group\nDEVU-7,GROUP-9\nISS-1,GROUP-4\nDEVU-1\n").unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        for part in [
            "line 2: DevRev lists no group GROUP-9",
            "line 3: `ISS-1` is the ID of an issue",
            "line 4: 1 field where",
        ] {
            assert!(error.message.contains(part), "{part} in {error}");
        }
    }
}
