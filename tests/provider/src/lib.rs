//! A provider of payments in the shape of Stripe's API: what a specialist and a shop talk to where
//! there is no network.
//!
//! It keeps state: what was created is found again, keys of idempotency are honoured as documented
//! (<https://docs.stripe.com/api/idempotent_requests>), test clocks bill subscriptions, events are
//! signed and delivered. Faults come when they are asked for and never by themselves. All of it is
//! in memory: a provider that ends forgets.
//!
//! Deciding is `world` and below, without a clock or a socket; [`Provider`] is the shell.
//! Money never moves; live keys are keys like any other.

mod calendar;
mod events;
mod fault;
mod form;
mod page;
mod params;
mod refusal;
mod resources;
mod serve;
mod world;

pub use self::{
    fault::{Fault, Trap},
    serve::Provider,
};
