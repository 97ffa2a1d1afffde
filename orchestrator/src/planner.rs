//! From words to a plan that was checked. Pure: blueprints and cards in, a plan or the reason out.
//! It never guesses: what matches no blueprint well enough gets the nearest ones and how to bring
//! a plan of one's own.

mod ask;
pub mod blueprint;
pub mod intent;
pub mod lint;
pub mod outside;
pub mod shelf;

use std::collections::BTreeMap;

use deadelus_core::plan::{CheckedPlan, Problems};
use deadelus_proto::{SpecialistCard, TargetName};

use self::{
    blueprint::Blueprint,
    intent::{Fit, SURE_ENOUGH},
    shelf::Shelf,
};

/// Two blueprints whose fits differ by less than this are both meant, for all we can know.
const TOO_CLOSE: f64 = 0.05;

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
    #[error(
        "no blueprint fits these words well enough; what one specialist does alone needs no \
             coordination: {ask}"
    )]
    Unmatched {
        /// The nearest, best first, with their fit.
        nearest: Vec<(String, String, Fit)>,
        /// Whose work it may be by itself.
        ask: String,
    },
    /// Several fit, and none much better than the others.
    #[error("these words fit several blueprints; choose one with --blueprint")]
    Ambiguous {
        /// They, best first, with their fit.
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
pub fn plan(wish: &Wish, shelf: &Shelf, cards: &[SpecialistCard]) -> Result<Proposal, NoPlan> {
    let (blueprint, fit) = choose(wish, shelf, cards)?;
    let plan = blueprint
        .instantiate(&wish.request, &wish.target, &wish.params, cards)
        .map_err(NoPlan::Params)?;
    let plan = CheckedPlan::check(plan, cards).map_err(NoPlan::Problems)?;
    Ok(Proposal { plan, blueprint: blueprint.blueprint.clone(), fit })
}

fn choose<'s>(
    wish: &Wish,
    shelf: &'s Shelf,
    cards: &[SpecialistCard],
) -> Result<(&'s Blueprint, Fit), NoPlan> {
    if let Some(name) = &wish.blueprint {
        let fit = Fit { confidence: 1.0, because: "it was asked for by name".to_owned() };
        return shelf.get(name).map(|b| (b, fit)).ok_or_else(|| NoPlan::Unknown {
            name: name.clone(),
            known: shelf.keys().cloned().collect(),
        });
    }
    let mut fits: Vec<(&Blueprint, Fit)> =
        shelf.values().map(|b| (b, b.intent.fit(&wish.request))).collect();
    fits.sort_by(|(_, a), (_, b)| b.confidence.total_cmp(&a.confidence));
    let sure = fits.iter().take_while(|(_, fit)| fit.confidence >= SURE_ENOUGH);
    let best = fits.first().map_or(0.0, |(_, fit)| fit.confidence);
    match sure.take_while(|(_, fit)| best - fit.confidence < TOO_CLOSE).count() {
        0 => {
            let ask = ask::whom(&wish.request, cards);
            Err(NoPlan::Unmatched { nearest: nearest(fits), ask })
        }
        1 => Ok(fits.swap_remove(0)),
        alike => {
            fits.truncate(alike);
            Err(NoPlan::Ambiguous { nearest: nearest(fits) })
        }
    }
}

fn nearest(fits: Vec<(&Blueprint, Fit)>) -> Vec<(String, String, Fit)> {
    let shown = fits.into_iter().take(NEAREST_SHOWN);
    shown.map(|(b, fit)| (b.blueprint.clone(), b.title.clone(), fit)).collect()
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
        let shelf = shelf::built_in().unwrap();
        choose(&wish(request, None), &shelf, &[]).map(|(b, _)| b.blueprint.clone())
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
    fn people_ask_for_payments_in_many_ways() {
        for request in [
            "The planning is done for the new payment processing endpoint",
            "we want to accept card payments",
            "Add a route that charges customers",
            "Please implement Stripe payments in our API",
            "roll out the pay endpoint",
        ] {
            assert_eq!(chosen(request).ok().as_deref(), Some("payment-endpoint"), "{request}");
        }
        let slow = "The payment endpoint is slow and times out";
        assert_eq!(chosen(slow).ok().as_deref(), Some("slow-endpoint"));
    }

    #[test]
    fn people_ask_for_subscriptions_in_many_ways() {
        for request in [
            "I need to add a subscription payment system with recurring billing",
            "we want to charge customers every month",
            "Set up recurring billing with Stripe",
            "implement paid plans, monthly and yearly",
            "please build memberships that people pay for each month",
            "Introduce subscriptions to our shop",
        ] {
            assert_eq!(chosen(request).ok().as_deref(), Some("subscriptions"), "{request}");
        }
        let slow = "Subscriptions are slow: the billing page times out, timeouts all over";
        assert_ne!(chosen(slow).ok().as_deref(), Some("subscriptions"));
        assert_ne!(chosen("refund a subscription").ok().as_deref(), Some("subscriptions"));
    }

    #[test]
    fn people_ask_for_authentication_in_many_ways() {
        for request in [
            "I have a backend plan for user authentication",
            "I have a backend plan for user authentication. Coordinate it",
            "Implement user authentication from this plan",
            "we need a login for our users",
            "add JWT auth to the API",
            "roll out access control",
        ] {
            assert_eq!(chosen(request).ok().as_deref(), Some("user-authentication"), "{request}");
        }
        let slow = "The login is slow and times out for new users";
        assert_eq!(chosen(slow).ok().as_deref(), Some("slow-endpoint"));
    }

    #[test]
    fn another_wish_is_refused_with_the_nearest() {
        for (request, nearest_of_all) in [
            ("I forgot my login", "slow-endpoint"),
            ("refund a payment", "payment-endpoint"),
            ("write me a poem", "payment-endpoint"),
            ("", "payment-endpoint"),
        ] {
            match chosen(request) {
                Err(NoPlan::Unmatched { nearest, .. }) => {
                    assert_eq!(nearest[0].0, nearest_of_all, "{request}: {nearest:?}");
                }
                other => panic!("{request}: {other:?}"),
            }
        }
    }

    #[test]
    fn words_that_fit_two_blueprints_alike_choose_none() {
        let mut shelf = shelf::built_in().unwrap();
        let twin = Blueprint { blueprint: "twin".to_owned(), ..shelf["slow-endpoint"].clone() };
        shelf.insert("twin".to_owned(), twin);
        let error = choose(&wish("the checkout is slow", None), &shelf, &[]).unwrap_err();
        assert!(matches!(&error, NoPlan::Ambiguous { nearest } if nearest.len() == 2), "{error}");
        assert!(choose(&wish("the checkout is slow", Some("twin")), &shelf, &[]).is_ok());
    }

    #[test]
    fn a_name_that_is_not_there_is_answered_with_what_is() {
        let shelf = shelf::built_in().unwrap();
        let error = choose(&wish("x", Some("slow")), &shelf, &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no blueprint \"slow\"; there are payment-endpoint, slow-endpoint, \
             subscriptions, user-authentication"
        );
    }
}
