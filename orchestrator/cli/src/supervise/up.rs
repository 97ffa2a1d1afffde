//! Starting what does not run yet.

use std::{
    path::PathBuf,
    process::Child,
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{
    fleet::{self, Member, NATS},
    nats,
    process::{self, Identity, Program},
};
use crate::{
    error::CliError,
    home::{self, Home, Started},
};

/// A NATS server with a large store reads it before it listens.
const NATS_WITHIN: Duration = Duration::from_secs(30);

/// How often a starting server is looked at.
const POLL: Duration = Duration::from_millis(10);

/// What fails at once (a configuration error, a missing library) fails within this.
const SETTLED_AFTER: Duration = Duration::from_millis(300);

/// Lines of a log that say why a process ended.
const LAST_LINES_SHOWN: usize = 3;

/// A process reads its configuration once.
const EDITED: &str = "its configuration was edited since; `deadelus down`, then `up`, to use it";

/// What became of one process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    /// `db-2`
    pub(crate) name: String,
    /// `running`, `started`, `failed`
    pub(crate) state: State,
    /// Its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pid: Option<i32>,
    /// Why it failed, or where it listens; may be empty.
    pub(crate) note: String,
    /// Where it writes.
    pub(crate) log: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It ran before.
    Running,
    /// It was started just now.
    Started,
    /// It could not be started, or ended at once.
    Failed,
}

/// What came of it all.
#[derive(Debug, Serialize)]
pub(crate) struct Raised {
    /// Where the mesh is.
    pub(crate) nats_url: String,
    /// Every process, NATS first.
    pub(crate) processes: Vec<Standing>,
}

/// Starts what is missing. With `url` no NATS server is started.
///
/// # Errors
/// What keeps everything from running; what keeps one process from it stands in its row.
pub(crate) fn up(
    home: &Home,
    url: Option<&str>,
    scale: &[(String, usize)],
) -> Result<Raised, CliError> {
    let members = fleet::members(scale)?;
    home.create()?;
    let _guard = home.lock()?;
    let before = home.started()?;
    let (nats_url, mut processes) = match url {
        Some(url) => (url.to_owned(), vec![]),
        None => {
            let (url, standing) = raise_nats(home, &before)?;
            (url, vec![standing])
        }
    };
    home.set_url(&nats_url)?;
    let mut births = vec![];
    for member in &members {
        let kind = member.kind;
        home::write_once(&home.config(kind), &fleet::config_template(kind))?;
        births.push(raise(home, member, &before, &nats_url)?);
    }
    if births.iter().any(|b| b.child.is_some()) {
        thread::sleep(SETTLED_AFTER);
    }
    for birth in births {
        processes.push(birth.settled(home)?);
    }
    Ok(Raised { nats_url, processes })
}

/// A process that was looked at; with a child if it was started by us.
struct Birth {
    standing: Standing,
    child: Option<Child>,
}

fn raise(home: &Home, member: &Member, before: &[Started], url: &str) -> Result<Birth, CliError> {
    let name = &member.name;
    if let Some(alive) = alive(before, name) {
        let note = if home.is_edited_since(member.kind, name) { EDITED } else { "" };
        let standing = standing(home, name, State::Running, Some(alive.identity.pid), note);
        return Ok(Birth { standing, child: None });
    }
    let own = std::env::current_exe().map_err(CliError::file("find", "our own program"))?;
    let program = member.program(own.parent().unwrap_or(&own), home, url);
    if !program.path.is_file() {
        let note = format!("{} is not built", program.path.display());
        return Ok(Birth {
            standing: standing(home, name, State::Failed, None, &note),
            child: None,
        });
    }
    let child = start(home, name, &program)?;
    let pid = i32::try_from(child.id()).ok();
    let standing = standing(home, name, State::Started, pid, "");
    Ok(Birth { standing, child: Some(child) })
}

impl Birth {
    /// Whether it still runs a moment later.
    fn settled(mut self, home: &Home) -> Result<Standing, CliError> {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            home.forget(&self.standing.name)?;
            let said = last_lines(&self.standing.log);
            let note = if said.is_empty() { format!("ended: {status}") } else { said };
            self.standing = Standing { state: State::Failed, pid: None, note, ..self.standing };
        }
        Ok(self.standing)
    }
}

fn raise_nats(home: &Home, before: &[Started]) -> Result<(String, Standing), CliError> {
    let last = home.url()?;
    if let (Some(alive), Some(url)) = (alive(before, NATS), &last) {
        let standing = standing(home, NATS, State::Running, Some(alive.identity.pid), url);
        return Ok((url.clone(), standing));
    }
    let port = nats::port(last.as_deref())?;
    let program = nats::program(nats::find()?, home, port)?;
    let mut child = start(home, NATS, &program)?;
    let begun = Instant::now();
    while !nats::listens(port) {
        let ended = child.try_wait().ok().flatten();
        if ended.is_some() || begun.elapsed() >= NATS_WITHIN {
            Identity::of(i32::try_from(child.id()).unwrap_or(0)).iter().for_each(Identity::kill);
            home.forget(NATS)?;
            let reason = last_lines(&program.log);
            return Err(CliError::NotUp { name: "nats-server".into(), reason, log: program.log });
        }
        thread::sleep(POLL);
    }
    let (url, pid) = (nats::url(port), i32::try_from(child.id()).ok());
    let standing = standing(home, NATS, State::Started, pid, &url);
    Ok((url, standing))
}

fn start(home: &Home, name: &str, program: &Program) -> Result<Child, CliError> {
    let failed =
        |source| CliError::Spawn { name: name.to_owned(), program: program.path.clone(), source };
    let child = process::spawn(program).map_err(failed)?;
    let pid = i32::try_from(child.id()).unwrap_or(0);
    // A process that has ended already is found by the look that follows.
    if let Some(identity) = Identity::of(pid) {
        let program = program.path.clone();
        home.remember(&Started { name: name.to_owned(), program, identity })?;
    }
    Ok(child)
}

fn alive<'a>(before: &'a [Started], name: &str) -> Option<&'a Started> {
    before.iter().find(|s| s.name == name && s.identity.is_alive())
}

fn standing(home: &Home, name: &str, state: State, pid: Option<i32>, note: &str) -> Standing {
    Standing { name: name.to_owned(), state, pid, note: note.to_owned(), log: home.log(name) }
}

fn last_lines(log: &std::path::Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_LINES_SHOWN)..].join("\n")
}
