//! Paths of the host: one function for grants, policies, logs, databases and secrets says where
//! they lead.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// The most symbolic links on the way of a path, as the kernel has it.
const MAX_LINKS: usize = 40;

/// Returns the real path of an absolute path; `None` if nothing is there.
pub(crate) fn real(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok()
}

/// Lists the real directories in which the kernel looks for a name on the way of an absolute path,
/// links followed: whoever can write in one of them decides where the path leads. What is not there
/// has no further steps.
///
/// # Errors
///
/// If the path has too many links, or a step can't be looked at.
pub(crate) fn steps(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut rest: VecDeque<OsString> = names(path).collect();
    let mut current = PathBuf::from("/");
    let (mut steps, mut links) = (Vec::new(), 0);
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            current.pop();
            continue;
        }
        if !steps.contains(&current) {
            steps.push(current.clone());
        }
        let next = current.join(&name);
        let found = match next.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(steps),
            found => found?,
        };
        if !found.is_symlink() {
            current = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(io::Error::other("it has too many symbolic links"));
        }
        let target = next.read_link()?;
        if target.is_absolute() {
            current = PathBuf::from("/");
        }
        for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
            rest.push_front(name);
        }
    }
    Ok(steps)
}

/// The names in a path, without `.`; `..` is one.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_step_of_a_path_counts() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
        for name in ["real/deep", "links"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("real/deep/file"), "").unwrap();
        symlink("../real", at("links/relative")).unwrap();
        symlink(at("links/relative/deep"), at("links/absolute")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let found = steps(&at("links/absolute/file")).unwrap();
        for step in ["links", "real", "real/deep"] {
            assert!(found.contains(&at(step)), "{step} {found:?}");
        }
        assert!(!found.contains(&at("real/deep/file")));
        let missing = steps(&at("real/missing/file")).unwrap();
        assert!(missing.contains(&at("real")));
        assert!(steps(&at("loop")).is_err());
    }
}
