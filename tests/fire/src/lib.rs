//! A fleet under fire: real processes on a real cluster, while a seeded schedule kills and freezes
//! them, the leaders of the cluster, and the wires between.
//!
//! ```sh
//! cargo run -p deadelus-fire -- --workflows 2000 --minutes 10 --seed 7
//! ```
//!
//! Three servers hold three copies of everything. Two orchestrators and two replicas of a specialist
//! work; one of each is connected over wires that are made slow, narrow or cut. Workflows that do,
//! fail, are taken back and are cancelled go through it, and every effect is written into a [`book`]
//! that no accident touches. Afterwards the [`verdict`] compares the book with the logs: nothing lost,
//! nothing doubled, and what was taken back is gone. How long anything stood still is told.
//!
//! The same seed makes the same accidents at the same moments; what they meet differs from run to run,
//! because the processes are real.

pub mod accidents;
pub mod book;
pub mod fleet;
pub mod follow;
pub mod load;
pub mod plans;
pub mod round;
pub mod sink;
pub mod verdict;
