//! A release by processes: the new ones are started and proved before any customer meets them, the
//! proxy moves step by step, and the old ones stay warm.
//!
//! Where it got to is read from the proxy's table, never from memory: after a kill the same
//! function goes on with the step it finds in force.

use std::collections::BTreeSet;

use bytes::Bytes;
use deadelus_proxy::{Routes, Server};
use deadelus_runtime::{Aftermath, Artefact, Check, Context, ErrorClass, Failure, Found, Measured};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Inputs, Outputs};
use crate::{
    fleet::Fleet,
    rollout::{self, Seen, Verdict, error_percent, judge, rest, seen},
    routing::Report,
    routing::table::{fingerprint, of_revision, revision_of, serving, sorted},
    switch::{self, End, Patience},
    target::Target,
    timeline::Timeline,
    witness::{Testimony, Witness},
};

/// What was there before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    /// The one revision that was served; none when the proxy had no servers.
    pub(crate) previous: Option<String>,
    /// Who got what.
    pub(crate) routes: Routes,
    /// What the proxy had seen.
    pub(crate) report: Report,
}

/// What was seen on the way; kept as evidence.
#[derive(Debug, Default, Serialize)]
struct Seeing {
    switches: Vec<Timeline>,
    steps: Vec<Step>,
    witness: Testimony,
}

/// One table while it was in force.
#[derive(Debug, Serialize)]
struct Step {
    routes: Routes,
    new: Seen,
    old: Seen,
    verdict: String,
}

/// The fleet as it is, if a release can start from there.
pub(super) async fn look(target: &Target, fleet: &Fleet) -> Result<Before, Failure> {
    let report = fleet.proxy.report().await?;
    let routes = sorted(report.routes());
    if let Some(foreign) = routes.servers.iter().find(|s| revision_of(&s.name).is_none()) {
        let text = format!("server {} of the proxy is of no revision", foreign.name);
        return Err(Failure::new(ErrorClass::PreconditionFailed, text)
            .help("servers are named like v1-0; remove what somebody else put there"));
    }
    let served = serving(&routes);
    if served.len() > 1 {
        let names = served.into_iter().collect::<Vec<_>>().join(" and ");
        return Err(Failure::new(ErrorClass::PreconditionFailed, format!("served are {names}"))
            .help("another release is on its way; deployment.rollback ends it"));
    }
    let previous = served.first().map(|revision| (*revision).to_owned());
    if let Some(previous) = &previous {
        target.declared(previous).map_err(|failure| {
            let text = format!("served now, and so needed for the way back: {}", failure.message);
            Failure::new(ErrorClass::PreconditionFailed, text).help(failure.help)
        })?;
        let probe = fleet.through_proxy.probe().await;
        if probe.answer.revision() != Some(previous) || probe.answer.trouble().is_some() {
            let reason = probe.answer.trouble().unwrap_or("it says that it is another revision");
            let text = format!("{previous} is served and not well: {reason}");
            return Err(Failure::new(ErrorClass::PreconditionFailed, text)
                .help("a release starts from a healthy service; deployment.rollback repairs"));
        }
    }
    Ok(Before { previous, routes, report })
}

pub(super) async fn perform(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
    before: &Before,
) -> Result<Measured<Outputs>, Failure> {
    // An earlier attempt may have begun: without a look nobody knows.
    let now = sorted(fleet.proxy.report().await.map_err(unknown)?.routes());
    ours(&now, inputs, before)?;
    let mut seeing = Seeing::default();
    let failure = match forward(cx, fleet, inputs, before, &mut seeing).await {
        Ok(routes) => {
            let checks = checks(fleet, inputs, before, &seeing).await.map_err(partial)?;
            if checks.iter().all(|c| c.pass) {
                let kept = keep(cx, &seeing).await.map_err(partial)?;
                let outputs = outputs(inputs, before, &routes);
                return Ok(Measured::new(outputs, checks).artefacts(vec![kept]));
            }
            let failed = checks.iter().filter(|c| !c.pass);
            let said = failed.map(|c| format!("{}: {} {}", c.id, c.measured, c.note));
            let said = said.collect::<Vec<_>>().join("; ");
            Failure::new(ErrorClass::CheckFailed, said).checks(checks)
        }
        Err(failure) => failure,
    };
    Err(take_back(cx, fleet, inputs, before, seeing, failure).await)
}

