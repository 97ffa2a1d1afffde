//! How to reach the mesh: by the flags, the configuration or the home folder, and as whom.

use std::time::Duration;

use deadelus_mesh::config::{self, Layers, NatsConfig};
pub(crate) use deadelus_view::client::{Client, Heard};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpStream, time::timeout};

use crate::{args::Place, error::CliError, home::Home};

/// A server that runs lets us in within milliseconds; over a slow link within this.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// How to reach the mesh: only the section of it that concerns us. The environment of a shell may
/// hold other processes' sections, so unknown ones are none of our business.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Config {
    nats: NatsConfig,
}

/// Connects to the mesh of the flags, the configuration or the home folder.
///
/// # Errors
/// [`CliError::NoServer`] when nothing listens there.
pub(crate) async fn connect(place: &Place) -> Result<Client, CliError> {
    let home = Home::at(&place.home)?;
    let config = configuration(place, &home)?;
    let url = config.url.clone();
    let nobody = || CliError::NoServer { url: url.clone() };
    if !listens(&url).await {
        return Err(nobody());
    }
    let connected = timeout(CONNECT_MAX, deadelus_mesh::connect(&config, "deadelus-cli"));
    let mesh = connected.await.map_err(|_| nobody())??;
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let number = || format!("uid {}", rustix::process::getuid().as_raw());
    Ok(Client { mesh, url, by: user.unwrap_or_else(number) })
}

/// The flag wins over the environment, that over the file, and that over what `up` has recorded.
fn configuration(place: &Place, home: &Home) -> Result<NatsConfig, CliError> {
    let own = home.config("cli");
    let file = place.config.clone().or_else(|| own.is_file().then_some(own));
    let overrides = place.nats_url.iter().map(|url| ("nats.url".to_owned(), url.clone()));
    let layers = Layers { process: "cli", file, overrides: overrides.collect() };
    let mut config: NatsConfig = config::load::<Config>(&layers)?.nats;
    let untouched = config.url == NatsConfig::default().url && config.context.is_empty();
    if untouched
        && place.nats_url.is_none()
        && let Some(url) = home.url()?
    {
        config.url = url;
    }
    Ok(config)
}

/// False when it is certain that nobody does: a plain address where the connection is refused.
async fn listens(url: &str) -> bool {
    let Some(address) = url.strip_prefix("nats://").filter(|a| !a.contains([',', '/', '@'])) else {
        return true;
    };
    let address =
        if address.contains(':') { address.to_owned() } else { format!("{address}:4222") };
    match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
        Ok(connected) => connected.is_ok(),
        Err(_) => false,
    }
}
