//! Assertions on a policy alone, without running anything.

use wardian::{
    Policy,
    policy::{Action, Decision},
};

/// Assertions on a policy, for tests.
pub trait PolicyChecks {
    /// Asserts that the policy allows `action` on `resource`.
    ///
    /// # Panics
    ///
    /// If it does not, with the rule that decided.
    fn allows(&self, action: Action, resource: impl AsRef<[u8]>);

    /// Asserts that the policy denies `action` on `resource`.
    ///
    /// # Panics
    ///
    /// If it does not, with the rule that decided.
    fn denies(&self, action: Action, resource: impl AsRef<[u8]>) -> Denied<'_>;
}

/// A denial, as it should be.
#[derive(Debug)]
pub struct Denied<'p>(Decision<'p>);

impl PolicyChecks for Policy {
    #[track_caller]
    fn allows(&self, action: Action, resource: impl AsRef<[u8]>) {
        let decision = self.check(action, resource);
        assert!(decision.allowed(), "{}", shown(&decision));
    }

    #[track_caller]
    fn denies(&self, action: Action, resource: impl AsRef<[u8]>) -> Denied<'_> {
        let decision = self.check(action, resource);
        assert!(!decision.allowed(), "{}", shown(&decision));
        Denied(decision)
    }
}

impl Denied<'_> {
    /// Asserts which key of the policy has denied: `permissions`, `allowed_paths`,
    /// `allowed_domains`, or one entry of it, `allowed_paths["/data"]`.
    ///
    /// # Panics
    ///
    /// If it was another.
    #[track_caller]
    pub fn by_rule(self, rule: &str) -> Self {
        let by = self.0.rule();
        let is = by == rule || by.starts_with(&format!("{rule}["));
        assert!(is, "denied by {by}, not by {rule}: {}", shown(&self.0));
        self
    }
}

fn shown(decision: &Decision<'_>) -> String {
    let at = decision.location().map(|at| format!(" ({at})"));
    format!(
        "{}: {decision}{}",
        decision.action(),
        at.unwrap_or_default()
    )
}
