//! What the mesh costs, beside raw JetStream carrying the same messages in the same run.
//!
//! `cargo bench -p deadelus-bench` (`-- --quick` for a short one, `-- --matrix` for how it changes
//! with the number of workflows, tasks, replicas and with fsync, `-- --recovery` for its last part:
//! what many open workflows cost, and taking them over). Everything runs on this machine
//! and shares its cores: server, orchestrator, specialist and this program. Only ratios carry over.

mod bed;
mod matrix;
mod mesh;
mod raw;
mod table;

use anyhow::Result;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Size {
    /// Round trips one at a time.
    alone: usize,
    /// Workflows at once, and tasks of each.
    crowd: (usize, usize),
}

const FULL: Size = Size { alone: 1_000, crowd: (1_000, 10) };
const QUICK: Size = Size { alone: 100, crowd: (50, 10) };

#[tokio::main]
async fn main() -> Result<()> {
    let size = if std::env::args().any(|a| a == "--quick") { QUICK } else { FULL };
    if std::env::args().any(|a| a == "--matrix") {
        return matrix::run().await;
    }
    if std::env::args().any(|a| a == "--recovery") {
        return matrix::open().await;
    }
    let mut bed = bed::Bed::make(bed::PLAIN).await?;
    table::title(&bed);
    table::memory(&bed.memory()?);
    let raw_alone = raw::one_at_a_time(&bed, size.alone).await?;
    let mesh_alone = mesh::one_at_a_time(&bed, size.alone).await?;
    table::latency(&raw_alone, &mesh_alone);
    let tasks = size.crowd.0 * size.crowd.1;
    let raw_crowd = raw::in_flight(&bed, tasks, size.crowd.0.min(1_000)).await?;
    let before = bed.used()?;
    let mesh_crowd = mesh::at_once(&bed, "crowd", size.crowd.0, size.crowd.1).await?;
    let after = bed.used()?;
    table::throughput(size.crowd, raw_crowd, mesh_crowd.tasks_per_s);
    table::processor(tasks, &before, &after);
    table::memory(&bed.memory()?);
    bed.stop();
    Ok(())
}
