//! Every change this differ knows: its id, its level, and whether it can be proved compatible.
//!
//! Ids and levels are those of `oasdiff` (Apache-2.0, its catalogue of checks at v1.28), so that
//! they can be looked up and waived by the same name. A level says what its maintainers found
//! reasonable to show. Whether callers break is a question of its own, and is answered by variance:
//! what narrows breaks a request, what widens breaks a response.

use super::change::Level;

/// What a change does to the set of values that a schema admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variance {
    /// Fewer values, or others no longer.
    Narrows,
    /// More values.
    Widens,
    /// Neither can be shown.
    Unproven,
    /// The set stays the same.
    Keeps,
}

/// Which way values travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From callers to the service.
    Request,
    /// From the service to callers.
    Response,
}

impl Variance {
    /// Whether callers may notice.
    pub(super) fn breaks(self, direction: Direction) -> bool {
        match (self, direction) {
            (Self::Keeps, _)
            | (Self::Narrows, Direction::Response)
            | (Self::Widens, Direction::Request) => false,
            (Self::Unproven, _)
            | (Self::Narrows, Direction::Request)
            | (Self::Widens, Direction::Response) => true,
        }
    }
}

/// Where a schema stands, as the ids have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    RequestBody,
    RequestProperty,
    ResponseBody,
    ResponseProperty,
    Parameter,
    ParameterProperty,
    ResponseHeader,
}

impl Place {
    /// The beginning of the ids.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::RequestBody => "request-body",
            Self::RequestProperty => "request-property",
            Self::ResponseBody => "response-body",
            Self::ResponseProperty => "response-property",
            Self::Parameter => "request-parameter",
            Self::ParameterProperty => "request-parameter-property",
            Self::ResponseHeader => "response-header",
        }
    }

    /// Which way its values travel.
    pub(super) fn direction(self) -> Direction {
        match self {
            Self::RequestBody
            | Self::RequestProperty
            | Self::Parameter
            | Self::ParameterProperty => Direction::Request,
            Self::ResponseBody | Self::ResponseProperty | Self::ResponseHeader => {
                Direction::Response
            }
        }
    }

    /// Where what stands inside of it stands.
    pub(super) fn inside(self) -> Self {
        match self {
            Self::RequestBody | Self::RequestProperty => Self::RequestProperty,
            Self::ResponseBody | Self::ResponseProperty => Self::ResponseProperty,
            Self::Parameter | Self::ParameterProperty => Self::ParameterProperty,
            Self::ResponseHeader => Self::ResponseHeader,
        }
    }

    /// All of them, in the order of the columns of [`ASPECTS`].
    pub(super) const ALL: [Self; 7] = [
        Self::RequestBody,
        Self::RequestProperty,
        Self::ResponseBody,
        Self::ResponseProperty,
        Self::Parameter,
        Self::ParameterProperty,
        Self::ResponseHeader,
    ];
}

/// What is known of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) level: Level,
    /// Whether callers may notice; the change itself may know better.
    pub(super) breaking: bool,
}

/// The rule of an aspect at a place. An aspect without a row would be a defect, and counts as
/// breaking.
pub(super) fn aspect(name: &str, place: Place) -> Rule {
    let Some((_, variance, levels)) = ASPECTS.iter().find(|(aspect, ..)| *aspect == name) else {
        return Rule { level: Level::Error, breaking: true };
    };
    let breaks = variance.breaks(place.direction());
    let level = match levels.as_bytes().get(column(place, levels)) {
        Some(b'E') => Level::Error,
        Some(b'W') => Level::Warning,
        Some(b'I') => Level::Info,
        Some(_) | None if breaks => Level::Error,
        Some(_) | None => Level::Info,
    };
    Rule { level, breaking: breaks || level > Level::Info }
}

/// The place that an aspect's id names. Where `oasdiff` knows nothing of a parameter's properties
/// it names the parameter.
pub(super) fn named_place(name: &str, place: Place) -> Place {
    let row = ASPECTS.iter().find(|(aspect, ..)| *aspect == name);
    let levels = row.map_or("", |(_, _, levels)| levels);
    Place::ALL.get(column(place, levels)).copied().unwrap_or(place)
}

