//! Failure modes: what goes wrong on purpose, in tests and gamedays, message by message and repeatably.
//!
//! What a mode does to a message is a pure function of its seed and the message, so a run can be repeated
//! (requirements, Y1 and decision 16). Not for: carrying the effect out; ingest and the workers do.

use posthaste_base::{Code, Error, EventId, MessageId, Result};
use posthaste_store::mode::{self as rows, ModeRow};
use serde::{Deserialize, Serialize};

use crate::Broker;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureModeKind {
    #[default]
    None,
    /// Messages fail as VALIDATION at every receive: they end in the dead letter queue.
    PoisonPayload,
    /// Every attempt waits before it is made.
    SlowDownstream,
    /// Attempts fail as TRANSIENT, each by itself: a message that fails now may succeed next time.
    RandomFailP30,
    /// An event is submitted a second time with the same key, which idempotency has to notice.
    DuplicateSubmit,
}

impl FailureModeKind {
    pub const ALL: [Self; 5] =
        [Self::None, Self::PoisonPayload, Self::SlowDownstream, Self::RandomFailP30, Self::DuplicateSubmit];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::PoisonPayload => "poison_payload",
            Self::SlowDownstream => "slow_downstream",
            Self::RandomFailP30 => "random_fail_p30",
            Self::DuplicateSubmit => "duplicate_submit",
        }
    }

    /// The share of messages that a mode takes unless it is told another.
    pub fn percent_default(self) -> u8 {
        if self == Self::RandomFailP30 { 30 } else { 100 }
    }
}

impl std::str::FromStr for FailureModeKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::new(Code::InvalidParameter, format!("`{text}` is not a failure mode"))
                .field("mode")
                .expected(format!("one of {names}"))
        })
    }
}

/// A failure mode as it is switched on; the same settings do the same to the same messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FailureMode {
    pub mode: FailureModeKind,
    #[serde(default)]
    pub seed: i64,
    /// None is the mode's own: 30 for `random_fail_p30`, 100 for the others.
    #[serde(default)]
    pub percent: Option<u8>,
    /// Of `slow_downstream`; none is three seconds.
    #[serde(default)]
    pub delay_ms: Option<u32>,
    /// Only what goes to this endpoint is hit; none is everything.
    #[serde(default)]
    pub endpoint: Option<String>,
}

const DELAY_MS_DEFAULT: u32 = 3_000;
const DELAY_MS_MAX: u32 = 600_000;

/// What a failure mode does to one message at one receive, or to one event at ingest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    None,
    FailValidation,
    Delay { delay_ms: u32 },
    FailTransient,
    Duplicate,
}

impl FailureMode {
    pub fn is_on(&self) -> bool {
        self.mode != FailureModeKind::None
    }

    /// Whether it may hit calls to `endpoint`. What consumers pull is hit by none: how they fail is theirs to say.
    pub fn applies_to(&self, endpoint: &str) -> bool {
        self.is_on() && self.endpoint.as_deref().is_none_or(|only| only == endpoint)
    }

    fn percent(&self) -> u8 {
        self.percent.unwrap_or(self.mode.percent_default())
    }

    fn validate(&self) -> Result<()> {
        let refuse = |field: &str, message: String, expected: String| {
            Err(Error::new(Code::InvalidParameter, message).field(field).expected(expected))
        };
        if self.percent.is_some_and(|percent| percent > 100) {
            let message = format!("{} is not a percentage", self.percent());
            return refuse("percent", message, "a whole number from 0 to 100".into());
        }
        // What has no effect would be taken for one that has.
        if self.delay_ms.is_some() && self.mode != FailureModeKind::SlowDownstream {
            let message = format!("`{}` delays nothing", self.mode.as_str());
            return refuse("delay_ms", message, "no delay, or the mode `slow_downstream`".into());
        }
        if self.endpoint.is_some() && self.mode == FailureModeKind::DuplicateSubmit {
            let message = "`duplicate_submit` is of events as they come in, wherever they go".to_owned();
            return refuse("endpoint", message, "no endpoint".into());
        }
        if self.delay_ms.is_some_and(|delay_ms| delay_ms > DELAY_MS_MAX) {
            let message = "the delay is too long".to_string();
            return refuse("delay_ms", message, format!("at most {DELAY_MS_MAX}"));
        }
        Ok(())
    }
}

/// What `mode` does to a message at its `receive`-th receive. `Duplicate` is never the answer here.
pub fn effect(mode: &FailureMode, message_id: MessageId, receive: u32) -> Effect {
    let of_message = || is_hit(mode, message_id.0 as u64, 0);
    match mode.mode {
        FailureModeKind::PoisonPayload if of_message() => Effect::FailValidation,
        FailureModeKind::SlowDownstream if of_message() => {
            Effect::Delay { delay_ms: mode.delay_ms.unwrap_or(DELAY_MS_DEFAULT) }
        }
        FailureModeKind::RandomFailP30 if is_hit(mode, message_id.0 as u64, u64::from(receive) + 1) => {
            Effect::FailTransient
        }
        _ => Effect::None,
    }
}

/// What `mode` does to an event when it is handed in: `Duplicate` or nothing.
pub fn effect_at_ingest(mode: &FailureMode, event_id: EventId) -> Effect {
    let (high, low) = event_id.0.as_u64_pair();
    match mode.mode {
        FailureModeKind::DuplicateSubmit if is_hit(mode, high ^ low.rotate_left(32), 0) => Effect::Duplicate,
        _ => Effect::None,
    }
}

