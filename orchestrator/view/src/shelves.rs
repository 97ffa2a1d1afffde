//! What the list has to show, and in which order, read from the shelves of the list's bucket. Nothing
//! here holds all lines at once: 100,000 workflows may have ended.

#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{HashSet, VecDeque},
};

use deadelus_mesh::lists::{Line, Lists, Shelf};
use deadelus_proto::pb::WorkflowSummary;

use crate::ViewError;

/// States that only an open workflow is in: nothing else has to be read.
const OPEN_STATES: [&str; 6] =
    ["running", "paused", "waiting", "undoing", "stuck", "needs-reconcile"];

/// Ended workflows looked at first when the newest of all is wanted.
const LATEST_WINDOW: usize = 64;

/// The open ones, and the newest of those that have ended.
#[derive(Debug, Default, PartialEq)]
pub struct Newest {
    /// The last begun first.
    pub open: Vec<Line>,
    /// The last ended first.
    pub ended: Vec<Line>,
    /// Further ones that have ended.
    pub more: u64,
}

/// Every open workflow, and at most `limit` that have ended; only those in a state, if one is given.
///
/// # Errors
/// When the list cannot be read.
pub async fn newest(lists: &Lists, state: Option<&str>, limit: usize) -> Result<Newest, ViewError> {
    let (open, mut ended) = open_shelf(lists, state).await?;
    if state.is_some_and(|state| OPEN_STATES.contains(&state)) {
        return Ok(Newest { open, ended, more: 0 });
    }
    let total = match state {
        Some(state) => filtered(lists, state, limit, &mut ended).await?,
        None => latest_ended(lists, limit, &mut ended).await?,
    };
    ended.sort_by_key(|line| Reverse(line.summary.updated_unix_ms));
    ended.truncate(limit);
    let more = total.saturating_sub(ended.len() as u64);
    Ok(Newest { open, ended, more })
}

/// Every line once, the open ones first, then the others as they are on their shelves.
///
/// # Errors
/// When the list cannot be read, and those of `act`.
pub async fn each<E: From<ViewError>>(
    lists: &Lists,
    state: Option<&str>,
    mut act: impl FnMut(&Line) -> Result<(), E>,
) -> Result<(), E> {
    let (open, ended) = open_shelf(lists, state).await?;
    let mut seen = HashSet::new();
    for line in open.iter().chain(&ended) {
        act(line)?;
        seen.insert(line.summary.workflow_id.clone());
    }
    if state.is_some_and(|state| OPEN_STATES.contains(&state)) {
        return Ok(());
    }
    for shelf in [Shelf::Ended, Shelf::Archived] {
        let mut walk = lists.walk(shelf, 0).await.map_err(ViewError::from)?;
        while let Some(line) = walk.next().await.map_err(ViewError::from)? {
            if is_wanted(&line, state) && seen.insert(line.summary.workflow_id.clone()) {
                act(&line)?;
            }
        }
    }
    Ok(())
}

/// The id of the workflow that was begun last; none when there is none.
///
/// # Errors
/// When the list cannot be read.
pub async fn latest(lists: &Lists) -> Result<Option<String>, ViewError> {
    let (open, ended) = open_shelf(lists, None).await?;
    let mut lines: Vec<Line> = open.into_iter().chain(ended).collect();
    let begun = |lines: &[Line]| lines.iter().map(|line| line.summary.started_unix_ms).max();
    for shelf in [Shelf::Ended, Shelf::Archived] {
        let mut window = LATEST_WINDOW;
        loop {
            let found = lists.newest(shelf, window).await?;
            let (all, oldest) = (found.len() < window, found.last().cloned());
            lines.extend(found);
            // What ended before the last one was begun was begun before it, too.
            let settled =
                oldest.is_some_and(|line| Some(line.summary.updated_unix_ms) < begun(&lines));
            if all || settled {
                break;
            }
            window *= 8;
        }
    }
    let key = |line: &&Line| (line.summary.started_unix_ms, line.summary.workflow_id.clone());
    Ok(lines.iter().max_by_key(key).map(|line| line.summary.workflow_id.clone()))
}

/// The open workflows, the last begun first, and those that have ended and are not shelved yet.
async fn open_shelf(
    lists: &Lists,
    state: Option<&str>,
) -> Result<(Vec<Line>, Vec<Line>), ViewError> {
    let (mut open, mut ended) = (vec![], vec![]);
    let mut walk = lists.walk(Shelf::Open, 0).await?;
    while let Some(line) = walk.next().await? {
        let is_open = !line.summary.ended || OPEN_STATES.contains(&line.summary.status.as_str());
        if is_wanted(&line, state) {
            if is_open { open.push(line) } else { ended.push(line) }
        }
    }
    open.sort_by_key(|line| {
        let WorkflowSummary { started_unix_ms, workflow_id, .. } = &line.summary;
        Reverse((*started_unix_ms, workflow_id.clone()))
    });
    Ok((open, ended))
}

/// Adds the newest that have ended to those that are not shelved yet; how many there are in all.
async fn latest_ended(
    lists: &Lists,
    limit: usize,
    ended: &mut Vec<Line>,
) -> Result<u64, ViewError> {
    let fresh = ended.len() as u64;
    for shelf in [Shelf::Ended, Shelf::Archived] {
        if ended.len() < limit {
            add(ended, lists.newest(shelf, limit).await?);
        }
    }
    let shelved = lists.count(Shelf::Ended).await? + lists.count(Shelf::Archived).await?;
    Ok(fresh + shelved)
}

/// The same of one state: every line is looked at and few are held.
async fn filtered(
    lists: &Lists,
    state: &str,
    limit: usize,
    ended: &mut Vec<Line>,
) -> Result<u64, ViewError> {
    let mut total = ended.len() as u64;
    let mut newest = VecDeque::new();
    for shelf in [Shelf::Archived, Shelf::Ended] {
        let mut walk = lists.walk(shelf, 0).await?;
        while let Some(line) = walk.next().await? {
            if is_wanted(&line, Some(state)) {
                total += 1;
                newest.push_back(line);
                if newest.len() > limit {
                    newest.pop_front();
                }
            }
        }
    }
    add(ended, newest.into_iter().rev());
    Ok(total)
}

/// A line that is on two shelves just now is one.
fn add(lines: &mut Vec<Line>, more: impl IntoIterator<Item = Line>) {
    for line in more {
        if lines.iter().all(|known| known.summary.workflow_id != line.summary.workflow_id) {
            lines.push(line);
        }
    }
}

fn is_wanted(line: &Line, state: Option<&str>) -> bool {
    state.is_none_or(|state| line.summary.status == state)
}
