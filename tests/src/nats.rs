//! A private nats-server with JetStream on a free port, in a directory of its own.

#![expect(clippy::expect_used, reason = "test support: a server that does not start ends the test")]

use std::{
    env, fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::process::{command, signal};

/// A server is up within milliseconds; two busy cores may take longer.
const START_MAX: Duration = Duration::from_secs(20);

/// Between two looks at whether it is up.
const POLL: Duration = Duration::from_millis(10);

/// A running server. It is killed, and its directory removed, when this is dropped.
#[derive(Debug)]
pub struct NatsServer {
    /// `nats://127.0.0.1:<port>`; the same after a restart.
    pub url: String,
    child: Child,
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
}

impl NatsServer {
    /// Starts a server and waits until it takes connections.
    ///
    /// # Panics
    /// When there is no binary ([`nats_binary`]) or the server does not come up.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments: `["--user", "me", "--pass", "x"]`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(arguments: &[&str]) -> Self {
        let directory = TempDir::with_prefix("nats-").expect("a temporary directory");
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        let mut child = spawn(directory.path(), "-1", &arguments);
        let port = wait_until_up(directory.path(), &mut child);
        Self { url: format!("nats://127.0.0.1:{port}"), child, port, directory, arguments }
    }

    /// Kills the server as a crash would: SIGKILL, no farewell, nothing flushed.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Lets no time pass for it: SIGSTOP.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn freeze(&self) {
        assert!(signal(self.pid(), "STOP"), "the server is gone");
    }

    /// Lets it go on, late: SIGCONT.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn thaw(&self) {
        assert!(signal(self.pid(), "CONT"), "the server is gone");
    }

    /// Has it read its configuration again: SIGHUP.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn reload(&self) {
        assert!(signal(self.pid(), "HUP"), "the server is gone");
    }

    /// Starts it again on the same port and directory, killing it first if it runs.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn restart(&mut self) {
        self.kill();
        forget_ports(self.directory.path());
        self.child = spawn(self.directory.path(), &self.port.to_string(), &self.arguments);
        wait_until_up(self.directory.path(), &mut self.child);
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("server.log")).unwrap_or_default()
    }

    /// Where the server keeps its streams.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Servers that know each other and nothing else: `n0`, `n1`, `n2`. Clients are not told of the
/// others, so that who connects through a [`Wire`](crate::wire::Wire) stays there.
///
/// # Panics
/// As [`NatsServer::start`].
pub fn cluster(servers: usize) -> Vec<NatsServer> {
    let bind = |_| TcpListener::bind("127.0.0.1:0").expect("a free port");
    let sockets: Vec<_> = (0..servers).map(bind).collect();
    let address = |socket: &TcpListener| socket.local_addr().expect("an address");
    let routes: Vec<_> = sockets.iter().map(|s| format!("nats://{}", address(s))).collect();
    drop(sockets);
    let all = routes.join(",");
    let start = |(n, route): (usize, &String)| {
        let name = format!("n{n}");
        let cluster = ["--cluster_name", "mesh", "--no_advertise", "--cluster", route];
        let known = ["--server_name", &name, "--routes", &all];
        NatsServer::start_with(&[&cluster[..], &known].concat())
    };
    routes.iter().enumerate().map(start).collect()
}

/// The nats-server to use: `DEADELUS_NATS_SERVER`, else what `deploy/nats-server` prints.
///
/// # Panics
/// When there is neither, saying what to do.
pub fn nats_binary() -> PathBuf {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(find_binary).clone()
}

fn find_binary() -> PathBuf {
    if let Some(path) = env::var_os("DEADELUS_NATS_SERVER") {
        return path.into();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/nats-server");
    let advice = "deploy/nats-server prints the path of a nats-server; or set DEADELUS_NATS_SERVER";
    let output = Command::new(&script).output().expect(advice);
    assert!(output.status.success(), "{advice}: {}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

fn spawn(directory: &Path, port: &str, arguments: &[String]) -> Child {
    let log = fs::File::create(directory.join("server.log")).expect("a log file");
    command(&nats_binary())
        .args(["--jetstream", "--addr", "127.0.0.1", "--port", port, "--store_dir"])
        .arg(directory)
        .arg("--ports_file_dir")
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("nats-server runs")
}

/// The ports file is written once the server listens.
fn wait_until_up(directory: &Path, child: &mut Child) -> u16 {
    let begun = Instant::now();
    loop {
        if let Some(port) = port(directory, child.id()) {
            return port;
        }
        let gone = child.try_wait().is_ok_and(|status| status.is_some());
        if gone || begun.elapsed() > START_MAX {
            let log = fs::read_to_string(directory.join("server.log")).unwrap_or_default();
            panic!("nats-server did not come up:\n{log}");
        }
        thread::sleep(POLL);
    }
}

/// `{"nats": ["nats://127.0.0.1:41234"], …}`; half written it does not end yet.
fn port(directory: &Path, pid: u32) -> Option<u16> {
    let name = format!("{}_{pid}.ports", nats_binary_name());
    let text = fs::read_to_string(directory.join(name)).ok()?;
    // `tls://` when the arguments ask for TLS.
    let after = text.split_once("\"nats\"")?.1.split_once("://")?.1;
    let address = after.split_once('"')?.0;
    text.trim_end().ends_with('}').then_some(())?;
    address.rsplit_once(':')?.1.parse().ok()
}

/// The server names the file after its own executable.
fn nats_binary_name() -> String {
    nats_binary().file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

fn forget_ports(directory: &Path) {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for path in entries.map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "ports")) {
        let _ = fs::remove_file(path);
    }
}