fn column(place: Place, levels: &str) -> usize {
    let named = |place: Place| levels.as_bytes().get(place as usize).is_some_and(|l| *l != b'.');
    let falls = place == Place::ParameterProperty && !named(place) && named(Place::Parameter);
    if falls { Place::Parameter as usize } else { place as usize }
}

/// The rule of an id that stands for itself.
pub(super) fn named(id: &str) -> Rule {
    let Some((_, level, compatible)) = NAMED.iter().find(|(name, ..)| *name == id) else {
        return Rule { level: Level::Error, breaking: true };
    };
    Rule { level: *level, breaking: !compatible }
}

/// The rule of an id, whichever kind it is; none for one that cannot appear: a waiver for it is a
/// mistake.
pub(super) fn of(id: &str) -> Option<Rule> {
    if NAMED.iter().any(|(name, ..)| *name == id) {
        return Some(named(id));
    }
    Place::ALL.into_iter().find_map(|place| {
        let rest = id.strip_prefix(place.prefix())?.strip_prefix('-')?;
        ASPECTS.iter().any(|(name, ..)| *name == rest).then(|| aspect(rest, place))
    })
}

use Level::{Error, Info, Warning};
use Variance::{Keeps, Narrows, Unproven, Widens};

/// `(aspect, what it does, level in each place)`: request body, request property, response body,
/// response property, parameter, property of a parameter, response header. A dot is a place that
/// `oasdiff` has no id for: there the level follows from the variance.
const ASPECTS: &[(&str, Variance, &str)] = &[
    ("additional-properties-narrowed", Narrows, "......."),
    ("additional-properties-widened", Widens, "......."),
    ("all-of-added", Narrows, "EEII..."),
    ("all-of-added-annotation-only", Keeps, "IIII..."),
    ("all-of-removed", Widens, "WWII..."),
    ("all-of-removed-annotation-only", Keeps, "IIII..."),
    ("any-of-added", Widens, "IIII..."),
    ("any-of-removed", Narrows, "EEII..."),
    ("became-enum", Narrows, "EE..E.."),
    ("became-not-nullable", Narrows, "EEIIEEI"),
    ("became-nullable", Widens, "IIEEIIE"),
    ("const-added", Narrows, "EEII..."),
    ("const-changed", Unproven, "EEEE..."),
    ("const-removed", Widens, "IIEE..."),
    ("contains-added", Narrows, "EEII..."),
    ("contains-changed", Unproven, "......."),
    ("contains-removed", Widens, "IIEE..."),
    ("content-encoding-changed", Unproven, "EEEE..."),
    ("content-media-type-changed", Unproven, "EEEE..."),
    ("content-schema-added", Narrows, "EEII..."),
    ("content-schema-removed", Widens, "IIEE..."),
    ("default-value-added", Unproven, "IIIIE.."),
    ("default-value-changed", Unproven, "IIIIE.."),
    ("default-value-removed", Unproven, "IIIIE.."),
    ("dependent-required-added", Narrows, "EEII..."),
    ("dependent-required-changed", Unproven, "EEEE..."),
    ("dependent-required-removed", Widens, "IIEE..."),
    ("dependent-schema-added", Narrows, "EEII..."),
    ("dependent-schema-removed", Widens, "IIEE..."),
    ("deprecated", Keeps, ".I.II.."),
    ("deprecated-sunset-invalid", Unproven, ".E.E..."),
    ("deprecated-sunset-missing", Unproven, ".E.EE.."),
    ("deprecated-with-sunset", Keeps, ".I.I..."),
    ("discriminator-added", Unproven, "IIII..."),
    ("discriminator-mapping-added", Widens, "IIII..."),
    ("discriminator-mapping-changed", Unproven, "IIII..."),
    ("discriminator-mapping-deleted", Narrows, "IIII..."),
    ("discriminator-property-name-changed", Unproven, "IIII..."),
    ("discriminator-removed", Unproven, "IIII..."),
    ("else-added", Narrows, "EEII..."),
    ("else-removed", Widens, "IIEE..."),
    ("enum-removed", Widens, "......."),
    ("enum-value-added", Widens, ".I.WII."),
    ("enum-value-removed", Narrows, "EE.IEE."),
    ("exclusive-max-decreased", Narrows, "EE..E.."),
    ("exclusive-max-increased", Widens, "IIEEI.."),
    ("exclusive-max-set", Narrows, "WW..W.."),
    ("exclusive-max-unset", Widens, "......."),
    ("exclusive-min-decreased", Widens, "IIEEI.."),
    ("exclusive-min-increased", Narrows, "EE..E.."),
    ("exclusive-min-set", Narrows, "WW..W.."),
    ("exclusive-min-unset", Widens, "......."),
    ("if-added", Narrows, "EEII..."),
    ("if-changed", Unproven, "......."),
    ("if-removed", Widens, "IIEE..."),
    ("items-added", Narrows, "......."),
    ("items-removed", Widens, "......."),
    ("keyword-changed", Unproven, "......."),
    ("list-of-types-narrowed", Narrows, "EEIIEE."),
    ("list-of-types-widened", Widens, "IIEEII."),
    ("max-contains-decreased", Narrows, "EEII..."),
    ("max-contains-increased", Widens, "IIEE..."),
    ("max-decreased", Narrows, "EE..E.."),
    ("max-increased", Widens, "IIEEI.."),
    ("max-items-decreased", Narrows, "....E.."),
    ("max-items-increased", Widens, "....I.."),
    ("max-items-set", Narrows, "......."),
    ("max-items-unset", Widens, "......."),
    ("max-length-decreased", Narrows, "EE..E.."),
    ("max-length-increased", Widens, "IIEEI.."),
    ("max-length-set", Narrows, "WW..W.."),
    ("max-length-unset", Widens, "..EE..."),
    ("max-properties-decreased", Narrows, "......."),
    ("max-properties-increased", Widens, "......."),
    ("max-properties-set", Narrows, "......."),
    ("max-properties-unset", Widens, "......."),
    ("max-set", Narrows, "WW..W.."),
    ("max-unset", Widens, "......."),
    ("media-type-encoding-changed", Unproven, "......."),
    ("media-type-schema-added", Narrows, "E.I...."),
    ("media-type-schema-removed", Widens, "I.W...."),
    ("min-contains-decreased", Widens, "IIEE..."),
    ("min-contains-increased", Narrows, "EEII..."),
    ("min-decreased", Widens, "IIEEI.."),
    ("min-increased", Narrows, "EE..E.."),
    ("min-items-decreased", Widens, "..EEI.."),
    ("min-items-increased", Narrows, "EE..E.."),
    ("min-items-set", Narrows, "WW..W.."),
    ("min-items-unset", Widens, "..EE..."),
    ("min-length-decreased", Widens, "IIEEI.."),
    ("min-length-increased", Narrows, "EE..E.."),
    ("min-properties-decreased", Widens, "......."),
    ("min-properties-increased", Narrows, "......."),
    ("min-properties-set", Narrows, "......."),
    ("min-properties-unset", Widens, "......."),
    ("min-set", Narrows, "WW..W.."),
    ("min-unset", Widens, "......."),
    ("multiple-of-changed", Unproven, "......."),
    ("multiple-of-removed", Widens, "......."),
    ("multiple-of-set", Narrows, "......."),
    ("not-added", Narrows, "......."),
    ("not-changed", Unproven, "......."),
    ("not-removed", Widens, "......."),
    ("one-of-added", Widens, "IIEE..."),
    ("one-of-removed", Narrows, "EEII..."),
    ("pattern-added", Narrows, ".E.IE.."),
    ("pattern-changed", Unproven, ".W.IW.."),
    ("pattern-generalized", Widens, ".I..I.."),
    ("pattern-property-added", Narrows, "EEII..."),
    ("pattern-property-removed", Widens, "IIEE..."),
    ("pattern-removed", Widens, ".I.II.."),
    ("prefix-items-added", Unproven, "IIEE..."),
    ("prefix-items-removed", Unproven, "EEII..."),
    ("property-names-added", Narrows, "EEII..."),
    ("property-names-removed", Widens, "IIEE..."),
    ("reactivated", Keeps, ".I.II.."),
    ("stability-decreased", Unproven, ".E.E..."),
    ("stability-increased", Keeps, ".I.I..."),
    ("sunset-date-too-small", Unproven, ".E.EE.."),
    ("then-added", Narrows, "EEII..."),
    ("then-removed", Widens, "IIEE..."),
    ("type-changed", Unproven, "EEEEEWE"),
    ("type-compatible", Unproven, "IIII..I"),
    ("type-generalized", Widens, "IIEEIIE"),
    ("type-specialized", Narrows, "..II.EI"),
    ("unevaluated-items-added", Narrows, "EEII..."),
    ("unevaluated-items-removed", Widens, "IIEE..."),
    ("unevaluated-properties-added", Narrows, "EEII..."),
    ("unevaluated-properties-removed", Widens, "IIEE..."),
    ("unique-items-removed", Widens, "......."),
    ("unique-items-set", Narrows, "......."),
    ("wrapped-in-one-of", Unproven, "E.E...."),
    ("x-extensible-enum-value-removed", Narrows, ".E..E.."),
    ("xml-changed", Unproven, "......."),
];

