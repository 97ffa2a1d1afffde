//! A wire between a client and a server that can be made slow, narrow, or cut.

#![expect(clippy::expect_used, reason = "test support: a wire that cannot be laid ends the test")]

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    time::sleep,
};

/// What is carried at once: small enough that a narrow wire is narrow for everything.
const PIECE_MAX_BYTES: usize = 16 * 1024;

/// How a wire is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quality {
    /// Of every piece, on its way there or back.
    pub delay: Duration,
    /// Up to so much more, by chance.
    pub jitter: Duration,
    /// What passes in a second; none is as much as there is.
    pub bytes_per_second: Option<u64>,
}

impl Quality {
    /// As if there were none.
    pub const GOOD: Self =
        Self { delay: Duration::ZERO, jitter: Duration::ZERO, bytes_per_second: None };

    fn takes(&self, bytes: usize, chance: f64) -> Duration {
        let narrow = self.bytes_per_second.map_or(Duration::ZERO, |rate| {
            Duration::from_secs(1).mul_f64(bytes as f64 / rate.max(1) as f64)
        });
        self.delay + self.jitter.mul_f64(chance) + narrow
    }
}

/// A wire to one server. It lives as long as the runtime it was laid on.
#[derive(Debug, Clone)]
pub struct Wire {
    /// Where clients connect: `nats://127.0.0.1:<port>`.
    pub url: String,
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    quality: Quality,
    /// How often it was cut: connections of before end.
    cuts: u64,
}

impl Wire {
    /// To a server at `nats://127.0.0.1:<port>`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("nats://{}", listener.local_addr().expect("an address"));
        let server = server.trim_start_matches("nats://").to_owned();
        let state = Arc::new(watch::Sender::new(State { quality: Quality::GOOD, cuts: 0 }));
        let watched = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A server that is away refuses; so does its wire.
                if let Ok(server) = TcpStream::connect(&server).await {
                    tokio::spawn(join(client, server, watched.subscribe()));
                }
            }
        });
        Self { url, state }
    }

    /// From now on it is so.
    pub fn set(&self, quality: Quality) {
        self.state.send_modify(|state| state.quality = quality);
    }

    /// Ends every connection over it.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

async fn join(client: TcpStream, server: TcpStream, state: watch::Receiver<State>) {
    // Nagle would add a delay of its own.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let mut cut = state.clone();
    let cuts = cut.borrow_and_update().cuts;
    tokio::select! {
        () = carry(client_reads, server_writes, state.clone()) => {}
        () = carry(server_reads, client_writes, state) => {}
        _ = cut.wait_for(|state| state.cuts != cuts) => {}
    }
}

/// In order, each piece as late as the wire makes it.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, state: watch::Receiver<State>) {
    let mut bytes = vec![0; PIECE_MAX_BYTES];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let takes = state.borrow().quality.takes(count, fastrand::f64());
        if !takes.is_zero() {
            sleep(takes).await;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_in_comes_out_until_it_is_cut() {
        let echo = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let wire = Wire::to(&format!("nats://{}", echo.local_addr().expect("an address"))).await;
        tokio::spawn(async move {
            while let Ok((mut client, _)) = echo.accept().await {
                let (mut reads, mut writes) = client.split();
                let _ = tokio::io::copy(&mut reads, &mut writes).await;
            }
        });
        let narrow = Quality { bytes_per_second: Some(10_000_000), ..Quality::GOOD };
        for quality in [Quality::GOOD, narrow] {
            wire.set(quality);
            let address = wire.url.trim_start_matches("nats://");
            let mut stream = TcpStream::connect(address).await.expect("the wire");
            let sent: Vec<u8> = (0..100_000_u32).map(|n| n as u8).collect();
            let (mut reads, mut writes) = stream.split();
            let mut got = vec![0; sent.len()];
            let (wrote, read) = tokio::join!(writes.write_all(&sent), reads.read_exact(&mut got));
            assert!(wrote.is_ok() && read.is_ok() && got == sent);
            wire.cut();
            assert_eq!(stream.read(&mut got).await.unwrap_or(0), 0);
        }
    }

    #[test]
    fn how_long_a_piece_takes() {
        let quality = Quality {
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(4),
            bytes_per_second: Some(1_000),
        };
        assert_eq!(quality.takes(500, 0.5), Duration::from_millis(512));
        assert!(Quality::GOOD.takes(500, 1.0).is_zero());
    }
}
