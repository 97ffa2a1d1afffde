//! Kubernetes: a Deployment that never has fewer replicas ready than it should, its Service, and
//! with more than one replica the rule that keeps one through a drain of its node.

use serde_json::{Value, json};

use crate::descriptor::Descriptor;

pub(super) fn documents(service: &Descriptor) -> Vec<Value> {
    let mut documents = vec![deployment(service), front(service)];
    if service.replicas > 1 {
        documents.push(budget(service));
    }
    documents
}

fn deployment(service: &Descriptor) -> Value {
    let Descriptor { name, replicas, .. } = service;
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "labels": labels(service), "annotations": notes(service) },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": selector(service) },
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 },
            },
            "template": {
                "metadata": { "labels": labels(service) },
                "spec": {
                    "automountServiceAccountToken": false,
                    "containers": [container(service)],
                },
            },
        },
    })
}

fn container(service: &Descriptor) -> Value {
    let Descriptor { name, image, port, health, resources, .. } = service;
    let probe = json!({
        "httpGet": { "path": health.path, "port": port },
        "periodSeconds": health.interval_seconds,
    });
    let limits = json!({
        "cpu": format!("{}m", resources.cpu_millis),
        "memory": format!("{}Mi", resources.memory_mib),
    });
    json!({
        "name": name,
        "image": image,
        "ports": [{ "containerPort": port }],
        "env": environment(service),
        "readinessProbe": probe,
        "livenessProbe": probe,
        "resources": { "limits": limits, "requests": limits },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "runAsNonRoot": true,
        },
    })
}

/// Literal values and references to secrets. Kubernetes reads `$(X)` as a reference, `$$(X)` not.
fn environment(service: &Descriptor) -> Vec<Value> {
    let literal = service
        .environment
        .iter()
        .map(|(name, value)| json!({ "name": name, "value": value.replace("$(", "$$(") }));
    let secret = service.secrets.iter().map(|(variable, at)| {
        json!({
            "name": variable,
            "valueFrom": { "secretKeyRef": { "name": at.name, "key": at.key } },
        })
    });
    literal.chain(secret).collect()
}

fn front(service: &Descriptor) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": service.name, "labels": labels(service) },
        "spec": {
            "selector": selector(service),
            "ports": [{ "port": service.public_port, "targetPort": service.port }],
        },
    })
}

fn budget(service: &Descriptor) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": { "name": service.name, "labels": labels(service) },
        "spec": { "maxUnavailable": 1, "selector": { "matchLabels": selector(service) } },
    })
}

fn selector(service: &Descriptor) -> Value {
    json!({ "app.kubernetes.io/name": service.name })
}

fn labels(service: &Descriptor) -> Value {
    json!({
        "app.kubernetes.io/name": service.name,
        "app.kubernetes.io/version": service.revision,
    })
}

fn notes(service: &Descriptor) -> Value {
    match service.schema_range {
        Some([first, last]) => json!({ "deadelus/schema-range": format!("{first}-{last}") }),
        None => json!({}),
    }
}
