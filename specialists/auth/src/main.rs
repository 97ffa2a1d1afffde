//! The process of the auth specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("auth", |targets| Ok(deadelus_auth::specialist(targets)?))
}
