//! Who may make requests, and who made one.
//!
//! Not for: what a key is (see `key`), nor for the layer that asks for one (see `gate`).

use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use http::request::Parts;
use jiff::Timestamp;
use posthaste_base::{Code, Error, Result};

use crate::key::{ApiKey, KeyHash, KeyRecord, KeyStore, Scope};
use crate::key_cache::KeyCache;
use crate::{Cors, Problem};

static X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who makes a request: a key, or anyone who can reach a loopback listener.
#[derive(Clone, Debug)]
pub struct Caller {
    key: Option<Arc<KeyRecord>>,
}

impl Caller {
    pub(crate) fn local() -> Self {
        Self { key: None }
    }

    pub fn key(&self) -> Option<&KeyRecord> {
        self.key.as_deref()
    }

    pub fn require(&self, scope: Scope) -> Result<()> {
        match &self.key {
            Some(key) if !key.scopes.has(scope) => {
                let message = format!("the key `{}` lacks the scope `{scope}`", key.name);
                Err(Error::new(Code::Forbidden, message).expected(format!("a key with the scope `{scope}`")))
            }
            _ => Ok(()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    /// Without the gate around a route there is no caller, and the request is refused.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().ok_or_else(|| {
            Problem(Error::new(Code::Internal, "this address needs a key, but nothing asks for one"))
        })
    }
}

macro_rules! purposes {
    ($($name:ident),+) => {$(
        #[doc = concat!("Stands for the scope `", stringify!($name), "` in `Allowed`.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Purpose for $name { const SCOPE: Scope = Scope::$name; }
    )+};
}

/// A scope as a type.
pub trait Purpose {
    const SCOPE: Scope;
}

purposes!(Publish, Consume, Operate, Read);

/// An extractor that refuses callers without a scope, before the body is read: `Allowed<auth::Publish>`.
#[derive(Clone, Debug)]
pub struct Allowed<P> {
    pub caller: Caller,
    purpose: PhantomData<P>,
}

impl<S: Sync, P: Purpose> FromRequestParts<S> for Allowed<P> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.require(P::SCOPE)?;
        Ok(Self { caller, purpose: PhantomData })
    }
}

/// Who may make requests at all.
pub struct Access {
    is_open: bool,
    cors: Cors,
    keys: Arc<dyn KeyStore>,
    cache: KeyCache,
}

impl Access {
    /// Keys are needed, unless the listener can only be reached from this host and nobody asked for them.
    /// `cors` names the origins whose pages may call an open listener.
    pub fn new(listener: SocketAddr, keys_required: bool, keys: Arc<dyn KeyStore>, cors: Cors) -> Self {
        let is_open = listener.ip().is_loopback() && !keys_required;
        Self { is_open, cors, keys, cache: KeyCache::default() }
    }

    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Forgets what was looked up, so that a revoked key ends here and now. Other nodes follow in 30 seconds.
    pub fn forget_keys(&self) {
        self.cache.clear();
    }

    /// Decides from memory if it can; else gives the hash to look up.
    pub(crate) fn decide(&self, headers: &HeaderMap) -> Result<Decision> {
        let Some(text) = key_text(headers)? else {
            return match self.is_open {
                true => self.check_local(headers).map(|()| Decision::Known(Caller::local())),
                false => Err(unauthorized("no API key was given")),
            };
        };
        let hash = ApiKey::hash(text).ok_or_else(|| unauthorized("the API key is not one of ours"))?;
        match self.cache.get(&hash, Instant::now()) {
            Some(found) => caller(found).map(Decision::Known),
            None => Ok(Decision::LookUp(hash)),
        }
    }

    pub(crate) async fn look_up(&self, hash: KeyHash) -> Result<Caller> {
        let found = self.keys.look_up(hash).await?.map(Arc::new);
        self.cache.put(hash, found.clone(), Instant::now());
        caller(found)
    }

    /// An open listener answers any program of this host, also a browser that shows a stranger's page. Such a
    /// page has an origin, or came by a name that was made to point here (DNS rebinding). A proxy may pass on the
    /// requests of strangers, often with this host's name as its own, so what says that it came by one needs a key.
    fn check_local(&self, headers: &HeaderMap) -> Result<()> {
        if let Some(name) = FORWARDED.into_iter().find(|name| headers.contains_key(*name)) {
            let message = format!(
                "without a key, requests come from this host, and `{name}` says that a proxy passed this one on"
            );
            return Err(unauthorized(&message)
                .field(name)
                .hint("send an API key; behind a proxy, set `api_keys = \"required\"` in `[server]`"));
        }
        let refused = |what: &str, name: &[u8]| {
            let name = String::from_utf8_lossy(name).into_owned();
            Error::new(
                Code::Forbidden,
                format!("without a key, requests come from this host; `{name}` is another {what}"),
            )
            .field(what)
            .hint("send an API key, or allow the origin in `cors_origins`")
        };
        if let Some(host) = headers.get(http::header::HOST)
            && !is_local(host.as_bytes())
        {
            return Err(refused("host", host.as_bytes()));
        }
        if let Some(origin) = headers.get(http::header::ORIGIN)
            && !self.cors.allows(origin)
        {
            let text = origin.as_bytes();
            let host = text.strip_prefix(b"http://").or(text.strip_prefix(b"https://"));
            if !host.is_some_and(is_local) {
                return Err(refused("origin", text));
            }
        }
        Ok(())
    }
}

/// What proxies add to a request.
const FORWARDED: [&str; 6] =
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"];

pub(crate) enum Decision {
    Known(Caller),
    LookUp(KeyHash),
}

