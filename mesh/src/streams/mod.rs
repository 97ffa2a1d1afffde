//! The streams, buckets and consumers of a mesh: created where they are missing, checked where
//! they exist.
//!
//! An old server silently drops fields it does not know, and a stream may have been made by hand:
//! what the server echoes is compared with what was asked, and a difference is an error that
//! names the field. How much a stream holds, and where, is the operator's to change
//! ([`OPERATORS_FIELDS`]).

mod wanted;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use async_nats::jetstream::{
    self, ErrorCode,
    consumer::{AckPolicy, IntoConsumerConfig, PullConsumer, pull},
    context::RequestErrorKind,
    kv, object_store,
    response::Response,
    stream::{self, Stream},
};
use deadelus_proto::{
    Role, SpecialistName, Subjects,
    limits::{INBOX_ACK_WAIT, TASK_ACK_PENDING_MAX, TASK_ACK_WAIT, TASK_DELIVERIES_MAX},
    role::token,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    Mesh, MeshError,
    error::{Cause, chain},
};
pub use wanted::{
    ADVISORIES, ARTEFACTS, CARDS, DEAD, DRAFTS, INBOX, LEASES, LEDGER, LOG, OPERATORS_FIELDS,
    SLOTS, TASKS, WORKFLOWS,
};

/// Inbox messages one partition holds unacknowledged: the orchestrator decides them one by one.
pub const INBOX_ACK_PENDING_MAX: i64 = 1_024;

/// Pull requests waiting at one consumer: one per replica is enough, hundreds of replicas may wait.
const PULLS_WAITING_MAX: i64 = 2_048;

/// What makes a consumer the one of the contract.
const CONSUMER_FIELDS: [&str; 7] = [
    "ack_policy",
    "ack_wait",
    "backoff",
    "deliver_policy",
    "filter_subject",
    "max_ack_pending",
    "max_deliver",
];

/// A cluster that has just been started elects its leaders within seconds.
const ENSURE_MAX: Duration = Duration::from_secs(30);

/// "Not now", in the API as in HTTP: no leader yet, or too few servers.
const UNAVAILABLE: usize = 503;

/// Between two tries while it does.
const ENSURE_PAUSE: Duration = Duration::from_millis(250);

/// Creates or checks all streams, buckets and the object store. Doing it twice is doing it once;
/// several processes may do it at a time.
///
/// `replicas` is the number of copies of each: 1, or 3 in a cluster.
///
/// On a mesh with roles the orchestrator makes everything, also the specialists' consumers and
/// ledgers: nobody else may, and a specialist waits for what is its own.
///
/// # Errors
/// [`MeshError::Differs`] naming the field, [`MeshError::JetStream`] when the server refuses or
/// has no JetStream.
pub async fn ensure(mesh: &Mesh, replicas: usize) -> Result<(), MeshError> {
    let confined = match &mesh.role {
        None => false,
        Some(Role::Orchestrator) => true,
        Some(Role::Specialist(name)) => return made_by_others(mesh, name).await,
        Some(Role::Operator | Role::Viewer) => return Ok(()),
    };
    for config in wanted::all(&mesh.subjects, replicas, confined) {
        ensure_stream(mesh, &config).await?;
    }
    if confined {
        for name in Role::all().iter().filter_map(Role::specialist) {
            make_task_consumer(mesh, name, TASK_ACK_PENDING_MAX).await?;
        }
    }
    Ok(())
}

/// Waits for what the orchestrator makes last: the specialist's consumer.
async fn made_by_others(mesh: &Mesh, specialist: &SpecialistName) -> Result<(), MeshError> {
    let deadline = Instant::now() + ENSURE_MAX;
    loop {
        let Err(error) = stream(mesh, TASKS).await?.consumer_info(specialist.as_str()).await else {
            return Ok(());
        };
        if Instant::now() >= deadline {
            let what = format!(
                "find the work of {specialist}; the orchestrator makes it: start one, and see that \
                 nats.role and the credential are those of {specialist}"
            );
            return Err(MeshError::jetstream(what, error));
        }
        tracing::info!(error = chain(&error), "waiting for the orchestrator to make the streams");
        tokio::time::sleep(ENSURE_PAUSE).await;
    }
}

