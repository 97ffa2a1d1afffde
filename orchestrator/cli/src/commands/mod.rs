//! One file per command, or per few that are alike: what is asked of whom, and how it is shown.

pub(crate) mod answer;
pub(crate) mod artefact;
pub(crate) mod audit;
pub(crate) mod blueprints;
pub(crate) mod dead;
pub(crate) mod decide;
pub(crate) mod doctor;
pub(crate) mod down;
pub(crate) mod fork;
pub(crate) mod lint;
pub(crate) mod list;
pub(crate) mod nats_config;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod specialists;
pub(crate) mod token;
pub(crate) mod trace;
pub(crate) mod up;
pub(crate) mod watch;
pub(crate) mod why;
