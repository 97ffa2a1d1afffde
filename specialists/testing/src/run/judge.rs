//! Whether a run can be believed. Decides; runs nothing.

use std::{collections::BTreeSet, process::ExitStatus};

use deadelus_runtime::Check;

use crate::results::{Outcome, Tests, count, first, named};

/// What a run is held against.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) min_tests: usize,
    pub(super) earlier: Option<&'a Tests>,
    pub(super) removed: &'a BTreeSet<String>,
}

/// The checks of a run, of which every one must pass.
pub(super) fn judge(
    status: Option<ExitStatus>,
    tests: &Result<Tests, String>,
    asked: &Asked<'_>,
) -> Vec<Check> {
    let mut checks = vec![Check::equal("ended_in_time", status.is_some(), true)];
    // A suite may ask for 0; that is never enough.
    let wanted = asked.min_tests.max(1);
    match tests {
        Err(why) => checks.extend([
            Check::not_measured("tests_run", wanted, why),
            Check::not_measured("tests_failed", 0, why),
            Check::not_measured("exit_agrees", true, why),
        ]),
        Ok(tests) => {
            let failing = named(tests, Outcome::Failed);
            let run = count(tests, Outcome::Passed) + failing.len();
            let agrees = status.is_some_and(|status| status.success() == failing.is_empty());
            checks.extend([
                Check::at_least("tests_run", run, wanted),
                Check::equal("tests_failed", failing.len(), 0).note(first(&failing)),
                Check::equal("exit_agrees", agrees, true).note(in_words(status)),
            ]);
        }
    }
    if let Some(earlier) = asked.earlier {
        checks.push(match tests {
            Err(why) => Check::not_measured("tests_vanished", 0, why),
            Ok(tests) => {
                let gone = vanished(earlier, tests, asked.removed);
                Check::equal("tests_vanished", gone.len(), 0).note(first(&gone))
            }
        });
    }
    checks
}

/// Tests of an earlier run that a later one does not run: they are not there, or were run and are
/// skipped now. Whoever removed them on purpose names them.
pub(crate) fn vanished(earlier: &Tests, later: &Tests, removed: &BTreeSet<String>) -> Vec<String> {
    let gone = |(name, before): &(&String, &Outcome)| match later.get(*name) {
        None => true,
        Some(Outcome::Skipped) => **before != Outcome::Skipped,
        Some(Outcome::Passed | Outcome::Failed) => false,
    };
    let names = earlier.iter().filter(gone).map(|(name, _)| name);
    names.filter(|name| !removed.contains(*name)).cloned().collect()
}

fn in_words(status: Option<ExitStatus>) -> String {
    status.map(|status| status.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn tests(told: &[(&str, Outcome)]) -> Tests {
        told.iter().map(|(name, outcome)| ((*name).to_owned(), *outcome)).collect()
    }

    /// The ids of the checks that fail.
    fn failing(
        code: Option<i32>,
        now: Result<Tests, String>,
        earlier: Option<&Tests>,
        removed: &[&str],
    ) -> Vec<String> {
        let removed = removed.iter().map(|name| (*name).to_owned()).collect();
        let asked = Asked { min_tests: 0, earlier, removed: &removed };
        let status = code.map(|code| ExitStatus::from_raw(code << 8));
        let checks = judge(status, &now, &asked);
        checks.into_iter().filter(|check| !check.pass).map(|check| check.id).collect()
    }

    #[test]
    fn everything_must_agree() {
        use Outcome::{Failed, Passed, Skipped};
        let good = tests(&[("a", Passed), ("b", Skipped)]);
        let bad = tests(&[("a", Failed)]);
        let none: [&str; 0] = [];
        assert_eq!(failing(Some(0), Ok(good.clone()), None, &[]), none);
        assert_eq!(failing(Some(1), Ok(good.clone()), None, &[]), ["exit_agrees"]);
        assert_eq!(failing(Some(1), Ok(bad.clone()), None, &[]), ["tests_failed"]);
        assert_eq!(failing(Some(0), Ok(bad), None, &[]), ["tests_failed", "exit_agrees"]);
        assert_eq!(failing(Some(0), Ok(tests(&[("b", Skipped)])), None, &[]), ["tests_run"]);
        let unread = failing(None, Err("killed".to_owned()), Some(&good), &[]);
        let all = ["ended_in_time", "tests_run", "tests_failed", "exit_agrees", "tests_vanished"];
        assert_eq!(unread, all);
    }

    #[test]
    fn a_test_that_is_skipped_now_has_vanished_too() {
        use Outcome::{Passed, Skipped};
        let earlier = tests(&[("a", Passed), ("b", Passed), ("c", Passed), ("d", Skipped)]);
        let later = tests(&[("a", Passed), ("b", Skipped), ("d", Skipped), ("e", Passed)]);
        assert_eq!(vanished(&earlier, &later, &BTreeSet::new()), ["b", "c"]);
        assert_eq!(failing(Some(0), Ok(later.clone()), Some(&earlier), &["b", "c"]), [""; 0]);
        assert_eq!(failing(Some(0), Ok(later), Some(&earlier), &["b"]), ["tests_vanished"]);
    }
}
