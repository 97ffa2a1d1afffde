//! A blueprint: a request that is ready, kept as data. Parameters, words that find it, a plan.

use std::collections::BTreeMap;

use deadelus_core::{plan::Plan, shown};
use deadelus_proto::{SpecialistCard, TargetName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::intent::Intent;

/// Of parameters that a blueprint does not have: a person who misspelt one reads no more.
const UNKNOWN_SHOWN_MAX: usize = 10;

/// A parameterised plan.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Deadelus blueprint")]
pub struct Blueprint {
    /// Its name: 1 to 64 of a-z 0-9 and -.
    pub blueprint: String,
    /// One line.
    pub title: String,
    /// A few sentences.
    pub summary: String,
    /// Which requests it is for.
    pub intent: Intent,
    /// What may be set with `--param`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Param>,
    /// The plan, with `{param}` in its texts and `params.*` in its expressions.
    pub plan: Plan,
    /// Where it stands: `built in`, or a file. Not part of what is written.
    #[serde(skip)]
    pub source: String,
}

/// One parameter of a blueprint.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Param {
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// In a sentence.
    pub summary: String,
    /// Its value unless given. Without one it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// `<specialist>.<fact>` of the target, used before the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_fact: Option<String>,
}

/// What the values of a parameter are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number, whole or not.
    Number,
    /// `true` or `false`.
    Boolean,
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
            given.keys().filter_map(|name| self.unknown(name)).take(UNKNOWN_SHOWN_MAX).collect();
        let mut params = BTreeMap::new();
        for (name, param) in &self.params {
            let text = given.get(name).cloned().or_else(|| param.fact(target, cards));
            match param.value(name, text.as_deref()) {
                Ok(value) => {
                    params.insert(name.clone(), value);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(self.filled(request, target, params)) } else { Err(problems) }
    }

    fn filled(&self, request: &str, target: &TargetName, params: BTreeMap<String, Value>) -> Plan {
        let mut plan = self.plan.clone();
        request.clone_into(&mut plan.request);
        plan.target = Some(target.to_string());
        let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut words: BTreeMap<&str, String> =
            params.iter().map(|(name, value)| (name.as_str(), shown(value))).collect();
        words.insert("target", target.to_string());
        for text in texts(&mut plan) {
            *text = fill(text, &words);
        }
        plan.params.extend(params);
        plan
    }

    fn unknown(&self, name: &str) -> Option<String> {
        if self.params.contains_key(name) {
            return None;
        }
        let known: Vec<&str> = self.params.keys().map(String::as_str).collect();
        let has = if known.is_empty() { "none at all".to_owned() } else { known.join(", ") };
        Some(format!(
            "param {}: blueprint {} has none of that name; it has {has}",
            shown(name),
            self.blueprint,
        ))
    }
}

impl Param {
    fn fact(&self, target: &TargetName, cards: &[SpecialistCard]) -> Option<String> {
        let (specialist, fact) = self.from_fact.as_deref()?.split_once('.')?;
        let card = cards.iter().find(|card| card.specialist.as_str() == specialist)?;
        card.targets.iter().find(|t| t.name == *target)?.facts.get(fact).cloned()
    }

    fn value(&self, name: &str, given: Option<&str>) -> Result<Value, String> {
        match (given, &self.default) {
            (Some(text), _) => self.kind.parse(text).ok_or_else(|| {
                format!("param {name}: {:?} is not {}", shown(text), self.kind.says())
            }),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => Err(format!(
                "param {name} is missing: --param {name}=… ({})",
                self.summary.trim_end_matches('.')
            )),
        }
    }
}

