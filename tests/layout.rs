//! What may import what in `src/`: imports go one way, and a module is in no circle but with its own children.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Modules by their path, each with the modules that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The folders and files of `src/` from the top down: each imports only what stands below it.
const LAYERS: [&str; 29] = [
    "commands",
    "jobs",
    "connectors",
    "run",
    "report",
    "backup",
    "monitor",
    "settings",
    "engine",
    "journal",
    "spill",
    "cli",
    "sandbox",
    "devrev",
    "finding",
    "migrate",
    "source",
    "row",
    "invisible",
    "kind",
    "database",
    "net",
    "figures",
    "files",
    "stop",
    "exit",
    "lib",
    "main",
    "build",
];

/// What no module of these folders names: they serve every job and every target alike.
const NAMELESS: [&str; 7] = ["run", "engine", "journal", "report", "source", "database", "net"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
}

/// The text of every module, without comments and tests.
fn modules() -> BTreeMap<String, String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    let mut modules = BTreeMap::new();
    for path in paths {
        let of_src = path.strip_prefix(&src).unwrap().with_extension("");
        let names: Vec<_> = of_src.iter().map(|name| name.to_str().unwrap()).collect();
        if names.iter().any(|name| name.ends_with("tests")) {
            continue;
        }
        let names = names.strip_suffix(&["mod"]).unwrap_or(&names);
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        let code = code.split("#[cfg(test)]\n#[path").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        modules.insert(names.join("::"), lines.collect::<Vec<_>>().join("\n"));
    }
    modules
}

/// Reads a path or a tree of them, such as `a::{b, c::d}`; returns what comes after it.
fn paths<'a>(mut text: &'a str, prefix: &[&'a str], found: &mut Vec<Vec<&'a str>>) -> &'a str {
    let mut path = prefix.to_vec();
    loop {
        text = text.trim_start();
        if let Some(mut rest) = text.strip_prefix('{') {
            loop {
                rest = paths(rest, &path, found).trim_start();
                match rest.strip_prefix(',') {
                    Some(after) => rest = after,
                    None => return rest.strip_prefix('}').unwrap_or(rest),
                }
            }
        }
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        path.extend((end > 0).then_some(&text[..end]));
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(rest) => text = rest,
            None => break,
        }
    }
    if let Some(rest) = text.strip_prefix(" as ") {
        text = rest.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    }
    found.push(path);
    text
}

/// The modules that each module imports, but for its parents and children.
fn imports(modules: &BTreeMap<String, String>) -> Imports {
    let mut imports = Imports::new();
    for (module, text) in modules {
        let mut found = Vec::new();
        for (at, _) in text.match_indices("crate::") {
            paths(&text[at + "crate::".len()..], &[], &mut found);
        }
        let parents: Vec<_> = module.split("::").collect();
        for (at, _) in text.match_indices("super::") {
            if text[..at].ends_with("super::") {
                continue;
            }
            let (mut rest, mut ups) = (&text[at..], 0);
            while let Some(after) = rest.strip_prefix("super::") {
                (rest, ups) = (after, ups + 1);
            }
            paths(rest, &parents[..parents.len().saturating_sub(ups)], &mut found);
        }
        let known = |path: &Vec<&str>| {
            (1..=path.len()).rev().map(|end| path[..end].join("::")).find(|name| modules.contains_key(name))
        };
        let others = found.iter().filter_map(known).filter(|other| {
            other != module
                && !other.starts_with(&format!("{module}::"))
                && !module.starts_with(&format!("{other}::"))
        });
        imports.insert(module.clone(), others.collect());
    }
    imports
}

fn top(module: &str) -> &str {
    module.split("::").next().unwrap()
}

#[test]
fn imports_go_one_way() {
    let modules = modules();
    let place = |module: &str| LAYERS.iter().position(|layer| *layer == top(module));
    let strange: Vec<_> = modules.keys().filter(|module| place(module).is_none()).collect();
    assert!(strange.is_empty(), "say in LAYERS where these belong: {strange:?}");
    let imports = imports(&modules);
    assert!(imports["commands::resume"].contains("jobs::registry"), "imports are not read");
    let upwards: Vec<_> = imports
        .iter()
        .filter(|(module, _)| !["lib", "main"].contains(&module.as_str()))
        .flat_map(|(module, others)| others.iter().map(move |other| (module, other)))
        .filter(|(module, other)| place(module) > place(other))
        .collect();
    assert!(upwards.is_empty(), "these import upwards: {upwards:#?}");
}

#[test]
fn no_module_is_in_a_circle() {
    let imports = imports(&modules());
    let reaches = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<_> = imports[from].iter().collect();
        while let Some(module) = next.pop() {
            if seen.insert(module.as_str()) {
                next.extend(&imports[module]);
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = imports.keys().map(|module| (module.as_str(), reaches(module))).collect();
    let mut circles = BTreeSet::new();
    for (module, reaches) in &reached {
        if reaches.contains(module) {
            let circle: Vec<_> =
                reaches.iter().copied().filter(|other| reached[other].contains(module)).collect();
            circles.insert(circle);
        }
    }
    assert!(circles.is_empty(), "these import each other: {circles:#?}");
}

#[test]
fn what_serves_every_job_and_target_names_none() {
    let modules = modules();
    let jobs: BTreeSet<_> = modules
        .keys()
        .filter_map(|module| module.strip_prefix("jobs::")?.strip_suffix("::command"))
        .flat_map(|job| [job.to_owned(), job.replace('_', "-")])
        .collect();
    assert!(jobs.contains("merge_contacts") && jobs.contains("undo-merge"), "jobs are not found: {jobs:?}");
    let others = ["DevRev", "crate::devrev", "crate::jobs"].map(str::to_owned);
    let named: Vec<_> = modules
        .iter()
        .filter(|(module, _)| NAMELESS.contains(&top(module)))
        .flat_map(|(module, text)| {
            jobs.iter()
                .chain(&others)
                .filter(|name| text.contains(name.as_str()))
                .map(move |name| (module, name))
        })
        .collect();
    assert!(named.is_empty(), "these name a job or DevRev: {named:#?}");
}
