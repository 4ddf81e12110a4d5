use super::*;
use crate::backup::layout::{Attachment, FileEntry, Verification};
use crate::backup::sample::{Sample, Timeline, attachment, files_below, missing};
use serde_json::json;
use std::fs;

/// What is wrong with a sample.
fn wrong(change: impl FnOnce(&mut Sample)) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let mut sample = Sample::default();
    change(&mut sample);
    texts(verify(&sample.make(root.path())))
}

fn texts(verified: Result<Verified, Vec<Problem>>) -> Vec<String> {
    verified.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

/// A backup that `change` was done to.
fn harmed(change: impl FnOnce(&Path)) -> Vec<String> {
    let root = tempfile::tempdir().unwrap();
    let made = Sample::default().make(root.path());
    change(&made);
    texts(verify(&made))
}

#[test]
fn a_whole_backup_says_whose_it_is() {
    let root = tempfile::tempdir().unwrap();
    let sample = Sample::default();
    let made = sample.make(root.path());
    let verified = verify(&made).unwrap();
    assert_eq!((verified.contact_id.as_str(), verified.display_id.as_str()), ("don:7", "REVU-7"));
    assert_eq!(verified.email.as_deref(), Some("ann@example.com"));
    assert_eq!(verified.external_ref.as_deref(), Some("u_7"));
    assert_eq!(verified.counts, sample.counts);
    assert_eq!(verified.work_ids, ["don:t1", "don:i1"]);
    assert_eq!(work_ids(&made).unwrap(), verified.work_ids);
    assert_eq!(metadata(&made).unwrap(), sample.contact);
    let verification = made.join("verification.json");
    let others = files_below(&made).into_iter().filter(|path| *path != verification);
    assert_eq!(verified.bytes, others.map(|path| fs::metadata(path).unwrap().len()).sum::<u64>());
    let error = work_ids(root.path()).unwrap_err().to_string();
    assert!(error.contains("tickets.json") && error.contains("backups verify"), "{error}");
}

#[test]
fn no_byte_can_change_unseen() {
    let root = tempfile::tempdir().unwrap();
    let made = Sample::default().make(root.path());
    for path in files_below(&made) {
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        for at in 0..bytes.len() {
            for flip in [0x01, 0x20] {
                bytes[at] ^= flip;
                fs::write(&path, &bytes).unwrap();
                assert!(verify(&made).is_err(), "{}, byte {at} as {:02x}", path.display(), bytes[at]);
                bytes[at] ^= flip;
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    verify(&made).unwrap();
}

#[test]
fn no_file_can_go_shrink_grow_or_turn_into_something_else() {
    let root = tempfile::tempdir().unwrap();
    let made = Sample::default().make(root.path());
    for path in files_below(&made) {
        let whole = fs::read(&path).unwrap();
        let fails = |what: &str| assert!(verify(&made).is_err(), "{} {what}", path.display());
        for (what, bytes) in [
            ("emptied", Vec::new()),
            ("cut", whole[..whole.len() - 1].to_vec()),
            ("grown", [whole.as_slice(), b"\n"].concat()),
        ] {
            fs::write(&path, bytes).unwrap();
            fails(what);
        }
        fs::remove_file(&path).unwrap();
        fails("deleted");
        fs::create_dir(&path).unwrap();
        fails("turned into a folder");
        fs::remove_dir(&path).unwrap();
        #[cfg(unix)]
        {
            let same = root.path().join("same");
            fs::write(&same, &whole).unwrap();
            std::os::unix::fs::symlink(&same, &path).unwrap();
            fails("turned into a link");
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, &whole).unwrap();
    }
    verify(&made).unwrap();
}

#[test]
fn nothing_can_be_added_or_swapped() {
    let root = tempfile::tempdir().unwrap();
    let made = Sample::default().make(root.path());
    for extra in ["x", "conversations/x", "conversations/TKT-1/x", "contact/attachments/x", ".x"] {
        let path = made.join(extra);
        fs::write(&path, "").unwrap();
        let problems = texts(verify(&made));
        assert_eq!(problems, [format!("{extra}: is a file that the backup did not have")]);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let problems = texts(verify(&made));
        assert_eq!(problems, [format!("{extra}: is a folder that the backup did not have")]);
        fs::remove_dir(&path).unwrap();
    }
    let files = files_below(&made);
    for (index, one) in files.iter().enumerate() {
        for other in &files[index + 1..] {
            let (first, second) = (fs::read(one).unwrap(), fs::read(other).unwrap());
            fs::write(one, &second).unwrap();
            fs::write(other, &first).unwrap();
            assert!(verify(&made).is_err(), "{} and {}", one.display(), other.display());
            fs::write(one, &first).unwrap();
            fs::write(other, &second).unwrap();
        }
    }
    verify(&made).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_is_no_folder_either() {
    use std::os::unix::fs::symlink;
    let problems = harmed(|made| {
        let moved = made.with_file_name("moved");
        fs::rename(made.join("conversations"), &moved).unwrap();
        symlink(&moved, made.join("conversations")).unwrap();
    });
    assert_eq!(problems, ["conversations: is a symbolic link that the backup did not have"]);
    let root = tempfile::tempdir().unwrap();
    let link = root.path().join("link");
    symlink(Sample::default().make(root.path()), &link).unwrap();
    assert_eq!(texts(verify(&link)), [".: is a symbolic link, not a folder"]);
}

#[test]
fn a_folder_that_is_no_backup_fails() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(texts(verify(root.path())), ["verification.json: is missing"]);
    verify(&root.path().join("none")).unwrap_err();
}

/// Writes a list that somebody made up, in the canonical form.
fn relist(made: &Path, change: impl FnOnce(&mut Verification)) {
    let path = made.join("verification.json");
    let mut list: Verification = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut list);
    fs::write(&path, list.to_bytes().unwrap()).unwrap();
}

#[test]
fn a_list_is_not_believed() {
    let entry = |path: &str| FileEntry {
        path: path.into(),
        bytes: 0,
        sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into(),
    };
    for path in ["../x", "/etc/hostname", "conversations/../x", "./x", "a//b", "verification.json"] {
        let problems = harmed(|made| {
            fs::write(made.with_file_name("x"), "").unwrap();
            relist(made, |list| {
                list.files.push(entry(path));
                list.files.sort_by(|a, b| a.path.cmp(&b.path));
            });
        });
        assert!(problems.iter().any(|text| text.contains("which no backup may")), "{path}: {problems:?}");
    }
    let extra = harmed(|made| {
        fs::write(made.join("x"), "").unwrap();
        relist(made, |list| list.files.push(entry("x")));
    });
    assert_eq!(extra, ["x: has no place in a backup"]);
    let twice = harmed(|made| relist(made, |list| list.files.push(list.files[0].clone())));
    assert!(twice[0].contains("out of order"), "{twice:?}");
    let newer = harmed(|made| relist(made, |list| list.version = 2));
    assert!(newer[0].contains("version 2"), "{newer:?}");
    let cut = harmed(|made| {
        fs::remove_dir_all(made.join("conversations/TKT-1")).unwrap();
        relist(made, |list| list.files.retain(|file| !file.path.contains("TKT-1")));
    });
    assert!(cut[0].contains("`don:t1` has no messages.json"), "{cut:?}");
    assert!(cut.iter().any(|text| text.contains("counts 3 timeline entries, and there are 1")), "{cut:?}");
    let spaces = harmed(|made| {
        let path = made.join("verification.json");
        let list = fs::read_to_string(&path).unwrap();
        fs::write(&path, list.replace("\": ", "\":  ")).unwrap();
    });
    assert_eq!(spaces, ["verification.json: is not as it was written"]);
}

#[test]
fn everything_that_belongs_to_the_contact_must_be_there() {
    assert!(wrong(|_| {}).is_empty());
    let one = |change: &dyn Fn(&mut Sample), words: &str| {
        let problems = wrong(change);
        assert!(problems.iter().any(|text| text.contains(words)), "`{words}` is not in {problems:?}");
    };
    one(&|sample| sample.counts.tickets = 2, "counts 2 tickets, and there are 1");
    one(&|sample| sample.counts.works = 1, "counts 1 works, and there are 2");
    one(&|sample| sample.counts.bytes = 7, "counts 7 bytes of attachments, and there are 6");
    one(&|sample| sample.expected_tickets = 2, "metadata.json: expects 1 tickets, verification.json 2");
    one(&|sample| drop(sample.timelines.pop()), "`don:c1` has no messages.json");
    one(&|sample| sample.timelines[1].object = "don:other", "is of `don:other`, which is not in the backup");
    one(&|sample| sample.timelines[1].object = "don:t1", "which is not in the backup, or has another");
    one(&|sample| sample.timelines[1].display_id = "ISS-2", "has display ID `ISS-2`");
    one(&|sample| sample.timelines[1].folder = "ISS-3", "is in the folder of another than `ISS-1`");
    one(&|sample| drop(sample.own.pop()), "contact/attachments.json: lacks attachment `A-3`");
    one(&|sample| sample.contact = json!({"id": 1}), "metadata.json: is not what it should be");
    one(&|sample| sample.works = json!([{"id": "x"}]), "tickets.json: is not what it should be");
    one(
        &|sample| {
            let again = sample.works[0].clone();
            sample.works.as_array_mut().unwrap().push(again);
        },
        "tickets.json: has `don:t1` twice",
    );
    one(&|sample| sample.timelines[2].entries.push(json!({"artifacts": ["A-9"]})), "lacks attachment `A-9`");
    one(&|sample| sample.timelines[2].entries.push(json!(7)), "a timeline entry, which is an object");
}

#[test]
fn an_index_is_held_against_its_files() {
    let change = |change: fn(&mut Attachment)| wrong(|sample| change(&mut sample.timelines[0].files[0].0));
    let artifact = change(|attachment| attachment.artifact = "A-9".into());
    assert_eq!(artifact, ["conversations/TKT-1/messages.json: lacks attachment `A-1`"]);
    let size = change(|attachment| attachment.size = Some(4));
    assert_eq!(size, ["conversations/TKT-1/messages.json: `a.txt` has 3 bytes here, and 4 by DevRev"]);
    let bytes = change(|attachment| attachment.bytes = 4);
    assert!(bytes[0].contains("says that `a.txt` has 4 bytes, and it has 3"), "{bytes:?}");
    let twice = change(|attachment| attachment.artifact = "A-2".into());
    assert!(twice.iter().any(|text| text.contains("has attachment `A-2` twice")), "{twice:?}");
    let lost = harmed(|made| {
        fs::remove_file(made.join("conversations/TKT-1/attachments/a.txt")).unwrap();
        relist(made, |list| list.files.retain(|file| !file.path.ends_with("/a.txt")));
    });
    assert!(lost[0].contains("has `a.txt`, which is not in attachments/"), "{lost:?}");
    // A second work's file of the same name is not taken for this one's.
    let strayed = wrong(|sample| {
        let file = (attachment("A-1", "b.txt", None, 3), "abc");
        sample.timelines[1].files.push(file);
        sample.timelines[0].files.remove(0);
    });
    assert_eq!(strayed, ["conversations/TKT-1/messages.json: lacks attachment `A-1`"]);
}

#[test]
fn what_is_recorded_as_missing_is_told_and_nothing_else_may_be() {
    let temp = tempfile::tempdir().unwrap();
    let mut sample = Sample::default();
    sample.timelines[0].files[0].0 = missing("A-1");
    sample.own[0].0 = missing("A-3");
    sample.counts = Counts { attachments: 1, bytes: 2, missing: 2, ..sample.counts };
    let verified = verify(&sample.make(temp.path())).unwrap();
    assert_eq!((verified.counts.missing, verified.counts.attachments), (2, 1));
    let uncounted = wrong(|sample| sample.own[0].0 = missing("A-3"));
    assert!(
        uncounted.iter().any(|text| text.contains("counts 0 missing attachments, and there are 1")),
        "{uncounted:?}"
    );
    let there = wrong(|sample| sample.own[0].0.missing = Some("404 Not Found".into()));
    assert!(
        there.iter().any(|text| text.contains("says that `A-3` is missing, and has a file for it")),
        "{there:?}"
    );
    // That of another artifact says nothing of the one that is referred to.
    let other = wrong(|sample| sample.own[0].0 = missing("A-4"));
    assert!(other.iter().any(|text| text.contains("lacks attachment `A-3`")), "{other:?}");
}

#[test]
fn two_objects_whose_names_collide_have_two_folders() {
    let problems = wrong(|sample| {
        sample.conversations =
            json!([{"id": "don:c1", "display_id": "conv/1"}, {"id": "don:c2", "display_id": "CONV:1"}]);
        let mut names = crate::backup::name::Names::default();
        assert_eq!((names.claim("conv/1"), names.claim("CONV:1")), ("conv_1".into(), "CONV_1~2".into()));
        sample.timelines[2].folder = "conv_1";
        sample.timelines[2].display_id = "conv/1";
        sample.timelines.push(Timeline { folder: "CONV_1~2", ..Timeline::new("don:c2", "CONV:1") });
        sample.counts.conversations = 2;
    });
    assert!(problems.is_empty(), "{problems:?}");
}