/// The consumer of a specialist's assignments, shared by all its replicas.
///
/// An assignment that was delivered [`TASK_DELIVERIES_MAX`] times stays in the stream and is
/// announced as an advisory; [`ADVISORIES`] keeps that.
///
/// # Errors
/// As [`ensure`]; also when [`TASKS`] is missing.
pub async fn task_consumer(
    mesh: &Mesh,
    specialist: &SpecialistName,
    max_ack_pending: i64,
) -> Result<PullConsumer, MeshError> {
    if mesh.role.is_none() {
        return make_task_consumer(mesh, specialist, max_ack_pending).await;
    }
    let found = stream(mesh, TASKS).await?.get_consumer(specialist.as_str()).await;
    found.map_err(|e| MeshError::jetstream(format!("consumer {specialist}"), e))
}

async fn make_task_consumer(
    mesh: &Mesh,
    specialist: &SpecialistName,
    max_ack_pending: i64,
) -> Result<PullConsumer, MeshError> {
    let config = pull::Config {
        filter_subject: mesh.subjects.tasks_of(specialist),
        ack_wait: TASK_ACK_WAIT,
        max_deliver: TASK_DELIVERIES_MAX,
        max_ack_pending,
        ..durable(specialist.as_str())
    };
    ensure_consumer(mesh, TASKS, config).await
}

/// The consumer of one partition's inbox, made anew for the replica that takes the partition over.
///
/// Whoever pulled before pulls no more, though it may be frozen with a request open; what it was
/// brought and has not acknowledged comes to the new puller at once, not after [`INBOX_ACK_WAIT`].
///
/// It is redelivered without end: what cannot be handled is the orchestrator's to terminate, with
/// the reason, because a report that merely expired would be lost.
///
/// # Errors
/// As [`ensure`]; also when [`INBOX`] is missing.
pub async fn take_inbox(mesh: &Mesh, partition: u16) -> Result<PullConsumer, MeshError> {
    let name = format!("partition-{partition}");
    let gone = stream(mesh, INBOX).await?.delete_consumer(&name).await;
    if let Err(error) = gone
        && !is_missing(&error)
    {
        return Err(MeshError::jetstream(format!("take over consumer {name}"), error));
    }
    let config = pull::Config {
        filter_subject: mesh.subjects.inbox_of(partition),
        ack_wait: INBOX_ACK_WAIT,
        max_deliver: -1,
        max_ack_pending: INBOX_ACK_PENDING_MAX,
        ..durable(&name)
    };
    ensure_consumer(mesh, INBOX, config).await
}

/// A stream of this mesh, by its short name ([`LOG`]). The server is not asked whether it is there.
///
/// # Errors
/// Never for the names of this module.
pub async fn stream(mesh: &Mesh, name: &str) -> Result<Stream<()>, MeshError> {
    let name = mesh.subjects.resource(name);
    let stream = mesh.jetstream.get_stream_no_info(&name).await;
    stream.map_err(|e| MeshError::jetstream(format!("stream {name}"), e))
}

/// The whole name of a stream of this mesh, or of the stream under a bucket or object store.
pub fn resource(mesh: &Mesh, name: &str) -> String {
    under(&mesh.subjects, name)
}

/// The same from the names alone.
pub(crate) fn under(subjects: &Subjects, name: &str) -> String {
    let kind = match name {
        CARDS | LEDGER | WORKFLOWS | LEASES | DRAFTS | SLOTS => "KV_",
        ARTEFACTS => "OBJ_",
        name if name.starts_with(LEDGER) => "KV_",
        _ => "",
    };
    format!("{kind}{}", subjects.resource(name))
}

/// The ledger that is a specialist's alone, where there are roles: `LEDGER_DB`.
pub fn ledger_of(specialist: &SpecialistName) -> String {
    format!("{LEDGER}_{}", token(specialist.as_str()))
}

