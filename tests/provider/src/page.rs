//! Lists: filtered, newest first, a page at a time.

use serde_json::{Value, json};

use crate::{params::Params, refusal::Refusal};

/// As documented: 1 to 100, 10 when nothing is said.
const LIMIT_MAX: i64 = 100;
const LIMIT_DEFAULT: i64 = 10;

/// One page. `all` is newest first, filtered already.
pub(crate) fn page(url: &str, all: &[&Value], params: &Params) -> Result<Value, Refusal> {
    let limit = params.integer("limit")?.unwrap_or(LIMIT_DEFAULT);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Refusal::invalid("limit", "This value must be between 1 and 100."));
    }
    let limit = usize::try_from(limit).unwrap_or(1);
    let place = |name: &str| -> Result<Option<usize>, Refusal> {
        let Some(id) = params.text(name)? else { return Ok(None) };
        let found = all.iter().position(|object| object["id"] == id);
        found.map(Some).ok_or_else(|| Refusal::no_such(400, "object", id, name))
    };
    let (data, has_more) = match (place("starting_after")?, place("ending_before")?) {
        (Some(_), Some(_)) => {
            let text = "Use one of starting_after and ending_before.";
            return Err(Refusal::invalid("ending_before", text));
        }
        (_, Some(end)) => (&all[end.saturating_sub(limit)..end], end > limit),
        (start, None) => {
            let rest = &all[start.map_or(0, |place| place + 1)..];
            (&rest[..limit.min(rest.len())], rest.len() > limit)
        }
    };
    Ok(json!({"object": "list", "url": url, "has_more": has_more, "data": data}))
}

/// `created`, or `created[gte]` and its kin, in Unix seconds.
pub(crate) fn created_within(object: &Value, params: &Params) -> Result<bool, Refusal> {
    let created = object["created"].as_i64().unwrap_or_default();
    let Ok(Some(range)) = params.inner("created") else {
        return Ok(params.integer("created")?.is_none_or(|at| at == created));
    };
    range.only(&["gt", "gte", "lt", "lte"])?;
    Ok(range.integer("gt")?.is_none_or(|at| created > at)
        && range.integer("gte")?.is_none_or(|at| created >= at)
        && range.integer("lt")?.is_none_or(|at| created < at)
        && range.integer("lte")?.is_none_or(|at| created <= at))
}
