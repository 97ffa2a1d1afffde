//! Who takes part in a mesh, and which of its subjects each may say and hear.
//!
//! A role is what a credential stands for. This file knows the mesh's own subjects only; what a role
//! needs of JetStream follows in `mesh/src/permissions`. It never decides what a message may say:
//! that a report is of the sender's own task, the orchestrator judges.

use std::{fmt, str::FromStr};

use crate::{InvalidId, SpecialistName, Subjects};

/// The specialists of this release, by name.
pub const SPECIALISTS: [&str; 8] =
    ["db", "api", "payments", "auth", "security", "performance", "testing", "deployment"];

/// Whose name a person's messages carry in `in.<from>`.
pub const CLIENT: &str = "client";

/// What a credential stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Decides, keeps the log, makes the streams.
    Orchestrator,
    /// Takes and reports its own work.
    Specialist(SpecialistName),
    /// A person at the command line: starts, approves, cancels, sends dead letters again.
    Operator,
    /// A person who looks.
    Viewer,
}

/// A pattern of subjects, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permit {
    /// With `*` for one token and `>` for the rest.
    pub subject: String,
    /// In words, for the matrix that a person reads.
    pub purpose: &'static str,
}

impl Permit {
    /// A pattern and what for.
    pub fn new(subject: impl Into<String>, purpose: &'static str) -> Self {
        Self { subject: subject.into(), purpose }
    }
}

impl Role {
    /// Every role of this release.
    pub fn all() -> Vec<Self> {
        let specialists = SPECIALISTS.iter().filter_map(|name| name.parse().ok());
        let people = [Self::Operator, Self::Viewer];
        [Self::Orchestrator]
            .into_iter()
            .chain(specialists.map(Self::Specialist))
            .chain(people)
            .collect()
    }

    /// The specialist, where it is one.
    pub fn specialist(&self) -> Option<&SpecialistName> {
        match self {
            Self::Specialist(name) => Some(name),
            Self::Orchestrator | Self::Operator | Self::Viewer => None,
        }
    }

    /// First token of every reply subject of this role: `_DEADELUS_V1_REPLIES_DB`. No other role may
    /// listen there.
    pub fn replies(&self, subjects: &Subjects) -> String {
        format!("{}{}", reply_mark(subjects), token(&self.to_string()))
    }

    /// What it may publish of the mesh's own subjects.
    pub fn says(&self, subjects: &Subjects) -> Vec<Permit> {
        let permit = |pattern: &str, purpose| Permit::new(subjects.below(pattern), purpose);
        match self {
            Self::Orchestrator => vec![
                permit("task.*.*", "assign work"),
                permit("log.*.*", "append decisions"),
                permit("dead.orchestrator.*", "bury what cannot be read"),
                permit(&format!("in.{CLIENT}.*.*"), "what people say through its gateway"),
                permit("api.*", "what people ask through its gateway"),
            ],
            Self::Specialist(name) => vec![
                permit(&format!("ask.{name}.*.*"), "report, and wait for the log to have it"),
                permit(&format!("in.{name}.*.*"), "report where nobody answers"),
                permit(&format!("worker.{name}.*"), "heartbeats"),
                permit(&format!("live.{name}.*.*"), "progress, best effort"),
                permit(&format!("dead.{name}.*"), "bury what cannot be read"),
                permit(&format!("artefact.{name}"), "have an artefact sent, by its digest"),
            ],
            Self::Operator => vec![
                permit(&format!("in.{CLIENT}.*.*"), "start, approve, cancel, undo"),
                permit("api.*", "plan, lint, blueprints"),
                permit("in.*.*.*", "send a dead letter of the inbox again"),
                permit("task.*.*", "send a dead assignment again"),
            ],
            Self::Viewer => vec![
                permit("api.blueprints", "which requests are ready"),
                permit("api.lint", "judge a plan or blueprint of one's own"),
            ],
        }
    }

