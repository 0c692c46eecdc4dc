//! Preconditions: what a policy must grant for an attack to apply.

use std::path::PathBuf;

use wardian::{
    Policy,
    policy::{Access, Action, DomainRule, Permission},
};

use crate::row::{Kind, Need, Row};

impl Need {
    fn is_met(self, policy: &Policy) -> bool {
        let permits = |permission| policy.permissions().contains(permission);
        match self {
            Self::Scripts => permits(Permission::EXECUTE_CODE),
            Self::Network => permits(Permission::NETWORK_ACCESS),
            Self::Directory => policy
                .grants()
                .any(|grant| policy.access(grant).contains(Access::READ)),
            Self::ReadOnly => read_only(policy).next().is_some(),
            Self::ReadWrite => policy
                .grants()
                .any(|grant| policy.access(grant).contains(Access::READ_WRITE)),
            Self::Work => policy.work().is_some(),
            Self::Domain => allowed_host(policy).is_some(),
            Self::OtherHosts => {
                let other = policy.check(Action::HttpRequest, "https://evil.example/");
                !other.allowed()
            }
        }
    }

    fn missing(self) -> &'static str {
        match self {
            Self::Scripts => "the policy lets no script run: no EXECUTE_CODE",
            Self::Network => "the policy lets nothing on the network: no NETWORK_ACCESS",
            Self::Directory => "the policy grants no directory for reading",
            Self::ReadOnly => "the policy grants no directory for reading only",
            Self::ReadWrite => "the policy grants no directory for reading and writing",
            Self::Work => "the policy gives no working directory: no [work]",
            Self::OtherHosts => "the policy allows every host",
            Self::Domain => "the policy allows no host by its name",
        }
    }
}

/// Returns the reason for which a row does not apply under this policy.
pub(crate) fn missing(row: &Row, policy: &Policy) -> Option<&'static str> {
    let of_kind: &[Need] = match row.kind {
        Kind::Python => &[Need::Scripts],
        Kind::Fetch => &[Need::Scripts, Need::Network],
        // Those of the library itself need nothing, and bring a policy of their own.
        Kind::Host if row.needs.is_empty() => &[],
        Kind::Host => &[Need::Scripts],
        Kind::Urls | Kind::Names | Kind::Policies => &[],
    };
    let lacks = |need: &&Need| !need.is_met(policy);
    let need = of_kind.iter().chain(&row.needs).find(lacks)?;
    Some(need.missing())
}

/// The directories that may only be read.
pub(crate) fn read_only(policy: &Policy) -> impl Iterator<Item = PathBuf> {
    policy
        .grants()
        .filter(|grant| policy.access(grant) == Access::READ)
        .map(|grant| grant.host().to_owned())
}

/// A host that the policy allows under `https`, by its name.
pub(crate) fn allowed_host(policy: &Policy) -> Option<String> {
    if !policy.permissions().contains(Permission::NETWORK_ACCESS) {
        return None;
    }
    let named = |rule: &DomainRule| {
        let rule = rule.to_string();
        let host = rule.strip_prefix("https://")?.strip_suffix(":443")?;
        let host = host.replacen("*.", "sub.", 1);
        host.starts_with(|char: char| char.is_ascii_alphabetic())
            .then_some(host)
    };
    policy.domains().find_map(named)
}
