//! The one taxonomy of what goes wrong, and what it leaves behind.

use serde::{Deserialize, Serialize};

use crate::{
    Artefact, Check, Malformed,
    limits::MESSAGE_TEXT_MAX_CHARS,
    pb,
    task::{artefacts_from_pb, artefacts_to_pb, checks_from_pb, checks_to_pb},
};

/// Why a task could not be done. The class decides what happens next; the message explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Schema, unparsable SQL, a path outside the workspace. Nothing was touched.
    InvalidInput,
    /// Valid, but not handled; the message says what.
    Unsupported,
    /// The component is not in the state the plan was made against.
    PreconditionFailed,
    /// Done, measured, not good enough.
    CheckFailed,
    /// The same key with other parameters, or a lock that somebody holds.
    Conflict,
    /// The component is down or a tool is missing. The only class that is simply tried again.
    Unavailable,
    /// Contact was lost after the effect may have begun. Tried again only through reconcile.
    UnknownOutcome,
    /// Policy forbids it.
    Denied,
    /// The way back failed; a person is needed.
    UndoFailed,
}

impl ErrorClass {
    /// All of them, in the order of the wire.
    pub const ALL: [Self; 9] = [
        Self::InvalidInput,
        Self::Unsupported,
        Self::PreconditionFailed,
        Self::CheckFailed,
        Self::Conflict,
        Self::Unavailable,
        Self::UnknownOutcome,
        Self::Denied,
        Self::UndoFailed,
    ];

    /// Whether another attempt of the same task may succeed.
    pub fn may_be_retried(self) -> bool {
        matches!(self, Self::Unavailable | Self::UnknownOutcome)
    }

    /// As people and `error.type` spell it: `invalid_input`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::Unsupported => "unsupported",
            Self::PreconditionFailed => "precondition_failed",
            Self::CheckFailed => "check_failed",
            Self::Conflict => "conflict",
            Self::Unavailable => "unavailable",
            Self::UnknownOutcome => "unknown_outcome",
            Self::Denied => "denied",
            Self::UndoFailed => "undo_failed",
        }
    }

    fn from_pb(class: i32) -> Result<Self, Malformed> {
        use pb::ErrorClass as Pb;
        match Pb::try_from(class).unwrap_or(Pb::Unspecified) {
            Pb::InvalidInput => Ok(Self::InvalidInput),
            Pb::Unsupported => Ok(Self::Unsupported),
            Pb::PreconditionFailed => Ok(Self::PreconditionFailed),
            Pb::CheckFailed => Ok(Self::CheckFailed),
            Pb::Conflict => Ok(Self::Conflict),
            Pb::Unavailable => Ok(Self::Unavailable),
            Pb::UnknownOutcome => Ok(Self::UnknownOutcome),
            Pb::Denied => Ok(Self::Denied),
            Pb::UndoFailed => Ok(Self::UndoFailed),
            Pb::Unspecified => Err(Malformed::new("error_class", format!("unknown value {class}"))),
        }
    }

    fn to_pb(self) -> pb::ErrorClass {
        use pb::ErrorClass as Pb;
        match self {
            Self::InvalidInput => Pb::InvalidInput,
            Self::Unsupported => Pb::Unsupported,
            Self::PreconditionFailed => Pb::PreconditionFailed,
            Self::CheckFailed => Pb::CheckFailed,
            Self::Conflict => Pb::Conflict,
            Self::Unavailable => Pb::Unavailable,
            Self::UnknownOutcome => Pb::UnknownOutcome,
            Self::Denied => Pb::Denied,
            Self::UndoFailed => Pb::UndoFailed,
        }
    }
}

impl std::fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failure left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aftermath {
    /// Nothing was touched.
    Untouched,
    /// It was done and has already been taken back.
    TakenBack,
    /// Not known whether anything took effect.
    Unknown,
    /// Something took effect and is still there.
    Partial,
}

/// A task's failure, as a specialist reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Decides what happens next.
    pub class: ErrorClass,
    /// What is left behind.
    pub aftermath: Aftermath,
    /// What went wrong and where, one sentence.
    pub message: String,
    /// What to do next; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub help: String,
    /// What was measured before it failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// Evidence.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artefacts: Vec<Artefact>,
}

impl Failure {
    /// A failure that touched nothing, or whose outcome is unknown if the class says so.
    pub fn new(class: ErrorClass, message: impl Into<String>) -> Self {
        let aftermath = match class {
            ErrorClass::UnknownOutcome => Aftermath::Unknown,
            ErrorClass::UndoFailed => Aftermath::Partial,
            ErrorClass::CheckFailed => Aftermath::TakenBack,
            ErrorClass::InvalidInput
            | ErrorClass::Unsupported
            | ErrorClass::PreconditionFailed
            | ErrorClass::Conflict
            | ErrorClass::Unavailable
            | ErrorClass::Denied => Aftermath::Untouched,
        };
        let message = cut(&message.into());
        Self { class, aftermath, message, help: String::new(), checks: vec![], artefacts: vec![] }
    }

    /// The same with the next step for a person.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = cut(&help.into());
        self
    }

    /// The same with what was measured.
    #[must_use]
    pub fn checks(mut self, checks: Vec<Check>) -> Self {
        self.checks = checks;
        self
    }

    /// The same with evidence.
    #[must_use]
    pub fn artefacts(mut self, artefacts: Vec<Artefact>) -> Self {
        self.artefacts = artefacts;
        self
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MESSAGE_TEXT_MAX_CHARS).collect()
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.class, self.message)?;
        if self.help.is_empty() { Ok(()) } else { write!(f, " ({})", self.help) }
    }
}

impl TryFrom<pb::Failure> for Failure {
    type Error = Malformed;

    fn try_from(failure: pb::Failure) -> Result<Self, Malformed> {
        use pb::Aftermath as Pb;
        let aftermath = match Pb::try_from(failure.aftermath).unwrap_or(Pb::Unspecified) {
            Pb::Untouched => Aftermath::Untouched,
            Pb::TakenBack => Aftermath::TakenBack,
            Pb::Unknown => Aftermath::Unknown,
            Pb::Partial => Aftermath::Partial,
            Pb::Unspecified => return Err(Malformed::missing("aftermath")),
        };
        Ok(Self {
            class: ErrorClass::from_pb(failure.error_class)?,
            aftermath,
            message: cut(&failure.message),
            help: cut(&failure.help),
            checks: checks_from_pb(failure.checks)?,
            artefacts: artefacts_from_pb(failure.artefacts)?,
        })
    }
}

impl From<Failure> for pb::Failure {
    fn from(failure: Failure) -> Self {
        let aftermath = match failure.aftermath {
            Aftermath::Untouched => pb::Aftermath::Untouched,
            Aftermath::TakenBack => pb::Aftermath::TakenBack,
            Aftermath::Unknown => pb::Aftermath::Unknown,
            Aftermath::Partial => pb::Aftermath::Partial,
        };
        Self {
            error_class: failure.class.to_pb().into(),
            aftermath: aftermath.into(),
            message: failure.message,
            help: failure.help,
            checks: checks_to_pb(failure.checks),
            artefacts: artefacts_to_pb(failure.artefacts),
        }
    }
}
