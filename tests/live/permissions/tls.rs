//! TLS from end to end, with an authority made for the test.

use std::{path::Path, process::Command};

use deadelus_mesh::{config::TlsConfig, connect};
use deadelus_proto::Role;
use deadelus_tests::nats::NatsServer;
use tempfile::TempDir;

use super::rig::{make, server};
use deadelus_mesh::config::NatsConfig;

#[tokio::test]
async fn with_tls_nobody_is_let_in_who_does_not_know_the_authority() {
    let keys = TempDir::with_prefix("keys-").unwrap();
    let Some(Files { ca, cert, key, other_ca }) = certificates(keys.path()) else { return };
    make(keys.path(), &["--tls-cert", &cert, "--tls-key", &key, "--tls-ca", &ca]);
    let made = std::fs::read_to_string(keys.path().join("viewer.toml")).unwrap();
    assert!(made.contains("tls://127.0.0.1:4222") && made.contains("ca.pem"), "{made}");
    let nats = server(keys.path());

    let trusts = |authority: Option<&str>| config(&nats, keys.path(), authority);
    let mesh = connect(&trusts(Some(&ca)), "knows").await.unwrap();
    assert!(mesh.client.server_info().tls_required);
    for authority in [None, Some(other_ca.as_str())] {
        let error = connect(&trusts(authority), "does not").await.unwrap_err();
        assert!(error.to_string().contains("cannot reach"), "{authority:?}: {error}");
    }
    let nkey_file = Some(keys.path().join("db.nk"));
    let url = nats.url.clone();
    let role = "db".to_owned();
    let clear = NatsConfig { url, role, nkey_file, ..NatsConfig::default() };
    assert!(connect(&clear, "in the clear").await.is_err(), "without knowing whom it talks to");
}

fn config(nats: &NatsServer, keys: &Path, authority: Option<&str>) -> NatsConfig {
    NatsConfig {
        url: nats.url.replace("nats://", "tls://"),
        role: Role::Viewer.to_string(),
        nkey_file: Some(keys.join("viewer.nk")),
        tls: TlsConfig {
            ca_file: authority.map(Into::into),
            required: true,
            ..TlsConfig::default()
        },
        ..NatsConfig::default()
    }
}

struct Files {
    ca: String,
    cert: String,
    key: String,
    other_ca: String,
}

/// An authority, a certificate of it for loopback, and another authority; none without openssl.
fn certificates(folder: &Path) -> Option<Files> {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("SKIPPED: TLS is not tested, there is no openssl here");
        return None;
    }
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
    let openssl = |words: &[&str]| {
        let output = Command::new("openssl").args(new).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for name in ["ca", "other"] {
        let (out, key) = (path(&format!("{name}.pem")), path(&format!("{name}.key")));
        let subject = format!("/CN=deadelus test {name}");
        openssl(&["-nodes", "-subj", &subject, "-days", "1", "-out", &out, "-keyout", &key]);
    }
    let (ca, ca_key) = (path("ca.pem"), path("ca.key"));
    let (cert, key) = (path("cert.pem"), path("key.pem"));
    let ours = ["-CA", &ca, "-CAkey", &ca_key, "-addext", "basicConstraints=critical,CA:false"];
    let for_loopback = ["-nodes", "-subj", "/CN=nats", "-addext", "subjectAltName=IP:127.0.0.1"];
    let out = ["-days", "1", "-out", &cert, "-keyout", &key];
    openssl(&[&ours[..], &for_loopback, &out].concat());
    Some(Files { ca, cert, key, other_ca: path("other.pem") })
}
