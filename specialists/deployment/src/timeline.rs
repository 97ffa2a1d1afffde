//! What a row of answers amounts to. Decides; asks nobody.

use deadelus_runtime::Check;
use serde::Serialize;

use crate::health::{Answer, Probe};

/// Everything that was seen while a service moved to a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Timeline {
    /// The revision it was to serve.
    pub(crate) to: String,
    /// In order; bounded by the switch's timeout and the interval.
    pub(crate) probes: Vec<Probe>,
}

/// What a timeline amounts to so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'a> {
    /// Enough healthy answers in a row, all with the revision that was wanted.
    Settled,
    /// The first answer that a healthy service would not have given.
    Trouble(&'a str),
    /// Neither yet.
    Open,
}

impl Timeline {
    pub(crate) fn new(to: &str) -> Self {
        Self { to: to.to_owned(), probes: vec![] }
    }

    /// What it amounts to, when `enough` healthy probes in a row do.
    pub(crate) fn verdict(&self, enough: u32) -> Verdict<'_> {
        if self.in_a_row() >= enough {
            return Verdict::Settled;
        }
        let trouble = self.probes.iter().find_map(|probe| probe.answer.trouble());
        trouble.map_or(Verdict::Open, Verdict::Trouble)
    }

    /// Healthy probes with the wanted revision, at the end.
    pub(crate) fn in_a_row(&self) -> u32 {
        let wanted = |probe: &&Probe| probe.answer == Answer::Serving { revision: self.to.clone() };
        let row = self.probes.iter().rev().take_while(wanted).count();
        u32::try_from(row).unwrap_or(u32::MAX)
    }

    /// Probes that found the service not well, or not there.
    pub(crate) fn failed(&self) -> usize {
        let failed = |probe: &&Probe| match probe.answer {
            Answer::Failed { .. } => true,
            Answer::Serving { .. } | Answer::Refusing { .. } => false,
        };
        self.probes.iter().filter(failed).count()
    }

    /// Whether the last probe had no answer at all.
    pub(crate) fn ends_unanswered(&self) -> bool {
        self.probes.last().is_some_and(|probe| probe.status.is_none())
    }

    /// The criteria that every switch has in common.
    pub(crate) fn checks(&self, enough: u32) -> Vec<Check> {
        let last = self.probes.last().map(|probe| &probe.answer);
        let served = match last.map(|answer| (answer.revision(), answer.trouble())) {
            Some((Some(revision), trouble)) => {
                Check::equal("served_revision", revision, self.to.as_str())
                    .note(trouble.unwrap_or_default())
            }
            Some((None, trouble)) => {
                Check::not_measured("served_revision", &self.to, trouble.unwrap_or_default())
            }
            None => Check::not_measured("served_revision", &self.to, "it was not asked"),
        };
        vec![served, Check::at_least("healthy_probes_in_a_row", self.in_a_row(), enough)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `1` and `2` serve that revision, `?` refuses to, `x` failed.
    fn to_v2(answers: &str) -> Timeline {
        let probe = |c: char| {
            let answer = match c {
                '?' => Answer::Refusing { revision: "v1".to_owned(), reason: "unknown".to_owned() },
                'x' => Answer::Failed { reason: "refused".to_owned() },
                digit => Answer::Serving { revision: format!("v{digit}") },
            };
            let status = (c != 'x').then_some(200);
            Probe { at_unix_ms: 0, latency_ms: 0, status, body: String::new(), answer }
        };
        Timeline { to: "v2".to_owned(), probes: answers.chars().map(probe).collect() }
    }

    #[test]
    fn what_a_row_of_answers_amounts_to() {
        for (answers, verdict, in_a_row, failed) in [
            ("", Verdict::Open, 0, 0),
            ("1122", Verdict::Open, 2, 0),
            ("11222", Verdict::Settled, 3, 0),
            ("22122", Verdict::Open, 2, 0),
            ("1?", Verdict::Trouble("unknown"), 0, 0),
            ("12x22", Verdict::Trouble("refused"), 2, 1),
            ("1xx222", Verdict::Settled, 3, 2),
        ] {
            let timeline = to_v2(answers);
            assert_eq!(timeline.verdict(3), verdict, "{answers}");
            assert_eq!((timeline.in_a_row(), timeline.failed()), (in_a_row, failed), "{answers}");
        }
    }

    #[test]
    fn what_was_not_seen_did_not_pass() {
        let passed = |answers| to_v2(answers).checks(2).iter().map(|c| c.pass).collect::<Vec<_>>();
        assert_eq!(passed("122"), [true, true]);
        assert_eq!(passed("112"), [true, false]);
        assert_eq!(passed("1"), [false, false]);
        assert_eq!(passed("22x"), [false, false]);
        assert_eq!(passed(""), [false, false]);
    }
}
