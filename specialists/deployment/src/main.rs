//! The process of the deployment specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("deployment", |targets| Ok(deadelus_deployment::specialist(targets)?))
}
