//! What goes wrong between a process and the mesh.

use std::{path::PathBuf, time::Duration};

use deadelus_proto::{Malformed, Sha256};

/// Any cause from a library below, kept for `source()`.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why the mesh could not do what was asked. The cause is in `source`.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// No server answered within the bound of the first connect.
    #[error(
        "cannot reach NATS at {url} within {waited:?}; start it with `deadelus up`, or set nats.url \
         (DEADELUS_NATS__URL)"
    )]
    Unreachable {
        /// Without credentials.
        url: String,
        /// The bound.
        waited: Duration,
        /// The last attempt's error.
        source: Cause,
    },
    /// The server is there and does not let us in.
    #[error(
        "{url} refuses these credentials; set nats.nkey_file, nats.credentials_file, nats.user and \
         nats.password, or nats.context"
    )]
    Refused {
        /// Without credentials.
        url: String,
        /// The server's words.
        source: Cause,
    },
    /// Compare-and-append is broken on replicated streams of older servers.
    #[error(
        "nats-server {found} is too old: {} or newer is needed, because older ones let two \
         writers win one compare-and-append; `deploy/nats-server` prints the path of one",
        crate::connect::OLDEST_SERVER
    )]
    TooOld {
        /// As the server says it.
        found: String,
    },
    /// The `nats` section contradicts itself or names what is not there.
    #[error("configuration: {0}")]
    Settings(String),
    /// A file that the configuration names cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A stream exists and is not what this version needs.
    #[error(
        "{resource} exists with {field} = {found}, needed is {wanted}; \
         change it (`nats stream edit {resource}`), or choose another nats.prefix"
    )]
    Differs {
        /// The stream's or consumer's name.
        resource: String,
        /// As the server's API spells it.
        field: String,
        /// JSON.
        wanted: String,
        /// JSON; `null` when the server dropped the field.
        found: String,
    },
    /// A JetStream request failed.
    #[error("{what}")]
    JetStream {
        /// What was attempted, with the resource's name.
        what: String,
        /// The library's error.
        source: Cause,
    },
    /// The server cannot promise a stream the room it is to have. Nothing was made.
    #[error(
        "stream {stream} needs {mib} MiB reserved and the server has not so much left ({reason}): \
         free disk space, raise max_file_store in the server's configuration, or make the stream \
         beforehand with a smaller max_bytes, which is the operator's to choose"
    )]
    NoRoom {
        /// The stream's name.
        stream: String,
        /// What is to be reserved.
        mib: i64,
        /// The server's words.
        reason: String,
    },
    /// The stream holds all it may. Nothing was stored.
    #[error(
        "{subject}: the stream is full ({reason}); see `deadelus doctor`: archive sooner \
         ([retention] keep_log), or raise its limit"
    )]
    Full {
        /// What could not be appended to.
        subject: String,
        /// The server's words.
        reason: String,
    },
    /// A message no server would take.
    #[error("{subject}: {size_bytes} bytes are more than the {max_bytes} a message may have")]
    TooLarge {
        /// Where it was to go.
        subject: String,
        /// What it has.
        size_bytes: usize,
        /// What it may have.
        max_bytes: usize,
    },
    /// Nobody said whether the append took effect, for as long as we asked.
    #[error(
        "{subject}: whether the append took effect is unknown after {tries} tries in {waited:?}"
    )]
    OutcomeUnknown {
        /// What was appended to.
        subject: String,
        /// How often the same bytes were published.
        tries: u32,
        /// How long that took.
        waited: Duration,
        /// The last attempt's error.
        source: Cause,
    },
    /// An artefact that is not in the store.
    #[error("artefact {sha256} ({name}) is not in the object store")]
    NoArtefact {
        /// Its digest.
        sha256: Sha256,
        /// What a person calls it.
        name: String,
    },
    /// Bytes that are not what their name says.
    #[error("artefact {wanted} is corrupt: its bytes are {found}")]
    Corrupt {
        /// The digest asked for.
        wanted: Sha256,
        /// The digest of what came.
        found: Sha256,
    },
    /// Took longer than its bound.
    #[error("{what} took longer than {waited:?}")]
    TimedOut {
        /// What was attempted.
        what: String,
        /// The bound.
        waited: Duration,
    },
    /// A name or message that is not one of ours.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl MeshError {
    /// Wraps a library's error, saying what was attempted.
    /// A request to JetStream that failed: what was asked, and the cause.
    pub fn jetstream(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::JetStream { what: what.into(), source: source.into() }
    }
}

/// The error and all its causes in one line, for logs and command lines. A cause that the error
/// above it already quotes is not repeated.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |e| e.source());
    causes.map(ToString::to_string).fold(error.to_string(), |line, cause| {
        if line.ends_with(&cause) { line } else { format!("{line}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_says_everything_once() {
        let cause = std::io::Error::other("the door is shut");
        let quoting = MeshError::jetstream("open: the door is shut", cause);
        assert_eq!(chain(&quoting), "open: the door is shut");
        let cause = std::io::Error::other("the door is shut");
        assert_eq!(chain(&MeshError::jetstream("open", cause)), "open: the door is shut");
    }
}
