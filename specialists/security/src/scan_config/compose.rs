//! Compose files, service by service.

use serde_json::Value;

use super::{Level, Problem, floats, is_secret_in_the_open};

/// What is wrong with a compose file.
pub(super) fn problems(document: &Value) -> Vec<Problem> {
    let services = document["services"].as_object().into_iter().flatten();
    services.flat_map(|(name, service)| of_service(&format!("services.{name}"), service)).collect()
}

fn of_service(subject: &str, service: &Value) -> Vec<Problem> {
    let mut problems = vec![];
    let mut problem = |rule, level, message: String| {
        problems.push(Problem { rule, level, subject: subject.to_owned(), line: 0, message });
    };
    if let Some(image) = service["image"].as_str().filter(|image| floats(image)) {
        let text = format!("{image} is another image tomorrow: name a version");
        problem("image-without-version", Level::Warning, text);
    }
    if service["privileged"] == Value::Bool(true) {
        problem("privileged", Level::Error, "may do on the host whatever root may".to_owned());
    }
    for key in ["network_mode", "pid", "ipc"] {
        if service[key] == "host" {
            problem("shares-host", Level::Error, format!("{key}: host takes the walls away"));
        }
    }
    for volume in service["volumes"].as_array().into_iter().flatten() {
        let from = volume.as_str().or_else(|| volume["source"].as_str()).unwrap_or_default();
        if from.contains("docker.sock") {
            let text = "whoever gets in commands every other container".to_owned();
            problem("container-socket-mounted", Level::Error, text);
        }
    }
    for port in service["ports"].as_array().into_iter().flatten() {
        if let Some(port) = port.as_str().filter(|port| is_open_data_port(port)) {
            let text = format!("port {port} of a database is open to every network");
            problem("data-port-open", Level::Error, text);
        }
    }
    for (name, value) in settings(&service["environment"]) {
        if is_secret_in_the_open(&name, &value) {
            let text = format!("{name} stands in the file: use a secret or an env file");
            problem("secret-in-environment", Level::Error, text);
        }
    }
    problems
}

/// `5432:5432`, but not `127.0.0.1:5432:5432`.
fn is_open_data_port(port: &str) -> bool {
    let data = ["5432", "3306", "6379", "27017", "9200", "11211", "1433"];
    let parts: Vec<&str> = port.split('/').next().unwrap_or_default().split(':').collect();
    let everywhere = match parts[..] {
        [_, _] => true,
        [address, _, _] => address == "0.0.0.0",
        _ => false,
    };
    everywhere && parts.last().is_some_and(|inside| data.contains(inside))
}

/// A mapping, or a list of `NAME=value`.
fn settings(environment: &Value) -> Vec<(String, String)> {
    let mapped = environment.as_object().into_iter().flatten();
    let mapped =
        mapped.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let listed = environment.as_array().into_iter().flatten().filter_map(|item| {
        let (name, value) = item.as_str()?.split_once('=')?;
        Some((name.to_owned(), value.to_owned()))
    });
    mapped.chain(listed).collect()
}