/// A bucket of this mesh: [`CARDS`], [`LEDGER`], [`WORKFLOWS`] or [`DRAFTS`]. Where there are roles
/// a specialist's [`LEDGER`] is its own.
///
/// # Errors
/// [`MeshError::JetStream`] when it is missing; [`ensure`] makes it.
pub async fn bucket(mesh: &Mesh, name: &str) -> Result<kv::Store, MeshError> {
    let own = mesh.role.as_ref().and_then(Role::specialist).filter(|_| name == LEDGER);
    let name = own.map_or_else(|| name.to_owned(), ledger_of);
    let name = mesh.subjects.resource(&name);
    let store = mesh.jetstream.get_key_value(&name).await;
    store.map_err(|e| MeshError::jetstream(format!("bucket {name}"), e))
}

/// Where a key of a bucket is written.
pub fn key_subject(mesh: &Mesh, bucket: &str, key: &str) -> String {
    format!("$KV.{}.{key}", mesh.subjects.resource(bucket))
}

/// The object store of this mesh.
pub(crate) async fn artefacts(mesh: &Mesh) -> Result<object_store::ObjectStore, MeshError> {
    let name = mesh.subjects.resource(ARTEFACTS);
    let store = mesh.jetstream.get_object_store(&name).await;
    store.map_err(|e| MeshError::jetstream(format!("object store {name}"), e))
}

/// Removes the messages of one literal subject from a stream, by its whole name: all, or those below
/// a sequence. Doing it twice is doing it once.
///
/// # Errors
/// [`MeshError::JetStream`].
pub(crate) async fn purge(
    mesh: &Mesh,
    stream: &str,
    subject: &str,
    below: Option<u64>,
) -> Result<(), MeshError> {
    let what = || format!("purge {subject}");
    let opened = mesh.jetstream.get_stream_no_info(stream).await;
    let purge = opened.map_err(|e| MeshError::jetstream(what(), e))?.purge().filter(subject);
    let purged = match below {
        Some(sequence) => purge.sequence(sequence).await,
        None => purge.await,
    };
    purged.map(|_| ()).map_err(|e| MeshError::jetstream(what(), e))
}

async fn ensure_stream(mesh: &Mesh, wanted: &stream::Config) -> Result<(), MeshError> {
    let name = &wanted.name;
    // Creating what exists as asked is no error; what exists otherwise is looked at.
    let found = match ask(mesh, &format!("STREAM.CREATE.{name}"), wanted).await? {
        Err(said) if said.error_code() == ErrorCode::STREAM_NAME_EXIST => {
            ask(mesh, &format!("STREAM.INFO.{name}"), &()).await?
        }
        answer => answer,
    };
    let found = found.map_err(|said| match said.error_code() {
        ErrorCode::STORAGE_RESOURCES_EXCEEDED => no_room(wanted, &said),
        _ => MeshError::jetstream(format!("stream {name}"), said),
    })?;
    compare(name, &fields(wanted), &fields(&found))
}

/// A stream's size is reserved when it is made: a server that has not so much left refuses.
fn no_room(wanted: &stream::Config, said: &jetstream::Error) -> MeshError {
    MeshError::NoRoom {
        stream: wanted.name.clone(),
        mib: wanted.max_bytes / (1024 * 1024),
        reason: said.to_string(),
    }
}

