//! What reaches a desk, and how it is answered: a message that the inbox keeps until it is
//! acknowledged, or a question whose asker waits.

use async_nats::{HeaderMap, Subject, jetstream};
use bytes::Bytes;
use deadelus_mesh::Mesh;
use deadelus_proto::pb;
use prost::Message as _;
use tracing::Span;

use crate::desk;

/// Races lost in a row before a letter is left to come again by itself.
const RACES_MAX: u32 = 16;

/// A letter with what is needed to answer it.
pub(crate) type Letter = desk::Letter<Ticket>;

/// How a letter came.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Kept by the inbox: unacknowledged, it comes again.
    Stored(Box<jetstream::Message>),
    /// Its sender waits: unanswered, it goes to the inbox.
    Asked(async_nats::Message),
}

/// What is remembered of a letter until it is answered.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) delivery: Delivery,
    /// Where a person waits for an answer; may be empty.
    pub(crate) reply_to: String,
    /// The deciding of it.
    pub(crate) span: Span,
    /// How often somebody else was faster.
    pub(crate) races: u32,
}

impl Delivery {
    pub(crate) fn subject(&self) -> &Subject {
        match self {
            Self::Stored(message) => &message.subject,
            Self::Asked(message) => &message.subject,
        }
    }

    pub(crate) fn payload(&self) -> &Bytes {
        match self {
            Self::Stored(message) => &message.payload,
            Self::Asked(message) => &message.payload,
        }
    }

    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Stored(message) => message.headers.as_ref(),
            Self::Asked(message) => message.headers.as_ref(),
        }
    }

    /// Its sequence in the inbox and how often it was delivered; none when it is not kept there.
    pub(crate) fn stored(&self) -> Option<(u64, i64)> {
        let Self::Stored(message) = self else { return None };
        message.info().ok().map(|info| (info.stream_sequence, info.delivered))
    }

    /// When the server stored it, in milliseconds since the epoch; none when it is not kept there.
    pub(crate) fn stored_unix_ms(&self) -> Option<i64> {
        let Self::Stored(message) = self else { return None };
        message.info().ok().map(|info| info.published.unix_timestamp().saturating_mul(1_000))
    }

    /// Says what became of it, and that it need not come again.
    pub(crate) async fn finish(self, mesh: &Mesh, reply_to: &str, problems: Vec<String>) {
        let accepted = problems.is_empty();
        self.answer(mesh, reply_to, pb::Answer { accepted, problems, given_up: false }).await;
    }

    async fn answer(self, mesh: &Mesh, reply_to: &str, said: pb::Answer) {
        match self {
            Self::Stored(message) => {
                answer(mesh, reply_to.into(), &said).await;
                if let Err(error) = message.ack().await {
                    tracing::debug!(%error, "an acknowledgement was lost; the message comes again");
                }
            }
            Self::Asked(message) => {
                answer(mesh, message.reply.unwrap_or_else(|| "".into()), &said).await;
            }
        }
    }
}

impl Ticket {
    pub(crate) async fn finish(self, mesh: &Mesh, problems: Vec<String>) {
        self.delivery.finish(mesh, &self.reply_to, problems).await;
    }

    /// Says that what the letter tells of is not to begin.
    pub(crate) async fn give_up(self, mesh: &Mesh) {
        let problems = vec!["nobody waits for this attempt any more".to_owned()];
        let said = pb::Answer { accepted: false, problems, given_up: true };
        self.delivery.answer(mesh, &self.reply_to, said).await;
    }

    /// Whether it may be handed in once more.
    pub(crate) fn may_race_again(&self) -> bool {
        self.races < RACES_MAX
    }
}

/// Best effort: the truth is the log.
async fn answer(mesh: &Mesh, reply_to: Subject, said: &pb::Answer) {
    if reply_to.is_empty() {
        return;
    }
    mesh.reply(reply_to, said.encode_to_vec().into()).await;
}
