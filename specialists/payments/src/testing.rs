//! What the tests of several capabilities share: a provider, and a target that knows it.

use deadelus_provider::{Fault, Provider, Trap};
use deadelus_runtime::Context;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::target::Targets;

/// Where every test looks for a key that got out.
pub(crate) const KEY: &str = "sk_test_hunter2";

/// A provider of its own for each test.
pub(crate) struct Shop {
    pub(crate) provider: Provider,
    /// Where it answers.
    pub(crate) url: String,
    pub(crate) targets: Targets,
    pub(crate) cx: Context,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with(json!({})).await
    }

    /// With more in the target's configuration.
    pub(crate) async fn with(more: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut target = json!({
            "base_url": url,
            "api_key": KEY,
        });
        let more = more.as_object().unwrap().clone();
        target.as_object_mut().unwrap().extend(more);
        let target = serde_json::from_value(target).unwrap();
        let provider = Provider::default();
        tokio::spawn(provider.clone().serve(listener));
        let targets = Targets::new([("shop".parse().unwrap(), target)].into()).unwrap();
        Self { provider, url, targets, cx: Context::detached("shop") }
    }

    /// The `skip`th request from now on that writes there goes wrong.
    pub(crate) fn trap(&self, fault: Fault, path: &str, skip: u32) {
        let (method, path) = ("POST".to_owned(), path.to_owned());
        self.provider.trap(Trap { fault, method, path, skip });
    }

    /// Asks the provider as somebody else would.
    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let form: Vec<_> = form.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.targets.open(&self.cx).unwrap().post(path, &form, None).await.unwrap()
    }
}
