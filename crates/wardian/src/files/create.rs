//! Creation of directories, and the count of what a run creates.

use std::io;
use std::path::Path;

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt};
use rustix::io::Errno;
use wardian_audit::FileOperation;
use wardian_policy::{Action, Limit};

use super::beneath::open_parent;
use super::error::{Failure, Result};
use super::{Beneath, FileGuard, GuestTarget, Place};
use crate::ledger::Meter;

/// The mode of new directories, as far as the umask of the host allows.
const DIRECTORY_MODE: u32 = 0o750;

impl FileGuard {
    pub(super) async fn create_directory_at(&self, target: GuestTarget) -> Result<()> {
        let path = target.path;
        if self.children_of_ancestor(&path).is_some() {
            return Err(Errno::EXIST.into());
        }
        let operation = FileOperation::MakeDirectory;
        let beneath = self
            .authorize(operation, &path, &[Action::WriteFile])
            .await?;
        let created = self.context.meters.created.clone();
        let Beneath {
            place, path: at, ..
        } = beneath;
        self.perform(operation, &path, place.waits(), move || match place {
            Place::Directory(dir) => count_created(&created, || Ok(create_directory(&dir, &at)?)),
            Place::Work(work) => work.create_directory(&at, &created),
        })
        .await
    }
}

fn create_directory(dir: &Dir, path: &Path) -> io::Result<()> {
    let (parent, name) = open_parent(dir, path)?;
    let mut builder = DirBuilder::new();
    builder.mode(DIRECTORY_MODE);
    parent.create_dir_with(name, &builder)
}

/// Creates one more file, directory or link, if the run may.
pub(super) fn count_created<T>(
    created: &Meter,
    create: impl FnOnce() -> std::result::Result<T, Failure>,
) -> std::result::Result<T, Failure> {
    let taken = created.take(1, 1);
    let taken = taken.ok_or(Failure::Limit(Limit::FilesCreated))?;
    let done = create();
    taken.settle(u64::from(done.is_ok()));
    done
}
