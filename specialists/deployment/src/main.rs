//! The process of the deployment specialist, and of the holder of a process it started.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_deployment::holder(std::env::args_os().skip(1)).unwrap_or_else(|| {
        deadelus_runtime::main("deployment", |targets| {
            Ok(deadelus_deployment::specialist(targets)?)
        })
    })
}
