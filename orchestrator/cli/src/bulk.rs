//! One workflow or many: wherever an id is wanted, `-` stands for the ids on standard input, one a
//! line, as `deadelus list -o ids` writes them.

use std::{
    fmt,
    io::{self, Read},
    str::FromStr,
};

use deadelus_proto::WorkflowId;

use crate::{
    args::Place,
    client::{self, Client},
    error::CliError,
    exit::Exit,
};

/// What stands for the ids on standard input.
const STANDARD_INPUT: &str = "-";

/// A million ids of the length this program gives them; more is not a list of ids.
const INPUT_MAX_BYTES: u64 = 20 * 1024 * 1024;

/// Does it to the workflow, or to each of those on standard input: a refusal is told and the others
/// have their turn. The exit code is then the first that is not 0.
///
/// # Errors
/// What goes wrong with the only workflow; of many, only what concerns all of them.
pub(crate) async fn each(
    place: &Place,
    id: &str,
    act: impl AsyncFn(&Client, &WorkflowId) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    if id != STANDARD_INPUT {
        let client = client::connect(place).await?;
        let id = client.workflow_id(id).await?;
        return act(&client, &id).await;
    }
    let ids = arguments(id)?;
    let client = client::connect(place).await?;
    all(&ids, async |id| act(&client, id).await).await
}

/// Each of them has its turn, whatever becomes of the others.
pub(crate) async fn all<T>(
    items: &[T],
    act: impl AsyncFn(&T) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let mut first = Exit::Done;
    for item in items {
        let exit = match act(item).await {
            Ok(exit) => exit,
            Err(error) if error.is_closed_pipe() => return Err(error),
            Err(error) => {
                error.tell();
                error.exit()
            }
        };
        if first == Exit::Done {
            first = exit;
        }
    }
    Ok(first)
}

/// What is meant: the one on the command line, or for `-` those on standard input.
pub(crate) fn arguments<T>(text: &str) -> Result<Vec<T>, CliError>
where
    T: FromStr<Err: fmt::Display>,
{
    if text == STANDARD_INPUT { lines(io::stdin().lock()) } else { Ok(vec![parse(text)?]) }
}

/// All of them, before anything is done to the first: a list with a slip in it does nothing.
fn lines<T>(input: impl Read) -> Result<Vec<T>, CliError>
where
    T: FromStr<Err: fmt::Display>,
{
    let mut text = String::new();
    input
        .take(INPUT_MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(CliError::file("read", "standard input"))?;
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse).collect()
}

fn parse<T>(text: &str) -> Result<T, CliError>
where
    T: FromStr<Err: fmt::Display>,
{
    text.parse().map_err(|e| CliError::Usage(format!("{text:?}: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_one_a_line_and_a_slip_stops_all() {
        let read = |text: &str| lines::<WorkflowId>(text.as_bytes());
        let some = read("wf-1\n\n  wf-2 \n").unwrap();
        assert_eq!(some.iter().map(WorkflowId::as_str).collect::<Vec<_>>(), ["wf-1", "wf-2"]);
        assert_eq!(read("").unwrap(), []);
        assert!(read("wf-1\nNot An Id\n").is_err());
    }
}
