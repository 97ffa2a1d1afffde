//! What a command's exit code means. Scripts depend on it: codes are added, never changed.

use std::process::ExitCode;

use deadelus_core::Ending;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for has happened.
    Done = 0,
    /// Something went wrong; standard error says what and what to do next.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The workflow failed, and everything it did is taken back.
    Undone = 3,
    /// A person cancelled or rejected it.
    Cancelled = 4,
    /// The workflow cannot go on without a person.
    Stuck = 5,
    /// The workflow goes on, is paused, or waits at a gate.
    Waiting = 6,
    /// No plan could be made of the request.
    NoPlan = 7,
    /// There is no such workflow, task or artefact.
    NotFound = 8,
    /// No NATS server or no orchestrator answers.
    Unreachable = 9,
    /// The plan is not detailed enough; its author is asked.
    NeedsAnswers = 10,
}

/// The table that `--help` ends with.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done: what was asked for has happened
  1  failed: standard error says what, where, and what to do next
  2  usage: the command line is wrong
  3  undone: the workflow failed and everything it did is taken back
  4  cancelled or rejected by a person
  5  stuck: the workflow cannot go on without a person
  6  waiting: the workflow goes on, is paused, or waits at a gate
  7  no plan could be made of the request
  8  not found: no such workflow, task or artefact
  9  unreachable: no NATS server or no orchestrator answers
  10 needs answers: the plan is not detailed enough; standard error has the questions";

impl Exit {
    /// The code of a command that was asked how a workflow ended.
    pub(crate) fn of_ending(ending: Ending) -> Self {
        match ending {
            Ending::Done => Self::Done,
            Ending::Undone => Self::Undone,
            Ending::Cancelled | Ending::Rejected => Self::Cancelled,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_code() {
        let all = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Undone,
            Exit::Cancelled,
            Exit::Stuck,
            Exit::Waiting,
            Exit::NoPlan,
            Exit::NotFound,
            Exit::Unreachable,
            Exit::NeedsAnswers,
        ];
        for (n, exit) in all.into_iter().enumerate() {
            assert_eq!(exit as usize, n);
            assert!(HELP.contains(&format!("\n  {n:<2} ")), "{exit:?} is missing");
        }
    }
}
