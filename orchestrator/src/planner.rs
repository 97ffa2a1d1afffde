//! From words to a plan that was checked. Pure: blueprints and cards in, a plan or the reason out.
//! It never guesses: what matches no blueprint well enough gets the nearest ones and how to bring
//! a plan of one's own.

pub mod blueprint;
pub mod intent;

use std::collections::BTreeMap;

use deadelus_core::plan::{CheckedPlan, Problems};
use deadelus_proto::{SpecialistCard, TargetName};

use self::{
    blueprint::Blueprint,
    intent::{Fit, SURE_ENOUGH},
};

/// How many of the nearest blueprints a person is shown.
const NEAREST_SHOWN: usize = 3;

/// What a person asks for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// In words.
    pub request: String,
    /// About which system.
    pub target: TargetName,
    /// Chosen by the person; otherwise by the words.
    pub blueprint: Option<String>,
    /// Parameters of the blueprint.
    pub params: BTreeMap<String, String>,
}

/// A plan that makes sense, and why it is this one.
#[derive(Debug)]
pub struct Proposal {
    /// The plan.
    pub plan: CheckedPlan,
    /// The blueprint it is made from.
    pub blueprint: String,
    /// Why, and how sure.
    pub fit: Fit,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// No blueprint fits well enough.
    #[error("no blueprint fits these words well enough")]
    Unmatched {
        /// The nearest, best first, with their fit.
        nearest: Vec<(String, String, Fit)>,
    },
    /// The one asked for does not exist.
    #[error("there is no blueprint {name:?}; there are {}", known.join(", "))]
    Unknown {
        /// As the person wrote it.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// Its parameters are wrong.
    #[error("{}", .0.join("; "))]
    Params(Vec<String>),
    /// The plan does not make sense here: no such target, a specialist that is missing.
    #[error("{0}")]
    Problems(Problems),
}

/// Plans a wish.
///
/// # Errors
/// [`NoPlan`], with what a person can do about it.
pub fn plan(
    wish: &Wish,
    blueprints: &[Blueprint],
    cards: &[SpecialistCard],
) -> Result<Proposal, NoPlan> {
    let (blueprint, fit) = choose(wish, blueprints)?;
    let plan = blueprint
        .instantiate(&wish.request, &wish.target, &wish.params, cards)
        .map_err(NoPlan::Params)?;
    let plan = CheckedPlan::check(plan, cards).map_err(NoPlan::Problems)?;
    Ok(Proposal { plan, blueprint: blueprint.blueprint.clone(), fit })
}

fn choose<'b>(wish: &Wish, blueprints: &'b [Blueprint]) -> Result<(&'b Blueprint, Fit), NoPlan> {
    if let Some(name) = &wish.blueprint {
        let chosen = blueprints.iter().find(|b| b.blueprint == *name);
        let fit = Fit { confidence: 1.0, because: "it was asked for by name".to_owned() };
        return chosen.map(|b| (b, fit)).ok_or_else(|| NoPlan::Unknown {
            name: name.clone(),
            known: blueprints.iter().map(|b| b.blueprint.clone()).collect(),
        });
    }
    let mut fits: Vec<(&Blueprint, Fit)> =
        blueprints.iter().map(|b| (b, b.intent.fit(&wish.request))).collect();
    fits.sort_by(|(_, a), (_, b)| b.confidence.total_cmp(&a.confidence));
    match fits.first() {
        Some((blueprint, fit)) if fit.confidence >= SURE_ENOUGH => Ok((blueprint, fit.clone())),
        Some(_) | None => Err(NoPlan::Unmatched {
            nearest: fits
                .into_iter()
                .take(NEAREST_SHOWN)
                .map(|(b, fit)| (b.blueprint.clone(), b.title.clone(), fit))
                .collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(request: &str, blueprint: Option<&str>) -> Wish {
        Wish {
            request: request.to_owned(),
            target: "shop".parse().unwrap(),
            blueprint: blueprint.map(str::to_owned),
            params: BTreeMap::new(),
        }
    }

    fn chosen(request: &str) -> Result<String, NoPlan> {
        let blueprints = blueprint::built_in().unwrap();
        choose(&wish(request, None), &blueprints).map(|(b, _)| b.blueprint.clone())
    }

    #[test]
    fn people_say_slow_in_many_ways() {
        for request in [
            "The checkout process is taking too long and timing out for some users",
            "checkout is slow and times out",
            "Our API got sluggish since Tuesday",
            "customers complain that search takes forever",
            "p95 of the order endpoint is terrible, requests hang: timeouts everywhere",
        ] {
            assert_eq!(chosen(request).ok().as_deref(), Some("slow-endpoint"), "{request}");
        }
    }

    #[test]
    fn another_wish_is_refused_with_the_nearest() {
        for request in [
            "I need to add a subscription payment system with recurring billing",
            "I have a backend plan for user authentication. Coordinate it",
            "The planning is done for the new payment processing endpoint",
            "write me a poem",
            "",
        ] {
            match chosen(request) {
                Err(NoPlan::Unmatched { nearest }) => assert_eq!(nearest[0].0, "slow-endpoint"),
                other => panic!("{request}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_name_that_is_not_there_is_answered_with_what_is() {
        let blueprints = blueprint::built_in().unwrap();
        let error = choose(&wish("x", Some("slow")), &blueprints).unwrap_err();
        assert_eq!(error.to_string(), "there is no blueprint \"slow\"; there are slow-endpoint");
    }
}
