//! What is wrong with a blueprint or a plan that somebody wrote: everything at once, each with its
//! place. Pure. It judges by the rules that planning itself keeps to, and by no others.

use std::{collections::BTreeMap, sync::LazyLock};

use deadelus_core::{
    CheckedPlan, Plan, Problems,
    plan::{read_tree, shaped},
};
use deadelus_proto::{SpecialistCard, SpecialistName, TargetCard, TargetName, TaskId};
use jsonschema::Validator;
use serde_json::Value;

use super::{
    blueprint::{Blueprint, braced, texts},
    intent,
};

/// Weights are written with a few digits; their sum may miss 1 by this.
const WEIGHTS_MISS_MAX: f64 = 1e-6;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A parameterised plan with words that find it.
    Blueprint,
    /// A plan.
    Plan,
}

/// Looks at a file, against what the specialists offer.
pub fn lint(text: &str, cards: &[SpecialistCard]) -> (Kind, Problems) {
    let tree = match read_tree(text) {
        Ok(tree) => tree,
        Err(problems) => return (Kind::Plan, problems),
    };
    if tree.get("blueprint").is_some() {
        let judged = read(text).and_then(|blueprint| judge(&blueprint, cards));
        (Kind::Blueprint, judged.err().unwrap_or_default())
    } else {
        let judged = Plan::from_tree(tree).and_then(|plan| CheckedPlan::check(plan, cards));
        (Kind::Plan, judged.err().unwrap_or_default())
    }
}

/// Reads a blueprint: its shape, and what it says of itself.
///
/// # Errors
/// Everything that is wrong and can be seen without knowing what the specialists offer.
pub fn read(text: &str) -> Result<Blueprint, Problems> {
    let blueprint: Blueprint = shaped(read_tree(text)?, SHAPE.as_ref())?;
    let mut problems = Problems::default();
    if blueprint.blueprint.parse::<TaskId>().is_err() {
        problems.add("blueprint", "a name is 1 to 64 of a-z 0-9 and -");
    }
    for (place, text) in [("title", &blueprint.title), ("summary", &blueprint.summary)] {
        if text.trim().is_empty() {
            problems.add(place, "is empty");
        }
    }
    words(&blueprint, &mut problems);
    params(&blueprint, &mut problems);
    problems.or(blueprint)
}

/// Judges the plan of a blueprint as if it were asked for, for a target that everybody knows.
fn judge(blueprint: &Blueprint, cards: &[SpecialistCard]) -> Result<(), Problems> {
    let anywhere = anywhere(cards);
    let mut problems = Problems::default();
    for (name, param) in &blueprint.params {
        let Some(fact) = &param.from_fact else { continue };
        let specialist = fact.split('.').next().unwrap_or_default();
        if !cards.iter().any(|card| card.specialist.as_str() == specialist) {
            let what = format!("no specialist {specialist:?} has ever been here");
            problems.add(format!("params.{name}.from_fact"), what);
        }
    }
    let Ok(target) = ANYWHERE.parse::<TargetName>() else { return problems.or(()) };
    let mut sample = blueprint.clone();
    for param in sample.params.values_mut() {
        param.default.get_or_insert_with(|| param.kind.sample());
    }
    match sample.instantiate("", &target, &BTreeMap::new(), &[]) {
        Ok(plan) => {
            let judged = CheckedPlan::check(plan, &anywhere).err().unwrap_or_default();
            for problem in judged.iter() {
                let dot = if problem.place.is_empty() { "" } else { "." };
                problems.add(format!("plan{dot}{}", problem.place), &problem.what);
            }
        }
        Err(wrong) => wrong.iter().for_each(|what| problems.add("params", what)),
    }
    problems.or(())
}

/// The target of a blueprint that is only looked at.
pub(super) const ANYWHERE: &str = "anywhere";

/// The specialists as they were if each knew that target.
pub(super) fn anywhere(cards: &[SpecialistCard]) -> Vec<SpecialistCard> {
    let mut cards = cards.to_vec();
    if let Ok(name) = ANYWHERE.parse::<TargetName>() {
        for card in &mut cards {
            card.targets.push(TargetCard { name: name.clone(), facts: BTreeMap::new() });
        }
    }
    cards
}

fn words(blueprint: &Blueprint, problems: &mut Problems) {
    let intent = &blueprint.intent;
    let sum: f64 = intent.signals.iter().map(|signal| signal.weight).sum();
    if (sum - 1.0).abs() > WEIGHTS_MISS_MAX {
        problems.add("intent.signals", format!("the weights add up to {sum}, not to 1"));
    }
    for (list, signals) in [("signals", &intent.signals), ("against", &intent.against)] {
        for (n, signal) in signals.iter().enumerate() {
            let at = format!("intent.{list}[{n}]");
            if !(0.0..=1.0).contains(&signal.weight) {
                problems.add(format!("{at}.weight"), format!("{} is not 0 to 1", signal.weight));
            }
            if signal.words.is_empty() {
                problems.add(format!("{at}.words"), "is empty: nothing ever says it");
            }
            for (m, word) in signal.words.iter().enumerate() {
                let normal = intent::normal(word);
                if normal != *word || word.is_empty() {
                    let what = format!("{word:?} is never found; words are compared as {normal:?}");
                    problems.add(format!("{at}.words[{m}]"), what);
                }
            }
        }
    }
}

