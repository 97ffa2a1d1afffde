//! The process of the payments specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("payments", |targets| Ok(deadelus_payments::specialist(targets)?))
}
