use super::*;

async fn read(kind: Kind, text: &str) -> Result<Measured<Outputs>, Failure> {
    let name = kind.file_name().to_owned();
    let file = Manifest { name, kind, text: text.to_owned(), sha256: None };
    Validate.perform(&Context::detached("shop"), Inputs { files: vec![file] }).await
}

/// `rule place: message` of each finding.
async fn findings(kind: Kind, text: &str) -> Vec<String> {
    let done = read(kind, text).await.unwrap();
    assert_eq!(done.checks[0].pass, done.outputs.findings.is_empty());
    let line = |f: &Finding| format!("{} {}: {}", f.rule, f.place, f.message);
    done.outputs.findings.iter().map(line).collect()
}

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: { name: shop }
spec:
  replicas: 2
  selector: { matchLabels: { app: shop } }
  template:
    metadata: { labels: { app: shop } }
    spec:
      containers:
        - name: shop
          image: shop:2.1.0
          readinessProbe: { httpGet: { path: /healthz, port: 8080 } }
          resources: { limits: { cpu: 250m, memory: 128Mi } }
";

const COMPOSE: &str = "\
services:
  shop:
    image: shop:2.1.0
    environment: { DATABASE_URL: '${DATABASE_URL:?}' }
    healthcheck: { test: [CMD, /healthy], interval: 5s }
    deploy: { resources: { limits: { memory: 128M } } }
x-notes: { anything: [1, 2] }
";

#[tokio::test]
async fn of_kubernetes_each_defect_is_found_and_nothing_else() {
    assert_eq!(findings(Kind::Kubernetes, DEPLOYMENT).await, Vec::<String>::new());
    for (was, is, expected) in [
        ("replicas: 2", "replicas: two", "schema Deployment/shop/spec/replicas: "),
        ("readinessProbe", "readynessProbe", "'readynessProbe' was unexpected"),
        ("readinessProbe", "livenessProbe", "health-check Deployment/shop/containers/shop"),
        ("shop:2.1.0", "shop:latest", "latest is another image tomorrow"),
        ("shop:2.1.0", "shop", "neither a tag nor a digest"),
        ("memory: 128Mi", "", "resource-limit"),
        ("  replicas: 2", "  replicas: 2\n  replicas: 3", "syntax : "),
        ("  selector: { matchLabels: { app: shop } }\n", "", "\"selector\" is a required property"),
        ("apiVersion: apps/v1\n", "", "without apiVersion or kind"),
        (
            "image: shop:2.1.0",
            "image: shop:2.1.0\n          env: [{ name: DB_PASSWORD, value: hunter2 }]",
            "secret-value Deployment/shop/containers/shop: DB_PASSWORD holds a secret in the clear",
        ),
    ] {
        assert!(DEPLOYMENT.contains(was), "{was}");
        let found = findings(Kind::Kubernetes, &DEPLOYMENT.replacen(was, is, 1)).await;
        assert!(found.iter().any(|line| line.contains(expected)), "{expected}: {found:?}");
        assert!(!found.iter().any(|line| line.contains("hunter2")), "a secret is repeated");
    }
    let twice = format!("{DEPLOYMENT}---\n{DEPLOYMENT}");
    assert_eq!(
        findings(Kind::Kubernetes, &twice).await,
        ["syntax Deployment/shop: it stands there twice"]
    );
}

#[tokio::test]
async fn of_compose_each_defect_is_found_and_nothing_else() {
    assert_eq!(findings(Kind::Compose, COMPOSE).await, Vec::<String>::new());
    for (was, is, expected) in [
        ("healthcheck", "healtcheck", "'healtcheck' was unexpected"),
        ("healthcheck: { test: [CMD, /healthy], interval: 5s }", "", "there is no healthcheck"),
        ("interval: 5s", "interval: 5", "schema /services/shop/healthcheck/interval"),
        ("shop:2.1.0", "shop:latest", "image-tag /services/shop"),
        ("'${DATABASE_URL:?}'", "'postgres://shop:hunter2@db/shop'", "secret-value"),
        ("services:", "service:", "'service' was unexpected"),
        ("x-notes:", "notes:", "'notes' was unexpected"),
        ("memory: 128M", "cpus: '1'", "there is no limit of memory"),
        ("image:", "image: a:1\n    image:", "syntax : "),
    ] {
        assert!(COMPOSE.contains(was), "{was}");
        let found = findings(Kind::Compose, &COMPOSE.replacen(was, is, 1)).await;
        assert!(found.iter().any(|line| line.contains(expected)), "{expected}: {found:?}");
        assert!(!found.iter().any(|line| line.contains("hunter2")), "a secret is repeated");
    }
}

#[tokio::test]
async fn what_no_schema_knows_is_not_called_valid() {
    let custom = "apiVersion: example.com/v1\nkind: Backup\nmetadata: { name: b }\n";
    let failure = read(Kind::Kubernetes, custom).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::Unsupported);
    assert!(failure.help.contains("apps/v1 Deployment"), "{failure}");
    let old = DEPLOYMENT.replace("apps/v1", "extensions/v1beta1");
    assert_eq!(read(Kind::Kubernetes, &old).await.unwrap_err().class, ErrorClass::Unsupported);
    assert_eq!(
        findings(Kind::Kubernetes, "# nothing\n").await,
        ["syntax : there is no document in it"]
    );
}

#[tokio::test]
async fn what_cannot_be_read_and_what_is_not_as_promised() {
    assert!(findings(Kind::Compose, "services: [").await[0].starts_with("syntax"));
    let file = Manifest {
        name: "a".to_owned(),
        kind: Kind::Compose,
        text: COMPOSE.to_owned(),
        sha256: Some(fingerprint("another")),
    };
    for files in [vec![], vec![file]] {
        let cx = Context::detached("shop");
        let failure = Validate.perform(&cx, Inputs { files }).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput);
    }
}

#[tokio::test]
async fn haproxy_reads_its_own_configuration() {
    if !haproxy_is_there() {
        eprintln!(
            "SKIPPED: its configuration is read by haproxy (Debian: apt-get install haproxy)"
        );
        let failure = read(Kind::Haproxy, "global\n").await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Unavailable);
        return;
    }
    let good = "defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    \
                timeout server 1s\nfrontend a\n    bind 127.0.0.1:8080\n    default_backend b\nbackend b\n";
    assert_eq!(findings(Kind::Haproxy, good).await, Vec::<String>::new());
    let found = findings(Kind::Haproxy, &good.replace("default_backend", "defualt_backend")).await;
    assert!(found.len() == 1 && found[0].contains("defualt_backend"), "{found:?}");
}

#[tokio::test]
async fn a_configuration_that_runs_code_is_not_read() {
    for line in [
        "lua-load /tmp/a.lua",
        "\"lua\\-load\" /tmp/a.lua",
        "\\x6cua-load /tmp/a.lua",
        "setenv A lua\n    \"${A}-load\" /tmp/a.lua",
    ] {
        let failure = read(Kind::Haproxy, &format!("global\n    {line}\n")).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Denied, "{line}");
    }
}
