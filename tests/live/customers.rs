//! People who are in the shop while something else happens to it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::provider::get;

/// Somebody who looks at the products and at an order, again and again.
pub(crate) struct Customers {
    closed: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Customers {
    pub(crate) fn come(port: u16) -> Self {
        let (closed, served, refused) =
            <(Arc<AtomicBool>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
        let (is_closed, good, bad) = (closed.clone(), served.clone(), refused.clone());
        let thread = thread::spawn(move || {
            while !is_closed.load(Ordering::Relaxed) {
                for path in ["/products", "/checkout/1"] {
                    let well = matches!(get(port, path), Some((200, _)));
                    (if well { &good } else { &bad }).fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        Self { closed, served, refused, thread }
    }

    /// How many requests were served, and how many were not.
    pub(crate) fn leave(self) -> (u64, u64) {
        self.closed.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        (self.served.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}
