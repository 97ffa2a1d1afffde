//! What a person reads.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use hdrhistogram::Histogram;

use crate::bed::{Bed, Memory, Used};

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
