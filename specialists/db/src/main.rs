//! The process of the database specialist.

use std::process::ExitCode;

fn main() -> ExitCode {
    deadelus_runtime::main("db", |targets| Ok(deadelus_db::specialist(targets)))
}
