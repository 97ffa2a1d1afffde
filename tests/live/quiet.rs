//! Who measures wants quiet: tests that measure run alone, the others among themselves.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static FLOOR: RwLock<()> = RwLock::const_new(());

/// Until the guard is dropped no other test of these runs.
pub(crate) async fn alone() -> RwLockWriteGuard<'static, ()> {
    FLOOR.write().await
}

/// Others may run, but nobody measures.
pub(crate) async fn among_others() -> RwLockReadGuard<'static, ()> {
    FLOOR.read().await
}
