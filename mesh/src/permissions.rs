//! Which subjects each role may use, those of JetStream included: plain values, from which
//! `deadelus nats-config` makes the server's configuration and docs/permissions.md its matrix.
//!
//! Three facts of the server decide how narrow these are, all seen on 2.14:
//! * Who may ask a stream for one message may ask for any (`STREAM.MSG.GET` takes the subject in its
//!   body), and who may ask about a stream gets all its subjects (`STREAM.INFO`). So a specialist may
//!   do both on a stream of its own only.
//! * A subject with `*` in it is a legal thing to publish to, and consumers take it for a filter. So a
//!   specialist makes no consumers, and finds the one that the orchestrator has made.
//! * The server publishes answers wherever the asker says, past the asker's permissions. What a thief
//!   may store must therefore never come back as raw bytes (`DIRECT.GET`): it would be whatever the
//!   thief wants, on whatever subject, another's report or a person's approval. What may come back
//!   is JSON, which nobody here reads as a message.
//!
//! It never decides who is who (the server knows by its key) nor what a message may say.

use deadelus_proto::{Role, SpecialistName, Subjects, role::Permit};

use crate::streams::{
    ADVISORIES, ARTEFACTS, CARDS, DEAD, DRAFTS, INBOX, LEASES, LOG, SLOTS, TASKS, WORKFLOWS,
    ledger_of, under,
};

/// Streams and buckets that every role shares, where there are roles.
const SHARED: [&str; 11] =
    [TASKS, INBOX, LOG, DEAD, ADVISORIES, CARDS, WORKFLOWS, DRAFTS, LEASES, SLOTS, ARTEFACTS];

/// What a person at the command line reads.
const READ_BY_PEOPLE: [&str; 7] = [LOG, DEAD, CARDS, WORKFLOWS, LEASES, SLOTS, ARTEFACTS];

/// What a role may do. Everything else is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permissions {
    /// Where it may publish.
    pub publish: Vec<Permit>,
    /// Where it may listen.
    pub subscribe: Vec<Permit>,
    /// Whether it may answer a request that it was sent, once, wherever the asker waits.
    pub answers: bool,
}

/// What a role may do on this mesh.
pub fn of(role: &Role, subjects: &Subjects) -> Permissions {
    let mut publish = role.says(subjects);
    let mut subscribe = role.hears(subjects);
    subscribe.push(Permit::new(format!("{}.>", role.replies(subjects)), "answers to it"));
    let names = Names { subjects };
    match role {
        Role::Orchestrator => {
            publish.extend(names.orchestrator());
            subscribe.extend(service("orchestrator"));
        }
        Role::Specialist(name) => {
            publish.extend(names.specialist(name));
            subscribe.extend(service(name.as_str()));
        }
        Role::Operator => {
            publish.extend(names.person());
            let drop = names.api("STREAM.MSG.DELETE", DEAD);
            publish.push(Permit::new(drop, "drop a dead letter"));
        }
        Role::Viewer => publish.extend(names.person()),
    }
    let answers = match role {
        Role::Specialist(_) => true,
        // Its answers go to reply subjects, which it names: no asker sends them elsewhere.
        Role::Orchestrator => false,
        Role::Operator | Role::Viewer => false,
    };
    Permissions { publish, subscribe, answers }
}

/// The questions that every NATS micro service answers (ADR-32).
fn service(name: &str) -> Vec<Permit> {
    let verbs = ["PING", "INFO", "STATS"];
    let of = |verb| {
        let own = format!("$SRV.{verb}.deadelus-{name}");
        [format!("$SRV.{verb}"), format!("{own}.*"), own]
    };
    let all = verbs.into_iter().flat_map(of);
    all.map(|subject| Permit::new(subject, "be found as a NATS service")).collect()
}

struct Names<'a> {
    subjects: &'a Subjects,
}

