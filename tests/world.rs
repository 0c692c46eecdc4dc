//! Directories that are granted, and one that is not, for tests about files.
//!
//! All of these tests run twice: as the kernel is, and once more where it has no `openat2`, so that
//! paths are resolved by hand.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Once;

use serde_json::Value;
use tempfile::TempDir;
use wardian::Allowance::AtMost;
use wardian::{
    Access, Grant, Limit, Limits, Outcome, Permission, Policy, Profile, Sandbox, Verdict,
};

use crate::runtime;

pub(crate) const CANARY: &str = "the canary outside";

/// Directories of the host: `outside` is granted to nobody.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) limits: Limits,
    before: Vec<Entry>,
}

/// All that a read-only grant has to keep.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    path: PathBuf,
    mode: u32,
    links: u64,
    modified: (i64, i64),
    content: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        without_openat2_if_asked();
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["outside/dir", "ro/sub", "rw/sub", "wo"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("outside/canary.txt"), CANARY).unwrap();
        fs::write(path("outside/dir/other.txt"), CANARY).unwrap();
        fs::write(path("wo/old.txt"), "old").unwrap();
        for grant in ["ro", "rw"] {
            let path = |name: &str| path(grant).join(name);
            fs::write(path("file.txt"), "content").unwrap();
            fs::write(path("sub/inner.txt"), "inner").unwrap();
            let outside = dir.path().join("outside");
            for (name, target) in [
                ("link", Path::new("file.txt")),
                ("link-dir", Path::new("sub")),
                ("up-and-in", Path::new("sub/../file.txt")),
                ("out", Path::new("../outside/canary.txt")),
                ("out-dir", Path::new("../outside")),
                ("out-missing", Path::new("../outside/missing.txt")),
                ("out-abs", &outside.join("canary.txt")),
                ("out-abs-dir", &outside),
                ("out-abs-missing", &outside.join("missing.txt")),
                ("other-grant", Path::new("../wo/old.txt")),
                ("dangling", Path::new("missing.txt")),
                ("loop", Path::new("loop")),
                // GHSA-vqjp: a link to a link, whose target ends with a slash.
                ("link1", Path::new("out-dir/")),
                ("proc", Path::new("/proc/self/environ")),
            ] {
                symlink(target, path(name)).unwrap();
            }
            for i in 0..45 {
                let target = if i == 0 {
                    "file.txt".to_owned()
                } else {
                    format!("chain{}", i - 1)
                };
                symlink(target, path(&format!("chain{i}"))).unwrap();
            }
            rustix::fs::mknodat(
                rustix::fs::CWD,
                path("fifo"),
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::from_raw_mode(0o666),
                0,
            )
            .unwrap();
            std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        }
        let mut world = Self {
            dir,
            limits: Limits::default(),
            before: Vec::new(),
        };
        world.before = world.untouchable();
        world
    }

    pub(crate) fn with(mut self, limit: Limit, amount: u64) -> Self {
        self.limits = self.limits.with(limit, AtMost(amount)).unwrap();
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn policy(&self, permissions: Permission) -> Policy {
        let mut policy =
            Policy::new(permissions, self.limits.clone()).with_code(Profile::Open.code());
        for (name, access) in [
            ("ro", Access::READ),
            ("rw", Access::READ_WRITE),
            ("wo", Access::WRITE),
        ] {
            let grant = Grant::new(&format!("/{name}"), self.path(name), access).unwrap();
            policy = policy.with_grant(grant).unwrap();
        }
        policy
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        let files = Permission::READ_FILE | Permission::WRITE_FILE;
        let policy = self.policy(Permission::EXECUTE_CODE | files);
        Sandbox::new(runtime(), policy).unwrap()
    }

    /// Runs code; whatever it does, nothing that is not granted for writing has changed, and
    /// nothing of the outside shows.
    #[track_caller]
    pub(crate) fn run(&self, code: &str) -> Outcome {
        let outcome = self
            .sandbox()
            .run_blocking(format!("{PRELUDE}{code}"))
            .unwrap();
        assert_eq!(self.untouchable(), self.before, "{code}");
        let shown = outcome.json().to_string();
        assert!(!shown.contains(CANARY), "{shown}");
        let host = self.dir.path().to_str().unwrap();
        assert!(code.contains(host) || !shown.contains(host), "{shown}");
        outcome
    }

    /// The value of code that completes.
    #[track_caller]
    pub(crate) fn value(&self, code: &str) -> Value {
        let outcome = self.run(code);
        let errors = outcome.stderr.text();
        assert_eq!(outcome.verdict, Verdict::Completed, "{code}: {errors}");
        outcome.json().get("value").cloned().unwrap()
    }

    /// Each of these is an `OSError`; returns their numbers.
    #[track_caller]
    pub(crate) fn refused(&self, wishes: &[&str]) -> Vec<i64> {
        let mut errnos = Vec::new();
        for wish in wishes {
            let answer = self.value(&format!("t(lambda: {wish})"));
            let errno = answer.get("errno").and_then(Value::as_i64);
            assert!(errno.is_some(), "{wish}: {answer}");
            errnos.extend(errno);
        }
        errnos
    }

    /// Everything but what is granted for writing.
    fn untouchable(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        for name in ["outside", "ro"] {
            collect(&self.path(name), &mut entries);
        }
        entries
    }
}