fn params(blueprint: &Blueprint, problems: &mut Problems) {
    let mut plan = blueprint.plan.clone();
    let named: Vec<String> =
        texts(&mut plan).iter().flat_map(|text| braced(text)).map(str::to_owned).collect();
    for name in &named {
        if name != "target" && !blueprint.params.contains_key(name) && is_name(name) {
            let known: Vec<&str> = blueprint.params.keys().map(String::as_str).collect();
            let what = format!("{{{name}}} names no parameter; there are {}", known.join(", "));
            problems.add("plan", what);
        }
    }
    let written = serde_json::to_string(&blueprint.plan).unwrap_or_default();
    for (name, param) in &blueprint.params {
        let at = format!("params.{name}");
        if !is_name(name) || name == "target" {
            problems.add(&at, "a parameter's name is 1 to 64 of a-z 0-9 _, and not \"target\"");
        }
        if let Some(default) = &param.default
            && !param.kind.allows(default)
        {
            let what = format!("{default} is not {}", param.kind.says());
            problems.add(format!("{at}.default"), what);
        }
        if !written.contains(&format!("params.{name}")) && !named.contains(name) {
            problems.add(&at, "nothing in the plan uses it");
        }
        let fact = param.from_fact.as_ref().map(|fact| fact.split_once('.'));
        if let Some(fact) = fact
            && fact
                .is_none_or(|(who, what)| who.parse::<SpecialistName>().is_err() || what.is_empty())
        {
            problems.add(format!("{at}.from_fact"), "write <specialist>.<fact of the target>");
        }
        if blueprint.plan.params.contains_key(name) {
            problems.add(format!("plan.params.{name}"), "is a parameter of the blueprint too");
        }
    }
}

/// A name that expressions can spell.
fn is_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    (1..=64).contains(&name.len()) && name.chars().all(legal)
}

/// None only if our own schema were no schema, which a test rules out.
static SHAPE: LazyLock<Option<Validator>> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).ok());

fn schema() -> Value {
    schemars::schema_for!(Blueprint).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../blueprints/slow-endpoint.yaml");

    fn said(problems: &Problems) -> Vec<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_schema_is_one_and_what_it_allows_can_be_read() {
        assert!(SHAPE.is_some());
        assert!(read(GOOD).is_ok());
    }

    #[test]
    fn every_problem_is_named_at_once_with_its_place() {
        let bad = GOOD
            .replacen("blueprint: slow-endpoint", "blueprint: Slow Endpoint", 1)
            .replacen("weight: 0.75", "weight: 0.5", 1)
            .replacen("- too long", "- Too-long", 1)
            .replacen("default: 3", "default: three", 1)
            .replacen("from_fact: performance.p95_ms", "from_fact: p95_ms", 1)
            .replacen("title: Find what makes {target} slow", "title: Make {traget} fast", 1)
            .replacen(
                "params:\n",
                "params:\n  idle: { type: text, summary: S., default: '' }\n",
                1,
            );
        let problems = said(&read(&bad).unwrap_err());
        for part in [
            "blueprint: ",
            "intent.signals: the weights add up to 0.75, not to 1",
            "intent.signals[0].words[12]: \"Too-long\" is never found; words are compared as \"too long\"",
            "params.idle: nothing in the plan uses it",
            "params.p95_ms.from_fact: write <specialist>.<fact of the target>",
            "params.runs.default: \"three\" is not a whole number",
            "plan: {traget} names no parameter",
        ] {
            assert!(problems.iter().any(|p| p.starts_with(part)), "{part}: {problems:#?}");
        }
        assert_eq!(problems.len(), 7, "{problems:#?}");
    }

    #[test]
    fn a_shape_that_is_none_is_named_with_its_place() {
        let bad =
            GOOD.replacen("type: number", "type: numeral", 1).replacen("intent:", "intents:", 1);
        let (kind, problems) = lint(&bad, &[]);
        let problems = said(&problems);
        assert_eq!(kind, Kind::Blueprint);
        assert!(problems.iter().any(|p| p.starts_with("params.p95_ms.type: ")), "{problems:#?}");
        assert!(problems.iter().any(|p| p.contains("\"intent\"")), "{problems:#?}");
    }

    #[test]
    fn the_plan_is_judged_by_what_the_specialists_offer() {
        let (_, problems) = lint(GOOD, &[]);
        let problems = said(&problems);
        assert!(
            problems.iter().any(|p| p.starts_with("plan.tasks.measure0.does: no capability")),
            "{problems:#?}"
        );
        let (kind, problems) = lint("deadelus: 1\ntitle: ''\ntasks: {}\n", &[]);
        assert_eq!(kind, Kind::Plan);
        assert_eq!(said(&problems).len(), 2, "{problems}");
    }
}
