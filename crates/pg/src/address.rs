//! The two written forms of an address, `postgresql://...` and `host=... dbname=...`, and `~/.pgpass`.
//!
//! Not for: what the settings mean (`target`). Error texts name settings, never their values.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tokio_postgres::config::Host;

use crate::{Error, Result, SslMode, Target};

type Settings = BTreeMap<String, String>;

pub(crate) fn parse(text: &str) -> Result<Settings> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("postgresql://").or_else(|| text.strip_prefix("postgres://")) {
        return url(rest);
    }
    match text.split_once("://") {
        // A password may hold `://`, but then there is an equals sign before it.
        Some((scheme, _)) if !scheme.contains('=') => Err(invalid("it does not begin with postgresql://")),
        _ => words(text),
    }
}

fn url(rest: &str) -> Result<Settings> {
    let mut settings = Settings::new();
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').unwrap_or((place, ""));
    // The last at sign, because passwords are pasted in without being encoded.
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let mut insert = |key: &str, value: &str| -> Result<()> {
        if !value.is_empty() {
            settings.insert(key.to_owned(), decode(value, key)?);
        }
        Ok(())
    };
    insert("user", user)?;
    insert("password", password)?;
    insert("dbname", database)?;
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((name, port)) => (name, port.strip_prefix(':').unwrap_or(port)),
            None => host.split_once(':').unwrap_or((host, "")),
        };
        if !port.is_empty() && port.parse::<u16>().is_err() {
            return Err(invalid(
                "the port is not a number; `/`, `:` and `@` in a password are written %2F, %3A, %40",
            ));
        }
        names.push(name);
        ports.push(port);
    }
    insert("host", &names.join(","))?;
    if ports.iter().any(|port| !port.is_empty()) {
        insert("port", &ports.join(","))?;
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').ok_or_else(|| invalid("a parameter after `?` has no `=`"))?;
        // What JDBC and Rails write.
        match (key, value) {
            ("ssl", "true") => insert("sslmode", "require")?,
            _ => insert(key, value)?,
        }
    }
    Ok(settings)
}

fn words(text: &str) -> Result<Settings> {
    let mut settings = Settings::new();
    let mut letters = text.chars().peekable();
    loop {
        while letters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(c) = letters.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while letters.next_if(|c| c.is_whitespace()).is_some() {}
        match (letters.next(), key.is_empty()) {
            (None, true) => return Ok(settings),
            (Some('='), false) => {}
            // The word may be a part of a password with a space in it.
            _ => return Err(invalid("a word stands there without `=`")),
        }
        while letters.next_if(|c| c.is_whitespace()).is_some() {}
        let is_quoted = letters.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        let mut is_closed = !is_quoted;
        while let Some(c) = letters.next_if(|c| is_quoted || !c.is_whitespace()) {
            match c {
                '\'' if is_quoted => {
                    is_closed = true;
                    break;
                }
                '\\' => value.extend(letters.next()),
                _ => value.push(c),
            }
        }
        if !is_closed {
            return Err(invalid("a quoted value does not end"));
        }
        if !value.is_empty() {
            settings.insert(key, value);
        }
    }
}

/// Settings in the form that the driver reads, so that it checks each of them.
pub(crate) fn pairs(settings: &Settings) -> String {
    let mut text = String::new();
    for (key, value) in settings {
        let value = value.replace('\\', "\\\\").replace('\'', "\\'");
        let _ = write!(text, "{key}='{value}' ");
    }
    text
}

