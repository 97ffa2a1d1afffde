//! A request as a scene: a world of its own, the plan that its words give, and what of it must be as
//! before when all is taken back. What the golden workflows and the fault matrix share.

use deadelus_proto::{
    WorkflowId,
    pb::{self, plan_answer::Result as Planned},
};
use deadelus_tests::fleet::Fleet;

use crate::{person::Person, shop::Engine};

/// A request whose plan is taken.
pub(crate) trait Scene: Sized {
    /// What must be the same again.
    type State: PartialEq + std::fmt::Debug;
    /// Of the table that is kept: `target/fault-matrix-<name>.md`.
    const NAME: &'static str;

    /// A world for one test; `None`, loudly, where its database cannot be had.
    async fn open(test: &str, engine: Engine) -> Option<Self>;
    /// The mesh that works in it.
    fn fleet(&self) -> Fleet;
    async fn state(&self) -> Self::State;
    /// The plan that the request's words give.
    async fn proposal(&self, ada: &Person) -> pb::PlanProposal;
    /// What the plan itself asks a person before its end: nothing, as a rule.
    async fn agree(_: &Person, _: &WorkflowId) {}
    /// Whether a way back may leave this behind, as was said before.
    fn is_declared(residue: &str) -> bool;
}

/// What nobody can guess is asked for by its name.
pub(crate) async fn assert_is_asked_for(ada: &Person, words: &str, param: &str) {
    let Planned::NoPlan(no) = ada.ask(words, &[]).await else { panic!("{param} was guessed") };
    assert!(no.problems[0].contains(&format!("param {param}")), "{no:?}");
}

/// What the words give, which is a plan from this blueprint.
pub(crate) async fn proposed(
    ada: &Person,
    blueprint: &str,
    words: &str,
    params: &[(&str, &str)],
) -> pb::PlanProposal {
    let proposal = match ada.ask(words, params).await {
        Planned::Proposal(proposal) => proposal,
        other => panic!("{other:?}"),
    };
    assert_eq!(proposal.blueprint, blueprint, "{}", proposal.because);
    proposal
}

/// Submits what was proposed and approves it, and nothing else.
pub(crate) async fn begun(ada: &Person, id: &str, proposal: &pb::PlanProposal) -> WorkflowId {
    let id = id.parse().unwrap();
    let json = std::str::from_utf8(&proposal.plan_json).unwrap();
    let digest = &proposal.plan_digest;
    assert_eq!(ada.submit(&id, json, digest).await, Vec::<String>::new());
    assert_ne!(ada.approve(&id, &"0".repeat(64)).await, Vec::<String>::new(), "another plan");
    assert_eq!(ada.approve(&id, digest).await, Vec::<String>::new());
    id
}
