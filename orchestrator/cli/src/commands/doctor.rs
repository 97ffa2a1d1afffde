//! `deadelus doctor`: everything that must be right, one line each, and what to do where it is not.

mod room;

use std::collections::BTreeMap;

use deadelus_mesh::{connect::ServerVersion, leases, streams};
use deadelus_proto::{SpecialistCard, limits::PARTITIONS};
use serde::Serialize;

use crate::{
    args::{Output, Place},
    client::{self, Client},
    error::CliError,
    exit::Exit,
    home::Home,
    services::{self, Service},
    slot_view,
    supervise::fleet,
    table::table,
    term::{self, Term, Tone},
};

/// Below this the server has known losses.
const WITHOUT_KNOWN_LOSSES: ServerVersion = ServerVersion { major: 2, minor: 12, patch: 12 };

/// More waiting work than this means that too few replicas run.
const WAITING_WARN: u64 = 100;

/// Everybody gets the whole time to answer.
const EVERYBODY: usize = usize::MAX;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Finding {
    about: String,
    level: Level,
    found: String,
    /// What to do; empty when all is well.
    next: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warn,
    Fail,
}

pub(crate) async fn run(place: &Place, output: Output) -> Result<Exit, CliError> {
    let home = Home::at(&place.home)?;
    let mut findings = processes(&home)?;
    match client::connect(place).await {
        Ok(client) => mesh(&client, &home, &mut findings).await?,
        Err(error) => {
            let next = error.next().unwrap_or_default();
            findings.push(fail("nats", deadelus_mesh::chain(&error), next));
        }
    }
    if output.is_json() {
        term::say_json(&findings)?;
    } else {
        term::say(&show(&findings, term::stdout()))?;
    }
    let worst = findings.iter().map(|f| f.level).max();
    Ok(if worst == Some(Level::Fail) { Exit::Failed } else { Exit::Done })
}

/// Those that were started here and are gone, and programs that are not built.
fn processes(home: &Home) -> Result<Vec<Finding>, CliError> {
    let mut findings = vec![];
    let started = home.started()?;
    let (alive, gone): (Vec<_>, Vec<_>) = started.iter().partition(|s| s.identity.is_alive());
    for one in gone {
        let log = home.log(&one.name);
        let next = format!("read {}, then `deadelus up`", log.display());
        findings.push(fail(&one.name, format!("pid {} has ended", one.identity.pid), next));
    }
    if !alive.is_empty() {
        let found =
            format!("{} processes run, started from {}", alive.len(), home.path().display());
        findings.push(ok("processes", found));
    }
    let own = std::env::current_exe().map_err(CliError::file("find", "our own program"))?;
    let kinds = [fleet::ORCHESTRATOR].into_iter().chain(fleet::SPECIALISTS);
    let missing: Vec<String> = kinds
        .map(|kind| format!("deadelus-{kind}"))
        .filter(|program| !own.with_file_name(program).is_file())
        .collect();
    if missing.is_empty() {
        findings.push(ok("programs", "all nine are beside this one".to_owned()));
    } else {
        let next = "cargo build --release --workspace".to_owned();
        findings.push(warn("programs", format!("not built: {}", missing.join(", ")), next));
    }
    Ok(findings)
}

async fn mesh(client: &Client, home: &Home, findings: &mut Vec<Finding>) -> Result<(), CliError> {
    findings.push(server(client.mesh.server, &client.url));
    findings.push(durability(home, &client.url)?);
    room::room(client, findings).await;
    let services = services::ping(&client.mesh, EVERYBODY).await?;
    findings.push(orchestrators(&services));
    findings.push(match leases::owners(&client.mesh).await {
        Ok(owners) => shares(&owners),
        Err(error) => fail("partitions", deadelus_mesh::chain(&error), "deadelus up".to_owned()),
    });
    for table in client.slots().await.unwrap_or_default() {
        findings.push(ok(&table.slot, slot_view::line(&table)));
    }
    // Where no bucket is yet, the streams' findings say so.
    let cards = client.cards().await.unwrap_or_default();
    let lag = lag(client).await;
    for name in fleet::SPECIALISTS {
        let card = cards.iter().find(|c| c.specialist.as_str() == name);
        findings.push(specialist(name, card, &services, lag.get(name).copied()));
    }
    Ok(())
}

fn server(version: ServerVersion, url: &str) -> Finding {
    let found = format!("{version} at {url}");
    if version < WITHOUT_KNOWN_LOSSES {
        let next = format!("has known losses; use {WITHOUT_KNOWN_LOSSES} or newer");
        return warn("nats", found, next);
    }
    ok("nats", found)
}

/// When what was acknowledged is on the disk, as far as the configuration is ours to read.
fn durability(home: &Home, url: &str) -> Result<Finding, CliError> {
    let conf = home.nats_conf();
    if home.url()?.as_deref() != Some(url) || !conf.is_file() {
        let found = "another's server: its sync_interval decides what a power cut costs";
        return Ok(ok("durability", found.to_owned()));
    }
    let text = std::fs::read_to_string(&conf).map_err(CliError::file("read", &conf))?;
    let always = text.lines().map(str::trim).any(|l| !l.starts_with('#') && l.contains("always"));
    Ok(ok(
        "durability",
        if always {
            "every write waits for the disk".to_owned()
        } else {
            format!(
                "survives a crash of the server; a power cut may cost up to 2 minutes \
             (sync_interval in {})",
                conf.display()
            )
        },
    ))
}

