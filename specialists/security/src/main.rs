//! The process of the security specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("security", |targets| Ok(deadelus_security::specialist(targets)?))
}
