//! The process of the api specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("api", |targets| Ok(deadelus_api::specialist(targets)?))
}
