//! The data that a sandbox starts with.

use super::SandboxError;
use super::format::File;
use super::merge::MergeOptions;
use super::world::World;
use std::fmt;
use std::path::Path;

/// An organisation's users, groups, works, contacts and files, checked and ready to be served.
///
/// Read from JSON: see `test_data/sandbox.json`, and `src/sandbox/format.rs` for every member.
pub struct Data(pub(super) World);

impl Data {
    /// The demonstration data that comes with the tool: 40 users, 16 groups and 300
    /// issues, which `test_data/issues.csv` belongs to, and 50 contacts with 232 tickets, which
    /// `test_data/contacts.csv` belongs to.
    pub fn demo() -> Self {
        match Self::from_json(include_bytes!("../../test_data/sandbox.json")) {
            Ok(data) => data,
            Err(error) => unreachable!("a test reads the demonstration data: {error}"),
        }
    }

    /// Reads a file. The error names it, and the line and column where it is not as it should be.
    pub fn read(path: &Path) -> Result<Self, SandboxError> {
        let io = |source| SandboxError::Read { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(io)?;
        Self::from_json(&bytes).map_err(|error| error.in_file(path))
    }

    /// How merges go in this data.
    pub fn merge(&self) -> MergeOptions {
        self.0.read().merges.options
    }

    /// Reads data from JSON text.
    pub fn from_json(json: &[u8]) -> Result<Self, SandboxError> {
        let file: File =
            serde_json::from_slice(json).map_err(|source| SandboxError::Json { path: None, source })?;
        let world = World::build(file).map_err(|problem| SandboxError::Data { path: None, problem })?;
        Ok(Self(world))
    }
}

impl fmt::Display for Data {
    /// What there is: `Brightwater Software (DEMO): 40 users, 16 groups, 300 issues`; then contacts and
    /// other objects, if there are any beside those.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = &self.0;
        let state = world.read();
        let (users, groups, issues) = (world.listed_users, world.groups.len(), state.works[0].len());
        write!(f, "{} ({}): {users} users, {groups} groups, {issues} issues", world.org_name, world.org)?;
        let contacts = (world.users.len() + state.contacts.len()).saturating_sub(users);
        let [_, tickets, tasks, opportunities] = &state.works;
        for (count, noun) in [
            (contacts, "contacts"),
            (tickets.len(), "tickets"),
            (tasks.len(), "tasks"),
            (opportunities.len(), "opportunities"),
            (state.accounts.len(), "accounts"),
        ] {
            if count > 0 {
                write!(f, ", {count} {noun}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(change: impl FnOnce(&mut serde_json::Value)) -> String {
        let mut data = serde_json::json!({
            "organisation": {"id": "DEMO", "name": "Demo"},
            "self": "DEVU-1",
            "users": [{"number": 1, "name": "Ana Sousa", "email": "ana@example.com"}],
            "groups": [{"number": 1, "name": "Billing", "member_type": "dev_user", "members": ["DEVU-1"]}],
            "custom_fields": {"tnt__creator_group": {"type": "id", "allowed": ["group"]}},
            "issues": [{"number": 1, "title": "One", "created_by": "DEVU-1", "creator_group": "GROUP-1"}],
        });
        change(&mut data);
        Data::from_json(data.to_string().as_bytes()).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_named() {
        assert_eq!(problem(|_| ()), "");
        let cases: [(&str, serde_json::Value, &str); 8] = [
            ("/self", "DEVU-9".into(), "self: there is no user DEVU-9"),
            ("/organisation/id", "DE MO".into(), "the organisation's id `DE MO`"),
            ("/groups/0/members/0", "DEVU-2".into(), "GROUP-1: members: there is no user DEVU-2"),
            ("/groups/0/members/0", "GROUP-7".into(), "GROUP-1: members: there is no group GROUP-7"),
            ("/issues/0/created_by", "REVU-1".into(), "ISS-1: created_by: there is no user REVU-1"),
            ("/issues/0/creator_group", "GROUP-2".into(), "ISS-1: creator_group: there is no group GROUP-2"),
            ("/issues/0/created_by", "GROUP-1".into(), "is the ID of a group, where a dev user is needed"),
            ("/custom_fields", serde_json::json!({}), "custom_fields does not declare `tnt__creator_group`"),
        ];
        for (place, value, part) in cases {
            let problem = problem(|data| *data.pointer_mut(place).unwrap() = value);
            assert!(problem.contains(part), "{place}: {problem}");
        }
        let twice = problem(|data| {
            let issue = data["issues"][0].clone();
            data["issues"].as_array_mut().unwrap().push(issue);
        });
        assert!(twice.contains("ISS-1 appears twice"), "{twice}");
    }

    #[test]
    fn the_demonstration_data_is_sound() {
        let wanted = "Brightwater Software (DEMO): 40 users, 16 groups, 300 issues, 50 contacts, 232 tickets, 6 tasks, \
                      6 opportunities, 12 accounts";
        assert_eq!(Data::demo().to_string(), wanted);
    }

    #[test]
    fn a_file_with_an_error_is_named_with_the_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "{\n  \"organization\": 1}").unwrap();
        let error = Data::read(file.path()).unwrap_err().to_string();
        assert!(error.starts_with(&file.path().display().to_string()), "{error}");
        assert!(
            error.contains("unknown field `organization`") && error.contains("line 2 column 16"),
            "{error}"
        );
        let absent = Data::read(Path::new("absent.json")).unwrap_err().to_string();
        assert!(absent.starts_with("absent.json"), "{absent}");
    }
}
