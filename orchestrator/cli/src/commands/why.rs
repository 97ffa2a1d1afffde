//! `deadelus why`: what a workflow waits for and what moves it on, read from its log.

use deadelus_core::Claim;
use deadelus_proto::{WorkflowId, pb::SlotTable};
use serde::Serialize;

use crate::{
    args::Output,
    client::Client,
    error::CliError,
    exit::Exit,
    history::History,
    slot_view,
    term::{self, Term, hang},
    ways_out::ways_out,
};

#[derive(Serialize)]
struct Why {
    workflow: String,
    status: String,
    waits_for: Vec<String>,
    ways_out: Vec<String>,
}

pub(crate) async fn run(
    client: &Client,
    id: &WorkflowId,
    output: Output,
) -> Result<Exit, CliError> {
    let history = client.history(id).await?;
    let mut why = why(&history);
    if let Some(state) = history.workflow() {
        let claims = state.claims();
        // Who holds what is asked for only where somebody waits.
        if claims.iter().any(|claim| claim.ticket.is_some()) {
            why.waits_for.extend(holders(&claims, &client.slots().await?));
        }
    }
    if output.is_json() {
        term::say_json(&why)?;
    } else {
        term::say(&text(&why, Term::stdout()))?;
    }
    Ok(Exit::Done)
}

fn why(history: &History) -> Why {
    let workflow = history.id().to_string();
    let Some(state) = history.workflow() else {
        let (status, waits_for) = ("unreadable".to_owned(), history.alarms().to_vec());
        return Why { workflow, status, waits_for, ways_out: vec![] };
    };
    let mut waits_for: Vec<String> = state.why().iter().map(ToString::to_string).collect();
    if let Some((_, reason)) = state.ended() {
        waits_for.push(reason.to_owned());
    }
    waits_for.extend(history.alarms().iter().cloned());
    let status = if history.needs_reconcile() {
        "needs-reconcile".into()
    } else {
        state.status().to_string()
    };
    let ways_out = if history.needs_reconcile() { vec![] } else { ways_out(state) };
    Why { workflow, status, waits_for, ways_out }
}

/// Who has what is waited for, and who is before.
fn holders(claims: &[Claim], tables: &[SlotTable]) -> Vec<String> {
    let waiting = claims.iter().filter(|claim| claim.ticket.is_some());
    let wanted = waiting.flat_map(|claim| claim.slots.iter().map(move |slot| (claim, slot)));
    let lines = wanted.filter_map(|(claim, slot)| {
        let slot = slot.to_string();
        let table = tables.iter().find(|table| table.slot == slot)?;
        let (workflow, task) = (claim.key.workflow.as_str(), claim.key.task.as_str());
        let mut places = table.waiters.iter();
        let before = places.position(|p| (&*p.workflow_id, &*p.task_id) == (workflow, task))?;
        let before =
            if before == 0 { "it is next".to_owned() } else { format!("{before} before it") };
        Some(format!("{slot} is held by {}; {before}", slot_view::holders(table)))
    });
    lines.collect()
}

fn text(why: &Why, term: Term) -> String {
    let lines = why.waits_for.iter().map(|line| hang("  - ", line, term.width));
    let mut out = format!("{} is {}\n{}", why.workflow, why.status, lines.collect::<String>());
    if !why.ways_out.is_empty() {
        out.push_str("what moves it on\n");
        // Commands are copied: never broken.
        out.extend(why.ways_out.iter().map(|way| format!("  {way}\n")));
    }
    out
}
