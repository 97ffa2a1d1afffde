//! Why a request is not done, in the words of Stripe's errors.

use serde_json::{Value, json};

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    kind: &'static str,
    code: &'static str,
    message: String,
    param: String,
    /// What a declined card tells besides; null for everything else.
    declined: Box<Value>,
}

impl Refusal {
    fn new(status: u16, kind: &'static str, code: &'static str, message: String) -> Self {
        Self { status, kind, code, message, param: String::new(), declined: Box::default() }
    }

    fn of(mut self, param: &str) -> Self {
        param.clone_into(&mut self.param);
        self
    }

    /// A parameter that is not as it must be.
    pub(crate) fn invalid(param: &str, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", "parameter_invalid", message.into()).of(param)
    }

    /// A parameter that must be there.
    pub(crate) fn missing(param: &str) -> Self {
        let message = format!("Missing required param: {param}.");
        Self::new(400, "invalid_request_error", "parameter_missing", message).of(param)
    }

    /// A parameter that nobody reads.
    pub(crate) fn unknown(param: &str) -> Self {
        let message = format!("Received unknown parameter: {param}");
        Self::new(400, "invalid_request_error", "parameter_unknown", message).of(param)
    }

    /// An object that is not there.
    pub(crate) fn no_such(status: u16, object: &str, id: &str, param: &str) -> Self {
        let message = format!("No such {object}: '{id}'");
        Self::new(status, "invalid_request_error", "resource_missing", message).of(param)
    }

    /// A name that another object has.
    pub(crate) fn exists(param: &str, message: String) -> Self {
        Self::new(400, "invalid_request_error", "resource_already_exists", message).of(param)
    }

    /// Not in this state.
    pub(crate) fn state(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_request_error", code, message.into())
    }

    /// The bank of a card says no. The intent stays, and tells the same.
    pub(crate) fn declined(code: &'static str, reason: &str, message: &str) -> Self {
        let declined = Box::new(json!({"decline_code": reason}));
        Self { declined, ..Self::new(402, "card_error", code, message.to_owned()) }
    }

    /// The same with the intent whose card it was.
    pub(crate) fn with_intent(mut self, intent: Value) -> Self {
        self.declined["payment_intent"] = intent;
        self
    }

    /// A path or a method that does not exist: prices, for one, cannot be deleted.
    pub(crate) fn unrecognized(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self::new(404, "invalid_request_error", "", message)
    }

    /// No key, or none of the shape of a key. Never repeats it.
    pub(crate) fn unauthorized() -> Self {
        let message = "You did not provide a valid API key.".to_owned();
        Self::new(401, "invalid_request_error", "", message)
    }

    /// One key of idempotency for two different requests.
    pub(crate) fn other_parameters(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were \
             first used with. Try using a key other than '{key}'."
        );
        Self::new(400, "idempotency_error", "", message)
    }

    /// On demand.
    pub(crate) fn too_many() -> Self {
        let message = "Too many requests".to_owned();
        Self::new(429, "invalid_request_error", "rate_limit", message)
    }

    /// On demand.
    pub(crate) fn broken() -> Self {
        let message = "Sorry, we are having trouble. (on demand)".to_owned();
        Self::new(500, "api_error", "", message)
    }

    /// `{"error": {…}}`
    pub(crate) fn body(&self) -> Value {
        let mut error = json!({"type": self.kind, "message": self.message});
        for (name, value) in [("code", self.code), ("param", &self.param)] {
            if !value.is_empty() {
                error[name] = value.into();
            }
        }
        if let (Value::Object(error), Value::Object(declined)) = (&mut error, &*self.declined) {
            error.extend(declined.clone());
        }
        json!({"error": error})
    }
}
