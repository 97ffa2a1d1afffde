//! How fast text without credentials is scanned, on one core: the sources of this repository, and
//! prose without a keyword.
//!
//! `cargo bench -p deadelus-security`. The aim is 200 MB/s on clean text. Time is that of the
//! processor, so that what else runs on the machine counts as little as possible.

#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::{fs, path::Path, time::Duration};

use anyhow::Context as _;

use deadelus_security::Scanner;

/// Long enough for a figure that stays the same from run to run.
const MEASURED_FOR: Duration = Duration::from_secs(3);
/// More than any cache holds.
const CORPUS_MIN_BYTES: usize = 64 << 20;
/// A prose without any word that a rule looks for.
const PROSE: &str = "The quick brown fox jumps over the lazy dog, and then it rains for an hour.\n";

fn main() -> anyhow::Result<()> {
    let scanner = Scanner::new()?;
    let sources = sources();
    println!("                    MB  found     MB/s on one core");
    for (name, text) in [("sources", &sources), ("prose", &PROSE.as_bytes().to_vec())] {
        let text = text.repeat(CORPUS_MIN_BYTES.div_ceil(text.len()));
        let found = scanner.scan(&text).len();
        let (begin, mut rounds) = (processor_time()?, 0_u32);
        while processor_time()? - begin < MEASURED_FOR {
            assert_eq!(scanner.scan(&text).len(), found);
            rounds += 1;
        }
        let megabytes = text.len() as f64 / 1e6;
        let speed = megabytes * f64::from(rounds) / (processor_time()? - begin).as_secs_f64();
        println!("{name:12} {megabytes:9.1} {found:6} {speed:8.0}");
    }
    Ok(())
}

/// That this thread has had so far, by the kernel's count.
fn processor_time() -> anyhow::Result<Duration> {
    let path = "/proc/thread-self/schedstat";
    let told = fs::read_to_string(path).context("this benchmark needs Linux")?;
    let nanos = told.split(' ').next().unwrap_or_default().parse().context(path)?;
    Ok(Duration::from_nanos(nanos))
}

/// Every Rust file of the repository, one after the other.
fn sources() -> Vec<u8> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")];
    let mut text = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.extend(fs::read(path).unwrap_or_default());
            }
        }
    }
    text
}
