//! A nats-server of our own: which program, which port, which configuration.

use std::{
    env,
    ffi::OsString,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use deadelus_mesh::connect::{OLDEST_SERVER, ServerVersion};

use super::process::Program;
use crate::{
    error::CliError,
    home::{self, Home},
};

/// Names the program to use; nothing else is looked at then.
const PROGRAM_VARIABLE: &str = "DEADELUS_NATS_SERVER";

/// On loopback an answer takes microseconds.
const CONNECT_MAX: Duration = Duration::from_millis(200);

/// The program: named by the environment, else the one the checkout provides, else the one on
/// PATH.
///
/// # Errors
/// [`CliError::NoNatsServer`] with what was tried.
pub(crate) fn find() -> Result<PathBuf, CliError> {
    if let Some(named) = env::var_os(PROGRAM_VARIABLE).filter(|v| !v.is_empty()) {
        let named = PathBuf::from(named);
        return check(&named)
            .map(|()| named)
            .map_err(|e| CliError::NoNatsServer(format!("{PROGRAM_VARIABLE}: {e}")));
    }
    let mut tried = vec![];
    if let Some(script) = checkout_script() {
        match ask(&script) {
            Ok(found) => return Ok(found),
            Err(problem) => tried.push(problem),
        }
    }
    let on_path = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .map(|folder| folder.join("nats-server"))
        .find(|file| file.is_file());
    match on_path {
        Some(found) => match check(&found) {
            Ok(()) => return Ok(found),
            Err(problem) => tried.push(problem),
        },
        None => tried.push("none on PATH".to_owned()),
    }
    Err(CliError::NoNatsServer(tried.join("; ")))
}

/// How to start it: its data in the home folder, on loopback only.
///
/// # Errors
/// [`CliError::File`] when the configuration cannot be written.
pub(crate) fn program(path: PathBuf, home: &Home, port: u16) -> Result<Program, CliError> {
    home::write_once(&home.nats_conf(), &configuration(&home.nats_data()))?;
    let word = OsString::from;
    let arguments = vec![
        word("--config"),
        home.nats_conf().into(),
        word("--addr"),
        word("127.0.0.1"),
        word("--port"),
        port.to_string().into(),
    ];
    Ok(Program { path, arguments, environment: vec![], log: home.log(super::fleet::NATS) })
}

/// The port it had last, if nobody else has it, so that whoever still runs finds it again.
///
/// # Errors
/// [`CliError::Nats`] when no port can be had.
pub(crate) fn port(last_url: Option<&str>) -> Result<u16, CliError> {
    let last = last_url.and_then(local_port).unwrap_or(0);
    let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr();
    let address: SocketAddr =
        free(last).or_else(|_| free(0)).map_err(CliError::nats("find a free port"))?;
    Ok(address.port())
}

/// Whether something listens there.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), CONNECT_MAX).is_ok()
}

/// The address of a server on this machine.
pub(crate) fn url(port: u16) -> String {
    format!("nats://127.0.0.1:{port}")
}

fn local_port(url: &str) -> Option<u16> {
    url.strip_prefix("nats://127.0.0.1:")?.parse().ok()
}

fn configuration(data: &Path) -> String {
    format!(
        "# The NATS server that `deadelus up` starts. Address and port are given when it starts.\n\
         server_name: deadelus\n\
         jetstream {{\n  \
         store_dir: {data:?}\n  \
         # What was acknowledged survives a crash of the server as it is. To survive a power cut\n  \
         # as well, at about a tenth of the speed:\n  \
         # sync_interval: always\n\
         }}\n"
    )
}

/// Above the program, where a checkout has it.
fn checkout_script() -> Option<PathBuf> {
    let own = env::current_exe().ok()?;
    own.ancestors().map(|folder| folder.join("deploy/nats-server")).find(|file| file.is_file())
}

fn ask(script: &Path) -> Result<PathBuf, String> {
    let output = Command::new(script).output().map_err(|e| format!("{}: {e}", script.display()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Whether the program is one we can work with.
fn check(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let output = Command::new(path).arg("--version").output();
    let output = output.map_err(|e| format!("{shown}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.rsplit(char::is_whitespace).find(|word| !word.is_empty());
    match version.and_then(|v| v.parse::<ServerVersion>().ok()) {
        Some(version) if version >= OLDEST_SERVER => Ok(()),
        Some(version) => Err(format!("{shown} is {version}, too old")),
        None => Err(format!("{shown} does not say which version it is")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_port_is_kept_unless_it_is_taken() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let taken_port = taken.local_addr().unwrap().port();
        assert_ne!(port(Some(&url(taken_port))).unwrap(), taken_port);
        assert!(listens(taken_port));
        drop(taken);
        assert_eq!(port(Some(&url(taken_port))).unwrap(), taken_port);
        assert_ne!(port(Some("nats://elsewhere:4222")).unwrap(), 4222);
    }
}
