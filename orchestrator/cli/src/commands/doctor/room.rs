//! How full each stream is, and what to do before one is. Pure but for asking the server.

use deadelus_mesh::{Mesh, streams};
use deadelus_proto::Role;

use super::{Finding, fail, ok, warn};
use crate::client::Client;

/// From here on there is time to do something, and no time to forget it.
const FULL_WARN_PERCENT: u64 = 80;

const MIB: u64 = 1024 * 1024;

/// Every stream that fills up with work, and how to have less in it.
const STREAMS: [(&str, &str); 10] = [
    (streams::TASKS, "the specialists are behind: start more (deadelus up --scale NAME=N)"),
    (
        streams::INBOX,
        "the orchestrators are behind: start more (deadelus up --scale orchestrator=N)",
    ),
    (streams::LOG, "archive sooner: a shorter keep_log under [retention] of the orchestrators"),
    (streams::DEAD, "look at them: deadelus dead list"),
    (streams::ADVISORIES, "the oldest go by themselves"),
    (streams::DRAFTS, "plans that wait for answers go by themselves after a while"),
    (streams::CARDS, "too many specialists announce themselves"),
    (streams::LEDGER, "what was done long ago is forgotten sooner with a shorter max_age"),
    (streams::WORKFLOWS, "forget sooner: a shorter archive_for under [retention]"),
    (
        streams::ARTEFACTS,
        "forget archives sooner: a shorter archive_for under [retention]; evidence is kept",
    ),
];

/// One line for each stream.
pub(super) async fn room(client: &Client, findings: &mut Vec<Finding>) {
    for (name, less) in there(&client.mesh) {
        let name = name.as_str();
        let stream = streams::resource(&client.mesh, name);
        match client.mesh.jetstream.get_stream(&stream).await {
            Ok(found) => {
                let info = found.cached_info();
                let held = Held { messages: info.state.messages, bytes: info.state.bytes };
                findings.push(judge(name, &stream, &held, info.config.max_bytes, less));
                if name == streams::DEAD && held.messages > 0 {
                    let found = format!("{} messages nobody could handle", held.messages);
                    findings.push(warn("dead letters", found, "deadelus dead list".to_owned()));
                }
            }
            Err(error) => {
                let found = format!("no stream {stream}: {error}");
                findings.push(fail(&format!("stream {name}"), found, "deadelus up".to_owned()));
            }
        }
    }
}

/// Where there are roles each specialist has a ledger of its own.
fn there(mesh: &Mesh) -> Vec<(String, &'static str)> {
    let own = |role: &Role| role.specialist().map(streams::ledger_of);
    let all = STREAMS.into_iter().flat_map(|(name, less)| {
        let names = match &mesh.role {
            Some(_) if name == streams::LEDGER => Role::all().iter().filter_map(own).collect(),
            Some(_) | None => vec![name.to_owned()],
        };
        names.into_iter().map(move |name| (name, less))
    });
    all.collect()
}

struct Held {
    messages: u64,
    bytes: u64,
}

/// A stream that is nearly full refuses work soon.
fn judge(name: &str, stream: &str, held: &Held, max_bytes: i64, less: &str) -> Finding {
    let about = format!("stream {name}");
    let Held { messages, bytes } = held;
    let size = mib(*bytes);
    let Some(most) = u64::try_from(max_bytes).ok().filter(|most| *most > 0) else {
        return ok(&about, format!("{size} MiB, without a limit, {messages} messages"));
    };
    let percent = bytes.saturating_mul(100) / most;
    let found = format!("{percent} % full: {size} of {} MiB, {messages} messages", most / MIB);
    if percent < FULL_WARN_PERCENT {
        return ok(&about, found);
    }
    let next = format!("{less}; or give it more room: nats stream edit {stream} --max-bytes");
    warn(&about, found, next)
}

/// `0.3`, `12`
fn mib(bytes: u64) -> String {
    let tenths = bytes * 10 / MIB;
    if tenths < 100 {
        format!("{}.{}", tenths / 10, tenths % 10)
    } else {
        (tenths / 10).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::Level;

    fn judged(bytes: u64, max_bytes: i64) -> Finding {
        judge("LOG", "D_LOG", &Held { messages: 7, bytes }, max_bytes, "archive sooner")
    }

    #[test]
    fn a_stream_near_its_limit_says_how_full_it_is_and_what_to_do() {
        let fine = judged(79 * MIB, 100 * MIB as i64);
        assert_eq!(
            (fine.level, fine.found.as_str()),
            (Level::Ok, "79 % full: 79 of 100 MiB, 7 messages")
        );
        let full = judged(80 * MIB, 100 * MIB as i64);
        assert_eq!(full.level, Level::Warn);
        assert!(full.next.contains("archive sooner") && full.next.contains("D_LOG"), "{full:?}");
        assert_eq!(judged(MIB / 2, -1).found, "0.5 MiB, without a limit, 7 messages");
    }
}