/// `(id, level, whether it is compatible)` of what is no aspect of a schema.
const NAMED: &[(&str, Level, bool)] = &[
    ("api-deprecated-sunset-missing", Error, false),
    ("api-deprecated-sunset-parse", Error, false),
    ("api-global-security-added", Info, false),
    ("api-global-security-removed", Info, false),
    ("api-global-security-scope-added", Info, false),
    ("api-global-security-scope-removed", Info, true),
    ("api-invalid-stability-level", Error, false),
    ("api-major-version-not-bumped", Info, true),
    ("api-operation-id-added", Info, true),
    ("api-operation-id-removed", Info, true),
    ("api-path-removed-before-sunset", Error, false),
    ("api-path-removed-with-deprecation", Info, true),
    ("api-path-removed-without-deprecation", Error, false),
    ("api-path-sunset-parse", Error, false),
    ("api-removed-before-sunset", Error, false),
    ("api-removed-with-deprecation", Info, true),
    ("api-removed-without-deprecation", Error, false),
    ("api-schema-removed", Info, true),
    ("api-security-added", Info, false),
    ("api-security-component-added", Info, true),
    ("api-security-component-changed", Error, false),
    ("api-security-component-oauth-scope-added", Info, true),
    ("api-security-component-oauth-scope-changed", Info, true),
    ("api-security-component-oauth-scope-removed", Info, false),
    ("api-security-component-oauth-token-url-changed", Info, false),
    ("api-security-component-oauth-url-changed", Info, false),
    ("api-security-component-removed", Info, true),
    ("api-security-component-type-changed", Info, false),
    ("api-security-removed", Info, false),
    ("api-security-scope-added", Info, false),
    ("api-security-scope-removed", Info, true),
    ("api-stability-decreased", Error, false),
    ("api-stability-increased", Info, true),
    ("api-sunset-date-changed-too-small", Error, false),
    ("api-sunset-date-too-small", Error, false),
    ("api-tag-added", Info, true),
    ("api-tag-removed", Info, true),
    ("api-version-decreased", Info, true),
    ("api-version-not-bumped", Info, true),
    ("changes-not-listed", Error, false),
    ("endpoint-added", Info, true),
    ("endpoint-deprecated", Info, true),
    ("endpoint-deprecated-with-sunset", Info, true),
    ("endpoint-reactivated", Info, true),
    ("new-optional-request-default-parameter-to-existing-path", Info, true),
    ("new-optional-request-parameter", Info, true),
    ("new-optional-request-parameter-property", Info, true),
    ("new-optional-request-property", Info, true),
    ("new-request-path-parameter", Error, false),
    ("new-required-request-default-parameter-to-existing-path", Error, false),
    ("new-required-request-header-property", Error, false),
    ("new-required-request-parameter", Error, false),
    ("new-required-request-parameter-property", Error, false),
    ("new-required-request-property", Error, false),
    ("new-required-request-property-with-default", Error, false),
    ("optional-response-header-removed", Warning, false),
    ("request-body-added-optional", Info, true),
    ("request-body-added-required", Error, false),
    ("request-body-became-optional", Info, true),
    ("request-body-became-required", Error, false),
    ("request-body-media-type-added", Info, true),
    ("request-body-media-type-removed", Error, false),
    ("request-body-removed", Error, false),
    ("request-header-property-became-enum", Error, false),
    ("request-header-property-became-required", Error, false),
    ("request-optional-property-became-not-read-only", Info, true),
    ("request-optional-property-became-not-write-only", Info, true),
    ("request-optional-property-became-read-only", Info, false),
    ("request-optional-property-became-write-only", Info, true),
    ("request-parameter-became-optional", Info, true),
    ("request-parameter-became-required", Error, false),
    ("request-parameter-property-became-optional", Info, true),
    ("request-parameter-property-became-required", Error, false),
    ("request-parameter-property-removed", Warning, false),
    ("request-parameter-removed", Warning, false),
    ("request-parameter-removed-before-sunset", Error, false),
    ("request-parameter-removed-with-deprecation", Info, true),
    ("request-parameter-style-changed", Error, false),
    ("request-parameter-sunset-date-changed-too-small", Error, false),
    ("request-parameter-sunset-deleted", Error, false),
    ("request-parameter-sunset-parse", Error, false),
    ("request-property-became-optional", Info, true),
    ("request-property-became-required", Error, false),
    ("request-property-became-required-with-default", Error, false),
    ("request-property-removed", Warning, false),
    ("request-read-only-property-enum-value-removed", Info, true),
    ("request-read-only-property-exclusive-max-decreased", Info, true),
    ("request-read-only-property-exclusive-min-increased", Info, true),
    ("request-read-only-property-max-decreased", Info, true),
    ("request-read-only-property-max-length-decreased", Info, true),
    ("request-read-only-property-min-increased", Info, true),
    ("request-required-property-became-not-read-only", Info, false),
    ("request-required-property-became-not-write-only", Info, true),
    ("request-required-property-became-read-only", Info, false),
    ("request-required-property-became-write-only", Info, true),
    ("required-response-header-removed", Error, false),
    ("response-header-added", Info, true),
    ("response-header-became-optional", Error, false),
    ("response-header-became-required", Info, true),
    ("response-media-type-added", Info, true),
    ("response-media-type-name-changed", Info, false),
    ("response-media-type-name-generalized", Error, false),
    ("response-media-type-name-specialized", Info, true),
    ("response-media-type-removed", Error, false),
    ("response-mediatype-enum-value-removed", Info, true),
    ("response-non-success-status-added", Info, true),
    ("response-non-success-status-removed", Info, true),
    ("response-optional-property-added", Info, true),
    ("response-optional-property-became-not-read-only", Info, true),
    ("response-optional-property-became-not-write-only", Info, true),
    ("response-optional-property-became-read-only", Info, true),
    ("response-optional-property-became-write-only", Info, false),
    ("response-optional-property-removed", Warning, false),
    ("response-optional-write-only-property-added", Info, true),
    ("response-optional-write-only-property-removed", Info, true),
    ("response-property-became-optional", Error, false),
    ("response-property-became-required", Info, true),
    ("response-required-property-added", Info, true),
    ("response-required-property-became-not-read-only", Info, true),
    ("response-required-property-became-not-write-only", Warning, false),
    ("response-required-property-became-read-only", Info, true),
    ("response-required-property-became-write-only", Info, false),
    ("response-required-property-removed", Error, false),
    ("response-required-write-only-property-added", Info, true),
    ("response-required-write-only-property-removed", Info, true),
    ("response-success-status-added", Info, false),
    ("response-success-status-removed", Error, false),
    ("response-write-only-property-became-optional", Info, true),
    ("response-write-only-property-became-required", Info, true),
    ("response-write-only-property-enum-value-added", Info, true),
    ("sunset-deleted", Error, false),
    ("webhook-added", Info, true),
    ("webhook-parameters-changed", Error, false),
    ("webhook-removed", Error, false),
    ("webhook-responses-changed", Error, false),
];
