//! Routing: how urgent an event is, and which subscriptions get a message of it, in which queue.
//!
//! Pure. Topics cannot loop: a message goes to a queue or an endpoint, never to another topic, and what
//! Posthaste publishes itself (domain events) is about events of other types, so a subscription to
//! `EventCompleted` does not make new ones, and one to every topic does not get them. Not for: writing messages (see `accept`).

use posthaste_base::{Code, Error, Priority, QueueId, Result, SubscriptionId};
use serde_json::{Map, Value};

use crate::{Catalog, Destination};

/// The topics of Posthaste's own events. They are never tracked, so that an end does not announce an end.
pub const DOMAIN_EVENTS: [&str; 5] =
    ["EventScheduled", "EventCompleted", "EventFailed", "UserBirthdayChanged", "UserTimezoneChanged"];

pub fn is_domain_event(event_type: &str) -> bool {
    DOMAIN_EVENTS.contains(&event_type)
}

/// What only Posthaste itself says is nobody else's to publish: whoever hears of an end relies on it.
pub(crate) fn check_own_type(event_type: &str) -> Result<()> {
    if !is_domain_event(event_type) {
        return Ok(());
    }
    let message = format!("only Posthaste itself publishes `{event_type}`");
    Err(Error::new(Code::InvalidEvent, message).field("type").expected("a type of your own"))
}

/// An explicit priority, or else the topic's, or else the one that the type's name stands for (decision 4).
pub fn priority_of(catalog: &Catalog, event_type: &str, explicit: Option<Priority>) -> Priority {
    explicit
        .or_else(|| catalog.topics.get(event_type).map(|topic| topic.priority))
        .unwrap_or_else(|| priority_of_name(event_type))
}

/// What a type is worth by its name alone: BIRTHDAY, ANNIVERSARY and REMINDER, without regard to case.
pub fn priority_of_name(event_type: &str) -> Priority {
    let is = |name: &str| event_type.eq_ignore_ascii_case(name);
    if is("BIRTHDAY") {
        Priority::Critical
    } else if is("ANNIVERSARY") {
        Priority::High
    } else if is("REMINDER") {
        Priority::Normal
    } else {
        Priority::Low
    }
}

/// The messages that an event becomes: one for each subscription of its topic whose filter it passes.
///
/// Filters see `attributes` and, over them, `type`, `subject` and `priority`. `payload` is only asked for when
/// a filter looks at it, and once; what is not JSON is `Null` there. A paused queue or endpoint still gets its
/// messages: they wait. An error means that a queue is missing, and then nothing may be accepted.
pub fn route(
    catalog: &Catalog,
    event_type: &str,
    subject: Option<&str>,
    priority: Priority,
    attributes: &Map<String, Value>,
    payload: impl FnOnce() -> Value,
) -> Result<Vec<(QueueId, SubscriptionId)>> {
    let subscriptions = catalog.subscribers(event_type);
    let has_filter = subscriptions.iter().any(|subscription| subscription.filter.is_some());
    let seen = has_filter.then(|| seen_by_filters(event_type, subject, priority, attributes));
    let mut payload = Lazy::Asked(payload);
    let mut routes = Vec::with_capacity(subscriptions.len());
    for subscription in subscriptions {
        if let (Some(filter), Some(seen)) = (&subscription.filter, &seen) {
            let payload = if filter.needs_payload() { payload.get() } else { &Value::Null };
            if !filter.matches(seen, payload) {
                continue;
            }
        }
        let queue_id = match subscription.destination {
            Destination::Queue(queue_id) => queue_id,
            Destination::Endpoint(_) => catalog.priority_queue(priority)?.id,
        };
        routes.push((queue_id, subscription.id));
    }
    Ok(routes)
}

fn seen_by_filters(
    event_type: &str,
    subject: Option<&str>,
    priority: Priority,
    attributes: &Map<String, Value>,
) -> Map<String, Value> {
    let mut seen = attributes.clone();
    seen.insert("type".into(), event_type.into());
    seen.insert("priority".into(), priority.as_str().into());
    match subject {
        Some(subject) => seen.insert("subject".into(), subject.into()),
        // An attribute of that name must not pass for a subject.
        None => seen.remove("subject"),
    };
    seen
}

enum Lazy<F> {
    Asked(F),
    Known(Value),
    Taken,
}

