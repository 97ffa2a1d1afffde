//! The process of the performance specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("performance", |targets| Ok(deadelus_performance::specialist(targets)?))
}
