//! `deadelus up`: what runs, what was started, what failed.

use std::time::{Duration, Instant};

use crate::{
    args::{Place, Up},
    client,
    error::CliError,
    exit::Exit,
    home::Home,
    services,
    supervise::up::{self, Raised, Standing, State},
    table::table,
    term::{self, Term, Tone},
};

/// Connecting, making the streams on a slow disk, writing the card.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Between two looks.
const POLL: Duration = Duration::from_millis(100);

pub(crate) async fn run(place: &Place, args: &Up) -> Result<Exit, CliError> {
    let home = Home::at(&place.home)?;
    let raised = up::up(&home, args.nats.as_deref(), &args.scale)?;
    if args.output.is_json() {
        term::say_json(&raised)?;
    } else {
        term::say(&show(term::stdout(), &raised))?;
    }
    let failed: Vec<&Standing> =
        raised.processes.iter().filter(|p| p.state == State::Failed).collect();
    if let Some(first) = failed.first() {
        term::note(&format!(
            "{} of {} processes do not run; read {}, then run `deadelus up` again",
            failed.len(),
            raised.processes.len(),
            first.log.display()
        ));
        return Ok(Exit::Failed);
    }
    if args.wait { wait(place, &home, &raised).await } else { Ok(Exit::Done) }
}

/// Until every process that runs has announced itself on the mesh.
async fn wait(place: &Place, home: &Home, raised: &Raised) -> Result<Exit, CliError> {
    let own = raised.processes.iter().filter(|p| p.name != crate::supervise::fleet::NATS);
    let wanted = own.count();
    let place = Place { nats_url: Some(raised.nats_url.clone()), ..place.clone() };
    let client = client::connect(&place).await?;
    let begun = Instant::now();
    loop {
        let answered = services::ping(&client.mesh, wanted).await?.len();
        if answered >= wanted {
            return Ok(Exit::Done);
        }
        let dead: Vec<String> = home
            .started()?
            .into_iter()
            .filter(|s| !s.identity.is_alive())
            .map(|s| s.name)
            .collect();
        if !dead.is_empty() || begun.elapsed() >= READY_WITHIN {
            let name = dead.first().cloned();
            let reason = format!("{answered} of {wanted} processes answer on the mesh");
            let log = home.log(name.as_deref().unwrap_or(crate::supervise::fleet::ORCHESTRATOR));
            let name = name.unwrap_or_else(|| "the mesh".to_owned());
            return Err(CliError::NotUp { name, reason, log });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn show(term: Term, raised: &Raised) -> String {
    let rows = raised.processes.iter().map(|p| {
        let (tone, state) = match p.state {
            State::Running => (Tone::Plain, "running"),
            State::Started => (Tone::Good, "started"),
            State::Failed => (Tone::Bad, "failed"),
        };
        let pid = p.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        vec![
            (Tone::Strong, p.name.clone()),
            (tone, state.to_owned()),
            (Tone::Plain, pid),
            (Tone::Dim, p.note.clone()),
        ]
    });
    table(term, &["process", "state", "pid", "note"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_process_says_why_in_its_row() {
        let row = |name: &str, state, note: &str| Standing {
            name: name.into(),
            state,
            pid: (state != State::Failed).then_some(42),
            note: note.into(),
            log: "/h/logs/x.log".into(),
        };
        let processes = vec![
            row("nats", State::Running, "nats://127.0.0.1:4222"),
            row("db", State::Failed, "unknown key targts"),
        ];
        let raised = Raised { nats_url: "nats://127.0.0.1:4222".into(), processes };
        let shown = show(Term::plain(80), &raised);
        let squeezed: Vec<String> =
            shown.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            squeezed,
            [
                "PROCESS STATE PID NOTE",
                "nats running 42 nats://127.0.0.1:4222",
                "db failed - unknown key targts",
            ]
        );
    }
}
