//! The table of routes: what there is, who may, what it takes and gives. The router and the OpenAPI document are
//! both made from it.
//!
//! Not for: what a route does (see the file of its area).

use http::Method;
use posthaste_web::Scope;

use crate::call::{Answering, Call};
use crate::shape::{Kind, Shape};
use crate::{dead, declared, events, messages, modes, node, queues, redrives, schedules, subjects};

/// One route: an address with a method.
pub(crate) struct Row {
    pub(crate) method: Method,
    /// Without the version: every route is also under `/v1`.
    pub(crate) path: &'static str,
    /// Its name in the OpenAPI document, and so in clients that are made from it.
    pub(crate) id: &'static str,
    pub(crate) about: &'static str,
    /// None is for everybody.
    pub(crate) scope: Option<Scope>,
    pub(crate) query: &'static [Param],
    pub(crate) takes: Takes,
    /// The status when all went well.
    pub(crate) status: u16,
    /// The shape of the answer; none where there is no JSON, or no body.
    pub(crate) gives: Option<&'static Shape>,
    pub(crate) run: fn(Call) -> Answering,
}

/// What a route takes as its body.
#[derive(Clone, Copy)]
pub(crate) enum Takes {
    Nothing,
    Json(&'static Shape),
    OptionalJson(&'static Shape),
    /// Events in any of their forms.
    Events,
    EventBatch,
    Messages(&'static Shape),
}

/// A query parameter.
#[derive(Clone, Copy)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) about: &'static str,
}

pub(crate) const fn param(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, about }
}

pub(crate) const LIMIT: Param = param(
    "limit",
    Kind::Int(1, posthaste_base::limits::PAGE_MAX as i64),
    "How many at most; 50 when it is left out.",
);
pub(crate) const CURSOR: Param =
    param("cursor", Kind::Text, "`nextCursor` of the page before; left out for the first page.");
pub(crate) const PAGE: [Param; 2] = [LIMIT, CURSOR];

impl Row {
    pub(crate) const fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        about: &'static str,
        run: fn(Call) -> Answering,
    ) -> Self {
        let scope = Some(Scope::Read);
        Self {
            method,
            path,
            id,
            about,
            scope,
            query: &[],
            takes: Takes::Nothing,
            status: 200,
            gives: None,
            run,
        }
    }

    pub(crate) const fn needs(mut self, scope: Scope) -> Self {
        self.scope = Some(scope);
        self
    }

    pub(crate) const fn open(mut self) -> Self {
        self.scope = None;
        self
    }

    pub(crate) const fn query(mut self, query: &'static [Param]) -> Self {
        self.query = query;
        self
    }

    pub(crate) const fn takes(mut self, takes: Takes) -> Self {
        self.takes = takes;
        self
    }

    pub(crate) const fn gives(mut self, status: u16, shape: &'static Shape) -> Self {
        self.status = status;
        self.gives = Some(shape);
        self
    }

    pub(crate) const fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }
}

/// A handler as the table keeps it.
macro_rules! run {
    ($handler:path) => {
        |call| Box::pin($handler(call))
    };
}
pub(crate) use run;

/// Every route, area by area.
pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
    [
        node::ROWS,
        events::ROWS,
        messages::ROWS,
        queues::ROWS,
        declared::TOPIC_ROWS,
        declared::SUBSCRIPTION_ROWS,
        declared::ENDPOINT_ROWS,
        subjects::ROWS,
        schedules::ROWS,
        dead::ROWS,
        redrives::ROWS,
        modes::ROWS,
    ]
    .into_iter()
    .flatten()
}
