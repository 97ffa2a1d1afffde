//! Everything the provider knows, and what one request does to it. No clock, no socket.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    events::Delivery,
    fault::{self, Fault, Trap},
    form,
    params::Params,
    refusal::Refusal,
    resources,
};

/// As documented.
const KEY_MAX_CHARS: usize = 255;

/// One request, read.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
    /// Whether a key of the API came with it.
    pub(crate) authorized: bool,
    pub(crate) idempotency_key: Option<String>,
}

/// What the client gets, if it gets anything.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// Whether it was given before.
    pub(crate) replayed: bool,
}

/// Whether an answer reaches the client.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Answered(Answer),
    /// The connection ends.
    Lost,
    /// The client waits for ever.
    Hung,
}

/// A request that was answered under a key.
#[derive(Debug, Clone)]
struct Kept {
    method: String,
    path: String,
    body: Vec<u8>,
    answer: Answer,
}

/// The state.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// In the order of their making.
    pub(crate) objects: Vec<Value>,
    pub(crate) traps: Vec<Trap>,
    pub(crate) outbox: Vec<Delivery>,
    /// Of the request under way, in Unix seconds.
    pub(crate) now: i64,
    kept: BTreeMap<String, Kept>,
    last_id: u64,
}

impl World {
    /// Does one request.
    pub(crate) fn handle(&mut self, request: &Request, now: i64) -> Outcome {
        self.now = now;
        match self.trap(request) {
            Ok(Some(set)) => return Outcome::Answered(answer(200, set)),
            Ok(None) => {}
            Err(refusal) => return refused(&refusal),
        }
        if !request.authorized {
            return refused(&Refusal::unauthorized());
        }
        if let Some(kept) = self.replay(request) {
            return kept.map_or_else(|refusal| refused(&refusal), Outcome::Answered);
        }
        let struck = fault::strike(&mut self.traps, &request.method, &request.path);
        let given = match struck {
            Some(Fault::TooManyRequests) => Err(Refusal::too_many()),
            Some(Fault::ServerError) => Err(Refusal::broken()),
            Some(Fault::ServerErrorAfter) => self.route(request).and(Err(Refusal::broken())),
            Some(Fault::LostAnswer | Fault::Hang) | None => self.route(request),
        };
        let given = match given {
            Ok(body) => answer(200, body),
            Err(refusal) => answer(refusal.status, refusal.body()),
        };
        self.keep(request, &given);
        match struck {
            Some(Fault::LostAnswer) => Outcome::Lost,
            Some(Fault::Hang) => Outcome::Hung,
            Some(Fault::ServerError | Fault::ServerErrorAfter | Fault::TooManyRequests) | None => {
                Outcome::Answered(given)
            }
        }
    }

    /// `POST /_faults` with a [`Trap`] as JSON: for whoever runs the provider as a program.
    fn trap(&mut self, request: &Request) -> Result<Option<Value>, Refusal> {
        if (request.method.as_str(), request.path.as_str()) != ("POST", "/_faults") {
            return Ok(None);
        }
        let trap = serde_json::from_slice(&request.body);
        self.traps.push(trap.map_err(|e| Refusal::invalid("", e.to_string()))?);
        Ok(Some(json!({"set": true})))
    }

    /// What was answered under this key before; a refusal if it was another request.
    fn replay(&self, request: &Request) -> Option<Result<Answer, Refusal>> {
        let key = request.idempotency_key.as_ref().filter(|_| request.method == "POST")?;
        if key.chars().count() > KEY_MAX_CHARS {
            let text = format!("Idempotency keys have at most {KEY_MAX_CHARS} characters.");
            return Some(Err(Refusal::invalid("", text)));
        }
        let kept = self.kept.get(key)?;
        let same = kept.method == request.method
            && kept.path == request.path
            && form::parse(&kept.body) == form::parse(&request.body);
        let replayed = Answer { replayed: true, ..kept.answer.clone() };
        Some(if same { Ok(replayed) } else { Err(Refusal::other_parameters(key)) })
    }

    /// Successes, breakdowns and declined cards are kept; what was refused before it began may be
    /// tried again.
    fn keep(&mut self, request: &Request, given: &Answer) {
        let begun = given.status < 400 || given.status == 402 || given.status >= 500;
        let key = request.idempotency_key.as_ref();
        if let Some(key) = key.filter(|_| request.method == "POST" && begun) {
            let kept = Kept {
                method: request.method.clone(),
                path: request.path.clone(),
                body: request.body.clone(),
                answer: given.clone(),
            };
            self.kept.insert(key.clone(), kept);
        }
    }

    fn route(&mut self, request: &Request) -> Result<Value, Refusal> {
        let mut form = form::parse(request.query.as_bytes());
        form.extend(form::parse(&request.body));
        let params = Params::new(form);
        let path = request.path.replacen("/test_helpers/", "/", 1);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        resources::route(self, &request.method, &parts, &params)
            .unwrap_or_else(|| Err(Refusal::unrecognized(&request.method, &request.path)))
    }

