//! Cedar's policies, what they are about, and what they decide.

mod finding;
mod load;
mod request;

pub(crate) use self::{
    finding::{Finding, Findings, find},
    load::{Bundle, Sources, count},
    request::{Answer, Ask, Decision},
};
