//! Paths as a script sees them.

use std::cmp::Ordering;
use std::fmt;
use std::sync::LazyLock;

/// The longest path, in bytes, as on Linux.
const PATH_BYTES: usize = 4096;

/// The longest name of one file, in bytes, as on Linux.
const NAME_BYTES: usize = 255;

/// An absolute path of the guest, normalised by its text alone: no `.`, no `..`, no empty
/// component, no slash at its end.
///
/// `..` takes back the component before it and stops at the root, so what a path means never
/// depends on a symbolic link or on what exists. Names are bytes: no case is folded and no
/// Unicode form is changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GuestPath(String);

/// A reason for which a text is not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It does not start with a slash.
    #[error("is not an absolute path; start it with `/`")]
    NotAbsolute,
    /// There is a NUL in it, where a C library would see its end.
    #[error("holds a NUL byte")]
    Nul,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// It is longer than Linux takes.
    #[error("is longer than 4096 bytes, or a name in it than 255")]
    TooLong,
}

impl GuestPath {
    /// The root of what a script sees.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// The directory of temporary files.
    pub(crate) fn temporary() -> &'static Self {
        static TEMPORARY: LazyLock<GuestPath> = LazyLock::new(|| GuestPath("/tmp".to_owned()));
        &TEMPORARY
    }

    /// The directory of packages.
    pub(crate) fn packages() -> &'static Self {
        static PACKAGES: LazyLock<GuestPath> = LazyLock::new(|| GuestPath("/packages".to_owned()));
        &PACKAGES
    }

    /// Normalises an absolute path.
    ///
    /// # Errors
    ///
    /// [`PathError`] if it is not one.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let path = std::str::from_utf8(path.as_ref()).map_err(|_| PathError::NotUtf8)?;
        if !path.starts_with('/') {
            return Err(PathError::NotAbsolute);
        }
        Self::root().join(path)
    }

    /// Resolves `path` from here, whether it starts with a slash or not.
    ///
    /// # Errors
    ///
    /// [`PathError`] if it holds a NUL or is too long.
    pub fn join(&self, path: &str) -> Result<Self, PathError> {
        if path.contains('\0') {
            return Err(PathError::Nul);
        }
        if path.len() > PATH_BYTES {
            return Err(PathError::TooLong);
        }
        let mut joined = String::with_capacity(self.0.len() + 1 + path.len());
        joined.push_str(self.0.trim_end_matches('/'));
        for component in path.split('/') {
            match component {
                "" | "." => {}
                ".." => joined.truncate(joined.rfind('/').unwrap_or(0)),
                name if name.len() > NAME_BYTES => return Err(PathError::TooLong),
                name => {
                    joined.push('/');
                    joined.push_str(name);
                }
            }
        }
        if joined.len() > PATH_BYTES {
            return Err(PathError::TooLong);
        }
        if joined.is_empty() {
            joined.push('/');
        }
        Ok(Self(joined))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its names, from the root.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// Returns whether one of the two is in the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.within(other).is_some() || other.within(self).is_some()
    }

    /// Returns what follows `base` in this path: empty for `base` itself, `None` outside of it.
    pub fn within(&self, base: &Self) -> Option<&str> {
        let rest = self.0.strip_prefix(base.0.trim_end_matches('/'))?;
        match rest.strip_prefix('/') {
            Some(rest) => Some(rest),
            None => rest.is_empty().then_some(""),
        }
    }
}

/// By component, so that everything within a path follows it directly.
impl Ord for GuestPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A slash ends a component, so it comes before every other byte.
        let rank = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        let [mine, others] = [self, other].map(|path| path.0.as_bytes());
        let differing = mine.iter().zip(others).find(|(a, b)| a != b);
        match differing {
            Some((a, b)) => rank(a).cmp(&rank(b)),
            None => mine.len().cmp(&others.len()),
        }
    }
}

impl PartialOrd for GuestPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> GuestPath {
        GuestPath::new(text).unwrap()
    }

    #[test]
    fn paths_are_normalised_by_their_text() {
        for (text, normal) in [
            ("/", "/"),
            ("//", "/"),
            ("/..", "/"),
            ("/data/faq/guide.md", "/data/faq/guide.md"),
            ("//data//faq/", "/data/faq"),
            ("/data/./faq/.", "/data/faq"),
            ("/data/faq/../../etc/passwd", "/etc/passwd"),
            ("/data/a/../../..//etc/passwd", "/etc/passwd"),
            ("/../../../etc", "/etc"),
            ("/data/...", "/data/..."),
            ("/data/..\\..\\", "/data/..\\..\\"),
            ("/data/~", "/data/~"),
            ("/data/%2e%2e/x", "/data/%2e%2e/x"),
            ("/DATA", "/DATA"),
            ("/data\u{301}", "/data\u{301}"),
            ("/a\nb\x1b", "/a\nb\x1b"),
        ] {
            assert_eq!(path(text).as_str(), normal, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_path_is_refused() {
        let long_name = format!("/{}", "x".repeat(256));
        let long_path = "/x".repeat(2049);
        for (text, error) in [
            (&b""[..], PathError::NotAbsolute),
            (b"data", PathError::NotAbsolute),
            (b"~", PathError::NotAbsolute),
            (b"file:///etc/passwd", PathError::NotAbsolute),
            (b"\\\\?\\C:\\", PathError::NotAbsolute),
            (b"/data\0", PathError::Nul),
            (b"/data/\0/../x", PathError::Nul),
            (b"/data/\xc0\xae\xc0\xae/x", PathError::NotUtf8),
            (b"/data/\xed\xb2\x80", PathError::NotUtf8),
            (long_name.as_bytes(), PathError::TooLong),
            (long_path.as_bytes(), PathError::TooLong),
        ] {
            assert_eq!(GuestPath::new(text), Err(error));
        }
        assert!(GuestPath::new(format!("/{}", "x".repeat(255))).is_ok());
        assert!(GuestPath::new("/x".repeat(2048)).is_ok());
    }

    #[test]
    fn within_goes_by_component() {
        let base = path("/data/faq");
        for (text, rest) in [
            ("/data/faq", Some("")),
            ("/data/faq/x", Some("x")),
            ("/data/faq/x/y", Some("x/y")),
            ("/data/faqs", None),
            ("/data/faq-old/x", None),
            ("/data", None),
            ("/", None),
        ] {
            assert_eq!(path(text).within(&base), rest, "{text}");
        }
        assert_eq!(path("/x/y").within(&GuestPath::root()), Some("x/y"));
        assert_eq!(path("/").within(&GuestPath::root()), Some(""));
    }

    #[test]
    fn join_starts_here() {
        let base = path("/data/in");
        for (text, joined) in [
            ("x", "/data/in/x"),
            ("../x", "/data/x"),
            ("../../../..", "/"),
            ("", "/data/in"),
            ("/x", "/data/in/x"),
        ] {
            assert_eq!(base.join(text).unwrap().as_str(), joined);
        }
    }

    #[test]
    fn everything_within_a_path_follows_it_directly() {
        let mut paths = ["/a", "/a/b", "/a-b", "/a.", "/a/b/c", "/b", "/"].map(path);
        paths.sort();
        let sorted: Vec<_> = paths.iter().map(GuestPath::as_str).collect();
        assert_eq!(sorted, ["/", "/a", "/a/b", "/a/b/c", "/a-b", "/a.", "/b"]);
    }
}
