//! What the server and the processes are told, as text. Pure: nothing is read or written here.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use deadelus_mesh::permissions::{self, Permissions};
use deadelus_proto::{Role, Subjects, role::Permit, subject::DEFAULT_PREFIX};
use serde_json::json;

/// A request that is not answered by then is not answered any more.
const ANSWER_WITHIN: &str = "10s";

/// One mesh: where it is and how it is called.
pub(super) struct Mesh {
    pub(super) url: String,
    pub(super) subjects: Subjects,
    pub(super) tls: Option<Tls>,
}

/// Files, as server and processes find them.
pub(super) struct Tls {
    pub(super) cert: PathBuf,
    pub(super) key: PathBuf,
    pub(super) ca: Option<PathBuf>,
}

/// The address as processes are to use it: with TLS it says so.
pub(super) fn address(url: &str, tls: bool) -> String {
    if tls { url.replace("nats://", "tls://") } else { url.to_owned() }
}

/// The server's part: one account, one user per role, everything else refused.
pub(super) fn server(keys: &BTreeMap<Role, String>, mesh: &Mesh) -> String {
    let mut text = String::from(
        "# Made by `deadelus nats-config`, which writes it anew: what you add here is lost.\n\
         # Who may do what, and why: docs/permissions.md. Public keys only; nothing here is secret.\n\n",
    );
    if let Some(Tls { cert, key, .. }) = &mesh.tls {
        let (cert, key) = (json!(cert), json!(key));
        let _ = write!(text, "tls {{\n  cert_file: {cert}\n  key_file: {key}\n}}\n\n");
    }
    let account = mesh.subjects.resource("MESH");
    let _ = write!(text, "accounts {{\n  {account} {{\n    jetstream: enabled\n    users: [\n");
    for (role, public) in keys {
        user(&mut text, role, public, &permissions::of(role, &mesh.subjects));
    }
    text.push_str("    ]\n  }\n}\n");
    text
}

fn user(text: &mut String, role: &Role, public: &str, permissions: &Permissions) {
    let _ = write!(text, "      # {role}\n      {{ nkey: {public}, permissions: {{\n");
    list(text, "publish", &permissions.publish);
    list(text, "subscribe", &permissions.subscribe);
    if permissions.answers {
        let _ = writeln!(text, "        allow_responses: {{ max: 1, expires: {ANSWER_WITHIN:?} }}");
    }
    text.push_str("      } }\n");
}

fn list(text: &mut String, name: &str, permits: &[Permit]) {
    let _ = writeln!(text, "        {name}: [");
    for permit in permits {
        let _ = writeln!(text, "          {}", json!(permit.subject));
    }
    text.push_str("        ]\n");
}

/// The configuration of a process of this role.
pub(super) fn process(role: &Role, mesh: &Mesh, seed_file: &Path) -> String {
    let mut text = format!("[nats]\nurl = {}\n", json!(mesh.url));
    let prefix = mesh.subjects.below("");
    let prefix = prefix.trim_end_matches('.');
    if prefix != DEFAULT_PREFIX {
        let _ = writeln!(text, "prefix = {}", json!(prefix));
    }
    let _ = writeln!(text, "role = {}\nnkey_file = {}", json!(role.to_string()), json!(seed_file));
    if let Some(tls) = &mesh.tls {
        text.push_str("\n[nats.tls]\nrequired = true\n");
        if let Some(ca) = &tls.ca {
            let _ = writeln!(text, "ca_file = {}", json!(ca));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh(tls: bool) -> Mesh {
        let tls = tls.then(|| Tls {
            cert: "/etc/nats/cert.pem".into(),
            key: "/etc/nats/key.pem".into(),
            ca: Some("/etc/deadelus/ca.pem".into()),
        });
        let url = address("nats://nats:4222", tls.is_some());
        Mesh { url, subjects: Subjects::new("team.v1").unwrap(), tls }
    }

    #[test]
    fn the_server_knows_every_role_by_its_key_and_no_seed() {
        let keys: BTreeMap<_, _> =
            Role::all().into_iter().map(|r| (r.clone(), format!("U{r}"))).collect();
        let text = server(&keys, &mesh(false));
        for role in Role::all() {
            assert!(text.contains(&format!("nkey: U{role},")), "{role}");
        }
        assert!(
            text.contains("\"team.v1.in.db.*.*\"") && text.contains("TEAM_V1_MESH {"),
            "{text}"
        );
        assert!(!text.contains("tls {") && !text.contains("\">\""), "{text}");
    }

    #[test]
    fn tls_is_for_both_sides() {
        let mesh = mesh(true);
        assert!(server(&BTreeMap::new(), &mesh).contains("cert_file: \"/etc/nats/cert.pem\""));
        let text = process(&Role::Viewer, &mesh, Path::new("/keys/viewer.nk"));
        for line in [
            "url = \"tls://nats:4222\"",
            "prefix = \"team.v1\"",
            "role = \"viewer\"",
            "nkey_file = \"/keys/viewer.nk\"",
            "required = true",
            "ca_file = \"/etc/deadelus/ca.pem\"",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
