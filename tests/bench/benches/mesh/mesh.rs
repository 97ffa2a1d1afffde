//! The mesh doing trivial tasks: everything it does for a real one, and nothing else.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use deadelus_core::CheckedPlan;
use deadelus_proto::{
    Subject, WorkflowId,
    pb::{self, event::Kind},
};
use futures_util::StreamExt as _;
use hdrhistogram::Histogram;
use prost::Message as _;
use serde_json::{Value, json};

use crate::bed::Bed;

/// Without any decision for this long the run has failed.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Submitted together while many are opened.
const OPENED_AT_ONCE: usize = 500;
/// Plans have at most 2,000 tasks; a chain of this many is measured again and again.
const CHAIN_MAX: usize = 100;

/// The time of each of about `count` tasks of chains, one after the other, in microseconds: from one
/// decision of the log to the next, as somebody who reads the log sees them.
pub(crate) async fn one_at_a_time(bed: &Bed, count: usize) -> Result<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let plan = chain(bed, CHAIN_MAX.min(count), "none")?;
    for run in 0..count.div_ceil(CHAIN_MAX) {
        let mut log = bed.mesh.client.subscribe(bed.mesh.subjects.all("log")).await?;
        submit(bed, &plan, &format!("alone-{run}").parse()?).await?;
        let mut last: Option<Instant> = None;
        loop {
            let decision = next(&mut log).await?;
            let now = Instant::now();
            if let Some(before) = last.replace(now) {
                times.record(u64::try_from((now - before).as_micros())?)?;
            }
            if has_ended(&decision)? {
                break;
            }
        }
    }
    Ok(times)
}

/// What many at once did.
pub(crate) struct Crowd {
    pub(crate) tasks_per_s: f64,
    /// From one decision of a workflow to its next, in microseconds.
    pub(crate) times: Histogram<u64>,
}

/// `workflows` chains of `tasks` each, all at once. `run` tells one crowd from the next.
pub(crate) async fn at_once(bed: &Bed, run: &str, workflows: usize, tasks: usize) -> Result<Crowd> {
    let plan = chain(bed, tasks, "none")?;
    let mut log = bed.mesh.client.subscribe(bed.mesh.subjects.all("log")).await?;
    let ids: Vec<WorkflowId> =
        (0..workflows).map(|n| format!("{run}-{n}").parse()).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    let submitted = futures_util::future::join_all(ids.iter().map(|id| submit(bed, &plan, id)));
    submitted.await.into_iter().collect::<Result<()>>()?;
    let mut times = Histogram::new(3)?;
    let mut open: HashMap<String, Option<Instant>> =
        ids.iter().map(|id| (id.to_string(), None)).collect();
    while !open.is_empty() {
        let decision = next(&mut log).await?;
        let now = Instant::now();
        // Others may be open besides.
        let Some(last) = open.get_mut(&decision.workflow_id) else { continue };
        if let Some(before) = last.replace(now) {
            times.record(u64::try_from((now - before).as_micros())?)?;
        }
        if has_ended(&decision)? {
            open.remove(&decision.workflow_id);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let tasks_per_s = (workflows * tasks) as f64 / begun.elapsed().as_secs_f64();
    Ok(Crowd { tasks_per_s, times })
}

/// Workflows that wait for a person, each with a chain of `tasks`.
pub(crate) async fn open(bed: &Bed, workflows: usize, tasks: usize) -> Result<()> {
    let plan = chain(bed, tasks, "required")?;
    let mut log = bed.mesh.client.subscribe(bed.mesh.subjects.all("log")).await?;
    for at in (0..workflows).step_by(OPENED_AT_ONCE) {
        let some = at..workflows.min(at + OPENED_AT_ONCE);
        let ids = some.clone().map(|n| format!("open-{n}").parse());
        let ids: Vec<WorkflowId> = ids.collect::<Result<_, _>>()?;
        let submitted = futures_util::future::join_all(ids.iter().map(|id| submit(bed, &plan, id)));
        submitted.await.into_iter().collect::<Result<()>>()?;
        for _ in some {
            next(&mut log).await?;
        }
    }
    Ok(())
}

/// Tasks that need one another, one by one.
fn chain(bed: &Bed, tasks: usize, approval: &str) -> Result<CheckedPlan> {
    let task = |n: usize| {
        let needs: Vec<String> = n.checked_sub(1).map(|m| format!("task{m}")).into_iter().collect();
        json!({"does": "bench.echo", "title": "Echo", "needs": needs, "inputs": {"say": "hello"}})
    };
    let tasks: BTreeMap<String, Value> =
        (0..tasks).map(|n| (format!("task{n}"), task(n))).collect();
    let plan = json!({
        "deadelus": 1, "title": "A chain", "target": "nowhere", "approval": approval, "tasks": tasks,
    });
    let plan = serde_json::from_value(plan)?;
    CheckedPlan::check(plan, &bed.cards).map_err(|problems| anyhow!("{problems}"))
}

async fn submit(bed: &Bed, plan: &CheckedPlan, workflow: &WorkflowId) -> Result<()> {
    let start = pb::StartWorkflow {
        plan_json: plan.json().to_owned().into(),
        plan_digest: plan.digest().to_string(),
        submitted_by: "bench".to_owned(),
    };
    let inbound = pb::Inbound {
        id: format!("{workflow}.start"),
        workflow_id: workflow.to_string(),
        reply_to: String::new(),
        message: Some(pb::inbound::Message::Start(start)),
    };
    let subject = Subject::In { from: "client".parse()?, workflow: workflow.clone() };
    let subject = bed.mesh.subjects.of(&subject);
    bed.mesh.jetstream.publish(subject, inbound.encode_to_vec().into()).await?.await?;
    Ok(())
}

async fn next(log: &mut async_nats::Subscriber) -> Result<pb::Decision> {
    let message = tokio::time::timeout(SILENCE_MAX, log.next()).await?.context("no more log")?;
    Ok(pb::Decision::decode(message.payload)?)
}

fn has_ended(decision: &pb::Decision) -> Result<bool> {
    for event in &decision.events {
        match &event.kind {
            Some(Kind::Ended(ended)) if ended.ending() == pb::Ending::Done => return Ok(true),
            Some(Kind::Ended(ended)) => bail!("{}: {}", decision.workflow_id, ended.reason),
            Some(Kind::TaskFailed(failed)) => bail!("{failed:?}"),
            Some(_) | None => {}
        }
    }
    Ok(false)
}
