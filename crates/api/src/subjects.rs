//! Subjects: whom events are about, with their zone and their dates.
//!
//! Not for: deciding what a change moves, which the broker does and reports.

use axum::response::Response;
use http::Method;
use posthaste_base::Result;
use posthaste_broker::{SubjectIn, SubjectPatch};
use posthaste_web::Scope;

use crate::call::{Call, json_response, to_value};
use crate::shape::{Field, Kind, Shape, may, must, or_null, page_fields};
use crate::table::{PAGE, Row, Takes, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(Method::GET, "/subjects", "listSubjects", "Subjects by id.", run!(list)).query(&PAGE).gives(200, &SUBJECTS),
    Row::new(Method::GET, "/subjects/{id}", "getSubject", "A subject.", run!(get)).gives(200, &SUBJECT),
    Row::new(
        Method::PUT,
        "/subjects/{id}",
        "putSubject",
        "Makes a subject (201), or makes an existing one exactly so (200). Answers what moved, and what could not.",
        run!(put),
    )
    .needs(Scope::Operate)
    .takes(Takes::Json(&SUBJECT_IN))
    .gives(200, &SUBJECT_CHANGE),
    Row::new(
        Method::PATCH,
        "/subjects/{id}",
        "patchSubject",
        "Changes a subject. A date or an attribute that is null is removed.",
        run!(patch),
    )
    .needs(Scope::Operate)
    .takes(Takes::Json(&SUBJECT_PATCH))
    .gives(200, &SUBJECT_CHANGE),
    Row::new(
        Method::DELETE,
        "/subjects/{id}",
        "deleteSubject",
        "Removes a subject and its schedules, and takes back their pending events.",
        run!(delete),
    )
    .needs(Scope::Operate)
    .gives(200, &SUBJECT_REMOVED),
];

const ZONE: &str = "An IANA name such as `Europe/Berlin`.";
const DATES: Field = may("dates", Kind::Object, "Such as `{\"birthday\": \"1990-03-15\"}`.");
const ATTRIBUTES: Field = may("attributes", Kind::Object, "Whatever else is known.");

static SUBJECT_IN: Shape = Shape {
    name: "SubjectIn",
    about: "A subject, whole.",
    fields: &[must("zone", Kind::Text, ZONE), DATES, ATTRIBUTES],
};

static SUBJECT_PATCH: Shape = Shape {
    name: "SubjectPatch",
    about: "What changes of a subject.",
    fields: &[may("zone", Kind::Text, ZONE), DATES, ATTRIBUTES],
};

static SUBJECT: Shape = Shape {
    name: "Subject",
    about: "Whom events are about.",
    fields: &[
        must("id", Kind::Text, "Its id, as events name it."),
        must("zone", Kind::Text, ZONE),
        must("dates", Kind::Object, "Its dates."),
        must("attributes", Kind::Object, "Whatever else is known."),
        must("createdAt", Kind::Time, "When it was made."),
        must("updatedAt", Kind::Time, "When it last changed."),
    ],
};

static SUBJECT_CHANGE: Shape = Shape {
    name: "SubjectChange",
    about: "A subject that was made or changed, and what became of its pending events.",
    fields: &[
        must("subject", Kind::Of(&SUBJECT), "As it is now."),
        must("created", Kind::Bool, "Whether it is new."),
        must("moved", Kind::List(&Kind::Of(&MOVED)), "Pending events that have another time now."),
        must("notMoved", Kind::List(&Kind::Of(&NOT_MOVED)), "Events that stay as they were."),
    ],
};

static MOVED: Shape = Shape {
    name: "Moved",
    about: "A pending event that has another time now; it is still the same event.",
    fields: &[
        must("schedule", Kind::Int(1, i64::MAX), "Its schedule."),
        must("event", Kind::Text, "Its id."),
        or_null("from", Kind::Time, "When it was due; null when it was made only now."),
        or_null("to", Kind::Time, "When it is due; null when it was taken back."),
    ],
};

static NOT_MOVED: Shape = Shape {
    name: "NotMoved",
    about: "An event that stays as it was.",
    fields: &[
        must("schedule", Kind::Int(1, i64::MAX), "Its schedule."),
        must("event", Kind::Text, "Its id."),
        must("reason", Kind::OneOf(&["inDelivery"]), "Why."),
    ],
};

static SUBJECT_REMOVED: Shape = Shape {
    name: "SubjectRemoved",
    about: "What became of the events of a removed subject.",
    fields: &[
        must("withdrawn", Kind::List(&Kind::Text), "Pending ones that were taken back."),
        must("inDelivery", Kind::List(&Kind::Text), "Those that will still be delivered."),
    ],
};

static SUBJECTS: Shape =
    Shape { name: "SubjectPage", about: "Subjects.", fields: &page_fields(&Kind::Of(&SUBJECT)) };

async fn list(call: Call) -> Result<Response> {
    let page = call.page::<String>()?;
    let subjects = call.broker().list_subjects(page.after.as_deref(), page.limit + 1).await?;
    call.answer_page(subjects, page.limit, |subject| subject.id.clone())
}

async fn get(call: Call) -> Result<Response> {
    let subject = call.broker().get_subject(call.param("id")).await?;
    call.answer(&subject)
}

async fn put(mut call: Call) -> Result<Response> {
    let subject: SubjectIn = call.checked().await?;
    let change = call.broker().put_subject(call.param("id"), subject).await?;
    let status = if change.created { 201 } else { 200 };
    Ok(json_response(status, &SUBJECT_CHANGE.write(to_value(&change)?)))
}

async fn patch(mut call: Call) -> Result<Response> {
    let patch: SubjectPatch = call.checked().await?;
    let change = call.broker().patch_subject(call.param("id"), patch).await?;
    call.answer(&change)
}

async fn delete(call: Call) -> Result<Response> {
    let removed = call.broker().delete_subject(call.param("id")).await?;
    call.answer(&removed)
}
