//! Where a person is asked although the plan forgot to: the house's policy, whoever wrote the plan.

use deadelus_proto::{Effect, Hazard, TargetName};

use super::Contract;

/// Why a person is asked before the task; none where nobody has to be.
pub(super) fn asks(contract: &Contract, target: &TargetName, production: bool) -> Option<String> {
    let mut reasons: Vec<String> = contract.hazards.iter().map(|h| danger(*h).to_owned()).collect();
    if contract.effect == Effect::Pivot {
        reasons.push("it cannot be taken back".to_owned());
    }
    if production && contract.effect.changes() {
        reasons.push(format!("it changes {target}, which is production"));
    }
    (!reasons.is_empty()).then(|| reasons.join(", and "))
}

fn danger(hazard: Hazard) -> &'static str {
    match hazard {
        Hazard::Destructive => "it destroys something",
        Hazard::Money => "it moves money",
    }
}