fn is_hit(mode: &FailureMode, id: u64, receive: u64) -> bool {
    let hash = mixed(mixed(mixed(mode.seed as u64) ^ id) ^ receive);
    hash % 100 < u64::from(mode.percent())
}

/// The finaliser of SplitMix64: every bit of the input moves half of the output's.
fn mixed(input: u64) -> u64 {
    let mut z = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Broker {
    /// What goes wrong on purpose now; it costs nothing, so that every message can ask.
    pub fn failure_mode(&self) -> Option<FailureMode> {
        self.catalog().failure_mode.clone()
    }

    /// The failure mode as it is stored, which `none` is too.
    pub async fn get_failure_mode(&self) -> Result<FailureMode> {
        self.check_failure_modes()?;
        let connection = self.pool().get().await?;
        let row = rows::get(&connection).await?;
        Ok(row.and_then(from_row).unwrap_or_default())
    }

    /// Switches a failure mode on, or off with `none`, for all nodes.
    pub async fn set_failure_mode(&self, mode: FailureMode) -> Result<FailureMode> {
        self.check_failure_modes()?;
        mode.validate()?;
        if let Some(endpoint) = &mode.endpoint {
            self.catalog().endpoint(endpoint)?;
        }
        let row = ModeRow {
            mode: mode.mode.as_str().to_string(),
            seed: mode.seed,
            percent: mode.percent().into(),
            delay_ms: mode.delay_ms.unwrap_or(DELAY_MS_DEFAULT) as i32,
            endpoint: mode.endpoint.clone(),
        };
        let row = &row;
        self.transact(|tx| async move {
            rows::set(&tx, row).await?;
            posthaste_store::declare::notify_catalog(&tx).await?;
            Ok(())
        })
        .await?;
        self.refresh_catalog().await?;
        tracing::warn!(
            failure_mode = mode.mode.as_str(),
            failure_mode.seed = mode.seed,
            "failure mode switched to {}",
            mode.mode.as_str()
        );
        Ok(mode)
    }

    fn check_failure_modes(&self) -> Result<()> {
        if self.options().failure_modes {
            return Ok(());
        }
        Err(Error::new(Code::FailureModesDisabled, "failure modes are not enabled here"))
    }
}

pub(crate) fn from_row(row: ModeRow) -> Option<FailureMode> {
    let mode = row.mode.parse().ok()?;
    let delay_ms = u32::try_from(row.delay_ms).ok();
    Some(FailureMode {
        mode,
        seed: row.seed,
        percent: u8::try_from(row.percent).ok(),
        delay_ms: delay_ms.filter(|_| mode == FailureModeKind::SlowDownstream),
        endpoint: row.endpoint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(mode: FailureModeKind, seed: i64) -> FailureMode {
        FailureMode { mode, seed, ..FailureMode::default() }
    }

    #[test]
    fn none_does_nothing() {
        assert_eq!(effect(&FailureMode::default(), MessageId(7), 1), Effect::None);
        assert!(!FailureMode::default().applies_to("shop"));
    }

    #[test]
    fn poison_fails_a_message_at_every_receive() {
        let mode = FailureMode { percent: Some(50), ..on(FailureModeKind::PoisonPayload, 3) };
        for id in 0..200 {
            let first = effect(&mode, MessageId(id), 1);
            assert!((2..9).all(|receive| effect(&mode, MessageId(id), receive) == first), "message {id}");
        }
        assert_eq!(effect(&on(FailureModeKind::PoisonPayload, 3), MessageId(1), 4), Effect::FailValidation);
    }

    #[test]
    fn random_failures_are_thirty_percent_differ_by_receive_and_repeat() {
        let mode = on(FailureModeKind::RandomFailP30, 42);
        let failed = |receive| -> Vec<i64> {
            let fails = |id: &i64| effect(&mode, MessageId(*id), receive) == Effect::FailTransient;
            (0..10_000).filter(fails).collect()
        };
        let (first, second) = (failed(1), failed(2));
        assert!((2_850..3_150).contains(&first.len()), "{} of 10000", first.len());
        let both = first.iter().filter(|id| second.binary_search(id).is_ok()).count();
        assert!((750..1_050).contains(&both), "{both} fail twice");
        assert_eq!(first, failed(1));
        assert_ne!(
            first.iter().take(20).collect::<Vec<_>>(),
            (0..10_000)
                .filter(|id| effect(&on(FailureModeKind::RandomFailP30, 43), MessageId(*id), 1)
                    == Effect::FailTransient)
                .take(20)
                .collect::<Vec<_>>()
                .iter()
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn slow_downstream_delays_and_duplicates_are_of_ingest_only() {
        let slow = FailureMode { delay_ms: Some(250), ..on(FailureModeKind::SlowDownstream, 0) };
        assert_eq!(effect(&slow, MessageId(9), 1), Effect::Delay { delay_ms: 250 });
        let twice = on(FailureModeKind::DuplicateSubmit, 0);
        assert_eq!(effect(&twice, MessageId(9), 1), Effect::None);
        assert_eq!(effect_at_ingest(&twice, EventId::generate()), Effect::Duplicate);
        assert_eq!(effect_at_ingest(&slow, EventId::generate()), Effect::None);
    }

    #[test]
    fn a_mode_of_one_endpoint_spares_the_others() {
        let mode = FailureMode { endpoint: Some("shop".into()), ..on(FailureModeKind::SlowDownstream, 0) };
        assert!(mode.applies_to("shop") && !mode.applies_to("mail"));
    }
}