impl Names<'_> {
    /// `$JS.API.<what>.<stream>`
    fn api(&self, what: &str, stream: &str) -> String {
        format!("$JS.API.{what}.{}", under(self.subjects, stream))
    }

    /// `$KV.<bucket>.<keys>`
    fn keys(&self, bucket: &str, keys: &str) -> String {
        format!("$KV.{}.{keys}", self.subjects.resource(bucket))
    }

    fn orchestrator(&self) -> Vec<Permit> {
        let mut all = vec![];
        for stream in SHARED {
            for what in ["STREAM.CREATE", "STREAM.INFO", "STREAM.PURGE", "STREAM.MSG.GET"] {
                all.push(Permit::new(self.api(what, stream), "make, read and tidy the streams"));
            }
            all.extend(self.reader(stream));
        }
        let stored = |stream| format!("$JS.ACK.{}.>", under(self.subjects, stream));
        all.push(Permit::new(stored(INBOX), "acknowledge what it has decided"));
        all.push(Permit::new("$SRV.PING", "who is there, for its gateway"));
        for role in Role::all() {
            let Role::Specialist(name) = &role else { continue };
            for what in ["STREAM.CREATE", "STREAM.INFO"] {
                let ledger = self.api(what, &ledger_of(name));
                all.push(Permit::new(ledger, "make a specialist's ledger; not read it"));
            }
        }
        for bucket in [WORKFLOWS, DRAFTS, LEASES, SLOTS] {
            all.push(Permit::new(self.keys(bucket, ">"), "keep its own books"));
        }
        all.extend(self.upload());
        all.extend(Role::all().into_iter().map(|role| {
            Permit::new(format!("{}.>", role.replies(self.subjects)), "answer whoever asked")
        }));
        all
    }

    fn specialist(&self, name: &SpecialistName) -> Vec<Permit> {
        let tasks = under(self.subjects, TASKS);
        let artefacts = under(self.subjects, ARTEFACTS);
        let ledger = ledger_of(name);
        let own = |subject: String, purpose| Permit::new(subject, purpose);
        let mut all = vec![
            own(format!("$JS.API.CONSUMER.INFO.{tasks}.{name}"), "find its work"),
            own(format!("$JS.API.CONSUMER.MSG.NEXT.{tasks}.{name}"), "take its work"),
            own(format!("$JS.ACK.{tasks}.{name}.>"), "acknowledge its work"),
            own(self.keys(CARDS, name.as_str()), "say what it can do"),
            own(self.api("STREAM.INFO", &ledger), "open its ledger"),
            own(self.api("STREAM.MSG.GET", &ledger), "read its ledger"),
            own(self.keys(&ledger, ">"), "write its ledger"),
            own(format!("$JS.FC.{artefacts}.>"), "take an artefact at its own pace"),
        ];
        all.extend(self.upload());
        all
    }

    /// What a person's command line needs to look, and no more.
    fn person(&self) -> Vec<Permit> {
        let mut all = vec![Permit::new("$SRV.PING", "who is there")];
        let about = |stream: &str| self.api("STREAM.INFO", stream);
        all.extend(SHARED.map(|stream| Permit::new(about(stream), "how full it is")));
        for role in Role::all() {
            let Role::Specialist(name) = &role else { continue };
            all.push(Permit::new(about(&ledger_of(name)), "how full it is"));
        }
        let waiting = format!("{}.*", self.api("CONSUMER.INFO", TASKS));
        all.push(Permit::new(waiting, "how much work waits"));
        for stream in READ_BY_PEOPLE {
            all.push(Permit::new(self.api("STREAM.MSG.GET", stream), "read"));
            all.extend(self.reader(stream));
        }
        all
    }

    /// A consumer of a stream from making it to forgetting it.
    fn reader(&self, stream: &str) -> Vec<Permit> {
        let of = |what, rest| format!("{}.{rest}", self.api(what, stream));
        let all = [
            self.api("CONSUMER.CREATE", stream),
            of("CONSUMER.CREATE", ">"),
            of("CONSUMER.INFO", "*"),
            of("CONSUMER.DELETE", "*"),
            of("CONSUMER.MSG.NEXT", "*"),
            format!("$JS.FC.{}.>", under(self.subjects, stream)),
        ];
        all.map(|subject| Permit::new(subject, "read in order")).into()
    }

    fn upload(&self) -> [Permit; 2] {
        let bucket = self.subjects.resource(ARTEFACTS);
        ["C", "M"].map(|kind| Permit::new(format!("$O.{bucket}.{kind}.*"), "store artefacts"))
    }
}

