//! Every subject of the mesh, spelled once. [`Subject`]'s text and its parse are inverses.

use std::{fmt, str::FromStr};

use crate::{CapabilityName, Malformed, SpecialistName, TaskId, WorkflowId, limits::PARTITIONS};

/// The default first tokens of every subject.
pub const DEFAULT_PREFIX: &str = "deadelus.v1";

/// Of what is wrong with a subject that is none: enough to know it by.
const SHOWN_MAX_CHARS: usize = 200;

/// A subject below the prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// `task.<specialist>.<verb>`: assignments.
    Task(CapabilityName),
    /// `in.<from>.<partition>.<workflow>`: what reaches the orchestrator. `from` makes permissions exact.
    In {
        /// A specialist's name, `client` or `orchestrator`.
        from: SpecialistName,
        /// Whose workflow; the partition follows from it.
        workflow: WorkflowId,
    },
    /// `ask.<from>.<partition>.<workflow>`: request/reply, a report that is answered once the log has
    /// it. Whoever gets no answer puts the same bytes into `in`.
    Ask {
        /// A specialist's name.
        from: SpecialistName,
        /// Whose workflow; the partition follows from it.
        workflow: WorkflowId,
    },
    /// `log.<partition>.<workflow>`: decisions.
    Log(WorkflowId),
    /// `dead.<specialist>.<verb>`: what nobody could handle; `dead.in.<from>` for inbox messages.
    Dead(CapabilityName),
    /// `live.<from>.<workflow>.<task>`: progress, best effort.
    Live(SpecialistName, WorkflowId, TaskId),
    /// `worker.<specialist>.<instance>`: heartbeats.
    Worker(SpecialistName, SpecialistName),
    /// `card.<specialist>`: request/reply, what it offers as JSON.
    Card(SpecialistName),
    /// `api.<verb>`: request/reply with the orchestrator.
    Api(Api),
    /// `artefact.<from>`: request/reply, a specialist names a digest and has the bytes sent. Only on
    /// a mesh where each role has a credential of its own.
    Artefact(SpecialistName),
}

/// What may be asked of the orchestrator by request/reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Api {
    /// Words in, plan out.
    Plan,
    /// Which requests are ready.
    Blueprints,
    /// What is wrong with a blueprint or a plan.
    Lint,
}

impl Api {
    /// Everything that may be asked.
    pub const ALL: [Self; 3] = [Self::Plan, Self::Blueprints, Self::Lint];

    /// The subject's last token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Blueprints => "blueprints",
            Self::Lint => "lint",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task(name) => write!(f, "task.{name}"),
            Self::In { from, workflow } => {
                write!(f, "in.{from}.{}.{workflow}", workflow.partition())
            }
            Self::Ask { from, workflow } => {
                write!(f, "ask.{from}.{}.{workflow}", workflow.partition())
            }
            Self::Log(workflow) => write!(f, "log.{}.{workflow}", workflow.partition()),
            Self::Dead(name) => write!(f, "dead.{name}"),
            Self::Live(from, workflow, task) => write!(f, "live.{from}.{workflow}.{task}"),
            Self::Worker(specialist, instance) => write!(f, "worker.{specialist}.{instance}"),
            Self::Card(specialist) => write!(f, "card.{specialist}"),
            Self::Api(verb) => write!(f, "api.{}", verb.as_str()),
            Self::Artefact(from) => write!(f, "artefact.{from}"),
        }
    }
}

impl FromStr for Subject {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bad = |e: &dyn fmt::Display| {
            Malformed::new(
                "subject",
                e.to_string().chars().take(SHOWN_MAX_CHARS).collect::<String>(),
            )
        };
        let tokens: Vec<&str> = text.split('.').collect();
        let subject = match tokens[..] {
            ["task", specialist, verb] => {
                Self::Task(format!("{specialist}.{verb}").parse().map_err(|e| bad(&e))?)
            }
            ["dead", specialist, verb] => {
                Self::Dead(format!("{specialist}.{verb}").parse().map_err(|e| bad(&e))?)
            }
            ["in", from, _, workflow] => Self::In {
                from: from.parse().map_err(|e| bad(&e))?,
                workflow: workflow.parse().map_err(|e| bad(&e))?,
            },
            ["ask", from, _, workflow] => Self::Ask {
                from: from.parse().map_err(|e| bad(&e))?,
                workflow: workflow.parse().map_err(|e| bad(&e))?,
            },
            ["log", _, workflow] => Self::Log(workflow.parse().map_err(|e| bad(&e))?),
            ["live", from, workflow, task] => Self::Live(
                from.parse().map_err(|e| bad(&e))?,
                workflow.parse().map_err(|e| bad(&e))?,
                task.parse().map_err(|e| bad(&e))?,
            ),
            ["worker", specialist, instance] => Self::Worker(
                specialist.parse().map_err(|e| bad(&e))?,
                instance.parse().map_err(|e| bad(&e))?,
            ),
            ["card", specialist] => Self::Card(specialist.parse().map_err(|e| bad(&e))?),
            ["artefact", from] => Self::Artefact(from.parse().map_err(|e| bad(&e))?),
            ["api", verb] => {
                let api = Api::ALL.into_iter().find(|api| api.as_str() == verb);
                Self::Api(api.ok_or_else(|| bad(&format!("nobody answers {verb:?}")))?)
            }
            _ => return Err(bad(&format!("{text:?} is none of the mesh's"))),
        };
        // A partition that does not belong to its workflow would be decided twice.
        if subject.to_string() == text { Ok(subject) } else { Err(bad(&"wrong partition")) }
    }
}

