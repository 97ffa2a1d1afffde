//! What goes wrong between us and a database, and which class of failure it is.

use deadelus_runtime::{Aftermath, ErrorClass, Failure};

use crate::sql::Statement;

/// An error of either engine.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Nobody answers there.
    #[error("cannot reach the database: {0}")]
    Unreachable(String),
    /// The connection ended while a statement was under way.
    #[error("contact with the database was lost: {0}")]
    Lost(String),
    /// The database answered no.
    #[error("{message} ({code})")]
    Refused {
        /// Why, as far as it decides what happens next.
        reason: Reason,
        /// SQLSTATE, or the result code of SQLite.
        code: String,
        /// The engine's words.
        message: String,
    },
    /// It failed, and not all of it could be taken away again.
    #[error("{cause}; left behind: {what}")]
    Left {
        /// What is still there.
        what: String,
        /// Why it failed.
        cause: Box<Fault>,
    },
}

/// Why a database refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Somebody holds a lock for longer than we wait.
    Locked,
    /// Rows that must be unique are not.
    Duplicate,
    /// The user may not do this.
    Forbidden,
    /// We, or a timeout, stopped the statement.
    Stopped,
    /// The statement itself is wrong for this database.
    Statement,
}

impl Fault {
    /// The refusal's reason; none if there was no answer.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self {
            Self::Refused { reason, .. } => Some(*reason),
            Self::Left { cause, .. } => cause.reason(),
            Self::Unreachable(_) | Self::Lost(_) => None,
        }
    }

    /// The same, naming the statement that was refused.
    pub(crate) fn at(self, statement: &Statement) -> Self {
        match self {
            Self::Refused { reason, code, message } => {
                let message = format!("{}: {message}", statement.place);
                Self::Refused { reason, code, message }
            }
            Self::Unreachable(_) | Self::Lost(_) | Self::Left { .. } => self,
        }
    }

    /// The failure of something that had touched nothing yet.
    pub(crate) fn untouched(self, doing: &str) -> Failure {
        let class = match self.reason() {
            None | Some(Reason::Stopped) => ErrorClass::Unavailable,
            Some(Reason::Locked) => ErrorClass::Conflict,
            Some(Reason::Forbidden) => ErrorClass::Denied,
            Some(Reason::Duplicate | Reason::Statement) => ErrorClass::InvalidInput,
        };
        Failure::new(class, format!("{doing}: {self}")).help(self.help())
    }

    /// The failure of an effect that the database has taken back, or never began, because it
    /// refused; and of one whose fate is not known, because contact was lost.
    pub(crate) fn undone(self, doing: &str) -> Failure {
        match self {
            Self::Lost(_) => Failure::new(ErrorClass::UnknownOutcome, format!("{doing}: {self}"))
                .help("the database is looked at before anything is tried again"),
            Self::Unreachable(_) => self.untouched(doing),
            Self::Refused { reason, .. } => {
                let text = format!("{doing}: {self}");
                let mut failure = Failure::new(reason.class(), text).help(self.help());
                failure.aftermath = Aftermath::TakenBack;
                failure
            }
            Self::Left { ref what, ref cause } => {
                let class = cause.reason().map_or(ErrorClass::UnknownOutcome, Reason::class);
                let mut failure = Failure::new(class, format!("{doing}: {cause}"));
                failure.aftermath = Aftermath::Partial;
                failure.help(format!("{what}, is left behind: undoing this task takes it away"))
            }
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "is it running, and is the target's `database` right?",
            Self::Lost(_) | Self::Left { .. } => "",
            Self::Refused { reason, .. } => match reason {
                Reason::Locked => "somebody holds a lock; try again when they are done",
                Reason::Duplicate => "remove the duplicate rows, or do not ask for uniqueness",
                Reason::Forbidden => "grant the target's user what the statement needs",
                Reason::Stopped => "it ran into its time limit or was asked to stop",
                Reason::Statement => "",
            },
        }
    }
}

impl Reason {
    /// The class of an effect that was refused for this reason.
    fn class(self) -> ErrorClass {
        match self {
            Self::Locked => ErrorClass::Conflict,
            Self::Stopped => ErrorClass::Unavailable,
            Self::Forbidden => ErrorClass::Denied,
            Self::Duplicate | Self::Statement => ErrorClass::CheckFailed,
        }
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let message = error.to_string();
        let Some(cause) = error.sqlite_error() else {
            let code = "rusqlite".to_owned();
            return Self::Refused { reason: Reason::Statement, code, message };
        };
        let is = |codes: &[Code]| codes.contains(&cause.code);
        if is(&[Code::CannotOpen, Code::NotADatabase, Code::DatabaseCorrupt]) {
            return Self::Unreachable(message);
        }
        let reason = if is(&[Code::DatabaseBusy, Code::DatabaseLocked]) {
            Reason::Locked
        } else if is(&[Code::PermissionDenied, Code::ReadOnly]) {
            Reason::Forbidden
        } else if is(&[Code::OperationInterrupted]) {
            Reason::Stopped
        } else if cause.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE {
            Reason::Duplicate
        } else {
            Reason::Statement
        };
        Self::Refused { reason, code: format!("SQLITE {}", cause.extended_code), message }
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::SqlState as State;
        let Some(cause) = error.as_db_error() else {
            return Self::Lost(error.to_string());
        };
        let code = cause.code().clone();
        // 08, 57P0x: the server itself says that it hangs up.
        if code.code().starts_with("08") || code.code().starts_with("57P") {
            return Self::Lost(cause.message().to_owned());
        }
        let reason = if code == State::LOCK_NOT_AVAILABLE || code == State::T_R_DEADLOCK_DETECTED {
            Reason::Locked
        } else if code == State::UNIQUE_VIOLATION {
            Reason::Duplicate
        } else if code == State::INSUFFICIENT_PRIVILEGE {
            Reason::Forbidden
        } else if code == State::QUERY_CANCELED {
            Reason::Stopped
        } else {
            Reason::Statement
        };
        let message = cause.message().to_owned();
        Self::Refused { reason, code: code.code().to_owned(), message }
    }
}
