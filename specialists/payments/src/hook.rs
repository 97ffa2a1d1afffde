//! The provider's events on their way to the service, signed as the provider signs them: with the
//! target's first secret of a webhook.

use std::time::{SystemTime, UNIX_EPOCH};

use deadelus_runtime::{Context, ErrorClass, Failure, Secret};
use serde_json::Value;

use crate::{
    service::{Service, Silence},
    signature,
    target::Targets,
};

/// Where a service hears of events.
#[derive(Debug, Clone)]
pub(crate) struct Hook {
    service: Service,
    path: String,
    secret: Secret,
}

impl Hook {
    /// Of the target's service.
    pub(crate) fn of(targets: &Targets, cx: &Context, path: &str) -> Result<Self, Failure> {
        let secret = targets.of(cx)?.webhook_secrets.first().cloned().ok_or_else(|| {
            let text = "no secret of a webhook is configured for this target";
            Failure::new(ErrorClass::Unsupported, text)
                .help("name it in `webhook_secrets`, in the payments specialist's configuration")
        })?;
        Ok(Self { service: targets.service(cx)?, path: path.to_owned(), secret })
    }

    /// Signed, and of now. The status of the answer.
    pub(crate) async fn deliver(&self, event: &Value) -> Result<u16, Silence> {
        let body = event.to_string();
        let header = signature::sign(&body, &self.secret, now_unix_s());
        Ok(self.service.deliver(&self.path, &header, &body).await?.status)
    }

    /// What must not be believed, each with why; the status of the answers.
    pub(crate) async fn forge(&self, event: &Value) -> Result<Vec<(&'static str, u16)>, Silence> {
        /// Twice the tolerance that clients of the provider have.
        const LONG_AGO_S: i64 = 600;
        let (body, now) = (event.to_string(), now_unix_s());
        let stranger = Secret::from(format!("{}x", self.secret.expose()));
        let mut tampered = event.clone();
        tampered["forged"] = true.into();
        let forged = [
            ("unsigned", body.clone(), String::new()),
            ("signed by somebody else", body.clone(), signature::sign(&body, &stranger, now)),
            ("of long ago", body.clone(), signature::sign(&body, &self.secret, now - LONG_AGO_S)),
            ("changed on the way", tampered.to_string(), signature::sign(&body, &self.secret, now)),
        ];
        let mut answered = vec![];
        for (why, body, header) in forged {
            answered.push((why, self.service.deliver(&self.path, &header, &body).await?.status));
        }
        Ok(answered)
    }
}

fn now_unix_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}
