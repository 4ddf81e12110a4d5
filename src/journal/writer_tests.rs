//! The writer: group commit, and disks that fail.

use super::super::record::Outcome;
use super::super::tests::{block_on, intent, new_run, outcome};
use super::*;
use crate::exit::{Exit, Failure};
use std::sync::mpsc as std_mpsc;

/// A disk in memory that fails when it is told to.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<DiskState>>);

#[derive(Default)]
struct DiskState {
    bytes: Vec<u8>,
    writes: u64,
    syncs: u64,
    /// How many bytes fit.
    room: Option<usize>,
    fails_to_sync: bool,
    /// A write waits for a word.
    gate: Option<std_mpsc::Receiver<()>>,
}

impl Store for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        if let Some(gate) = &disk.gate {
            gate.recv().unwrap();
        }
        disk.writes += 1;
        let fits =
            disk.room.map_or(bytes.len(), |room| room.saturating_sub(disk.bytes.len()).min(bytes.len()));
        disk.bytes.extend(&bytes[..fits]);
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.syncs += 1;
        if disk.fails_to_sync { Err(io::Error::other("input/output error")) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().bytes.truncate(usize::try_from(length).unwrap());
        Ok(())
    }
}

fn on(disk: &Disk, run: &RunDir) -> Journal {
    Journal::start(disk.clone(), run, 1, 0).unwrap()
}

