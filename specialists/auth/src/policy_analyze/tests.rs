use std::{fs, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::{
    target,
    testing::{Desk, POLICIES, SCHEMA, entities},
};

const STAFF: &str = r#"
    entity User { role: String };
    entity Order { status: String, owner: User };
    action refund, read appliesTo { principal: User, resource: Order, context: { amount: Long } };
"#;

async fn run(targets: Targets, inputs: Value) -> Result<Measured<Outputs>, Failure> {
    let inputs = serde_json::from_value(inputs).unwrap();
    PolicyAnalyze(targets).perform(&Context::detached("shop"), inputs).await
}

async fn staff(old: &str, new: &str) -> Measured<Outputs> {
    let inputs =
        json!({"old": {"inline": old}, "new": {"inline": new}, "schema": {"inline": STAFF}});
    run(Desk::new().targets(), inputs).await.unwrap()
}

fn failed(measured: &Measured<Outputs>) -> Vec<&str> {
    measured.checks.iter().filter(|c| !c.pass).map(|c| &c.id[..]).collect()
}

fn refund(condition: &str) -> String {
    format!(r#"permit(principal, action == Action::"refund", resource) when {{ {condition} }};"#)
}

#[tokio::test]
async fn what_is_wider_is_shown_with_a_request_that_proves_it() {
    for (old, new) in [
        (r#"principal.role == "support""#, r#"principal.role like "sup*""#),
        ("context.amount <= 100", "context.amount < 102"),
        (
            r#"resource.status == "paid" && principal == resource.owner"#,
            r#"resource.status == "paid""#,
        ),
        ("false", r#"principal.role == "boss" && context.amount > 40 && context.amount < 42"#),
    ] {
        let measured = staff(&refund(old), &refund(new)).await;
        assert_eq!(failed(&measured), ["unlisted_widening"], "{new}: {:?}", measured.checks);
        let wider = &measured.outputs.wider[0];
        assert_eq!(wider.kind, "User, Action::\"refund\", Order");
        // The other way round it is not found, and not proved either.
        let measured = staff(&refund(new), &refund(old)).await;
        assert!(failed(&measured).is_empty(), "{:?}", measured.checks);
        // A policy that can never apply cannot allow anything.
        let proved = if old == "false" { 2 } else { 1 };
        assert_eq!((measured.outputs.kinds, measured.outputs.proved), (2, proved));
        assert_eq!(measured.checks[2].note.starts_with("bounded"), proved == 1);
    }
}

#[tokio::test]
async fn fewer_permits_and_more_bans_are_proved_to_be_no_wider() {
    let both = format!("{} {}", refund("context.amount < 5"), refund("context.amount < 9"));
    let banned =
        format!("{both} forbid(principal, action, resource) when {{ context.amount == 3 }};");
    let renamed = format!(
        "// the same\n@id(\"a\") {} @id(\"b\") {}",
        refund("context.amount < 9"),
        refund("context.amount < 5")
    );
    for (old, new) in [
        (&both, &both),
        (&both, &renamed),
        (&both, &refund("context.amount < 5")),
        (&both, &banned),
        (&refund("true"), &String::new()),
    ] {
        let inputs = json!({"old": {"inline": old}, "new": {"inline": new},
            "schema": {"inline": STAFF}, "require_proof": true});
        let measured = run(Desk::new().targets(), inputs).await.unwrap();
        assert!(failed(&measured).is_empty(), "{:?}", measured.checks);
    }
    let measured = staff(&banned, &both).await;
    assert_eq!(failed(&measured), ["unlisted_widening"]);
}

#[tokio::test]
async fn where_everything_was_allowed_nothing_can_be_newly_allowed_and_a_ban_ends_that() {
    let run = async |old: &str| {
        let new = refund("principal.role like \"sup*\" && context.amount < 7");
        let inputs = json!({"old": {"inline": old}, "new": {"inline": new},
            "schema": {"inline": STAFF}, "require_proof": true});
        run(Desk::new().targets(), inputs).await.unwrap()
    };
    let open = "permit(principal, action, resource);";
    assert!(failed(&run(open).await).is_empty());
    for less in [
        format!("{open} forbid(principal, action, resource) when {{ context.amount == 3 }};"),
        r#"permit(principal, action, resource) when { context.amount > 6 };"#.to_owned(),
        r#"permit(principal == User::"ann", action, resource);"#.to_owned(),
    ] {
        let failed = failed(&run(&less).await).concat();
        assert!(failed.contains("widening") || failed.contains("proved"), "{less}: {failed}");
    }
}

#[tokio::test]
async fn what_the_plan_lists_may_be_wider_and_nothing_else() {
    let mut inputs = json!({"old": {"inline": ""}, "new": {"inline": refund("context.amount < 5")},
        "schema": {"inline": STAFF}, "widening": ["Action::\"refund\""]});
    let measured = run(Desk::new().targets(), inputs.clone()).await.unwrap();
    assert!(failed(&measured).is_empty() && measured.outputs.wider[0].listed);
    inputs["widening"] = json!(["Action::\"read\""]);
    let measured = run(Desk::new().targets(), inputs).await.unwrap();
    assert_eq!(failed(&measured), ["unlisted_widening"]);
}

#[tokio::test]
async fn what_is_not_proved_fails_where_proof_is_required() {
    let (old, new) = (
        "context.amount < 5 && principal.role == \"a\"",
        "principal.role == \"a\" && context.amount < 5",
    );
    let inputs = json!({"old": {"inline": refund(old)}, "new": {"inline": refund(new)},
        "schema": {"inline": STAFF}, "require_proof": true});
    let measured = run(Desk::new().targets(), inputs).await.unwrap();
    assert_eq!(failed(&measured), ["proved"]);
}

#[tokio::test]
async fn without_old_policies_those_that_are_published_count() {
    let desk = Desk::new();
    let inputs = || json!({"new": {"inline": POLICIES}, "schema": {"inline": SCHEMA}, "entities": {"inline": entities()}});
    let measured = run(desk.targets(), inputs()).await.unwrap();
    assert_eq!(
        (failed(&measured), &measured.outputs.old_sha256[..]),
        (vec!["unlisted_widening"], "nothing")
    );
    desk.write("served.cedar", POLICIES);
    let measured = run(desk.targets(), inputs()).await.unwrap();
    assert!(failed(&measured).is_empty());
    assert_eq!(measured.outputs.old_sha256, measured.outputs.new_sha256);
    assert_eq!(measured.outputs.proved, measured.outputs.kinds);
}

#[tokio::test]
async fn every_type_of_a_schema_can_be_made() {
    let schema = r#"
        namespace Shop {
            type Money = { amount: Long, currency: String };
            entity Color enum ["red", "green"];
            entity Group in [Group];
            entity Team in [Club]; entity Club in [Team];
            entity User in [Group, Team] { address: ipaddr, limit: decimal, since: datetime, tags: Set<String>, color: Color };
            entity Order { price: Money, wait: duration, owner?: User };
            action pay appliesTo { principal: User, resource: Order, context: { paid: Money, by?: User } };
        }"#;
    let new = r#"permit(principal, action == Shop::Action::"pay", resource)
        when { principal.address.isInRange(ip("10.0.0.0/8")) && principal.limit.greaterThan(decimal("1.0"))
            && resource.price.currency == "EUR" && context.paid.amount >= 3 && principal in Shop::Group::"staff"
            && principal.color == Shop::Color::"red" };"#;
    let inputs =
        json!({"old": {"inline": ""}, "new": {"inline": new}, "schema": {"inline": schema}});
    let measured = run(Desk::new().targets(), inputs.clone()).await.unwrap();
    assert_eq!(measured.outputs.wider.len(), 1, "{:?}", measured.checks);
    assert!(measured.checks[1].pass);
    let json = cedar_policy::SchemaFragment::from_cedarschema_str(schema).unwrap().0;
    let mut as_json = inputs;
    as_json["schema"] = json!({ "inline": json.to_json_value().unwrap() });
    let again = run(Desk::new().targets(), as_json).await.unwrap();
    assert_eq!(again.outputs.wider.len(), 1);
}

/// The stores of cedar-examples: without any one permit nothing is wider, which is proved; without
/// any one ban something is, and most of it is found.
#[tokio::test]
async fn stores_of_cedar_examples_without_one_policy() {
    let Some(root) = deadelus_tests::oracles::oracle("cedar") else { return };
    let (mut permits, mut bans, mut found) = (0, 0, 0);
    for store in ["sales_orgs/static", "hotel_chains/static", "document_cloud", "github_example"] {
        let store = root.join(store);
        if !store.exists() {
            continue;
        }
        let text = fs::read_to_string(store.join("policies.cedar")).unwrap();
        let set: cedar_policy::PolicySet = text.parse().unwrap();
        for policy in set.policies() {
            let others = set.policies().filter(|other| other.id() != policy.id());
            let others: String = others.map(ToString::to_string).collect();
            let measured = store_run(&store, &text, &others).await;
            match policy.effect() {
                cedar_policy::Effect::Permit => {
                    permits += 1;
                    assert_eq!(measured.outputs.proved, measured.outputs.kinds);
                    assert!(failed(&measured).is_empty(), "{:?}", measured.checks);
                }
                cedar_policy::Effect::Forbid => {
                    bans += 1;
                    found += usize::from(!measured.outputs.wider.is_empty());
                    assert!(measured.checks[1].pass, "{:?}", measured.checks);
                }
            }
        }
    }
    println!(
        "cedar-examples: {permits} permits taken away, each proved to be no wider; {bans} bans taken away, {found} found"
    );
    assert!(permits > 0 && found * 2 > bans);
}

async fn store_run(store: &Path, old: &str, new: &str) -> Measured<Outputs> {
    let inputs = json!({"old": {"inline": old}, "new": {"inline": new}, "schema": {"file": "policies.cedarschema"}});
    let config = serde_json::from_value(json!({ "folder": store })).unwrap();
    let targets = target::checked([("shop".parse().unwrap(), config)].into()).unwrap();
    run(targets, inputs).await.unwrap()
}