#[cfg(test)]
mod tests {
    use deadelus_proto::role::covers;

    use super::*;
    use crate::streams::LEDGER;

    fn may(permits: &[Permit], subject: &str) -> bool {
        permits.iter().any(|permit| covers(&permit.subject, subject))
    }

    fn specialists() -> Vec<Role> {
        Role::all().into_iter().filter(|role| role.specialist().is_some()).collect()
    }

    #[test]
    fn nobody_may_delete_or_change_a_stream() {
        for role in Role::all() {
            let Permissions { publish, .. } = of(&role, &Subjects::default());
            for verb in ["STREAM.DELETE", "STREAM.UPDATE", "STREAM.RESTORE", "STREAM.SNAPSHOT"] {
                for stream in SHARED {
                    let subject = format!("$JS.API.{verb}.{}", under(&Subjects::default(), stream));
                    assert!(!may(&publish, &subject), "{role} {subject}");
                }
            }
        }
    }

    #[test]
    fn a_specialist_makes_no_consumer_and_reads_nothing_shared() {
        let subjects = Subjects::default();
        for role in specialists() {
            let Permissions { publish, .. } = of(&role, &subjects);
            let verbs = ["STREAM.INFO", "STREAM.MSG.GET", "STREAM.CREATE", "STREAM.PURGE"];
            let by_name = ["CONSUMER.CREATE", "CONSUMER.DURABLE.CREATE", "DIRECT.GET"];
            for stream in SHARED.map(|stream| under(&subjects, stream)) {
                for verb in verbs.into_iter().chain(by_name) {
                    assert!(!may(&publish, &format!("$JS.API.{verb}.{stream}")), "{role} {verb}");
                    assert!(!may(&publish, &format!("$JS.API.{verb}.{stream}.x")), "{role} {verb}");
                }
            }
        }
    }

    #[test]
    fn what_belongs_to_a_specialist_belongs_to_no_other() {
        let subjects = Subjects::default();
        for role in specialists() {
            let own = of(&role, &subjects);
            let mine = own.publish.iter().filter(|permit| {
                ["$JS.API", "$JS.ACK", "$KV"].iter().any(|kind| permit.subject.starts_with(kind))
            });
            for permit in mine {
                let literal = permit.subject.replace(['*', '>'], "x");
                for other in specialists().into_iter().filter(|other| *other != role) {
                    let others = of(&other, &subjects);
                    assert!(!may(&others.publish, &literal), "{other} may use {literal}");
                }
            }
        }
    }

    #[test]
    fn nobody_listens_where_others_are_answered() {
        let subjects = Subjects::default();
        for role in Role::all() {
            let Permissions { subscribe, .. } = of(&role, &subjects);
            for other in Role::all().into_iter().filter(|other| *other != role) {
                let reply = format!("{}.x.1", other.replies(&subjects));
                assert!(!may(&subscribe, &reply), "{role} hears {reply}");
            }
            for wide in [">", "_INBOX.x", "deadelus.v1.in.db.3.wf", "$JS.EVENT.x"] {
                assert!(!may(&subscribe, wide), "{role} hears {wide}");
            }
        }
    }

    #[test]
    fn the_shared_ledger_is_nobodys() {
        let subjects = Subjects::default();
        let bucket = under(&subjects, LEDGER);
        for role in Role::all() {
            let Permissions { publish, .. } = of(&role, &subjects);
            assert!(!may(&publish, &format!("$JS.API.STREAM.MSG.GET.{bucket}")), "{role}");
        }
    }
}
