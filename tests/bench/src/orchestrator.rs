//! The orchestrator itself, built beside the benchmark so that one command builds what it measures.

fn main() -> std::process::ExitCode {
    deadelus_orchestrator::main()
}
