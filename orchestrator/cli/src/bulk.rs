//! One workflow or many: wherever an id is wanted, `-` stands for the ids on standard input, one a
//! line, as `deadelus list -o ids` writes them.

use std::io::{self, Read};

use deadelus_proto::WorkflowId;

use crate::{args::Place, client::Client, error::CliError, exit::Exit};

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
        let client = Client::connect(place).await?;
        let id = client.workflow_id(id).await?;
        return act(&client, &id).await;
    }
    let ids = ids(io::stdin().lock())?;
    let client = Client::connect(place).await?;
    let mut first = Exit::Done;
    for id in ids {
        let exit = match act(&client, &id).await {
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

/// All of them, before anything is done to the first: a list with a slip in it does nothing.
fn ids(input: impl Read) -> Result<Vec<WorkflowId>, CliError> {
    let mut text = String::new();
    input
        .take(INPUT_MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(CliError::file("read", "standard input"))?;
    let ids = text.lines().map(str::trim).filter(|line| !line.is_empty());
    ids.map(|id| id.parse().map_err(|e| CliError::Usage(format!("{e}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_one_a_line_and_a_slip_stops_all() {
        let read = |text: &str| ids(text.as_bytes());
        let some = read("wf-1\n\n  wf-2 \n").unwrap();
        assert_eq!(some.iter().map(WorkflowId::as_str).collect::<Vec<_>>(), ["wf-1", "wf-2"]);
        assert_eq!(read("").unwrap(), []);
        assert!(read("wf-1\nNot An Id\n").is_err());
    }
}
