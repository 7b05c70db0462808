//! API keys as the broker stores them, for the gate in front of the routes.
//!
//! Not for: making keys, which the command line does.

use posthaste_base::Result;
use posthaste_broker::{Broker, KeyGrant};
use posthaste_web::key::{KeyHash, LookUp};
use posthaste_web::{KeyRecord, KeyStore, Rate, Scope};

/// A key's rate may come at once for as long as this.
const BURST_SECONDS: u32 = 2;

/// Looks keys up in the broker's database.
pub struct BrokerKeys(pub Broker);

impl KeyStore for BrokerKeys {
    fn look_up(&self, hash: KeyHash) -> LookUp<'_> {
        Box::pin(async move { self.0.look_up_key(&hash).await?.map(record).transpose() })
    }
}

fn record(grant: KeyGrant) -> Result<KeyRecord> {
    let scopes = grant.scopes.iter().map(|scope| scope.as_str().parse::<Scope>());
    Ok(KeyRecord {
        id: grant.id.into(),
        name: grant.name,
        scopes: scopes.collect::<Result<_>>()?,
        rate: grant.rate_per_second.and_then(|rate| Rate::new(rate, rate.saturating_mul(BURST_SECONDS))),
        expires_at: grant.expires_at,
    })
}
