//! Why a command could not do what it was asked, and what a person does next.

use std::{io, path::PathBuf};

use deadelus_mesh::{MeshError, config::ConfigError};
use deadelus_proto::pb::{NeedsAnswers, Question};
use deadelus_view::ViewError;

use crate::{exit::Exit, term};

/// What went wrong. The cause is in `source`; [`next`](Self::next) is for the person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("cannot {what} {}", path.display())]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is not what this program wrote: {problem}", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error("{} is in use by another `deadelus up` or `down`", .0.display())]
    Busy(PathBuf),
    #[error("cannot start {name} ({})", program.display())]
    Spawn { name: String, program: PathBuf, source: io::Error },
    #[error("{name} does not come up: {reason}")]
    NotUp { name: String, reason: String, log: PathBuf },
    #[error("there is no nats-server 2.11 or newer: {0}")]
    NoNatsServer(String),
    #[error("no NATS server answers at {url}")]
    NoServer { url: String },
    #[error("no orchestrator answers")]
    NoOrchestrator,
    #[error("the server did not store it: {0}")]
    NotStored(String),
    #[error("there is no workflow {0}")]
    NoWorkflow(String),
    #[error("there is no dead letter {0}")]
    NoLetter(u64),
    #[error("there is no artefact {0}")]
    NoArtefact(String),
    #[error("there is no blueprint {0}")]
    NoBlueprint(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Usage(String),
    #[error("no plan for this request{}", listed(.0))]
    NoPlan(Vec<String>),
    #[error("this plan does not make sense here{}", listed(.0))]
    BadPlan(Vec<String>),
    #[error("needs answers: {} is not detailed enough yet{}", .0.title, asked(.0))]
    NeedsAnswers(NeedsAnswers),
    #[error("{file} cannot be used as a {kind}{}", listed(problems))]
    Unsound { file: String, kind: String, problems: Vec<String> },
    #[error("the log of {workflow} cannot be read: {problem}")]
    Log { workflow: String, problem: String },
    #[error("cannot {what}")]
    Nats { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    #[error(transparent)]
    Mesh(#[from] MeshError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot write")]
    Output(#[source] io::Error),
}

impl CliError {
    /// Wraps an error of a file operation: `"read"`, `"write"`, `"create"`.
    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    /// Wraps an error of the NATS library.
    pub(crate) fn nats<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Nats { what, source: source.into() }
    }

    /// The process's exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NoServer { .. } | Self::NoOrchestrator | Self::NotStored(_) => Exit::Unreachable,
            Self::NoWorkflow(_)
            | Self::NoArtefact(_)
            | Self::NoLetter(_)
            | Self::NoBlueprint(_) => Exit::NotFound,
            Self::NoPlan(_) | Self::BadPlan(_) | Self::Unsound { .. } => Exit::NoPlan,
            Self::NeedsAnswers(_) => Exit::NeedsAnswers,
            Self::Mesh(MeshError::Unreachable { .. }) => Exit::Unreachable,
            Self::Mesh(MeshError::NoArtefact { .. }) => Exit::NotFound,
            Self::File { .. }
            | Self::Damaged { .. }
            | Self::Busy(_)
            | Self::Spawn { .. }
            | Self::NotUp { .. }
            | Self::NoNatsServer(_)
            | Self::Refused(_)
            | Self::Log { .. }
            | Self::Nats { .. }
            | Self::Mesh(_)
            | Self::Config(_)
            | Self::Output(_) => Exit::Failed,
        }
    }

    /// What to do about it; `None` where the message says it already.
    pub(crate) fn next(&self) -> Option<String> {
        let next = match self {
            Self::Busy(_) => "wait until it is through, and look with `deadelus doctor`".to_owned(),
            Self::Damaged { path, .. } => {
                format!("look at {}; removing it makes the program forget it", path.display())
            }
            Self::Spawn { .. } => "build it: cargo build --release --workspace".to_owned(),
            Self::NotUp { log, .. } => format!("read {}", log.display()),
            Self::NoNatsServer(_) => {
                "name one with DEADELUS_NATS_SERVER=/path/to/nats-server, or give \
                 `deadelus up --nats URL` the address of one that runs"
                    .to_owned()
            }
            Self::NoServer { .. } => {
                "start everything with `deadelus up`, or name a running server with --nats-url"
                    .to_owned()
            }
            Self::NoOrchestrator => {
                "start what is missing with `deadelus up`, and look with `deadelus doctor`"
                    .to_owned()
            }
            Self::NotStored(_) => {
                "look whether the server's disk is full (df) and what its log says; once it stores \
                 again, `deadelus list` shows whether it arrived, and saying it once more is safe"
                    .to_owned()
            }
            Self::NoWorkflow(_) => "list them with `deadelus list`".to_owned(),
            Self::NoLetter(_) => "list them with `deadelus dead list`".to_owned(),
            Self::NoArtefact(_) => "`deadelus report ID` names those of a workflow".to_owned(),
            Self::NoBlueprint(_) => "list them with `deadelus blueprints`".to_owned(),
            Self::NoPlan(_) => {
                "`deadelus blueprints` lists what is ready, and `deadelus blueprints NAME` what \
                 words and parameters it takes; choose one with --blueprint, or bring a plan of \
                 your own with --file plan.yaml"
                    .to_owned()
            }
            Self::NeedsAnswers(needs) => format!(
                "deadelus answer {} NAME=VALUE …, or without any to be asked; the draft is kept \
                 for two weeks",
                needs.draft
            ),
            Self::Unsound { .. } => {
                "change each place, and lint again; `deadelus specialists` lists what can be \
                 done, `deadelus blueprints NAME -o yaml` shows a blueprint that can be used"
                    .to_owned()
            }
            Self::BadPlan(_) => {
                "`deadelus specialists` lists what can be done and to which targets; `deadelus \
                 plan … -o yaml` shows a plan that makes sense"
                    .to_owned()
            }
            Self::Log { .. }
            | Self::Nats { .. }
            | Self::Mesh(MeshError::TimedOut { .. } | MeshError::JetStream { .. }) => {
                "look with `deadelus doctor`".to_owned()
            }
            Self::File { .. }
            | Self::Refused(_)
            | Self::Usage(_)
            | Self::Mesh(_)
            | Self::Config(_)
            | Self::Output(_) => return None,
        };
        Some(next)
    }

    /// Says it to the person, with what to do next.
    pub(crate) fn tell(&self) {
        term::note(&format!("deadelus: {}", deadelus_mesh::chain(self)));
        if let Some(next) = self.next() {
            term::note(&format!("  next: {next}"));
        }
    }

    /// Whether the reader of our output has simply gone away.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<ViewError> for CliError {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::NoOrchestrator => Self::NoOrchestrator,
            ViewError::NotStored(why) => Self::NotStored(why),
            ViewError::NoWorkflow(id) => Self::NoWorkflow(id),
            ViewError::BadId(what) => Self::Usage(what),
            ViewError::Log { workflow, problem } => Self::Log { workflow, problem },
            ViewError::Nats { what, source } => Self::Nats { what, source },
            ViewError::Mesh(error) => Self::Mesh(error),
        }
    }
}

/// Each question on a line of its own, with its name.
fn asked(needs: &NeedsAnswers) -> String {
    let one = |q: &Question| format!("{}: {}", q.name, q.asks);
    listed(&needs.questions.iter().map(one).collect::<Vec<_>>())
}

/// Each problem on a line of its own.
fn listed(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n  - {problem}")).collect()
}
