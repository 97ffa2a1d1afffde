//! What the tests of several capabilities share.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::target::{Targets, checked};

/// One configured system, named `shop`.
pub(crate) fn targets(config: Value) -> Targets {
    let target = serde_json::from_value(config).unwrap();
    checked([("shop".parse().unwrap(), target)].into()).unwrap()
}

/// Whether a tool is there; says so loudly when not.
pub(crate) fn available(program: &str, arguments: &[&str]) -> bool {
    let there = Command::new(program).args(arguments).output().is_ok_and(|o| o.status.success());
    if !there {
        eprintln!("SKIPPED: {program} {} is not installed", arguments.join(" "));
    }
    there
}

/// A package without dependencies.
pub(crate) fn cargo_project(folder: &Path, lib: &str) {
    let manifest = "[package]\nname = \"crate_under_test\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::create_dir(folder.join("src")).unwrap();
    fs::write(folder.join("src/lib.rs"), lib).unwrap();
}

/// Serves on a free port of this machine for as long as the test's runtime lives.
pub(crate) async fn serve(routes: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}
