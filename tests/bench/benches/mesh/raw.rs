//! Raw JetStream carrying what one task costs the mesh: the decision appended, the assignment
//! published and pulled, the report published and pulled, both acknowledged. Nothing is decided.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use async_nats::{
    HeaderMap,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::{
        self,
        consumer::{PullConsumer, pull},
        stream::{self, RetentionPolicy},
    },
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use hdrhistogram::Histogram;
use tokio::sync::{mpsc, oneshot};

use crate::bed::Bed;

/// What the mesh's messages weigh with these plans, measured on its own streams: see `mesh.rs`.
const DECISION_BYTES: usize = 330;
const ASSIGNMENT_BYTES: usize = 230;
const REPORT_BYTES: usize = 260;
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The time of each of `count` round trips, in microseconds.
pub(crate) async fn one_at_a_time(bed: &Bed, count: usize) -> Result<Histogram<u64>> {
    let raw = Raw::make(bed).await?;
    let mut times = Histogram::new(3)?;
    let mut last = 0;
    for _ in 0..count {
        let begun = Instant::now();
        last = raw.round_trip("alone", last).await?;
        times.record(u64::try_from(begun.elapsed().as_micros())?)?;
    }
    raw.remove().await?;
    Ok(times)
}

/// Round trips per second with `lanes` of them under way, until somebody who reads the log has seen
/// them all, as with the mesh.
pub(crate) async fn in_flight(bed: &Bed, count: usize, lanes: usize) -> Result<f64> {
    let raw = Raw::make(bed).await?;
    let each = count.div_ceil(lanes);
    let log = bed.mesh.client.subscribe("raw.log.>").await?;
    let seen = tokio::spawn(async move { log.take(each * lanes).count().await });
    let begun = Instant::now();
    let running: FuturesUnordered<_> = (0..lanes)
        .map(|lane| {
            let raw = &raw;
            async move {
                let mut last = 0;
                for _ in 0..each {
                    last = raw.round_trip(&format!("lane-{lane}"), last).await?;
                }
                anyhow::Ok(())
            }
        })
        .collect();
    let done: Vec<Result<()>> = running.collect().await;
    done.into_iter().collect::<Result<()>>()?;
    tokio::time::timeout(ANSWER_WITHIN, seen).await??;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = (each * lanes) as f64 / begun.elapsed().as_secs_f64();
    raw.remove().await?;
    Ok(rate)
}

struct Raw {
    jetstream: jetstream::Context,
    waiting: mpsc::UnboundedSender<(String, oneshot::Sender<()>)>,
}

impl Raw {
    async fn make(bed: &Bed) -> Result<Self> {
        let jetstream = bed.mesh.jetstream.clone();
        let work = RetentionPolicy::WorkQueue;
        let tasks = make_stream(&jetstream, "RAW_TASKS", "raw.task.>", work).await?;
        let inbox = make_stream(&jetstream, "RAW_INBOX", "raw.in.>", work).await?;
        make_stream(&jetstream, "RAW_LOG", "raw.log.>", RetentionPolicy::Limits).await?;
        tokio::spawn(worker(jetstream.clone(), consumer(&tasks).await?));
        let (waiting, waiters) = mpsc::unbounded_channel();
        tokio::spawn(listener(consumer(&inbox).await?, waiters));
        Ok(Self { jetstream, waiting })
    }

    /// Append, publish, pull, publish, pull.
    async fn round_trip(&self, lane: &str, last: u64) -> Result<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string().as_str());
        let decision = Bytes::from(vec![b'd'; DECISION_BYTES]);
        let log = format!("raw.log.{lane}");
        let ack = self.jetstream.publish_with_headers(log, headers, decision).await?.await?;
        let (heard, hear) = oneshot::channel();
        self.waiting.send((lane.to_owned(), heard)).ok().context("the listener is gone")?;
        let task = format!("raw.task.{lane}");
        let assignment = Bytes::from(vec![b'a'; ASSIGNMENT_BYTES]);
        self.jetstream.publish(task, assignment).await?.await?;
        tokio::time::timeout(ANSWER_WITHIN, hear).await??;
        Ok(ack.sequence)
    }

    async fn remove(&self) -> Result<()> {
        for name in ["RAW_TASKS", "RAW_INBOX", "RAW_LOG"] {
            self.jetstream.delete_stream(name).await?;
        }
        Ok(())
    }
}

async fn make_stream(
    jetstream: &jetstream::Context,
    name: &str,
    subject: &str,
    retention: RetentionPolicy,
) -> Result<stream::Stream> {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        retention,
        ..stream::Config::default()
    };
    Ok(jetstream.create_stream(config).await?)
}

async fn consumer(stream: &stream::Stream) -> Result<PullConsumer> {
    let config = pull::Config {
        durable_name: Some("raw".to_owned()),
        max_ack_pending: 4_096,
        ..pull::Config::default()
    };
    Ok(stream.create_consumer(config).await?)
}

async fn worker(jetstream: jetstream::Context, consumer: PullConsumer) -> Result<()> {
    let mut messages = consumer.stream().max_messages_per_batch(256).messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        let jetstream = jetstream.clone();
        tokio::spawn(async move {
            let subject = message.subject.replace("raw.task", "raw.in");
            let report = Bytes::from(vec![b'r'; REPORT_BYTES]);
            jetstream.publish(subject, report).await?.await?;
            message.ack().await.map_err(anyhow::Error::from_boxed)
        });
    }
    Ok(())
}

/// Tells each lane that its report has come.
async fn listener(
    consumer: PullConsumer,
    mut waiters: mpsc::UnboundedReceiver<(String, oneshot::Sender<()>)>,
) -> Result<()> {
    let mut lanes = std::collections::HashMap::new();
    let mut messages = consumer.stream().max_messages_per_batch(256).messages().await?;
    while let Some(message) = messages.next().await {
        let message = message?;
        // A lane says that it waits before it publishes, so its word is here before its report.
        while let Ok((lane, heard)) = waiters.try_recv() {
            lanes.insert(lane, heard);
        }
        let lane = message.subject.trim_start_matches("raw.in.").to_owned();
        message.ack().await.map_err(anyhow::Error::from_boxed)?;
        if let Some(heard) = lanes.remove(&lane) {
            let _: Result<(), ()> = heard.send(());
        }
    }
    Ok(())
}
