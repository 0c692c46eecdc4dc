//! The context of one run: its id, its limits, its counters, its refusals and its records.

use std::sync::Arc;
use std::time::Instant;

use wardian_abi::Display;
use wardian_audit::{Data, Event, Log};
use wardian_policy::{Allowance, Limit, Limits, Policy};

use super::{
    ApprovalClock, Displays, Entry, EventSender, Meters, Recorder, RefusalList, RunEvent, RunName,
    Stop, micros,
};

/// The identity of a script, for its record.
#[derive(Clone, Copy)]
pub(crate) struct ScriptRecord<'s> {
    pub(crate) sha256: &'s str,
    /// The host's name for it.
    pub(crate) name: Option<&'s str>,
    /// The image that it starts from.
    pub(crate) image_sha256: Option<&'s str>,
}

/// The context of a run, or of a tool that host code has taken up.
pub(crate) struct RunContext {
    pub(crate) run_id: String,
    pub(crate) recorder: Recorder,
    pub(crate) meters: Meters,
    pub(crate) refusals: RefusalList,
    pub(crate) approvals: ApprovalClock,
    pub(crate) displays: Displays,
    events: EventSender,
    limits: Limits,
    started: Instant,
}

impl RunContext {
    pub(crate) fn new(
        run: RunName,
        policy: &Policy,
        limits: &Limits,
        log: Option<Log>,
        events: EventSender,
    ) -> Self {
        Self {
            run_id: run.id.clone(),
            recorder: Recorder::new(log, events.clone(), run, policy.agent(), limits),
            meters: Meters::new(limits),
            refusals: RefusalList::default(),
            approvals: ApprovalClock::default(),
            displays: Displays::new(limits),
            events,
            limits: limits.clone(),
            started: Instant::now(),
        }
    }

    /// Records that the run starts.
    pub(crate) async fn begin(
        &self,
        policy: &Policy,
        policy_sha256: &str,
        script: Option<ScriptRecord<'_>>,
    ) -> Result<(), Stop> {
        if !self.recorder.is_on() {
            return Ok(());
        }
        let show = |limit: Limit| match self.limits.get(limit) {
            Allowance::AtMost(amount) => amount.into(),
            Allowance::Unlimited => "unlimited".into(),
        };
        let started = Event::RunStarted {
            source_sha256: script.map(|script| script.sha256.to_owned()),
            script: script.and_then(|script| Some(script.name?.to_owned())),
            policy: policy
                .file()
                .map(|file| file.to_string_lossy().into_owned()),
            image_sha256: script.and_then(|script| Some(script.image_sha256?.to_owned())),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            policy_sha256: policy_sha256.to_owned(),
            limits: Limit::ALL
                .into_iter()
                .filter(|limit| self.recorder.is_of_session() || !limit.is_of_session())
                .filter(|limit| policy.work().is_some() || !limit.is_of_work())
                .map(|limit| (limit.key().to_owned(), show(limit)))
                .collect(),
        };
        self.recorder.begin((started, Data::default())).await
    }

    /// Shows something, if that is within the limits.
    pub(crate) async fn show(&self, display: Display) {
        if self.displays.keep(&display) {
            self.events.send(RunEvent::Display(display)).await;
        }
    }

    /// Makes the record of the run's end.
    pub(crate) fn finished(&self, verdict: &str, status: Option<i32>, fuel: u64) -> Event {
        Event::RunFinished {
            verdict: verdict.to_owned(),
            status,
            duration_us: micros(self.started.elapsed()),
            fuel,
            tool_calls: self.meters.calls(),
            refusals: self.refusals.count(),
        }
    }

    /// Records an end of what has not come to an outcome, or of a tool that host code has let go
    /// of.
    fn abandon(&self) {
        let last: Entry = (self.finished("stopped", None, 0), Data::default());
        self.recorder.abandon(vec![last]);
    }
}

/// Drop guard: writes the run's last record if the run was abandoned. Tools that are still at work
/// do not keep the run open.
pub(crate) struct EndGuard(pub(crate) Arc<RunContext>);

impl Drop for EndGuard {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
