//! The arrows of the architecture, compared with what `cargo metadata` says.
//!
//! Development dependencies are not arrows: tests may see everything.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// Who may depend on whom, and why on nobody else.
const ALLOWED: [(&str, &[&str], &str); 24] = [
    ("deadelus-proto", &[], "the language knows nobody who speaks it"),
    ("deadelus-mesh", &["deadelus-proto"], "the fabric carries messages, whoever sends them"),
    ("deadelus-core", &["deadelus-proto"], "the decision is pure: no fabric, no IO"),
    (
        "deadelus-view",
        &["deadelus-proto", "deadelus-core", "deadelus-mesh"],
        "who only looks and asks needs no orchestrator, and decides nothing",
    ),
    (
        "deadelus-gateway",
        &["deadelus-proto", "deadelus-core", "deadelus-mesh", "deadelus-view"],
        "it asks the orchestrator as anybody does: it has no way into it",
    ),
    (
        "deadelus-orchestrator",
        &["deadelus-proto", "deadelus-core", "deadelus-mesh", "deadelus-view", "deadelus-gateway"],
        "the shell never performs work: it knows no specialist",
    ),
    (
        "deadelus-cli",
        &["deadelus-proto", "deadelus-core", "deadelus-mesh", "deadelus-view"],
        "a person talks to the orchestrator, never to a specialist",
    ),
    (
        "deadelus-runtime",
        &["deadelus-proto", "deadelus-mesh"],
        "a specialist is told what to do: it knows no orchestrator",
    ),
    ("deadelus-db", SPECIALIST, SPECIALIST_WHY),
    ("deadelus-api", SPECIALIST, SPECIALIST_WHY),
    ("deadelus-payments", SPECIALIST, SPECIALIST_WHY),
    ("deadelus-auth", SPECIALIST, SPECIALIST_WHY),
    ("deadelus-security", SPECIALIST, SPECIALIST_WHY),
    ("deadelus-performance", SPECIALIST, SPECIALIST_WHY),
    ("deadelus-testing", SPECIALIST, SPECIALIST_WHY),
    ("deadelus-proxy", &[], "customers' requests pass through it: it knows nothing of the mesh"),
    (
        "deadelus-deployment",
        &["deadelus-runtime", "deadelus-proxy"],
        "it tells its proxy what to do",
    ),
    ("deadelus-shop", &[], "the service under change knows nothing of the mesh"),
    ("deadelus-provider", &[], "the provider of payments is a stranger to the mesh"),
    (
        "deadelus-bench",
        &["deadelus-proto", "deadelus-orchestrator", "deadelus-runtime"],
        "it runs the mesh as it is, with a specialist that does nothing",
    ),
    (
        "deadelus-sim",
        &["deadelus-proto", "deadelus-core", "deadelus-mesh", "deadelus-orchestrator"],
        "it carries out the real decisions on a bus of its own",
    ),
    (
        "deadelus-junk",
        &["deadelus-proto", "deadelus-core", "deadelus-orchestrator"],
        "it hands junk to whatever reads",
    ),
    ("deadelus-tests", &[], "its library is used by the tests of every other crate"),
    (
        "deadelus-fire",
        &[
            "deadelus-proto",
            "deadelus-core",
            "deadelus-mesh",
            "deadelus-orchestrator",
            "deadelus-runtime",
            "deadelus-tests",
        ],
        "it is a whole mesh in one program, with a specialist of its own",
    ),
];

const SPECIALIST: &[&str] = &["deadelus-runtime"];
const SPECIALIST_WHY: &str = "specialists never know each other, nor the fabric beneath";

#[test]
fn no_crate_depends_on_what_the_architecture_forbids() {
    let workspace = dependencies(&metadata());
    let allowed: BTreeMap<_, _> =
        ALLOWED.iter().map(|(name, to, why)| (*name, (*to, *why))).collect();
    let mut wrong = vec![];
    for (name, depends_on) in &workspace {
        let Some((may, why)) = allowed.get(name.as_str()) else {
            wrong.push(format!("{name} is not in the table: say what it may depend on, and why"));
            continue;
        };
        let forbidden = depends_on.iter().filter(|other| !may.contains(&other.as_str()));
        wrong.extend(forbidden.map(|other| format!("{name} -> {other}: {why}")));
    }
    let gone = allowed.keys().filter(|name| !workspace.contains_key(**name));
    wrong.extend(gone.map(|name| format!("{name} is in the table, but not in the workspace")));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Of each crate of the workspace: the others it is built from.
fn dependencies(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: Vec<_> = packages.iter().map(name).collect();
    let of = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap();
        let built_in = all.iter().filter(|dependency| dependency["kind"] != "dev");
        built_in.map(name).filter(|other| ours.contains(other)).collect()
    };
    packages.iter().map(|package| (name(package), of(package))).collect()
}

#[test]
fn what_a_dependency_is() {
    let metadata = serde_json::json!({"packages": [
        {"name": "a", "dependencies": [
            {"name": "b", "kind": null},
            {"name": "c", "kind": "build"},
            {"name": "d", "kind": "dev"},
            {"name": "serde", "kind": null},
        ]},
        {"name": "b", "dependencies": []},
        {"name": "c", "dependencies": []},
        {"name": "d", "dependencies": []},
    ]});
    assert_eq!(dependencies(&metadata)["a"], ["b", "c"]);
}
