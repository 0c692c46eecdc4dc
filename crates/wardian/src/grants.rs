//! Opens the directories that a policy grants. The one place that opens a path of the host.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wardian_policy::{Grant, GrantError, GuestPath, Policy, check_host};

use crate::Error;
use crate::files::real_path;

/// The granted directories, each opened once. From here on, a path is only ever resolved
/// beneath one of these handles.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    directories: Vec<Directory>,
}

/// A granted directory.
#[derive(Debug)]
pub(crate) struct Directory {
    guest: GuestPath,
    pub(crate) dir: Arc<Dir>,
    /// Which of the policy's directories it is, from 1.
    pub(crate) number: u64,
}

impl Grants {
    /// Opens every directory that `policy` allows any access to.
    ///
    /// # Errors
    ///
    /// [`Error::Grant`] if one of them is not there, is no directory, or is something else than
    /// its path says: the policy has seen paths only, here symbolic links are followed.
    pub(crate) fn open(policy: &Policy) -> Result<Self, Error> {
        let mut places: Vec<(&Grant, Place)> = Vec::new();
        let mut directories = Vec::new();
        let home = home();
        for (grant, number) in policy.grants().zip(1..) {
            if policy.access(grant).is_empty() {
                continue;
            }
            let refused = |reason: String| Error::Grant {
                host: grant.host().to_owned(),
                at: grant.location().map(ToString::to_string),
                reason,
            };
            let failed = |error: io::Error| refused(explained(&error));
            let dir = Dir::open_ambient_dir(grant.host(), ambient_authority()).map_err(failed)?;
            // What has been opened, whatever the path leads to by now.
            let path = real_path(&dir).map_err(|_| refused("/proc is not mounted".to_owned()))?;
            check_host(&path, home.as_deref(), policy.files())
                .map_err(|error| refused(error.to_string()))?;
            let place = Place::of(&path).map_err(failed)?;
            if let Some((other, _)) = places.iter().find(|(_, other)| place.overlaps(other)) {
                let overlap = GrantError::Overlap {
                    what: grant.host().to_string_lossy().into_owned(),
                    with: other.host().to_string_lossy().into_owned(),
                };
                return Err(refused(overlap.to_string()));
            }
            places.push((grant, place));
            directories.push(Directory {
                guest: grant.guest().clone(),
                dir: Arc::new(dir),
                number,
            });
        }
        Ok(Self { directories })
    }

    /// The directory that is granted at this guest path.
    pub(crate) fn directory(&self, guest: &GuestPath) -> Option<&Directory> {
        let at = self
            .directories
            .binary_search_by(|other| other.guest.cmp(guest))
            .ok()?;
        self.directories.get(at)
    }

    /// The names in a directory that is not granted itself, but leads to granted ones; `None` if
    /// none lies beneath it. The root is there without a grant as well.
    pub(crate) fn leading_from(&self, path: &GuestPath) -> Option<Vec<String>> {
        let beneath = self.directories.iter().filter_map(|directory| {
            let name = directory.guest.within(path)?.split('/').next()?;
            (!name.is_empty()).then(|| name.to_owned())
        });
        let mut names: Vec<_> = beneath.collect();
        names.dedup();
        (!names.is_empty() || *path == GuestPath::root()).then_some(names)
    }
}

/// The user's home directory, by its real path.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::home_dir().and_then(|home| home.canonicalize().ok())
}

fn explained(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such directory; create it first".to_owned(),
        io::ErrorKind::NotADirectory => {
            "it is not a directory; grant the directory that holds it".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Where a directory really is.
struct Place {
    path: PathBuf,
    /// Device and inode of itself and of every directory above it: a bind mount has another
    /// path, but not other inodes.
    identities: Vec<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let identity = |path: &Path| path.metadata().map(|data| (data.dev(), data.ino()));
        Ok(Self {
            path: path.to_owned(),
            identities: path.ancestors().map(identity).collect::<io::Result<_>>()?,
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        let holds = |outer: &Self, inner: &Self| {
            let itself = outer.identities.first();
            inner.path.starts_with(&outer.path)
                || itself.is_some_and(|itself| inner.identities.contains(itself))
        };
        holds(self, other) || holds(other, self)
    }
}
