//! The decision of a policy on one thing that an agent wants to do.

use std::fmt;

use crate::domain::{DomainRule, Domains, UrlError};
use crate::{Access, Action, Grant, GuestPath, Location, PathError};

/// Allowed or not, and why. Made by [`Policy::check`](crate::Policy::check).
///
/// Shown as the reason, in one sentence.
#[derive(Debug, Clone)]
#[must_use = "nothing is refused unless somebody looks"]
pub struct Decision<'p> {
    pub(crate) action: Action,
    pub(crate) rule: Rule<'p>,
    pub(crate) at: Option<&'p Location>,
}

/// The rule that decided.
#[derive(Debug, Clone)]
pub(crate) enum Rule<'p> {
    /// Allowed, because the permission is all that it takes.
    Permitted,
    /// Allowed, in this directory.
    Granted(&'p Grant, GuestPath),
    /// Allowed, in the working directory, which is not the host's.
    Work(GuestPath),
    /// In the packages: allowed for reading.
    Packages(GuestPath),
    /// Allowed, at this host.
    Reachable(&'p DomainRule),
    /// Refused: the permission is missing.
    Lacking,
    /// Refused: no directory holds it.
    Outside(GuestPath, &'p [Grant]),
    /// Refused: the directory that holds it is granted for something else.
    Narrower(&'p Grant, GuestPath),
    /// Refused: no domain matches.
    Unreachable(String, &'p Domains),
    /// Refused: it is no path.
    NoPath(PathError),
    /// Refused: it is no URL.
    NoUrl(UrlError),
}

impl<'p> Decision<'p> {
    /// May it be done?
    pub fn allowed(&self) -> bool {
        match self.rule {
            Rule::Permitted | Rule::Granted(..) | Rule::Work(_) | Rule::Reachable(_) => true,
            Rule::Packages(_) => self.action == Action::ReadFile,
            _ => false,
        }
    }

    /// Returns whether it is refused because the permission is missing, whatever it is about.
    pub fn lacks_permission(&self) -> bool {
        matches!(self.rule, Rule::Lacking)
    }

    /// Lists the entries of the key that refuses: `; allowed_domains has api.example.com`. Empty if
    /// there is nothing to say.
    pub fn alternatives(&self) -> String {
        let (key, entries) = match &self.rule {
            Rule::Unreachable(_, domains) => {
                let entries = domains.iter().map(ToString::to_string);
                ("allowed_domains", entries.collect::<Vec<_>>())
            }
            Rule::Outside(_, grants) => {
                let entries = grants.iter().map(|grant| grant.guest.to_string());
                ("allowed_paths", entries.collect())
            }
            _ => return String::new(),
        };
        if entries.is_empty() {
            format!("; {key} is empty")
        } else {
            format!("; {key} has {}", entries.join(", "))
        }
    }

    /// Returns the action that was asked for.
    pub fn action(&self) -> Action {
        self.action
    }

    /// The key that decided, as it stands in a policy file: `permissions`, `allowed_paths`,
    /// `allowed_domains`, `work`, `packages`; with the entry, if one did. `resource` if the
    /// resource itself is malformed.
    pub fn rule(&self) -> String {
        match &self.rule {
            Rule::Permitted | Rule::Lacking => "permissions".to_owned(),
            Rule::Granted(grant, _) | Rule::Narrower(grant, _) => {
                format!("allowed_paths[\"{}\"]", grant.guest.as_str().escape_debug())
            }
            Rule::Outside(..) => "allowed_paths".to_owned(),
            Rule::Work(_) => "work".to_owned(),
            Rule::Packages(_) => "packages".to_owned(),
            Rule::Reachable(domain) => format!("allowed_domains[\"{domain}\"]"),
            Rule::Unreachable(..) => "allowed_domains".to_owned(),
            Rule::NoPath(_) | Rule::NoUrl(_) => "resource".to_owned(),
        }
    }

    /// Returns the place of that rule, if it was read from a file.
    pub fn location(&self) -> Option<&'p Location> {
        self.at
    }

    /// The directory that allowed it, and the normalised path in question.
    pub fn grant(&self) -> Option<(&'p Grant, &GuestPath)> {
        match &self.rule {
            Rule::Granted(grant, path) => Some((*grant, path)),
            _ => None,
        }
    }

    /// The normalised path, if it is in the working directory.
    pub fn work(&self) -> Option<&GuestPath> {
        match &self.rule {
            Rule::Work(path) => Some(path),
            _ => None,
        }
    }

    /// The normalised path, if it is in the packages and may be read.
    pub fn package(&self) -> Option<&GuestPath> {
        match &self.rule {
            Rule::Packages(path) if self.allowed() => Some(path),
            _ => None,
        }
    }
}

impl fmt::Display for Decision<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permission = self.action.permission().names().collect::<String>();
        let shown = |path: &GuestPath| path.as_str().escape_debug().to_string();
        let verb = match self.action {
            Action::WriteFile => "writing",
            _ => "reading",
        };
        match &self.rule {
            Rule::Permitted => write!(f, "permissions hold {permission}"),
            Rule::Lacking => write!(f, "permissions lack {permission}"),
            Rule::Granted(grant, path) => {
                let (path, grant) = (shown(path), shown(&grant.guest));
                write!(f, "{path} is in {grant}, which is granted for {verb}")
            }
            Rule::Work(path) => write!(f, "{} is in the working directory", shown(path)),
            Rule::Packages(path) if self.allowed() => {
                write!(f, "{} is in the packages", shown(path))
            }
            Rule::Packages(path) => write!(
                f,
                "{} is in the packages, which are for reading only",
                shown(path)
            ),
            Rule::Narrower(grant, path) => {
                let (path, access) = (shown(path), grant.access);
                let grant = shown(&grant.guest);
                let access = match access {
                    Access::READ => "reading only",
                    Access::WRITE => "writing only",
                    _ => "nothing",
                };
                write!(f, "{path} is in {grant}, which is granted for {access}")
            }
            Rule::Outside(path, _) => write!(f, "no entry of allowed_paths holds {}", shown(path)),
            Rule::Reachable(domain) => write!(f, "{domain} is granted"),
            Rule::Unreachable(url, _) => write!(f, "no entry of allowed_domains matches {url}"),
            Rule::NoPath(error) => write!(f, "the path {error}"),
            Rule::NoUrl(error) => write!(f, "the URL {error}"),
        }
    }
}