    /// What it may subscribe to of the mesh's own subjects.
    pub fn hears(&self, subjects: &Subjects) -> Vec<Permit> {
        let permit = |pattern: &str, purpose| Permit::new(subjects.below(pattern), purpose);
        match self {
            Self::Orchestrator => vec![
                permit("ask.*.*.*", "reports that wait for the log"),
                permit("worker.*.*", "heartbeats"),
                permit("api.*", "questions of people"),
                permit("artefact.*", "specialists that want an artefact"),
            ],
            Self::Specialist(name) => vec![permit(&format!("card.{name}"), "what it can do")],
            Self::Operator | Self::Viewer => {
                vec![permit("live.*.*.*", "watch progress"), permit("log.*.*", "watch decisions")]
            }
        }
    }
}

/// How every reply subject of a confined mesh begins.
pub fn reply_mark(subjects: &Subjects) -> String {
    format!("_{}", subjects.resource("REPLIES_"))
}

/// `payments` as a part of a resource's name: `PAYMENTS`.
pub fn token(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

/// Whether a pattern covers a subject, as the server matches them.
pub fn covers(pattern: &str, subject: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), subject.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(">"), Some(_)) => return true,
            (Some(token), Some(found)) if token == "*" || token == found => {}
            (Some(_), Some(_) | None) | (None, Some(_)) => return false,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Orchestrator => f.write_str("orchestrator"),
            Self::Specialist(name) => name.fmt(f),
            Self::Operator => f.write_str("operator"),
            Self::Viewer => f.write_str("viewer"),
        }
    }
}

impl FromStr for Role {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Ok(match text {
            "orchestrator" => Self::Orchestrator,
            "operator" => Self::Operator,
            "viewer" => Self::Viewer,
            name => Self::Specialist(name.parse()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(role: &Role, subject: &str) -> bool {
        let subjects = Subjects::default();
        role.says(&subjects).iter().any(|permit| covers(&permit.subject, subject))
    }

    #[test]
    fn names_are_inverses_and_all_are_there() {
        for role in Role::all() {
            assert_eq!(role.to_string().parse(), Ok(role));
        }
        assert_eq!(Role::all().len(), SPECIALISTS.len() + 3);
        assert!("Not A Role".parse::<Role>().is_err());
    }

    #[test]
    fn a_pattern_covers_as_the_server_says() {
        let check = |pattern, subject, wanted| assert_eq!(covers(pattern, subject), wanted);
        check("a.*.c", "a.b.c", true);
        check("a.*.c", "a.b.d", false);
        check("a.*", "a.b.c", false);
        check("a.>", "a.b.c", true);
        check("a.>", "a", false);
        check("a.b", "a", false);
    }

    #[test]
    fn a_specialist_speaks_in_its_own_name_only() {
        let subject =
            |pattern: &str, name: &str| format!("deadelus.v1.{}", pattern.replace("{}", name));
        let patterns = [
            "in.{}.3.wf",
            "ask.{}.3.wf",
            "worker.{}.x-1",
            "live.{}.wf.measure",
            "dead.{}.x",
            "artefact.{}",
        ];
        for own in SPECIALISTS {
            let role: Role = own.parse().unwrap();
            for pattern in patterns {
                for name in SPECIALISTS.into_iter().chain([CLIENT, "orchestrator"]) {
                    assert_eq!(may(&role, &subject(pattern, name)), name == own, "{own} {pattern}");
                }
            }
            for never in ["log.3.wf", "task.db.migrate", "api.plan", "card.db", "live.wf"] {
                assert!(!may(&role, &subject(never, "")), "{own} {never}");
            }
        }
    }

    #[test]
    fn only_the_orchestrator_writes_the_log_and_a_viewer_changes_nothing() {
        for role in Role::all() {
            let writes = may(&role, "deadelus.v1.log.3.wf");
            assert_eq!(writes, role == Role::Orchestrator, "{role}");
        }
        for subject in ["in.client.3.wf", "task.db.x", "api.plan", "dead.db.x"] {
            assert!(!may(&Role::Viewer, &format!("deadelus.v1.{subject}")), "{subject}");
        }
    }

    #[test]
    fn nobody_hears_the_replies_of_another() {
        let subjects = Subjects::default();
        let prefixes: Vec<String> = Role::all().iter().map(|r| r.replies(&subjects)).collect();
        let mut distinct = prefixes.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), prefixes.len());
        assert!(prefixes.contains(&"_DEADELUS_V1_REPLIES_DB".to_owned()), "{prefixes:?}");
    }
}
