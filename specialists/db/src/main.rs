//! The process of the db specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("db", |targets| Ok(deadelus_db::specialist(targets)))
}
