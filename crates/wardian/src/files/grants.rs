//! Opens the directories that a policy grants. The one place that opens a path of the host.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wardian_policy::{Access, Grant, GrantError, GuestPath, Location, Policy, check_host};

use super::beneath::real_path;
use super::paths;
use crate::Error;

/// The granted directories, each opened once. From here on, a path is only ever resolved
/// beneath one of these handles.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    directories: Vec<Directory>,
}

/// A directory that can't be granted, or a file that would lie where scripts get at it.
pub(crate) struct GrantFailure {
    pub(crate) host: PathBuf,
    pub(crate) location: Option<Location>,
    pub(crate) reason: String,
}

/// A granted directory.
#[derive(Debug)]
pub(crate) struct Directory {
    guest: GuestPath,
    pub(crate) dir: Arc<Dir>,
    /// The number among the policy's directories, from 1.
    pub(crate) number: u64,
    access: Access,
    place: HostDir,
}

impl Grants {
    /// Opens every directory that `policy` allows any access to.
    ///
    /// # Errors
    ///
    /// [`Error::Grant`] if one of them is not there, is no directory, or is something else than
    /// its path says: the policy has seen paths only, here symbolic links are followed.
    pub(crate) fn open(policy: &Policy) -> Result<Self, Error> {
        let (grants, failures) = Self::open_all(policy);
        match failures.into_iter().next() {
            None => Ok(grants),
            Some(GrantFailure {
                host,
                location,
                reason,
            }) => Err(Error::Grant {
                host,
                location,
                reason,
            }),
        }
    }

    /// Opens the directories that can be opened. Returns the failures of the others.
    pub(crate) fn open_all(policy: &Policy) -> (Self, Vec<GrantFailure>) {
        let mut grants = Self::default();
        let mut failures = Vec::new();
        for (grant, number) in policy.grants().zip(1..) {
            if policy.access(grant).is_empty() {
                continue;
            }
            if let Err(reason) = grants.open_one(policy, grant, number) {
                failures.push(GrantFailure {
                    host: grant.host().to_owned(),
                    location: grant.location().cloned(),
                    reason,
                });
            }
        }
        let files = policy
            .files()
            .iter()
            .map(|file| (file.clone(), Access::READ_WRITE));
        let program = std::env::current_exe().map(|program| (program, Access::WRITE));
        for (file, access) in files.chain(program) {
            if let Err(reason) = grants.check_apart(&file, access) {
                failures.push(GrantFailure {
                    host: file,
                    location: None,
                    reason: format!("it {reason}"),
                });
            }
        }
        (grants, failures)
    }

    fn open_one(&mut self, policy: &Policy, grant: &Grant, number: u64) -> Result<(), String> {
        let failed = |error: io::Error| explain(&error);
        let dir = Dir::open_ambient_dir(grant.host(), ambient_authority()).map_err(failed)?;
        // What has been opened, whatever the path leads to by now.
        let path = real_path(&dir).map_err(|_| "/proc is not mounted".to_owned())?;
        if grant.is_resolved() && path != grant.host() {
            let reason = "it leads elsewhere since the policy was read; load the policy again";
            return Err(reason.to_owned());
        }
        check_host(&path, home().as_deref(), policy.files()).map_err(|error| error.to_string())?;
        if is_kernel_file_system(&dir) {
            return Err(GrantError::Kernel(path).to_string());
        }
        let place = HostDir::new(&path).map_err(failed)?;
        let overlapping = |other: &&Directory| place.overlaps(&other.place);
        if let Some(other) = self.directories.iter().find(overlapping) {
            let overlap = GrantError::Overlap {
                what: grant.host().to_string_lossy().into_owned(),
                with: other.place.path.to_string_lossy().into_owned(),
            };
            return Err(overlap.to_string());
        }
        self.directories.push(Directory {
            guest: grant.guest().clone(),
            dir: Arc::new(dir),
            number,
            access: policy.access(grant),
            place,
        });
        Ok(())
    }

