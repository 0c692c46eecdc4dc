//! The packages that scripts can import: read into memory when a sandbox is made, and served by the
//! file guard. No run and no script changes them.

mod wheel;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use wardian_policy::{Access, Location, Permission, Policy};

use self::wheel::Wheel;
use super::{Grants, WorkFiles};
use crate::Error;

/// The most bytes that all packages take, unpacked.
const MAX_BYTES: u64 = 256 << 20;

/// The most files and directories in all packages.
const MAX_FILES: u64 = 20_000;

/// The largest wheel, in bytes.
const WHEEL_BYTES: u64 = 64 << 20;

/// The deepest directory that is read.
const MAX_DEPTH: usize = 32;

/// A package that can't be used.
pub(crate) struct PackageFailure {
    /// The wheel or the directory.
    pub(crate) file: PathBuf,
    pub(crate) location: Option<Location>,
    /// The reason, to follow the file.
    pub(crate) reason: String,
}

/// The packages of a policy.
#[derive(Debug, Clone)]
pub(crate) struct Packages {
    pub(crate) files: WorkFiles,
    /// The modules that a script may import by them.
    pub(crate) names: BTreeSet<String>,
    /// The name of each wheel's file and of each directory, with the SHA-256 of what is in it.
    pub(crate) hashes: Vec<(String, String)>,
}

impl Packages {
    /// Reads the packages of a policy; `None` if it has none, or lets nothing run.
    ///
    /// # Errors
    ///
    /// [`Error::Package`] if one of them can't be used.
    pub(crate) fn open(policy: &Policy, grants: &Grants) -> Result<Option<Self>, Error> {
        let (packages, failures) = Self::open_all(policy, grants);
        match failures.into_iter().next() {
            None => Ok(packages),
            Some(PackageFailure {
                file,
                location,
                reason,
            }) => Err(Error::Package {
                file,
                location,
                reason,
            }),
        }
    }

    /// Reads the packages that can be used. Returns the failures of the others. Grants lie apart
    /// from them: a script could change what others import.
    pub(crate) fn open_all(
        policy: &Policy,
        grants: &Grants,
    ) -> (Option<Self>, Vec<PackageFailure>) {
        let mut failures = Vec::new();
        let Some(path) = policy
            .package_directory()
            .filter(|_| policy.permissions().contains(Permission::EXECUTE_CODE))
        else {
            return (None, failures);
        };
        let mut reading = Reading {
            packages: Self {
                files: WorkFiles::packages(path, MAX_BYTES, MAX_FILES),
                names: BTreeSet::new(),
                hashes: Vec::new(),
            },
            present: BTreeSet::new(),
            wanted: Vec::new(),
        };
        let wheels = policy.packages().wheels().iter();
        let wheels = wheels.map(|wheel| (wheel.file(), Some(wheel.sha256())));
        let directories = policy.packages().directories().iter();
        let directories = directories.map(|directory| (directory.as_path(), None));
        for (file, sha256) in wheels.chain(directories) {
            let apart = grants.check_apart(file, Access::WRITE);
            let read = apart.and_then(|()| match sha256 {
                Some(sha256) => reading.wheel(file, sha256),
                None => reading.directory(file),
            });
            if let Err(reason) = read {
                failures.push(failure(policy, file, reason));
            }
        }
        if failures.is_empty() {
            failures.extend(reading.missing(policy));
        }
        (Some(reading.packages), failures)
    }
}

fn failure(policy: &Policy, file: &Path, reason: String) -> PackageFailure {
    PackageFailure {
        file: file.to_owned(),
        location: policy.location("packages").cloned(),
        reason,
    }
}

/// Packages while they are read.
struct Reading {
    packages: Packages,
    /// The distributions that there are, by their names in normal form.
    present: BTreeSet<String>,
    /// The distributions that a wheel needs.
    wanted: Vec<(PathBuf, String)>,
}

