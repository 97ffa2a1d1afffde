//! What a workflow waits for and what moves it on, read from its log.

use deadelus_core::Claim;
use deadelus_proto::{WorkflowId, pb::SlotTable};
use serde::Serialize;

use crate::{Client, ViewError, history::History, slot_view, ways_out::ways_out};

/// What it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Why {
    pub workflow: String,
    pub status: String,
    pub waits_for: Vec<String>,
    pub ways_out: Vec<String>,
}

/// Of a workflow; who holds what is asked for only where somebody waits.
///
/// # Errors
/// Those of [`Client::history`] and [`Client::slots`].
pub async fn of(client: &Client, id: &WorkflowId) -> Result<Why, ViewError> {
    let history = client.history(id).await?;
    let mut why = why(&history);
    if let Some(state) = history.workflow() {
        let claims = state.claims();
        if claims.iter().any(|claim| claim.ticket.is_some()) {
            why.waits_for.extend(holders(&claims, &client.slots().await?));
        }
    }
    Ok(why)
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
