//! How the figures change with what is asked of the mesh and with how much of it runs.

use std::{collections::BTreeSet, time::Instant};

use anyhow::{Context as _, Result};

use crate::{
    bed::{Bed, Mix, PLAIN},
    mesh, raw, table,
};

/// Workflows at once, and tasks of each.
const SHAPES: [(usize, usize); 6] =
    [(1, 10), (10, 10), (100, 10), (1_000, 10), (100, 100), (10, 1_000)];
/// What more processes change is measured with this.
const CROWD: (usize, usize) = (1_000, 10);
/// Open workflows for memory and for recovery.
const OPEN: usize = 10_000;

/// Measures and prints everything.
pub(crate) async fn run() -> Result<()> {
    shapes("one orchestrator, one specialist", PLAIN, &SHAPES).await?;
    for (name, mix) in [
        ("two orchestrators", Mix { orchestrators: 2, ..PLAIN }),
        ("two replicas of the specialist", Mix { specialists: 2, ..PLAIN }),
        ("four replicas of the specialist", Mix { specialists: 4, ..PLAIN }),
        ("fsync on every write", Mix { fsync_always: true, ..PLAIN }),
    ] {
        shapes(name, mix, &[CROWD]).await?;
    }
    open().await
}

async fn shapes(name: &str, mix: Mix, shapes: &[(usize, usize)]) -> Result<()> {
    let mut bed = Bed::make(mix).await?;
    table::shapes_title(name);
    for (at, (workflows, tasks)) in shapes.iter().enumerate() {
        let raw = raw::in_flight(&bed, workflows * tasks, *workflows).await?;
        let crowd = mesh::at_once(&bed, &format!("crowd-{at}"), *workflows, *tasks).await?;
        table::shape((*workflows, *tasks), raw, &crowd);
    }
    bed.stop();
    Ok(())
}

/// Memory of open workflows, and the time until a new orchestrator drives them after a crash.
pub(crate) async fn open() -> Result<()> {
    let mut bed = Bed::make(PLAIN).await?;
    let before = orchestrator_kib(&bed)?;
    mesh::open(&bed, OPEN, CROWD.1).await?;
    let after = orchestrator_kib(&bed)?;
    table::open_memory(OPEN, before, after);
    let gone = bed.until_driven(1, &BTreeSet::new()).await;
    bed.kill_orchestrators();
    let killed = Instant::now();
    bed.start_orchestrator()?;
    bed.until_driven(1, &gone).await;
    let driven = killed.elapsed();
    mesh::at_once(&bed, "after", 1, 1).await?;
    table::recovery(OPEN, driven, killed.elapsed());
    bed.stop();
    Ok(())
}

fn orchestrator_kib(bed: &Bed) -> Result<u64> {
    let all = bed.memory()?;
    let one = all.iter().find(|process| process.name == "orchestrator");
    Ok(one.context("no orchestrator")?.resident_kib)
}
