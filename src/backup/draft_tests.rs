use super::*;
use crate::backup::sample::{RUN, Sample, files_below, label};
use crate::backup::verify::verify;
use std::fs;

fn names(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_draft_has_its_name_only_when_it_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/backups");
    let sample = Sample::default();
    let draft = sample.draft(&root);
    assert_eq!(names(&root), [format!(".partial-{RUN}-ann@example.com_20261122_034500_REVU-7")]);
    let made = draft.finish(sample.counts, 1).unwrap();
    assert_eq!(made, root.join("ann@example.com_20261122_034500_REVU-7"));
    assert_eq!(names(&root).len(), 1);
    verify(&made).unwrap();
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let root = tempfile::tempdir().unwrap();
    let first = Sample::default().make(root.path());
    // An empty folder is somebody's too.
    fs::create_dir(root.path().join("ann@example.com_20261122_034500_REVU-7~2")).unwrap();
    let third = Sample::default().make(root.path());
    assert_eq!(third, root.path().join("ann@example.com_20261122_034500_REVU-7~3"));
    verify(&first).unwrap();
    verify(&third).unwrap();
}

#[test]
fn what_is_not_finished_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let mut draft = Sample::default().draft(root.path());
    let mut file = draft.file(&RelPath::attachment("TKT-1", "half")).unwrap();
    file.write(b"half").unwrap();
    let path = file.path().to_owned();
    assert!(path.exists());
    drop(file);
    assert!(!path.exists());
    drop(draft);
    assert!(names(root.path()).is_empty());
}

#[test]
fn only_a_runs_own_leftovers_are_cleared() {
    let root = tempfile::tempdir().unwrap();
    let other = format!("{PARTIAL}20261122-034500-merge-contacts-7f3b-x_20261122_034500_REVU-7");
    for name in [&format!("{}x", prefix(RUN)), &format!("{}y", prefix(RUN)), &other, "whole"] {
        fs::create_dir(root.path().join(name)).unwrap();
        fs::write(root.path().join(name).join("file"), name).unwrap();
    }
    assert_eq!(clear_partials(root.path(), RUN).unwrap(), 2);
    assert_eq!(names(root.path()), [other.as_str(), "whole"]);
    assert_eq!(clear_partials(&root.path().join("none"), RUN).unwrap(), 0);
}

#[test]
fn no_file_is_made_twice_and_no_draft_is_begun_twice() {
    let root = tempfile::tempdir().unwrap();
    let mut draft = Sample::default().draft(root.path());
    let text = draft.file(&RelPath::TICKETS).unwrap_err().to_string();
    assert!(text.contains("cannot make the file") && text.contains("tickets.json"), "{text}");
    Draft::begin(root.path(), RUN, &label()).unwrap_err();
    assert!(draft.folder.exists());
}

#[test]
fn a_file_that_another_hand_was_in_is_not_listed() {
    let root = tempfile::tempdir().unwrap();
    let mut draft = Draft::begin(root.path(), RUN, &label()).unwrap();
    let mut file = draft.file(&RelPath::TICKETS).unwrap();
    file.write(b"abc").unwrap();
    fs::OpenOptions::new().write(true).open(file.path()).unwrap().set_len(9).unwrap();
    let text = file.finish().unwrap_err().to_string();
    assert!(text.contains("it has 9 bytes, and 3 were written"), "{text}");
    assert!(!RelPath::TICKETS.below(&draft.folder).exists());
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link() {
    use std::os::unix::fs::symlink;
    let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut draft = Draft::begin(root.path(), RUN, &label()).unwrap();
    symlink(outside.path(), draft.folder.join("conversations")).unwrap();
    let error = draft.file(&RelPath::messages("TKT-1")).unwrap_err();
    assert!(matches!(error, BackupError::NotAFolder(_)), "{error}");
    symlink(outside.path().join("x"), RelPath::TICKETS.below(&draft.folder)).unwrap();
    draft.file(&RelPath::TICKETS).unwrap_err();
    // The draft itself, replaced by a link.
    fs::rename(&draft.folder, root.path().join("moved")).unwrap();
    symlink(outside.path(), &draft.folder).unwrap();
    let error = draft.file(&RelPath::METADATA).unwrap_err();
    assert!(matches!(error, BackupError::NotAFolder(_)), "{error}");
    drop(draft);
    assert!(names(outside.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("backups");
    let made = Sample::default().make(&root);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for folder in [&root, &made, &made.join("conversations/TKT-1/attachments")] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    for file in files_below(&made) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_file_may_be_written_by_another_thread() {
    fn is_send<T: Send + 'static>(_: &T) {}
    let root = tempfile::tempdir().unwrap();
    let mut draft = Draft::begin(root.path(), RUN, &label()).unwrap();
    is_send(&draft);
    let mut file = draft.file(&RelPath::attachment("TKT-1", "x")).unwrap();
    let entry = std::thread::spawn(move || {
        file.write(b"abc").unwrap();
        file.finish().unwrap()
    });
    let entry = entry.join().unwrap();
    assert_eq!(entry.bytes, 3);
    assert_eq!(entry.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    draft.add(entry);
}
