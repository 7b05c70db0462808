//! Limits that hold everywhere, with their units in their names.

/// The largest event or message body, as for a cloud queue (requirements, A8).
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// The largest HTTP request body: a batch of events, or of messages.
pub const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What the messages of one answer may have together, unless a single one has more.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How deep JSON may nest before it is refused.
pub const JSON_DEPTH_MAX: usize = 64;
/// Events in one `POST /events/batch`.
pub const BATCH_EVENTS_MAX: usize = 1_000;
/// Messages that one receive returns, or one send takes.
pub const BATCH_MESSAGES_MAX: usize = 1_000;
/// Messages of one redrive run (requirements, H5).
pub const REDRIVE_MESSAGES_MAX: usize = 1_000;
/// The longest delay of a redriven message (requirements, H5).
pub const REDRIVE_DELAY_SECONDS_MAX: u32 = 900;
/// How long a receive may wait for a message.
pub const LONG_POLL_SECONDS_MAX: u32 = 20;
/// The longest visibility timeout.
pub const VISIBILITY_SECONDS_MAX: u32 = 12 * 3600;
/// What a queue's visibility timeout must exceed its worker's timeout by (requirements, D11).
pub const VISIBILITY_MARGIN_SECONDS: u32 = 30;
/// The longest retention of a queue.
pub const RETENTION_SECONDS_MAX: u32 = 14 * 24 * 3600;
/// The longest idempotency key.
pub const KEY_BYTES_MAX: usize = 255;
/// The longest name of a queue, topic, endpoint, event type or subscription.
pub const NAME_BYTES_MAX: usize = 120;
/// The longest time that a function's messages are collected for, as for a cloud queue (requirements, D23).
pub const BATCH_WINDOW_SECONDS_MAX: u32 = 300;
/// The longest time an attempt may take (requirements, decision 5).
pub const ATTEMPT_TIMEOUT_MS_MAX: u32 = 30_000;
/// How far ahead an event may be due: ten years.
pub const DUE_AHEAD_DAYS_MAX: i64 = 3_653;
/// The page size of a listing when the caller names none, and the largest.
pub const PAGE_DEFAULT: usize = 50;
pub const PAGE_MAX: usize = 500;