    /// Checks that a file of the host can't be reached by scripts that have any of this access:
    /// that none of the directories lies in a grant through which its path leads, links included.
    ///
    /// # Errors
    ///
    /// Says where it lies, to follow the file's name.
    pub(crate) fn check_apart(&self, file: &Path, access: Access) -> Result<(), String> {
        let steps = paths::steps(file).map_err(|error| format!("can't be found: {error}"))?;
        for step in steps {
            let Ok(place) = HostDir::new(&step) else {
                continue;
            };
            let reaches = |directory: &&Directory| {
                directory.access.intersects(access) && directory.place.holds(&place)
            };
            if let Some(directory) = self.directories.iter().find(reaches) {
                return Err(format!(
                    "lies in {}, which is granted to scripts for {}, or is reached through it; keep the two apart",
                    directory.place.path.display(),
                    directory.access.name().replace('_', " and ")
                ));
            }
        }
        Ok(())
    }

    /// Returns the directory that is granted at this guest path.
    pub(crate) fn directory(&self, guest: &GuestPath) -> Option<&Directory> {
        let at = self
            .directories
            .binary_search_by(|other| other.guest.cmp(guest))
            .ok()?;
        self.directories.get(at)
    }

    /// Returns the names in an ancestor of granted directories; `None` if none lies beneath it. The
    /// root is there without a grant as well.
    pub(crate) fn children_of_ancestor(&self, path: &GuestPath) -> Option<Vec<String>> {
        let beneath = self.directories.iter().filter_map(|directory| {
            let name = directory.guest.within(path)?.split('/').next()?;
            (!name.is_empty()).then(|| name.to_owned())
        });
        let mut names: Vec<_> = beneath.collect();
        names.dedup();
        (!names.is_empty() || *path == GuestPath::root()).then_some(names)
    }
}

/// Returns the user's home directory, by its real path.
pub(crate) fn home() -> Option<PathBuf> {
    std::env::home_dir().and_then(|home| home.canonicalize().ok())
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such directory; create it first".to_owned(),
        io::ErrorKind::NotADirectory => {
            "it is not a directory; grant the directory that holds it".to_owned()
        }
        _ => error.to_string(),
    }
}

/// Returns whether this is a file system of the kernel's own, wherever it is mounted: `/proc`,
/// `/sys`.
fn is_kernel_file_system(dir: &Dir) -> bool {
    /// `PROC_SUPER_MAGIC`, `SYSFS_MAGIC`, `DEBUGFS_MAGIC`, `TRACEFS_MAGIC`, `SECURITYFS_MAGIC`,
    /// `CGROUP_SUPER_MAGIC`, `CGROUP2_SUPER_MAGIC`, `BPF_FS_MAGIC`, `DEVPTS_SUPER_MAGIC`:
    /// linux/magic.h.
    const MAGIC: [u32; 9] = [
        0x9fa0,
        0x6265_6572,
        0x6462_6720,
        0x7472_6163,
        0x7363_6673,
        0x0027_e0eb,
        0x6367_7270,
        0xcafe_4a11,
        0x1cd1,
    ];
    rustix::fs::fstatfs(dir).is_ok_and(|found| {
        let magic = u32::try_from(found.f_type);
        magic.is_ok_and(|magic| MAGIC.contains(&magic))
    })
}

/// The real place of a directory.
#[derive(Debug)]
struct HostDir {
    path: PathBuf,
    /// Device and inode of itself and of every directory above it: a bind mount has another
    /// path, but not other inodes.
    identities: Vec<(u64, u64)>,
}

impl HostDir {
    fn new(path: &Path) -> io::Result<Self> {
        let identity = |path: &Path| path.metadata().map(|data| (data.dev(), data.ino()));
        Ok(Self {
            path: path.to_owned(),
            identities: path.ancestors().map(identity).collect::<io::Result<_>>()?,
        })
    }

    /// Returns whether this is the other, or above it.
    fn holds(&self, inner: &Self) -> bool {
        let itself = self.identities.first();
        inner.path.starts_with(&self.path)
            || itself.is_some_and(|itself| inner.identities.contains(itself))
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.holds(other) || other.holds(self)
    }
}
