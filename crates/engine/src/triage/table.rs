//! The rows of the table of causes. Their order matters; `causes` says why.

use posthaste_base::Category;

use super::Action;
use super::causes::Cause;

const BASE: Cause = Cause {
    name: "",
    category: Category::Processing,
    action: Action::FixFirst,
    effect_unknown: false,
    rank: 9,
    per_second: 5,
    codes: &[],
    classes: &[],
    statuses: &[],
    phrases: &[],
    reason: "",
};

/// Lists of words stay filled lines: one word a line would make the table three times as long.
#[rustfmt::skip]
pub(super) static TABLE: &[Cause] = &[
    Cause {
        name: "host-unknown",
        category: Category::Transient,
        action: Action::Redrive,
        rank: 0,
        per_second: 10,
        codes: &["dns-failed"],
        classes: &["enotfound", "eaiagain", "gaierror"],
        phrases: &[
            "enotfound", "eai_again", "getaddrinfo", "nxdomain", "servfail", "name or service not known",
            "could not resolve host", "no such host", "host not found",
            "temporary failure in name resolution", "name resolution",
        ],
        reason: "the host's name could not be resolved, so nothing was sent; redrive once it resolves",
        ..BASE
    },
    Cause {
        name: "certificate-refused",
        category: Category::Transient,
        action: Action::FixFirst,
        codes: &["tls-failed"],
        classes: &["certificateerror", "sslerror", "sslcertverificationerror", "certhasexpired"],
        phrases: &[
            "certificate", "x509", "self-signed", "self signed", "unable to verify the first certificate",
            "cert_has_expired", "depth_zero_self_signed_cert", "tls handshake failure",
            "ssl handshake failed", "unknown ca", "hostname mismatch",
        ],
        reason: "no secure connection can be made until the certificate (or the trust in it) is put right; \
                 nothing was sent",
        ..BASE
    },
    Cause {
        name: "pool-exhausted",
        category: Category::Transient,
        action: Action::Redrive,
        rank: 1,
        per_second: 5,
        classes: &[
            "connectionpoolexhausted", "poolexhausted", "pooltimeout", "pooltimeouterror",
            "sequelizeconnectionacquiretimeouterror", "toomanyconnections",
        ],
        phrases: &[
            "pool exhausted", "connection pool", "pool timeout", "pool is full", "queuepool limit",
            "too many clients", "too many connections", "remaining connection slots",
            "connection limit exceeded", "acquire connection", "acquiring connection",
            "acquiring a connection", "timed out fetching a new connection",
        ],
        reason: "no connection was free, so the work was not begun; redrive slowly, or the pool runs out again",
        ..BASE
    },
    Cause {
        name: "throttled",
        category: Category::Transient,
        action: Action::Redrive,
        rank: 4,
        per_second: 1,
        classes: &[
            "throttlingexception", "toomanyrequests", "toomanyrequestsexception", "ratelimiterror",
            "ratelimitexceeded", "provisionedthroughputexceededexception", "slowdown",
        ],
        statuses: &[429],
        phrases: &[
            "throttled", "throttling", "too many requests", "rate exceeded", "rate limit", "rate limited",
            "ratelimit", "quota exceeded",
        ],
        reason: "the other side was called too often and refused; redrive below its limit",
        ..BASE
    },
    Cause {
        name: "write-conflict",
        category: Category::Transient,
        action: Action::Redrive,
        rank: 2,
        classes: &["deadlockdetected", "serializationfailure", "40001", "40p01"],
        phrases: &[
            "deadlock", "deadlock detected", "could not serialize access", "serialization failure",
            "write conflict", "lock timeout", "lock wait timeout", "could not obtain lock",
        ],
        reason: "the transaction lost against another one and was rolled back; a repeat goes through",
        ..BASE
    },
    Cause {
        name: "query-timeout",
        category: Category::Timeout,
        action: Action::Redrive,
        effect_unknown: true,
        rank: 3,
        per_second: 2,
        classes: &["querytimeout", "querytimeouterror", "querycanceled", "57014"],
        phrases: &[
            "query timeout", "query timed out", "querytimeout", "statement timeout",
            "canceling statement due to", "query exceeded", "query read timeout",
        ],
        reason: "the database was too slow; redrive once it is well, slowly. The client gave up: the statement \
                 may have been carried out",
        ..BASE
    },
    Cause {
        name: "connect-timeout",
        category: Category::Transient,
        action: Action::Redrive,
        rank: 0,
        per_second: 10,
        classes: &["connecttimeout", "connecttimeouterror", "connectiontimeout", "connectiontimeouterror"],
        phrases: &[
            "connection timeout", "connect timeout", "connection timed out", "connect timed out",
            "connect etimedout", "timed out connecting", "timeout connecting", "timeout expired connecting",
            "tls handshake timeout",
        ],
        reason: "no connection came about, so nothing was sent; redrive once the other side can be reached",
        ..BASE
    },
    Cause {
        name: "connection-refused",
        category: Category::Transient,
        action: Action::Redrive,
        rank: 0,
        per_second: 10,
        codes: &["connect-refused", "unreachable"],
        classes: &[
            "econnrefused", "connectionrefused", "connectionrefusederror", "ehostunreach", "enetunreach",
        ],
        phrases: &[
            "econnrefused", "connection refused", "refused the connection", "no route to host",
            "ehostunreach", "enetunreach", "host unreachable", "network is unreachable", "could not connect",
            "failed to connect", "unable to connect", "can't connect", "the database system is starting up",
            "the database system is shutting down", "cannot execute in a read-only transaction",
            "read-only transaction",
        ],
        reason: "the other side did not take connections, so nothing was done; redrive once it does",
        ..BASE
    },
    Cause {
        name: "connection-lost",
        category: Category::Transient,
        action: Action::Redrive,
        effect_unknown: true,
        rank: 1,
        codes: &["connection-reset", "protocol-error"],
        classes: &["econnreset", "epipe", "connectionreseterror", "connectionclosed", "brokenpipeerror"],
        phrases: &[
            "econnreset", "connection reset", "broken pipe", "epipe", "socket hang up",
            "closed the connection", "connection closed", "connection is closed", "connection terminated",
            "terminating connection", "connection was cut", "unexpected eof", "premature close",
            "incomplete message",
        ],
        reason: "the connection was cut on the way: the other side may have done the work before",
        ..BASE
    },
    Cause {
        name: "task-timeout",
        category: Category::Timeout,
        action: Action::Redrive,
        effect_unknown: true,
        rank: 3,
        per_second: 2,
        codes: &["lease-expired"],
        classes: &["sandboxtimedout", "lambdatimeout", "functiontimeout"],
        phrases: &[
            "task timed out", "lambda timeout", "lambda timed out", "function timed out", "function timeout",
            "execution timed out", "worker timeout", "sandbox.timedout", "did not settle the message",
        ],
        reason: "the worker was cut off in the middle of its work: any part of it may have been done",
        ..BASE
    },
    Cause {
        name: "out-of-resources",
        category: Category::Processing,
        action: Action::FixFirst,
        effect_unknown: true,
        classes: &["outofmemoryerror", "memoryerror", "enospc"],
        phrases: &[
            "out of memory", "heap limit", "heap out of memory", "oomkilled", "signal: killed",
            "memory size exceeded", "no space left", "disk full", "could not extend file", "emfile",
            "too many open files",
        ],
        reason: "the worker or its database ran out of memory or space; give it more first, or the letters \
                 take it down again",
        ..BASE
    },
    Cause {
        name: "no-answer",
        category: Category::Timeout,
        action: Action::Redrive,
        effect_unknown: true,
        rank: 4,
        per_second: 2,
        codes: &["timeout"],
        classes: &[
            "readtimeout", "readtimeouterror", "esockettimedout",
            "sockettimeoutexception", "deadlineexceeded", "gatewaytimeout",
        ],
        statuses: &[408, 504],
        phrases: &[
            "timed out", "timeout", "time-out", "etimedout", "esockettimedout", "deadline exceeded",
            "gave up waiting",
        ],
        reason: "no answer came in time: what was asked for may have been done",
    },
    Cause {
        name: "schema-behind",
        category: Category::Processing,
        action: Action::FixFirst,
        classes: &[
            "undefinedtable", "undefinedcolumn", "undefinedfunction", "42p01", "42703", "42883",
            "modulenotfounderror", "importerror", "importmoduleerror",
        ],
        phrases: &[
            "no such table", "no such column", "unknown column", "undefined column", "undefined table",
            "cannot find module", "no module named", "command not found", "unable to import module",
        ],
        reason: "the consumer and its database (or its own parts) are of different versions; deploy or migrate \
                 first",
        ..BASE
    },
    Cause {
        name: "access-denied",
        category: Category::Permanent,
        action: Action::FixFirst,
        codes: &["address-refused"],
        classes: &[
            "unauthorized", "unauthorizederror", "forbidden", "forbiddenerror", "accessdenied",
            "accessdeniedexception", "accessdeniederror", "permissionerror", "authenticationerror",
            "expiredtoken", "expiredtokenexception", "28p01", "42501",
        ],
        statuses: &[401, 403, 407],
        phrases: &[
            "unauthorized", "unauthorised", "forbidden", "access denied", "permission denied",
            "not authorized", "authentication failed", "invalid api key", "invalid signature",
            "token expired", "expired token", "token has expired", "invalid token", "invalid credentials",
            "calls to this address are not allowed",
        ],
        reason: "access was denied: put the credentials, the grant or the address right first",
        ..BASE
    },
    Cause {
        name: "unreadable-message",
        category: Category::Validation,
        action: Action::Transform,
        classes: &[
            "jsondecodeerror", "deserializationerror", "deserializationexception", "jsonparseexception",
            "jsonmappingexception", "unicodedecodeerror", "syntaxerror", "parseerror", "unmarshaltypeerror",
        ],
        statuses: &[415],
        phrases: &[
            "deserialize", "deserialise", "deserialization", "unmarshal", "unexpected token",
            "unexpected end of json", "invalid json", "malformed", "parse error", "failed to parse",
            "could not parse", "cannot parse", "invalid utf-8", "invalid base64", "missing field",
            "unknown schema version", "unsupported version",
        ],
        reason: "the consumer cannot read the message: its format is broken, or newer or older than the \
                 consumer. Change the message, or deploy a consumer that reads it",
        ..BASE
    },
    Cause {
        name: "message-too-large",
        category: Category::Validation,
        action: Action::Transform,
        codes: &["payload-too-large"],
        classes: &["payloadtoolargeerror", "messagetoolong"],
        statuses: &[413],
        phrases: &["too large", "entity too large", "exceeds the maximum size", "message too long"],
        reason: "the message is larger than the other side takes: send a reference, or less",
        ..BASE
    },
    Cause {
        name: "empty-message",
        category: Category::Validation,
        action: Action::Discard,
        phrases: &[
            "cannot be empty", "must not be empty", "is empty", "should not be empty",
            "must contain at least", "at least one item", "non-empty",
        ],
        reason: "the message has nothing in it that could be delivered: archive it, and mend its producer",
        ..BASE
    },
    Cause {
        name: "invalid-message",
        category: Category::Validation,
        action: Action::Transform,
        codes: &["invalid-payload", "invalid-event"],
        classes: &[
            "validationerror", "validationexception", "schemavalidationerror", "schemaerror",
            "invalidargument", "invalidargumenterror", "valueerror", "badrequest", "badrequesterror",
            "zoderror", "constraintviolationexception",
        ],
        statuses: &[400, 422],
        phrases: &[
            "validation", "violates check constraint", "violates not-null constraint", "schema violation",
            "does not satisfy the schema", "is required", "required field", "must be", "must have",
            "must match", "invalid value", "invalid input", "out of range", "bad request", "unprocessable",
        ],
        reason: "the message is wrong and stays wrong: mend its producer; then correct the message and send it, \
                 or archive it",
        ..BASE
    },
    Cause {
        name: "server-error",
        category: Category::Transient,
        action: Action::Redrive,
        effect_unknown: true,
        rank: 5,
        classes: &["internalservererror", "serviceunavailable", "serviceunavailableexception", "badgateway"],
        statuses: &[425, 500, 502, 503],
        phrases: &[
            "internal server error", "bad gateway", "service unavailable", "temporarily unavailable",
            "server error", "try again later",
        ],
        reason: "the other side failed; redrive once it is well. It may have failed after the work was done",
        ..BASE
    },
    Cause {
        name: "already-done",
        category: Category::Permanent,
        action: Action::Discard,
        classes: &[
            "duplicate", "duplicateerror", "duplicatemessage", "alreadyprocessed", "alreadyexists",
            "alreadyexistserror", "conditionalcheckfailedexception", "23505", "uniqueviolation",
        ],
        phrases: &[
            "already processed", "already been processed", "already handled", "already exists",
            "already sent", "already done", "duplicate", "duplicate key", "unique constraint",
            "idempotency conflict",
        ],
        reason: "what the message asks for has been done: another try is refused, or does it twice",
        ..BASE
    },
    Cause {
        name: "gone",
        category: Category::Permanent,
        action: Action::Discard,
        classes: &["gone", "goneerror", "deleted", "deletederror"],
        statuses: &[410],
        phrases: &[
            "was deleted", "been deleted", "is deleted", "deleted", "no longer exists", "no longer relevant",
            "unsubscribed", "account closed", "410 gone", "is gone",
        ],
        reason: "what the message is about has been removed: it is no longer wanted",
        ..BASE
    },
    Cause {
        name: "not-found",
        category: Category::Permanent,
        action: Action::Discard,
        classes: &[
            "notfound", "notfounderror", "notfoundexception", "resourcenotfound", "resourcenotfoundexception",
            "entitynotfound", "entitynotfounderror", "nosuchkey", "recordnotfound", "doesnotexist",
        ],
        statuses: &[404],
        phrases: &["not found", "notfound", "does not exist", "doesn't exist", "no such", "unknown user"],
        reason: "what the message is about is not there (any more). If it is the address that is not there, \
                 correct it and redrive instead",
        ..BASE
    },
    Cause {
        name: "kept-too-long",
        category: Category::Timeout,
        action: Action::FixFirst,
        codes: &["retention-expired"],
        phrases: &["retention", "message expired", "was not delivered while its queue kept it"],
        reason: "nobody took it while its queue kept it: see why, and whether it is still wanted",
        ..BASE
    },
    Cause {
        name: "refused-by-endpoint",
        category: Category::Permanent,
        action: Action::FixFirst,
        statuses: &[301, 302, 303, 307, 308, 405, 406],
        phrases: &[
            "redirect", "redirect not followed", "method not allowed", "not acceptable", "not implemented",
        ],
        reason: "the endpoint refused the message for good: correct its address or what it takes first",
        ..BASE
    },
    Cause {
        name: "consumer-failed",
        category: Category::Processing,
        action: Action::FixFirst,
        effect_unknown: true,
        classes: &[
            "typeerror", "keyerror", "attributeerror", "nullpointerexception", "indexerror", "referenceerror",
            "rangeerror", "assertionerror", "zerodivisionerror", "runtimeerror",
        ],
        phrases: &[
            "typeerror", "nullpointerexception", "cannot read properties", "is not a function",
            "is not defined", "panicked", "panic", "stack overflow", "segmentation fault", "traceback",
            "unhandled exception", "assertion failed", "nonetype",
        ],
        reason: "the consumer's own code failed: mend and deploy it, then redrive",
        ..BASE
    },
    Cause {
        name: "passing-trouble",
        category: Category::Transient,
        action: Action::Redrive,
        effect_unknown: true,
        rank: 6,
        per_second: 2,
        reason: "it was recorded as something that passes, without saying what; a few first will show",
        ..BASE
    },
    Cause {
        name: "unknown",
        category: Category::Processing,
        action: Action::FixFirst,
        effect_unknown: true,
        reason: "the error says nothing that is known here: look at a few before deciding",
        ..BASE
    },
];
