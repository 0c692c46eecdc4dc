//! Images: the state that runs and sessions start from, made once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, LazyLock, Weak};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use wardian_engine::MemoryImage;
use wardian_policy::{Access, ImageFile, Limit};

use super::SessionOptions;
use super::snapshot::{ImageHead, Snapshot, SnapshotError};
use crate::files::{Grants, Packages};
use crate::run::{Running, Start};
use crate::{Error, Gate, Outcome, Sandbox, Script, Verdict};

/// The state that runs and sessions start from: an interpreter in which the packages of a policy
/// are imported and a setup has run, once. Made by [`Image::build`]; clones share it.
///
/// As bytes it is a [`Snapshot`] that knows its packages and its setup. A policy names its file
/// (`image = "app.image"`), or [`Sandbox::with_image`] gives it to a sandbox. Its memory is mapped
/// once a process, and shared copy-on-write by all that start from it.
///
/// ```
/// use wardian::session::Image;
/// use wardian::{Policy, Runtime, Sandbox};
///
/// let sandbox = Sandbox::new(&Runtime::new()?, Policy::computing())?;
/// let setup = "import json\ntable = {n: n * n for n in range(1000)}";
/// let built = Image::build(&sandbox, Some(setup.into())).wait()?;
///
/// let sandbox = sandbox.with_image(&built.image)?;
/// assert_eq!(sandbox.run_blocking("table[12]")?.json()["value"], 144);
/// assert_eq!(sandbox.run_blocking("table.clear()")?.verdict.name(), "completed");
/// assert_eq!(sandbox.run_blocking("table[12]")?.json()["value"], 144);
/// # Ok::<(), wardian::Error>(())
/// ```
///
/// # Security
///
/// What is in an image runs as scripts do, with no more rights: the policy, the limits, the gate
/// and the directories are not in it. A script believes it as much as its own code, though: whoever
/// can change the file chooses what runs.
#[derive(Clone)]
pub struct Image(Snapshot);

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("sha256", &self.sha256())
            .finish_non_exhaustive()
    }
}

/// A package that an image is built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePackage {
    /// The name of the wheel's file, or of the directory.
    pub name: String,
    /// SHA-256 of the wheel, or of what is in the directory, in hex.
    pub sha256: String,
}

/// An image that was just built.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuiltImage {
    /// The image.
    pub image: Image,
    /// The modules that can't be imported, with the reasons: the image does not have them, and a
    /// script that imports one fails as it would without an image.
    pub not_imported: Vec<(String, String)>,
    /// The outcome of the setup, if there was one.
    pub setup: Option<Outcome>,
}

/// The memory of each image that something in this process starts from, by its SHA-256.
static MAPPED: LazyLock<Mutex<BTreeMap<String, Weak<MemoryImage>>>> = LazyLock::new(Mutex::default);

impl Image {
    /// Builds an image: imports each module of the packages of the sandbox's policy, runs `setup`,
    /// and makes a snapshot. All of it under the limits of the policy, each module and the setup
    /// under those of a call. An image that the policy names plays no part.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Setup`] if the setup does not complete, [`SnapshotError::LeftOpen`] if it
    /// leaves a file open; as [`Session::snapshot`].
    pub fn build(sandbox: &Sandbox, setup: Option<Script>) -> Running<BuiltImage> {
        let session = sandbox.without_image().session(SessionOptions::default());
        let timers = sandbox.runtime().timers();
        let building = async move {
            let setup_sha256 = setup
                .as_ref()
                .map(|setup| wardian_abi::sha256(&setup.source));
            let mut not_imported = Vec::new();
            for module in session.sandbox().package_modules() {
                let import = Script::from(format!("import {module}\ndel {module}"));
                let outcome = session.set_up(import).await?;
                if let Some(reason) = failure(&outcome) {
                    not_imported.push((module, reason));
                }
            }
            let setup = match setup {
                Some(setup) => Some(session.set_up(setup).await?),
                None => None,
            };
            if let Some(reason) = setup.as_ref().and_then(failure) {
                return Err(SnapshotError::Setup { reason }.into());
            }
            let snapshot = session.snapshot().await?;
            if let Some(path) = snapshot.open_files().next() {
                let path = path.to_owned();
                return Err(SnapshotError::LeftOpen { path }.into());
            }
            let image = ImageHead {
                packages: packages(session.sandbox().gate().packages()),
                setup_sha256,
            };
            Ok(BuiltImage {
                image: Self(snapshot.with_image(image)),
                not_imported,
                setup,
            })
        };
        Running::new(building, timers)
    }

    /// Takes a snapshot for an image.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::NoImage`] if it was not made by [`build`](Self::build).
    pub fn from_snapshot(snapshot: Snapshot) -> Result<Self, Error> {
        match snapshot.image() {
            Some(_) => Ok(Self(snapshot)),
            None => Err(SnapshotError::NoImage.into()),
        }
    }

