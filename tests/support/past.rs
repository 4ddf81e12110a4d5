//! Runs of long ago: copies of a real one, with another ID and other things in their `run.json`.

use super::run::Run;
use super::site::Site;
use serde_json::Value;
use std::fs;

/// Makes a copy of a run, and returns its folder.
pub(crate) fn copy(site: &Site, of: &Run, id: &str, change: impl FnOnce(&mut Value)) -> Run {
    let copy = Run(site.path("runs").join(id));
    fs::create_dir(&copy.0).unwrap();
    for entry in fs::read_dir(&of.0).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.0.join(path.file_name().unwrap())).unwrap();
    }
    edit(&copy, "report.json", |report| report["run"] = id.into());
    edit(&copy, "run.json", |manifest| {
        manifest["id"] = id.into();
        change(manifest);
    });
    copy
}

/// Changes a JSON file of a run.
pub(crate) fn edit(run: &Run, file: &str, change: impl FnOnce(&mut Value)) {
    let path = run.file(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, serde_json::to_vec_pretty(&value).unwrap()).unwrap();
}
