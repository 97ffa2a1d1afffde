//! `auth.policy_restore` and `auth.keys_restore`: put back what a file held that services read.
//!
//! They take a change of that file back, also one that never came to be. What a third party wrote in
//! the meantime is theirs, and stays.

use std::time::Duration;

use deadelus_runtime::{
    About, Artefact, ChangeCapability, Check, Context, Effect, Failure, Found, Idempotency,
    Measured, Prepared, UndoClass, UndoPromise,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    served::{Before, Content, Kind, Served, digest, is_digest},
    target::Targets,
};

/// One small file is replaced.
const RESTORE_TIMEOUT: Duration = Duration::from_secs(60);

/// The capability, for one kind of file.
pub(crate) struct Restore {
    pub(crate) targets: Targets,
    pub(crate) kind: Kind,
}

/// What to put back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// What the file held; it is removed when this is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<Artefact>,
    /// SHA-256 of what is taken back, or `nothing`. While the file holds something else, nothing is
    /// touched.
    pub(crate) replaces: String,
}

/// What is there now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// SHA-256 of the file; `nothing` when it is not there.
    fingerprint: String,
}

impl ChangeCapability for Restore {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        let (summary, locks): (_, &[&str]) = match self.kind {
            Kind::Policies => ("Puts back the policies that were published before.", LOCK_POLICIES),
            Kind::Keys => ("Puts back the set of public keys that was there before.", LOCK_KEYS),
        };
        About {
            verb: self.kind.restore_verb(),
            role: crate::ROLE,
            summary,
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[("fingerprint", "the file is what it was, byte for byte")],
            undo: Some(UndoPromise { verb: self.kind.restore_verb(), class: UndoClass::Exact }),
            timeout: RESTORE_TIMEOUT,
            locks,
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        is_digest(&inputs.replaces)?;
        let served = self.served(cx)?;
        let wanted = wanted(cx, inputs).await?;
        served.prepare(cx, &wanted, Some(&inputs.replaces)).await
    }

    async fn perform(
        &self,
        cx: &Context,
        inputs: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let served = self.served(cx)?;
        served.replace(wanted(cx, inputs).await?, before).await?;
        let now = digest(&served.now().await?);
        Ok(measured(now, before))
    }

    async fn reconcile(
        &self,
        cx: &Context,
        _: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let now = digest(&self.served(cx)?.now().await?);
        let done = now == before.wanted;
        Ok(if done { Found::Done(measured(now, before)) } else { Found::NotBegun })
    }
}

/// The policies of a target are changed by one task at a time.
pub(crate) const LOCK_POLICIES: &[&str] = &["auth-policies:{target}"];

/// And so are its keys.
pub(crate) const LOCK_KEYS: &[&str] = &["auth-keys:{target}"];

impl Restore {
    fn served(&self, cx: &Context) -> Result<Served, Failure> {
        self.targets.of(cx)?.served(self.kind)
    }
}

async fn wanted(cx: &Context, inputs: &Inputs) -> Result<Content, Failure> {
    Ok(match &inputs.previous {
        Some(artefact) => Some(cx.fetch(artefact).await?.to_vec()),
        None => None,
    })
}

fn measured(now: String, before: &Before) -> Measured<Outputs> {
    let checks = vec![Check::equal("fingerprint", now.clone(), before.wanted.clone())];
    Measured::new(Outputs { fingerprint: now }, checks)
}
