//! What is answered.

use super::answers::{HTML, answer, nothing, text};
use super::board::{Board, Known, Progress, Runs, Says};
use super::query::{Query, outcome};
use super::report_file;
use crate::commands::runs::list::days;
use crate::commands::runs::look::Seen;
use crate::engine::event::Tally;
use crate::exit::{Exit, Failure};
use crate::report::html::board::{self, BoardPage, Card, Live, Pager, RunPage};
use crate::report::html::stats::{self, Choice, Filter, Served};
use crate::report::past::{By, Parent};
use crate::report::stats::{Damaged, Outcome, Scope, Stats};
use crate::report::under_way::UnderWay;
use crate::run::standing::Place;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::Utc;
use std::collections::{BTreeSet, HashMap};

/// Runs on a page.
const PER_PAGE: usize = 50;
/// Runs at work that are shown in full.
const AT_WORK: usize = 20;
/// Jobs that can be chosen.
const JOBS: usize = 20;
/// Seconds between two loads of a page: while a journal is still being read, while a run is at work, and while none is.
const READING: u32 = 1;
const BUSY: u32 = 4;
const IDLE: u32 = 30;

/// States that can be chosen, and what they are called. `failures`: finished, and rows went wrong.
const STATES: [(&str, &str); 9] = [
    ("running", "running"),
    ("finished", "finished"),
    ("failures", "with failures"),
    ("interrupted", "interrupted"),
    ("stopped", "stopped"),
    ("crashed", "crashed"),
    ("closed", "closed"),
    ("never-began", "never began"),
    ("unreadable", "unreadable"),
];
/// Days that can be chosen.
const DAYS: [u32; 4] = [1, 7, 30, 90];

/// A report may have been changed by whoever can write there: nothing of it runs, whatever it says, and it is of no origin.
const OF_REPORTS: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; \
    style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// All pages.
pub(super) struct Pages {
    board: Board,
    place: Place,
    policy: String,
    /// Where the list is.
    list: String,
}

impl Pages {
    /// Of this board. `place`: the flags by which a later command finds the runs.
    pub(super) fn new(board: Board, place: Place, token: &str) -> Self {
        let policy = format!(
            "default-src 'none'; style-src '{}'; img-src data:; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'",
            board::style_hash()
        );
        Self { board, place, policy, list: format!("/{token}/") }
    }

    /// The answer for a path behind the token. Blocks.
    pub(super) fn answer(&self, path: &str, query: &str) -> Response {
        let query = Query::of(query);
        // A link on the page is relative to its folder.
        let made = match path {
            "" => Ok(self.to_list()),
            "/" => self.list(&query),
            "/stats" => self.stats(&query),
            _ => match path.strip_prefix("/runs/").and_then(|rest| rest.split_once('/')) {
                Some((id, "")) => self.run(id, &query),
                Some((id, "report.html")) => self.report(id),
                _ => Ok(nothing()),
            },
        };
        made.unwrap_or_else(|failure| text(StatusCode::INTERNAL_SERVER_ERROR, format!("{failure}\n")))
    }

    /// The address without its last slash: links on the page would lead elsewhere.
    fn to_list(&self) -> Response {
        let mut response = text(StatusCode::TEMPORARY_REDIRECT, String::new());
        if let Ok(location) = HeaderValue::try_from(&self.list) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }

    fn list(&self, query: &Query) -> Result<Response, Failure> {
        let mut runs = self.board.look()?;
        let asked: Vec<usize> = (0..runs.all.len()).filter(|place| query.takes(&runs.all[*place])).collect();
        let mut counts = [0_u64; 6];
        for place in &asked {
            let known = &runs.all[*place];
            let count = match (outcome(known), known.state()) {
                (Some(Outcome::AtWork), _) | (None, "running") => 0,
                (Some(Outcome::Good), _) => 1,
                (Some(Outcome::Failures), _) => 2,
                (_, "interrupted" | "stopped") => 3,
                (_, "crashed") => 4,
                _ => 5,
            };
            counts[count] += 1;
        }
        let shown: Vec<usize> =
            asked.into_iter().filter(|place| query.takes_state(&runs.all[*place])).collect();
        let (at_work, past): (Vec<usize>, Vec<usize>) =
            shown.into_iter().partition(|place| runs.all[*place].state() == "running");
        let pages = past.len().div_ceil(PER_PAGE).max(1);
        let page = query.page.min(pages - 1);
        let more_at_work = at_work.len().saturating_sub(AT_WORK);
        let at_work: Vec<usize> = at_work.into_iter().take(AT_WORK).collect();
        let past_runs = past.len();
        let past: Vec<usize> = past.into_iter().skip(page * PER_PAGE).take(PER_PAGE).collect();

        let followed: Vec<_> = at_work
            .iter()
            .chain(&past)
            .map(|place| &runs.all[*place])
            .filter(|known| matches!(known.state(), "running" | "crashed"))
            .map(|known| (known.run.clone(), known.figures().and_then(|figures| figures.rows)))
            .collect();
        let progress = runs.progress(&followed);
        let cards = |places: &[usize]| -> Vec<Card> {
            places.iter().map(|place| card(&runs.all[*place], &progress)).collect()
        };
        let link = |page| Query { page, ..query.clone() }.link();
        let (at_work, past) = (cards(&at_work), cards(&past));
        let refresh = refresh(query, &at_work.iter().chain(&past).collect::<Vec<_>>());
        let page = BoardPage {
            folder: self.board.runs_dir().display().to_string(),
            counts,
            filters: filters(&runs, query, true),
            at_work,
            more_at_work,
            past,
            pager: Pager {
                runs: past_runs,
                page,
                pages,
                newer: (page > 0).then(|| link(page - 1)),
                older: (page + 1 < pages).then(|| link(page + 1)),
            },
            refresh,
            pause: Query { pause: !query.pause, ..query.clone() }.link(),
        };
        drop(runs);
        self.html(board::list(page))
    }

