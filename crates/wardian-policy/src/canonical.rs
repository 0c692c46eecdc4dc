//! The canonical form of a policy, for machines: what it grants, and nothing of how it was written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use wardian_abi::ScreenRules;

use crate::{
    Access, Allowance, DomainError, Grant, GrantError, ImageFile, Limit, LimitError, Limits,
    Packages, Permission, Policy, Profile, SourceRules, ToolRules, Wheel, WheelError,
    is_env_variable, is_identifier, is_tool_name,
};

/// The version of the canonical form.
const VERSION: u32 = 1;

/// The canonical form of a policy: JSON for machines. Every list is sorted. Two policies have the
/// same form if they grant the same, however they are written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Canonical policy")]
pub struct CanonicalPolicy {
    /// The version of this form: 1.
    version: u32,
    /// The agent's name.
    agent: String,
    /// The kinds of actions that are allowed at all.
    permissions: Vec<String>,
    /// The directories in which anything may be done.
    allowed_paths: Vec<CanonicalGrant>,
    /// The hosts, as entries of a policy file.
    allowed_domains: Vec<String>,
    /// The path of the working directory; `null` if there is none.
    work: Option<String>,
    /// The packages that scripts can import.
    packages: CanonicalPackages,
    /// The image that scripts start from; `null` if there is none.
    image: Option<CanonicalImage>,
    /// The limits by their keys: `limits.fuel`. Times are in nanoseconds, sizes in bytes.
    limits: BTreeMap<String, Amount>,
    /// The rules about source.
    source: CanonicalSource,
    /// The environment variables that every run gets.
    env: BTreeMap<String, String>,
    /// The tools that may be called, with the rules of each.
    tools: BTreeMap<String, ToolRules>,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CanonicalGrant {
    /// The path under which scripts find it.
    path: String,
    /// The directory on the host, absolute.
    host: PathBuf,
    /// The access to it: `read`, `write`, `read_write`.
    access: String,
}

/// The packages that scripts can import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CanonicalPackages {
    /// Wheels.
    wheels: Vec<CanonicalWheel>,
    /// Directories of the host.
    directories: Vec<PathBuf>,
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CanonicalImage {
    /// The image's file on the host, absolute.
    file: PathBuf,
    /// The script that has to have set it up; `null` if any may.
    setup: Option<PathBuf>,
}

/// A wheel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CanonicalWheel {
    /// The file on the host, absolute.
    file: PathBuf,
    /// SHA-256 of its bytes, in hex.
    sha256: String,
}

/// The rules about source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CanonicalSource {
    /// The profile that the rules started from.
    profile: Profile,
    /// The modules that may be imported; `null` for any.
    allowed_imports: Option<Vec<String>>,
    /// The modules that may not.
    forbidden_imports: Vec<String>,
    /// The built-in functions that may not be named.
    forbidden_calls: Vec<String>,
}

/// An amount of a limit: a number, or the text `unlimited`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Amount {
    AtMost(u64),
    Unlimited(Unlimited),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unlimited {
    Unlimited,
}

impl JsonSchema for Amount {
    fn schema_name() -> Cow<'static, str> {
        "Amount".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number, or `unlimited`.",
            "anyOf": [{"type": "integer", "minimum": 0}, {"const": "unlimited"}],
        })
    }
}