fn orchestrators(services: &[Service]) -> Finding {
    let own: Vec<String> = services
        .iter()
        .filter(|s| s.kind() == fleet::ORCHESTRATOR)
        .map(|s| format!("{} {}", s.instance(), s.version))
        .collect();
    if own.is_empty() {
        let next = "deadelus up; work waits until one runs".to_owned();
        return fail(fleet::ORCHESTRATOR, "nobody answers".to_owned(), next);
    }
    ok(fleet::ORCHESTRATOR, own.join(", "))
}

/// Which orchestrator drives how much; what nobody drives waits.
fn shares(owners: &BTreeMap<u16, String>) -> Finding {
    let mut shares: BTreeMap<&str, usize> = BTreeMap::new();
    for owner in owners.values() {
        *shares.entry(owner).or_default() += 1;
    }
    let shares: Vec<String> = shares.iter().map(|(owner, n)| format!("{owner} {n}")).collect();
    let free = usize::from(PARTITIONS) - owners.len().min(usize::from(PARTITIONS));
    let found = format!("{} of {PARTITIONS} driven: {}", owners.len(), shares.join(", "));
    match free {
        0 => ok("partitions", found),
        _ if owners.is_empty() => {
            let found = "nobody drives any: everything waits".to_owned();
            let next = "deadelus up; or set orchestrator.take_over of a running one to true";
            fail("partitions", found, next.to_owned())
        }
        _ => {
            let next = "a take-over takes seconds; look again".to_owned();
            warn("partitions", format!("{found}; {free} wait"), next)
        }
    }
}

fn specialist(
    name: &str,
    card: Option<&SpecialistCard>,
    services: &[Service],
    lag: Option<(u64, u64)>,
) -> Finding {
    let own: Vec<&str> =
        services.iter().filter(|s| s.kind() == name).map(Service::instance).collect();
    let offers = card.map_or(0, |c| c.capabilities.len());
    let targets: Vec<&str> =
        card.iter().flat_map(|c| &c.targets).map(|t| t.name.as_str()).collect();
    let targets = if targets.is_empty() { "none".to_owned() } else { targets.join(", ") };
    let (waiting, in_hand) = lag.unwrap_or_default();
    let load = format!("{waiting} waiting, {in_hand} in hand");
    let found = match own.len() {
        0 => format!("nobody answers; {load}"),
        n => format!(
            "{n} running ({}), {offers} capabilities, targets: {targets}; {load}",
            own.join(", ")
        ),
    };
    if own.is_empty() {
        return fail(name, found, "deadelus up".to_owned());
    }
    if waiting > WAITING_WARN {
        return warn(name, found, format!("deadelus up --scale {name}={}", own.len() + 1));
    }
    if offers > 0 && card.is_some_and(|c| c.targets.is_empty()) {
        let next = format!("add [targets.NAME] to {name}.toml in the home folder, restart it");
        return warn(name, found, next);
    }
    ok(name, found)
}

/// By specialist: assignments that wait, and that somebody has in hand.
async fn lag(client: &Client) -> BTreeMap<&'static str, (u64, u64)> {
    let mut lag = BTreeMap::new();
    let resource = client.mesh.subjects.resource(streams::TASKS);
    let Ok(stream) = client.mesh.jetstream.get_stream(&resource).await else { return lag };
    for name in fleet::SPECIALISTS {
        if let Ok(info) = stream.consumer_info(name).await {
            lag.insert(name, (info.num_pending, info.num_ack_pending as u64));
        }
    }
    lag
}

fn show(findings: &[Finding], term: Term) -> String {
    let rows = findings.iter().map(|f| {
        let (tone, level) = match f.level {
            Level::Ok => (Tone::Good, "ok"),
            Level::Warn => (Tone::Warn, "warn"),
            Level::Fail => (Tone::Bad, "fail"),
        };
        let text =
            if f.next.is_empty() { f.found.clone() } else { format!("{} → {}", f.found, f.next) };
        vec![(tone, level.to_owned()), (Tone::Strong, f.about.clone()), (Tone::Plain, text)]
    });
    table(term, &["", "what", "found"], rows.collect())
}

fn ok(about: &str, found: String) -> Finding {
    Finding { about: about.to_owned(), level: Level::Ok, found, next: String::new() }
}

fn warn(about: &str, found: String, next: String) -> Finding {
    Finding { about: about.to_owned(), level: Level::Warn, found, next }
}

fn fail(about: &str, found: String, next: String) -> Finding {
    Finding { about: about.to_owned(), level: Level::Fail, found, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_that_nobody_drives_are_not_passed_over() {
        let shared = |of: u16| (0..of).map(|p| (p, format!("o-{}", p % 2))).collect();
        let all = shares(&shared(PARTITIONS));
        assert_eq!((all.level, all.found.as_str()), (Level::Ok, "8 of 8 driven: o-0 4, o-1 4"));
        assert_eq!(shares(&shared(PARTITIONS - 1)).level, Level::Warn);
        assert_eq!(shares(&BTreeMap::new()).level, Level::Fail);
    }

    #[test]
    fn an_old_server_warns_and_a_silent_specialist_fails() {
        let version = |text: &str| text.parse::<ServerVersion>().unwrap();
        assert_eq!(server(version("2.11.4"), "x").level, Level::Warn);
        assert_eq!(server(version("2.14.6"), "x").level, Level::Ok);
        let silent = specialist("db", None, &[], Some((3, 0)));
        assert_eq!(silent.level, Level::Fail);
        assert!(silent.found.contains("3 waiting") && !silent.next.is_empty());
    }
}
