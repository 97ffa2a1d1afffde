//! Publishing to streams without waiting for each acknowledgement.
//!
//! One subscription hears the acknowledgements of everything published through a [`Pipeline`]; each
//! comes back with what the publisher remembers of it. One of them is awaited with [`publish`].

use std::{collections::BTreeMap, time::Duration};

use async_nats::{HeaderMap, Message, StatusCode, Subscriber, jetstream};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use crate::{Mesh, MeshError};

/// An ack that takes longer is taken for lost. An fsynced, replicated write takes milliseconds.
pub const PUB_ACK_MAX: Duration = Duration::from_secs(2);

/// What a stream said to a message.
#[derive(Debug)]
pub enum Answer {
    /// It is stored, at this sequence of the stream.
    Stored(u64),
    /// It is not, and why.
    Refused(jetstream::Error),
    /// Nobody said anything that can be understood: it may be stored, now or later.
    Silence(String),
}

/// Messages on their way, each with a `T` that says what it was.
#[derive(Debug)]
pub struct Pipeline<T> {
    mesh: Mesh,
    inbox: String,
    answers: Subscriber,
    next_token: u64,
    waiting: BTreeMap<u64, Waiting<T>>,
}

#[derive(Debug)]
struct Waiting<T> {
    until: Instant,
    what: T,
}

impl<T> Pipeline<T> {
    /// An empty one, with a subscription of its own.
    ///
    /// # Errors
    /// [`MeshError::JetStream`] when the connection is closed.
    pub async fn open(mesh: Mesh) -> Result<Self, MeshError> {
        let inbox = mesh.client.new_inbox();
        let answers = mesh
            .client
            .subscribe(format!("{inbox}.*"))
            .await
            .map_err(|e| MeshError::jetstream("hear acknowledgements", e))?;
        Ok(Self { mesh, inbox, answers, next_token: 0, waiting: BTreeMap::new() })
    }

    /// Hands a message to the connection. Waits only while the connection has no room; what the
    /// stream says comes from [`next`](Self::next).
    pub async fn publish(&mut self, subject: String, headers: HeaderMap, bytes: Bytes, what: T) {
        let token = self.next_token;
        self.next_token += 1;
        let reply = format!("{}.{token}", self.inbox);
        let client = &self.mesh.client;
        let sent = client.publish_with_reply_and_headers(subject, reply, headers, bytes).await;
        let until = match sent {
            Ok(()) => Instant::now() + PUB_ACK_MAX,
            // Nothing will be heard of it: it has waited long enough as it is.
            Err(error) => {
                tracing::debug!(%error, "not handed to the connection");
                Instant::now()
            }
        };
        self.waiting.insert(token, Waiting { until, what });
    }

    /// Hands a message to the connection, in order with the others. What became of it is never heard:
    /// for what is found missing by other means.
    pub async fn hand_over(&self, subject: String, headers: HeaderMap, bytes: Bytes) {
        let sent = self.mesh.client.publish_with_headers(subject, headers, bytes).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "not handed to the connection");
        }
    }

    /// The next answer; never, while nothing is on its way. Dropping the future loses nothing.
    pub async fn next(&mut self) -> (T, Answer) {
        loop {
            let Some(message) = self.answers.next().await else {
                // The connection is closed; what is on its way expires.
                return std::future::pending().await;
            };
            let token = message.subject.rsplit('.').next().and_then(|token| token.parse().ok());
            // What was given up is no news any more.
            if let Some(waiting) = token.and_then(|token: u64| self.waiting.remove(&token)) {
                return (waiting.what, Answer::of(&message));
            }
        }
    }

    /// What was published first of all that nobody has answered in time.
    pub fn expired(&mut self) -> Option<(T, Answer)> {
        let first = self.waiting.first_entry()?;
        if first.get().until > Instant::now() {
            return None;
        }
        Some((first.remove().what, Answer::Silence(format!("no answer in {PUB_ACK_MAX:?}"))))
    }

    /// The connection is another one: what nobody has answered over the old one, nobody will.
    pub fn expire_all(&mut self) {
        let now = Instant::now();
        self.waiting.values_mut().for_each(|waiting| waiting.until = waiting.until.min(now));
    }

    /// When something may expire; none while nothing is on its way.
    pub fn expires_at(&self) -> Option<Instant> {
        self.waiting.first_key_value().map(|(_, waiting)| waiting.until)
    }
}

/// Publishes one message and waits for what the stream says, at most [`PUB_ACK_MAX`].
pub async fn publish(mesh: &Mesh, subject: &str, headers: HeaderMap, bytes: Bytes) -> Answer {
    let request = async_nats::Request::new().headers(headers).payload(bytes).timeout(None);
    let answered = mesh.client.send_request(subject.to_owned(), request);
    match timeout(PUB_ACK_MAX, answered).await {
        Ok(Ok(message)) => Answer::of(&message),
        Ok(Err(error)) => Answer::Silence(error.to_string()),
        Err(_) => Answer::Silence(format!("no answer in {PUB_ACK_MAX:?}")),
    }
}

/// As a stream writes it: `{"stream":"S","seq":7}` or `{"error":{…}}`.
#[derive(Deserialize)]
struct Written {
    seq: Option<u64>,
    error: Option<jetstream::Error>,
}

impl Answer {
    fn of(message: &Message) -> Self {
        if message.status == Some(StatusCode::NO_RESPONDERS) {
            return Self::Silence("no stream listens".to_owned());
        }
        match serde_json::from_slice(&message.payload) {
            Ok(Written { error: Some(error), .. }) => Self::Refused(error),
            Ok(Written { seq: Some(sequence), error: None }) => Self::Stored(sequence),
            Ok(Written { seq: None, error: None }) => Self::Silence("an empty answer".to_owned()),
            Err(error) => Self::Silence(format!("not an answer: {error}")),
        }
    }
}
