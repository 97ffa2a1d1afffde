//! What is sold: as it is declared, as the provider shows it, and the steps between the two.

pub(crate) mod declared;
pub(crate) mod observed;
pub(crate) mod steps;

use deadelus_runtime::{ErrorClass, Failure};

use crate::client::{Client, Fault};

use self::{declared::Catalogue, observed::Observed, steps::Step};

/// How often the steps are begun anew after the provider failed. Its failure is repeated under the
/// same key for a day, so each round has keys of its own; the look between them shows what is done.
const ROUNDS_MAX: usize = 3;

/// Does what `next` still wants, step by step, until it wants nothing more or the rounds are used
/// up. What is still wanted then, the checks will tell.
///
/// # Errors
/// `unavailable` when nothing was begun, else `unknown_outcome`: the provider is looked at again.
pub(crate) async fn carry_out(
    client: &Client,
    catalogue: &Catalogue,
    key: &str,
    next: impl Fn(&Observed) -> Result<Vec<Step>, Failure>,
) -> Result<Observed, Failure> {
    const DOING: &str = "changing the catalogue";
    let mut begun = false;
    for round in 0..ROUNDS_MAX {
        let now = Observed::look(client, catalogue).await;
        let now = now.map_err(|f| if begun { f.begun(DOING) } else { f.untouched(DOING) })?;
        let steps = next(&now)?;
        if steps.is_empty() {
            return Ok(now);
        }
        for step in &steps {
            match step.run(client, &format!("{key}.{round}")).await {
                Ok(()) => begun = true,
                Err(Fault::Broken { .. }) if round + 1 < ROUNDS_MAX => {
                    begun = true;
                    break;
                }
                Err(fault) => return Err(stopped(&fault, begun, step)),
            }
        }
    }
    Observed::look(client, catalogue).await.map_err(|fault| fault.begun(DOING))
}

/// Whether anything can be there: only if it began before, or this step may have been done.
fn stopped(fault: &Fault, begun: bool, step: &Step) -> Failure {
    let doing = step.to_string();
    let untouched = match fault {
        Fault::Unreachable | Fault::Busy | Fault::Refused { .. } | Fault::Truncated { .. } => true,
        Fault::Lost(_) | Fault::Broken { .. } => false,
    };
    match fault {
        _ if untouched && !begun => fault.untouched(&doing),
        // What is refused stays refused: the way back is taken, not the same way again.
        Fault::Refused { .. } => {
            let mut failure = fault.untouched(&doing);
            failure.aftermath = deadelus_runtime::Aftermath::Partial;
            failure
        }
        Fault::Unreachable
        | Fault::Busy
        | Fault::Truncated { .. }
        | Fault::Lost(_)
        | Fault::Broken { .. } => fault.begun(&doing),
    }
}

/// The catalogue is not the one that was expected. Nothing was touched.
pub(crate) fn drift(expected: &str, now: &Observed) -> Failure {
    let text = format!("expect_observed: {expected}, but it is {}", now.fingerprint());
    Failure::new(ErrorClass::PreconditionFailed, text)
        .help("the catalogue has changed since; make a new plan with payments.catalog_plan")
}