/// The key from `Authorization: Bearer` or `x-api-key`.
fn key_text(headers: &HeaderMap) -> Result<Option<&[u8]>> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let value = value.as_bytes();
        return match value.split_at_checked(7) {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"Bearer ") => Ok(Some(key.trim_ascii())),
            _ => Err(unauthorized("the `Authorization` header is not `Bearer <key>`")),
        };
    }
    Ok(headers.get(&X_API_KEY).map(|value| value.as_bytes()))
}

fn caller(found: Option<Arc<KeyRecord>>) -> Result<Caller> {
    let key = found.ok_or_else(|| unauthorized("the API key is not known"))?;
    if key.expires_at.is_some_and(|expires_at| expires_at <= Timestamp::now()) {
        return Err(unauthorized("the API key has expired"));
    }
    Ok(Caller { key: Some(key) })
}

fn unauthorized(message: &str) -> Error {
    Error::new(Code::Unauthorized, message)
}

/// Whether `host` or `host:port` names this machine.
fn is_local(authority: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(authority) else { return false };
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').unwrap_or(port)),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_name = host.eq_ignore_ascii_case("localhost");
    port.bytes().all(|byte| byte.is_ascii_digit())
        && (is_name || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{LookUp, Scopes};

    struct NoKeys;

    impl KeyStore for NoKeys {
        fn look_up(&self, _: KeyHash) -> LookUp<'_> {
            Box::pin(async { Ok(None) })
        }
    }

    fn record(scopes: &[Scope]) -> KeyRecord {
        let scopes = scopes.iter().copied().collect();
        KeyRecord { id: 1, name: "shop".to_owned(), scopes, rate: None, expires_at: None }
    }

    fn open() -> Access {
        let cors = Cors::parse(&["https://app.example"]).unwrap();
        Access::new("127.0.0.1:8080".parse().unwrap(), false, Arc::new(NoKeys), cors)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn scopes_are_separate_but_operate_may_read() {
        let caller = |scopes: &[Scope]| Caller { key: Some(Arc::new(record(scopes))) };
        assert!(caller(&[Scope::Publish]).require(Scope::Publish).is_ok());
        assert!(caller(&[Scope::Operate]).require(Scope::Read).is_ok());
        let error = caller(&[Scope::Publish, Scope::Read]).require(Scope::Operate).unwrap_err();
        assert_eq!(
            (error.code(), error.expectation()),
            (Code::Forbidden, Some("a key with the scope `operate`"))
        );
        assert!(Scope::ALL.iter().all(|scope| Scopes::all().has(*scope) && !Scopes::default().has(*scope)));
    }

    #[test]
    fn only_a_loopback_listener_without_required_keys_is_open() {
        for (listener, required, expected) in [
            ("127.0.0.1:80", false, true),
            ("[::1]:80", false, true),
            ("127.0.0.1:80", true, false),
            ("0.0.0.0:80", false, false),
            ("10.0.0.1:80", false, false),
        ] {
            let access = Access::new(listener.parse().unwrap(), required, Arc::new(NoKeys), Cors::None);
            assert_eq!(access.is_open(), expected, "{listener} {required}");
            assert_eq!(access.decide(&HeaderMap::new()).is_ok(), expected, "{listener} {required}");
        }
    }

    #[test]
    fn an_open_listener_refuses_strangers_pages_and_names() {
        for (pairs, is_allowed) in [
            (&[("host", "localhost:8080")][..], true),
            (&[("host", "[::1]:8080")], true),
            (&[("host", "127.0.0.1")], true),
            (&[("host", "evil.example")], false),
            (&[("host", "localhost.evil.example:8080")], false),
            (&[("host", "localhost:8080"), ("origin", "http://localhost:3000")], true),
            (&[("host", "localhost:8080"), ("origin", "https://app.example")], true),
            (&[("host", "localhost:8080"), ("origin", "https://evil.example")], false),
            (&[("host", "localhost:8080"), ("origin", "null")], false),
        ] {
            let decision = open().decide(&headers(pairs));
            assert_eq!(decision.is_ok(), is_allowed, "{pairs:?}");
        }
    }

    #[test]
    fn what_came_by_a_proxy_needs_a_key_whatever_its_host() {
        for name in
            ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"]
        {
            let mut came = headers(&[("host", "127.0.0.1:8080"), (name, "203.0.113.7")]);
            let error = open().decide(&came).err().expect("it should be refused");
            assert_eq!((error.code(), error.field_name()), (Code::Unauthorized, Some(name)));
            assert!(error.to_string().contains("proxy"), "{error}");
            let (key, _) = ApiKey::generate().unwrap();
            came.insert("x-api-key", key.expose().parse().unwrap());
            assert!(matches!(open().decide(&came), Ok(Decision::LookUp(_))), "{name}");
        }
    }

    #[test]
    fn a_key_that_is_given_must_be_good_even_where_none_is_needed() {
        for value in ["Basic dTpw", "Bearer nonsense", "Bearer", ""] {
            let error = open().decide(&headers(&[("authorization", value)])).err().unwrap();
            assert_eq!(error.code(), Code::Unauthorized, "{value}");
        }
        let (key, _) = ApiKey::generate().unwrap();
        let decision = open().decide(&headers(&[("x-api-key", key.expose())])).unwrap();
        assert!(matches!(decision, Decision::LookUp(_)));
    }

    #[test]
    fn an_expired_key_is_refused() {
        let key = KeyRecord { expires_at: Some(Timestamp::UNIX_EPOCH), ..record(&[Scope::Read]) };
        assert_eq!(caller(Some(Arc::new(key))).unwrap_err().message(), "the API key has expired");
    }
}
