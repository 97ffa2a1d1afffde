//! A mesh of its own: a server, an orchestrator, the specialists that a test asks for.

#![expect(clippy::expect_used, reason = "test support: a mesh that does not come up ends the test")]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitStatus,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use crate::{nats::NatsServer, process::Process, programs::program};

/// What every process of the mesh logs once it takes work.
const READY: &str = "\"ready\"";

/// Work in hand is finished by then; the specialists' own drain time is a minute.
const DRAIN_MAX: Duration = Duration::from_secs(70);

/// The address that `deadelus nats-config` assumes.
pub const MADE_FOR: &str = "127.0.0.1:4222";

/// The name of the orchestrator in a fleet.
pub const ORCHESTRATOR: &str = "orchestrator";

/// Real processes on a real server. All of them end with it; a failed test shows their logs.
#[derive(Debug)]
pub struct Fleet {
    // In this order they are dropped: nobody has to find out that the server is gone.
    processes: BTreeMap<String, Process>,
    /// The server. Tests kill it and start it again.
    pub nats: NatsServer,
    home: TempDir,
    collector: Option<String>,
    /// What `deadelus nats-config` has made, where each process has a credential of its own.
    keys: Option<PathBuf>,
}

impl Fleet {
    /// A server, these specialists with their `[targets.…]` tables of TOML, and an orchestrator,
    /// which may have lines of its own under [`ORCHESTRATOR`].
    ///
    /// # Panics
    /// When they do not come up.
    pub fn of(specialists: &[(&str, &str)]) -> Self {
        Self::launch(NatsServer::start(), specialists, None)
    }

    /// A server and nobody yet.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn of_nobody() -> Self {
        let home = TempDir::with_prefix("fleet-").expect("a temporary directory");
        let processes = BTreeMap::new();
        Self { processes, nats: NatsServer::start(), home, collector: None, keys: None }
    }

    /// These specialists and an orchestrator on a server that a test has made.
    ///
    /// # Panics
    /// When they do not come up.
    pub fn on(nats: NatsServer, specialists: &[(&str, &str)]) -> Self {
        Self::launch(nats, specialists, None)
    }

    /// The same, sending their spans to an OTLP collector: `http://127.0.0.1:4317`.
    ///
    /// # Panics
    /// When they do not come up.
    pub fn traced(specialists: &[(&str, &str)], collector: &str) -> Self {
        Self::launch(NatsServer::start(), specialists, Some(collector.to_owned()))
    }

    /// The same on a server that lets each process do what its role needs. The orchestrator makes the
    /// streams, so that the others wait for it.
    ///
    /// # Panics
    /// When they do not come up.
    pub fn confined(nats: NatsServer, keys: &Path, specialists: &[(&str, &str)]) -> Self {
        let home = TempDir::with_prefix("fleet-").expect("a temporary directory");
        let (processes, keys) = (BTreeMap::new(), Some(keys.to_owned()));
        let mut fleet = Self { processes, nats, home, collector: None, keys };
        let is_orchestrator = |(name, _): &&(&str, &str)| *name == ORCHESTRATOR;
        let own = specialists.iter().find(is_orchestrator).map_or("", |(_, lines)| lines);
        fleet.join(ORCHESTRATOR, ORCHESTRATOR, own);
        for (specialist, targets) in specialists.iter().filter(|s| !is_orchestrator(s)) {
            fleet.spawn(specialist, specialist, targets);
        }
        fleet.until_ready();
        fleet
    }

    fn launch(nats: NatsServer, specialists: &[(&str, &str)], collector: Option<String>) -> Self {
        let home = TempDir::with_prefix("fleet-").expect("a temporary directory");
        let processes = BTreeMap::new();
        let mut fleet = Self { processes, nats, home, collector, keys: None };
        let is_orchestrator = |(name, _): &&(&str, &str)| *name == ORCHESTRATOR;
        for (specialist, targets) in specialists.iter().filter(|s| !is_orchestrator(s)) {
            fleet.spawn(specialist, specialist, targets);
        }
        fleet.until_ready();
        // Last, so that it knows the others' cards before the first plan comes.
        let own = specialists.iter().find(is_orchestrator).map_or("", |(_, lines)| lines);
        fleet.join(ORCHESTRATOR, ORCHESTRATOR, own);
        fleet
    }

    /// Starts one more process: `db-2`, which is another `db`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn join(&mut self, name: &str, process: &str, targets: &str) {
        self.spawn(name, process, targets);
        self.process(name).until_it_says(READY);
    }

    /// The same with a program of another build: `previous/deadelus-db`.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn join_from(&mut self, program: &Path, name: &str, targets: &str) {
        let nats = self.nats_section(name);
        self.spawn_program(program, name, &nats, targets);
        self.process(name).until_it_says(READY);
    }

    fn spawn(&mut self, name: &str, process: &str, targets: &str) {
        let program = program(&format!("deadelus-{process}"));
        let nats = self.nats_section(process);
        self.spawn_program(&program, name, &nats, targets);
    }

    fn spawn_program(&mut self, program: &Path, name: &str, nats: &str, targets: &str) {
        let file = self.home.path().join(format!("{name}.toml"));
        fs::write(&file, self.configuration(nats, targets)).expect("a configuration file");
        let arguments = [OsStr::new("--config"), file.as_os_str()];
        let log = self.home.path().join(format!("{name}.log"));
        let process = Process::start(program, &arguments, &log);
        self.processes.insert(name.to_owned(), process);
    }

    fn until_ready(&mut self) {
        for process in self.processes.values_mut() {
            process.until_it_says(READY);
        }
    }

    /// Kills a process as a crash would.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn kill(&mut self, name: &str) {
        self.process(name).kill();
    }

    /// Starts it again, as it was.
    ///
    /// # Panics
    /// When there is none of that name, or it does not come up.
    pub fn restart(&mut self, name: &str) {
        let process = self.process(name);
        process.restart();
        process.until_it_says(READY);
    }

    /// Asks it to stop and waits until it has: SIGTERM, then the drain.
    ///
    /// # Panics
    /// When there is none of that name, or it does not end.
    pub fn terminate(&mut self, name: &str) -> ExitStatus {
        let process = self.process(name);
        process.terminate();
        process.ended_within(DRAIN_MAX)
    }

    /// A process of the fleet.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn process(&mut self, name: &str) -> &mut Process {
        self.processes.get_mut(name).unwrap_or_else(|| panic!("no process {name} in this fleet"))
    }

    /// A folder for what else belongs to the test.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The section `[nats]` of a process: what was made for it, at the address of this server.
    fn nats_section(&self, process: &str) -> String {
        let Some(keys) = &self.keys else { return format!("[nats]\nurl = {:?}\n", self.nats.url) };
        let made = fs::read_to_string(keys.join(format!("{process}.toml"))).expect("its file");
        made.replace(MADE_FOR, self.nats.url.trim_start_matches("nats://"))
    }

    fn configuration(&self, nats: &str, targets: &str) -> String {
        let mut text = nats.to_owned();
        if let Some(collector) = &self.collector {
            let _ = write!(text, "\n[telemetry]\notlp_endpoint = {collector:?}\n");
        }
        format!("{text}\n{targets}")
    }
}

impl Drop for Fleet {
    #[expect(clippy::print_stderr, reason = "the reason of a failure is in the logs")]
    fn drop(&mut self) {
        if thread::panicking() {
            for (name, process) in &self.processes {
                eprintln!("---- {name}:\n{}", process.last_lines());
            }
        }
    }
}
