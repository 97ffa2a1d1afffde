//! The process of the testing specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("testing", |targets| Ok(deadelus_testing::specialist(targets)?))
}
