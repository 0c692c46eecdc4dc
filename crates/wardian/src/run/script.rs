//! A script: the source, and everything that is handed to it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wardian_abi::{ModuleSource, exact};
use wardian_policy::{is_env_variable, is_identifier};

use super::script_form::ScriptForm;
use crate::Error;
use crate::modules::modules;

/// A script with its arguments, inputs, environment and standard input.
///
/// Anything that is a string is a script without any of these. As JSON it is what
/// [`schemas`](crate::wire::schemas) says of `script`: `{"source": "print(6 * 7)"}` at least.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ScriptForm", into = "ScriptForm")]
pub struct Script {
    pub(crate) source: String,
    pub(crate) name: Option<String>,
    pub(crate) modules: BTreeMap<String, ModuleSource>,
    pub(crate) args: Vec<String>,
    pub(crate) inputs: Map<String, Value>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) stdin: Vec<u8>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) interactive: bool,
}

impl Script {
    /// A script of Python source.
    pub fn new(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            ..Self::default()
        }
    }

    /// Returns the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the bytes of the source and of the modules that it brings along.
    pub(super) fn source_bytes(&self) -> usize {
        let modules = self.modules.values().map(|module| module.source.len());
        self.source.len() + modules.sum::<usize>()
    }

    /// Names it for the audit log: by its file, for instance.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Brings a module along, which the script imports by this name: `helper`, `package.part`.
    /// Packages that a dotted name goes through are there too, empty unless they are given. Modules
    /// are screened as the script is, and their sources count against the same limit. None can be
    /// called like one of Python's.
    pub fn module(mut self, name: impl Into<String>, source: impl Into<String>) -> Self {
        let (name, source) = (name.into(), source.into());
        let dots = name.match_indices('.').map(|(at, _)| at);
        for package in dots.filter_map(|at| name.get(..at)) {
            let entry = self.modules.entry(package.to_owned());
            entry
                .or_insert_with(|| module(package, String::new()))
                .is_package = true;
        }
        let is_package = self
            .modules
            .get(&name)
            .is_some_and(|known| known.is_package);
        let module = module(&name, source);
        self.modules.insert(
            name,
            ModuleSource {
                is_package,
                ..module
            },
        );
        self
    }

    /// Appends to `sys.argv`.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets a global variable before the script starts.
    pub fn input(mut self, name: impl Into<String>, value: impl Into<Input>) -> Self {
        self.inputs.insert(name.into(), value.into().0);
        self
    }

    /// Sets a variable in `os.environ`, which is empty otherwise.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Sets standard input, which is at its end otherwise.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// Puts a file into the working directory before the script starts, under this name: a path
    /// relative to it, as `data/sales.csv`. Takes a policy that gives one
    /// ([`Policy::with_work`](crate::Policy::with_work)).
    pub fn file(mut self, name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.insert(name.into(), bytes.into());
        self
    }

    /// The same script, whose value a person reads: it comes back as its `repr`
    /// ([`Value::Opaque`](crate::outcome::Value::Opaque)), and later calls of the session have it
    /// as `_`.
    pub fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// Checks that every input and every environment variable can be one.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some(name) = self.inputs.keys().find(|name| !is_variable(name)) {
            return Err(Error::InputName { name: name.clone() });
        }
        for name in self.modules.keys() {
            let wrong = |reason| Error::ModuleName {
                name: name.clone(),
                reason,
            };
            if !name.split('.').all(is_variable) {
                return Err(wrong("is not a name that Python can import"));
            }
            // Python's would be found first, and be allowed as the script's own.
            let package = name.split('.').next();
            let is_pythons = |package| modules().any(|known| known == package);
            if package.is_some_and(is_pythons) {
                return Err(wrong("is one of Python's own; give it another name"));
            }
        }
        let unset = self
            .env
            .iter()
            .find(|(name, value)| !is_env_variable(name, value));
        if let Some((name, _)) = unset {
            return Err(Error::Environment { name: name.clone() });
        }
        Ok(())
    }
}

fn module(name: &str, source: String) -> ModuleSource {
    ModuleSource {
        source,
        file: format!("/{}.py", name.replace('.', "/")),
        is_package: false,
    }
}

impl<S: Into<String>> From<S> for Script {
    fn from(source: S) -> Self {
        Self::new(source)
    }
}

/// The value of a variable: JSON, or a float that JSON does not have.
#[derive(Debug, Clone, PartialEq)]
pub struct Input(Value);

impl From<f64> for Input {
    fn from(number: f64) -> Self {
        Self(exact::float(number))
    }
}

impl From<Value> for Input {
    fn from(value: Value) -> Self {
        Self(exact::escape(value))
    }
}

impl<T: Into<Self>> From<Option<T>> for Input {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(Value::Null), Into::into)
    }
}

impl<T: Into<Self>> From<Vec<T>> for Input {
    fn from(items: Vec<T>) -> Self {
        let items = items.into_iter().map(|item| item.into().0);
        Self(items.collect())
    }
}

/// Values that JSON has as they are.
macro_rules! plain_inputs {
    ($($type:ty),*) => { $(
        impl From<$type> for Input {
            fn from(value: $type) -> Self {
                Self(value.into())
            }
        }
    )* };
}

plain_inputs!(bool, i8, i16, i32, i64, u8, u16, u32, u64, &str, String);

/// Returns whether `name` can be a variable of a script. Names in double underscores are Python's
/// own.
fn is_variable(name: &str) -> bool {
    is_identifier(name) && !(name.starts_with("__") && name.ends_with("__"))
}

#[cfg(test)]
mod tests {
    use super::is_variable;

    #[test]
    fn variables() {
        for name in ["x", "_", "größe", "a1", "__private"] {
            assert!(is_variable(name), "{name}");
        }
        for name in ["", "1a", "a b", "a-b", "__name__", "__builtins__", "a\n"] {
            assert!(!is_variable(name), "{name}");
        }
    }
}
