//! What the policies decide about one request: Cedar's text, and the entities that it is about.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid,
    PolicySet, Request, RestrictedExpression,
};

use super::token::Claims;

/// Who has no token. It cannot be anybody's address.
const NOBODY: &str = "anonymous";

/// The published policies.
#[derive(Debug)]
pub(crate) struct Policies {
    set: PolicySet,
    entities: Entities,
}

/// What a request asks for: an action, and what it is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) action: &'static str,
    pub(crate) on: Resource,
}

/// What something is done to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resource {
    /// All of it.
    Shop,
    /// One order, and the address of whose it is; empty when there is no such order.
    Order { id: String, owner: String },
    /// Whoever asks.
    Oneself,
}

impl Policies {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let set = PolicySet::from_str(text).map_err(|e| format!("policies: {e}"))?;
        Ok(Self { set, entities: Entities::empty() })
    }

    /// Whether it is allowed; a request that makes no sense is not.
    pub(crate) fn allow(&self, who: Option<&Claims>, asked: &Asked) -> bool {
        self.decide(who, asked).is_some_and(|decision| decision == Decision::Allow)
    }

    fn decide(&self, who: Option<&Claims>, asked: &Asked) -> Option<Decision> {
        let name = who.map_or(NOBODY, |claims| &claims.sub);
        let person = uid("User", name)?;
        let roles = who.map_or(&[][..], |claims| &claims.roles);
        let roles = roles.iter().map(|role| uid("Role", role)).collect::<Option<HashSet<_>>>()?;
        let shop = uid("Shop", "shop")?;
        let mut entities = vec![
            Entity::new(person.clone(), HashMap::new(), roles).ok()?,
            Entity::new_no_attrs(shop.clone(), HashSet::new()),
        ];
        let resource = match &asked.on {
            Resource::Shop => shop,
            Resource::Oneself => person.clone(),
            Resource::Order { id, owner } => {
                let order = uid("Order", id)?;
                let owner = RestrictedExpression::new_entity_uid(uid("User", owner)?);
                let owner = HashMap::from([("owner".to_owned(), owner)]);
                entities.push(Entity::new(order.clone(), owner, HashSet::from([shop])).ok()?);
                order
            }
        };
        let entities = self.entities.clone().add_entities(entities, None).ok()?;
        let action = uid("Action", asked.action)?;
        let request = Request::new(person, action, resource, Context::empty(), None).ok()?;
        Some(Authorizer::new().is_authorized(&request, &self.set, &entities).decision())
    }
}

fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let kind = EntityTypeName::from_str(kind).ok()?;
    Some(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_its_owners_business_and_nobody_is_no_owner() {
        let text = r#"permit(principal in Role::"customer", action == Action::"readOrder", resource)
            when { resource.owner == principal };"#;
        let policies = Policies::parse(text).unwrap();
        let read = |owner: &str| Asked {
            action: "readOrder",
            on: Resource::Order { id: "1".to_owned(), owner: owner.to_owned() },
        };
        let ann = Claims::fresh("ann@example.test", "customer", 0);
        assert!(policies.allow(Some(&ann), &read("ann@example.test")));
        assert!(!policies.allow(Some(&ann), &read("bob@example.test")));
        assert!(!policies.allow(Some(&ann), &read("")));
        assert!(!policies.allow(None, &read(NOBODY)));
        let place = Asked { action: "placeOrder", on: Resource::Shop };
        assert!(!policies.allow(Some(&ann), &place));
        let all = Policies::parse("permit(principal, action, resource);").unwrap();
        assert!(all.allow(None, &place) && all.allow(Some(&ann), &read("bob@example.test")));
    }
}
