//! Directories that are granted.

use std::path::{Component, Path, PathBuf};

use bitflags::bitflags;

use crate::{GuestPath, Location, PathError, Permission};

bitflags! {
    /// The access to a granted directory.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Access: u8 {
        /// Read files, list directories.
        const READ = 1 << 0;
        /// Create, change and remove files and directories.
        const WRITE = 1 << 1;
        /// Both.
        const READ_WRITE = Self::READ.bits() | Self::WRITE.bits();
    }
}

impl Access {
    /// Every access that can be asked for.
    pub(crate) const ALL: [Self; 3] = [Self::READ, Self::WRITE, Self::READ_WRITE];

    /// Returns the permissions that it takes.
    pub fn permissions(self) -> Permission {
        let mut permissions = Permission::NONE;
        permissions.set(Permission::READ_FILE, self.contains(Self::READ));
        permissions.set(Permission::WRITE_FILE, self.contains(Self::WRITE));
        permissions
    }

    /// Returns the name: `read`, `write`, `read_write`, or `nothing`.
    pub const fn name(self) -> &'static str {
        match (self.contains(Self::READ), self.contains(Self::WRITE)) {
            (true, true) => "read_write",
            (true, false) => "read",
            (false, true) => "write",
            (false, false) => "nothing",
        }
    }

    /// The access of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.name() == name)
    }
}

/// An entry of `allowed_paths`: a directory of the host, where the script finds it, and what may
/// be done in it.
#[derive(Debug, Clone)]
pub struct Grant {
    pub(crate) guest: GuestPath,
    pub(crate) host: PathBuf,
    pub(crate) access: Access,
    pub(crate) at: Option<Location>,
    /// Set if `host` is where the path led when the policy was read.
    pub(crate) resolved: bool,
}

/// A reason for which a directory can't be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The path is not one.
    #[error("{path:?} {error}")]
    Path {
        /// The path.
        path: String,
        /// The mistake in it.
        error: PathError,
    },
    /// Two entries would decide about the same files.
    #[error("{what} overlaps {with}; grant each directory once, with the access that it needs")]
    Overlap {
        /// The later entry.
        what: String,
        /// The earlier one.
        with: String,
    },
    /// The whole file system.
    #[error("{0} can't be granted as a whole; name the directory that is needed")]
    Root(&'static str),
    /// It is relative, and there is nothing that it is relative to.
    #[error("{0:?} is not absolute")]
    Relative(PathBuf),
    /// The home directory, or one that holds it.
    #[error(
        "{0:?} holds the home directory, with keys and passwords in it; name the directory that is needed"
    )]
    Home(PathBuf),
    /// The directory that the policy itself lies in.
    #[error(
        "{0:?} holds the policy file; keep the two apart, so that a script can't read or change what it may do"
    )]
    HoldsPolicy(PathBuf),
    /// A file system of the kernel's.
    #[error(
        "{0:?} shows the kernel, its devices and processes, and the host's environment among them; name another \
         directory"
    )]
    Kernel(PathBuf),
}

impl Grant {
    /// Grants `access` to the directory `host`, which the script finds at `guest`.
    ///
    /// `host` is not looked at: that it exists, and what it really is, shows when a sandbox
    /// opens it.
    ///
    /// # Errors
    ///
    /// [`GrantError`] if one of the paths is not absolute, or is the root.
    pub fn new(guest: &str, host: impl Into<PathBuf>, access: Access) -> Result<Self, GrantError> {
        let host = host.into();
        if !host.is_absolute() {
            let path = host.to_string_lossy().into_owned();
            let error = PathError::NotAbsolute;
            return Err(GrantError::Path { path, error });
        }
        let guest = guest_directory(guest)?;
        let host = normal(&host);
        if host.parent().is_none() {
            return Err(GrantError::Root("`/`"));
        }
        Ok(Self {
            guest,
            host,
            access,
            at: None,
            resolved: false,
        })
    }

    /// Returns whether [`host`](Self::host) is a real path, found when the policy was read.
    pub fn is_resolved(&self) -> bool {
        self.resolved
    }

    /// Returns the path at which the script finds the directory.
    pub fn guest(&self) -> &GuestPath {
        &self.guest
    }

    /// The directory on the host.
    pub fn host(&self) -> &Path {
        &self.host
    }

    /// Returns the access, as far as the policy's permissions allow it too.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Returns its place in a policy file.
    pub fn location(&self) -> Option<&Location> {
        self.at.as_ref()
    }

