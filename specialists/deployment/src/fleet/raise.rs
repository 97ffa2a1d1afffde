//! Bringing a revision's processes up, and believing nothing but their own answers.

use std::net::{SocketAddr, TcpListener};

use deadelus_proxy::Server;
use deadelus_runtime::{Context, ErrorClass, Failure};
use tokio::time::Instant;

use super::Fleet;
use crate::{
    processes::State,
    routing::table::{FULL_WEIGHT, server_name},
    timeline::{Timeline, Verdict},
};

impl Fleet {
    /// Starts what does not run of a revision's replicas: where they were before, or on free ports.
    /// Says where they are; whether they are well is for [`Fleet::steady`].
    ///
    /// # Errors
    /// `unavailable` when a process cannot be started, `invalid_input` for a foreign revision.
    pub(crate) async fn raise(&self, revision: &str) -> Result<Vec<Server>, Failure> {
        let held = self.supervisor.look()?;
        let mut servers = vec![];
        for replica in 0..self.replicas {
            let name = server_name(revision, replica);
            let address = match held.get(&name) {
                Some(held) => held.instance.address,
                None => free_address()?,
            };
            servers.push(Server { name, address, weight: FULL_WEIGHT });
        }
        for server in &servers {
            self.start(revision, server).await?;
        }
        Ok(servers)
    }

    /// Starts one server at its address, unless it runs.
    pub(crate) async fn start(&self, revision: &str, server: &Server) -> Result<(), Failure> {
        let launch = self.launch(revision, &server.name, server.address).ok_or_else(|| {
            let text = format!("{} is of no declared revision", server.name);
            Failure::new(ErrorClass::InvalidInput, text)
        })?;
        self.supervisor.start(&launch).await
    }

    /// Asks a server at its own address until it was well often enough in a row. Trouble on the way
    /// is a process that is still starting; an end of the process is an end of the waiting, and so is
    /// being asked to stop, where somebody is given who can ask.
    pub(crate) async fn steady(
        &self,
        cancel: Option<&Context>,
        server: &Server,
        revision: &str,
        give_up: Instant,
    ) -> (Result<(), Failure>, Timeline) {
        let mut timeline = Timeline::new(revision);
        let prober = match self.prober(server) {
            Ok(prober) => prober,
            Err(failure) => return (Err(failure), timeline),
        };
        loop {
            timeline.probes.push(prober.probe().await);
            if timeline.verdict(self.watch.healthy_probes) == Verdict::Settled {
                return (Ok(()), timeline);
            }
            if let Err(failure) = self.runs(&server.name) {
                return (Err(failure), timeline);
            }
            if Instant::now() + self.watch.probe_interval >= give_up {
                let last = timeline.probes.last().and_then(|p| p.answer.trouble());
                let reason = last.unwrap_or("it serves another revision").to_owned();
                let text = format!("{} did not become well in time: {reason}", server.name);
                return (Err(self.with_last_words(text, &server.name)), timeline);
            }
            tokio::select! {
                () = tokio::time::sleep(self.watch.probe_interval) => {}
                () = asked_to_stop(cancel) => return (Err(cancelled()), timeline),
            }
        }
    }

    /// Refuses to go on with a process that has ended.
    ///
    /// # Errors
    /// `check_failed` with the end, and what the process said last.
    pub(crate) fn runs(&self, name: &str) -> Result<(), Failure> {
        let text = match self.supervisor.look()?.remove(name).map(|held| held.state) {
            Some(State::Running) => return Ok(()),
            Some(State::Ended(how)) => format!("{name} has ended: {how}"),
            Some(State::Unheld) => format!("{name} has lost its holder"),
            None => format!("{name} was stopped by somebody else"),
        };
        Err(self.with_last_words(text, name))
    }

    fn with_last_words(&self, text: String, name: &str) -> Failure {
        let words = self.supervisor.last_words(name);
        Failure::new(ErrorClass::CheckFailed, text).help(format!("it said last: {words:?}"))
    }
}

/// What a change that was asked to stop answers, once it has taken itself back.
pub(crate) fn cancelled() -> Failure {
    Failure::new(ErrorClass::Denied, "cancelled before it was done")
}

async fn asked_to_stop(cancel: Option<&Context>) {
    match cancel {
        Some(cx) => cx.until_cancelled().await,
        None => std::future::pending().await,
    }
}

/// An address that nobody uses now. Should somebody take it before the process does, the process
/// ends, and says so.
fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|e| Failure::new(ErrorClass::Unavailable, format!("no free port: {e}")))
}
