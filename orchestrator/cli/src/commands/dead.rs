//! `deadelus dead`: the messages that nobody could handle. Each was buried with a reason; once that
//! is gone they are sent again, or dropped.

use serde::Serialize;

use crate::{
    args::{Dead, Letters, ListFormat, Output, Place},
    bulk,
    client::{self, Client},
    dead::{self, Letter},
    error::CliError,
    exit::Exit,
    table::table,
    term::{self, Term, Tone, cut, hang},
    time,
};

#[derive(Serialize)]
struct Row {
    number: u64,
    at_unix_ms: i64,
    reason: String,
    what: String,
    subject: String,
    bytes: usize,
}

pub(crate) async fn run(place: &Place, command: &Dead) -> Result<Exit, CliError> {
    match command {
        Dead::List { output } => list(&client::connect(place).await?, *output).await,
        Dead::Show(letters) => {
            let output = letters.output;
            let show = async |client: &Client, letter: Letter| {
                let _ = client;
                shown(&letter, output)
            };
            each(place, letters, show).await
        }
        Dead::Retry(letters) => {
            let output = letters.output;
            let again = async |client: &Client, letter: Letter| {
                dead::send_again(client, &letter).await?;
                told(&letter, "sent again", output)
            };
            each(place, letters, again).await
        }
        Dead::Drop(letters) => {
            let output = letters.output;
            let drop = async |client: &Client, letter: Letter| {
                dead::drop_it(client, letter.number).await?;
                told(&letter, "dropped", output)
            };
            each(place, letters, drop).await
        }
    }
}

/// Each of the letters, whatever becomes of the others.
async fn each(
    place: &Place,
    letters: &Letters,
    act: impl AsyncFn(&Client, Letter) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let numbers = bulk::arguments(&letters.number)?;
    let client = client::connect(place).await?;
    let one = async |number: &u64| act(&client, dead::get(&client, *number).await?).await;
    match &numbers[..] {
        [only] => one(only).await,
        many => bulk::all(many, one).await,
    }
}

async fn list(client: &Client, output: ListFormat) -> Result<Exit, CliError> {
    let letters = dead::list(client).await?;
    match output {
        ListFormat::Ids => {
            let ids: String = letters.iter().map(|l| format!("{}\n", l.number)).collect();
            term::say(&ids)?;
        }
        ListFormat::Json => term::say_json(&letters.iter().map(row).collect::<Vec<_>>())?,
        ListFormat::Text if letters.is_empty() => term::say_line("no dead letters")?,
        ListFormat::Text => term::say(&text(&letters, time::now_unix_ms(), term::stdout()))?,
    }
    Ok(Exit::Done)
}

fn row(letter: &Letter) -> Row {
    Row {
        number: letter.number,
        at_unix_ms: letter.letter.at_unix_ms,
        reason: letter.letter.reason.clone(),
        what: letter.what(),
        subject: letter.letter.subject.clone(),
        bytes: letter.letter.original.len(),
    }
}

fn text(letters: &[Letter], now_unix_ms: i64, term: Term) -> String {
    // What the number and the age take, shared by the two columns of words.
    let room = (term.width.saturating_sub(20) / 2).max(12);
    let rows = letters.iter().map(|letter| {
        vec![
            (Tone::Strong, letter.number.to_string()),
            (Tone::Dim, time::span(now_unix_ms - letter.letter.at_unix_ms)),
            (Tone::Plain, cut(&letter.what(), room)),
            (Tone::Bad, cut(&letter.letter.reason, room)),
        ]
    });
    table(term, &["number", "age", "what", "reason"], rows.collect())
}

fn shown(letter: &Letter, output: Output) -> Result<Exit, CliError> {
    if output.is_json() {
        term::say_json(&row(letter))?;
        return Ok(Exit::Done);
    }
    let (width, row) = (term::stdout().width, row(letter));
    let mut out = format!("letter {}, {} bytes\n", row.number, row.bytes);
    for (name, text) in [("what", &row.what), ("reason", &row.reason), ("from", &row.subject)] {
        out.push_str(&hang(&format!("  {name:<7}"), text, width));
    }
    out.push_str(&format!("  send it again: deadelus dead retry {}\n", row.number));
    out.push_str(&format!("  drop it:       deadelus dead drop {}\n", row.number));
    term::say(&out)?;
    Ok(Exit::Done)
}

fn told(letter: &Letter, what: &str, output: Output) -> Result<Exit, CliError> {
    if output.is_json() {
        term::say_json(&row(letter))?;
    } else {
        term::say_line(&format!("letter {}: {what}", letter.number))?;
    }
    Ok(Exit::Done)
}
