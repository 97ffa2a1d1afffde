//! `deadelus nats-config`: a key for each role, and what the server and the processes are told of it.
//!
//! What is written is decided in [`text`]; [`files`] writes it. A key is made once and never replaced
//! unasked: running it again after an upgrade brings the permissions up to date and nothing else.

mod files;
mod text;

use std::{collections::BTreeMap, path::Path};

use deadelus_mesh::config::NatsConfig;
use deadelus_proto::{Role, Subjects};
use serde::Serialize;

use crate::{
    args::{self, Place},
    error::CliError,
    exit::Exit,
    table::table,
    term::{self, Tone},
};
use files::{Kept, Key};
use text::{Mesh, Tls};

/// The server's part, to be included by its configuration or to be all of it.
const SERVER_FILE: &str = "nats.conf";

/// As `-o json` shows it.
#[derive(Serialize)]
struct Made {
    server: String,
    roles: Vec<MadeRole>,
}

#[derive(Serialize)]
struct MadeRole {
    role: String,
    public_key: String,
    key: Kept,
    config: String,
    config_file: Kept,
}

pub(crate) fn run(place: &Place, args: &args::NatsConfig) -> Result<Exit, CliError> {
    let rotated = rotated(&args.rotate)?;
    let subjects = Subjects::new(&args.prefix).map_err(|e| CliError::Usage(e.to_string()))?;
    let folder = files::folder(&args.folder)?;
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(cert), Some(key)) => {
            let ca = args.tls_ca.as_deref().map(files::readable).transpose()?;
            Some(Tls { cert: files::readable(cert)?, key: files::readable(key)?, ca })
        }
        (Some(_), None) | (None, Some(_)) | (None, None) => None,
    };
    let url = place.nats_url.clone().unwrap_or_else(|| NatsConfig::default().url);
    let mesh = Mesh { url: text::address(&url, tls.is_some()), subjects, tls };
    let (mut keys, mut roles) = (BTreeMap::new(), vec![]);
    for role in Role::all() {
        let seed_file = folder.join(format!("{role}.nk"));
        let Key { public, kept } = files::key(&seed_file, rotated.contains(&role))?;
        let config = folder.join(format!("{role}.toml"));
        let config_file = files::once(&config, &text::process(&role, &mesh, &seed_file))?;
        roles.push(MadeRole {
            role: role.to_string(),
            public_key: public.clone(),
            key: kept,
            config: config.display().to_string(),
            config_file,
        });
        keys.insert(role, public);
    }
    let server = folder.join(SERVER_FILE);
    files::replace(&server, &text::server(&keys, &mesh))?;
    tell(&Made { server: server.display().to_string(), roles }, args.output, &folder)?;
    Ok(Exit::Done)
}

fn rotated(names: &[String]) -> Result<Vec<Role>, CliError> {
    let known = Role::all();
    let find = |name: &String| {
        let found = known.iter().find(|role| role.to_string() == *name).cloned();
        found.ok_or_else(|| {
            let all = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            CliError::Usage(format!("--rotate {name}: there are {all}"))
        })
    };
    names.iter().map(find).collect()
}

fn tell(made: &Made, output: args::Output, folder: &Path) -> Result<(), CliError> {
    if output.is_json() {
        return term::say_json(made);
    }
    let rows = made.roles.iter().map(|role| {
        let (tone, key) = match role.key {
            Kept::New => (Tone::Good, "new key"),
            Kept::AsItWas => (Tone::Plain, "its key is kept"),
            Kept::Replaced => (Tone::Warn, "new key in place of the old"),
        };
        let config = match role.config_file {
            Kept::New | Kept::Replaced => role.config.clone(),
            Kept::AsItWas => format!("{} (kept as it was)", role.config),
        };
        vec![(Tone::Strong, role.role.clone()), (tone, key.to_owned()), (Tone::Plain, config)]
    });
    term::say(&table(term::stdout(), &["role", "key", "configuration"], rows.collect()))?;
    let folder = folder.display();
    term::say_line(&format!(
        "\nNext: nats-server --jetstream --config {}, or include it in the server's own;\n\
         start each process with its file: deadelus-orchestrator --config {folder}/orchestrator.toml\n\
         (a specialist's targets go into its file), and yourself: deadelus --config \
         {folder}/operator.toml list",
        made.server
    ))
}
