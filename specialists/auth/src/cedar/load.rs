//! Policies with their template links, schema and entities: read, parsed, and bound together.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    str::FromStr as _,
};

use cedar_policy::{Entities, EntityUid, PolicyId, PolicySet, Schema, SlotId};
use deadelus_runtime::{Context, Failure, Source, Text, invalid};
use miette::Diagnostic;
use serde::Deserialize;

use super::finding::position;

/// Where the parts of a bundle come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// Cedar's text, or its JSON.
    pub(crate) policies: &'a Source,
    /// What templates are filled with, as Cedar's command line has it.
    pub(crate) links: Option<&'a Source>,
    /// Cedar's text, or its JSON.
    pub(crate) schema: Option<&'a Source>,
    /// A list, as Cedar has it.
    pub(crate) entities: Option<&'a Source>,
    /// Whether entities and requests have to fit the schema.
    pub(crate) strict: bool,
}

/// Policies and what they are about.
#[derive(Debug, Clone)]
pub(crate) struct Bundle {
    pub(crate) policies: PolicySet,
    pub(crate) schema: Option<Schema>,
    pub(crate) entities: Entities,
    /// Whether requests have to fit the schema.
    pub(crate) strict: bool,
    /// Where the policies come from.
    pub(crate) source: Text,
}

/// One template with its slots filled.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    template_id: String,
    link_id: String,
    /// `?principal` and `?resource`, each with an entity.
    args: BTreeMap<String, String>,
}

/// The texts of a bundle.
struct Texts {
    policies: Text,
    links: Option<Text>,
    schema: Option<Text>,
    entities: Option<Text>,
}

impl Sources<'_> {
    /// Reads and binds.
    ///
    /// # Errors
    /// Those of [`Source::text`]; `invalid_input`, with line and column, for what is no Cedar, for a
    /// link that fits no template, and for entities that do not fit the schema.
    pub(crate) async fn load(&self, cx: &Context, folder: &Path) -> Result<Bundle, Failure> {
        let texts = Texts {
            policies: self.policies.text(cx, folder).await?,
            links: text(self.links, cx, folder).await?,
            schema: text(self.schema, cx, folder).await?,
            entities: text(self.entities, cx, folder).await?,
        };
        let strict = self.strict;
        deadelus_runtime::blocking(move || texts.bind(strict)).await
    }
}

async fn text(
    source: Option<&Source>,
    cx: &Context,
    folder: &Path,
) -> Result<Option<Text>, Failure> {
    Ok(match source {
        Some(source) => Some(source.text(cx, folder).await?),
        None => None,
    })
}

impl Texts {
    fn bind(self, strict: bool) -> Result<Bundle, Failure> {
        let mut policies = policies(&self.policies)?;
        if let Some(links) = &self.links {
            link(&mut policies, links)?;
        }
        let schema = self.schema.as_ref().map(schema).transpose()?;
        let entities = match &self.entities {
            Some(text) => entities(text, schema.as_ref().filter(|_| strict))?,
            None => Entities::empty(),
        };
        let entities = with_actions(entities, schema.as_ref())?;
        Ok(Bundle { policies, schema, entities, strict, source: self.policies })
    }
}

/// Policies under the names of their `@id`, as people and reports call them.
fn policies(text: &Text) -> Result<PolicySet, Failure> {
    if text.is_json() {
        return PolicySet::from_json_str(&text.text).map_err(|e| wrong(text, &e));
    }
    let set = PolicySet::from_str(&text.text).map_err(|e| wrong(text, &e))?;
    let mut named = PolicySet::new();
    for policy in set.policies() {
        let id = policy.annotation("id").map(PolicyId::new);
        let policy = id.map_or_else(|| policy.clone(), |id| policy.new_id(id));
        named.add(policy).map_err(|e| wrong(text, &e))?;
    }
    for template in set.templates() {
        let id = template.annotation("id").map(PolicyId::new);
        let template = id.map_or_else(|| template.clone(), |id| template.new_id(id));
        named.add_template(template).map_err(|e| wrong(text, &e))?;
    }
    Ok(named)
}

/// How many policies a text holds; templates count when they are linked.
///
/// # Errors
/// As [`Sources::load`].
pub(crate) fn count(text: &Text) -> Result<usize, Failure> {
    Ok(policies(text)?.num_of_policies())
}

fn link(policies: &mut PolicySet, text: &Text) -> Result<(), Failure> {
    for Link { template_id, link_id, args } in text.parse::<Vec<Link>>()? {
        let mut slots = HashMap::new();
        for (slot, entity) in args {
            let slot = match slot.as_str() {
                "?principal" => SlotId::principal(),
                "?resource" => SlotId::resource(),
                other => return Err(invalid(format!("{}: {other:?} is no slot", text.name))),
            };
            slots.insert(slot, uid(&entity)?);
        }
        let (template, link) = (PolicyId::new(&template_id), PolicyId::new(&link_id));
        policies
            .link(template, link, slots)
            .map_err(|e| invalid(format!("{}: {link_id}: {e}", text.name)))?;
    }
    Ok(())
}