    /// Does it allow everything that `other` allows, in the same directory of the host?
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let same_place = other
            .guest
            .within(&self.guest)
            .is_some_and(|rest| other.host == self.host.join(rest));
        same_place && self.access.contains(other.access)
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.shares_guest(other)
            || self.host.starts_with(&other.host)
            || other.host.starts_with(&self.host)
    }

    /// Would a script find one in the other?
    pub(crate) fn shares_guest(&self, other: &Self) -> bool {
        self.guest.overlaps(&other.guest)
    }
}

/// Reads the path at which scripts find a directory.
pub(crate) fn guest_directory(path: &str) -> Result<GuestPath, GrantError> {
    let guest = GuestPath::new(path).map_err(|error| GrantError::Path {
        path: path.to_owned(),
        error,
    })?;
    if guest == GuestPath::root() {
        return Err(GrantError::Root("the guest's `/`"));
    }
    Ok(guest)
}

/// Refuses a directory of the host that no script should get, given where the user's home and
/// the policy's files are.
///
/// # Errors
///
/// [`GrantError`] says which of the two it holds, or that it is the kernel's: `/proc`, `/sys`,
/// `/dev`.
pub fn check_host(host: &Path, home: Option<&Path>, policy: &[PathBuf]) -> Result<(), GrantError> {
    if host.parent().is_none() {
        return Err(GrantError::Root("`/`"));
    }
    if home.is_some_and(|home| home.parent().is_some() && home.starts_with(host)) {
        return Err(GrantError::Home(host.to_owned()));
    }
    if policy.iter().any(|file| file.starts_with(host)) {
        return Err(GrantError::HoldsPolicy(host.to_owned()));
    }
    if ["/proc", "/sys", "/dev"]
        .iter()
        .any(|of_kernel| host.starts_with(of_kernel))
    {
        Err(GrantError::Kernel(host.to_owned()))
    } else {
        Ok(())
    }
}

/// The path without `.` and `..`, by its text alone.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            component => normal.push(component),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(guest: &str, host: &str, access: Access) -> Grant {
        Grant::new(guest, host, access).unwrap()
    }

    #[test]
    fn overlaps_are_seen_on_both_sides() {
        let a = grant("/data", "/srv/a", Access::READ);
        for (guest, host, overlaps) in [
            ("/data", "/srv/b", true),
            ("/data/x", "/srv/b", true),
            ("/other", "/srv/a/x", true),
            ("/other", "/srv", true),
            ("/other", "/srv/x/../a", true),
            ("/database", "/srv/ab", false),
        ] {
            let b = grant(guest, host, Access::WRITE);
            assert_eq!(a.overlaps(&b), overlaps, "{guest} {host}");
            assert_eq!(b.overlaps(&a), overlaps, "{guest} {host}");
        }
    }

    #[test]
    fn a_grant_covers_what_lies_in_it() {
        let outer = grant("/data", "/srv/a", Access::READ_WRITE);
        for (guest, host, covered) in [
            ("/data", "/srv/a", true),
            ("/data/x", "/srv/a/x", true),
            ("/data/x", "/srv/a", false),
            ("/data", "/srv", false),
            ("/data/x", "/etc", false),
            ("/other", "/srv/a", false),
        ] {
            let inner = grant(guest, host, Access::READ);
            assert_eq!(outer.covers(&inner), covered, "{guest} {host}");
        }
        let reading = grant("/data", "/srv/a", Access::READ);
        assert!(!reading.covers(&outer));
    }

    #[test]
    fn what_is_never_granted() {
        let (home, policy) = (
            Path::new("/home/ada"),
            [PathBuf::from("/srv/p/policy.toml")],
        );
        let check = |host: &str| check_host(Path::new(host), Some(home), &policy);
        assert_eq!(check("/"), Err(GrantError::Root("`/`")));
        assert_eq!(check("/home"), Err(GrantError::Home("/home".into())));
        assert_eq!(
            check("/home/ada"),
            Err(GrantError::Home("/home/ada".into()))
        );
        assert_eq!(
            check("/srv/p"),
            Err(GrantError::HoldsPolicy("/srv/p".into()))
        );
        assert_eq!(check("/home/ada/data"), Ok(()));
        assert_eq!(check("/srv/p/data"), Ok(()));
        for host in ["/proc", "/proc/self", "/sys", "/dev/shm"] {
            assert_eq!(check(host), Err(GrantError::Kernel(host.into())));
        }
        assert_eq!(check("/process"), Ok(()));
        assert!(Grant::new("/", "/srv/a", Access::READ).is_err());
        assert!(Grant::new("/data", "/srv/..", Access::READ).is_err());
        assert!(Grant::new("data", "/srv", Access::READ).is_err());
        assert!(Grant::new("/data", "srv", Access::READ).is_err());
    }
}
