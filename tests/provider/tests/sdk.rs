//! Judged by a stranger: the official Python package reads, writes, and checks a signature.

use std::{path::Path, process::Command};

use deadelus_provider::{Fault, Provider, Trap};
use tokio::net::TcpListener;

/// A Python that has the package; none, and a word about it, where there is no network.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn python(folder: &Path) -> Option<std::path::PathBuf> {
    let run = |program: &Path, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|out| out.status.success())
    };
    let venv = folder.join("venv");
    let python = venv.join("bin/python3");
    let made = run(Path::new("python3"), &["-m", "venv", &venv.display().to_string()])
        && run(&python, &["-m", "pip", "install", "--quiet", "stripe==16.1.0"]);
    if !made {
        eprintln!(
            "SKIPPED: the official stripe package cannot be installed (python3 -m venv, pip)"
        );
    }
    made.then_some(python)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_official_package_reads_and_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let Some(python) = python(folder.path()) else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let provider = Provider::default();
    tokio::spawn(provider.clone().serve(listener));
    // A lost answer the package asks for again by itself: same key, same answer, one object.
    for (fault, path) in
        [(Fault::LostAnswer, "/v1/customers"), (Fault::TooManyRequests, "/v1/refunds")]
    {
        provider.trap(Trap { fault, method: "POST".to_owned(), path: path.to_owned(), skip: 0 });
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sdk.py");
    let ran = tokio::task::spawn_blocking(move || {
        Command::new(python).arg(script).arg(url).output().unwrap()
    });
    let ran = ran.await.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{said}");
    assert_eq!(provider.objects("customer").len(), 1);
    assert_eq!(provider.objects("refund").len(), 1);
}
