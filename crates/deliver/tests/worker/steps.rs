//! What a delivery writes to the logs, which ties it to the event's other steps.

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex};

use posthaste_observe::correlation;
use posthaste_testkit::receiver::Behaviour;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use crate::post_office::{ORDERS, PostOffice, until};

/// Keeps the lines of the crate, each with the correlation id that was set when it was written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = fmt::Write::write_fmt(&mut self.0, format_args!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("posthaste_deliver") && metadata.is_event()
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let id = correlation::current().map_or_else(|| "none".to_owned(), |id| id.to_string());
        let mut line = Line(format!("[{id}]"));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn each_attempt_has_a_line_with_the_correlation_id_of_its_event() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let office = PostOffice::open(ORDERS).await;
    office.receiver.behave("/shop", Behaviour::answer(200).fail_first(1, 503));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let event = office
        .publish_as("order", |event| event.correlation_id = Some(format!("00-{trace}-00f067aa0ba902b7-01")))
        .await;
    office.delivered(event.id).await;
    let steps = async || {
        let lines = lines.0.lock().unwrap();
        let steps: Vec<_> = lines.iter().filter(|line| line.contains("taken by `shop`")).cloned().collect();
        (steps.len() == 2).then_some(steps)
    };
    let steps = until("both lines", steps).await;
    let (id, trace) = (format!("event.id=\"{}\"", event.id), format!("[{trace}]"));
    assert!(steps.iter().all(|line| line.contains(&id) && line.starts_with(&trace)), "{steps:?}");
    assert!(steps[0].contains("not taken") && steps[0].contains("status=503"), "{steps:?}");
    assert!(!steps[1].contains("not taken") && steps[1].contains("status=200"), "{steps:?}");
}
