//! What `[server]` and `[database]` hold, with their defaults and what contradicts itself in them.
//!
//! Not for: what is declared (`[delivery]`, `[types]` and so on), which the broker reads and applies.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use posthaste_base::{Code, Error, Secret};
use posthaste_broker::SealKey;
use posthaste_deliver::ExportOptions;
use posthaste_pg::Target;
use posthaste_web::{Cors, Rate};
use serde::{Deserialize, Serialize};

/// What a node does. Any number of nodes may have any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Answers HTTP.
    Api,
    /// Publishes what is due, and keeps the queues in order.
    Scheduler,
    /// Delivers to endpoints.
    Worker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ApiKeys {
    /// None is needed on a loopback address; everywhere else one is.
    Auto,
    Required,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Readable,
    Json,
}

impl From<LogFormat> for posthaste_observe::LogFormat {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Readable => Self::Readable,
            LogFormat::Json => Self::Json,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    pub listen: String,
    pub roles: Vec<Role>,
    pub api_keys: ApiKeys,
    pub cors_origins: Vec<String>,
    /// For a key without a rate of its own, or an address without a key; 0 is no limit.
    pub rate_per_second: u32,
    pub rate_burst: u32,
    /// Requests that are worked on at once.
    pub requests_max: u32,
    pub connections_max: u32,
    /// How long a connection may idle, or take to send a request's head.
    pub idle_seconds: u32,
    /// Attempts at a time of this node's worker, over all queues.
    pub attempts_max: u32,
    pub metrics: bool,
    /// Where spans are sent, by OTLP over HTTP; none records none.
    pub spans_url: Option<String>,
    /// Sent with them, such as the collector's key.
    pub spans_headers: BTreeMap<String, Secret>,
    /// Of the traces that begin here.
    pub spans_percent: u32,
    pub failure_modes: bool,
    pub log_format: LogFormat,
    pub log_filter: String,
    /// How long to finish what is under way after being told to stop.
    pub shutdown_seconds: u32,
    /// What webhook secrets are sealed with at rest, the same on all nodes. None: `seal.key` in the data folder.
    pub seal_key: Option<Secret>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            roles: vec![Role::Api, Role::Scheduler, Role::Worker],
            api_keys: ApiKeys::Auto,
            cors_origins: Vec::new(),
            rate_per_second: 0,
            rate_burst: 0,
            requests_max: 4_096,
            connections_max: 10_000,
            idle_seconds: 60,
            attempts_max: 1_000,
            metrics: true,
            spans_url: None,
            spans_headers: BTreeMap::new(),
            spans_percent: 100,
            failure_modes: false,
            log_format: LogFormat::Readable,
            log_filter: "info".into(),
            shutdown_seconds: 25,
            seal_key: None,
        }
    }
}

impl Server {
    /// The address, which `check` has seen to be one.
    pub(crate) fn listen(&self) -> Result<SocketAddr, Error> {
        let text = self.listen.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        text.as_deref().unwrap_or(&self.listen).parse().map_err(|_| {
            Error::new(Code::InvalidConfig, format!("`{}` is not an address to listen on", self.listen))
                .field("listen")
                .expected("an IP address and a port, such as `127.0.0.1:8080`; port 0 is any free one")
        })
    }

    pub(crate) fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Where spans go, if they go anywhere.
    pub(crate) fn spans(&self) -> Option<ExportOptions> {
        let (url, headers) = (self.spans_url.clone()?, self.spans_headers.clone());
        Some(ExportOptions { url, headers, percent: self.spans_percent })
    }

    pub(crate) fn rate(&self) -> Option<Rate> {
        let burst = if self.rate_burst == 0 { self.rate_per_second } else { self.rate_burst };
        Rate::new(self.rate_per_second, burst)
    }

