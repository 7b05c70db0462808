//! Logs: one line an event on standard error, readable or JSON, with the correlation id of what is being
//! worked on. The filter is one of `tracing`'s (`info`, `posthaste=debug,info`).
//!
//! Not for: what is logged where. `error` means that a person must act.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::str::FromStr;

use jiff::Timestamp;
use posthaste_base::{Code, Error, Result};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::correlation;
use crate::mask::mask;

/// The filter when none is given.
const FILTER: &str = "info";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people at a terminal.
    #[default]
    Readable,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            LogFormat::Readable => "readable",
            LogFormat::Json => "json",
        }
    }
}

impl FromStr for LogFormat {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "readable" => Ok(LogFormat::Readable),
            "json" => Ok(LogFormat::Json),
            _ => Err(Error::new(Code::InvalidConfig, format!("`{text}` is not a log format"))
                .expected("`readable` or `json`")),
        }
    }
}

/// Sends this process's logs to standard error from now on. Called once, by the binary.
pub fn start(format: LogFormat, filter: Option<&str>) -> Result<()> {
    let is_coloured = io::stderr().is_terminal() && format == LogFormat::Readable;
    let subscriber = subscriber(format, filter, is_coloured, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Error::new(Code::Internal, "failed to start the logs").caused_by(error))
}

fn subscriber<W>(
    format: LogFormat,
    filter: Option<&str>,
    is_coloured: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = filter.unwrap_or(FILTER);
    let parsed = EnvFilter::try_new(filter).map_err(|error| {
        Error::new(Code::InvalidConfig, format!("the log filter `{filter}` cannot be read"))
            .field("log_filter")
            .expected("a level or `target=level` pairs, such as `info,posthaste_web=debug`")
            .caused_by(error)
    })?;
    Ok(tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_ansi(is_coloured)
        .with_writer(Masked(writer))
        .event_format(Lines(format))
        .finish())
}

/// Writes one event as one line.
struct Lines(LogFormat);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.0 {
            LogFormat::Readable => readable(ctx, &mut out, event),
            LogFormat::Json => json(ctx, &mut out, event),
        }
    }
}

fn readable<S, N>(ctx: &FmtContext<'_, S, N>, out: &mut Writer<'_>, event: &Event<'_>) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let level = *event.metadata().level();
    let (on, off) = if out.has_ansi_escapes() { (colour(level), "\x1b[0m") } else { ("", "") };
    write!(out, "{:.3} {on}{level:>5}{off} ", Timestamp::now())?;
    ctx.format_fields(out.by_ref(), event)?;
    write_spans(ctx, out)?;
    if let Some(id) = correlation::current() {
        write!(out, " correlation_id={id}")?;
    }
    out.write_char('\n')
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        Level::DEBUG => "\x1b[34m",
        Level::TRACE => "\x1b[35m",
    }
}

fn json<S, N>(ctx: &FmtContext<'_, S, N>, out: &mut Writer<'_>, event: &Event<'_>) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut fields = Fields(Map::new());
    let meta = event.metadata();
    fields.put("time", format!("{:.3}", Timestamp::now()));
    fields.put("level", meta.level().as_str());
    fields.put("target", meta.target());
    event.record(&mut fields);
    if let Some(id) = correlation::current() {
        fields.put("correlation_id", id.as_str());
    }
    let mut spans = String::new();
    write_spans(ctx, &mut Writer::new(&mut spans))?;
    if !spans.is_empty() {
        fields.put("spans", spans.trim_start());
    }
    writeln!(out, "{}", Value::Object(fields.0))
}

/// The names and fields of the spans around an event, outermost first: ` serve node{id=1}`.
fn write_spans<S, N>(ctx: &FmtContext<'_, S, N>, out: &mut Writer<'_>) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let Some(scope) = ctx.event_scope() else { return Ok(()) };
    for span in scope.from_root() {
        write!(out, " {}", span.name())?;
        if let Some(fields) =
            span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty())
        {
            write!(out, "{{{fields}}}")?;
        }
    }
    Ok(())
}

/// An event's fields, with numbers and booleans as such.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }
}

/// Masks secrets in what is written, and keeps one event on one line: a caller's text with a line break in it
/// must not pass for a line of ours. The formatter hands over a whole event at once, so nothing is cut in two.
struct Masked<W>(W);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for Masked<W> {
    type Writer = MaskedWriter<W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        MaskedWriter(self.0.make_writer())
    }
}

struct MaskedWriter<W>(W);

impl<W: Write> Write for MaskedWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = mask(text.strip_suffix('\n').unwrap_or(&text));
        let mut text = if text.contains(['\n', '\r']) {
            text.replace('\r', "\\r").replace('\n', "\\n")
        } else {
            text.into_owned()
        };
        text.push('\n');
        self.0.write_all(text.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use posthaste_base::Secret;

    use super::*;
    use crate::CorrelationId;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, log: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = subscriber(format, None, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn talk() {
        let _entered = correlation::enter(CorrelationId::parse(b"abc-1").unwrap());
        let _span = tracing::info_span!("deliver", endpoint.name = "shop").entered();
        let secret = Secret::new("s3cret");
        tracing::info!(queue.name = "high", duration_ms = 12, %secret, "settled `high`");
        tracing::debug!("not at this level");
    }

    #[test]
    fn json_lines_carry_fields_and_the_correlation_id() {
        let line = logged(LogFormat::Json, talk);
        assert_eq!(line.lines().count(), 1);
        let line: Value = serde_json::from_str(&line).unwrap();
        for (field, expected) in [
            ("level", Value::from("INFO")),
            ("message", "settled `high`".into()),
            ("queue.name", "high".into()),
            ("duration_ms", 12.into()),
            ("secret", "***".into()),
            ("correlation_id", "abc-1".into()),
            ("spans", "deliver{endpoint.name=\"shop\"}".into()),
        ] {
            assert_eq!(line[field], expected, "{line}");
        }
    }

    #[test]
    fn readable_lines_carry_the_same() {
        let line = logged(LogFormat::Readable, talk);
        let tail = "  INFO settled `high` queue.name=\"high\" duration_ms=12 secret=*** \
                    deliver{endpoint.name=\"shop\"} correlation_id=abc-1\n";
        assert!(line.ends_with(tail), "{line}");
    }

    #[test]
    fn secrets_in_messages_are_masked_and_lines_cannot_be_forged() {
        for format in [LogFormat::Readable, LogFormat::Json] {
            let line = logged(format, || {
                let cause = "no route to postgres://me:hunter2@db/x\nFORGED";
                tracing::warn!(cause, "lost the database\n2026-01-01 FORGED");
            });
            assert!(!line.contains("hunter2") && line.lines().count() == 1, "{line}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = subscriber(LogFormat::Json, Some("posthaste=loud"), false, io::sink).err().unwrap();
        assert_eq!((error.code(), error.field_name()), (Code::InvalidConfig, Some("log_filter")));
    }
}
