//! What people write instead of IDs: names and e-mail addresses, looked up in bulk and remembered.

use crate::devrev::any_object::{Members, ObjectList};
use crate::devrev::objects::Target;
use crate::devrev::pages::Pages;
use crate::devrev::read_only::ReadOnly;
use crate::exit::Failure;
use crate::jobs::failing;
use crate::net::error::ApiError;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Names in one request.
const AT_ONCE: usize = 50;
/// Names that are remembered; of more, the older ones are asked for again.
const MOST: usize = 100_000;
/// Candidates that a message names.
const SHOWN: usize = 5;

/// What names stand for.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: HashMap<(Target, String), Vec<Named>>,
    /// All dev users, by e-mail address, display name and full name in lower case, once they have been listed.
    users: Option<HashMap<String, Vec<Named>>>,
    /// All tags by name in lower case, once they have been listed.
    tags: Option<HashMap<String, Vec<Named>>>,
    /// `--create-tags`: a tag that does not exist may be created.
    creates_tags: bool,
    stages: Option<Vec<String>>,
}

/// An object that a name may stand for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    id: String,
    /// The ID as people know it.
    shown: String,
}

impl Named {
    fn of(object: &Members) -> Option<Self> {
        let text = |member: &str| object.get(member).and_then(Value::as_str).map(str::to_owned);
        let id = text("id")?;
        Some(Self { shown: text("display_id").unwrap_or_else(|| id.clone()), id })
    }
}

impl Names {
    /// The stages of the object, where they are known.
    pub(crate) fn stages(&self) -> Option<&[String]> {
        self.stages.as_deref()
    }

    /// With these stages.
    pub(crate) fn with_stages(stages: Option<Vec<String>>) -> Self {
        Self { stages, ..Self::default() }
    }

    /// The same, and whether tags that do not exist may be created.
    pub(crate) fn creating_tags(self, creates_tags: bool) -> Self {
        Self { creates_tags, ..self }
    }

    /// Whether tags that do not exist may be created.
    pub(crate) fn creates_tags(&self) -> bool {
        self.creates_tags
    }

    /// Whether DevRev was asked for a tag with this name, and has none.
    pub(crate) fn lacks_tag(&self, name: &str) -> bool {
        self.known.get(&(Target::Tag, name.to_lowercase())).is_some_and(Vec::is_empty)
    }

    /// The ID that a name stands for; the error names the candidates where there are several.
    pub(crate) fn id(&self, target: Target, name: &str) -> Result<String, String> {
        let mut found: Vec<&Named> = Vec::new();
        if is_user(target)
            && let Some(users) = &self.users
        {
            found.extend(users.get(&name.to_lowercase()).into_iter().flatten());
        }
        found.extend(self.known.get(&(target, name.to_lowercase())).into_iter().flatten());
        found.dedup();
        match *found {
            [] if matches!(target, Target::Artifact | Target::Any) => Err("not an ID".to_owned()),
            [] => Err(format!("not the ID or the name of {} in DevRev", noun(target))),
            [one] => Ok(one.id.clone()),
            [..] => {
                let shown: Vec<&str> = found.iter().take(SHOWN).map(|named| named.shown.as_str()).collect();
                let more = if found.len() > SHOWN { ", ..." } else { "" };
                Err(format!("the name of {} objects: {}{more}; write the ID", found.len(), shown.join(", ")))
            }
        }
    }

    /// Asks DevRev for names that are not known yet.
    pub(crate) async fn learn(
        &mut self,
        client: &ReadOnly,
        wanted: HashSet<(Target, String)>,
    ) -> Result<(), Failure> {
        if self.known.len() > MOST {
            self.known.clear();
        }
        let mut of_target: HashMap<Target, Vec<String>> = HashMap::new();
        for (target, name) in wanted {
            if !self.known.contains_key(&(target, name.to_lowercase())) {
                of_target.entry(target).or_default().push(name);
            }
        }
        for (target, mut names) in of_target {
            if is_user(target) && target != Target::Contact {
                self.list_users(client).await?;
                let users = self.users.as_ref();
                names.retain(|name| !users.is_some_and(|users| users.contains_key(&name.to_lowercase())));
            }
            let Some((endpoint, filter)) = list(target) else { continue };
            if is_user(target) {
                // Contacts are found by their addresses only.
                names.retain(|name| name.contains('@'));
                // The list may tell upper case from lower.
                names.extend(names.clone().iter().map(|name| name.to_lowercase()));
            }
            names.sort_unstable();
            names.dedup();
            for names in names.chunks(AT_ONCE) {
                self.ask(client, target, endpoint, filter, names).await?;
            }
            if target == Target::Tag && self.creates_tags {
                self.find_tags_in_any_case(client, &names).await?;
            }
        }
        Ok(())
    }

