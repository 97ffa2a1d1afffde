//! `deadelus artefact`: the bytes behind a digest, checked against it.

use std::io::Write;

use deadelus_mesh::objects;
use deadelus_proto::Artefact;

use crate::{
    args::{self, Place},
    client::Client,
    error::CliError,
    exit::Exit,
};

pub(crate) async fn run(place: &Place, args: &args::Artefact) -> Result<Exit, CliError> {
    let sha256 = args.sha256.parse().map_err(|e| CliError::Usage(format!("{e}")))?;
    let client = Client::connect(place).await?;
    let (media_type, name) = (String::new(), "as asked".to_owned());
    let artefact = Artefact { sha256, media_type, size_bytes: 0, name };
    let bytes = objects::get(&client.mesh, &artefact).await?;
    let mut out = std::io::stdout().lock();
    out.write_all(&bytes).and_then(|()| out.flush()).map_err(CliError::Output)?;
    Ok(Exit::Done)
}
