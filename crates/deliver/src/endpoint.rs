//! How an endpoint's URL may look, and the form in which it is ready to be called.
//!
//! Not for: which addresses the host may lead to (see `address`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use http::{HeaderValue, Uri};
use posthaste_base::{Code, Error};

/// The longest URL of an endpoint.
pub const URL_BYTES_MAX: usize = 2_048;
const NAME_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// An endpoint's URL, read and checked once; cheap to clone.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub(crate) uri: Uri,
    pub(crate) host_header: HeaderValue,
    host: Host,
}

/// Where a URL points: a name to be resolved, or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    Name(String),
    Address(IpAddr),
}

impl Endpoint {
    /// Reads a URL; each rule that it breaks has its own message.
    pub fn parse(text: &str) -> Result<Self, Error> {
        check_text(text)?;
        let uri: Uri = text.parse().map_err(|error| {
            refuse("the URL cannot be read")
                .caused_by(error)
                .expected("a URL such as `https://example.org/hook`")
        })?;
        let Some(authority) = uri.authority() else {
            return Err(refuse("the URL has no host"));
        };
        if authority.as_str().contains('@') {
            return Err(refuse("the URL holds a user name or password")
                .hint("leave it out; the receiver checks the signature instead"));
        }
        let host = Host::parse(authority.host())?;
        if has_port_text(authority.as_str(), authority.host())
            && authority.port_u16().is_none_or(|port| port == 0)
        {
            return Err(refuse("the port of the URL is not allowed").expected("a port from 1 to 65535"));
        }
        let host_header =
            HeaderValue::from_str(authority.as_str()).map_err(|_| refuse("the host cannot be sent"))?;
        Ok(Self { host_header, host, uri })
    }

    pub fn host(&self) -> &Host {
        &self.host
    }

    pub fn is_https(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// The port that is called: the URL's own, or the scheme's.
    pub fn port(&self) -> u16 {
        port_of(&self.uri)
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.uri)
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, Error> {
        if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = inner.parse().map_err(|_| {
                refuse(format!("`{text}` is not an IPv6 address"))
                    .expected("an address without a zone, such as `[2001:db8::1]`")
            })?;
            return Ok(Self::Address(IpAddr::V6(address)));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(address)));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.is_empty() {
            return Err(refuse("the URL has no host"));
        }
        if ends_in_number(name) {
            // The system's resolver reads `127.1`, `0x7f.1` and `2130706433` as addresses; nobody writes them in good faith.
            return Err(refuse(format!(
                "the host `{text}` is a number or an unusual spelling of an address"
            ))
            .expected("a name, or four decimal numbers such as `93.184.216.34`"));
        }
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= LABEL_BYTES_MAX
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if name.len() > NAME_BYTES_MAX || !name.split('.').all(is_label) {
            return Err(refuse(format!("`{text}` is not the name of a host"))
                .expected("labels of letters, digits and hyphens with dots between"));
        }
        Ok(Self::Name(text.to_string()))
    }
}

pub(crate) fn port_of(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

fn check_text(text: &str) -> Result<(), Error> {
    if text.len() > URL_BYTES_MAX {
        return Err(refuse(format!("the URL has {} bytes", text.len()))
            .expected(format!("at most {URL_BYTES_MAX} bytes")));
    }
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
        return Err(refuse("the URL has a space, a control character or a backslash in it")
            .expected("such characters written as `%20`"));
    }
    if !text.is_ascii() {
        return Err(refuse("the URL has characters outside ASCII in it")
            .expected("hosts written in Punycode (`xn--...`) and paths percent-encoded"));
    }
    let Some((scheme, _)) = text.split_once("://") else {
        return Err(
            refuse("the URL has no scheme").expected("a URL that starts with `https://` or `http://`")
        );
    };
    if !scheme.eq_ignore_ascii_case("https") && !scheme.eq_ignore_ascii_case("http") {
        return Err(refuse(format!("the scheme `{scheme}` is not allowed")).expected("`https` or `http`"));
    }
    if text.contains('#') {
        return Err(refuse("the URL has a fragment (`#`), which is never sent").expected("a URL without `#`"));
    }
    if text.split_once("://").is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(['/', '?', ':'])) {
        return Err(refuse("the URL has no host").expected("a URL such as `https://example.org/hook`"));
    }
    Ok(())
}

/// Whether a colon follows the host, be it with a port that can be read or not.
fn has_port_text(authority: &str, host: &str) -> bool {
    authority.len() > host.len()
}

/// As the WHATWG URL standard tells names from numbers: by the last label.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    let is_hex = last
        .strip_prefix("0x")
        .or_else(|| last.strip_prefix("0X"))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    is_hex || (!last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()))
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidEndpoint, message).field("url")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str) -> Result<Endpoint, String> {
        Endpoint::parse(url).map_err(|error| {
            assert_eq!((error.code(), error.field_name()), (Code::InvalidEndpoint, Some("url")), "{url}");
            error.message().to_string()
        })
    }

    #[test]
    fn ordinary_urls_pass() {
        for (url, port) in [
            ("https://example.org", 443),
            ("HTTP://Example.org/hook?a=b&c=%20", 80),
            ("https://example.org:8443/", 8443),
            ("http://93.184.216.34/x", 80),
            ("https://[2606:4700::1111]:444/", 444),
            ("http://my_service.internal.:8080/a/b", 8080),
            ("https://xn--bcher-kva.example/", 443),
            ("https://0x.example/", 443),
        ] {
            let endpoint = check(url).unwrap_or_else(|message| panic!("{url}: {message}"));
            assert_eq!(endpoint.port(), port, "{url}");
        }
    }

    #[test]
    fn each_broken_rule_has_its_own_message() {
        let long = format!("https://example.org/{}", "a".repeat(URL_BYTES_MAX));
        for (url, part) in [
            ("", "no scheme"),
            ("example.org/hook", "no scheme"),
            ("ftp://example.org/", "scheme `ftp`"),
            ("file:///etc/passwd", "scheme `file`"),
            ("http://", "no host"),
            ("http:///hook", "no host"),
            ("http://:80/", "no host"),
            ("http://?x", "no host"),
            ("http://user@example.org/", "user name or password"),
            ("http://user:word@example.org/", "user name or password"),
            ("http://127.0.0.1@example.org/", "user name or password"),
            ("https://example.org/#top", "fragment"),
            ("https://example.org:0/", "port"),
            ("https://example.org:/", "port"),
            ("https://example.org:65536/", "port"),
            ("https://exa mple.org/", "space"),
            ("https://example.org\\@10.0.0.1/", "backslash"),
            ("https://example.org/\r\nx: y", "control character"),
            ("https://bücher.example/", "outside ASCII"),
            ("https://a..b/", "not the name of a host"),
            ("https://a%2eb/", "cannot be read"),
            (&long, "bytes"),
        ] {
            match check(url) {
                Ok(_) => panic!("{url} passed"),
                Err(message) => assert!(message.contains(part), "{url}: {message}"),
            }
        }
    }

    #[test]
    fn odd_spellings_of_addresses_are_refused() {
        for url in [
            "http://2130706433/",
            "http://127.1/",
            "http://0x7f.0.0.1/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.0.0.1.:80/",
            "http://1.2.3.4.5/",
            "http://[::1%25eth0]/",
            "http://[::ffff:127.0.0.1/",
        ] {
            assert!(check(url).is_err(), "{url} passed");
        }
    }
}
