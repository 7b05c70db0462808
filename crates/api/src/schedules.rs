//! Schedules: what makes the next event of a series.
//!
//! Not for: what a rule means, which the broker decides.

use axum::response::Response;
use http::Method;
use posthaste_base::{Result, ScheduleId};
use posthaste_broker::ScheduleIn;
use posthaste_web::{PageRequest, Scope};

use crate::call::Call;
use crate::shape::{Kind, Shape, may, must, or_null, page_fields};
use crate::table::{CURSOR, LIMIT, Row, Takes, param, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(
        Method::GET,
        "/schedules",
        "listSchedules",
        "Schedules, or those of one subject, by id.",
        run!(list),
    )
    .query(&[LIMIT, CURSOR, param("subject", Kind::Text, "Only those of this subject.")])
    .gives(200, &SCHEDULES),
    Row::new(
        Method::POST,
        "/schedules",
        "createSchedule",
        "Makes a schedule and its first event. With a `name`, a second one of that name is a conflict.",
        run!(create),
    )
    .needs(Scope::Operate)
    .takes(Takes::Json(&SCHEDULE_IN))
    .gives(201, &SCHEDULE),
    Row::new(Method::GET, "/schedules/{schedule}", "getSchedule", "A schedule, by name or id.", run!(get))
        .gives(200, &SCHEDULE),
    Row::new(
        Method::POST,
        "/schedules/{schedule}/pause",
        "pauseSchedule",
        "Takes back the pending event, and makes nothing more until it resumes.",
        run!(pause),
    )
    .needs(Scope::Operate)
    .gives(200, &SCHEDULE_CHANGE),
    Row::new(
        Method::POST,
        "/schedules/{schedule}/resume",
        "resumeSchedule",
        "Goes on with the next occurrence from now; what would have been in the pause is skipped.",
        run!(resume),
    )
    .needs(Scope::Operate)
    .gives(200, &SCHEDULE_CHANGE),
    Row::new(
        Method::POST,
        "/schedules/{schedule}/cancel",
        "cancelSchedule",
        "Takes back the pending event, and ends the schedule.",
        run!(cancel),
    )
    .needs(Scope::Operate)
    .gives(200, &SCHEDULE_CHANGE),
    Row::new(
        Method::DELETE,
        "/schedules/{schedule}",
        "deleteSchedule",
        "The same as cancelling: a schedule stays to be looked at.",
        run!(cancel),
    )
    .needs(Scope::Operate)
    .gives(200, &SCHEDULE_CHANGE),
];

const RULE: &str = "`{\"once\": \"2026-05-01T09:00\"}`, `{\"yearly\": \"03-15\"}`, `{\"cron\": \"0 9 * * 1-5\"}` or \
                    `{\"rrule\": \"FREQ=WEEKLY;BYDAY=MO\", \"from\": \"2026-01-05T09:00\"}`.";

static SCHEDULE_IN: Shape = Shape {
    name: "ScheduleIn",
    about: "A schedule to make: by a rule, or by a date of its subject.",
    fields: &[
        may("name", Kind::Text, "What it can be asked for by, beside its id."),
        must("type", Kind::Text, "The type of its events."),
        may("subject", Kind::Text, "Whom they are about."),
        may("rule", Kind::Object, RULE),
        may(
            "follows",
            Kind::Text,
            "Instead of a rule: a date of the subject that comes every year, such as `birthday`.",
        ),
        may("zone", Kind::Text, "An IANA name; the subject's, whichever that is by then, when left out."),
        may(
            "at",
            Kind::Text,
            "The local time of day for rules of days alone; 09:00 when left out. Refused beside a rule with a time.",
        ),
        may("priority", Kind::Priority, "Of its events; the type's own when left out."),
        may("attributes", Kind::Object, "What its events have."),
        may("payload", Kind::Any, "What its events carry."),
    ],
};

static SCHEDULE: Shape = Shape {
    name: "Schedule",
    about: "What makes the next event of a series.",
    fields: &[
        must("id", Kind::Int(1, i64::MAX), "Its id."),
        or_null("name", Kind::Text, "Its name, or null."),
        must("type", Kind::Text, "The type of its events."),
        or_null("subject", Kind::Text, "Whom they are about, or null."),
        or_null("rule", Kind::Object, RULE),
        or_null("follows", Kind::Text, "The date of the subject that it follows, or null."),
        must("zone", Kind::Text, "The zone that it occurs in."),
        must("hasOwnZone", Kind::Bool, "Whether that is its own, and not its subject's."),
        must("at", Kind::Text, "The local time of day where the rule names none."),
        or_null("priority", Kind::Priority, "Of its events; null is the type's own."),
        must("attributes", Kind::Object, "What its events have."),
        must("payload", Kind::Any, "What its events carry."),
        must("status", Kind::OneOf(&["active", "paused", "cancelled", "finished"]), "How it is."),
        or_null("eventId", Kind::Text, "The event that waits or is in delivery, or null."),
        or_null("nextAt", Kind::Time, "When that is due, or null."),
        or_null("nextLocal", Kind::Text, "The same in the schedule's zone, or null."),
        must("occurrences", Kind::Int(0, i64::MAX), "How many events it made."),
        must("createdAt", Kind::Time, "When it was made."),
        must("updatedAt", Kind::Time, "When it last changed."),
    ],
};

static SCHEDULE_CHANGE: Shape = Shape {
    name: "ScheduleChange",
    about: "What pausing, resuming or cancelling did.",
    fields: &[
        must("schedule", Kind::Of(&SCHEDULE), "As it is now."),
        or_null("withdrawn", Kind::Text, "The pending event that was taken back, or null."),
        or_null("inDelivery", Kind::Text, "The event that could not be taken back, or null."),
    ],
};

static SCHEDULES: Shape =
    Shape { name: "SchedulePage", about: "Schedules.", fields: &page_fields(&Kind::Of(&SCHEDULE)) };

async fn list(call: Call) -> Result<Response> {
    let query = call.query()?;
    let page = PageRequest::<ScheduleId>::of(call.row.path, &query)?;
    let subject = query.text("subject")?;
    let schedules = call.broker().list_schedules(subject, page.after, page.limit + 1).await?;
    call.answer_page(schedules, page.limit, |schedule| schedule.id)
}

async fn create(mut call: Call) -> Result<Response> {
    let schedule: ScheduleIn = call.checked().await?;
    let schedule = call.broker().create_schedule(schedule).await?;
    call.answer(&schedule)
}

async fn get(call: Call) -> Result<Response> {
    let schedule = call.broker().get_schedule(call.param("schedule")).await?;
    call.answer(&schedule)
}

async fn pause(call: Call) -> Result<Response> {
    let change = call.broker().pause_schedule(call.param("schedule")).await?;
    call.answer(&change)
}

async fn resume(call: Call) -> Result<Response> {
    let change = call.broker().resume_schedule(call.param("schedule")).await?;
    call.answer(&change)
}

async fn cancel(call: Call) -> Result<Response> {
    let change = call.broker().cancel_schedule(call.param("schedule")).await?;
    call.answer(&change)
}
