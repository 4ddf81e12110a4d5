//! What must hold after every run of merges, however it ended, and whatever it met.

use super::merging::{Contact, Merging};
use super::pairs::Journalled;
use super::people::Couple;
use devrev_batch::backup::verify::verify;
use std::collections::{BTreeMap, BTreeSet};

impl Merging {
    /// Holds all that every run promises against what there is: see each check.
    ///
    /// `keep` says which of a pair stays: `revu` or `user`.
    #[track_caller]
    fn assert_promises(&self, keep: &str) {
        let stats = self.stats();
        assert_eq!(
            (&stats["double_merges"], &stats["storage_with_token"]),
            (&0.into(), &0.into()),
            "{stats}"
        );
        let (contacts, works) = (self.contacts(), self.works());
        let runs: Vec<_> = self.runs().iter().map(super::Run::pairs).collect();
        for couple in &self.people.couples {
            let (primary, secondary) = match keep {
                "revu" => (&couple.revu, &couple.user),
                _ => (&couple.user, &couple.revu),
            };
            let (kept, ended) = (&contacts[primary], &contacts[secondary]);
            assert_eq!(kept.merges, 0, "{kept:?}");
            assert!(ended.merges <= 1, "merged {} times: {ended:?}", ended.merges);
            let journalled: Vec<&Journalled> =
                runs.iter().filter_map(|pairs| pairs.get(&couple.email)).collect();
            self.assert_backed_up(couple, ended, [primary, secondary], &journalled);
            let is_done = journalled.iter().any(|pair| pair.state.as_deref() == Some("done"));
            if is_done {
                assert_eq!(ended.merged_into.as_ref(), Some(primary), "{ended:?}");
                let reference = if keep == "revu" {
                    &couple.user_ref
                } else {
                    &self.contacts_before[primary].external_ref.clone().unwrap()
                };
                assert_eq!(kept.external_ref.as_ref(), Some(reference), "{kept:?}");
                for (id, before) in &self.works_before {
                    if before.is_of(primary) || before.is_of(secondary) {
                        assert_eq!(works[id], before.renamed(secondary, primary), "{couple:?}");
                    }
                }
            }
            if ended.merges == 0 {
                let names = journalled.iter().map(|pair| (&pair.state, pair.names())).collect::<Vec<_>>();
                assert_eq!((kept.writes, ended.writes), (0, 0), "{couple:?}: {names:?}");
            }
            let before = &self.contacts_before[primary];
            assert_eq!((&kept.display_name, &kept.email), (&before.display_name, &before.email));
        }
        self.assert_no_token();
    }

    /// A merge that was sent has its step, and whole backups of both contacts with all that they had.
    #[track_caller]
    fn assert_backed_up(
        &self,
        couple: &Couple,
        ended: &Contact,
        ids: [&String; 2],
        journalled: &[&Journalled],
    ) {
        let sendings: Vec<_> = journalled.iter().flat_map(|pair| pair.backups_of_sendings()).collect();
        assert!(sendings.len() as u64 >= ended.merges, "{couple:?} was merged without a step that says so");
        if ended.merges == 0 {
            return;
        }
        for folders in sendings {
            let folders = folders.unwrap_or_else(|| panic!("{couple:?} was sent without a verified backup"));
            for (folder, id) in folders.iter().zip(ids) {
                let found = verify(folder);
                let found = found.unwrap_or_else(|problems| panic!("{}: {problems:?}", folder.display()));
                assert_eq!(found.display_id, *id);
                let held: BTreeSet<String> = found.work_ids.iter().map(|don| display_id(don)).collect();
                for (work, before) in &self.works_before {
                    assert!(
                        !before.is_of(id) || held.contains(work),
                        "{id}'s {work} is not in {}",
                        folder.display()
                    );
                }
            }
        }
    }

    /// All promises, of a run that may have been cut short.
    #[track_caller]
    pub(crate) fn assert_merged(&self) {
        self.assert_promises("revu");
    }

    /// The same, where the contacts whose references begin with `user_` stay.
    #[track_caller]
    pub(crate) fn assert_merged_into_users(&self) {
        self.assert_promises("user");
    }

    /// All promises, of the one run, which has come to its end: each row has one result. Returns the state of
    /// each pair by address, with its reason.
    #[track_caller]
    pub(crate) fn assert_ended(&self) -> BTreeMap<String, (String, Option<String>)> {
        self.assert_merged();
        let run = self.the_run();
        let results = run.assert_complete(self.people.rows.len() as u64);
        let mut states = BTreeMap::new();
        for (email, pair) in run.pairs() {
            let (first, second) = (&results[&pair.rows.0], &results[&pair.rows.1]);
            assert_eq!((&first.status, &first.reason), (&second.status, &second.reason), "{email}");
            let state = pair.state.unwrap_or_else(|| panic!("{email} has no outcome"));
            assert_eq!(first.status, state, "{email}");
            states.insert(email, (state, pair.reason));
        }
        states
    }

    /// The same, where every pair is done.
    #[track_caller]
    pub(crate) fn assert_all_done(&self) {
        let states = self.assert_ended();
        assert_eq!(states.len(), self.people.couples.len());
        assert!(states.values().all(|(state, _)| state == "done"), "{states:?}");
        assert_eq!(self.merges(), self.people.couples.len() as u64);
    }
}

/// The display ID of a work's DON.
fn display_id(don: &str) -> String {
    let (_, tail) = don.rsplit_once(':').unwrap();
    match tail.split_once('/').unwrap() {
        ("ticket", number) => format!("TKT-{number}"),
        ("issue", number) => format!("ISS-{number}"),
        other => panic!("{other:?}"),
    }
}
