//! Gates: what must hold before a plan or a phase starts. One that is overridden is written down with the reason.
//!
//! Not for: what throttles while a step runs (see `throttle`).

use jiff::{Timestamp, civil, tz::TimeZone};
use posthaste_base::{Code, Error};
use posthaste_report::Gate;

use crate::event::Event;
use crate::halt::Halt;
use crate::sql;
use crate::work::{Work, millis};

impl Work<'_> {
    /// Goes on when all of them hold, or were overridden; else says all that do not.
    pub(crate) async fn pass_gates(&mut self, gates: &[Gate]) -> Result<(), Halt> {
        let mut closed = Vec::new();
        for gate in gates {
            if let Some(why) = self.why_closed(gate).await?
                && !self.overridden(gate.name(), &why).await?
            {
                closed.push((gate.name(), why));
            }
        }
        if closed.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = closed.iter().map(|(name, why)| format!("{name}: {why}")).collect();
        let error = Error::new(Code::GateClosed, all.join("; "));
        let names: Vec<&str> = closed.iter().map(|(name, _)| *name).collect();
        Err(error.hint(hint(&names, gates)).into())
    }

    /// Whether somebody has said to pass it nevertheless; that is kept with the run.
    pub(crate) async fn overridden(&mut self, gate: &str, why_closed: &str) -> Result<bool, Halt> {
        let Some(reason) = self.options.overrides.get(gate).cloned() else { return Ok(false) };
        let text = format!("{gate}: {reason} ({why_closed})");
        self.note("gate-overridden", None, &text, &[]).await?;
        let (gate, why_closed) = (gate.to_owned(), why_closed.to_owned());
        self.emit(Event::GateOverridden { gate, why_closed, reason });
        Ok(true)
    }

    async fn why_closed(&mut self, gate: &Gate) -> Result<Option<String>, Halt> {
        Ok(match gate {
            Gate::Backup { max_age_s } => why_backup(self.options.backup_at, self.now().await?, *max_age_s),
            Gate::ReplicaLag { max_ms } => {
                let replicas = self.replicas().await?;
                let late = replicas.iter().find(|replica| {
                    replica.lag_ms.is_some_and(|lag_ms| i128::from(lag_ms) > i128::from(*max_ms))
                });
                late.map(|replica| {
                    let lag_ms = replica.lag_ms.unwrap_or_default();
                    format!("replica {} is {lag_ms} ms behind, more than {max_ms}", replica.name)
                })
            }
            Gate::OldestTransaction { max_ms } => self.why_transaction(*max_ms).await?,
            Gate::Window { from, to, zone } => why_window(self.now().await?, from, to, zone)?,
            Gate::Approval { name, about } => {
                (!self.options.approvals.contains(name)).then(|| format!("nobody has approved that {about}"))
            }
            Gate::Query { sql, about } => {
                let (lock_ms, statement_ms) =
                    (millis(self.options.locks.timeout_first), millis(self.options.brief));
                self.set_timeouts(lock_ms, statement_ms).await?;
                match self.ask(None, sql).await {
                    Ok(answer) if answer.as_deref() == Some("t") => None,
                    Ok(answer) => {
                        let answer = answer.unwrap_or_else(|| "nothing".to_owned());
                        Some(format!("{about}: its query answers {answer}"))
                    }
                    Err(halt) if halt.is_lost() => return Err(halt),
                    Err(halt) => Some(format!("{about}: {}", halt.into_error(self.run).message())),
                }
            }
        })
    }

    async fn why_transaction(&mut self, max_ms: u64) -> Result<Option<String>, Halt> {
        let ours = self.own_pids();
        let row = self.keeper.query_one(sql::watch::OLDEST_TRANSACTION, &[&ours]).await?;
        let age_ms: Option<i64> = row.try_get("age_ms")?;
        if row.try_get::<_, i64>("hidden")? > 0 {
            self.say_unread("transactions of other roles", "the role is not a member of pg_monitor");
        }
        let old = age_ms.filter(|age_ms| i128::from(*age_ms) > i128::from(max_ms));
        Ok(old.map(|age_ms| format!("a transaction is open for {age_ms} ms, more than {max_ms}")))
    }

    /// The database's clock.
    async fn now(&mut self) -> Result<Timestamp, Halt> {
        Ok(self.keeper.query_one(sql::watch::NOW, &[]).await?.try_get(0)?)
    }
}

