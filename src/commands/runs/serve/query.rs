//! Which runs a request asks for.

use super::board::Known;
use crate::commands::runs::list::{days, is_of_job};
use crate::report::stats::Outcome;
use chrono::Utc;

/// Which runs are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) job: Option<String>,
    pub(super) state: Option<String>,
    pub(super) days: Option<u32>,
    pub(super) page: usize,
    pub(super) pause: bool,
}

impl Query {
    /// What a query says, as far as it is understood.
    pub(super) fn of(text: &str) -> Self {
        let mut query = Self::default();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "job" if !value.is_empty() => query.job = Some(value.into_owned()),
                "state" if !value.is_empty() => query.state = Some(value.into_owned()),
                "days" => query.days = value.parse().ok().filter(|days| (1..=36_500).contains(days)),
                "page" => query.page = value.parse().unwrap_or(0),
                "pause" => query.pause = true,
                _ => {}
            }
        }
        query
    }

    /// The same as a link.
    pub(super) fn link(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [("job", &self.job), ("state", &self.state)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        if let Some(days) = self.days {
            query.append_pair("days", &days.to_string());
        }
        if self.page > 0 {
            query.append_pair("page", &self.page.to_string());
        }
        if self.pause {
            query.append_pair("pause", "1");
        }
        format!("?{}", query.finish())
    }

    /// Whether a run is one of these, whatever its state.
    pub(super) fn takes(&self, known: &Known) -> bool {
        let since = self.days.map(|days_back| Utc::now() - days(days_back));
        let began = known.figures().map(|figures| figures.created_at).or_else(|| known.run.began());
        self.job.as_ref().is_none_or(|job| is_of_job(known.command(), job))
            && since.is_none_or(|since| began.is_none_or(|began| began >= since))
    }

    /// Whether it is in the state that is asked for.
    pub(super) fn takes_state(&self, known: &Known) -> bool {
        let has_failures = || outcome(known) == Some(Outcome::Failures);
        match self.state.as_deref() {
            None => true,
            Some("failures") => has_failures(),
            Some(state) => known.state() == state,
        }
    }
}

/// How a run ended, of those that began.
pub(super) fn outcome(known: &Known) -> Option<Outcome> {
    known.figures().map(|figures| Outcome::of(known.state(), figures.errors()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_what_it_says_as_far_as_it_is_understood() {
        let query = Query::of("job=update&state=failures&days=7&page=2&pause=1&other=x&days2=%");
        let asked = Query {
            job: Some("update".to_owned()),
            state: Some("failures".to_owned()),
            days: Some(7),
            page: 2,
            pause: true,
        };
        assert_eq!(query, asked);
        assert_eq!(Query::of(&query.link()[1..]), query);
        for text in ["", "job=&state=", "days=0", "days=-1", "days=36501", "page=x", "=&&==&%00%ff"] {
            assert_eq!(Query::of(text), Query::default(), "{text}");
        }
        let hostile = Query::of("job=%22%3E%3Cscript%3E%26");
        assert_eq!(hostile.link(), "?job=%22%3E%3Cscript%3E%26");
    }
}