    /// Makes an object: its kind, when it was made, and what else it is. Tells the endpoints.
    pub(crate) fn create(&mut self, object: &str, prefix: &str, fields: Value) -> Value {
        self.last_id += 1;
        let mut made = Map::new();
        made.insert("id".to_owned(), format!("{prefix}_{:08}", self.last_id).into());
        made.insert("object".to_owned(), object.into());
        made.insert("created".to_owned(), self.now.into());
        made.insert("livemode".to_owned(), false.into());
        made.extend(fields.as_object().cloned().unwrap_or_default());
        let made = Value::Object(made);
        self.objects.push(made.clone());
        // The one kind of object whose events are called otherwise.
        let told = if object == "subscription" { "customer.subscription" } else { object };
        self.tell(&format!("{told}.created"), &made);
        made
    }

    /// Changes the fields of an object. Tells the endpoints.
    pub(crate) fn change(&mut self, id: &str, fields: Value, event: &str) -> Value {
        let Some(object) = self.objects.iter_mut().find(|object| object["id"] == id) else {
            return Value::Null;
        };
        if let (Value::Object(object), Value::Object(fields)) = (&mut *object, fields) {
            object.extend(fields);
        }
        let changed = object.clone();
        self.tell(event, &changed);
        changed
    }

    /// One object.
    pub(crate) fn get(&self, object: &str, id: &str) -> Result<Value, Refusal> {
        let found = self.of(object).find(|candidate| candidate["id"] == id).cloned();
        found.ok_or_else(|| Refusal::no_such(404, object, id, "id"))
    }

    /// One object that a parameter names.
    pub(crate) fn named(&self, object: &str, id: &str, param: &str) -> Result<Value, Refusal> {
        self.get(object, id).map_err(|_| Refusal::no_such(400, object, id, param))
    }

    /// All of a kind, in the order of their making.
    pub(crate) fn of<'a>(&'a self, object: &'a str) -> impl DoubleEndedIterator<Item = &'a Value> {
        self.objects.iter().filter(move |candidate| candidate["object"] == object)
    }

    fn tell(&mut self, kind: &str, object: &Value) {
        if matches!(object["object"].as_str(), Some("webhook_endpoint" | "event")) {
            return;
        }
        self.last_id += 1;
        let event = json!({
            "id": format!("evt_{:08}", self.last_id),
            "object": "event",
            "created": self.now,
            "livemode": false,
            "type": kind,
            "data": {"object": object},
        });
        let hears = |endpoint: &&Value| {
            let kinds = endpoint["enabled_events"].as_array();
            kinds.is_some_and(|kinds| kinds.iter().any(|k| k == "*" || k == kind))
        };
        let deliver = |endpoint: &Value| Delivery {
            url: endpoint["url"].as_str().unwrap_or_default().to_owned(),
            secret: endpoint["secret"].as_str().unwrap_or_default().to_owned(),
            body: event.to_string(),
        };
        let deliveries: Vec<_> = self.of("webhook_endpoint").filter(hears).map(deliver).collect();
        self.outbox.extend(deliveries);
        self.objects.push(event);
    }
}

fn answer(status: u16, body: Value) -> Answer {
    Answer { status, body, replayed: false }
}

fn refused(refusal: &Refusal) -> Outcome {
    Outcome::Answered(answer(refusal.status, refusal.body()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(world: &mut World, body: &str, key: &str) -> (u16, Value, bool) {
        let request = Request {
            method: "POST".to_owned(),
            path: "/v1/products".to_owned(),
            query: String::new(),
            body: body.into(),
            authorized: true,
            idempotency_key: Some(key.to_owned()),
        };
        match world.handle(&request, 1) {
            Outcome::Answered(answer) => (answer.status, answer.body, answer.replayed),
            outcome @ (Outcome::Lost | Outcome::Hung) => panic!("{outcome:?}"),
        }
    }

    fn with(fault: Fault) -> World {
        let trap = Trap { fault, method: "POST".to_owned(), path: "/".to_owned(), skip: 0 };
        World { traps: vec![trap], ..World::default() }
    }

    #[test]
    fn a_key_gives_its_first_answer_for_ever_whatever_it_was() {
        let mut world = World::default();
        let first = post(&mut world, "name=a&active=true", "k");
        assert_eq!(post(&mut world, "active=true&name=a", "k"), (200, first.1.clone(), true));
        let (status, body, _) = post(&mut world, "name=b", "k");
        assert_eq!((status, body["error"]["type"].as_str()), (400, Some("idempotency_error")));
        assert_eq!(world.of("product").count(), 1);

        for (fault, made) in [(Fault::ServerError, 0), (Fault::ServerErrorAfter, 1)] {
            let mut world = with(fault);
            assert_eq!(post(&mut world, "name=a", "k").0, 500);
            let (status, _, replayed) = post(&mut world, "name=a", "k");
            assert_eq!((status, replayed, world.of("product").count()), (500, true, made));
        }
    }

    #[test]
    fn what_never_began_is_not_kept() {
        let mut world = with(Fault::TooManyRequests);
        assert_eq!(post(&mut world, "name=a", "k").0, 429);
        assert_eq!(post(&mut world, "nom=a", "k").0, 400);
        let (status, _, replayed) = post(&mut world, "name=a", "k");
        assert_eq!((status, replayed), (200, false));
        assert_eq!(post(&mut world, "name=a", &"k".repeat(256)).0, 400);
    }
}