/// The subjects under one configurable prefix, so that several meshes share an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
}

impl Subjects {
    /// `prefix` is one or more tokens: `deadelus.v1`.
    ///
    /// # Errors
    /// [`Malformed`] when a token is empty or holds anything but `a-z 0-9 - _`.
    pub fn new(prefix: &str) -> Result<Self, Malformed> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if !prefix.split('.').all(|t| !t.is_empty() && t.chars().all(legal)) {
            return Err(Malformed::new("prefix", format!("{prefix:?}: use tokens of a-z 0-9 - _")));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    /// The whole subject.
    pub fn of(&self, subject: &Subject) -> String {
        format!("{}.{subject}", self.prefix)
    }

    /// Parses a whole subject.
    ///
    /// # Errors
    /// [`Malformed`] when it is not one of this mesh.
    pub fn parse(&self, text: &str) -> Result<Subject, Malformed> {
        text.strip_prefix(&self.prefix)
            .and_then(|rest| rest.strip_prefix('.'))
            .ok_or_else(|| Malformed::new("subject", format!("{text:?} is of another mesh")))?
            .parse()
    }

    /// All subjects of a kind: `task`, `in`, `log`, `dead`, `live`, `worker`.
    pub fn all(&self, kind: &str) -> String {
        format!("{}.{kind}.>", self.prefix)
    }

    /// Subjects of a kind, with `*` or a literal for each token: `in.db.*.*`.
    pub fn below(&self, pattern: &str) -> String {
        format!("{}.{pattern}", self.prefix)
    }

    /// All assignments of a specialist.
    pub fn tasks_of(&self, specialist: &SpecialistName) -> String {
        format!("{}.task.{specialist}.*", self.prefix)
    }

    /// All inbox messages of a partition.
    ///
    /// # Panics
    /// Never; a partition that does not exist simply has no messages.
    pub fn inbox_of(&self, partition: u16) -> String {
        debug_assert!(partition < PARTITIONS, "partition {partition} does not exist");
        format!("{}.in.*.{partition}.*", self.prefix)
    }

    /// All reports of a partition that wait for an answer.
    ///
    /// # Panics
    /// Never; a partition that does not exist simply has no messages.
    pub fn asked_of(&self, partition: u16) -> String {
        debug_assert!(partition < PARTITIONS, "partition {partition} does not exist");
        format!("{}.ask.*.{partition}.*", self.prefix)
    }

    /// All progress of a workflow.
    pub fn live_of(&self, workflow: &WorkflowId) -> String {
        format!("{}.live.*.{workflow}.*", self.prefix)
    }

    /// A name for a stream or bucket of this mesh: `DEADELUS_V1_TASKS`.
    pub fn resource(&self, name: &str) -> String {
        format!("{}_{name}", self.prefix.replace(['.', '-'], "_").to_ascii_uppercase())
    }
}

impl Default for Subjects {
    fn default() -> Self {
        Self { prefix: DEFAULT_PREFIX.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_kind() -> Vec<Subject> {
        let workflow: WorkflowId = "wf-1".parse().unwrap();
        vec![
            Subject::Task("db.create_index".parse().unwrap()),
            Subject::In { from: "db".parse().unwrap(), workflow: workflow.clone() },
            Subject::Ask { from: "db".parse().unwrap(), workflow: workflow.clone() },
            Subject::Log(workflow.clone()),
            Subject::Dead("db.migrate".parse().unwrap()),
            Subject::Live("db".parse().unwrap(), workflow, "measure1".parse().unwrap()),
            Subject::Worker("db".parse().unwrap(), "db-7f".parse().unwrap()),
            Subject::Card("db".parse().unwrap()),
            Subject::Api(Api::Plan),
            Subject::Api(Api::Lint),
            Subject::Artefact("db".parse().unwrap()),
        ]
    }

    #[test]
    fn text_and_parse_are_inverses() {
        let subjects = Subjects::new("team-a.mesh").unwrap();
        for subject in every_kind() {
            assert_eq!(subjects.parse(&subjects.of(&subject)), Ok(subject));
        }
    }

    #[test]
    fn junk_is_refused() {
        let subjects = Subjects::default();
        for bad in [
            "",
            "x",
            "deadelus.v1",
            "deadelus.v1.",
            "deadelus.v1.task.db",
            "deadelus.v1.task.db.a.b",
        ] {
            assert!(subjects.parse(bad).is_err(), "{bad:?}");
        }
        assert!(subjects.parse("deadelus.v1.log.0.wf-1").is_err(), "wf-1 is not of partition 0");
    }
}
