//! Compose: one service, its health asked from within, its secrets from the environment of whoever
//! starts it. Fields as the Compose specification names them.

use serde_json::{Map, Value, json};

use crate::descriptor::Descriptor;

pub(super) fn document(service: &Descriptor) -> Value {
    let Descriptor { name, image, replicas, port, health, resources, .. } = service;
    let cpus = f64::from(resources.cpu_millis) / 1_000.0;
    let test = format!("wget -q -O /dev/null http://127.0.0.1:{port}{}", health.path);
    json!({
        "name": name,
        "services": {
            name: {
                "image": image,
                "environment": environment(service),
                "expose": [port.to_string()],
                "healthcheck": {
                    "test": ["CMD-SHELL", test],
                    "interval": format!("{}s", health.interval_seconds),
                    "timeout": "5s",
                    "retries": 3,
                },
                "labels": labels(service),
                "restart": "unless-stopped",
                "deploy": {
                    "replicas": replicas,
                    "resources": {
                        "limits": {
                            "cpus": cpus.to_string(),
                            "memory": format!("{}M", resources.memory_mib),
                        },
                    },
                    "update_config": { "order": "start-first", "parallelism": 1 },
                },
            },
        },
    })
}

/// Literal values, and for each secret the demand that somebody sets it. Compose reads `$` as the
/// begin of a reference, and `$$` as itself.
fn environment(service: &Descriptor) -> Map<String, Value> {
    let literal = service.environment.iter().map(|(k, v)| (k.clone(), v.replace('$', "$$")));
    let secret = service.secrets.iter().map(|(variable, at)| {
        (variable.clone(), format!("${{{variable}:?secret {} key {}}}", at.name, at.key))
    });
    literal.chain(secret).map(|(k, v)| (k, v.into())).collect()
}

fn labels(service: &Descriptor) -> Value {
    let mut labels = json!({ "deadelus.revision": service.revision });
    if let Some([first, last]) = service.schema_range {
        labels["deadelus.schema-range"] = json!(format!("{first}-{last}"));
    }
    labels
}
