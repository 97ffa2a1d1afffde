use super::*;
use crate::{
    descriptor::tests::shop,
    validate::{self, Validate},
};

async fn render_it(service: Value) -> Result<Measured<Outputs>, Failure> {
    let inputs = serde_json::from_value(serde_json::json!({ "service": service })).unwrap();
    Render.perform(&Context::detached("shop"), inputs).await
}

#[tokio::test]
async fn what_is_rendered_is_the_same_again_and_passes_the_strict_reading() {
    let done = render_it(shop()).await.unwrap();
    assert!(done.checks.iter().all(|c| c.pass), "{:?}", done.checks);
    let names: Vec<_> = done.outputs.files.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["compose.yaml", "kubernetes.yaml", "haproxy.cfg"]);
    assert_eq!(done.artefacts.len(), 3);
    let again = render_it(shop()).await.unwrap();
    assert_eq!(again.outputs.files, done.outputs.files);

    let mut files = done.outputs.files;
    if !validate::haproxy_is_there() {
        eprintln!(
            "SKIPPED: its configuration is read by haproxy (Debian: apt-get install haproxy)"
        );
        files.retain(|file| file.kind != Kind::Haproxy);
    }
    let cx = Context::detached("shop");
    let read = Validate.perform(&cx, validate::Inputs { files }).await.unwrap();
    assert_eq!(read.outputs.findings, []);
}

#[tokio::test]
async fn values_stay_in_their_place_and_secrets_are_references() {
    let done = render_it(shop()).await.unwrap();
    let document = |index: usize, place: &str| -> String {
        let text = &done.outputs.files[index].text;
        let first = text.split("---\n").next().unwrap();
        let value: Value = serde_yaml_ng::from_str(first).unwrap();
        value.pointer(place).unwrap().as_str().unwrap().to_owned()
    };
    let compose = "/services/shop/environment";
    assert_eq!(document(0, &format!("{compose}/GREETING")), "50 % \"off\": $$HOME\n#x");
    let asked = "${DATABASE_URL:?secret shop-db key url}";
    assert_eq!(document(0, &format!("{compose}/DATABASE_URL")), asked);
    let env = "/spec/template/spec/containers/0/env";
    assert_eq!(document(1, &format!("{env}/0/value")), "50 % \"off\": $HOME\n#x");
    assert_eq!(document(1, &format!("{env}/2/valueFrom/secretKeyRef/name")), "shop-db");
}

#[tokio::test]
async fn what_must_not_be_rendered_is_refused_and_only_what_was_asked_for_is_there() {
    let mut latest = shop();
    latest["image"] = "shop:latest".into();
    let failure = render_it(latest).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::InvalidInput);
    let mut misspelt = shop();
    misspelt["helth"] = "/healthz".into();
    assert!(serde_json::from_value::<Descriptor>(misspelt).is_err());

    let inputs = serde_json::json!({ "service": shop(), "kinds": ["haproxy"] });
    let inputs = serde_json::from_value(inputs).unwrap();
    let done = Render.perform(&Context::detached("shop"), inputs).await.unwrap();
    assert_eq!(done.outputs.files.len(), 1);
}
