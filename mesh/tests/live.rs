//! The fabric against a real nats-server that is killed and started again.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends")]

#[path = "live/append.rs"]
mod append;
#[path = "live/archive.rs"]
mod archive;
#[path = "live/cluster.rs"]
mod cluster;
#[path = "live/life.rs"]
mod life;
#[path = "live/lists.rs"]
mod lists;
#[path = "live/objects.rs"]
mod objects;
#[path = "live/proxy.rs"]
mod proxy;
#[path = "live/streams.rs"]
mod streams;

use deadelus_mesh::{Mesh, config::NatsConfig, connect};
use deadelus_tests::nats::NatsServer;

fn config(server: &NatsServer) -> NatsConfig {
    NatsConfig { url: server.url.clone(), ..NatsConfig::default() }
}

async fn joined(server: &NatsServer) -> Mesh {
    connect(&config(server), "mesh-test").await.unwrap()
}

/// A server with everything a mesh needs, and a connection to it.
async fn mesh() -> (NatsServer, Mesh) {
    let server = NatsServer::start();
    let mesh = joined(&server).await;
    deadelus_mesh::streams::ensure(&mesh, 1).await.unwrap();
    (server, mesh)
}
