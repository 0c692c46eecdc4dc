//! Permissions and limits together: what a sandbox is made from.

use crate::{Limits, Permission};

/// What one agent may do. Nothing is granted that is not in here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    permissions: Permission,
    limits: Limits,
}

impl Policy {
    /// A policy of `permissions` and `limits`.
    pub fn new(permissions: Permission, limits: Limits) -> Self {
        Self {
            permissions,
            limits,
        }
    }

    /// Computing and nothing else: code runs, within the default limits.
    pub fn computing() -> Self {
        Self::new(Permission::EXECUTE_CODE, Limits::default())
    }

    /// The same permissions under other limits.
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What is permitted.
    pub fn permissions(&self) -> Permission {
        self.permissions
    }

    /// How much of everything a run may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}
