//! Properties of every policy, shown on random ones.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use wardian_policy::{
    Access, Action, Allowance, Base, Grant, GuestPath, Limit, Limits, Permission, Policy, Source,
};

const NAMES: [&str; 4] = ["data", "data-old", "faq", "x"];
const HOSTS: [&str; 6] = [
    "example.com",
    "*.example.com",
    "a.example.com",
    "http://example.com",
    "*",
    "192.0.2.7",
];
const URLS: [&str; 7] = [
    "https://example.com/",
    "https://a.example.com/",
    "https://b.a.example.com/",
    "http://example.com/",
    "https://192.0.2.7/",
    "https://example.com@evil.com/",
    "https://evil.com/",
];

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => prop::sample::select(NAMES.to_vec()),
        1 => prop::sample::select(vec!["..", ".", ""]),
    ];
    prop::collection::vec(part, 1..5).prop_map(|parts| format!("/{}", parts.join("/")))
}

fn policy() -> impl Strategy<Value = Policy> {
    let access = prop::sample::select(vec![Access::READ, Access::WRITE, Access::READ_WRITE]);
    (
        any::<u32>(),
        prop::collection::vec((path(), access), 0..4),
        prop::collection::vec(prop::sample::select(HOSTS.to_vec()), 0..3),
        prop::sample::select(Limit::ALL.to_vec()),
        0.0..1.0,
    )
        .prop_map(|(permissions, grants, domains, limit, part)| {
            let (least, most, _) = limit.bounds();
            let amount = least + ((most - least) as f64 * part) as u64;
            let limits = Limits::default()
                .with(limit, Allowance::AtMost(amount))
                .unwrap();
            let mut policy = Policy::new(Permission::from_bits_truncate(permissions), limits);
            for (path, access) in grants {
                // The same path on both sides, so that grants of two policies are comparable.
                let Ok(grant) = Grant::new(&path, &path, access) else {
                    continue;
                };
                policy = policy.clone().with_grant(grant).unwrap_or(policy);
            }
            for domain in domains {
                policy = policy.clone().with_domain(domain).unwrap_or(policy);
            }
            policy
        })
}

/// Everything that is allowed of a sample of resources.
fn allowed(policy: &Policy, paths: &[String]) -> Vec<(Action, String)> {
    let mut allowed = Vec::new();
    for action in Action::ALL {
        let resources = paths.iter().map(String::as_str).chain(URLS);
        for resource in resources {
            if policy.check(action, resource).allowed() {
                allowed.push((action, resource.to_owned()));
            }
        }
    }
    allowed
}

proptest! {
    #[test]
    fn a_policy_without_widenings_allows_nothing_more(
        base in policy(), other in policy(), paths in prop::collection::vec(path(), 20),
    ) {
        let granted = allowed(&base, &paths);
        if other.widenings(&base).is_empty() {
            for allowed in allowed(&other, &paths) {
                prop_assert!(granted.contains(&allowed), "{allowed:?}");
            }
            for limit in Limit::ALL {
                prop_assert!(other.limits().get(limit) <= base.limits().get(limit));
            }
        }
        prop_assert_eq!(base.widenings(&base), []);
    }

    /// A policy that was loaded through `extends` never allows more than its base.
    #[test]
    fn extends_never_widens(
        base in policy(),
        permissions in prop::option::of(any::<u32>()),
        entry in prop::option::of(path()),
        domain in prop::option::of(prop::sample::select(HOSTS.to_vec())),
        timeout in prop::option::of(1_u32..20_000),
        paths in prop::collection::vec(path(), 20),
    ) {
        let mut text = "version = 1\nextends = \"/base.toml\"\n".to_owned();
        if let Some(bits) = permissions {
            let names: Vec<_> = Permission::from_bits_truncate(bits)
                .iter_names()
                .map(|(name, _)| format!("{name:?}"))
                .collect();
            text += &format!("permissions = [{}]\n", names.join(","));
        }
        if let Some(entry) = entry {
            text += &format!("allowed_paths = [{entry:?}]\n");
        }
        if let Some(domain) = domain {
            text += &format!("allowed_domains = [{domain:?}]\n");
        }
        if let Some(timeout) = timeout {
            text += &format!("limits.timeout = \"{timeout}ms\"\n");
        }
        let granted = allowed(&base, &paths);
        let source = Source::text("policy.toml", &text);
        let load = |_: &std::path::Path| Ok::<_, Base>(base.clone());
        if let Ok(extended) = Policy::parse_with(&source, load) {
            for allowed in allowed(&extended, &paths) {
                prop_assert!(granted.contains(&allowed), "{allowed:?}");
            }
            prop_assert!(extended.limits().timeout() <= base.limits().timeout());
        }
    }

    /// Deny beats allow: no entry helps without the permission, and nothing outside of the
    /// entries helps with it.
    #[test]
    fn deny_beats_allow(policy in policy(), path in path()) {
        for action in Action::ALL {
            let decision = policy.check(action, &path);
            if !policy.permissions().contains(action.permission()) {
                prop_assert!(!decision.allowed());
            }
        }
        let normal = GuestPath::new(&path).unwrap();
        for (action, access) in [(Action::ReadFile, Access::READ), (Action::WriteFile, Access::WRITE)] {
            let held = policy.grants().any(|grant| {
                normal.within(grant.guest()).is_some() && policy.access(grant).contains(access)
            });
            prop_assert_eq!(policy.check(action, &path).allowed(), held);
        }
    }

    #[test]
    fn any_bytes_get_an_answer(policy in policy(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for action in Action::ALL {
            let _ = policy.check(action, &bytes).to_string();
        }
        if let Ok(path) = GuestPath::new(&bytes) {
            prop_assert_eq!(&GuestPath::new(path.as_str()).unwrap(), &path);
            prop_assert!(path.components().all(|name| ![".", "..", ""].contains(&name)));
        }
    }

    #[test]
    fn any_text_is_a_policy_or_a_list_of_problems(text in "(?s).{0,400}") {
        if let Err(problems) = Policy::parse(&Source::text("policy.toml", &text)) {
            prop_assert!(problems.iter().count() > 0);
            prop_assert!(!problems.to_string().is_empty());
        }
    }
}