impl<F: FnOnce() -> Value> Lazy<F> {
    fn get(&mut self) -> &Value {
        *self = match std::mem::replace(self, Self::Taken) {
            Self::Asked(make) => Self::Known(make()),
            known => known,
        };
        match self {
            Self::Known(value) => value,
            _ => &Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use posthaste_base::EndpointId;
    use posthaste_engine::filter::Filter;
    use serde_json::json;

    use super::*;
    use crate::{Queue, QueueSettings, Subscription, Topic};

    /// A catalog with the four queues (ids 0 to 3), queue 9, and a topic `order` with these subscriptions.
    fn catalog(subscriptions: &[(Destination, Option<Value>)]) -> Catalog {
        let mut catalog = Catalog::default();
        let names = Priority::ALL.map(|priority| (priority.rank().into(), priority.queue_name()));
        for (id, name) in names.into_iter().chain([(9, "own")]) {
            let id = QueueId(id);
            let queue = Queue {
                id,
                name: name.into(),
                settings: QueueSettings::of_name(name),
                paused: false,
                declared: true,
                segment: 0,
            };
            catalog.queues.insert(id, Arc::new(queue));
            catalog.queue_ids.insert(name.into(), id);
        }
        let subscriptions = subscriptions.iter().enumerate().map(|(at, (destination, filter))| {
            Arc::new(Subscription {
                id: SubscriptionId(at as i32),
                name: format!("s{at}"),
                topic: "order".into(),
                filter: filter.as_ref().map(|filter| Filter::parse(filter).unwrap()),
                filter_json: filter.clone(),
                destination: *destination,
                declared: true,
            })
        });
        catalog.subscribe(subscriptions);
        catalog
    }

    fn check(catalog: &Catalog, attributes: Value, payload: Value) -> Vec<(i32, i32)> {
        let attributes = attributes.as_object().unwrap().clone();
        let routes = route(catalog, "order", Some("u1"), Priority::High, &attributes, || payload).unwrap();
        routes.into_iter().map(|(queue, subscription)| (queue.0, subscription.0)).collect()
    }

    const ENDPOINT: Destination = Destination::Endpoint(EndpointId(1));
    const OWN: Destination = Destination::Queue(QueueId(9));

    #[test]
    fn endpoints_go_through_the_queue_of_the_priority_and_queues_are_themselves() {
        let catalog = catalog(&[(ENDPOINT, None), (OWN, None)]);
        assert_eq!(check(&catalog, json!({}), json!({})), [(1, 0), (9, 1)]);
    }

    #[test]
    fn filters_see_type_subject_priority_attributes_and_payload() {
        let catalog = catalog(&[
            (OWN, Some(json!({"type": ["order"], "subject": ["u1"], "priority": ["HIGH"]}))),
            (OWN, Some(json!({"region": ["eu"]}))),
            (OWN, Some(json!({"payload": {"amount": [{"numeric": [">", 10]}]}}))),
            (OWN, Some(json!({"subject": ["u2"]}))),
        ]);
        assert_eq!(check(&catalog, json!({"region": "us", "subject": "u2"}), json!({"amount": 5})), [(9, 0)]);
        let all = check(&catalog, json!({"region": "eu"}), json!({"amount": 50}));
        assert_eq!(all, [(9, 0), (9, 1), (9, 2)]);
    }

    #[test]
    fn the_payload_is_read_only_when_a_filter_needs_it_and_then_once() {
        let without = catalog(&[(OWN, Some(json!({"type": ["order"]})))]);
        let never = || unreachable!("nobody looks at the payload");
        assert_eq!(route(&without, "order", None, Priority::Low, &Map::new(), never).unwrap().len(), 1);
        let filter = json!({"payload": {"a": [1]}});
        let twice = catalog(&[(OWN, Some(filter.clone())), (OWN, Some(filter))]);
        assert_eq!(check(&twice, json!({}), json!({"a": 1})).len(), 2);
    }

    #[test]
    fn a_topic_without_subscriptions_has_no_messages() {
        let routes = route(&Catalog::default(), "x", None, Priority::Low, &Map::new(), || Value::Null);
        assert_eq!(routes.unwrap(), []);
    }

    #[test]
    fn a_missing_priority_queue_is_an_error_not_a_loss() {
        let mut catalog = catalog(&[(ENDPOINT, None)]);
        catalog.queue_ids.remove("high");
        let routes = route(&catalog, "order", None, Priority::High, &Map::new(), || Value::Null);
        assert_eq!(routes.unwrap_err().code(), posthaste_base::Code::UnknownQueue);
    }

    #[test]
    fn priority_is_explicit_or_the_topics_or_the_names() {
        let mut catalog = Catalog::default();
        for (name, expected) in [
            ("BIRTHDAY", Priority::Critical),
            ("Birthday", Priority::Critical),
            ("anniversary", Priority::High),
            ("Reminder", Priority::Normal),
            ("NOTIFICATION", Priority::Low),
            ("user.birthday", Priority::Low),
        ] {
            assert_eq!(priority_of(&catalog, name, None), expected, "{name}");
        }
        let topic = Topic {
            name: "BIRTHDAY".into(),
            priority: Priority::Normal,
            schema: None,
            schema_json: None,
            declared: true,
            by_need: false,
        };
        catalog.topics.insert("BIRTHDAY".into(), Arc::new(topic));
        assert_eq!(priority_of(&catalog, "BIRTHDAY", None), Priority::Normal);
        assert_eq!(priority_of(&catalog, "BIRTHDAY", Some(Priority::Low)), Priority::Low);
    }
}
