//! Sets of names, for what a guest reads in every run.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ScreenRules;

/// A set of names, each without a `;` in it.
///
/// One text rather than many strings: a guest reads its rules anew in every run, and asks them
/// little. Nothing between the names is escaped in JSON, so that the guest takes the text as it
/// comes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameSet {
    /// In order, each with a `;` after it.
    text: String,
}

impl NameSet {
    /// Iterates over the names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator(';')
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Returns whether `name` is one of them.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|known| known == name)
    }

    /// Adds names.
    pub fn extend(&mut self, names: impl IntoIterator<Item = String>) {
        *self = self.iter().map(str::to_owned).chain(names).collect();
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) {
        let others = self.iter().filter(|known| *known != name);
        *self = others.map(str::to_owned).collect();
    }
}

impl FromIterator<String> for NameSet {
    fn from_iter<Given: IntoIterator<Item = String>>(names: Given) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let text = names.into_iter().map(|name| name + ";").collect();
        Self { text }
    }
}

/// [`ScreenRules`] on their way to a guest.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScreenRulesWire<Text> {
    allowed_imports: Option<Text>,
    forbidden_imports: Text,
    forbidden_calls: Text,
}

pub(crate) fn serialize<S: Serializer>(
    rules: &Option<ScreenRules>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let wire = rules.as_ref().map(|rules| ScreenRulesWire {
        allowed_imports: rules.allowed_imports.as_ref().map(|names| &*names.text),
        forbidden_imports: &*rules.forbidden_imports.text,
        forbidden_calls: &*rules.forbidden_calls.text,
    });
    wire.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ScreenRules>, D::Error> {
    let wire = Option::<ScreenRulesWire<String>>::deserialize(deserializer)?;
    Ok(wire.map(|wire| ScreenRules {
        allowed_imports: wire.allowed_imports.map(|text| NameSet { text }),
        forbidden_imports: NameSet {
            text: wire.forbidden_imports,
        },
        forbidden_calls: NameSet {
            text: wire.forbidden_calls,
        },
    }))
}