/// One question about a stream, repeated while the server cannot answer yet.
async fn ask(
    mesh: &Mesh,
    subject: &str,
    body: &impl Serialize,
) -> Result<Result<stream::Config, jetstream::Error>, MeshError> {
    let deadline = Instant::now() + ENSURE_MAX;
    loop {
        let not_yet: Cause = match mesh.jetstream.request(subject.to_owned(), body).await {
            Ok(Response::Ok(stream::Info { config, .. })) => return Ok(Ok(config)),
            Ok(Response::Err { error }) if error.code() != UNAVAILABLE => return Ok(Err(error)),
            Ok(Response::Err { error }) => error.into(),
            Err(error) if error.kind() == RequestErrorKind::TimedOut => error.into(),
            Err(error) => {
                let what = format!("{subject}; is JetStream enabled (nats-server --jetstream)?");
                return Err(MeshError::jetstream(what, error));
            }
        };
        if Instant::now() >= deadline {
            return Err(MeshError::jetstream(subject, not_yet));
        }
        tracing::info!(subject, error = chain(&*not_yet), "waiting for JetStream");
        tokio::time::sleep(ENSURE_PAUSE).await;
    }
}

fn is_missing(error: &stream::ConsumerError) -> bool {
    let stream::ConsumerErrorKind::JetStream(said) = error.kind() else { return false };
    said.error_code() == ErrorCode::CONSUMER_NOT_FOUND
}

fn durable(name: &str) -> pull::Config {
    pull::Config {
        durable_name: Some(name.to_owned()),
        ack_policy: AckPolicy::Explicit,
        max_waiting: PULLS_WAITING_MAX,
        ..pull::Config::default()
    }
}

async fn ensure_consumer(
    mesh: &Mesh,
    stream: &str,
    wanted: pull::Config,
) -> Result<PullConsumer, MeshError> {
    let name = wanted.durable_name.as_deref().unwrap_or_default();
    let resource = format!("{}/{name}", mesh.subjects.resource(stream));
    let consumer = self::stream(mesh, stream)
        .await?
        .create_consumer(wanted.clone())
        .await
        .map_err(|e| MeshError::jetstream(format!("create consumer {resource}"), e))?;
    let wanted = fields(&wanted.clone().into_consumer_config());
    let found = fields(&consumer.cached_info().config);
    let differs = |field: &&str| wanted.get(*field) != found.get(*field);
    let Some(field) = CONSUMER_FIELDS.into_iter().find(differs) else { return Ok(consumer) };
    let show = |fields: &Map<String, Value>| fields.get(field).unwrap_or_default().to_string();
    let (wanted, found) = (show(&wanted), show(&found));
    Err(MeshError::Differs { resource, field: field.to_owned(), wanted, found })
}

/// A configuration as the server's API spells it.
fn fields(config: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => Map::new(),
    }
}

/// Every field must be as asked, the absent ones absent, except what is the operator's.
fn compare(
    resource: &str,
    wanted: &Map<String, Value>,
    found: &Map<String, Value>,
) -> Result<(), MeshError> {
    let all: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    for field in all {
        let of = |fields: &Map<String, Value>| fields.get(field).cloned().unwrap_or_default();
        let (wanted, found) = (of(wanted), of(found));
        if wanted == found {
            continue;
        }
        if OPERATORS_FIELDS.contains(&field.as_str()) && (wanted.is_null() || !found.is_null()) {
            tracing::debug!(resource, field, %found, default = %wanted, "the operator's choice");
            continue;
        }
        return Err(MeshError::Differs {
            resource: resource.to_owned(),
            field: field.clone(),
            wanted: wanted.to_string(),
            found: found.to_string(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dropped_or_foreign_field_is_a_difference_and_a_limit_is_not() {
        let map = |v: Value| v.as_object().unwrap().clone();
        let wanted =
            map(json!({"name": "X", "deny_delete": true, "max_bytes": 10, "mirror": null}));
        let check = |found: Value| compare("X", &wanted, &map(found));
        check(json!({"name": "X", "deny_delete": true, "max_bytes": 10})).unwrap();
        check(json!({"name": "X", "deny_delete": true, "max_bytes": 99, "metadata": {}})).unwrap();
        let error = check(json!({"name": "X", "max_bytes": 10})).unwrap_err().to_string();
        assert!(error.contains("deny_delete = null, needed is true"), "{error}");
        let found = json!({"name": "X", "deny_delete": true, "max_bytes": 10, "sealed": true});
        assert!(check(found).unwrap_err().to_string().contains("sealed = true"));
    }
}
