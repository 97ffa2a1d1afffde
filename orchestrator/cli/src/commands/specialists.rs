//! `deadelus specialists`: who they are, what they can do, to which targets, how many answer.

use deadelus_proto::{Capability, Effect, SpecialistCard};
use serde::Serialize;

use crate::{
    args::{Output, Place},
    client,
    error::CliError,
    exit::Exit,
    services,
    term::{self, Term, Tone, hang},
};

/// More processes than this are not counted, only the time they get to answer.
const EVERYBODY: usize = usize::MAX;

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    card: SpecialistCard,
    /// Processes that answer now.
    replicas: Vec<String>,
}

pub(crate) async fn run(place: &Place, output: Output) -> Result<Exit, CliError> {
    let client = client::connect(place).await?;
    let (cards, answering) =
        tokio::try_join!(client.cards(), services::ping(&client.mesh, EVERYBODY))?;
    let rows: Vec<Row> = cards
        .into_iter()
        .map(|card| {
            let own = answering.iter().filter(|s| s.kind() == card.specialist.as_str());
            Row { replicas: own.map(|s| s.instance().to_owned()).collect(), card }
        })
        .collect();
    if output.is_json() {
        term::say_json(&rows)?;
    } else if rows.is_empty() {
        term::say_line("no specialist has been here yet; start them with `deadelus up`")?;
    } else {
        let term = term::stdout();
        let text: Vec<String> = rows.iter().map(|row| text(row, term)).collect();
        term::say(&text.join("\n"))?;
    }
    Ok(Exit::Done)
}

fn text(row: &Row, term: Term) -> String {
    let card = &row.card;
    let replicas = match &row.replicas[..] {
        [] => term.paint(Tone::Bad, "nobody answers"),
        all => term.paint(Tone::Good, &all.join(", ")),
    };
    let name = term.paint(Tone::Strong, card.specialist.as_str());
    let mut out = format!("{name} {}  {replicas}\n", card.version);
    let targets: Vec<&str> = card.targets.iter().map(|t| t.name.as_str()).collect();
    let targets = if targets.is_empty() { "none configured".into() } else { targets.join(", ") };
    out.push_str(&hang("  targets  ", &targets, term.width));
    for capability in &card.capabilities {
        let first = format!("  {:<16} ", capability.name.verb());
        out.push_str(&hang(&first, &capability_text(capability), term.width));
    }
    out
}

fn capability_text(capability: &Capability) -> String {
    let undo = match &capability.undo {
        Some((by, _)) => format!("; taken back by {by}"),
        None if capability.effect == Effect::Pivot => "; no way back".to_owned(),
        None => String::new(),
    };
    format!("{}: {}{undo}", capability.role, capability.summary.trim_end_matches('.'))
}
