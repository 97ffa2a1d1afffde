//! How long an analysis of fifty kinds of request takes: where each kind is settled by proof, and
//! where none is and every one has to be asked in every world.
//!
//! `cargo bench -p deadelus-auth`. The aim is a second for fifty kinds. Time is that of the clock;
//! the best of some rounds, so that what else runs on the machine counts as little as possible.

#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

use std::time::{Duration, Instant};

use anyhow::Context as _;
use deadelus_auth::PolicyAnalyze;
use deadelus_runtime::{Context, ReadCapability as _};
use serde_json::json;

/// Kinds of things, each with as many actions.
const TYPES: usize = 5;
/// On each kind of thing.
const ACTIONS: usize = 10;
/// The best of so many rounds.
const ROUNDS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    println!("kinds  settled        ms");
    for (old, new) in
        [("context.amount < 10", "context.amount < 10"), ("true", "context.amount < 10")]
    {
        let mut best = Duration::MAX;
        let mut told = String::new();
        for _ in 0..ROUNDS {
            let (kinds, settled, took) = analysed(old, new).await?;
            best = best.min(took);
            told = format!("{kinds:5}  {settled:7}");
        }
        println!("{told}  {:8.1}", best.as_secs_f64() * 1e3);
    }
    Ok(())
}

/// Policies that ask for this, against policies that ask for that.
async fn analysed(old: &str, new: &str) -> anyhow::Result<(u64, u64, Duration)> {
    let analyze = PolicyAnalyze::in_folder(std::env::temp_dir())?;
    let inputs = json!({"old": {"inline": policies(old)}, "new": {"inline": policies(new)},
        "schema": {"inline": schema()}});
    let inputs = serde_json::from_value(inputs)?;
    let begun = Instant::now();
    let measured = analyze.perform(&Context::detached("shop"), inputs).await;
    let took = begun.elapsed();
    let outputs = json!(measured.map_err(|failure| anyhow::anyhow!("{failure:?}"))?.outputs);
    let number = |name: &str| outputs[name].as_u64().with_context(|| format!("{name}: {outputs}"));
    Ok((number("kinds")?, number("proved")?, took))
}

fn schema() -> String {
    let mut text = "entity Role; entity User in [Role] { name: String, age: Long };\n".to_owned();
    for thing in 0..TYPES {
        text += &format!("entity Thing{thing} {{ owner: User, state: String, price: Long }};\n");
        for action in 0..ACTIONS {
            text += &format!(
                "action act{thing}_{action} appliesTo {{ principal: User, resource: Thing{thing}, \
                 context: {{ amount: Long, reason?: String }} }};\n"
            );
        }
    }
    text
}

/// For each kind of thing its owner, a role with a condition, and a ban.
fn policies(condition: &str) -> String {
    let mut text = String::new();
    for thing in 0..TYPES {
        text += &format!(
            "permit(principal, action, resource is Thing{thing})
             when {{ resource.owner == principal && {condition} }};
             permit(principal in Role::\"staff\", action, resource is Thing{thing})
             when {{ resource.state == \"paid\" && resource.price > {thing}00 && {condition} }};
             forbid(principal, action, resource is Thing{thing})
             when {{ resource.state == \"closed\" || principal.age < 18 }};\n"
        );
    }
    text
}
