//! Times of access and of change.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use cap_fs_ext::{DirExt, SystemTimeSpec};
use cap_std::fs::Dir;
use cap_std::time::SystemTime as CapSystemTime;
use wardian_audit::FileOperation;
use wardian_engine::Times;
use wardian_policy::{Action, GuestPath};

use super::beneath::open_parent;
use super::error::Result;
use super::{FileGuard, Place};

impl FileGuard {
    pub(super) async fn set_times_of(
        &self,
        path: &GuestPath,
        times: Times,
        follow: bool,
    ) -> Result<()> {
        let operation = FileOperation::SetTimes;
        let beneath = self
            .authorize(operation, path, &[Action::WriteFile])
            .await?;
        let waits = beneath.place.waits();
        self.perform(operation, path, waits, move || match beneath.place {
            Place::Directory(dir) => Ok(set_times(&dir, &beneath.path, times, follow)?),
            Place::Work(work) => work.set_times(&beneath.path, times),
        })
        .await
    }
}

fn set_times(dir: &Dir, path: &Path, times: Times, follow: bool) -> io::Result<()> {
    let spec = |time: Option<SystemTime>| {
        time.map(|time| SystemTimeSpec::Absolute(CapSystemTime::from_std(time)))
    };
    let [accessed, modified] = times.map(spec);
    if path == Path::new(".") {
        return dir.set_times(path, accessed, modified);
    }
    let (parent, name) = open_parent(dir, path)?;
    if follow && parent.symlink_metadata(name)?.is_symlink() {
        return dir.set_times(path, accessed, modified);
    }
    parent.set_symlink_times(name, accessed, modified)
}
