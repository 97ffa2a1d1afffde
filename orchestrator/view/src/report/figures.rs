//! Before and after, from the outputs of the tasks that measured.

use deadelus_core::Workflow;
use serde::Serialize;
use serde_json::Value;

use super::{
    Stored,
    facts::{closed_scopes, is_taken_back, outputs},
};
use crate::history::History;

pub(super) const MEASURE: &str = "performance.measure";

/// Counters of a run that a reader understands, as `performance.measure` calls them.
const COUNTERS: [(&str, &str, &str); 6] = [
    ("statements", "statements per request", ""),
    ("blocks", "blocks per request", ""),
    ("scan_steps", "rows scanned per request", ""),
    ("db_ms", "time in the database per request", "ms"),
    ("lock_wait_ms", "waiting for locks per request", "ms"),
    ("external_ms", "waiting for others per request", "ms"),
];

/// One number before, and after the changes that are kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// `checkout p95`
    pub name: String,
    /// `ms`, or empty.
    pub unit: String,
    /// Median over the runs.
    pub before: f64,
    /// Median over the runs; none when nothing is kept.
    pub after: Option<f64>,
    /// The one number for those who read only one.
    pub is_headline: bool,
}

impl Figure {
    /// `checkout p95: 412 ms → 21.3 ms`
    pub fn in_words(&self) -> String {
        let after = self.after.map_or_else(|| "-".to_owned(), |after| self.value(after));
        format!("{}: {} → {after}", self.name, self.value(self.before))
    }

    /// A number with its unit: three figures say all there is.
    pub fn value(&self, value: f64) -> String {
        let number = if value == 0.0 || value.abs() >= 100.0 {
            grouped(value)
        } else if value.abs() >= 10.0 {
            format!("{value:.1}")
        } else {
            format!("{value:.2}")
        };
        if self.unit.is_empty() { number } else { format!("{number} {}", self.unit) }
    }

    /// `-95 %`, `+3 %`; empty where there is nothing to compare.
    pub fn change(&self) -> String {
        match self.after {
            Some(after) if self.before > 0.0 => {
                format!("{:+.0} %", (after - self.before) / self.before * 100.0)
            }
            Some(_) | None => String::new(),
        }
    }
}

/// The first measurement against the last of what stands.
pub(super) fn figures(history: &History, workflow: &Workflow, stored: &Stored) -> Vec<Figure> {
    let closed = closed_scopes(history);
    let scopes = workflow.plan().scopes();
    let mut before = None;
    let mut after = None;
    for (spec, state) in workflow.tasks() {
        let Some(outputs) = outputs(state, stored).filter(|_| spec.does.to_string() == MEASURE)
        else {
            continue;
        };
        let is_closed =
            spec.scope.and_then(|s| scopes.get(s)).is_some_and(|s| closed.contains(&&*s.id));
        if before.is_none() {
            before = Some(outputs);
        } else if !is_closed && !is_taken_back(history) {
            after = Some(outputs);
        }
    }
    before.map(|before| compared(before, after)).unwrap_or_default()
}

fn compared(before: &Value, after: Option<&Value>) -> Vec<Figure> {
    let mut figures = vec![];
    for (at, (endpoint, role)) in endpoints(before).into_iter().enumerate() {
        let quantiles: &[(&str, &str)] = if role == "write" {
            &[("p95_ms", "p95")]
        } else {
            &[("p50_ms", "p50"), ("p95_ms", "p95"), ("p99_ms", "p99")]
        };
        for (field, name) in quantiles {
            let of = |m: &Value| median(runs(m).filter_map(|r| of_endpoint(r, &endpoint, field)));
            let name = format!("{endpoint} {name}");
            let is_headline = at == 0 && *field == "p95_ms";
            figures.extend(figure(name, "ms", before, after, is_headline, of));
        }
    }
    for (field, name, unit) in COUNTERS {
        let of =
            |m: &Value| median(runs(m).filter_map(|r| r.get("counters")?.get(field)?.as_f64()));
        figures.extend(figure(name.to_owned(), unit, before, after, false, of));
    }
    figures
}

fn figure(
    name: String,
    unit: &str,
    before: &Value,
    after: Option<&Value>,
    is_headline: bool,
    of: impl Fn(&Value) -> Option<f64>,
) -> Option<Figure> {
    let (before, after) = (of(before)?, after.and_then(&of));
    // What is zero all the time is no news.
    let silent = before == 0.0 && after.unwrap_or_default() == 0.0;
    (!silent).then(|| Figure { name, unit: unit.to_owned(), before, after, is_headline })
}

fn runs(measurement: &Value) -> impl Iterator<Item = &Value> {
    measurement.get("runs").and_then(Value::as_array).into_iter().flatten()
}

/// Names and roles, those that read first.
fn endpoints(measurement: &Value) -> Vec<(String, String)> {
    let first = runs(measurement).next().and_then(|r| r.get("endpoints")?.as_array());
    let text = |e: &Value, field| e.get(field).and_then(Value::as_str).map(str::to_owned);
    let named =
        first.into_iter().flatten().filter_map(|e| Some((text(e, "name")?, text(e, "role")?)));
    let mut all: Vec<_> = named.collect();
    all.sort_by_key(|(_, role)| role == "write");
    all
}

fn of_endpoint(run: &Value, name: &str, field: &str) -> Option<f64> {
    let endpoints = run.get("endpoints")?.as_array()?;
    let endpoint = endpoints.iter().find(|e| e.get("name").and_then(Value::as_str) == Some(name));
    endpoint?.get(field)?.as_f64()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut all: Vec<f64> = values.collect();
    all.sort_by(f64::total_cmp);
    let middle = all.len() / 2;
    match (all.len(), all.get(middle)) {
        (_, None) => None,
        (n, Some(upper)) if n % 2 == 0 => Some(f64::midpoint(all[middle - 1], *upper)),
        (_, Some(middle)) => Some(*middle),
    }
}

/// `300,000`
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (n, c) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn measured(p95: [f64; 3], steps: Value) -> Value {
        let run = |p95: f64| {
            json!({
                "endpoints": [
                    {"name": "order", "role": "write", "p95_ms": 3.0},
                    {"name": "checkout", "role": "read", "p50_ms": 1.0, "p95_ms": p95, "p99_ms": 9.0},
                ],
                "counters": {"scan_steps": steps, "lock_wait_ms": 0.0},
            })
        };
        json!({"runs": p95.map(run)})
    }

    #[test]
    fn medians_are_compared_and_the_first_reading_endpoint_leads() {
        let before = measured([400.0, 412.0, 900.0], json!(300_000.0));
        let after = measured([21.0, 22.0, 20.0], json!(5.0));
        let figures = compared(&before, Some(&after));
        let words: Vec<_> = figures.iter().map(|f| (f.in_words(), f.change())).collect();
        assert!(
            words.contains(&("checkout p95: 412 ms → 21.0 ms".into(), "-95 %".into())),
            "{words:?}"
        );
        assert!(
            words.iter().any(|(w, _)| w == "rows scanned per request: 300,000 → 5.00"),
            "{words:?}"
        );
        let headline: Vec<_> = figures.iter().filter(|f| f.is_headline).collect();
        assert_eq!(headline.len(), 1);
        assert_eq!(headline[0].name, "checkout p95");
    }

    #[test]
    fn what_was_not_measured_is_no_figure() {
        let figures = compared(&measured([1.0, 1.0, 1.0], Value::Null), None);
        assert!(figures.iter().all(|f| f.after.is_none() && !f.name.contains("request")));
        assert!(compared(&json!({}), None).is_empty());
    }
}