    pub(super) fn check(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        errors.extend(self.listen().err());
        let key = self.seal_key.as_ref().and_then(|key| SealKey::parse(key).err());
        errors.extend(key.map(|error| error.field("seal_key")));
        errors.extend(Cors::parse(&self.cors_origins).err());
        if self.roles.is_empty() {
            let error = Error::new(Code::InvalidConfig, "a node without a role does nothing").field("roles");
            errors.push(error.expected("one or more of api, scheduler and worker"));
        }
        for (field, value, least, most) in [
            ("requests_max", self.requests_max, 1, 1_000_000),
            ("attempts_max", self.attempts_max, 1, 100_000),
            ("connections_max", self.connections_max, 1, 1_000_000),
            ("idle_seconds", self.idle_seconds, 1, 3_600),
            ("shutdown_seconds", self.shutdown_seconds, 1, 3_600),
            ("spans_percent", self.spans_percent, 0, 100),
        ] {
            errors.extend(out_of_range(field, value, least, most));
        }
        if let Some(Err(error)) = self.spans().map(|spans| spans.check()) {
            errors.push(match error.field_name() {
                Some("headers") => error.field("spans_headers"),
                _ => error
                    .field("spans_url")
                    .hint("give the collector's address: `http://collector:4318/v1/traces`"),
            });
        }
        if self.rate_burst > 0 && self.rate_per_second == 0 {
            let error = Error::new(Code::InvalidConfig, "a burst without a rate limits nothing");
            errors.push(error.field("rate_burst").expected("`rate_per_second` beside it"));
        }
        errors
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Database {
    /// None: a private server in `data_dir`.
    pub url: Option<Secret>,
    /// For LISTEN, where `url` goes through PgBouncer in transaction mode.
    pub direct_url: Option<Secret>,
    pub pool_size: u32,
    /// How long to try to reach it at start.
    pub connect_seconds: u32,
    /// How long one statement may take.
    pub statement_seconds: u32,
    /// Of the private server.
    pub data_dir: Option<PathBuf>,
    pub pg_bin: Option<PathBuf>,
    /// A loopback port on which others may reach the private server.
    pub listen_port: Option<u16>,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: None,
            direct_url: None,
            pool_size: 20,
            connect_seconds: 60,
            statement_seconds: 60,
            data_dir: None,
            pg_bin: None,
            listen_port: None,
        }
    }
}

impl Database {
    /// The configured server, if there is one.
    pub(crate) fn target(&self) -> Result<Option<Target>, Error> {
        let Some(url) = &self.url else { return Ok(None) };
        let target = parse_target(url, "url")?;
        match &self.direct_url {
            Some(direct) => Ok(Some(target.with_direct(parse_target(direct, "direct_url")?))),
            None => Ok(Some(target)),
        }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.data_dir.clone().unwrap_or_else(posthaste_pg::local::default_folder)
    }

    pub(super) fn check(&self) -> Vec<Error> {
        let mut errors = Vec::new();
        errors.extend(self.target().err());
        errors.extend(out_of_range("pool_size", self.pool_size, 2, 1_000));
        errors.extend(out_of_range("connect_seconds", self.connect_seconds, 0, 3_600));
        errors.extend(out_of_range("statement_seconds", self.statement_seconds, 1, 86_400));
        if self.direct_url.is_some() && self.url.is_none() {
            let error = Error::new(Code::InvalidConfig, "a direct address has no other beside it");
            errors.push(error.field("direct_url").expected("`url` too"));
        }
        if self.listen_port == Some(0) {
            let error = Error::new(Code::InvalidConfig, "0 is not a port").field("listen_port");
            errors.push(error.expected("a number from 1 to 65535"));
        }
        errors
    }
}

fn parse_target(url: &Secret, field: &str) -> Result<Target, Error> {
    Target::parse(url.expose()).map_err(|error| {
        let message = match error {
            posthaste_pg::Error::InvalidTarget { message } => message,
            error => error.to_string(),
        };
        Error::new(Code::InvalidConfig, message)
            .field(field)
            .expected("an address such as `postgres://user:password@host:5432/database`")
    })
}

fn out_of_range(field: &str, value: u32, least: u32, most: u32) -> Option<Error> {
    let is_in = (least..=most).contains(&value);
    (!is_in).then(|| {
        Error::new(Code::InvalidConfig, format!("{value} is out of range"))
            .field(field)
            .expected(format!("a whole number from {least} to {most}"))
    })
}
