//! The sandbox as DevRev's own client sees it: `@devrev/typescript-sdk` from npm, which `typescript_sdk/drive.mjs` drives.

use crate::support::site::{Site, Trouble};
use crate::support::tell;
use devrev_batch::sandbox::Data;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// What is installed, and the script that uses it.
const FILES: [&str; 3] = ["package.json", "package-lock.json", "drive.mjs"];

/// The folder with the client, which is installed if need be; other processes wait meanwhile. `Err` says why it cannot be
/// had here: that is no fault of the sandbox.
fn client() -> Result<PathBuf, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/typescript_sdk");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript-sdk");
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let wanted = fs::read(source.join("package-lock.json")).unwrap();
    for name in FILES {
        fs::copy(source.join(name), folder.join(name)).unwrap();
    }
    let made = folder.join("made-of.json");
    if fs::read(&made).is_ok_and(|made| made == wanted) {
        return Ok(folder);
    }
    // Not long: anyone who has no network is not to wait for it.
    let limits = ["--fetch-retries=1", "--fetch-timeout=60000"];
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).args(limits).current_dir(&folder);
    ended("npm ci", npm.output())?;
    fs::write(made, wanted).unwrap();
    Ok(folder)
}

fn ended(what: &str, output: std::io::Result<Output>) -> Result<Vec<u8>, String> {
    match output {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!("{what} failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{what} failed: {error}")),
    }
}

/// What the client was answered; `None`, said by name, where node, npm or its registry is not there.
fn answers() -> Option<&'static Value> {
    static ANSWERS: OnceLock<Option<Value>> = OnceLock::new();
    let answers = ANSWERS.get_or_init(|| {
        let client =
            ended("node --version", Command::new("node").arg("--version").output()).and_then(|_| client());
        let folder = match client {
            Ok(folder) => folder,
            Err(why) => {
                tell(&format!("LEFT OUT: the tests of the sandbox with @devrev/typescript-sdk: {why}"));
                return None;
            }
        };
        let mut site = Site::new();
        site.start(Data::demo, &Trouble::none());
        let mut node = Command::new("node");
        node.arg("drive.mjs").arg(site.base_url()).arg("a-token").current_dir(folder);
        let printed = ended("drive.mjs", node.output()).unwrap_or_else(|why| panic!("{why}"));
        Some(serde_json::from_slice(&printed).unwrap())
    });
    answers.as_ref()
}

/// The items of a list, by their display ID.
fn ids<'a>(list: &'a Value, name: &str) -> Vec<&'a str> {
    list[name].as_array().unwrap_or_else(|| panic!("{list}")).iter().map(id).collect()
}

fn id(item: &Value) -> &str {
    item["display_id"].as_str().unwrap()
}

#[track_caller]
fn assert_refused(answer: &Value, status: u16, kind: &str, says: &str) {
    assert_eq!((&answer["status"], &answer["type"]), (&status.into(), &kind.into()), "{answer}");
    assert!(answer["message"].as_str().unwrap().contains(says), "{answer}");
    assert!(answer["debug_message"].as_str().unwrap().contains("(Ref: "), "{answer}");
}

#[test]
fn a_token_counts_with_and_without_bearer() {
    let Some(answers) = answers() else { return };
    for name in ["self", "selfByBearer"] {
        assert_eq!((id(&answers[name]["dev_user"]), &answers[name]["status"]), ("DEVU-1", &200.into()));
    }
    assert_refused(&answers["wrongToken"], 401, "unauthenticated", "token");
    assert_eq!(id(&answers["token"]["organization"]), "DEV-DEMO");
}

#[test]
fn works_are_listed_by_post_and_get_alike() {
    let Some(answers) = answers() else { return };
    let works = ids(&answers["byPost"], "items");
    assert_eq!((works.len(), works[0], works[299]), (300, "ISS-1", "ISS-300"));
    for list in ["byGet", "stable"] {
        assert_eq!(ids(&answers[list], "items"), works, "{list}");
        assert_eq!(answers[list]["pages"], 75);
    }
    let filtered = answers["filtered"]["works"].as_array().unwrap();
    let by = |work: &Value| id(&work["created_by"]).to_owned();
    let creator = by(&answers["byPost"]["items"][0]);
    assert!(!filtered.is_empty() && filtered.iter().all(|work| by(work) == creator), "{filtered:?}");
    for empty in ["staged", "stagedByGet"] {
        assert_eq!((&answers[empty]["status"], ids(&answers[empty], "works").len()), (&200.into(), 0));
    }
}

#[test]
fn a_work_is_read_and_updated() {
    let Some(answers) = answers() else { return };
    assert_eq!(id(&answers["get"]["work"]), "ISS-1");
    assert_ne!(answers["get"]["work"]["title"], "By the official client");
    for after in ["update", "updated"] {
        let work = &answers[after]["work"];
        assert_eq!((id(work), &work["title"]), ("ISS-1", &"By the official client".into()), "{after}");
    }
    assert!(answers["updated"]["work"]["applies_to_part"]["owned_by"].is_array(), "{answers}");
    assert_eq!(answers["timeline"]["status"], 200);
}

#[test]
fn what_is_wrong_is_refused_as_devrev_does() {
    let Some(answers) = answers() else { return };
    assert_refused(&answers["wrongMember"], 400, "invalid_field", "`colour`");
    assert_refused(&answers["wrongType"], 400, "unexpected_json_type", "`limit`");
    assert_refused(&answers["missing"], 404, "not_found", "`ISS-99999`");
    assert_refused(&answers["taken"], 409, "conflict", "`ada-1`");
}

#[test]
fn groups_and_the_schema_are_there() {
    let Some(answers) = answers() else { return };
    let groups = answers["groups"]["items"].as_array().unwrap();
    assert!(groups.len() > 2 && groups.iter().all(|group| group["is_default"] == false), "{groups:?}");
    assert_eq!(answers["groups"]["pages"], groups.len());
    let members = answers["members"]["items"].as_array().unwrap();
    assert_eq!((members.len(), &answers["members"]["pages"]), (5, &3.into()));
    assert!(members.iter().all(|member| id(&member["member"]).starts_with("DEVU-")), "{members:?}");
    let fields = answers["schema"]["schema"]["custom_fields"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", answers["schema"]));
    let field = fields.iter().find(|field| field["name"] == "tnt__creator_group").unwrap();
    assert_eq!((&field["field_type"], &field["id_type"][0]), (&"id".into(), &"group".into()));
}

#[test]
fn contacts_are_created_and_merged() {
    let Some(answers) = answers() else { return };
    let (first, second) = (&answers["created"], &answers["second"]);
    assert_eq!((&first["status"], &second["status"]), (&201.into(), &201.into()), "{first} {second}");
    assert_eq!(answers["renamed"]["rev_user"]["display_name"], "Ada Lovelace");
    let both = [id(&first["rev_user"]), id(&second["rev_user"])];
    assert_eq!(ids(&answers["found"], "rev_users"), both);
    assert_eq!(answers["merged"]["status"], 200);
    assert_eq!(id(&answers["contact"]["rev_user"]), both[0]);
}
