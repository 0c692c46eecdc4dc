//! Sets of names, for what a guest reads in every run.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::CodeRules;

/// A set of names, each without a `;` in it.
///
/// One text rather than many strings: a guest reads its rules anew in every run, and asks them little. What is between the
/// names is nothing that JSON escapes, so that the guest takes the text as it comes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// In order, each with a `;` after it.
    text: String,
}

impl Names {
    /// The names, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.text.split_terminator(';')
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Is this one of them?
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

impl FromIterator<String> for Names {
    fn from_iter<Given: IntoIterator<Item = String>>(names: Given) -> Self {
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let text = names.into_iter().map(|name| name + ";").collect();
        Self { text }
    }
}

/// For people and other programs: an array.
impl Serialize for Names {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// [`CodeRules`] as a guest is told of them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told<Text> {
    allowed_imports: Option<Text>,
    forbidden_imports: Text,
    forbidden_calls: Text,
}

pub(crate) fn serialize<S: Serializer>(
    rules: &Option<CodeRules>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let told = rules.as_ref().map(|rules| Told {
        allowed_imports: rules.allowed_imports.as_ref().map(|names| &*names.text),
        forbidden_imports: &*rules.forbidden_imports.text,
        forbidden_calls: &*rules.forbidden_calls.text,
    });
    told.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<CodeRules>, D::Error> {
    let told = Option::<Told<String>>::deserialize(deserializer)?;
    Ok(told.map(|told| CodeRules {
        allowed_imports: told.allowed_imports.map(|text| Names { text }),
        forbidden_imports: Names {
            text: told.forbidden_imports,
        },
        forbidden_calls: Names {
            text: told.forbidden_calls,
        },
    }))
}