/// What opens each of them.
fn hint(closed: &[&str], gates: &[Gate]) -> String {
    let is_approval =
        |of: &&&str| gates.iter().any(|gate| matches!(gate, Gate::Approval { name, .. } if name == **of));
    let options = |names: &[&str], before: &str, after: &str| {
        names.iter().map(|name| format!("{before}{name}{after}")).collect::<Vec<_>>().join(" ")
    };
    let (approvals, others): (Vec<&str>, Vec<&str>) = closed.iter().partition(is_approval);
    let (backups, others): (Vec<&str>, Vec<&str>) = others.iter().partition(|name| **name == "backup");
    let mut ways = Vec::new();
    if !backups.is_empty() {
        ways.push(
            "say when the last backup was taken with `--backup-at`, or `--override backup=reason`".to_owned(),
        );
    }
    if !approvals.is_empty() {
        ways.push(format!("say `{}` once it is so", options(&approvals, "--approve ", "")));
    }
    if !others.is_empty() {
        let overrides = options(&others, "--override ", "=reason");
        ways.push(format!("wait until it holds, or say `{overrides}`; then `posthaste runs resume`"));
    }
    ways.join("; ")
}

fn why_backup(backup_at: Option<Timestamp>, now: Timestamp, max_age_s: u64) -> Option<String> {
    let Some(backup_at) = backup_at else {
        return Some("when the last backup was taken is not known".to_owned());
    };
    let age_s = now.duration_since(backup_at).as_secs();
    (i128::from(age_s) > i128::from(max_age_s))
        .then(|| format!("the last backup is {age_s} s old, more than {max_age_s}"))
}

/// From is in the window, and to is not. A window may go over midnight.
fn why_window(now: Timestamp, from: &str, to: &str, zone: &str) -> Result<Option<String>, Error> {
    let time = |text: &str| {
        text.parse::<civil::Time>().map_err(|_| {
            let message = format!("`{text}` is no time of day");
            Error::new(Code::InvalidTime, message).field("gate").expected("a time such as `22:00`")
        })
    };
    let (from_time, to_time) = (time(from)?, time(to)?);
    let zone = TimeZone::get(zone)
        .map_err(|_| Error::new(Code::UnknownZone, format!("there is no time zone `{zone}`")))?;
    let local = now.to_zoned(zone).time();
    let is_open = if from_time <= to_time {
        from_time <= local && local < to_time
    } else {
        from_time <= local || local < to_time
    };
    Ok((!is_open).then(|| format!("it is {}, and the window is {from} to {to}", local.strftime("%H:%M"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn windows_are_of_the_zone_and_may_go_over_midnight() {
        for (now, from, to, is_open) in [
            ("2026-01-10T21:30:00Z", "22:00", "04:00", true),
            ("2026-01-10T20:59:00Z", "22:00", "04:00", false),
            ("2026-01-10T02:59:00Z", "22:00", "04:00", true),
            ("2026-01-10T03:00:00Z", "22:00", "04:00", false),
            ("2026-07-10T20:00:00Z", "22:00", "04:00", true),
            ("2026-01-10T09:00:00Z", "10:00", "11:00", true),
            ("2026-01-10T10:00:00Z", "10:00", "11:00", false),
        ] {
            let why = why_window(at(now), from, to, "Europe/Berlin").expect("a window");
            assert_eq!(why.is_none(), is_open, "{now} {from} {to} {why:?}");
        }
        assert_eq!(
            why_window(at("2026-01-10T12:00:00Z"), "22:00", "04:00", "UTC").expect("a window").as_deref(),
            Some("it is 12:00, and the window is 22:00 to 04:00")
        );
        let error = why_window(at("2026-01-10T12:00:00Z"), "late", "04:00", "UTC").expect_err("no time");
        assert_eq!(error.code(), Code::InvalidTime);
        let error = why_window(at("2026-01-10T12:00:00Z"), "22:00", "04:00", "Mars").expect_err("no zone");
        assert_eq!(error.code(), Code::UnknownZone);
    }

    #[test]
    fn a_backup_that_nobody_knows_of_is_none() {
        let now = at("2026-01-10T12:00:00Z");
        assert!(why_backup(None, now, 3_600).is_some());
        assert_eq!(why_backup(Some(at("2026-01-10T11:00:00Z")), now, 3_600), None);
        let why = why_backup(Some(at("2026-01-10T10:59:59Z")), now, 3_600);
        assert_eq!(why.as_deref(), Some("the last backup is 3601 s old, more than 3600"));
    }
}