    /// Reads an image from a file.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::load`] and [`from_snapshot`](Self::from_snapshot).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::from_snapshot(Snapshot::load(path)?)
    }

    /// Returns it as a snapshot: to [save](Snapshot::save), or to look into.
    pub fn snapshot(&self) -> &Snapshot {
        &self.0
    }

    /// Returns its SHA-256, in hex.
    pub fn sha256(&self) -> &str {
        self.0.sha256()
    }

    /// Lists the packages that it was built with, in the order of the policy.
    pub fn packages(&self) -> &[ImagePackage] {
        let head = self.0.image();
        head.map_or(&[], |image| &image.packages)
    }

    /// Returns the SHA-256 of the script that has set it up, in hex, if one has.
    pub fn setup_sha256(&self) -> Option<&str> {
        self.0.image()?.setup_sha256.as_deref()
    }

    /// Checks that it was built with these packages, and by this setup.
    fn check(&self, wanted: Option<&Packages>, setup: Option<&str>) -> Result<(), SnapshotError> {
        let wanted = packages(wanted);
        let mut changes = Vec::new();
        for package in &wanted {
            let had = self.packages().iter().find(|had| had.name == package.name);
            match had {
                None => changes.push(format!("{} was added", package.name)),
                Some(had) if had.sha256 != package.sha256 => {
                    changes.push(format!("{} has changed", package.name));
                }
                Some(_) => {}
            }
        }
        let is_gone = |had: &&ImagePackage| wanted.iter().all(|package| package.name != had.name);
        for had in self.packages().iter().filter(is_gone) {
            changes.push(format!("{} was taken out", had.name));
        }
        if setup.is_some() && setup != self.setup_sha256() {
            changes.push("the setup has changed".to_owned());
        }
        if changes.is_empty() {
            Ok(())
        } else {
            Err(SnapshotError::Stale { changes })
        }
    }

    /// Maps it for sandboxes with this gate.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if it is not for this gate, or can't be unpacked.
    pub(crate) async fn open(&self, gate: &Gate) -> Result<Start, Error> {
        self.check(gate.packages(), None)?;
        let policy = gate.policy();
        let (bytes, limit) = (self.0.memory_bytes(), Limit::Memory);
        let allowed = policy.limits().get(limit).or_max();
        if bytes > allowed {
            return Err(SnapshotError::Memory {
                bytes,
                limit,
                allowed,
            }
            .into());
        }
        Ok(Start {
            memory: self.map().await?,
            work: self.0.load_work(policy)?,
            sha256: self.sha256().to_owned(),
        })
    }

    /// Maps its memory, unless it is mapped already.
    async fn map(&self) -> Result<Arc<MemoryImage>, Error> {
        let mapped = || MAPPED.lock().get(self.sha256()).and_then(Weak::upgrade);
        if let Some(mapped) = mapped() {
            return Ok(mapped);
        }
        let contents = self.0.unpack().await?;
        let made = MemoryImage::of(&contents).map_err(SnapshotError::Io)?;
        let made = Arc::new(made);
        let mut all = MAPPED.lock();
        all.retain(|_, image| image.strong_count() > 0);
        let known = all.get(self.sha256()).and_then(Weak::upgrade);
        Ok(known.unwrap_or_else(|| {
            all.insert(self.sha256().to_owned(), Arc::downgrade(&made));
            made
        }))
    }
}

/// Opens the image that a gate's policy names.
///
/// # Errors
///
/// [`Error::Image`] if there is no such image, or a stale one.
pub(crate) async fn open_image(gate: &Gate, named: &ImageFile) -> Result<Start, Error> {
    let authority = gate.authority();
    let opening = async {
        let image = load_image(named, &authority.grants, gate.packages())?;
        image.open(gate).await.map_err(|error| error.to_string())
    };
    opening.await.map_err(|reason| Error::Image {
        file: named.file().to_owned(),
        location: authority.policy.location("image").cloned(),
        reason,
    })
}

/// Reads the image that a policy names, and checks that it is for these packages. Grants lie apart
/// from it: a script could change what others start from.
pub(crate) fn load_image(
    named: &ImageFile,
    grants: &Grants,
    packages: Option<&Packages>,
) -> Result<Image, String> {
    grants.check_apart(named.file(), Access::WRITE)?;
    let setup = named.setup().map(|file| {
        // A longer one can't have run: what is cut off changes nothing but its hash.
        let (_, longest, _) = Limit::Source.bounds();
        let mut source = Vec::new();
        let read =
            File::open(file).and_then(|setup| setup.take(longest + 1).read_to_end(&mut source));
        match read {
            Ok(_) => Ok(wardian_abi::sha256(source)),
            Err(error) => Err(format!(
                "its setup {} can't be read: {error}",
                file.display()
            )),
        }
    });
    let setup = setup.transpose()?;
    let there = named
        .file()
        .metadata()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                "it is not there; build it: `wardian image build --policy POLICY`".to_owned()
            }
            _ => error.to_string(),
        })?;
    if !there.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let image = Image::load(named.file()).map_err(|error| error.to_string())?;
    let checked = image.check(packages, setup.as_deref());
    checked.map_err(|error| error.to_string())?;
    Ok(image)
}

/// The wheels and directories of a policy.
fn packages(packages: Option<&Packages>) -> Vec<ImagePackage> {
    let known = packages.into_iter().flat_map(|packages| &packages.hashes);
    known
        .map(|(name, sha256)| ImagePackage {
            name: name.clone(),
            sha256: sha256.clone(),
        })
        .collect()
}

/// The reason for which a part of the setup has failed, if it has.
fn failure(outcome: &Outcome) -> Option<String> {
    match &outcome.verdict {
        Verdict::Completed => None,
        Verdict::Raised(raised) => Some(match raised.line {
            Some(line) => format!("{}: {} (line {line})", raised.r#type, raised.message),
            None => format!("{}: {}", raised.r#type, raised.message),
        }),
        verdict => Some(verdict.to_string()),
    }
}
