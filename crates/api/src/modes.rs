//! The failure mode: what goes wrong on purpose, where that is enabled.
//!
//! Not for: what a mode does, which the broker decides.

use axum::response::Response;
use http::Method;
use posthaste_base::Result;
use posthaste_broker::FailureMode;
use posthaste_web::Scope;

use crate::call::Call;
use crate::shape::{Kind, Shape, may, must};
use crate::table::{Row, Takes, run};

pub(crate) const ROWS: &[Row] = &[
    Row::new(Method::GET, "/failure-mode", "getFailureMode", "The failure mode that is on, if any.", run!(get))
        .gives(200, &FAILURE_MODE),
    Row::new(
        Method::PUT,
        "/failure-mode",
        "setFailureMode",
        "Switches a failure mode on, or off with `none`, for all nodes. Only where failure modes are enabled.",
        run!(put),
    )
    .needs(Scope::Operate)
    .takes(Takes::Json(&FAILURE_MODE))
    .gives(200, &FAILURE_MODE),
];

static FAILURE_MODE: Shape = Shape {
    name: "FailureMode",
    about: "What goes wrong on purpose; the same settings do the same to the same messages.",
    fields: &[
        must("mode", Kind::OneOf(&MODES), "What goes wrong."),
        may(
            "seed",
            Kind::Int(i64::MIN, i64::MAX),
            "What the choice of messages depends on; 0 when left out.",
        ),
        may("percent", Kind::Int(0, 100), "The share of messages; 30 for `random_fail_p30`, else 100."),
        may("delayMs", Kind::Int(0, 600_000), "How long `slow_downstream` waits; 3000 when left out."),
        may("endpoint", Kind::Text, "Only what goes to this endpoint; everything when left out."),
    ],
};

const MODES: [&str; 5] = ["none", "poison_payload", "slow_downstream", "random_fail_p30", "duplicate_submit"];

async fn get(call: Call) -> Result<Response> {
    let mode = call.broker().get_failure_mode().await?;
    call.answer(&mode)
}

async fn put(mut call: Call) -> Result<Response> {
    let mode: FailureMode = call.body().await?;
    let mode = call.broker().set_failure_mode(mode).await?;
    call.answer(&mode)
}
