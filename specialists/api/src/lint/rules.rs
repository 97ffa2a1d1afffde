//! The rules, by Spectral's names and levels (its `oas` ruleset, 6.x).

use super::{
    Severity::{self, Error, Warning},
    document, everywhere, operations,
};
use crate::document::Document;

/// Where something was found, as a JSON pointer, and what.
pub(super) type Found = Vec<(String, String)>;

/// One rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    /// Whether it counts without being asked for.
    pub(super) recommended: bool,
    pub(super) look: fn(&Document) -> Found,
}

const fn rule(name: &'static str, severity: Severity, look: fn(&Document) -> Found) -> Rule {
    Rule { name, severity, recommended: true, look }
}

const fn extra(name: &'static str, look: fn(&Document) -> Found) -> Rule {
    Rule { name, severity: Warning, recommended: false, look }
}

/// All of them.
pub(super) const RULES: &[Rule] = &[
    rule("array-items", Error, everywhere::array_items),
    extra("contact-properties", document::contact_properties),
    rule("duplicated-entry-in-enum", Warning, everywhere::duplicated_entry_in_enum),
    rule("info-contact", Warning, document::info_contact),
    rule("info-description", Warning, document::info_description),
    extra("info-license", document::info_license),
    extra("license-url", document::license_url),
    rule("no-$ref-siblings", Error, everywhere::no_ref_siblings),
    rule("no-eval-in-markdown", Warning, everywhere::no_eval_in_markdown),
    rule("no-script-tags-in-markdown", Warning, everywhere::no_script_tags_in_markdown),
    rule("oas3-api-servers", Warning, document::api_servers),
    rule("oas3-operation-security-defined", Warning, operations::security_defined),
    extra("oas3-parameter-description", operations::parameter_description),
    rule("oas3-schema", Error, document::schema),
    extra("oas3-server-not-example.com", document::server_not_example),
    rule("oas3-server-trailing-slash", Warning, document::server_trailing_slash),
    rule("oas3-unused-component", Warning, document::unused_component),
    extra("openapi-tags", document::tags),
    extra("openapi-tags-alphabetical", document::tags_alphabetical),
    rule("openapi-tags-uniqueness", Error, document::tags_uniqueness),
    rule("operation-description", Warning, operations::description),
    rule("operation-operationId", Warning, operations::operation_id),
    rule("operation-operationId-unique", Error, operations::operation_id_unique),
    rule("operation-operationId-valid-in-url", Warning, operations::operation_id_valid_in_url),
    rule("operation-parameters", Warning, operations::parameters),
    extra("operation-singular-tag", operations::singular_tag),
    rule("operation-success-response", Warning, operations::success_response),
    rule("operation-tag-defined", Warning, operations::tag_defined),
    rule("operation-tags", Warning, operations::tags),
    rule("path-declarations-must-exist", Warning, operations::path_declarations),
    rule("path-keys-no-trailing-slash", Warning, operations::path_no_trailing_slash),
    rule("path-not-include-query", Warning, operations::path_not_include_query),
    rule("path-params", Error, operations::path_params),
    extra("tag-description", document::tag_description),
    rule("typed-enum", Warning, everywhere::typed_enum),
];