    fn run(&self, id: &str, query: &Query) -> Result<Response, Failure> {
        let mut runs = self.board.look()?;
        // Not as it was half a second ago: the rest of this page is read now.
        let Some(known) = runs.look_at(id) else { return Ok(nothing()) };
        let (run, is_followed) = (known.run.clone(), matches!(known.state(), "running" | "crashed"));
        let rows = known.figures().and_then(|figures| figures.rows);
        let progress = if is_followed { runs.progress(&[(run.clone(), rows)]) } else { HashMap::new() };
        let Some(known) = runs.find(id) else { return Ok(nothing()) };
        let card = card(known, &progress);
        let others = runs.others();
        drop(runs);
        // The look at one run may take in all of its `run.json`.
        let seen = Seen::of(run);
        let mut tally = Tally::default();
        for (state, rows) in &card.counts {
            tally.add(state, None, *rows);
        }
        let past = seen.past(&tally, None, &others, &self.place);
        let next = match seen.standing(&tally) {
            Some(standing) if past.next.is_some() => {
                standing.steps().into_iter().map(|step| standing.sentence(step, &self.place)).collect()
            }
            _ => Vec::new(),
        };
        let meaning = |code| Exit::of_code(code).map_or("", Exit::meaning);
        let about = past.about.as_ref();
        let page = RunPage {
            exit: about.and_then(|about| about.exit).map(|code| (code, meaning(code))),
            why: seen.manifest().and_then(|manifest| match &manifest.closed {
                Some(closed) => Some(closed.text()),
                None => manifest.why.clone().filter(|_| past.state == "stopped"),
            }),
            kin: about
                .and_then(|about| about.parent.as_ref())
                .map(Parent::text)
                .into_iter()
                .chain(past.by.iter().map(By::text))
                .collect(),
            version: seen.manifest().map(|manifest| manifest.tool_version.clone()),
            next,
            refresh: refresh(query, &[&card]),
            pause: Query { pause: !query.pause, ..Query::default() }.link(),
            card,
        };
        self.html(board::run(page))
    }

    fn stats(&self, query: &Query) -> Result<Response, Failure> {
        let runs = self.board.look()?;
        let since = query.days.map(|days_back| Utc::now() - days(days_back));
        let runs_dir = self.board.runs_dir().display().to_string();
        let mut sum = Stats::new(Scope { runs_dir, since, job: query.job.clone(), target: None });
        for known in runs.all.iter().filter(|known| query.takes(known)) {
            let run = known.run.id().to_owned();
            if let Some(figures) = known.figures() {
                sum.take(figures, known.state());
            }
            if let Some(problem) = known.problem.clone() {
                sum.damaged(Damaged { run, problem, counted: matches!(known.says, Says::Figures(_)) });
            }
        }
        let served = Served { filters: filters(&runs, query, false) };
        drop(runs);
        self.html(stats::served(&sum.summed_up(), served))
    }

    /// The report of a run: a file and no link, of the run's own folder.
    fn report(&self, id: &str) -> Result<Response, Failure> {
        let run = {
            let runs = self.board.look()?;
            match runs.find(id) {
                Some(known) => known.run.clone(),
                None => return Ok(nothing()),
            }
        };
        match report_file::open(&run.html_report()) {
            Ok((file, length)) => {
                let mut response = answer(StatusCode::OK, HTML, OF_REPORTS, report_file::parts(file, length));
                response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
                Ok(response)
            }
            Err(_) => Ok(text(
                StatusCode::NOT_FOUND,
                "This run has no report yet: one is written when a process of it ends.\n".to_owned(),
            )),
        }
    }

