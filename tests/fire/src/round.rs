//! One round: the fleet up, the load on, accidents until it is done, then the verdict.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, ensure};
use deadelus_mesh::streams;
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use crate::{accidents, book::Book, fleet::Fleet, follow::Log, load::Load, verdict::Verdict};

/// The longest that a workflow may take under fire, and everything after it.
const PATIENCE: Duration = Duration::from_secs(240);
/// Between two looks.
const POLL: Duration = Duration::from_millis(100);

/// How much fire.
#[derive(Debug, Clone)]
pub struct Round {
    /// At most so many are started.
    pub workflows: usize,
    /// Nothing is started and nothing happens after this.
    pub longest: Duration,
    /// Of plans and accidents.
    pub seed: u64,
    /// Only accidents whose name has this in it; empty for all.
    pub only: String,
}

impl Round {
    /// Lives through it. `program` is this crate's.
    ///
    /// # Errors
    /// When the fleet cannot be had; what went wrong under fire is in the verdict.
    pub fn live(&self, program: &Path) -> Result<Verdict> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.lived(program))
    }

    async fn lived(&self, program: &Path) -> Result<Verdict> {
        let mut fleet = Fleet::start(program).await?;
        let log = Log::follow(&fleet.mesh).await?;
        let until = Instant::now() + self.longest;
        let (workflows, seed) = (self.workflows, self.seed);
        let load = Load { workflows, until, patience: self.longest + PATIENCE, seed };
        let load = tokio::spawn(load.carry(fleet.mesh.clone(), log.clone()));
        let mut rng = Rng::with_seed(self.seed);
        let (mut accidents, mut gave_up) = (BTreeMap::new(), 0);
        while !load.is_finished() && Instant::now() < until {
            let (orchestrators, sinks) = fleet.sizes();
            let next = accidents::next(&mut rng, orchestrators, sinks);
            if !next.accident.to_string().contains(&self.only) {
                continue;
            }
            sleep(next.pause).await;
            gave_up += fleet.revive();
            *accidents.entry(next.accident.to_string()).or_default() += 1;
            fleet.suffer(next.accident, next.lasts).await?;
        }
        while !load.is_finished() {
            gave_up += fleet.revive();
            sleep(POLL).await;
        }
        let started = load.await??;
        self.until_quiet(&fleet).await?;
        let book = Book::open(&fleet.book())?.lines()?;
        let mut verdict = Verdict::of(&started, &log.tales(), &book);
        (verdict.accidents, verdict.gave_up) = (accidents, gave_up);
        Ok(verdict)
    }

    /// Waits until nobody has anything left to do.
    async fn until_quiet(&self, fleet: &Fleet) -> Result<()> {
        let begun = Instant::now();
        for name in [streams::TASKS, streams::INBOX] {
            let name = fleet.mesh.subjects.resource(name);
            loop {
                if let Ok(stream) = fleet.mesh.jetstream.get_stream(&name).await
                    && stream.cached_info().state.messages == 0
                {
                    break;
                }
                ensure!(begun.elapsed() < PATIENCE, "{name} is never empty:\n{}", fleet.told());
                sleep(POLL).await;
            }
        }
        Ok(())
    }
}
