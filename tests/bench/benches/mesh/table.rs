//! What a person reads.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::{
    bed::{Bed, Memory, Used},
    mesh::Crowd,
};

/// What ran.
pub(crate) fn title(bed: &Bed) {
    println!(
        "nats-server {}, file storage, default fsync; {} cores shared by everything",
        bed.mesh.server,
        std::thread::available_parallelism().map_or(0, usize::from),
    );
}

/// Resident memory of each process.
pub(crate) fn memory(processes: &[Memory]) {
    for Memory { name, resident_kib } in processes {
        #[expect(clippy::cast_precision_loss, reason = "for a reader")]
        let mib = *resident_kib as f64 / 1024.0;
        println!("memory   {name:<20} {mib:>8.1} MiB");
    }
}

/// One task after the other, in microseconds.
pub(crate) fn latency(raw: &Histogram<u64>, mesh: &Histogram<u64>) {
    println!("one task at a time             p50 ms    p99 ms");
    for (name, h) in [("raw JetStream", raw), ("Deadelus", mesh)] {
        println!("  {name:<26} {:>8.2}  {:>8.2}", ms(h, 0.5), ms(h, 0.99));
    }
    println!(
        "  ratio                      {:>8.2}  {:>8.2}",
        ms(mesh, 0.5) / ms(raw, 0.5),
        ms(mesh, 0.99) / ms(raw, 0.99)
    );
}

/// Many at once.
pub(crate) fn throughput((workflows, tasks): (usize, usize), raw: f64, mesh: f64) {
    println!("{workflows} workflows of {tasks} tasks at once    tasks/s");
    println!("  raw JetStream              {raw:>10.0}");
    println!("  Deadelus                   {mesh:>10.0}");
    println!("  ratio                      {:>10.2}", mesh / raw);
}

/// What a row of [`shape`] says.
pub(crate) fn shapes_title(name: &str) {
    println!("\n{name}");
    println!("  workflows x tasks     raw/s  Deadelus/s   ratio   p50 ms   p99 ms");
}

/// One shape of work.
pub(crate) fn shape((workflows, tasks): (usize, usize), raw: f64, crowd: &Crowd) {
    let (rate, times) = (crowd.tasks_per_s, &crowd.times);
    let (p50, p99, ratio) = (ms(times, 0.5), ms(times, 0.99), rate / raw);
    let shape = format!("{workflows} x {tasks}");
    println!("  {shape:<18} {raw:>8.0}  {rate:>10.0}  {ratio:>6.2}  {p50:>7.2}  {p99:>7.2}");
}

/// What open workflows cost.
pub(crate) fn open_memory(workflows: usize, before_kib: u64, after_kib: u64) {
    #[expect(clippy::cast_precision_loss, reason = "for a reader")]
    let each = after_kib.saturating_sub(before_kib) as f64 / workflows as f64;
    println!("\n{workflows} open workflows of 10 tasks: {each:.1} KiB each in the orchestrator");
}

/// How long nobody drove.
pub(crate) fn recovery(open: usize, driven: Duration, answered: Duration) {
    let (driven, answered) = (driven.as_secs_f64(), answered.as_secs_f64());
    println!("killed with {open} open: partitions driven again after {driven:.1} s, a new");
    println!("workflow done after {answered:.1} s");
}

/// Where the processors' time of the crowd went.
pub(crate) fn processor(tasks: usize, before: &[Used], after: &[Used]) {
    println!("of which each process used    us/task");
    for (before, after) in before.iter().zip(after) {
        let used = after.processor.saturating_sub(before.processor);
        #[expect(clippy::cast_precision_loss, reason = "for a reader")]
        let each = used.as_secs_f64() * 1e6 / tasks as f64;
        println!("  {:<26} {each:>8.0}", after.name);
    }
}

fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for a reader")]
    let us = histogram.value_at_quantile(quantile) as f64;
    us / 1000.0
}
