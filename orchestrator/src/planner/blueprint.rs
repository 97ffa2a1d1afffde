//! A blueprint: a request that is ready, kept as data. Parameters, words that find it, a plan.

use std::collections::BTreeMap;

use deadelus_core::plan::Plan;
use deadelus_proto::{SpecialistCard, TargetName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::intent::Intent;

/// The blueprints that come with the program.
const BUILT_IN: [(&str, &str); 1] =
    [("slow-endpoint.yaml", include_str!("../../blueprints/slow-endpoint.yaml"))];

/// A parameterised plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blueprint {
    /// Its name.
    pub blueprint: String,
    /// One line.
    pub title: String,
    /// A few sentences.
    pub summary: String,
    /// Which requests it is for.
    pub intent: Intent,
    /// What may be set with `--param`.
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// The plan, with `{param}` in its texts and `params.*` in its expressions.
    pub plan: Plan,
}

/// One parameter of a blueprint.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// In a sentence.
    pub summary: String,
    /// Its value unless given, and its type.
    pub default: Value,
    /// `<specialist>.<fact>` of the target, used before the default.
    #[serde(default)]
    pub from_fact: Option<String>,
}

/// A blueprint file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("blueprint {file}")]
pub struct BadBlueprint {
    file: String,
    #[source]
    source: serde_yaml_ng::Error,
}

/// The blueprints that come with the program.
///
/// # Errors
/// [`BadBlueprint`] naming the file; a test keeps the built-in ones from ever causing it.
pub fn built_in() -> Result<Vec<Blueprint>, BadBlueprint> {
    BUILT_IN
        .iter()
        .map(|(file, text)| {
            serde_yaml_ng::from_str(text)
                .map_err(|source| BadBlueprint { file: (*file).to_owned(), source })
        })
        .collect()
}

impl Blueprint {
    /// The plan for one request. What was given wins over what the target's card says, and that
    /// over the default.
    ///
    /// # Errors
    /// All that is wrong with the given parameters, a sentence each.
    pub fn instantiate(
        &self,
        request: &str,
        target: &TargetName,
        given: &BTreeMap<String, String>,
        cards: &[SpecialistCard],
    ) -> Result<Plan, Vec<String>> {
        let mut problems: Vec<String> =
            given.keys().filter_map(|name| self.unknown(name)).collect();
        let mut params = BTreeMap::new();
        for (name, param) in &self.params {
            let text = given.get(name).cloned().or_else(|| param.fact(target, cards));
            match text.map_or_else(|| Ok(param.default.clone()), |text| param.parse(name, &text)) {
                Ok(value) => {
                    params.insert(name.clone(), value);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut plan = self.plan.clone();
        request.clone_into(&mut plan.request);
        plan.target = Some(target.to_string());
        plan.title = fill(&plan.title, target, &params);
        for criterion in &mut plan.success {
            criterion.criterion = fill(&criterion.criterion, target, &params);
        }
        plan.params.extend(params);
        Ok(plan)
    }

    fn unknown(&self, name: &str) -> Option<String> {
        if self.params.contains_key(name) {
            return None;
        }
        let known: Vec<&str> = self.params.keys().map(String::as_str).collect();
        Some(format!(
            "param {name}: blueprint {} has none of that name; it has {}",
            self.blueprint,
            known.join(", ")
        ))
    }
}

impl Param {
    fn fact(&self, target: &TargetName, cards: &[SpecialistCard]) -> Option<String> {
        let (specialist, fact) = self.from_fact.as_deref()?.split_once('.')?;
        let card = cards.iter().find(|card| card.specialist.as_str() == specialist)?;
        card.targets.iter().find(|t| t.name == *target)?.facts.get(fact).cloned()
    }

    /// Of the default's type.
    fn parse(&self, name: &str, text: &str) -> Result<Value, String> {
        let wrong = |kind: &str| format!("param {name}: {text:?} is not {kind}");
        match &self.default {
            Value::Number(_) => {
                let number = text.parse::<i64>().map(Value::from).or_else(|_| {
                    text.parse::<f64>().map_err(|_| wrong("a number")).map(Value::from)
                })?;
                if number.is_null() { Err(wrong("a finite number")) } else { Ok(number) }
            }
            Value::Bool(_) => text.parse().map(Value::Bool).map_err(|_| wrong("true or false")),
            Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
                Ok(Value::String(text.to_owned()))
            }
        }
    }
}

/// Puts `{target}` and `{param}` into a text for people.
fn fill(text: &str, target: &TargetName, params: &BTreeMap<String, Value>) -> String {
    let mut text = text.replace("{target}", target.as_str());
    for (name, value) in params {
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text = text.replace(&format!("{{{name}}}"), &shown);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_ones_can_be_read() {
        let blueprints = built_in().unwrap();
        assert_eq!(blueprints.len(), BUILT_IN.len());
        for blueprint in blueprints {
            let weights: f64 = blueprint.intent.signals.iter().map(|s| s.weight).sum();
            assert!((weights - 1.0).abs() < 1e-9, "{}: {weights}", blueprint.blueprint);
        }
    }

    #[test]
    fn parameters_are_typed_and_unknown_ones_are_named() {
        let blueprint = &built_in().unwrap()[0];
        let shop = "shop".parse().unwrap();
        let given = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let plan =
            blueprint.instantiate("it is slow", &shop, &given(&[("p95_ms", "30")]), &[]).unwrap();
        assert_eq!(plan.params["p95_ms"], 30);
        assert!(plan.success[0].criterion.contains("30 ms"));
        let problems = blueprint
            .instantiate("", &shop, &given(&[("p95_ms", "fast"), ("p59", "1")]), &[])
            .unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
