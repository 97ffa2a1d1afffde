//! One watcher: a place in the log, moved on as fast as the socket takes it.

use std::{convert::Infallible, time::Duration};

use bytes::{Bytes, BytesMut};
use deadelus_mesh::life::Shutdown;
use futures_util::{Stream, stream::unfold};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::{
    hub::{Seat, Watched},
    ring::{Frame, Next},
};

/// A connection on which nothing is said for longer is cut by what stands between, or dead without
/// anybody knowing.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The first bytes, so that whoever watches knows at once that it does; and when to come back.
const GREETING: &[u8] = b"retry: 2000\n\n";

/// A comment, which is no event.
const STILL_HERE: &[u8] = b": still here\n\n";

/// Before a log that could not be read is read again.
const AGAIN_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Watcher {
    watched: Watched,
    newest: watch::Receiver<u64>,
    /// Everything up to here was sent.
    after: u64,
    greeted: bool,
    expires: Option<Instant>,
    shutdown: Shutdown,
    _seat: Seat,
}

/// Every decision after a place in the log, until the process stops or the token expires.
pub(crate) fn stream(
    watched: Watched,
    after: Option<u64>,
    seat: Seat,
    expires: Option<Instant>,
    shutdown: Shutdown,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static {
    let after = after.unwrap_or_else(|| watched.beginning());
    let newest = watched.feed().subscribe();
    let watcher =
        Watcher { watched, newest, after, greeted: false, expires, shutdown, _seat: seat };
    unfold(watcher, |mut watcher| async move {
        let bytes = watcher.next().await?;
        Some((Ok(bytes), watcher))
    })
}

impl Watcher {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(Bytes::from_static(GREETING));
        }
        while !self.is_over() {
            self.newest.borrow_and_update();
            match self.watched.feed().after(self.after) {
                Next::Frames(frames) => return Some(self.sent(&frames)),
                Next::Nothing => {}
                Next::Behind => match Box::pin(self.watched.page(self.after)).await {
                    Ok(page) => {
                        let bytes = self.sent(&page.frames);
                        self.after = self.after.max(page.through);
                        if !bytes.is_empty() {
                            return Some(bytes);
                        }
                        continue;
                    }
                    Err(error) => {
                        tracing::debug!(%error, "a watcher who is behind waits for the log");
                        sleep(AGAIN_PAUSE).await;
                        continue;
                    }
                },
            }
            tokio::select! {
                changed = self.newest.changed() => changed.ok()?,
                () = sleep(SILENCE_MAX) => return Some(Bytes::from_static(STILL_HERE)),
                () = self.shutdown.requested() => return None,
                () = expired(self.expires) => return None,
            }
        }
        None
    }

    fn is_over(&self) -> bool {
        let expired = self.expires.is_some_and(|expires| expires <= Instant::now());
        expired || self.shutdown.is_requested()
    }

    fn sent(&mut self, frames: &[Frame]) -> Bytes {
        if let Some(last) = frames.last() {
            self.after = self.after.max(last.sequence);
        }
        match frames {
            [one] => one.bytes.clone(),
            all => {
                let mut bytes = BytesMut::new();
                all.iter().for_each(|frame| bytes.extend_from_slice(&frame.bytes));
                bytes.freeze()
            }
        }
    }
}

async fn expired(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
