//! The catalogue of error codes. A code is an API: once released, it keeps its name and its meaning.

use std::fmt;

macro_rules! codes {
    ($($variant:ident, $name:literal, $status:literal, $exit:literal, $title:literal, $next:literal;)+) => {
        /// A stable, kebab-case error code with its HTTP status, exit code, meaning and next step.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $title] $variant,)+ }

        impl Code {
            pub const ALL: &'static [Code] = &[$(Code::$variant),+];

            pub fn as_str(self) -> &'static str { match self { $(Code::$variant => $name,)+ } }
            /// The HTTP status that answers it.
            pub fn http_status(self) -> u16 { match self { $(Code::$variant => $status,)+ } }
            /// The exit code of a command that ends with it: 2 usage or configuration, 3 target unreachable,
            /// 4 refused for safety, 5 gave up on time or limits, 70 our bug.
            pub fn exit_code(self) -> u8 { match self { $(Code::$variant => $exit,)+ } }
            /// What it means, in one sentence without a full stop.
            pub fn title(self) -> &'static str { match self { $(Code::$variant => $title,)+ } }
            /// What to do next.
            pub fn next_step(self) -> &'static str { match self { $(Code::$variant => $next,)+ } }
        }
    };
}

codes! {
    MalformedBody, "malformed-body", 400, 2, "the body could not be read", "send well-formed JSON in UTF-8; the message names the line and column";
    MissingBody, "missing-body", 400, 2, "the body is empty", "send a JSON object as the body";
    InvalidParameter, "invalid-parameter", 400, 2, "a parameter has a value that is not allowed", "correct the parameter that the message names";
    UnknownParameter, "unknown-parameter", 400, 2, "a parameter is not known", "remove the parameter, or correct its spelling";
    Unauthorized, "unauthorized", 401, 2, "no valid API key was given", "send `Authorization: Bearer <key>`; make a key with `posthaste keys create`";
    Forbidden, "forbidden", 403, 2, "the API key lacks the scope that this needs", "use a key that has the scope";
    NotFound, "not-found", 404, 2, "there is nothing of that name or id", "check the name or id; listings show what there is";
    MethodNotAllowed, "method-not-allowed", 405, 2, "this address does not take that method", "see `/openapi.json` for the methods of each address";
    RequestTimeout, "request-timeout", 408, 5, "the request did not arrive in time", "send it again, over a faster connection or in smaller parts";
    KeyConflict, "key-conflict", 409, 2, "the idempotency key was used with another payload", "use a new key for new content, or send the same content again";
    Conflict, "conflict", 409, 2, "the thing is not in a state that allows this", "look at its present state and try what it allows";
    NotConfirmed, "not-confirmed", 409, 4, "a command that changes or destroys was not confirmed", "add `--yes`, or look first with `--dry-run`";
    LeaseLost, "lease-lost", 410, 2, "the lease of this receipt has run out or was settled", "receive the message again; make the visibility timeout longer than the work";
    PayloadTooLarge, "payload-too-large", 413, 2, "the body is larger than allowed", "send less at a time, or a reference to the content";
    UnsupportedMediaType, "unsupported-media-type", 415, 2, "the content type is not one that is read here", "send `application/json` or a CloudEvents content type";
    InvalidPayload, "invalid-payload", 422, 2, "the payload does not satisfy the schema of its event type", "correct each of the listed violations";
    InvalidEvent, "invalid-event", 422, 2, "the event cannot be accepted as described", "correct the field that the message names";
    UnknownType, "unknown-type", 422, 2, "no such event type is configured", "declare the event type, or name one that exists";
    UnknownZone, "unknown-zone", 422, 2, "there is no such time zone", "use an IANA name such as `Europe/Berlin`";
    InvalidTime, "invalid-time", 422, 2, "the date or time does not exist or is out of range", "use RFC 3339 (`2026-03-01T09:00:00Z`) or a local time with a zone";
    InvalidSchedule, "invalid-schedule", 422, 2, "the recurrence cannot be read or never occurs", "correct the rule that the message names";
    InvalidFilter, "invalid-filter", 422, 2, "the filter policy cannot be read", "correct the rule that the message names";
    InvalidEndpoint, "invalid-endpoint", 422, 2, "the endpoint's address or settings are not allowed", "use an http(s) address without credentials, to a public host, or correct the setting that the message names";
    InvalidQueue, "invalid-queue", 422, 2, "the queue's settings contradict each other", "correct the setting that the message names";
    UnknownQueue, "unknown-queue", 404, 2, "there is no queue of that name", "create the queue, or name one that exists";
    TooManyRequests, "too-many-requests", 429, 5, "the rate limit of this key is used up", "wait for the time in `Retry-After`";
    FailureModesDisabled, "failure-modes-disabled", 403, 4, "failure modes are not enabled here", "set `failure_modes = true` in `[server]`, never in production";
    InvalidConfig, "invalid-config", 422, 2, "the configuration is not valid", "correct the key that the message names; `posthaste config check` explains";
    UnknownConfigKey, "unknown-config-key", 422, 2, "the configuration has a key that is not known", "correct its spelling";
    InvalidFile, "invalid-file", 422, 2, "the file could not be read as what it should be", "check the file at the place that the message names";
    DatabaseUnreachable, "database-unreachable", 503, 3, "the database cannot be reached", "check the address, that the server runs, and that it lets this host in";
    DatabaseRefused, "database-refused", 503, 3, "the database refused the connection", "check user, password, database name and pg_hba.conf";
    DatabaseUnsupported, "database-unsupported", 503, 3, "the server's version is not supported", "use PostgreSQL 14 to 18";
    DatabaseFull, "database-full", 503, 3, "the database has no space left", "free space or grow the disk; what was accepted is safe";
    DatabaseReadOnly, "database-read-only", 503, 3, "the server does not take writes", "connect to the primary";
    DatabaseFailed, "database-failed", 503, 3, "the database could not carry out a statement", "try again; the log has the server's own message";
    OpenListener, "open-listener", 403, 4, "the address can be reached by others, and there is no API key", "make a key with `posthaste keys create`, or listen on 127.0.0.1";
    SchemaTooNew, "schema-too-new", 503, 4, "the schema is newer than this program", "run the newer version of Posthaste";
    SchemaDiffers, "schema-differs", 503, 4, "the schema was made by another build, whose migrations say other things", "run the build that made it; or, if nothing in it is needed, `drop schema posthaste cascade` and `posthaste schema upgrade`";
    SchemaMissing, "schema-missing", 503, 4, "the schema is not there or is older than this program", "run `posthaste schema upgrade`";
    PostgresMissing, "postgres-missing", 503, 3, "no PostgreSQL server programs were found", "install PostgreSQL (`apt-get install postgresql`), or name them with `--pg-bin`, or give `DATABASE_URL`";
    PostgresFailed, "postgres-failed", 503, 3, "the local PostgreSQL server did not start", "read the server's log that the message names";
    RunnerBusy, "runner-busy", 409, 4, "another runner is at work on this database", "wait for it; `posthaste runs list` shows how far it is";
    GateClosed, "gate-closed", 409, 4, "a gate of the plan is not open", "wait until it holds, say `--approve NAME` for what a person must do, or `--override GATE=reason`";
    PlanDrift, "plan-drift", 409, 4, "the database is not as it was when the plan was made", "make the plan again, and read it";
    PlanNotProven, "plan-not-proven", 422, 4, "the plan does not do what the migration does, or cannot be taken back", "report the migration as a bug of ours; run it by hand, statement by statement, or with `--no-proof` once you have read the plan";
    MissingRight, "missing-right", 403, 4, "the role lacks a right that a step needs", "grant what the message names, or connect as the owner";
    LocksHeld, "locks-held", 503, 5, "a lock could not be had in the time allowed", "see with `posthaste runs show` who was in the way, then `posthaste runs resume`";
    StepFailed, "step-failed", 422, 5, "a step of the plan failed", "read the cause, then `posthaste runs resume` or `posthaste runs abort`";
    ProofFailed, "proof-failed", 409, 4, "a batch could not be proven right, and was rolled back", "look at the rows of that batch, then `posthaste runs resume` or `posthaste runs abort`";
    MigrationsDisagree, "migrations-disagree", 409, 4, "the folder and the database disagree about what was applied", "see `posthaste migrate status`, and mend what it names: bring files back, or settle what failed with the tool itself";
    RunStopped, "run-stopped", 409, 5, "the run was stopped before its end", "go on with `posthaste runs resume`, or back with `posthaste runs abort`";
    Unavailable, "unavailable", 503, 5, "the service cannot do this at the moment", "try again shortly";
    KeyInUse, "key-in-use", 503, 5, "another transaction that is still open holds the idempotency key", "send the same again shortly; should it last, end the transaction that published the key from SQL and was left open";
    Timeout, "timeout", 504, 5, "it took longer than allowed", "try again, with less at a time";
    Internal, "internal", 500, 70, "an error of Posthaste itself", "report it with the correlation id";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