fn schema(text: &Text) -> Result<Schema, Failure> {
    if text.is_json() {
        return Schema::from_json_str(&text.text).map_err(|e| wrong(text, &e));
    }
    let (schema, _) = Schema::from_cedarschema_str(&text.text).map_err(|e| wrong(text, &e))?;
    Ok(schema)
}

fn entities(text: &Text, schema: Option<&Schema>) -> Result<Entities, Failure> {
    Entities::from_json_str(&text.text, schema).map_err(|e| {
        let failure = wrong(text, &e);
        if schema.is_none() {
            return failure;
        }
        failure.help("with `strict: false` entities and requests need not fit the schema")
    })
}

/// Groups of actions stand in the schema; policies that name a group need them.
fn with_actions(entities: Entities, schema: Option<&Schema>) -> Result<Entities, Failure> {
    let Some(schema) = schema else { return Ok(entities) };
    let told = |e: &dyn std::error::Error| invalid(format!("actions of the schema: {e}"));
    let actions = schema.action_entities().map_err(|e| told(&e))?;
    let actions: Vec<_> = actions.iter().cloned().collect();
    entities.upsert_entities(actions, None).map_err(|e| told(&e))
}

/// `User::"ann"`
pub(super) fn uid(text: &str) -> Result<EntityUid, Failure> {
    text.parse().map_err(|_| invalid(format!("{text:?} is no entity: write User::\"ann\"")))
}

/// All that Cedar says about a text, with the place.
fn wrong<E: Diagnostic>(text: &Text, error: &E) -> Failure {
    let place = position(error, &text.text).map(|(line, column)| format!("{line}:{column}: "));
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    let causes: String = causes.map(|cause| format!(": {cause}")).collect();
    let help = error.help().map(|help| help.to_string()).unwrap_or_default();
    let said = format!("{}:{}{error}{causes}", text.name, place.unwrap_or_else(|| " ".to_owned()));
    invalid(said).help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Text {
        Text { name: "t".to_owned(), text: text.to_owned() }
    }

    fn bind(
        policies: &str,
        links: Option<&str>,
        entities: Option<&str>,
    ) -> Result<Bundle, Failure> {
        let schema = "entity User { age: Long }; entity Order;
             action all; action see in [all] appliesTo { principal: User, resource: Order };";
        let texts = Texts {
            policies: text(policies),
            links: links.map(text),
            schema: Some(text(schema)),
            entities: entities.map(text),
        };
        texts.bind(true)
    }

    #[test]
    fn policies_are_called_by_their_id_and_templates_are_linked() {
        let set = r#"@id("a") permit(principal, action, resource);
            @id("b") permit(principal == ?principal, action, resource);"#;
        let links =
            r#"[{"template_id": "b", "link_id": "c", "args": {"?principal": "User::\"u\""}}]"#;
        let bundle = bind(set, Some(links), None).unwrap();
        for id in ["a", "c"] {
            assert!(bundle.policies.policy(&PolicyId::new(id)).is_some(), "{id}");
        }
        assert!(bundle.policies.template(&PolicyId::new("b")).is_some());
        assert!(bundle.entities.len() == 2, "the actions of the schema");
        // Cedar's JSON is the same set.
        let json = bundle.policies.clone().to_json().unwrap().to_string();
        assert_eq!(policies(&text(&json)).unwrap(), bundle.policies);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let twice = r#"@id("a") permit(principal, action, resource);"#.repeat(2);
        let links =
            |args: &str| format!(r#"[{{"template_id": "x", "link_id": "c", "args": {args}}}]"#);
        let (slot, no_template) = (links(r#"{"?action": "A::\"a\""}"#), links("{}"));
        let young =
            r#"[{"uid": {"type": "User", "id": "u"}, "attrs": {"age": "7"}, "parents": []}]"#;
        let fine = "permit(principal, action, resource);";
        for (policies, links, entities, said) in [
            ("permit(principal,\n  acton, resource);", None, None, "t:2:3: "),
            (&twice, None, None, "duplicate"),
            (fine, Some(&slot[..]), None, "no slot"),
            (fine, Some(&no_template), None, "t: c: "),
            (fine, None, Some(young), "age"),
            (fine, None, Some("{"), "t: "),
        ] {
            let failure = bind(policies, links, entities).unwrap_err();
            assert!(failure.message.contains(said), "{failure:?}");
        }
    }
}
