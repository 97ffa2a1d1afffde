//! The orchestrator's process.

fn main() -> std::process::ExitCode {
    deadelus_orchestrator::main()
}
