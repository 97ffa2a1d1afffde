//! Back to a table that was in force before, to the byte: who gets what, and who runs.

use std::time::Duration;

use deadelus_proxy::Routes;
use deadelus_runtime::{ErrorClass, Failure};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::Fleet;
use crate::{
    routing::Report,
    routing::table::{draining_into, of_revision, revision_of, sorted},
    timeline::Timeline,
};

/// Requests in hand of whoever leaves may take this long; then they are cut off, and it is said.
const DRAIN_WITHIN: Duration = Duration::from_secs(15);

/// Between two looks at what is in hand.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How a way back went.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) timelines: Vec<Timeline>,
    /// What was cut off, in words.
    pub(crate) residue: Vec<String>,
}

impl Fleet {
    /// Puts exactly this table in force: first its servers run and are well, then they get their
    /// shares, then whoever is not in it finishes what they have, and last the processes of
    /// `leaves` that are not in it are stopped. Right from any state, and twice is once. It cannot
    /// be cancelled: a way back is gone to its end.
    ///
    /// # Errors
    /// The failure, and what was seen until then. Nobody is stopped who still gets requests.
    pub(crate) async fn restore(
        &self,
        to: &Routes,
        leaves: Option<&str>,
    ) -> Result<Restored, (Failure, Vec<Timeline>)> {
        let mut timelines = vec![];
        let restored = async {
            self.well_before(to, &mut timelines).await?;
            let now = self.proxy.report().await?.routes();
            let between = draining_into(to, &now);
            self.proxy.replace(&between).await?;
            let kept = |name: &str| to.servers.iter().any(|s| s.name == name);
            let left = self.drained(|name| !kept(name)).await?;
            self.proxy.replace(&sorted(to.clone())).await?;
            self.stop_where(|name| !kept(name) && leaves == revision_of(name)).await?;
            Ok(left)
        }
        .await;
        match restored {
            Ok(residue) => Ok(Restored { timelines, residue }),
            Err(failure) => Err((failure, timelines)),
        }
    }

    /// Every server that is to get requests runs, and is well.
    async fn well_before(&self, to: &Routes, timelines: &mut Vec<Timeline>) -> Result<(), Failure> {
        let give_up = Instant::now() + self.watch.switch_timeout;
        for server in to.servers.iter().filter(|s| s.weight > 0) {
            let revision = revision_of(&server.name).unwrap_or(&server.name);
            self.start(revision, server).await?;
            let (well, timeline) = self.steady(None, server, revision, give_up).await;
            timelines.push(timeline);
            well.map_err(|mut failure| {
                failure.class = ErrorClass::Unavailable;
                failure
            })?;
        }
        Ok(())
    }

    /// Waits until those have nothing in hand; who still has after the time is named.
    ///
    /// # Errors
    /// `unavailable` when the proxy is.
    pub(crate) async fn drained(&self, who: impl Fn(&str) -> bool) -> Result<Vec<String>, Failure> {
        let give_up = Instant::now() + DRAIN_WITHIN;
        loop {
            let busy = in_hand(&self.proxy.report().await?, &who);
            if busy.is_empty() || Instant::now() >= give_up {
                return Ok(busy);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops the processes whose names are picked, all at the same time.
    ///
    /// # Errors
    /// `unavailable` when one does not end.
    pub(crate) async fn stop_where(&self, who: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let names: Vec<_> = self.supervisor.look()?.into_keys().filter(|name| who(name)).collect();
        let stopped = names.iter().map(|name| self.supervisor.stop(name));
        join_all(stopped).await.into_iter().collect()
    }

    /// The table that lets a revision serve alone, with its replicas where they are; all others of
    /// `now` stay, with nothing to do.
    ///
    /// # Errors
    /// As [`Fleet::raise`].
    pub(crate) async fn alone(&self, revision: &str, now: &Routes) -> Result<Routes, Failure> {
        let servers = match of_revision(now, revision).next() {
            Some(_) => of_revision(now, revision).cloned().collect(),
            None => self.raise(revision).await?,
        };
        let full = |mut server: deadelus_proxy::Server| {
            server.weight = crate::routing::table::FULL_WEIGHT;
            server
        };
        let to = Routes { servers: servers.into_iter().map(full).collect() };
        Ok(draining_into(&to, now))
    }
}

/// `v1-0: 2 requests in hand`
fn in_hand(report: &Report, who: impl Fn(&str) -> bool) -> Vec<String> {
    let busy = report.servers.iter().filter(|s| who(&s.name) && s.in_flight > 0);
    busy.map(|s| format!("{}: {} requests in hand, cut off", s.name, s.in_flight)).collect()
}
