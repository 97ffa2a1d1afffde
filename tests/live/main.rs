//! The whole, from outside: real servers, real processes, and the rules of the house.

#[cfg(test)]
mod arrows;
#[cfg(test)]
mod house;