#[test]
fn many_appenders_share_few_syncs_and_keep_their_order() {
    const APPENDERS: u64 = 40;
    const APPENDS: u64 = 25;
    let (_folder, run) = new_run();
    let journal = Journal::create(&run).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..APPENDERS)
            .map(|appender| {
                let journal = journal.clone();
                tokio::spawn(async move {
                    for append in 0..APPENDS {
                        let first = (appender * APPENDS + append) * 3 + 1;
                        let records = (first..first + 3).map(|row| outcome(row, Outcome::done(1))).collect();
                        journal.append(records).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let syncs = journal.syncs();
    assert!(syncs.count < APPENDERS * APPENDS, "{syncs:?}");
    block_on(journal.close()).unwrap();

    let replay = Replay::read(&run).unwrap();
    assert_eq!(replay.next_seq, APPENDERS * APPENDS * 3 + 1);
    assert_eq!(replay.counts["done"], APPENDERS * APPENDS * 3);
    let mut rows = Vec::new();
    super::super::scan::scan(&run, |_, line| rows.push(line.row)).unwrap();
    assert!(rows.chunks(3).all(|rows| rows[0] % 3 == 1 && rows[1] == rows[0] + 1 && rows[2] == rows[0] + 2));
    for appender in 0..APPENDERS {
        let range = appender * APPENDS * 3 + 1..=(appender + 1) * APPENDS * 3;
        assert!(
            rows.iter().filter(|row| range.contains(row)).is_sorted(),
            "appends of one appender in order"
        );
    }
}

#[test]
fn what_waits_during_a_sync_goes_out_in_one_write() {
    let (_folder, run) = new_run();
    let (open, gate) = std_mpsc::channel();
    let disk = Disk::default();
    disk.0.lock().unwrap().gate = Some(gate);
    let journal = on(&disk, &run);
    block_on(async {
        let local = tokio::task::LocalSet::new();
        let tasks: Vec<_> = (1..=21)
            .map(|row| {
                let journal = journal.clone();
                local.spawn_local(async move { journal.append(vec![intent(row)]).await })
            })
            .collect();
        // The tasks run once before this one continues: each has handed its records over.
        local.run_until(tokio::task::yield_now()).await;
        open.send(()).unwrap();
        open.send(()).unwrap();
        drop(open);
        local
            .run_until(async {
                for task in tasks {
                    task.await.unwrap().unwrap();
                }
            })
            .await;
    });
    assert!(disk.0.lock().unwrap().writes <= 2);
    assert_eq!(journal.syncs().count, disk.0.lock().unwrap().syncs);
}

#[test]
fn no_records_need_no_disk() {
    let (_folder, run) = new_run();
    let disk = Disk::default();
    block_on(on(&disk, &run).append(Vec::new())).unwrap();
    assert_eq!(disk.0.lock().unwrap().writes, 0);
}

#[test]
fn a_full_disk_ends_it_and_leaves_what_was_acknowledged() {
    let (_folder, run) = new_run();
    let disk = Disk::default();
    let journal = on(&disk, &run);
    block_on(async {
        journal.append(vec![intent(1), intent(2)]).await.unwrap();
        let good = {
            let mut disk = disk.0.lock().unwrap();
            disk.room = Some(disk.bytes.len() + 30);
            disk.bytes.clone()
        };
        let failure = Failure::from(journal.append(vec![intent(3)]).await.unwrap_err());
        assert_eq!(failure.exit, Exit::Unexpected);
        for part in ["journal.jsonl", "No further change is sent", "once there is room", run.id()] {
            assert!(failure.message.contains(part), "{failure}");
        }
        assert_eq!(disk.0.lock().unwrap().bytes, good);
        // There is room again, but nobody knows what the kernel has lost.
        disk.0.lock().unwrap().room = None;
        let again = journal.clone().append(vec![intent(4)]).await.unwrap_err();
        assert_eq!(again.to_string(), failure.message);
        assert_eq!(disk.0.lock().unwrap().writes, 2);
        assert_eq!(journal.close().await.unwrap_err().to_string(), failure.message);
        assert_eq!(disk.0.lock().unwrap().bytes, good);
    });
}

/// What `resume` makes of the run whose journal has these bytes.
fn resumed(run: &RunDir, disk: &Disk) -> Result<Replay, JournalError> {
    std::fs::write(run.journal(), &disk.0.lock().unwrap().bytes).unwrap();
    let mut manifest = crate::journal::manifest::tests::manifest(run);
    manifest.journal_bytes = Some(0);
    evidence::replay(run, &manifest)
}

#[test]
fn a_first_write_that_fails_leaves_a_run_that_can_be_resumed() {
    let failures: [fn(&mut DiskState); 3] =
        [|disk| disk.room = Some(0), |disk| disk.room = Some(30), |disk| disk.fails_to_sync = true];
    for fails in failures {
        let (_folder, run) = new_run();
        let disk = Disk::default();
        fails(&mut disk.0.lock().unwrap());
        let journal = on(&disk, &run);
        block_on(journal.append(vec![intent(1)])).unwrap_err();
        block_on(journal.close()).unwrap_err();
        assert!(resumed(&run, &disk).unwrap().unknown.is_empty());
    }
}

#[test]
fn no_mark_is_made_before_the_first_record_is_durable() {
    let (_folder, run) = new_run();
    let (open, gate) = std_mpsc::channel();
    let disk = Disk::default();
    disk.0.lock().unwrap().gate = Some(gate);
    let journal = on(&disk, &run);
    block_on(async {
        let local = tokio::task::LocalSet::new();
        let of_task = journal.clone();
        let append = local.spawn_local(async move { of_task.append(vec![intent(1)]).await });
        local.run_until(tokio::task::yield_now()).await;
        // The writer waits within its write. Killed here, nothing of the run is lost.
        std::thread::sleep(Duration::from_millis(50));
        assert!(!run.journal_mark().exists());
        open.send(()).unwrap();
        local.run_until(append).await.unwrap().unwrap();
    });
    assert!(run.journal_mark().exists());
    assert_eq!(resumed(&run, &disk).unwrap().unknown.len(), 1);
    disk.0.lock().unwrap().bytes.clear();
    assert!(matches!(resumed(&run, &disk), Err(JournalError::Lost { .. })));
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    let (_folder, run) = new_run();
    let disk = Disk::default();
    disk.0.lock().unwrap().fails_to_sync = true;
    let journal = on(&disk, &run);
    block_on(async {
        journal.append(vec![intent(1)]).await.unwrap_err();
        disk.0.lock().unwrap().fails_to_sync = false;
        journal.append(vec![intent(1)]).await.unwrap_err();
        journal.close().await.unwrap_err();
    });
    let disk = disk.0.lock().unwrap();
    assert_eq!((disk.syncs, disk.bytes.len()), (1, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn dev_full_is_full() {
    let (_folder, run) = new_run();
    std::os::unix::fs::symlink("/dev/full", run.journal()).unwrap();
    let Ok(file) = files::private().append(true).open(run.journal()) else { return };
    let journal = Journal::start(file, &run, 1, 0).unwrap();
    let message = block_on(journal.append(vec![intent(1)])).unwrap_err().to_string();
    assert!(
        message.contains("No space left on device") && message.contains("once there is room"),
        "{message}"
    );
    assert!(block_on(journal.close()).is_err());
}

#[test]
fn a_record_that_could_not_be_read_back_fails_alone() {
    let (_folder, run) = new_run();
    let journal = Journal::create(&run).unwrap();
    block_on(async {
        for row in [0, super::super::record::MAX_ROW + 1] {
            let error = journal.append(vec![intent(1), intent(row)]).await.unwrap_err();
            assert!(matches!(error, JournalError::Record { .. }));
        }
        let key = "x".repeat(MAX_LINE);
        let long = Record::Outcome { rows: 2.into(), key, outcome: Outcome::done(1) };
        let error = journal.append(vec![intent(1), long]).await.unwrap_err();
        assert!(matches!(error, JournalError::Record { row: 2, .. }));
        journal.append(vec![intent(3)]).await.unwrap();
        journal.close().await.unwrap();
    });
    let replay = Replay::read(&run).unwrap();
    assert_eq!((replay.next_seq, replay.unknown.keys().copied().collect()), (2, vec![3]));
}

#[test]
fn after_close_nothing_is_taken() {
    let (_folder, run) = new_run();
    let journal = Journal::create(&run).unwrap();
    let other = journal.clone();
    block_on(async {
        journal.append(vec![intent(1)]).await.unwrap();
        journal.close().await.unwrap();
        assert!(matches!(other.append(vec![intent(2)]).await, Err(JournalError::Closed { .. })));
    });
    assert_eq!(Replay::read(&run).unwrap().next_seq, 2);
}

#[test]
fn dropping_it_writes_what_was_taken_and_ends_the_thread() {
    let (_folder, run) = new_run();
    let disk = Disk::default();
    let journal = on(&disk, &run);
    block_on(async {
        // Given up once the records were handed over.
        let append = journal.append(vec![intent(1)]);
        tokio::select! { biased; _ = append => {} () = std::future::ready(()) => {} }
    });
    drop(journal);
    assert_eq!(Arc::strong_count(&disk.0), 1, "the thread has let go of the disk");
    assert!(!disk.0.lock().unwrap().bytes.is_empty());
}

#[test]
fn a_run_has_one_journal() {
    let (_folder, run) = new_run();
    drop(Journal::create(&run).unwrap());
    assert!(matches!(Journal::create(&run), Err(JournalError::Io { .. })));
}

#[cfg(unix)]
#[test]
fn a_journal_or_lock_that_is_gone_or_another_one_takes_no_more() {
    type Case = (&'static str, fn(&RunDir));
    let cases: [Case; 5] = [
        ("journal.jsonl", |run| std::fs::remove_file(run.journal()).unwrap()),
        ("journal.jsonl", |run| {
            // The same bytes, in another file.
            let bytes = std::fs::read(run.journal()).unwrap();
            std::fs::remove_file(run.journal()).unwrap();
            let _keeps_the_number_in_use = std::fs::write(run.path().join("x"), "");
            std::fs::write(run.journal(), bytes).unwrap();
        }),
        ("lock", |run| std::fs::remove_file(run.lock()).unwrap()),
        ("journal.jsonl", |run| std::fs::remove_dir_all(run.path()).unwrap()),
        ("journal.jsonl", |run| std::fs::rename(run.path(), run.path().with_extension("moved")).unwrap()),
    ];
    for (file, break_it) in cases {
        let (_folder, run) = new_run();
        let journal = Journal::create(&run).unwrap();
        block_on(journal.append(vec![intent(1)])).unwrap();
        break_it(&run);
        for _ in 0..2 {
            let failure = Failure::from(block_on(journal.append(vec![intent(2)])).unwrap_err());
            assert_eq!(failure.exit, Exit::Changed);
            assert!(failure.message.contains(&format!("{file} was removed or replaced")), "{failure}");
        }
        block_on(journal.close()).unwrap_err();
    }
}
