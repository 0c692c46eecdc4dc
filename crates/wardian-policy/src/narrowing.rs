//! Comparison of two policies: the things that one allows and the other does not.
//!
//! The one comparison behind `extends`, command-line flags and `policy diff`.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::{Limit, Location, Permission, Policy, Wheel};

/// Something that a policy allows and the one that it is compared with does not.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Widening {
    /// The key that says it: `permissions`, `limits.timeout`, `env.TZ`.
    pub key: String,
    /// The grant, in a few words.
    pub what: String,
    /// The place, if the policy was read from a file.
    pub at: Option<Location>,
}

/// The values of a tool's configuration, each with its key: `recipients[0]`,
/// `databases.orders.sqlite`.
pub fn leaves(config: &Map<String, Value>) -> Vec<(String, &Value)> {
    fn collect<'v>(key: String, value: &'v Value, leaves: &mut Vec<(String, &'v Value)>) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                for (name, value) in members {
                    collect(format!("{key}.{name}"), value, leaves);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (i, value) in items.iter().enumerate() {
                    collect(format!("{key}[{i}]"), value, leaves);
                }
            }
            value => leaves.push((key, value)),
        }
    }
    let mut leaves = Vec::new();
    for (name, value) in config {
        collect(name.clone(), value, &mut leaves);
    }
    leaves
}

/// Compares two configurations of a tool: only the tool knows which of them allows more.
fn told_otherwise(mine: &Map<String, Value>, base: &Map<String, Value>) -> Vec<(String, String)> {
    let [mine, base] =
        [mine, base].map(|config| leaves(config).into_iter().collect::<BTreeMap<_, _>>());
    let changed = mine.iter().filter_map(|(key, value)| match base.get(key) {
        Some(other) if other == value => None,
        Some(other) => Some((key.clone(), format!("{value} instead of {other}"))),
        None => Some((key.clone(), format!("{value}, which is new"))),
    });
    let gone = base.iter().filter(|(key, _)| !mine.contains_key(*key));
    let gone = gone.map(|(key, value)| (key.clone(), format!("no longer {value}")));
    changed.chain(gone).collect()
}

impl fmt::Display for Widening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}

impl Policy {
    /// Everything that this policy allows and `base` does not, in the order of a policy file.
    /// Empty if this one is as narrow or narrower.
    pub fn widenings(&self, base: &Self) -> Vec<Widening> {
        let mut wider = Vec::new();
        let mut add = |key: String, what: String, at: Option<&Location>| {
            let at = at.or_else(|| self.locations.get(&key)).cloned();
            wider.push(Widening { key, what, at });
        };
        let more: Permission = self.permissions - base.permissions;
        for name in more.names() {
            add(
                "permissions".to_owned(),
                format!("{name} is permitted"),
                None,
            );
        }
        let granted: Vec<_> = base.effective_grants().collect();
        for grant in self.effective_grants() {
            if !granted.iter().any(|other| other.covers(&grant)) {
                let what = format!(
                    "{} ({} on the host) is granted for {}",
                    grant.guest,
                    grant.host.display(),
                    grant.access.name()
                );
                add("allowed_paths".to_owned(), what, grant.location());
            }
        }
        for domain in self.domains.iter() {
            if !base.domains.iter().any(|other| other.covers(domain)) {
                let what = format!("{domain} is granted");
                add("allowed_domains".to_owned(), what, domain.location());
            }
        }
        if let Some(work) = self.work.as_ref().filter(|_| self.work != base.work) {
            let what = format!("there is a working directory at {work}");
            add("work".to_owned(), what, None);
        }
        let is_known = |wheel: &&Wheel| {
            let mut theirs = base.packages.wheels.iter();
            theirs.any(|other| other.sha256 == wheel.sha256)
        };
        for wheel in self.packages.wheels.iter().filter(|wheel| !is_known(wheel)) {
            let what = format!("{} can be imported", wheel.file.display());
            add("packages.wheels".to_owned(), what, None);
        }
        for directory in &self.packages.directories {
            if !base.packages.directories.contains(directory) {
                let what = format!("what is in {} can be imported", directory.display());
                add("packages.directories".to_owned(), what, None);
            }
        }
        if let Some(image) = &self.image
            && base
                .image
                .as_ref()
                .is_none_or(|theirs| theirs.file != image.file)
        {
            let what = format!("scripts start from {}", image.file.display());
            add("image".to_owned(), what, None);
        }
        for limit in Limit::ALL {
            let [mine, theirs] = [self, base].map(|policy| policy.limits.get(limit));
            if mine > theirs {
                let [mine, theirs] = [mine, theirs].map(|amount| limit.show(amount));
                add(
                    limit.key().to_owned(),
                    format!("{mine} instead of {theirs}"),
                    None,
                );
            }
        }
        for what in self.source_rules.widenings(&base.source_rules) {
            add("source".to_owned(), what, None);
        }
        for (name, value) in &self.env {
            if base.env.get(name) != Some(value) {
                add(
                    format!("env.{name}"),
                    "the variable is set".to_owned(),
                    None,
                );
            }
        }
        for (name, rules) in &self.tools {
            let key = format!("tools.{name}");
            let Some(other) = base.tools.get(name) else {
                add(key, "the tool can be called".to_owned(), None);
                continue;
            };
            let [mine, theirs] = [rules, other].map(|rules| rules.max_calls.unwrap_or(u64::MAX));
            if mine > theirs {
                add(
                    format!("{key}.max_calls"),
                    "it can be called more often".to_owned(),
                    None,
                );
            }
            for (arg, constraint) in &other.args {
                let narrower = rules.args.get(arg);
                if !narrower.is_some_and(|narrower| constraint.covers(narrower)) {
                    let what = format!("the argument can be other than {constraint}");
                    add(format!("{key}.args.{arg}"), what, None);
                }
            }
            for (part, what) in told_otherwise(&rules.config, &other.config) {
                let key = format!("{key}.config.{part}");
                let at = self.nearest_location(&key);
                add(key.clone(), what, at);
            }
            if other.approval && !rules.approval {
                add(
                    format!("{key}.approval"),
                    "no approval is needed".to_owned(),
                    None,
                );
            }
        }
        wider
    }
}