pub(super) async fn reconcile(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
    before: &Before,
) -> Result<Found<Outputs>, Failure> {
    let report = fleet.proxy.report().await?;
    let now = sorted(report.routes());
    let new: Vec<Server> = of_revision(&now, &inputs.revision).cloned().collect();
    let last = rollout::tables(&inputs.strategy, &before.routes, &new).pop();
    if new.is_empty() || last.as_ref() != Some(&now) {
        let held = fleet.supervisor.look()?;
        let started = held.keys().any(|name| revision_of(name) == Some(&inputs.revision));
        let begun = started || now != sorted(before.routes.clone());
        return Ok(if begun { Found::Partly } else { Found::NotBegun });
    }
    let mut seeing = Seeing::default();
    if confirm(cx, fleet, inputs, &mut seeing).await.is_err() {
        return Ok(Found::Partly);
    }
    let checks = checks(fleet, inputs, before, &seeing).await?;
    let kept = keep(cx, &seeing).await?;
    Ok(Found::Done(Measured::new(outputs(inputs, before, &now), checks).artefacts(vec![kept])))
}

/// Everything forward, to the last table in force and confirmed.
async fn forward(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
    before: &Before,
    seeing: &mut Seeing,
) -> Result<Routes, Failure> {
    let give_up = Instant::now() + fleet.watch.switch_timeout;
    let new = fleet.raise(&inputs.revision).await?;
    for server in &new {
        let (well, timeline) = fleet.steady(Some(cx), server, &inputs.revision, give_up).await;
        seeing.switches.push(timeline);
        well?;
    }
    let now = fleet.proxy.report().await?.routes();
    let tables = rollout::tables(&inputs.strategy, &before.routes, &new);
    let Some(rest) = rest(&tables, &before.routes, &now) else {
        return Err(Failure::new(
            ErrorClass::PreconditionFailed,
            "somebody else changed the proxy's table meanwhile",
        ));
    };
    let mut witness = before.previous.as_ref().map(|_| Witness::start(fleet.witness_url.clone()));
    for table in rest {
        fleet.proxy.replace(table).await?;
        let witness = witness.get_or_insert_with(|| Witness::start(fleet.witness_url.clone()));
        let held = hold(cx, fleet, inputs, table, witness, give_up).await;
        seeing.witness = witness.testimony();
        match held {
            (Ok(()), step) => seeing.steps.push(step),
            (Err(failure), step) => {
                seeing.steps.push(step);
                return Err(failure);
            }
        }
    }
    drop(witness);
    confirm(cx, fleet, inputs, seeing).await?;
    Ok(tables.last().cloned().unwrap_or_default())
}

/// Keeps one table in force until the new revision has shown itself, or has failed to.
async fn hold(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
    table: &Routes,
    witness: &Witness,
    give_up: Instant,
) -> (Result<(), Failure>, Step) {
    let mut from = None;
    let begun = Instant::now();
    loop {
        let now = fleet.proxy.report().await;
        let result = match &now {
            Err(failure) => Some(Err(failure.clone())),
            Ok(now) => {
                let from = from.get_or_insert_with(|| now.clone());
                let held = begun.elapsed().as_millis() >= u128::from(inputs.gates.hold_ms);
                let verdict = judge(from, now, &inputs.revision, &inputs.gates, held);
                step_result(fleet, inputs, &witness.testimony(), verdict)
            }
        };
        let late = Instant::now() + fleet.watch.probe_interval >= give_up;
        let result = match result {
            None if late => {
                let text = "a step of the release did not show enough in time";
                Some(Err(Failure::new(ErrorClass::CheckFailed, text)))
            }
            None if cx.cancelled() => Some(Err(crate::fleet::cancelled())),
            result => result,
        };
        if let Some(result) = result {
            return (
                result.clone(),
                step(table, inputs, from.as_ref(), now.ok().as_ref(), &result),
            );
        }
        tokio::time::sleep(fleet.watch.probe_interval).await;
    }
}

/// What one look at a step means; none: look again.
fn step_result(
    fleet: &Fleet,
    inputs: &Inputs,
    testimony: &Testimony,
    verdict: Verdict,
) -> Option<Result<(), Failure>> {
    let names = (0..fleet.replicas)
        .map(|replica| crate::routing::table::server_name(&inputs.revision, replica));
    if let Some(failure) = names.filter_map(|name| fleet.runs(&name).err()).next() {
        return Some(Err(failure));
    }
    if let Some(reason) = &testimony.first_failure {
        let text = format!("a customer was refused: {reason}");
        return Some(Err(Failure::new(ErrorClass::CheckFailed, text)));
    }
    match verdict {
        Verdict::Open => None,
        Verdict::Good => Some(Ok(())),
        Verdict::Bad(reason) => Some(Err(Failure::new(ErrorClass::CheckFailed, reason))),
    }
}

fn step(
    routes: &Routes,
    inputs: &Inputs,
    from: Option<&Report>,
    now: Option<&Report>,
    result: &Result<(), Failure>,
) -> Step {
    let is_new = |name: &str| revision_of(name) == Some(&inputs.revision);
    let (new, old) = match (from, now) {
        (Some(from), Some(now)) => {
            (seen(from, now, |s| is_new(&s.name)), seen(from, now, |s| !is_new(&s.name)))
        }
        (Some(_) | None, Some(_) | None) => (Seen::default(), Seen::default()),
    };
    let verdict = result.as_ref().err().map_or("good".to_owned(), |f| f.message.clone());
    Step { routes: routes.clone(), new, old, verdict }
}

