//! Back by the proxy: the exact table, its servers well first, and whoever is taken back stopped
//! once they have finished what they had.

use bytes::Bytes;
use deadelus_proxy::Routes;
use deadelus_runtime::{Aftermath, Check, Context, ErrorClass, Failure, Found, Measured, Prepared};
use serde::{Deserialize, Serialize};

use super::{Inputs, Outputs, undo};
use crate::{
    fleet::Fleet,
    routing::table::{fingerprint, revision_of, serving, sorted},
    switch::{self, Patience},
    target::Target,
    timeline::Timeline,
};

/// Who got what before the way back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    routes: Routes,
}

pub(super) async fn prepare(
    target: &Target,
    fleet: &Fleet,
    inputs: &Inputs,
) -> Result<Prepared<Before>, Failure> {
    well_formed(target, inputs)?;
    let routes = sorted(fleet.proxy.report().await?.routes());
    ours(&routes, inputs)?;
    // Back from here leads only to what this specialist could have released itself.
    let served = serving(&routes);
    let current = served.first().filter(|r| served.len() == 1 && target.declared(r).is_ok());
    let undo = current.map(|current| {
        undo(&Inputs {
            revision: Some((*current).to_owned()),
            routes: Some(routes.clone()),
            replaces: inputs.revision.clone(),
            schema_version: inputs.schema_version,
            ..Inputs::default()
        })
    });
    Ok(Prepared { before: Before { routes }, undo })
}

pub(super) async fn perform(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
) -> Result<Measured<Outputs>, Failure> {
    // An earlier attempt may have begun: without a look nobody knows.
    let now = sorted(fleet.proxy.report().await.map_err(unknown)?.routes());
    ours(&now, inputs)?;
    let to = wanted(fleet, inputs, &now).await.map_err(partial)?;
    let leaves = inputs.replaces.as_deref().filter(|r| inputs.revision.as_deref() != Some(r));
    match fleet.restore(&to, leaves).await {
        Ok(restored) => {
            let measured = measured(cx, fleet, inputs, &to, restored.timelines).await;
            measured.map(|measured| measured.residue(restored.residue)).map_err(partial)
        }
        Err((failure, timelines)) => {
            let kept = keep(cx, &timelines).await;
            Err(partial(failure).artefacts(kept.into_iter().collect()))
        }
    }
}

pub(super) async fn reconcile(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
    before: &Before,
) -> Result<Found<Outputs>, Failure> {
    let now = sorted(fleet.proxy.report().await?.routes());
    let leaving = inputs.replaces.as_deref().filter(|r| inputs.revision.as_deref() != Some(r));
    let kept = |name: &str| now.servers.iter().any(|s| s.name == name);
    let held = fleet.supervisor.look()?;
    let lingers = held.keys().any(|name| leaving == revision_of(name) && !kept(name));
    match &inputs.routes {
        Some(to) if sorted(to.clone()) == now && !lingers => {
            let measured = measured(cx, fleet, inputs, to, vec![]).await?;
            Ok(if measured.checks.iter().all(|c| c.pass) {
                Found::Done(measured)
            } else {
                Found::Partly
            })
        }
        Some(_) | None if now == before.routes => Ok(Found::NotBegun),
        Some(_) | None => Ok(Found::Partly),
    }
}

/// The table to bring back.
async fn wanted(fleet: &Fleet, inputs: &Inputs, now: &Routes) -> Result<Routes, Failure> {
    match (&inputs.routes, &inputs.revision) {
        (Some(routes), _) => Ok(sorted(routes.clone())),
        (None, Some(revision)) => fleet.alone(revision, now).await,
        (None, None) => Err(names_nothing()),
    }
}

fn names_nothing() -> Failure {
    Failure::new(ErrorClass::InvalidInput, "revision: name the one to go back to")
}

/// Refuses what contradicts itself, or names what is not declared.
fn well_formed(target: &Target, inputs: &Inputs) -> Result<(), Failure> {
    if inputs.text.is_some() {
        let text = "text: a proxy stands before this service, it follows no file";
        return Err(Failure::new(ErrorClass::InvalidInput, text));
    }
    if let Some(revision) = &inputs.revision {
        target.declared(revision)?;
    }
    let Some(routes) = &inputs.routes else {
        return if inputs.revision.is_some() { Ok(()) } else { Err(names_nothing()) };
    };
    routes.check().map_err(|e| Failure::new(ErrorClass::InvalidInput, format!("routes: {e}")))?;
    for server in &routes.servers {
        target.declared(revision_of(&server.name).unwrap_or(&server.name))?;
    }
    let served = serving(routes);
    if served.iter().copied().eq(inputs.revision.as_deref()) {
        return Ok(());
    }
    let text = format!("routes serve {served:?}, and revision names {:?}", inputs.revision);
    Err(Failure::new(ErrorClass::InvalidInput, text))
}

/// Refuses to write over a third party's release.
fn ours(now: &Routes, inputs: &Inputs) -> Result<(), Failure> {
    let Some(replaces) = &inputs.replaces else { return Ok(()) };
    let mine = |served: &str| served == replaces || inputs.revision.as_deref() == Some(served);
    match serving(now).into_iter().find(|served| !mine(served)) {
        None => Ok(()),
        Some(other) => {
            let text = format!("{replaces} is to be taken back, but {other} is served");
            Err(Failure::new(ErrorClass::PreconditionFailed, text).help(
                "somebody else released meanwhile; to go back anyway, roll back without replaces",
            ))
        }
    }
}

async fn measured(
    cx: &Context,
    fleet: &Fleet,
    inputs: &Inputs,
    to: &Routes,
    mut timelines: Vec<Timeline>,
) -> Result<Measured<Outputs>, Failure> {
    let mut checks = vec![];
    if let Some(revision) = &inputs.revision {
        let watch = &fleet.watch;
        let settled =
            switch::settle(cx, &fleet.through_proxy, watch, revision, Patience::UntilTimeout);
        let (_, timeline) = settled.await;
        checks.extend(timeline.checks(watch.healthy_probes));
        timelines.push(timeline);
    }
    let now = fingerprint(&fleet.proxy.report().await?.routes());
    checks.push(Check::equal("table_fingerprint", now.clone(), fingerprint(to)));
    let outputs = Outputs {
        revision: inputs.revision.clone(),
        fingerprint: now,
        failed_probes: timelines.iter().map(Timeline::failed).sum(),
    };
    let kept = keep(cx, &timelines).await?;
    Ok(Measured::new(outputs, checks).artefacts(vec![kept]))
}

async fn keep(cx: &Context, timelines: &[Timeline]) -> Result<deadelus_runtime::Artefact, Failure> {
    let json = serde_json::json!({ "switches": timelines });
    cx.keep("timeline.json", "application/json", Bytes::from(json.to_string())).await
}

fn unknown(mut failure: Failure) -> Failure {
    failure.aftermath = Aftermath::Unknown;
    failure
}

fn partial(mut failure: Failure) -> Failure {
    failure.aftermath = Aftermath::Partial;
    failure
}
