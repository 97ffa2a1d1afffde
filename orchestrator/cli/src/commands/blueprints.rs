//! `deadelus blueprints`: the requests that are ready, and everything about one of them.

use std::collections::BTreeMap;

use deadelus_core::Plan;
use deadelus_proto::{
    pb::{BlueprintCard, BlueprintsAnswer, BlueprintsRequest},
    subject::Api,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    args::{Blueprints, Place, PlanFormat},
    client,
    error::CliError,
    exit::Exit,
    table::table,
    term::{self, Term, Tone, hang},
};

/// As `-o json` lists it.
#[derive(Serialize)]
struct Row<'a> {
    blueprint: &'a str,
    title: &'a str,
    source: &'a str,
}

impl<'a> Row<'a> {
    fn of(card: &'a BlueprintCard) -> Self {
        Self { blueprint: &card.name, title: &card.title, source: &card.source }
    }
}

/// The parts of a blueprint that are explained; whether it is sound was judged before it came.
#[derive(Debug, Deserialize)]
struct Explained {
    summary: String,
    intent: Intent,
    #[serde(default)]
    params: BTreeMap<String, Param>,
    plan: Plan,
}

#[derive(Debug, Deserialize)]
struct Intent {
    signals: Vec<Signal>,
    #[serde(default)]
    against: Vec<Signal>,
}

#[derive(Debug, Deserialize)]
struct Signal {
    says: String,
    words: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Param {
    #[serde(rename = "type")]
    kind: String,
    summary: String,
    default: Option<Value>,
    from_fact: Option<String>,
}

pub(crate) async fn run(place: &Place, args: &Blueprints) -> Result<Exit, CliError> {
    let client = client::connect(place).await?;
    let name = args.name.clone().unwrap_or_default();
    let answer: BlueprintsAnswer =
        client.ask(Api::Blueprints, &BlueprintsRequest { name: name.clone() }).await?;
    if name.is_empty() {
        list(&answer.blueprints, args.output)?;
    } else {
        let card = answer.blueprints.first().ok_or(CliError::NoBlueprint(name))?;
        explain(card, args.output)?;
    }
    Ok(Exit::Done)
}

fn list(cards: &[BlueprintCard], output: PlanFormat) -> Result<(), CliError> {
    match output {
        PlanFormat::Text => {
            let term = term::stdout();
            let row = |c: &BlueprintCard| {
                // The whole path is long, and stands in the explanation.
                let file = c.source.rsplit('/').next().unwrap_or_default();
                let name = (Tone::Strong, c.name.clone());
                vec![name, (Tone::Plain, c.title.clone()), (Tone::Dim, file.to_owned())]
            };
            let rows = cards.iter().map(row).collect();
            term::say(&table(term, &["blueprint", "what it is for", "from"], rows))?;
            term::say_line("\n`deadelus blueprints NAME` explains one")
        }
        PlanFormat::Json => term::say_json(&cards.iter().map(Row::of).collect::<Vec<_>>()),
        PlanFormat::Yaml => Err(CliError::Usage(
            "-o yaml writes one blueprint: deadelus blueprints NAME -o yaml".to_owned(),
        )),
    }
}

fn explain(card: &BlueprintCard, output: PlanFormat) -> Result<(), CliError> {
    let damaged = |e: serde_json::Error| CliError::nats("read the blueprint")(e);
    let whole: Value = serde_json::from_slice(&card.json).map_err(damaged)?;
    match output {
        PlanFormat::Json => term::say_json(&whole),
        PlanFormat::Yaml => {
            let yaml = serde_yaml_ng::to_string(&whole)
                .map_err(|e| CliError::Output(std::io::Error::other(e)))?;
            term::say(&yaml)
        }
        PlanFormat::Text => {
            let explained = Explained::deserialize(whole).map_err(damaged)?;
            term::say(&text(card, &explained, term::stdout()))
        }
    }
}

fn text(card: &BlueprintCard, explained: &Explained, term: Term) -> String {
    let mut out = hang(&format!("{}: ", card.name), &card.title, term.width);
    out.push_str(&hang("  ", &explained.summary, term.width));
    out.push_str(&hang("  from  ", &card.source, term.width));
    let mut section = |title: &str, lines: Vec<(String, String)>| {
        let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        out.push_str(&format!("\n{}\n", term.paint(Tone::Strong, title)));
        for (name, text) in lines {
            out.push_str(&hang(&format!("  {name:<width$}  "), &text, term.width));
        }
    };
    section("Words that find it", said(&explained.intent.signals));
    if !explained.intent.against.is_empty() {
        section("Words that speak against it", said(&explained.intent.against));
    }
    if !explained.params.is_empty() {
        let params = explained.params.iter().map(|(name, p)| (name.clone(), p.text()));
        section("Parameters (--param NAME=VALUE)", params.collect());
    }
    let tasks = explained.plan.tasks.iter();
    let tasks = tasks.map(|(id, task)| (id.clone(), format!("{}: {}", task.does, task.title)));
    section("Tasks", tasks.collect());
    out.push_str(&format!(
        "\nlook at its plan: deadelus plan --blueprint {} --target NAME \"what you want\"\n",
        card.name
    ));
    out
}

fn said(signals: &[Signal]) -> Vec<(String, String)> {
    signals.iter().map(|signal| (signal.says.clone(), signal.words.join(", "))).collect()
}

impl Param {
    /// `number, 50 or the target's performance.p95_ms: The budget.`
    fn text(&self) -> String {
        let default = match &self.default {
            Some(Value::String(text)) if text.is_empty() => "empty".to_owned(),
            Some(value) => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            None => "must be given".to_owned(),
        };
        let fact = self.from_fact.as_ref();
        let fact = fact.map(|fact| format!("the target's {fact}, else ")).unwrap_or_default();
        format!("{}, {fact}{default}: {}", self.kind, self.summary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_explained_with_its_parameters_tasks_and_words() {
        let yaml = include_str!("../../../blueprints/slow-endpoint.yaml");
        let explained: Explained = serde_yaml_ng::from_str(yaml).unwrap();
        let card = BlueprintCard {
            name: "slow-endpoint".to_owned(),
            title: "T".to_owned(),
            source: "built in".to_owned(),
            ..BlueprintCard::default()
        };
        let text = text(&card, &explained, Term::plain(100));
        for part in [
            "slow-endpoint: T\n",
            "  from  built in\n",
            "timing out",
            "  p95_ms          number, the target's performance.p95_ms, else 50: The budget;",
            "  measure0   performance.measure: Measure the service as it is\n",
            "--blueprint slow-endpoint",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(text.lines().all(|l| l.chars().count() <= 100 && l == l.trim_end()), "{text}");
    }
}
