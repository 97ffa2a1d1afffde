//! Which blueprint a person's words ask for, why, and how sure that is. Deterministic, and honest
//! when nothing fits: a near miss is named, never taken.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Below this nothing is chosen; the nearest are shown instead.
pub const SURE_ENOUGH: f64 = 0.6;

/// Words that speak for a blueprint, and words that speak against it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Each adds its weight once; the weights of a blueprint add up to 1.
    pub signals: Vec<Signal>,
    /// Each takes its weight away once.
    #[serde(default)]
    pub against: Vec<Signal>,
}

/// One thing a request may say, in any of several words.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// What the words say: "something is slow".
    pub says: String,
    /// 0 to 1.
    pub weight: f64,
    /// Words and phrases, lower case.
    pub words: Vec<String>,
}

/// How well a blueprint fits a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// 0 to 1.
    pub confidence: f64,
    /// In words: `“timing out” says something is slow`.
    pub because: String,
}

impl Intent {
    /// Weighs the request's words.
    pub fn fit(&self, request: &str) -> Fit {
        let request = words_of(request);
        let mut confidence = 0.0;
        let mut reasons = vec![];
        for signal in &self.signals {
            if let Some(word) = signal.found_in(&request) {
                confidence += signal.weight;
                reasons.push(format!("“{word}” says {}", signal.says));
            }
        }
        for signal in &self.against {
            if let Some(word) = signal.found_in(&request) {
                confidence -= signal.weight;
                reasons.push(format!("but “{word}” says {}", signal.says));
            }
        }
        if reasons.is_empty() {
            reasons.push("none of its words are in the request".to_owned());
        }
        Fit { confidence: f64::clamp(confidence, 0.0, 1.0), because: reasons.join("; ") }
    }
}

impl Signal {
    /// The longest of its words that stands in the request.
    fn found_in(&self, request: &str) -> Option<&str> {
        self.words
            .iter()
            .filter(|word| request.contains(&format!(" {word} ")))
            .max_by_key(|word| word.len())
            .map(String::as_str)
    }
}

/// Lower case, words apart by single spaces, one at each end: a phrase is found as a substring.
fn words_of(text: &str) -> String {
    let mut words = String::from(" ");
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()) {
        words.push_str(&word.to_lowercase());
        words.push(' ');
    }
    words
}

/// A word or phrase as it is compared.
pub(super) fn normal(text: &str) -> String {
    words_of(text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent() -> Intent {
        let signal = |says: &str, weight, words: &[&str]| Signal {
            says: says.to_owned(),
            weight,
            words: words.iter().map(|w| (*w).to_owned()).collect(),
        };
        Intent {
            signals: vec![
                signal("it is slow", 0.75, &["slow", "too long", "timing out"]),
                signal("a service", 0.25, &["checkout"]),
            ],
            against: vec![signal("it is to be built", 0.5, &["add"])],
        }
    }

    #[test]
    fn words_are_weighed_once_each_and_explained() {
        let fit = intent().fit("The Checkout is taking TOO LONG and timing out!");
        assert!((fit.confidence - 1.0).abs() < 1e-9);
        assert_eq!(fit.because, "“timing out” says it is slow; “checkout” says a service");
    }

    #[test]
    fn a_word_is_a_whole_word() {
        assert!(intent().fit("a slowdown of addresses").confidence < 1e-9);
    }

    #[test]
    fn another_wish_is_not_this_one() {
        let fit = intent().fit("add a checkout");
        assert!(fit.confidence < SURE_ENOUGH);
        assert!(fit.because.contains("but “add” says it is to be built"), "{}", fit.because);
    }
}
