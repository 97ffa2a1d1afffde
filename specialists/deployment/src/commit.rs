//! `deployment.commit`: the revision that is served is kept, and what was kept warm for the way
//! back is stopped and forgotten. A pivot: from here a rollback starts processes anew.

use deadelus_proxy::Routes;
use deadelus_runtime::{
    About, Aftermath, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found,
    Idempotency, Measured, Prepared,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    fleet::Fleet,
    health::Prober,
    routing::table::{serving, sorted, without_idle},
    target::{CAPABILITY_TIMEOUT, Target, Targets, Way},
};

/// The capability.
pub(crate) struct Commit(pub(crate) Targets);

/// What is kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The revision that is served, and is to stay.
    pub(crate) revision: String,
}

/// What was stopped.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// Kept.
    pub(crate) revision: String,
    /// Names of the processes that were stopped.
    pub(crate) stopped: Vec<String>,
}

/// Who was warm.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    warm: Vec<String>,
}

impl ChangeCapability for Commit {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "commit",
            role: "Cloud Primitives",
            summary: "Keeps the served revision and stops what was kept warm for the way back: from \
                      then on a rollback starts the old revision anew, and not within a moment.",
            effect: Effect::Pivot,
            idempotency: Idempotency::Natural,
            checks: &[
                ("served_revision", "the service itself says that it serves the revision"),
                ("processes_left", "processes of other revisions that are still there"),
            ],
            undo: None,
            timeout: CAPABILITY_TIMEOUT,
            locks: &["deployment:{target}"],
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        let target = self.0.of(cx)?;
        target.declared(&inputs.revision)?;
        served(target, &inputs.revision).await?;
        let warm = match &target.way {
            Way::File(_) => vec![],
            Way::Fleet(fleet) => warm(fleet, &steady_table(fleet, inputs).await?)?,
        };
        Ok(Prepared { before: Before { warm }, undo: None })
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        if let Way::Fleet(fleet) = &target.way {
            let kept = steady_table(fleet, inputs).await?;
            stop_others(fleet, &kept).await.map_err(partial)?;
        }
        measured(target, inputs, before).await.map_err(partial)
    }

    async fn reconcile(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let target = self.0.of(cx)?;
        let left = match &target.way {
            Way::File(_) => vec![],
            Way::Fleet(fleet) => warm(fleet, &steady_table(fleet, inputs).await?)?,
        };
        if left.is_empty() {
            return measured(target, inputs, before).await.map(Found::Done);
        }
        Ok(if left == before.warm { Found::NotBegun } else { Found::Partly })
    }
}

/// Refuses to keep what is not served, or not well.
async fn served(target: &Target, revision: &str) -> Result<(), Failure> {
    let prober = prober(target);
    let probe = prober.probe().await;
    if probe.answer.trouble().is_none() && probe.answer.revision() == Some(revision) {
        return Ok(());
    }
    let found = probe.answer.trouble().or(probe.answer.revision()).unwrap_or("nothing");
    let text = format!("{revision} is to be kept, but {} answers: {found}", prober.url());
    Err(Failure::new(ErrorClass::PreconditionFailed, text)
        .help("release the revision first; only what is served and well can be kept"))
}

fn prober(target: &Target) -> &Prober {
    match &target.way {
        Way::File(service) => &service.prober,
        Way::Fleet(fleet) => &fleet.through_proxy,
    }
}

/// The table of those who get requests; refused while another revision is among them.
async fn steady_table(fleet: &Fleet, inputs: &Inputs) -> Result<Routes, Failure> {
    let routes = sorted(fleet.proxy.report().await?.routes());
    let served = serving(&routes);
    if served.iter().copied().eq([inputs.revision.as_str()]) {
        return Ok(without_idle(&routes));
    }
    let names = served.into_iter().collect::<Vec<_>>().join(" and ");
    let text = format!("{} is to be kept, but the proxy serves {names}", inputs.revision);
    Err(Failure::new(ErrorClass::PreconditionFailed, text)
        .help("wait until the release is done, or roll it back"))
}

/// The processes that get no requests.
fn warm(fleet: &Fleet, kept: &Routes) -> Result<Vec<String>, Failure> {
    let stays = |name: &String| kept.servers.iter().any(|s| s.name == *name);
    Ok(fleet.supervisor.look()?.into_keys().filter(|name| !stays(name)).collect())
}

/// First nothing is in their hands, then they are out of the table, then they are stopped.
async fn stop_others(fleet: &Fleet, kept: &Routes) -> Result<(), Failure> {
    let stays = |name: &str| kept.servers.iter().any(|s| s.name == name);
    let busy = fleet.drained(|name| !stays(name)).await?;
    if !busy.is_empty() {
        return Err(Failure::new(ErrorClass::Unavailable, busy.join("; "))
            .help("nothing was stopped; try again when these requests have ended"));
    }
    fleet.proxy.replace(kept).await?;
    fleet.stop_where(|name| !stays(name)).await
}

async fn measured(
    target: &Target,
    inputs: &Inputs,
    before: &Before,
) -> Result<Measured<Outputs>, Failure> {
    let probe = prober(target).probe().await;
    let left = match &target.way {
        Way::File(_) => vec![],
        Way::Fleet(fleet) => warm(fleet, &steady_table(fleet, inputs).await?)?,
    };
    let served = probe.answer.revision().unwrap_or("nothing");
    let checks = vec![
        Check::equal("served_revision", served, inputs.revision.as_str())
            .note(probe.answer.trouble().unwrap_or_default()),
        Check::equal("processes_left", left.len(), 0).note(left.join(", ")),
    ];
    let outputs = Outputs { revision: inputs.revision.clone(), stopped: before.warm.clone() };
    Ok(Measured::new(outputs, checks))
}

fn partial(mut failure: Failure) -> Failure {
    failure.aftermath = Aftermath::Partial;
    failure
}

#[cfg(test)]
mod tests;
