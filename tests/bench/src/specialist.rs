//! A specialist whose work costs nothing, so that what is measured is the mesh.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use deadelus_proto::TargetName;
use deadelus_runtime::{
    About, Check, Context, Effect, Failure, Idempotency, Measured, ReadCapability, Specialist,
    TargetCard,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nothing needs to be known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nowhere {}

/// Says what it is told.
struct Echo;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Said {
    say: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Heard {
    said: String,
}

impl ReadCapability for Echo {
    type Inputs = Said;
    type Outputs = Heard;

    fn about(&self) -> About {
        About {
            verb: "echo",
            role: "Benchmark",
            summary: "Says what it is told",
            effect: Effect::Pure,
            idempotency: Idempotency::Natural,
            checks: &[("same", "what is said is what was told")],
            undo: None,
            timeout: Duration::from_secs(60),
            locks: &[],
        }
    }

    async fn perform(&self, _: &Context, inputs: Said) -> Result<Measured<Heard>, Failure> {
        let told = inputs.say.len();
        let heard = Heard { said: inputs.say };
        let check = Check::equal("same", heard.said.len(), told);
        Ok(Measured::new(heard, vec![check]))
    }
}

fn build(targets: BTreeMap<TargetName, Nowhere>) -> anyhow::Result<Specialist> {
    let specialist = Specialist::new("bench", env!("CARGO_PKG_VERSION")).read(Echo);
    Ok(targets.into_keys().fold(specialist, |specialist, name| {
        specialist.target(TargetCard { name, facts: BTreeMap::new() })
    }))
}

fn main() -> ExitCode {
    deadelus_runtime::main("bench", build)
}
