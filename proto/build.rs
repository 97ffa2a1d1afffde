//! Compiles `deadelus/v1/*.proto` in process: nobody has to install protoc.

use std::path::PathBuf;

const FILES: [&str; 6] = ["common", "task", "inbox", "log", "projection", "worker"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=deadelus");
    let files: Vec<PathBuf> =
        FILES.iter().map(|f| PathBuf::from(format!("deadelus/v1/{f}.proto"))).collect();
    let descriptors = protox::compile(&files, ["."])?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