/// Asks as a customer until the revision has answered often enough in a row.
async fn confirm(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
    seeing: &mut Seeing,
) -> Result<(), Failure> {
    let witness = Witness::start(fleet.witness_url.clone());
    let settled =
        switch::settle(cx, &fleet.through_proxy, &fleet.watch, &inputs.revision, Patience::None);
    let (end, timeline) = settled.await;
    seeing.switches.push(timeline);
    seeing.witness.add(&witness.testimony());
    match end {
        End::Settled => Ok(()),
        End::Unsettled(reason) => Err(Failure::new(ErrorClass::CheckFailed, reason)),
        End::Cancelled => Err(crate::fleet::cancelled()),
    }
}

async fn checks(
    fleet: &Fleet,
    inputs: &Inputs,
    before: &Before,
    seeing: &Seeing,
) -> Result<Vec<Check>, Failure> {
    let now = fleet.proxy.report().await?;
    let all = seen(&before.report, &now, |s| revision_of(&s.name) == Some(&inputs.revision));
    let mut checks = match seeing.switches.last() {
        Some(timeline) => timeline.checks(fleet.watch.healthy_probes),
        None => Timeline::new(&inputs.revision).checks(fleet.watch.healthy_probes),
    };
    let Testimony { requests, failed, first_failure } = &seeing.witness;
    let note = first_failure.clone().unwrap_or_else(|| format!("of {requests}"));
    checks.push(match requests {
        0 => Check::not_measured("failed_requests", "0", "no customer of ours asked"),
        _ => Check::equal("failed_requests", *failed, 0).note(note),
    });
    let percent = (error_percent(&all) * 100.0).round() / 100.0;
    checks.push(
        Check::at_most("error_percent", percent, inputs.gates.max_error_percent)
            .note(format!("{} of {} answers of {}", all.errors, all.requests, inputs.revision)),
    );
    Ok(checks)
}

/// Refuses to write over what somebody else put in force in the meantime.
fn ours(now: &Routes, inputs: &Inputs, before: &Before) -> Result<(), Failure> {
    let mine: BTreeSet<&str> =
        before.previous.as_deref().into_iter().chain([inputs.revision.as_str()]).collect();
    let served = serving(now);
    match served.iter().find(|revision| !mine.contains(*revision)) {
        None => Ok(()),
        Some(other) => {
            let text = format!("the proxy now serves {other}");
            Err(Failure::new(ErrorClass::PreconditionFailed, text)
                .help("somebody else releases this service; plan again once they are done"))
        }
    }
}

fn outputs(inputs: &Inputs, before: &Before, now: &Routes) -> Outputs {
    Outputs {
        revision: inputs.revision.clone(),
        previous: before.previous.clone(),
        fingerprint_before: fingerprint(&before.routes),
        fingerprint: fingerprint(now),
    }
}

/// Brings back what was in force, stops what was started, and says so in the failure.
async fn take_back(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
    before: &Before,
    mut seeing: Seeing,
    mut failure: Failure,
) -> Failure {
    let leaves = (before.previous.as_ref() != Some(&inputs.revision)).then_some(&inputs.revision);
    if failure.class == ErrorClass::PreconditionFailed {
        // What somebody else put in force is theirs.
        return partial(failure);
    }
    match fleet.restore(&before.routes, leaves.map(String::as_str)).await {
        Ok(restored) => {
            seeing.switches.extend(restored.timelines);
            failure.aftermath = Aftermath::TakenBack;
        }
        Err((error, timelines)) => {
            seeing.switches.extend(timelines);
            failure.message = format!("{}; and taking it back: {}", failure.message, error.message);
            failure.aftermath = Aftermath::Partial;
        }
    }
    failure.artefacts.extend(keep(cx, &seeing).await.ok());
    failure
}

async fn keep(cx: &Context, seeing: &Seeing) -> Result<Artefact, Failure> {
    let json = serde_json::to_vec(seeing)
        .map_err(|e| Failure::new(ErrorClass::Unavailable, format!("timeline.json: {e}")))?;
    cx.keep("timeline.json", "application/json", Bytes::from(json)).await
}

fn unknown(mut failure: Failure) -> Failure {
    failure.aftermath = Aftermath::Unknown;
    failure
}

/// The effect is there: losing its evidence must not look as if nothing had been touched.
fn partial(mut failure: Failure) -> Failure {
    failure.aftermath = Aftermath::Partial;
    failure
}
