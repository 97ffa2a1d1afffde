//! A mesh where each process has a credential of its own: the fleet works with what `deadelus
//! nats-config` makes and nothing it does is refused; and whoever steals one credential gets one
//! role's rights and no more.

mod good;
mod page;
mod rig;
mod stolen;
mod tls;