/// What of an address is written.
#[derive(Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// For people.
    Redacted,
    /// With the TLS settings, and without the password.
    Passwordless(&'a Target),
    /// All of it.
    Exposed(&'a Target),
}

/// As a URL.
pub(crate) fn write(config: &tokio_postgres::Config, shown: Shown<'_>) -> String {
    let mut url = String::from("postgresql://");
    let ports = config.get_ports();
    let port_of = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    url.push_str(&encode(config.get_user().unwrap_or_default()));
    if let (Some(password), Shown::Exposed(_)) = (config.get_password(), shown) {
        let _ = write!(url, ":{}", encode(&String::from_utf8_lossy(password)));
    }
    url.push('@');
    let mut query = Vec::new();
    let mut tcp = Vec::new();
    for (index, host) in config.get_hosts().iter().enumerate() {
        match host {
            Host::Tcp(name) if name.contains(':') => tcp.push(format!("[{name}]:{}", port_of(index))),
            Host::Tcp(name) => tcp.push(format!("{name}:{}", port_of(index))),
            Host::Unix(folder) => {
                query.push(format!("host={}", encode(&folder.to_string_lossy())));
                query.push(format!("port={}", port_of(index)));
            }
        }
    }
    let addresses: Vec<_> = config.get_hostaddrs().iter().map(ToString::to_string).collect();
    if !addresses.is_empty() {
        query.push(format!("hostaddr={}", addresses.join(",")));
    }
    url.push_str(&tcp.join(","));
    let _ = write!(url, "/{}", encode(config.get_dbname().or(config.get_user()).unwrap_or_default()));
    if let Shown::Passwordless(target) | Shown::Exposed(target) = shown {
        query.extend(ssl_parameters(target));
        query.extend(config.get_options().map(|options| format!("options={}", encode(options))));
    }
    if !query.is_empty() {
        let _ = write!(url, "?{}", query.join("&"));
    }
    url
}

fn ssl_parameters(target: &Target) -> Vec<String> {
    let mode = match target.ssl_mode() {
        SslMode::Disable => "disable",
        SslMode::Prefer => "prefer",
        SslMode::Require => "require",
        SslMode::VerifyCa => "verify-ca",
        SslMode::VerifyFull => "verify-full",
    };
    let files = target.ssl_files();
    let named = [("sslrootcert", &files.root_cert), ("sslcert", &files.cert), ("sslkey", &files.key)];
    let files = named.into_iter().filter_map(|(key, path)| {
        path.as_ref().map(|path| format!("{key}={}", encode(&path.to_string_lossy())))
    });
    std::iter::once(format!("sslmode={mode}")).chain(files).collect()
}

/// The password that `~/.pgpass` has for these settings. A file that others can read is left alone, as libpq does.
pub(crate) fn password_from(path: &Path, settings: &Settings) -> Option<String> {
    if path.metadata().ok()?.mode() & 0o077 != 0 {
        return None;
    }
    let text = std::fs::read_to_string(path).ok()?;
    let of = |key: &str, default: &str| settings.get(key).cloned().unwrap_or_else(|| default.to_owned());
    let user = of("user", "");
    let host = of("host", "localhost");
    let host = if host.starts_with('/') { "localhost".to_owned() } else { host };
    let wanted = [host, of("port", "5432"), of("dbname", &user), user];
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let fields = pgpass_fields(line);
        let is_match = fields.len() == 5
            && wanted.iter().zip(&fields).all(|(wanted, field)| field == "*" || field == wanted);
        is_match.then(|| fields[4].clone())
    })
}

fn pgpass_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(c) = letters.next() {
        let is_last = fields.len() == 5;
        match c {
            ':' if !is_last => fields.push(String::new()),
            '\\' => fields.last_mut().into_iter().for_each(|field| field.extend(letters.next())),
            _ => fields.last_mut().into_iter().for_each(|field| field.push(c)),
        }
    }
    fields
}

fn decode(text: &str, key: &str) -> Result<String> {
    let wrong = || invalid(&format!("`{key}` has a % that is not followed by two hexadecimal digits"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = &tail[2..];
    }
    String::from_utf8(bytes).map_err(|_| invalid(&format!("`{key}` is not UTF-8")))
}

fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

fn invalid(message: &str) -> Error {
    Error::InvalidTarget { message: message.to_owned() }
}
