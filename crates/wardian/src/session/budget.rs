//! The limits of a session as a whole, and what its calls have used of them.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use wardian_engine::SavedMemory;
use wardian_policy::{Allowance, Limit, Limits};

use crate::{Error, Outcome, Verdict};

/// The resources that the calls of a session have used, those that were undone included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionUsage {
    /// Calls.
    pub calls: u32,
    /// Fuel.
    pub fuel: u64,
    /// Wall-clock time.
    pub wall: Duration,
    /// Bytes written to files, and bytes by which they were made to grow.
    pub bytes_written: u64,
}

impl SessionUsage {
    /// Adds what a call has used.
    pub(super) fn add(&mut self, outcome: &Outcome) {
        let used = &outcome.usage;
        self.fuel = self.fuel.saturating_add(used.fuel);
        self.wall = self.wall.saturating_add(used.wall);
        self.bytes_written = self.bytes_written.saturating_add(used.bytes_written);
    }
}

/// The times of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Times {
    pub(super) started: SystemTime,
    pub(super) last_used: SystemTime,
}

impl Times {
    pub(super) fn now() -> Self {
        let now = SystemTime::now();
        Self {
            started: now,
            last_used: now,
        }
    }

    pub(super) fn use_now(&mut self) {
        self.last_used = SystemTime::now();
    }

    /// Returns the limit of time that the session has come to, if it has.
    pub(super) fn expired(&self, limits: &Limits) -> Option<Limit> {
        // A clock that was set back makes nothing older.
        let since = |time: SystemTime| time.elapsed().unwrap_or_default();
        let over = |limit, time| Allowance::AtMost(nanos(since(time))) > limits.get(limit);
        if over(Limit::SessionAge, self.started) {
            Some(Limit::SessionAge)
        } else if over(Limit::SessionIdle, self.last_used) {
            Some(Limit::SessionIdle)
        } else {
            None
        }
    }
}

/// The limits of one call: those of a run, and what is left of the session's.
pub(crate) struct CallBudget {
    pub(crate) limits: Limits,
    policy: Limits,
    used: SessionUsage,
}

impl CallBudget {
    /// The limits of the next call of a session, of which so much was used.
    ///
    /// # Errors
    ///
    /// [`Error::SessionLimit`] if nothing is left.
    pub(super) fn new(policy: &Limits, used: SessionUsage, times: Times) -> Result<Self, Error> {
        let refuse = |limit: Limit| Error::SessionLimit {
            limit,
            allowed: limit.show(policy.get(limit)),
        };
        if let Some(limit) = times.expired(policy) {
            return Err(refuse(limit));
        }
        let left = |limit: Limit, used: u64| policy.get(limit).or_max().saturating_sub(used);
        let mut limits = policy.clone();
        for (limit, session, used) in [
            (None, Limit::SessionCalls, u64::from(used.calls)),
            (Some(Limit::Fuel), Limit::SessionFuel, used.fuel),
            (Some(Limit::Timeout), Limit::SessionTime, nanos(used.wall)),
        ] {
            let left = left(session, used);
            if left == 0 {
                return Err(refuse(session));
            }
            if let Some(limit) = limit {
                limits = limits.at_most(limit, left);
            }
        }
        let room = left(Limit::SessionBytesWritten, used.bytes_written);
        Ok(Self {
            limits: limits.at_most(Limit::BytesWritten, room),
            policy: policy.clone(),
            used,
        })
    }

    /// Names the session's limit in the verdict, where that is what has stopped the call.
    pub(crate) fn name_limit(&self, verdict: &mut Verdict) {
        let Verdict::Limit {
            limit,
            used,
            allowed,
            ..
        } = verdict
        else {
            return;
        };
        let (of_session, before) = match limit {
            Limit::Fuel => (Limit::SessionFuel, self.used.fuel),
            Limit::Timeout => (Limit::SessionTime, millis(self.used.wall)),
            _ => return,
        };
        if self.limits.get(*limit) < self.policy.get(*limit) {
            *limit = of_session;
            *used = used.saturating_add(before);
            *allowed = allowed.saturating_add(before);
        }
    }

    /// Returns the verdict on a call that leaves more memory than a session may take.
    pub(crate) fn check_memory(&self, memory: &SavedMemory) -> Option<Verdict> {
        let allowed = self.policy.get(Limit::SessionMemory).or_max();
        let bytes = memory.exceeds(usize::try_from(allowed).unwrap_or(usize::MAX))?;
        Some(Verdict::Limit {
            limit: Limit::SessionMemory,
            used: bytes as u64,
            allowed,
            line: None,
        })
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