fn collect(path: &Path, entries: &mut Vec<Entry>) {
    let data = path.symlink_metadata().unwrap();
    let mut children = Vec::new();
    let content = if data.is_file() {
        fs::read(path).unwrap()
    } else if data.is_symlink() {
        path.read_link()
            .unwrap()
            .into_os_string()
            .into_encoded_bytes()
    } else if data.is_dir() {
        children = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        children.sort();
        Vec::new()
    } else {
        Vec::new()
    };
    entries.push(Entry {
        path: path.to_owned(),
        mode: data.mode(),
        links: data.nlink(),
        modified: (data.mtime(), data.mtime_nsec()),
        content,
    });
    for child in children {
        collect(&child, entries);
    }
}

pub(crate) const PRELUDE: &str = "
import os, io
def t(wish):
    try:
        wish()
    except OSError as e:
        return {'type': type(e).__name__, 'errno': e.errno}
    except Exception as e:
        return {'type': type(e).__name__}
    return 'done'
def read(path):
    with open(path) as f: return f.read()
def write(path, text, mode='w'):
    with open(path, mode) as f: return f.write(text)
";

/// `EACCES` of WASI: refused by the policy.
pub(crate) const REFUSED: i64 = 2;

fn without_openat2_if_asked() {
    static ONCE: Once = Once::new();
    if std::env::var_os("WARDIAN_TEST_WITHOUT_OPENAT2").is_none() {
        return;
    }
    ONCE.call_once(|| {
        use seccompiler::{SeccompAction, SeccompFilter};
        const OPENAT2: i64 = 437;
        let filter = SeccompFilter::new(
            [(OPENAT2, Vec::new())].into(),
            SeccompAction::Allow,
            SeccompAction::Errno(rustix::io::Errno::NOSYS.raw_os_error().cast_unsigned()),
            std::env::consts::ARCH.try_into().unwrap(),
        )
        .unwrap();
        let program: seccompiler::BpfProgram = filter.try_into().unwrap();
        seccompiler::apply_filter_all_threads(&program).unwrap();
        let opened = rustix::fs::openat2(
            rustix::fs::CWD,
            ".",
            rustix::fs::OFlags::RDONLY,
            rustix::fs::Mode::empty(),
            rustix::fs::ResolveFlags::empty(),
        );
        assert_eq!(opened.unwrap_err(), rustix::io::Errno::NOSYS);
    });
}
