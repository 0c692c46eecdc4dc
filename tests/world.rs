//! Directories that are granted, and one that is not, for tests about files.
//!
//! All of these tests run twice: as the kernel is, and once more where it has no `openat2`, so that
//! paths are resolved by hand.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::Once;

use serde_json::Value;
use tempfile::TempDir;
use wardian::policy::Allowance::AtMost;
use wardian::{
    Limits, Outcome, Policy, Sandbox, Verdict,
    policy::{Access, Grant, Limit, Permission, Profile},
};
use wardian_testkit::{Canary, runtime};

/// Directories of the host: `outside` is granted to nobody.
pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) limits: Limits,
    pub(crate) canary: Canary,
}

impl World {
    pub(crate) fn new() -> Self {
        without_openat2_if_asked();
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut canary = Canary::new(dir.path(), [path("ro")]).unwrap();
        fs::create_dir(path("wo")).unwrap();
        fs::write(path("wo/old.txt"), "old").unwrap();
        for grant in ["ro", "rw"] {
            fs::create_dir(path(grant)).unwrap();
            canary.plant(&path(grant)).unwrap();
            symlink("../wo/old.txt", path(grant).join("other-grant")).unwrap();
        }
        canary.look().unwrap();
        Self {
            dir,
            limits: Limits::default(),
            canary,
        }
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
            Policy::new(permissions, self.limits.clone()).with_source_rules(Profile::Open);
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
        assert_eq!(self.canary.findings(), [""; 0], "{code}");
        let shown = outcome.json().to_string();
        assert!(!shown.contains(self.canary.secret()), "{shown}");
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
        for attempt in wishes {
            let answer = self.value(&format!("t(lambda: {attempt})"));
            let errno = answer.get("errno").and_then(Value::as_i64);
            assert!(errno.is_some(), "{attempt}: {answer}");
            errnos.extend(errno);
        }
        errnos
    }
}

pub(crate) const PRELUDE: &str = "
import os, io
def t(attempt):
    try:
        attempt()
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

/// `EACCES`: refused by the policy.
pub(crate) const REFUSED: i64 = 13;

/// `ENOENT`: what a script may not see is not there.
pub(crate) const HIDDEN: i64 = 2;

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
