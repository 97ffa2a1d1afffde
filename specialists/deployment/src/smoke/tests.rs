use serde_json::{Value, json};

use super::*;
use crate::{release::fleet::serving_v1, testing::Service};

async fn smoke(targets: Targets, cases: Value) -> Result<Measured<Outputs>, Failure> {
    let inputs = serde_json::from_value(json!({ "cases": cases })).unwrap();
    Smoke(targets).perform(&Context::detached("shop"), inputs).await
}

#[tokio::test]
async fn answers_are_compared_with_what_was_expected() {
    let (bed, _) = serving_v1(1).await;
    let done = smoke(
        bed.targets.clone(),
        json!([
            {"path": "/", "contains": "v1"},
            {"path": "/", "contains": "v2"},
            {"path": "/healthz", "status": 204},
            {"path": "/?a=b", "headers": {"x-revision": "v1"}},
        ]),
    )
    .await
    .unwrap();
    let problems: Vec<_> = done.outputs.answers.iter().map(|a| a.problem.as_deref()).collect();
    assert_eq!(
        problems,
        [
            None,
            Some("\"v2\" is not in the body"),
            Some("status 200, wanted 204"),
            Some("x-revision is None, wanted \"v1\""),
        ]
    );
    assert!(!done.checks[0].pass && done.checks[0].measured == "3", "{:?}", done.checks);
}

#[tokio::test]
async fn no_answer_is_no_pass() {
    let mut service = Service::start().await;
    let case = json!([{"path": "/healthz", "contains": "v1"}]);
    assert!(smoke(service.targets(), case.clone()).await.unwrap().checks[0].pass);
    service.stop().await;
    let done = smoke(service.targets(), case).await.unwrap();
    assert_eq!((done.checks[0].pass, done.outputs.answers[0].status), (false, None));
}

#[tokio::test]
async fn nobody_else_is_asked() {
    let service = Service::start().await;
    let many = json!(vec![json!({"path": "/"}); 33]);
    for cases in [json!([]), many, json!([{"path": "@elsewhere/"}]), json!([{"path": "/ a"}])] {
        let failure = smoke(service.targets(), cases).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::InvalidInput, "{failure}");
    }
    assert_eq!(service.asked(), 0);
}