impl Kind {
    /// The value that a text stands for.
    pub fn parse(self, text: &str) -> Option<Value> {
        match self {
            Self::Text => Some(text.into()),
            Self::Integer => text.parse::<i64>().ok().map(Value::from),
            // A number that is whole is one: 3 and 3.0 would give two digests.
            Self::Number => Self::Integer.parse(text).or_else(|| {
                let number = text.parse::<f64>().ok().filter(|n| n.is_finite())?;
                Some(number.into())
            }),
            Self::Boolean => text.parse::<bool>().ok().map(Value::from),
        }
    }

    /// Whether a value is one of this kind.
    pub fn allows(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Integer => value.is_i64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }

    /// `a whole number`
    pub fn says(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
        }
    }

    /// Some value of this kind, for a plan that is only looked at.
    pub(super) fn sample(self) -> Value {
        match self {
            Self::Text => "sample".into(),
            Self::Integer | Self::Number => 1.into(),
            Self::Boolean => true.into(),
        }
    }
}

/// The texts of a plan that are for people, and may name parameters.
pub(super) fn texts(plan: &mut Plan) -> Vec<&mut String> {
    let mut texts = vec![&mut plan.title];
    for task in plan.tasks.values_mut() {
        texts.push(&mut task.title);
    }
    for phase in &mut plan.phases {
        texts.extend([&mut phase.title, &mut phase.milestone]);
    }
    for risk in &mut plan.risks {
        texts.extend([&mut risk.risk, &mut risk.mitigation]);
    }
    texts.extend(plan.success.iter_mut().map(|c| &mut c.criterion));
    texts
}

/// Puts what `{name}` stands for into a text; what has no value stays as it is.
fn fill(text: &str, words: &BTreeMap<&str, String>) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let word = after.split_once('}').and_then(|(name, tail)| Some((words.get(name)?, tail)));
        if let Some((word, tail)) = word {
            filled.push_str(word);
            rest = tail;
        } else {
            filled.push('{');
            rest = after;
        }
    }
    filled + rest
}

/// The names between braces in a text, as [`fill`] would look for them.
pub(super) fn braced(text: &str) -> impl Iterator<Item = &str> {
    text.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow() -> Blueprint {
        crate::planner::shelf::built_in().unwrap().remove("slow-endpoint").unwrap()
    }

    fn made(blueprint: &Blueprint, given: &[(&str, &str)]) -> Result<Plan, Vec<String>> {
        let given = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        blueprint.instantiate("it is slow", &"shop".parse().unwrap(), &given, &[])
    }

    #[test]
    fn parameters_are_typed_and_unknown_ones_are_named() {
        let plan = made(&slow(), &[("p95_ms", "30")]).unwrap();
        assert_eq!(plan.params["p95_ms"], 30);
        assert!(plan.success[0].criterion.contains("30 ms"));
        assert!(plan.title.contains("shop"), "{}", plan.title);
        let problems = made(&slow(), &[("p95_ms", "fast"), ("p59", "1"), ("runs", "2.5")]);
        assert_eq!(
            problems.unwrap_err(),
            [
                "param p59: blueprint slow-endpoint has none of that name; it has fixed_revision, \
                 min_share, p95_ms, runs",
                "param p95_ms: \"fast\" is not a number",
                "param runs: \"2.5\" is not a whole number",
            ]
        );
    }

    #[test]
    fn one_without_a_default_must_be_given() {
        let mut blueprint = slow();
        blueprint.params.get_mut("p95_ms").unwrap().default = None;
        let problems = made(&blueprint, &[]).unwrap_err();
        assert!(
            problems[0].starts_with("param p95_ms is missing: --param p95_ms=…"),
            "{problems:?}"
        );
        assert!(made(&blueprint, &[("p95_ms", "5")]).is_ok());
    }

    #[test]
    fn what_is_filled_in_is_not_read_again() {
        let words = BTreeMap::from([("a", "{b}".to_owned()), ("b", "2".to_owned())]);
        assert_eq!(fill("{a} {b} {c} {", &words), "{b} 2 {c} {");
        assert_eq!(braced("{a} is {b").collect::<Vec<_>>(), ["a"]);
    }
}
