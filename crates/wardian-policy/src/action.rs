//! What an agent can ask to do.

use std::fmt;
use std::str::FromStr;

use crate::Permission;

/// Something that a policy allows or refuses. Each needs exactly one [`Permission`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Action {
    /// Read a file or list a directory. The resource is an absolute path.
    ReadFile,
    /// Create, change or remove a file or a directory. The resource is an absolute path.
    WriteFile,
    /// Run code. The resource says nothing.
    Execute,
    /// Send a request. The resource is an `http` or `https` URL.
    HttpRequest,
    /// Query a database. The resource is its name.
    DbRead,
    /// Change a database. The resource is its name.
    DbWrite,
    /// Send a mail. The resource is its recipient.
    SendEmail,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ReadFile,
        Self::WriteFile,
        Self::Execute,
        Self::HttpRequest,
        Self::DbRead,
        Self::DbWrite,
        Self::SendEmail,
    ];

    /// Its name, as in the recipe: `read_file`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadFile => "read_file",
            Self::WriteFile => "write_file",
            Self::Execute => "execute",
            Self::HttpRequest => "http_request",
            Self::DbRead => "db_read",
            Self::DbWrite => "db_write",
            Self::SendEmail => "send_email",
        }
    }

    /// What it takes.
    pub const fn permission(self) -> Permission {
        match self {
            Self::ReadFile => Permission::READ_FILE,
            Self::WriteFile => Permission::WRITE_FILE,
            Self::Execute => Permission::EXECUTE_CODE,
            Self::HttpRequest => Permission::NETWORK_ACCESS,
            Self::DbRead => Permission::DATABASE_READ,
            Self::DbWrite => Permission::DATABASE_WRITE,
            Self::SendEmail => Permission::SEND_EMAIL,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no action of that name, so nothing can allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no action {0:?}; there are {all}", all = Action::ALL.map(Action::name).join(", "))]
pub struct UnknownAction(pub String);

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(name: &str) -> Result<Self, UnknownAction> {
        let named = Self::ALL.into_iter().find(|action| action.name() == name);
        named.ok_or_else(|| UnknownAction(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_for_one_action() {
        let all = Action::ALL.map(Action::permission);
        assert_eq!(all.into_iter().collect::<Permission>(), Permission::FULL);
        for action in Action::ALL {
            assert_eq!(action.name().parse(), Ok(action));
        }
        assert!("READ_FILE".parse::<Action>().is_err());
        assert!("chmod".parse::<Action>().is_err());
    }
}