    async fn ask(
        &mut self,
        client: &ReadOnly,
        target: Target,
        endpoint: &'static str,
        filter: &str,
        names: &[String],
    ) -> Result<(), Failure> {
        let known = |name: &str| (target, name.to_lowercase());
        self.known.extend(names.iter().map(|name| (known(name), Vec::new())));
        let mut pages = Pages::new(ObjectList::holding(endpoint, filter, names));
        let failed = |error: &ApiError| failing::needed(error, &format!("cannot look up {}", plural(target)));
        while let Some(page) = pages.next(client).await.map_err(|error| failed(&error))? {
            for object in &page {
                let Some(named) = Named::of(object) else { continue };
                for name in ["name", "display_name", "email"] {
                    let Some(name) = object.get(name).and_then(Value::as_str) else { continue };
                    if let Some(all) = self.known.get_mut(&known(name))
                        && !all.contains(&named)
                    {
                        all.push(named.clone());
                    }
                }
            }
        }
        Ok(())
    }

    /// Finds the tags with these names that are spelled otherwise: a list may tell upper case from lower, and nobody wants
    /// a second tag that differs in case only.
    async fn find_tags_in_any_case(&mut self, client: &ReadOnly, names: &[String]) -> Result<(), Failure> {
        let names: Vec<&String> = names.iter().filter(|name| self.lacks_tag(name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let tags = match self.tags.take() {
            Some(tags) => tags,
            None => {
                list_all(client, "tags.list", &["name"], "cannot list the tags of the organisation").await?
            }
        };
        for name in names.iter().map(|name| name.to_lowercase()) {
            let found = tags.get(&name).cloned().unwrap_or_default();
            self.known.insert((Target::Tag, name), found);
        }
        self.tags = Some(tags);
        Ok(())
    }

    async fn list_users(&mut self, client: &ReadOnly) -> Result<(), Failure> {
        if self.users.is_none() {
            let names = ["email", "display_name", "full_name"];
            let what = "cannot list the users of the organisation";
            self.users = Some(list_all(client, "dev-users.list", &names, what).await?);
        }
        Ok(())
    }
}

/// Everything in a list by each of these members in lower case. `what` says what could not be done if that fails.
async fn list_all(
    client: &ReadOnly,
    endpoint: &'static str,
    members: &[&str],
    what: &str,
) -> Result<HashMap<String, Vec<Named>>, Failure> {
    let mut all: HashMap<String, Vec<Named>> = HashMap::new();
    let mut pages = Pages::new(ObjectList::at(endpoint, Members::new()));
    while let Some(page) = pages.next(client).await.map_err(|error| failing::needed(&error, what))? {
        for object in &page {
            let Some(named) = Named::of(object) else { continue };
            let names = members.iter().filter_map(|member| object.get(*member).and_then(Value::as_str));
            let mut names: Vec<String> = names.map(str::to_lowercase).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                all.entry(name).or_default().push(named.clone());
            }
        }
    }
    Ok(all)
}

fn is_user(target: Target) -> bool {
    matches!(target, Target::User | Target::DevUser | Target::Contact)
}

/// The list that finds objects by their names, and its filter.
fn list(target: Target) -> Option<(&'static str, &'static str)> {
    match target {
        Target::User | Target::Contact => Some(("rev-users.list", "email")),
        Target::Part => Some(("parts.list", "name")),
        Target::Tag => Some(("tags.list", "name")),
        Target::Group => Some(("groups.list", "name")),
        Target::Account => Some(("accounts.list", "display_name")),
        Target::Workspace => Some(("rev-orgs.list", "display_name")),
        Target::DevUser | Target::Artifact | Target::Any => None,
    }
}

fn plural(target: Target) -> &'static str {
    match target {
        Target::User => "users",
        Target::DevUser => "dev users",
        Target::Contact => "contacts",
        Target::Part => "parts",
        Target::Tag => "tags",
        Target::Group => "groups",
        Target::Account => "accounts",
        Target::Workspace => "workspaces",
        Target::Artifact => "artifacts",
        Target::Any => "objects",
    }
}

fn noun(target: Target) -> &'static str {
    match target {
        Target::User => "a user",
        Target::DevUser => "a dev user",
        Target::Contact => "a contact",
        Target::Part => "a part",
        Target::Tag => "a tag",
        Target::Group => "a group",
        Target::Account => "an account",
        Target::Workspace => "a workspace",
        Target::Artifact => "an artifact",
        Target::Any => "an object",
    }
}
