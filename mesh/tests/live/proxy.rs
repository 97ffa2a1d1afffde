//! A wire between client and server that can lose what the server says.

use std::sync::Arc;

use deadelus_tests::nats::NatsServer;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Wire {
    Whole,
    /// What the server says is lost.
    Deaf,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    wire: Arc<watch::Sender<Wire>>,
}

impl Proxy {
    pub(crate) async fn before(server: &NatsServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("nats://{}", listener.local_addr().unwrap());
        let address = server.url.trim_start_matches("nats://").to_owned();
        let wire = Arc::new(watch::Sender::new(Wire::Whole));
        let wires = Arc::clone(&wire);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&address).await.unwrap();
                tokio::spawn(join(client, server, wires.subscribe()));
            }
        });
        Self { url, wire }
    }

    /// From now on nothing that the server says arrives.
    pub(crate) fn swallow_answers(&self) {
        self.wire.send_replace(Wire::Deaf);
    }

    /// Closes the deaf connections; new ones are whole.
    pub(crate) fn cut(&self) {
        self.wire.send_replace(Wire::Whole);
    }
}

async fn join(client: TcpStream, server: TcpStream, wire: watch::Receiver<Wire>) {
    let (mut client_reads, client_writes) = client.into_split();
    let (server_reads, mut server_writes) = server.into_split();
    tokio::select! {
        _ = copy(&mut client_reads, &mut server_writes) => {}
        () = answers(server_reads, client_writes, wire) => {}
    }
}

/// Ends when the wire is cut.
async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut wire: watch::Receiver<Wire>) {
    let mut bytes = vec![0; 64 * 1024];
    let mut deaf = false;
    loop {
        tokio::select! {
            biased;
            changed = wire.changed() => {
                if changed.is_err() || deaf {
                    return;
                }
                deaf = *wire.borrow() == Wire::Deaf;
            }
            read = from.read(&mut bytes) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) if deaf => {}
                Ok(count) => to.write_all(&bytes[..count]).await.unwrap(),
            },
        }
    }
}