    fn html(&self, page: Result<String, impl std::error::Error>) -> Result<Response, Failure> {
        let page =
            page.map_err(|error| Failure::new(Exit::Unexpected, format!("cannot make the page: {error}")))?;
        Ok(answer(StatusCode::OK, HTML, &self.policy, page.into()))
    }
}

/// How often a page with these runs is loaded again, if it is.
fn refresh(query: &Query, cards: &[&Card]) -> Option<u32> {
    let is_read = |card: &&Card| card.live.as_ref().is_some_and(|live| live.reading.is_some());
    let seconds = if cards.iter().any(is_read) {
        READING
    } else if cards.iter().any(|card| card.state == "running") {
        BUSY
    } else {
        IDLE
    };
    (!query.pause).then_some(seconds)
}

/// The choices: jobs that there are, states, days.
fn filters(runs: &Runs, query: &Query, with_states: bool) -> Vec<Filter> {
    let choice = |text: &str, is_made: bool, query: Query| Choice {
        text: text.to_owned(),
        is_made,
        query: Query { page: 0, ..query }.link(),
    };
    let names: BTreeSet<&str> = runs.all.iter().map(Known::command).collect();
    let chosen = query.job.as_deref();
    let jobs = [None].into_iter().chain(names.into_iter().take(JOBS).map(Some)).map(|name| {
        let job = name.map(str::to_owned);
        choice(name.unwrap_or("all"), chosen == name, Query { job, ..query.clone() })
    });
    let mut filters = vec![Filter { name: "Job", choices: jobs.collect() }];
    if with_states {
        let chosen = query.state.as_deref();
        let states = STATES.into_iter().map(|(state, text)| {
            choice(text, chosen == Some(state), Query { state: Some(state.to_owned()), ..query.clone() })
        });
        let all = choice("all", chosen.is_none(), Query { state: None, ..query.clone() });
        filters.push(Filter { name: "State", choices: [all].into_iter().chain(states).collect() });
    }
    let days = DAYS.into_iter().map(|days| {
        let text = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
        choice(&text, query.days == Some(days), Query { days: Some(days), ..query.clone() })
    });
    let all = choice("all", query.days.is_none(), Query { days: None, ..query.clone() });
    filters.push(Filter { name: "Began", choices: [all].into_iter().chain(days).collect() });
    filters
}

/// What is shown of a run.
fn card(known: &Known, progress: &HashMap<String, Progress>) -> Card {
    let id = known.run.id();
    let progress = progress.get(id);
    let figures = known.figures();
    let state = known.state();
    let mut card = Card {
        run: id.to_owned(),
        command: known.command().to_owned(),
        state,
        dry_run: figures.is_some_and(|figures| figures.dry_run),
        place: figures
            .map(|figures| (figures.target.clone(), figures.environment.clone(), figures.org.clone())),
        began: figures.map(|figures| figures.created_at).or_else(|| known.run.began()),
        ended: figures
            .and_then(|figures| figures.ended_at)
            .filter(|_| !matches!(state, "running" | "crashed")),
        rows: figures.and_then(|figures| figures.rows),
        problem: known.problem.clone().or_else(|| progress.and_then(|progress| progress.problem.clone())),
        has_report: known.run.html_report().symlink_metadata().is_ok_and(|data| data.is_file()),
        ..Card::default()
    };
    match (progress, figures) {
        (Some(progress), _) => {
            card.counts = progress.now.counts.clone();
            for reasons in ["failed", "unknown"].iter().filter_map(|state| progress.now.by_reason.get(*state))
            {
                for (reason, rows) in reasons {
                    *card.reasons.entry(reason.clone()).or_default() += rows;
                }
            }
            if state == "crashed" {
                // Nobody knows what became of changes that were under way.
                *card.counts.entry("unknown".to_owned()).or_default() += progress.now.pending;
            }
            card.live = Some(Live {
                rows_a_second: progress.rows_a_second.filter(|_| state == "running"),
                left: progress.left.filter(|_| state == "running"),
                under_way: Some(progress.now.pending).filter(|rows| *rows > 0 && state == "running"),
                steps: UnderWay::of(&progress.now.under_way).text().filter(|_| state == "running"),
                reading: progress.reading,
            });
        }
        (None, Some(figures)) if state != "running" && state != "crashed" => {
            card.counts = figures.counts.clone();
            if let Some(process) = &figures.process {
                card.reasons = process.failures.clone();
                card.waited = Some((process.seconds_waiting, process.seconds));
                card.calls = Some((process.calls, process.retries, process.throttled));
            }
            card.rate = figures.worked().map(|seconds| (figures.settled(), seconds));
        }
        _ => {}
    }
    card
}
