//! The commands of README.md and `docs/` are run as they are printed, each page in a folder of its own, against a sandbox
//! that is served to it. A terminal is there, and anyone who sits at it confirms what is asked.
//!
//! Before a block of commands, `<!-- exits 0 3 -->` gives the exit codes in order (0 each where there is none),
//! `<!-- exits any: why -->` accepts any, and `<!-- not run: why -->` leaves the block out.

use crate::support::program::BINARY;
use crate::support::site::{Site, TOKEN, Trouble};
use crate::support::terminal::OnTerminal;
use crate::support::{eventually, tell};
use devrev_batch::sandbox::Data;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What a block of commands is expected to do.
#[derive(Debug, PartialEq)]
enum Expected {
    Codes(Vec<u32>),
    Any,
    NotRun(String),
}

/// Commands that stand together on a page.
#[derive(Debug)]
struct Block {
    line: usize,
    expected: Expected,
    commands: Vec<String>,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut expected = Expected::Codes(Vec::new());
    let mut open: Option<(bool, usize, Vec<String>)> = None;
    for (number, line) in (1..).zip(page.lines()) {
        if let Some((is_shell, begun, commands)) = &mut open {
            if line == "```" {
                if *is_shell {
                    let expected = std::mem::replace(&mut expected, Expected::Codes(Vec::new()));
                    blocks.push(Block { line: *begun, expected, commands: std::mem::take(commands) });
                }
                open = None;
            } else if *is_shell && !line.starts_with('#') && !line.trim().is_empty() {
                match commands.last_mut().filter(|last| last.ends_with("&&")) {
                    Some(last) => *last = format!("{last} {line}"),
                    None => commands.push(line.to_owned()),
                }
            }
        } else if let Some(language) = line.strip_prefix("```") {
            assert!(
                ["sh", "text", "sql", "yaml", "python"].contains(&language),
                "line {number}: a block of `{language}`"
            );
            open = Some((language == "sh", number, Vec::new()));
        } else if let Some(said) = line.strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->")) {
            expected = if let Some(why) = said.strip_prefix("not run: ") {
                Expected::NotRun(why.to_owned())
            } else {
                let codes = said.strip_prefix("exits ").expect(said);
                if codes.starts_with("any: ") {
                    Expected::Any
                } else {
                    Expected::Codes(codes.split(' ').map(|code| code.parse().unwrap()).collect())
                }
            };
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// A folder as the pages take it for granted: the project's own files, an export of each kind, and the program.
fn project() -> Site {
    let mut site = Site::new();
    site.start(Data::demo, &Trouble::none());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    symlink(root.join("test_data"), site.path("test_data")).unwrap();
    for (from, to) in [
        (".env.sample", ".env.sample"),
        ("test_data/issues.csv", "issues.csv"),
        ("test_data/contacts.csv", "contacts.csv"),
    ] {
        fs::copy(root.join(from), site.path(to)).unwrap();
    }
    fs::create_dir(site.path("bin")).unwrap();
    symlink(BINARY, site.path("bin/devrev-batch")).unwrap();
    // The release build takes minutes; what it would run is the same.
    let cargo =
        "#!/bin/sh\n[ \"$1 $2 $3\" = 'run --release --' ] || exit 99\nshift 3\nexec devrev-batch \"$@\"\n";
    let path = site.write("bin/cargo", cargo);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    site
}

/// Runs a command on a terminal, and confirms what it asks.
fn run(site: &Site, command: &str) -> (u32, String) {
    let mut command = command.to_owned();
    if command.contains("RUN") {
        command = command.replace("RUN", site.newest_run().id());
    }
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", site.path("bin").display());
    let home = site.folder().display().to_string();
    let variables = [
        ("PATH", path.as_str()),
        ("HOME", home.as_str()),
        ("MERGE_POLL_DELAY", "0.05"),
        ("DEVREV_API_TOKEN", TOKEN),
    ];
    let mut terminal = OnTerminal::shell(site, &command, &variables);
    let mut answered = 0;
    let mut code = None;
    eventually(&command, || {
        let shown = terminal.shown();
        let later = shown.get(answered..).unwrap_or_default();
        if later.contains("Continue? [y/N]") {
            answered = shown.len();
            terminal.types("y\n");
        } else if let Some((_, name)) = later.split_once("Type the organisation's name, ")
            && let Some((name, _)) = name.split_once(", to continue:")
        {
            answered = shown.len();
            terminal.types(&format!("{name}\n"));
        }
        code = terminal.has_ended();
        code.is_some()
    });
    (code.unwrap(), terminal.shown())
}

fn check(page: &str) {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let blocks = blocks(&fs::read_to_string(&path).unwrap());
    let site = project();
    let mut count = 0;
    for Block { line, expected, commands } in blocks {
        let codes = match expected {
            Expected::NotRun(why) => {
                tell(&format!("left out: {page}, line {line}: {why}"));
                continue;
            }
            Expected::Any => None,
            Expected::Codes(codes) if codes.is_empty() => Some(vec![0; commands.len()]),
            Expected::Codes(codes) => Some(codes),
        };
        if let Some(codes) = &codes {
            assert_eq!(codes.len(), commands.len(), "{page}, line {line}: an exit code for each command");
        }
        for (index, command) in commands.iter().enumerate() {
            let of_databases = [
                "devrev-batch migrate",
                "devrev-batch load",
                "devrev-batch validate --job",
                "cargo run --release -- load",
            ];
            if of_databases.iter().any(|begins| command.starts_with(begins)) && cfg!(not(feature = "load")) {
                tell(&format!("left out: {page}, line {line}: this build has no databases"));
                continue;
            }
            let (code, shown) = run(&site, command);
            assert!(code != 127, "{page}, line {line}: {command}\n{shown}");
            if let Some(codes) = &codes {
                assert_eq!(code, codes[index], "{page}, line {line}: {command}\n{shown}");
            }
            count += 1;
        }
    }
    // A page whose commands are not found would pass.
    // Those of the delivery metrics need PostgreSQL: `load::sei` runs them. A service needs Kafka.
    let runs_none =
        ["docs/development.md", "docs/configuration.md", "docs/delivery-metrics.md", "docs/service.md"];
    let runs_some = !runs_none.contains(&page);
    assert_eq!(count > 0, runs_some, "{page} has {count} commands");
}

#[test]
fn commands_of_the_readme() {
    check("README.md");
}

#[test]
fn commands_of_the_commands_page() {
    check("docs/commands.md");
}

#[cfg(feature = "load")]
#[test]
fn commands_of_the_loads_page() {
    check("docs/loads.md");
    check("docs/service.md");
}

#[test]
fn commands_of_the_operations_page() {
    check("docs/operations.md");
}

#[test]
fn every_page_is_checked() {
    let mut pages: Vec<_> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md"))
        .collect();
    pages.sort();
    let known = [
        "benchmarks.md",
        "commands.md",
        "configuration.md",
        "delivery-metrics.md",
        "design.md",
        "development.md",
        "loads.md",
        "operations.md",
        "service.md",
    ];
    assert_eq!(pages, known);
    for page in ["docs/configuration.md", "docs/delivery-metrics.md", "docs/development.md"] {
        check(page);
    }
    for page in ["docs/benchmarks.md", "docs/design.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        assert!(blocks(&text).is_empty(), "{page} has commands");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md"), root.join("CHANGELOG.md")];
    pages.extend(fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let slug = |heading: &str| -> String {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    let mut links = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|extension| extension == "md")) {
        let text = fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            links += 1;
            let (file, anchor) =
                link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let target = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(target.is_file(), "{}: {link}", page.display());
            if let Some(anchor) = anchor {
                let text = fs::read_to_string(&target).unwrap();
                let mut headings = text.lines().filter_map(|line| {
                    Some(line.trim_start_matches('#').trim()).filter(|_| line.starts_with('#'))
                });
                assert!(headings.any(|heading| slug(heading) == anchor), "{}: {link}", page.display());
            }
        }
    }
    assert!(links > 15, "{links}");
}