impl Reading {
    fn wheel(&mut self, file: &Path, sha256: &str) -> Result<(), String> {
        let bytes = read(file, WHEEL_BYTES)?;
        let is = wardian_abi::sha256(&bytes);
        if is != sha256 {
            return Err(format!(
                "has the SHA-256 {is}, and the policy says {sha256}"
            ));
        }
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let wheel = Wheel::read(&name, &bytes, MAX_BYTES, MAX_FILES)?;
        self.packages.hashes.push((name.into_owned(), is));
        self.put(wheel.files)?;
        self.packages.names.extend(wheel.modules);
        self.present.insert(wheel.distribution);
        let wanted = wheel.requires.into_iter();
        self.wanted
            .extend(wanted.map(|name| (file.to_owned(), name)));
        Ok(())
    }

    fn directory(&mut self, directory: &Path) -> Result<(), String> {
        let mut files = BTreeMap::new();
        let mut left = MAX_BYTES;
        collect(directory, "", 0, &mut left, &mut files)?;
        for name in files.keys() {
            let module = wheel::module(name);
            // A directory of one's own seldom says what distributions it has.
            self.present.extend(module.as_deref().map(wheel::normal));
            self.present.extend(wheel::distribution(name));
            self.packages.names.extend(module);
        }
        let name = directory.file_name().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        self.packages.hashes.push((name, hash(&files)));
        self.put(files)
    }

    fn put(&mut self, files: BTreeMap<String, Vec<u8>>) -> Result<(), String> {
        for (name, bytes) in files {
            let is_new = self.packages.files.put_new(&name, &bytes);
            let is_new =
                is_new.map_err(|error| format!("can't be unpacked at {name:?}: {error}"))?;
            if !is_new {
                return Err(format!("has {name:?}, which another package has too"));
            }
        }
        Ok(())
    }

    /// Says which distributions are needed and not there.
    fn missing(&self, policy: &Policy) -> Vec<PackageFailure> {
        let missing = self.wanted.iter();
        let missing = missing.filter(|(_, name)| !self.present.contains(name));
        missing
            .map(|(file, name)| {
                let reason =
                    format!("needs {name}, which is not among the packages; add its wheel");
                failure(policy, file, reason)
            })
            .collect()
    }
}

/// Returns the SHA-256 of the names and the bytes of files.
fn hash(files: &BTreeMap<String, Vec<u8>>) -> String {
    let mut all = Vec::new();
    for (name, bytes) in files {
        all.extend(format!("{} {name}\n", wardian_abi::sha256(bytes)).into_bytes());
    }
    wardian_abi::sha256(all)
}

/// Reads a regular file of at most `max` bytes.
fn read(file: &Path, max: u64) -> Result<Vec<u8>, String> {
    let cannot = |error: io::Error| format!("can't be read: {error}");
    // A pipe would block, and a device never end.
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let open = File::open(file).map_err(cannot)?;
    open.take(max + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > max {
        return Err(format!("has more than {max} bytes"));
    }
    Ok(bytes)
}

/// Collects the files in a directory, by their paths in it, with at most `left` bytes. No link is
/// followed.
fn collect(
    directory: &Path,
    prefix: &str,
    depth: usize,
    left: &mut u64,
    files: &mut BTreeMap<String, Vec<u8>>,
) -> Result<(), String> {
    let cannot = |error: io::Error| format!("can't be read at {prefix:?}: {error}");
    if depth > MAX_DEPTH {
        return Err(format!("is nested deeper than {MAX_DEPTH} directories"));
    }
    for entry in directory.read_dir().map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let kind = entry.file_type().map_err(cannot)?;
        let name = entry.file_name();
        let name = name.to_str().ok_or("has a name that is not UTF-8")?;
        if name == "__pycache__" {
            continue;
        }
        let path = format!("{prefix}{name}");
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), depth + 1, left, files)?;
        } else if kind.is_file() {
            if files.len() as u64 >= MAX_FILES {
                return Err(format!("has more than {MAX_FILES} files"));
            }
            wheel::check_pure(&path)?;
            let bytes =
                read(&entry.path(), *left).map_err(|why| format!("has {path:?}, which {why}"))?;
            *left -= bytes.len() as u64;
            files.insert(path, bytes);
        }
    }
    Ok(())
}
