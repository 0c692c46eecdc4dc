//! The rows of the suite: what is tried, what it needs, what may come of it. They are data, in
//! `attacks/*.toml`, a file for each class.

use std::sync::OnceLock;

use serde::Deserialize;

/// The files of the suite, in its order.
const FILES: &[(&str, &str)] = &[
    ("esc", include_str!("../attacks/esc.toml")),
    ("val", include_str!("../attacks/val.toml")),
    ("res", include_str!("../attacks/res.toml")),
    ("fs", include_str!("../attacks/fs.toml")),
    ("url", include_str!("../attacks/url.toml")),
    ("tool", include_str!("../attacks/tool.toml")),
    ("log", include_str!("../attacks/log.toml")),
    ("ses", include_str!("../attacks/ses.toml")),
    ("work", include_str!("../attacks/work.toml")),
    ("api", include_str!("../attacks/api.toml")),
    ("sup", include_str!("../attacks/sup.toml")),
];

/// The suite's policy, under which every row applies.
pub(crate) const POLICY: &str = include_str!("../attacks/policy.toml");

/// The name of a row's benign twin.
pub(crate) const TWIN: &str = "the benign twin";

/// One kind of attack.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Row {
    /// Its name for good: `ESC-01`.
    pub id: String,
    /// The kind of attack.
    pub name: String,
    /// The way in which its payloads are played.
    #[serde(default)]
    pub(crate) kind: Kind,
    /// Preconditions: what a policy has to grant for it to mean anything.
    #[serde(default)]
    pub(crate) needs: Vec<Need>,
    /// Python that goes before each payload and before the benign twin.
    #[serde(default)]
    pub(crate) setup: String,
    /// The endings that payloads may have, besides being rejected by the profile: the name of an
    /// ending (`completed`, `raised`, `fuel`), or the type of an exception.
    #[serde(default)]
    pub(crate) may: Vec<String>,
    /// The payloads: Python, URLs, policies, names of functions.
    #[serde(default)]
    pub(crate) payloads: Vec<String>,
    /// The benign twin, which has to work: a policy that denied everything would pass otherwise.
    #[serde(default)]
    pub(crate) benign: Option<String>,
    /// Fuel for each run, if not [`FUEL`].
    #[serde(default)]
    pub(crate) fuel: Option<f64>,
    /// Seconds for each run, if not [`SECONDS`].
    #[serde(default)]
    pub(crate) seconds: Option<f64>,
    /// The reason for which it is not tried.
    #[serde(default)]
    pub(crate) left_out: Option<String>,
}

/// The fuel of a run of a row, unless the row says more or the policy less.
pub(crate) const FUEL: u64 = 3_000_000_000;
pub(crate) const SECONDS: u64 = 3;

/// A precondition of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Need {
    /// That scripts run.
    Scripts,
    /// That something goes out to the network.
    Network,
    /// A directory to read from.
    Directory,
    /// A directory to read from and not to write to.
    ReadOnly,
    /// A directory to write to and read from.
    ReadWrite,
    /// A working directory in memory.
    Work,
    /// A host that is allowed by its name.
    Domain,
    /// Hosts that are not allowed.
    OtherHosts,
}

/// A way in which payloads are played.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Each is a script.
    #[default]
    Python,
    /// Each is a URL that the policy has to refuse; `{host}` is one that it allows.
    Urls,
    /// Each is a URL that `http_request` has to refuse; every name has the address after the space.
    Fetch,
    /// Each is a tool's name, whose action is guessed; the twin's has to be.
    Names,
    /// Each is a policy file that has to be refused.
    Policies,
    /// Each is the name of a function in `host.rs`.
    Host,
}

/// One class of attacks.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Class {
    /// Its short name, which the ids of its rows begin with: `ESC`.
    #[serde(skip)]
    pub id: String,
    /// Its name.
    pub title: String,
    /// A sentence on what its rows try, or what has to hold.
    pub about: String,
    /// Its rows.
    #[serde(rename = "row")]
    pub rows: Vec<Row>,
}

/// Returns every class of attacks, in the order of the suite.
///
/// # Panics
///
/// If the data are not as they have to be, which a test finds.
#[expect(clippy::panic, reason = "the data are part of this crate")]
pub fn classes() -> &'static [Class] {
    static CLASSES: OnceLock<Vec<Class>> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let read = |(name, text): &(&str, &str)| match toml::from_str::<Class>(text) {
            Ok(class) => Class {
                id: name.to_uppercase(),
                ..class
            },
            Err(error) => panic!("attacks/{name}.toml: {error}"),
        };
        FILES.iter().map(read).collect()
    })
}

/// Returns every row of the suite, in its order.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    classes().iter().flat_map(|class| &class.rows)
}

impl Row {
    /// Returns whether it is to start before others, so that nothing long is left for the end.
    pub(crate) fn takes_long(&self) -> bool {
        self.kind == Kind::Host || self.fuel.is_some() || self.seconds.is_some()
    }

    /// The class: `ESC`.
    pub fn class(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Returns each source that is tried, by its name: a payload by its number, the benign twin.
    pub fn sources(&self) -> impl Iterator<Item = (String, &str)> {
        let twin = self.benign.iter().map(|twin| (TWIN.to_owned(), twin));
        let payloads = self.payloads.iter().enumerate();
        let payloads = payloads.map(|(at, payload)| (format!("payload {}", at + 1), payload));
        twin.chain(payloads)
            .map(|(name, source)| (name, source.trim_matches('\n')))
    }

    /// Returns the endings that payloads may have, as
    /// [`RowReport::endings`](crate::RowReport::endings) has them.
    pub fn expected(&self) -> &[String] {
        &self.may
    }

    /// Returns whether `only` names it: its class, or itself.
    pub(crate) fn is_named(&self, only: &str) -> bool {
        self.class().eq_ignore_ascii_case(only) || self.id.eq_ignore_ascii_case(only)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many of each class as the catalogue has.
    #[test]
    fn every_row_of_the_catalogue_is_there() {
        let mut expected = Vec::new();
        for (class, last) in [
            ("ESC", 28),
            ("VAL", 21),
            ("RES", 50),
            ("FS", 27),
            ("URL", 18),
            ("TOOL", 24),
            ("LOG", 17),
            ("SES", 5),
            ("WORK", 15),
            ("API", 13),
            ("SUP", 13),
        ] {
            expected.extend((1..=last).map(|number| format!("{class}-{number:02}")));
        }
        let ids: Vec<_> = rows().map(|row| row.id.clone()).collect();
        assert_eq!(ids, expected);
    }

    #[test]
    fn every_row_is_tried_or_says_why_not() {
        for row in rows() {
            assert_eq!(
                row.left_out.is_some(),
                row.payloads.is_empty(),
                "{}",
                row.id
            );
            if row.left_out.is_none() && row.kind == Kind::Python {
                assert!(row.benign.is_some(), "{} has no benign twin", row.id);
                assert!(
                    !row.may.is_empty(),
                    "{} says of no ending that it is right",
                    row.id
                );
            }
        }
    }
}
