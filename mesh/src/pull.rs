//! Pulling from a work queue, never more than was asked for, on one subscription for life.
//!
//! A message that a pull request brings in its last moment is not lost with the request: whoever
//! asked still hears it. When the connection stands again nothing is known of what was asked for over
//! the old one: it is asked for at once, under another name, so that nothing comes for both.

use std::time::Duration;

use async_nats::{
    Message, StatusCode, Subscriber,
    jetstream::{self, consumer::PullConsumer},
};
use futures_util::StreamExt as _;
use tokio::time::Instant;

use crate::{Mesh, MeshError, Reconnects};

/// A pull request is renewed this often; a lost one costs no more than this and [`LATE_MAX`].
const EXPIRES: Duration = Duration::from_secs(5);
/// The server's word that a request is over may be this late.
const LATE_MAX: Duration = Duration::from_secs(1);
/// How many messages of a request are not coming any more.
const PENDING_HEADER: &str = "Nats-Pending-Messages";

/// A consumer's messages, as many as were asked for.
#[derive(Debug)]
pub struct Pull {
    mesh: Mesh,
    request_subject: String,
    inbox: String,
    answers: Subscriber,
    /// Messages asked for that have not come.
    coming: usize,
    /// When everything that was asked for has come or never will.
    lapses: Instant,
    reconnects: Reconnects,
    /// The connection is another one since the last request.
    is_lost: bool,
}

/// What a pull brought.
#[derive(Debug)]
pub enum Pulled {
    /// A message, to be acknowledged.
    Message(Box<jetstream::Message>),
    /// Some or all of what was asked for is not coming.
    Over,
    /// The queue is away; to be asked again after a pause.
    Nobody,
}

impl Pull {
    /// From a durable consumer. Nothing is asked for yet.
    ///
    /// # Errors
    /// [`MeshError::JetStream`] when the connection is closed.
    pub async fn open(mesh: Mesh, consumer: &PullConsumer) -> Result<Self, MeshError> {
        let info = consumer.cached_info();
        let request_subject =
            format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", info.stream_name, info.name);
        let reconnects = mesh.reconnects();
        let (inbox, answers) = hear(&mesh).await?;
        let (coming, lapses, is_lost) = (0, Instant::now(), false);
        Ok(Self { mesh, request_subject, inbox, answers, coming, lapses, reconnects, is_lost })
    }

    /// Messages asked for that may still come.
    pub fn coming(&self) -> usize {
        if self.lapses <= Instant::now() { 0 } else { self.coming }
    }

    /// When what was asked for has come or never will.
    pub fn lapses_at(&self) -> Instant {
        self.lapses
    }

    /// Asks for so many messages more.
    pub async fn ask(&mut self, messages: usize) {
        if self.is_lost {
            match hear(&self.mesh).await {
                Ok((inbox, answers)) => (self.inbox, self.answers) = (inbox, answers),
                Err(error) => tracing::debug!(%error, "asking under the old name"),
            }
            self.is_lost = false;
        }
        self.coming = self.coming() + messages;
        self.lapses = Instant::now() + EXPIRES + LATE_MAX;
        let request = format!(r#"{{"batch":{messages},"expires":{}}}"#, EXPIRES.as_nanos());
        let (subject, reply) = (self.request_subject.clone(), self.inbox.clone());
        let sent = self.mesh.client.publish_with_reply(subject, reply, request.into()).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "a pull was not handed to the connection");
        }
    }

    /// What comes next. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Pulled {
        let answer = tokio::select! {
            // What has come, has come.
            biased;
            answer = self.answers.next() => answer,
            () = self.reconnects.next() => {
                (self.coming, self.lapses, self.is_lost) = (0, Instant::now(), true);
                return Pulled::Over;
            }
        };
        let Some(message) = answer else {
            // The connection is closed, and with it the process ends.
            return std::future::pending().await;
        };
        match message.status {
            None | Some(StatusCode::OK) => {
                self.coming = self.coming.saturating_sub(1);
                let context = self.mesh.jetstream.clone();
                Pulled::Message(Box::new(jetstream::Message { message, context }))
            }
            Some(status) => {
                let not_coming = not_coming(&message).unwrap_or(self.coming);
                self.coming = self.coming.saturating_sub(not_coming);
                if status == StatusCode::NO_RESPONDERS { Pulled::Nobody } else { Pulled::Over }
            }
        }
    }

    /// Ends it: the server sends nothing more. What it had sent before, to be handed back.
    pub async fn close(mut self) -> Vec<jetstream::Message> {
        let mut late = vec![];
        if let Err(error) = self.answers.drain().await {
            tracing::debug!(%error, "the connection is gone, and with it what was asked for");
            return late;
        }
        let all = async {
            while let Some(message) = self.answers.next().await {
                if matches!(message.status, None | Some(StatusCode::OK)) {
                    let context = self.mesh.jetstream.clone();
                    late.push(jetstream::Message { message, context });
                }
            }
        };
        // A server that is away has nothing more to say.
        let _ = tokio::time::timeout(LATE_MAX, all).await;
        late
    }
}

async fn hear(mesh: &Mesh) -> Result<(String, Subscriber), MeshError> {
    let inbox = mesh.client.new_inbox();
    let subscribed = mesh.client.subscribe(inbox.clone()).await;
    let answers = subscribed.map_err(|e| MeshError::jetstream("hear a queue", e))?;
    Ok((inbox, answers))
}

fn not_coming(message: &Message) -> Option<usize> {
    message.headers.as_ref()?.get(PENDING_HEADER)?.as_str().parse().ok()
}
