//! A private PostgreSQL, made by `deploy/postgres`.

#![expect(
    clippy::expect_used,
    reason = "test support: a cluster that does not start ends the test"
)]

use std::{
    env,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

/// `deploy/postgres` exits with this when PostgreSQL is not installed.
const NOT_INSTALLED: i32 = 3;

/// A running cluster with an empty database. It is stopped and removed when this is dropped, and
/// when the test dies.
#[derive(Debug)]
pub struct Cluster {
    /// `postgresql:///shop?host=/tmp/…/sock&user=postgres`
    pub url: String,
    /// Waits for the end of its input, which is our end, and cleans up.
    warden: Child,
}

impl Cluster {
    /// Starts one; `None`, loudly, where PostgreSQL is not installed.
    ///
    /// # Panics
    /// When it is installed and does not start.
    #[expect(clippy::print_stderr, reason = "a skipped test has to say so")]
    pub fn start(test: &str) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short, because a socket has to fit in it, and open to the user postgres.
        let home = env::temp_dir().join(format!("pg-{}-{count}", std::process::id()));
        let mut cluster = Self { url: String::new(), warden: warden(&home) };
        let started = Command::new(script()).arg("start").arg(&home).output().expect("a shell");
        let said = String::from_utf8_lossy(&started.stderr);
        if started.status.code() == Some(NOT_INSTALLED) {
            eprintln!("SKIPPED {test}: {said}");
            return None;
        }
        assert!(started.status.success(), "{said}");
        String::from_utf8_lossy(&started.stdout).trim().clone_into(&mut cluster.url);
        Some(cluster)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.warden.stdin.take());
        let _ = self.warden.wait();
    }
}

/// The cluster is nobody's child: whoever starts it must also see to its end. A person's Ctrl-C
/// reaches this process too, and must not stop it.
fn warden(home: &Path) -> Child {
    const STAY: &str = "trap '' INT TERM HUP; cat >/dev/null; \
         \"$0\" stop \"$1\" >/dev/null 2>&1; rm -rf \"$1\"";
    Command::new("sh")
        .args(["-c", STAY])
        .arg(script())
        .arg(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/postgres")
}