/// A reason for which a canonical form is not that of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalError {
    /// It is in another version of the form.
    #[error("`version` is {0}; this program reads version {VERSION}")]
    Version(u32),
    /// A name that nothing has.
    #[error("`{key}`: {name:?} is unknown")]
    Unknown {
        /// The key.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// A limit is missing.
    #[error("`limits`: {0} is missing")]
    MissingLimit(&'static str),
    /// A limit is out of its bounds.
    #[error("`limits`: {0}")]
    Limit(#[from] LimitError),
    /// A directory can't be granted.
    #[error("`allowed_paths`: {0}")]
    Grant(#[from] GrantError),
    /// A wheel can't be one.
    #[error("`packages.wheels`: {0}")]
    Wheel(#[from] WheelError),
    /// A host can't be granted.
    #[error("`allowed_domains`: {domain:?}: {error}")]
    Domain {
        /// The entry.
        domain: String,
        /// The mistake in it.
        error: DomainError,
    },
    /// A name that can't be one of its kind.
    #[error("`{key}`: {name:?} can't be a name there")]
    Name {
        /// The key.
        key: &'static str,
        /// The name.
        name: String,
    },
}

impl Policy {
    /// Returns the canonical form: what the policy grants, and nothing of how it was written.
    pub fn canonical(&self) -> CanonicalPolicy {
        let mut allowed_domains: Vec<_> = self.domains().map(ToString::to_string).collect();
        allowed_domains.sort();
        let allowed_paths = self.effective_grants().map(|grant| CanonicalGrant {
            path: grant.guest.to_string(),
            host: grant.host,
            access: grant.access.name().to_owned(),
        });
        let limits = Limit::ALL.into_iter().map(|limit| {
            let amount = match self.limits.get(limit) {
                Allowance::AtMost(amount) => Amount::AtMost(amount),
                Allowance::Unlimited => Amount::Unlimited(Unlimited::Unlimited),
            };
            (limit.key().to_owned(), amount)
        });
        CanonicalPolicy {
            version: VERSION,
            agent: self.agent.clone(),
            permissions: self.permissions.names().map(str::to_owned).collect(),
            allowed_paths: allowed_paths.collect(),
            allowed_domains,
            work: self.work.as_ref().map(ToString::to_string),
            packages: (&self.packages).into(),
            image: self.image.as_ref().map(|image| CanonicalImage {
                file: image.file.clone(),
                setup: image.setup.clone(),
            }),
            limits: limits.collect(),
            source: (&self.source_rules).into(),
            env: self.env.clone(),
            tools: self.tools.clone(),
        }
    }

    /// Returns SHA-256 of the [canonical form](Self::canonical), in hex: the same for two files
    /// that grant the same, however they are written.
    pub fn sha256(&self) -> String {
        // Maps with text for keys, and nothing that can't be written.
        let canonical = serde_json::to_vec(&self.canonical()).unwrap_or_default();
        wardian_abi::sha256(canonical)
    }
}

/// Reads back what a policy grants. Its description and its places in files are not in the form.
impl TryFrom<CanonicalPolicy> for Policy {
    type Error = CanonicalError;

    fn try_from(form: CanonicalPolicy) -> Result<Self, CanonicalError> {
        if form.version != VERSION {
            return Err(CanonicalError::Version(form.version));
        }
        let mut permissions = Permission::NONE;
        for name in form.permissions {
            permissions |= Permission::named(&name).ok_or_else(|| unknown("permissions", name))?;
        }
        let mut limits = Limits::default();
        let mut amounts = form.limits;
        for limit in Limit::ALL {
            let key = limit.key();
            let amount = match amounts.remove(key) {
                Some(Amount::AtMost(amount)) => Allowance::AtMost(amount),
                Some(Amount::Unlimited(_)) => Allowance::Unlimited,
                None => return Err(CanonicalError::MissingLimit(key)),
            };
            limits = limits.with(limit, amount)?;
        }
        if let Some((name, _)) = amounts.pop_first() {
            return Err(unknown("limits", name));
        }
        let source_rules = SourceRules::try_from(form.source)?;
        let mut policy = Self::new(permissions, limits)
            .with_agent(form.agent)
            .with_source_rules(source_rules);
        for CanonicalGrant { path, host, access } in form.allowed_paths {
            let access =
                Access::named(&access).ok_or_else(|| unknown("allowed_paths.access", access))?;
            policy = policy.with_grant(Grant::new(&path, host, access)?)?;
        }
        for domain in form.allowed_domains {
            let added = policy.with_domain(&domain);
            policy = added.map_err(|error| CanonicalError::Domain { domain, error })?;
        }
        if let Some(work) = form.work {
            policy = policy.with_work(&work)?;
        }
        for CanonicalWheel { file, sha256 } in form.packages.wheels {
            policy = policy.with_wheel(Wheel::new(file, &sha256)?)?;
        }
        for directory in form.packages.directories {
            policy = policy.with_package_directory(directory)?;
        }
        if let Some(CanonicalImage { file, setup }) = form.image {
            let image = ImageFile::new(file)?;
            policy.image = Some(match setup {
                Some(setup) => image.with_setup(setup)?,
                None => image,
            });
        }
        let mut env = form.env.iter();
        let wrong = env.find(|(name, value)| !is_env_variable(name, value));
        reject_name("env", wrong.map(|(name, _)| name.clone()))?;
        let wrong = form.tools.keys().find(|name| !is_tool_name(name));
        reject_name("tools", wrong.cloned())?;
        policy.env = form.env;
        policy.tools = form.tools;
        Ok(policy)
    }
}

impl Serialize for Policy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.canonical().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Policy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = CanonicalPolicy::deserialize(deserializer)?;
        form.try_into().map_err(serde::de::Error::custom)
    }
}

impl From<&Packages> for CanonicalPackages {
    fn from(packages: &Packages) -> Self {
        let wheels = packages.wheels.iter().map(|wheel| CanonicalWheel {
            file: wheel.file.clone(),
            sha256: wheel.sha256.clone(),
        });
        Self {
            wheels: wheels.collect(),
            directories: packages.directories.clone(),
        }
    }
}

impl From<&SourceRules> for CanonicalSource {
    fn from(SourceRules { profile, rules }: &SourceRules) -> Self {
        let list = |names: &wardian_abi::NameSet| names.iter().map(str::to_owned).collect();
        Self {
            profile: *profile,
            allowed_imports: rules.allowed_imports.as_ref().map(list),
            forbidden_imports: list(&rules.forbidden_imports),
            forbidden_calls: list(&rules.forbidden_calls),
        }
    }
}

impl TryFrom<CanonicalSource> for SourceRules {
    type Error = CanonicalError;

    fn try_from(form: CanonicalSource) -> Result<Self, CanonicalError> {
        let wrong = {
            let lists = [&form.forbidden_imports, &form.forbidden_calls];
            let mut names = lists.into_iter().chain(&form.allowed_imports).flatten();
            names
                .find(|name| !name.split('.').all(is_identifier))
                .cloned()
        };
        reject_name("source", wrong)?;
        Ok(Self {
            profile: form.profile,
            rules: ScreenRules {
                allowed_imports: form
                    .allowed_imports
                    .map(|names| names.into_iter().collect()),
                forbidden_imports: form.forbidden_imports.into_iter().collect(),
                forbidden_calls: form.forbidden_calls.into_iter().collect(),
            },
        })
    }
}

fn unknown(key: &'static str, name: String) -> CanonicalError {
    CanonicalError::Unknown { key, name }
}

/// Fails with `wrong`, if there is one: a name under `key` that can't be one.
fn reject_name(key: &'static str, wrong: Option<String>) -> Result<(), CanonicalError> {
    match wrong {
        Some(name) => Err(CanonicalError::Name { key, name }),
        None => Ok(()),
    }
}
