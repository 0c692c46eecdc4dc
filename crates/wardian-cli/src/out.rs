//! Files that a script has left in its working directory, and pictures that it has shown, written
//! to a directory of the host.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cap_fs_ext::DirExt;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use wardian::Outcome;

use crate::exit::Usage;
use crate::output::remark;
use crate::session::size;

/// The directory of `--out`. Nothing is written outside of it, and no link in it is followed.
pub(crate) struct OutDir {
    dir: Dir,
    path: PathBuf,
    /// Set if files are replaced without a question.
    force: bool,
}

impl OutDir {
    /// Opens the directory, which is made if it is not there.
    pub(crate) fn open(path: &Path, force: bool) -> Result<Self> {
        let cannot = |error| Usage(format!("cannot write to {}: {error}", path.display()));
        std::fs::create_dir_all(path).map_err(cannot)?;
        let dir = Dir::open_ambient_dir(path, ambient_authority()).map_err(cannot)?;
        Ok(Self {
            dir,
            path: path.to_owned(),
            force,
        })
    }

    /// Writes files and pictures, in place of files that are there if that is wanted. Before that
    /// nothing is changed.
    pub(crate) fn write(&self, outcome: &Outcome, quiet: bool) -> Result<()> {
        let files = files(outcome);
        let taken: Vec<_> = files
            .iter()
            .map(|file| file.name.as_str())
            .filter(|name| self.dir.symlink_metadata(name).is_ok())
            .collect();
        if !taken.is_empty() && !self.force && !self.ask(&taken)? {
            let names = taken.join(", ");
            let dir = self.path.display();
            let why = format!(
                "{names} in {dir} would be replaced, so nothing was written; --force replaces"
            );
            return Err(Usage(why).into());
        }
        for file in &files {
            let path = self.path.join(&file.name);
            self.write_one(file)
                .with_context(|| format!("cannot write {}", path.display()))?;
            if !quiet {
                let size = size(file.bytes.len() as u64);
                remark(&format!("wrote {} ({size})", path.display()));
            }
        }
        Ok(())
    }

    fn write_one(&self, file: &NewFile<'_>) -> io::Result<()> {
        let mut names = names(&file.name)?;
        let name = names.pop().ok_or(io::ErrorKind::InvalidInput)?;
        let mut dir = self.dir.try_clone()?;
        for name in names {
            match dir.create_dir(name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            dir = dir.open_dir_nofollow(name)?;
        }
        // What is there goes, be it a link, and not what it leads to.
        match dir.remove_file(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        let options = OpenOptions::new().write(true).create_new(true).clone();
        dir.open_with(name, &options)?.write_all(&file.bytes)
    }

    /// Asks whether files may be replaced. Without a terminal nobody can be asked.
    fn ask(&self, names: &[&str]) -> Result<bool> {
        if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(false);
        }
        let dir = self.path.display();
        let question = format!("wardian: replace {} in {dir}? [y/N] ", names.join(", "));
        io::stderr().write_all(question.as_bytes())?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "yes"))
    }
}

/// A file to be written.
struct NewFile<'o> {
    /// Its path, relative to the directory.
    name: String,
    bytes: Cow<'o, [u8]>,
}

/// The pictures that are written: their types, and how the names of their files end.
const PICTURES: [(&str, &str); 5] = [
    ("image/png", "png"),
    ("image/jpeg", "jpg"),
    ("image/gif", "gif"),
    ("image/webp", "webp"),
    ("image/svg+xml", "svg"),
];

/// The files of an outcome, then its pictures: `display-1.png` for the first display.
fn files(outcome: &Outcome) -> Vec<NewFile<'_>> {
    let files = outcome.files.iter().map(|file| NewFile {
        name: file.name.clone(),
        bytes: file.bytes.as_slice().into(),
    });
    let mut files: Vec<_> = files.collect();
    for (number, display) in (1..).zip(&outcome.displays) {
        for (mime, end) in PICTURES {
            let Some(form) = display.data.get(mime) else {
                continue;
            };
            let bytes = match mime {
                "image/svg+xml" => Ok(form.as_bytes().into()),
                _ => STANDARD.decode(form).map(Cow::from),
            };
            let Ok(bytes) = bytes else {
                remark(&format!(
                    "display {number} has no {mime}: what the script gave as one is not base64"
                ));
                continue;
            };
            let mut name = format!("display-{number}.{end}");
            while files.iter().any(|file| file.name == name) {
                name.insert(0, '_');
            }
            files.push(NewFile { name, bytes });
        }
    }
    files
}

/// The names in a path of a script's, none of which leads up.
fn names(path: &str) -> io::Result<Vec<&OsStr>> {
    let names = Path::new(path).components().map(|part| match part {
        Component::Normal(name) => Ok(name),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    });
    names.collect()
}
