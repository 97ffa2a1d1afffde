//! One request and what policies decide about it.

use std::fmt;

use cedar_policy::{Authorizer, Context, Request};
use deadelus_runtime::{Failure, invalid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Bundle, load::uid};

/// Who wants to do what, with what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// `User::"ann"`
    pub(crate) principal: String,
    /// `Action::"createOrder"`
    pub(crate) action: String,
    /// `Order::"1"`
    pub(crate) resource: String,
    /// As Cedar's JSON has it.
    #[serde(default)]
    pub(crate) context: Map<String, Value>,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decision {
    /// Some policy permits it and none forbids it.
    Allow,
    /// Everything else.
    Deny,
}

/// A decision and its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Answer {
    pub(crate) decision: Decision,
    /// The policies that decided, in order; none for a denial because nothing permits it.
    pub(crate) because: Vec<String>,
    /// Policies that could not be evaluated: to Cedar they are as if they were not there.
    pub(crate) errors: Vec<String>,
}

impl Bundle {
    /// What the policies decide.
    ///
    /// # Errors
    /// `invalid_input` for what is no request, and for one that does not fit the schema.
    pub(crate) fn decide(&self, ask: &Ask) -> Result<Answer, Failure> {
        let schema = self.schema.as_ref().filter(|_| self.strict);
        let (principal, action, resource) =
            (uid(&ask.principal)?, uid(&ask.action)?, uid(&ask.resource)?);
        let context = Value::Object(ask.context.clone());
        let context = Context::from_json_value(context, schema.map(|schema| (schema, &action)))
            .map_err(|e| invalid(format!("{ask}: context: {e}")))?;
        let request = Request::new(principal, action, resource, context, schema)
            .map_err(|e| invalid(format!("{ask}: {e}")))?;
        Ok(self.answer(&request))
    }

    /// The same for a request that was made already.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let response = Authorizer::new().is_authorized(request, &self.policies, &self.entities);
        let decision = match response.decision() {
            cedar_policy::Decision::Allow => Decision::Allow,
            cedar_policy::Decision::Deny => Decision::Deny,
        };
        let mut because: Vec<_> =
            response.diagnostics().reason().map(ToString::to_string).collect();
        let mut errors: Vec<_> = response.diagnostics().errors().map(ToString::to_string).collect();
        because.sort();
        errors.sort();
        Answer { decision, because, errors }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.principal, self.action, self.resource)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        })
    }
}
