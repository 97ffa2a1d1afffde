//! The life of a process: it works, it is asked to stop, it drains.
//!
//! The first SIGTERM or SIGINT means "finish what you hold"; the second means now.

use std::{io, sync::Arc};

use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// What a process killed by its second signal exits with: 128 + SIGINT, as shells count.
pub const EXIT_NOW_CODE: i32 = 130;

/// Threads that carry a process's messages: half the cores, because the server and the other
/// processes want the rest, and no more than this. Who needs more runs more replicas; what computes
/// for long does so on threads of its own.
const CARRIERS_MAX: usize = 4;

/// What a process of the mesh runs on.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(half_the_cores(CARRIERS_MAX)).enable_all().build()
}

/// Half the cores of this machine: at least one, at most `most`.
pub fn half_the_cores(most: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, most)
}

/// Whether this process was asked to stop. Clones share the answer.
#[derive(Debug, Clone)]
pub struct Shutdown {
    asked: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// A shutdown that only [`request`](Self::request) asks for.
    pub fn new() -> Self {
        Self { asked: Arc::new(watch::Sender::new(false)) }
    }

    /// A shutdown that SIGTERM or SIGINT asks for; the second signal exits with
    /// [`EXIT_NOW_CODE`]. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When the operating system takes no handler.
    pub fn on_signals() -> std::io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = Self::new();
        let asked = shutdown.clone();
        tokio::spawn(async move {
            either(&mut terminate, &mut interrupt).await;
            tracing::info!("asked to stop: draining; a second signal stops at once");
            asked.request();
            either(&mut terminate, &mut interrupt).await;
            tracing::warn!("second signal: stopping now");
            std::process::exit(EXIT_NOW_CODE);
        });
        Ok(shutdown)
    }

    /// Asks for it, as a signal would.
    pub fn request(&self) {
        self.asked.send_replace(true);
    }

    /// Whether it was asked for.
    pub fn is_requested(&self) -> bool {
        *self.asked.borrow()
    }

    /// Returns once it was asked for; at once if that has already happened.
    pub async fn requested(&self) {
        // The sender lives in `self`, so the channel cannot close under us.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_hears_it_early_or_late() {
        let shutdown = Shutdown::new();
        let early = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { shutdown.requested().await }
        });
        assert!(!shutdown.is_requested());
        shutdown.request();
        early.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
