//! The authority of a policy: the policy itself, and the directories that it has opened.

use std::sync::Arc;

use wardian_policy::Policy;

use super::{Grants, Packages};

/// A policy with the directories that it grants, opened, and the packages that it has, read.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) policy: Arc<Policy>,
    pub(crate) grants: Grants,
    pub(crate) packages: Option<Packages>,
    /// SHA-256 of what the policy grants, for records.
    pub(crate) policy_sha256: String,
}

impl Authority {
    pub(crate) fn new(policy: Policy, grants: Grants, packages: Option<Packages>) -> Self {
        Self {
            policy_sha256: policy.sha256(),
            policy: Arc::new(policy),
            grants,
            packages,
        }
    }
}
