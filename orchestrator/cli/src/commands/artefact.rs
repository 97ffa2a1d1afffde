//! `deadelus artefact`: the bytes behind a digest, checked against it.

use std::io::Write;

use deadelus_mesh::{objects, streams};
use deadelus_proto::{Artefact, Sha256};
use futures_util::{StreamExt, TryStreamExt};

use crate::{
    args::{self, Place},
    client::{self, Client},
    error::CliError,
    exit::Exit,
};

/// Fewer digits fit too many.
const PREFIX_MIN_CHARS: usize = 8;

pub(crate) async fn run(place: &Place, args: &args::Artefact) -> Result<Exit, CliError> {
    let client = client::connect(place).await?;
    let sha256 = match args.sha256.parse() {
        Ok(whole) => whole,
        Err(_) => find(&client, &args.sha256).await?,
    };
    let (media_type, name) = (String::new(), "as asked".to_owned());
    let artefact = Artefact { sha256, media_type, size_bytes: 0, name };
    let bytes = objects::get(&client.mesh, &artefact).await?;
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(CliError::Output)?;
    Ok(Exit::Done)
}

/// The only artefact whose digest begins so.
async fn find(client: &Client, prefix: &str) -> Result<Sha256, CliError> {
    let hexadecimal = prefix.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if prefix.len() < PREFIX_MIN_CHARS || !hexadecimal {
        let what = format!("{prefix:?}: give {PREFIX_MIN_CHARS} to 64 of 0-9 a-f");
        return Err(CliError::Usage(what));
    }
    let failed = "list the artefacts";
    let name = client.mesh.subjects.resource(streams::ARTEFACTS);
    let store = client.mesh.jetstream.get_object_store(&name).await;
    let names = store.map_err(CliError::nats(failed))?.list().await;
    let names = names.map_err(CliError::nats(failed))?.map_ok(|object| object.name);
    let fits = |name: &String| std::future::ready(name.starts_with(prefix));
    let found: Vec<String> =
        names.try_filter(fits).take(2).try_collect().await.map_err(CliError::nats(failed))?;
    match &found[..] {
        [only] => only.parse().map_err(CliError::nats(failed)),
        [] => Err(CliError::NoArtefact(prefix.to_owned())),
        [..] => Err(CliError::Usage(format!("several artefacts begin with {prefix}; give more"))),
    }
}
