//! `auth.keys_rotate`: adds a public key to the set that services verify tokens with, and keeps the
//! old ones until no token of theirs can be alive. Taken back by `auth.keys_restore`.
//!
//! Only public keys pass through here: what could sign is refused, wherever it stands.

mod rotation;

use std::time::Duration;

use deadelus_runtime::{
    About, ChangeCapability, Check, Context, Effect, ErrorClass, Failure, Found, Idempotency,
    Measured, Prepared, Source, UndoClass, UndoPromise, invalid,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::rotation::{Refused, Rotation};
use crate::{
    clock::now_unix_s,
    restore::LOCK_KEYS,
    served::{Before as Swap, Content, Kind, Served, digest},
    target::Targets,
    token::KeySet,
};

/// One small file is replaced.
const ROTATE_TIMEOUT: Duration = Duration::from_secs(60);

/// A token that lives for less is made for one request.
const OVERLAP_MIN_SECONDS: u32 = 60;
/// A quarter of a year: what lives longer is no token but a key of its own.
const OVERLAP_MAX_SECONDS: u32 = 90 * 24 * 3600;

/// The capability.
pub(crate) struct KeysRotate(pub(crate) Targets);

/// What to add.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Inputs {
    /// The public part of the new key, a JSON Web Key with its `kid` and `alg`.
    key: Source,
    /// How long the oldest token of an old key can be alive from now on, in seconds: 60 to
    /// 7,776,000. Old keys stay in the set as long.
    overlap_s: u32,
    /// SHA-256 of the set while this is planned, or `nothing`. While it is another, nothing is
    /// touched.
    #[serde(default)]
    expect: Option<String>,
}

/// What services verify with now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Outputs {
    /// SHA-256 of the set before; `nothing` when there was none.
    fingerprint_before: String,
    /// SHA-256 of the set now.
    fingerprint: String,
    /// The name of the new key.
    kid: String,
    /// The names of the keys that stay beside it, until the time that is written beside each.
    kept: Vec<String>,
    /// The names of keys whose time was over.
    dropped: Vec<String>,
}

/// What was known before; public keys only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Before {
    #[serde(flatten)]
    swap: Swap,
    rotation: Rotation,
}

impl ChangeCapability for KeysRotate {
    type Inputs = Inputs;
    type Outputs = Outputs;
    type Before = Before;

    fn about(&self) -> About {
        About {
            verb: "keys_rotate",
            role: crate::ROLE,
            summary: "Adds a public key to the set that tokens are verified with; old ones overlap.",
            effect: Effect::Reversible,
            idempotency: Idempotency::Natural,
            checks: &[
                ("fingerprint", "the file is the new set, byte for byte"),
                ("new_key", "read back, the set has the new key, once"),
                ("old_keys", "read back, the set has every key whose time is not over"),
                ("private_keys", "nothing in the set could sign"),
            ],
            undo: Some(UndoPromise { verb: Kind::Keys.restore_verb(), class: UndoClass::Exact }),
            timeout: ROTATE_TIMEOUT,
            locks: LOCK_KEYS,
        }
    }

    async fn prepare(&self, cx: &Context, inputs: &Inputs) -> Result<Prepared<Before>, Failure> {
        if !(OVERLAP_MIN_SECONDS..=OVERLAP_MAX_SECONDS).contains(&inputs.overlap_s) {
            let text = format!("overlap_s: {OVERLAP_MIN_SECONDS} to {OVERLAP_MAX_SECONDS}");
            return Err(invalid(text));
        }
        let target = self.0.of(cx)?;
        let served = target.served(Kind::Keys)?;
        let key = inputs.key.text(cx, &target.folder).await?;
        let now = text(&served, served.now().await?)?;
        let rotation = rotation::rotated(now.as_deref(), &key.text, inputs.overlap_s, now_unix_s())
            .map_err(failure)?;
        let wanted = Some(rotation.set.clone().into_bytes());
        let Prepared { before, undo } =
            served.prepare(cx, &wanted, inputs.expect.as_deref()).await?;
        Ok(Prepared { before: Before { swap: before, rotation }, undo })
    }

    async fn perform(
        &self,
        cx: &Context,
        _: &Inputs,
        before: &Before,
    ) -> Result<Measured<Outputs>, Failure> {
        let served = self.0.of(cx)?.served(Kind::Keys)?;
        served.replace(Some(before.rotation.set.clone().into_bytes()), &before.swap).await?;
        measured(&served, before).await
    }

    async fn reconcile(
        &self,
        cx: &Context,
        _: &Inputs,
        before: &Before,
    ) -> Result<Found<Outputs>, Failure> {
        let served = self.0.of(cx)?.served(Kind::Keys)?;
        if digest(&served.now().await?) != before.swap.wanted {
            return Ok(Found::NotBegun);
        }
        measured(&served, before).await.map(Found::Done)
    }
}

async fn measured(served: &Served, before: &Before) -> Result<Measured<Outputs>, Failure> {
    let now = served.now().await?;
    let fingerprint = digest(&now);
    let set = text(served, now)?.unwrap_or_default();
    let set = KeySet::parse(&set)
        .map_err(|e| Failure::new(ErrorClass::PreconditionFailed, format!("key set: {e}")))?;
    let Rotation { kid, kept, dropped, .. } = before.rotation.clone();
    let count = |name: &String| set.names().filter(|other| other == name).count();
    let checks = vec![
        Check::equal("fingerprint", fingerprint.clone(), before.swap.wanted.clone()),
        Check::equal("new_key", count(&kid), 1),
        Check::equal("old_keys", kept.iter().map(count).sum(), kept.len()),
        Check::equal("private_keys", set.signing().count(), 0),
    ];
    let fingerprint_before = before.swap.previous.clone();
    Ok(Measured::new(Outputs { fingerprint_before, fingerprint, kid, kept, dropped }, checks))
}

fn text(served: &Served, content: Content) -> Result<Option<String>, Failure> {
    content.map(String::from_utf8).transpose().map_err(|e| {
        let text = format!("{}: {e}", served.path.display());
        Failure::new(ErrorClass::PreconditionFailed, text)
    })
}

fn failure(refused: Refused) -> Failure {
    let class = match refused {
        Refused::NotAKey(_) | Refused::Known(_) => ErrorClass::InvalidInput,
        Refused::Signs(_) => ErrorClass::Denied,
        Refused::Set(_) => ErrorClass::PreconditionFailed,
    };
    Failure::new(class, refused.to_string()).help(
        "the issuer keeps the private part; give its public part, with kid and alg, as a JSON Web Key",
    )
}

#[cfg(test)]
mod tests;
