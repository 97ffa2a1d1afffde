//! Running a configured suite once, and reading what its runner tells of it.

use std::{fs, io, path::Path, process::ExitStatus, time::Duration, time::Instant};

use deadelus_runtime::{Context, ErrorClass, Failure};
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    junit, libtest,
    process::{self, Ended},
    results::Tests,
    target::{REPORT, Runner, Suite},
};

/// What every program needs to be found, to speak English, and to find Rust's toolchain.
const ENVIRONMENT: [&str; 7] =
    ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "CARGO_HOME", "RUSTUP_HOME"];

/// Left of a task's time for what was found to be kept.
const REPORTING_TIME: Duration = Duration::from_secs(10);

/// A report of some hundred thousand tests.
const REPORT_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// One run of a suite.
#[derive(Debug)]
pub(crate) struct Execution {
    /// None when it was killed at its deadline.
    pub(crate) status: Option<ExitStatus>,
    /// What it wrote, within bounds.
    pub(crate) output: String,
    /// What its runner tells of every test, or why that cannot be known.
    pub(crate) tests: Result<Tests, String>,
}

/// Runs a suite; everything it starts is gone when this returns, or when it is dropped.
///
/// # Errors
/// `unavailable` when the runner is not installed or the suite's folder is not there.
pub(crate) async fn execute(cx: &Context, suite: &Suite) -> Result<Execution, Failure> {
    let scratch = tempfile::tempdir().map_err(|e| unavailable("a scratch folder", &e))?;
    let command = command(suite, &scratch).map_err(|e| unavailable("its configuration", &e))?;
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    if !suite.folder.is_dir() {
        let text = format!("{} is no folder", suite.folder.display());
        return Err(Failure::new(ErrorClass::Unavailable, text).help("check the suite's folder"));
    }
    let left = cx.deadline().saturating_duration_since(Instant::now() + REPORTING_TIME);
    let Ended { status, output } = process::run(command, suite.timeout().min(left))
        .await
        .map_err(|e| unavailable(&program, &e))?;
    let output = output.text();
    if let Some(missing) = not_installed(suite.runner, &output) {
        return Err(Failure::new(ErrorClass::Unavailable, format!("{missing} is not installed"))
            .help("install it for the user this specialist runs as"));
    }
    let tests = match status {
        None => Err("it was killed at its deadline".to_owned()),
        Some(_) => read(suite.runner, &output, &report(&scratch)),
    };
    Ok(Execution { status, output, tests })
}

/// The command of a suite, with nothing from the plan in it.
fn command(suite: &Suite, scratch: &TempDir) -> io::Result<Command> {
    let report = report(scratch);
    let program = |default: &str| match &suite.program {
        Some(program) => Command::new(program),
        None => Command::new(default),
    };
    let mut command = match suite.runner {
        Runner::Cargo => {
            let mut command = program("cargo");
            command.args(["test", "--no-fail-fast", "--color", "never"]).args(&suite.arguments);
            command
        }
        Runner::Nextest => {
            let config = scratch.path().join("nextest.toml");
            let path = toml_string(&report);
            fs::write(&config, format!("[profile.default.junit]\npath = {path}\n"))?;
            let mut command = program("cargo");
            command
                .args(["nextest", "run", "--no-fail-fast", "--color", "never"])
                .arg("--tool-config-file")
                .arg(format!("deadelus:{}", config.display()))
                .args(&suite.arguments);
            command
        }
        Runner::Pytest => {
            let mut command = program("python3");
            command
                .args(["-m", "pytest", "-p", "no:cacheprovider"])
                .arg(format!("--junit-xml={}", report.display()))
                .args(&suite.arguments);
            command
        }
        Runner::Command => {
            let mut command = program("");
            let report = report.to_string_lossy();
            command.args(suite.arguments.iter().map(|text| text.replace(REPORT, &report)));
            command
        }
    };
    let wanted = ENVIRONMENT.into_iter().chain(suite.environment.iter().map(String::as_str));
    let seen = wanted.filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.env_clear().envs(seen).current_dir(&suite.folder);
    Ok(command)
}

/// Where the report of a run is written.
fn report(scratch: &TempDir) -> std::path::PathBuf {
    scratch.path().join("junit.xml")
}

/// A path between single quotes: nothing in it is an escape.
fn toml_string(path: &Path) -> String {
    format!("'{}'", path.display())
}

/// Reads the report, or the output of the one runner that writes none.
fn read(runner: Runner, output: &str, report: &Path) -> Result<Tests, String> {
    match runner {
        Runner::Cargo => libtest::read(output),
        Runner::Nextest | Runner::Pytest | Runner::Command => {
            let length = match fs::metadata(report) {
                Ok(report) => report.len(),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    return Err("it wrote no report".to_owned());
                }
                Err(e) => return Err(format!("its report: {e}")),
            };
            if length > REPORT_MAX_BYTES {
                return Err(format!("its report has {length} bytes, at most {REPORT_MAX_BYTES}"));
            }
            let xml = fs::read_to_string(report).map_err(|e| format!("its report: {e}"))?;
            junit::read(&xml).map_err(|problem| format!("its report: {problem}"))
        }
    }
}

/// A runner that is a part of another program says itself that it is not there.
fn not_installed(runner: Runner, output: &str) -> Option<&'static str> {
    match runner {
        Runner::Nextest => output.contains("no such command: `nextest`").then_some("cargo-nextest"),
        Runner::Pytest => output.contains("No module named pytest").then_some("pytest"),
        Runner::Cargo | Runner::Command => None,
    }
}

fn unavailable(what: &str, error: &io::Error) -> Failure {
    Failure::new(ErrorClass::Unavailable, format!("cannot run {what}: {error}"))
        .help("check that it is installed and that this specialist may run it")
}
