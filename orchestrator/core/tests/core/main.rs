//! The core from outside: plans, behaviour, the log, and a world full of accidents.

#[cfg(test)]
mod behaviour;
#[cfg(test)]
mod chain;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fork;
#[cfg(test)]
mod gates;
#[cfg(test)]
mod going_back;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod people;
#[cfg(test)]
mod plans;
#[cfg(test)]
mod world;
