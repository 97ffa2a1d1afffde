//! Kubernetes manifests: what the Pod Security Standards call baseline and restricted, as far as a
//! manifest says it.

use serde_json::Value;

use super::{Level, Problem, floats, is_secret_in_the_open};

/// What is wrong with one manifest.
pub(super) fn problems(document: &Value) -> Vec<Problem> {
    let kind = document["kind"].as_str().unwrap_or_default();
    let name = document["metadata"]["name"].as_str().unwrap_or_default();
    let spec = match kind {
        "Pod" => &document["spec"],
        "CronJob" => &document["spec"]["jobTemplate"]["spec"]["template"]["spec"],
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => {
            &document["spec"]["template"]["spec"]
        }
        _ => return vec![],
    };
    let subject = format!("{kind}/{name}");
    let mut problems = of_pod(&subject, spec);
    for list in ["containers", "initContainers"] {
        for container in spec[list].as_array().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default();
            problems.extend(of_container(&format!("{subject}/{name}"), container, spec));
        }
    }
    problems
}

fn of_pod(subject: &str, spec: &Value) -> Vec<Problem> {
    let mut problems = vec![];
    let mut problem = |rule, message: String| {
        let (subject, level) = (subject.to_owned(), Level::Error);
        problems.push(Problem { rule, level, subject, line: 0, message });
    };
    for key in ["hostNetwork", "hostPID", "hostIPC"] {
        if spec[key] == Value::Bool(true) {
            problem("shares-host", format!("{key}: true takes the walls away"));
        }
    }
    for volume in spec["volumes"].as_array().into_iter().flatten() {
        if let Some(path) = volume["hostPath"]["path"].as_str() {
            problem("host-path-mounted", format!("{path} of the node is mounted"));
        }
    }
    problems
}

fn of_container(subject: &str, container: &Value, spec: &Value) -> Vec<Problem> {
    let mut problems = vec![];
    let mut problem = |rule, level, message: &str| {
        let (subject, message) = (subject.to_owned(), message.to_owned());
        problems.push(Problem { rule, level, subject, line: 0, message });
    };
    let own = &container["securityContext"];
    let said =
        |key: &str| if own[key].is_null() { &spec["securityContext"][key] } else { &own[key] };
    if own["privileged"] == Value::Bool(true) {
        problem("privileged", Level::Error, "may do on the node whatever root may");
    }
    let other_user = said("runAsUser").as_u64().is_some_and(|user| user > 0);
    if said("runAsNonRoot") != &Value::Bool(true) && !other_user {
        problem("runs-as-root", Level::Error, "says neither runAsNonRoot nor another runAsUser");
    }
    if own["allowPrivilegeEscalation"] != Value::Bool(false) {
        problem("may-gain-privileges", Level::Warning, "allowPrivilegeEscalation is not false");
    }
    if container["resources"]["limits"]["memory"].is_null() {
        problem("no-memory-limit", Level::Warning, "can take the memory of its neighbours");
    }
    if container["image"].as_str().is_none_or(floats) {
        problem("image-without-version", Level::Warning, "runs another image tomorrow");
    }
    for setting in container["env"].as_array().into_iter().flatten() {
        let name = setting["name"].as_str().unwrap_or_default();
        if is_secret_in_the_open(name, setting["value"].as_str().unwrap_or_default()) {
            let text = format!("{name} stands in the manifest: use secretKeyRef");
            problem("secret-in-environment", Level::Error, &text);
        }
    }
    problems
}
