//! The auth specialist, in a team's words: Auth Admin.
//!
//! Its field is who may do what. Policies are Cedar's; they are judged by Cedar itself, in this
//! process. It reads the files of the target's folder and artefacts of earlier tasks. A token, a key
//! or a password's hash is never told, kept or logged.
//!
//! | folder | what |
//! |---|---|
//! | `target.rs` | what an operator configures |
//! | `cedar/` | policies, schema and entities as one value, findings in them, and what they decide |
//! | `policy_validate.rs`, `policy_test.rs` | whether policies fit their schema, and decide as wished |
//! | `matrix/` | every role beside every operation of an API |
//! | `policy_analyze/` | what new policies decide otherwise than old ones |
//! | `token/`, `token_verify.rs` | signed tokens, key sets, and whether a token is to be believed |
//! | `password_audit.rs` | how passwords are hashed |
//! | `probe/` | a running service and everything that it must refuse |
//! | `keys_rotate.rs` | the keys that tokens are verified with |
//! | `policy_publish.rs`, `restore.rs`, `served.rs` | the files that services read, and what they were |

mod cedar;
mod clock;
mod keys_rotate;
mod matrix;
mod password_audit;
mod policy_analyze;
mod policy_publish;
mod policy_test;
mod policy_validate;
mod probe;
mod restore;
mod served;
mod target;
#[cfg(test)]
mod testing;
mod token;
mod token_verify;

use std::collections::BTreeMap;

pub use deadelus_runtime::InvalidTarget;
use deadelus_runtime::{Specialist, TargetName};

pub use self::{
    policy_analyze::PolicyAnalyze,
    target::{AuthTarget, ProbeTarget},
};
use crate::{
    keys_rotate::KeysRotate, matrix::Matrix, password_audit::PasswordAudit,
    policy_publish::PolicyPublish, policy_test::PolicyTest, policy_validate::PolicyValidate,
    probe::Probe, restore::Restore, served::Kind, token_verify::TokenVerify,
};

/// The team, in words: whose work the capabilities are.
const ROLE: &str = "Auth Admin";

/// The specialist for these systems.
///
/// # Errors
/// [`InvalidTarget`] names the first setting that cannot work.
pub fn specialist(targets: BTreeMap<TargetName, AuthTarget>) -> Result<Specialist, InvalidTarget> {
    let targets = target::checked(targets)?;
    let specialist = Specialist::new("auth", env!("CARGO_PKG_VERSION"))
        .read(PolicyValidate(targets.clone()))
        .read(PolicyTest(targets.clone()))
        .read(Matrix(targets.clone()))
        .read(PolicyAnalyze(targets.clone()))
        .read(TokenVerify(targets.clone()))
        .read(PasswordAudit(targets.clone()))
        .read(Probe(targets.clone()))
        .change(PolicyPublish(targets.clone()))
        .change(Restore { targets: targets.clone(), kind: Kind::Policies })
        .change(KeysRotate(targets.clone()))
        .change(Restore { targets: targets.clone(), kind: Kind::Keys });
    Ok(targets.cards(|_| BTreeMap::new()).fold(specialist, Specialist::target))
}
