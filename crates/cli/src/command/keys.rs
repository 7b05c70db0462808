//! `posthaste keys`: API keys. A key is shown once, when it is made.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use posthaste_base::{Code, Error};
use posthaste_broker::{KeyIn, Scope};

use super::all_by_name;
use crate::ask::{Consent, talk};
use crate::config::Place;
use crate::database::with_broker;
use crate::output::{self, Format, Output};

/// Make and end API keys: create, list, revoke.
#[derive(Subcommand, Debug)]
pub(crate) enum Keys {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Make a key and print it, this once.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste keys create shop --scope publish\n  \
    posthaste keys create night-worker --scope consume --expires-in 90d\n  \
    posthaste keys create me --scope publish,consume,operate,read")]
pub(crate) struct Create {
    /// The key's name, by which it is listed and revoked.
    name: String,
    /// What it allows: publish, consume, operate, read; several with commas.
    #[arg(long = "scope", required = true, value_delimiter = ',')]
    scopes: Vec<String>,
    /// Requests a second that it may make; those of two seconds may come at once.
    #[arg(long)]
    rate_per_second: Option<u32>,
    /// How long it is good for: 90d, 12h.
    #[arg(long, value_name = "TIME")]
    expires_in: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// List all keys, without their texts.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste keys list")]
pub(crate) struct List {
    #[command(flatten)]
    output: Output,
}

/// End a key. Nodes that know it forget it within seconds.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  posthaste keys revoke shop --yes")]
pub(crate) struct Revoke {
    /// The key's name.
    name: String,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    output: Output,
}

impl Keys {
    pub(crate) async fn run(self, place: &Place) -> anyhow::Result<ExitCode> {
        with_broker(place, async |broker, _| match self {
            Keys::Create(create) => create.run(broker).await,
            Keys::List(list) => {
                let page =
                    async |after: Option<String>, limit| broker.list_keys(after.as_deref(), limit).await;
                let keys = all_by_name(page, |key| &key.name).await?;
                let columns = [
                    ("NAME", "name"),
                    ("SCOPES", "scopes"),
                    ("RATE/S", "ratePerSecond"),
                    ("CREATED", "createdAt"),
                    ("EXPIRES", "expiresAt"),
                    ("REVOKED", "revokedAt"),
                ];
                list.output.list("keys", &keys, &columns)
            }
            Keys::Revoke(revoke) => {
                if revoke.consent.get(&format!("end the key `{}` for good", revoke.name))? {
                    revoke.output.one("key", &broker.revoke_key(&revoke.name).await?)?;
                }
                Ok(())
            }
        })
        .await?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    async fn run(self, broker: &posthaste_broker::Broker) -> anyhow::Result<()> {
        let scopes = self.scopes.iter().map(|scope| scope.parse()).collect::<Result<Vec<Scope>, _>>()?;
        let expires_at = self.expires_in.as_deref().map(expiry).transpose()?;
        let name = self.name;
        let new = KeyIn { name, scopes, rate_per_second: self.rate_per_second, expires_at };
        let created = broker.create_key(new).await?;
        talk("this is the only time that the key is shown");
        match self.output.format {
            Format::Json => self.output.one("key", &created),
            Format::Human => output::line(created.key.expose()),
        }
    }
}

fn expiry(text: &str) -> Result<Timestamp, Error> {
    let wrong = || {
        Error::new(Code::InvalidParameter, format!("`{text}` is not a length of time"))
            .field("--expires-in")
            .expected("a length of time such as `90d` or `12h`")
    };
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let hours = match unit {
        "d" => 24,
        "h" => 1,
        _ => return Err(wrong()),
    };
    let hours =
        number.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(wrong)?.saturating_mul(hours);
    Timestamp::now().checked_add(jiff::SignedDuration::from_hours(i64::from(hours))).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_days_or_hours() {
        for text in ["90d", "1h"] {
            assert!(expiry(text).unwrap() > Timestamp::now(), "{text}");
        }
        for text in ["", "d", "0d", "-1d", "5", "5w", "99999999999d", "4294967295d"] {
            assert!(expiry(text).is_err(), "{text}");
        }
    }
}
