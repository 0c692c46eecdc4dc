// Modules that are not part of the guest, with everything below them. Shared by `build.rs`,
// which leaves them out of the frozen library, and `interpreter.rs`, which leaves out the
// native ones. Whatever is named here raises `ModuleNotFoundError`. Some RustPython does not have
// for wasm anyway; they are named so that no later version brings them in unseen.

/// Dotted names; a name stands for its submodules too.
pub(crate) const EXCLUDED: &[&str] = &[
    // Foreign code and raw memory.
    "_ctypes",
    "ctypes",
    "mmap",
    // Processes, threads of the system, other interpreters.
    "_interpchannels",
    "_interpqueues",
    "_interpreters",
    "_posixsubprocess",
    "_remote_debugging",
    "concurrent.futures.interpreter",
    "concurrent.futures.process",
    "concurrent.interpreters",
    "faulthandler",
    "multiprocessing",
    "pty",
    "subprocess",
    // The network and the protocols that need it.
    "_socket",
    "_ssl",
    "ftplib",
    "http.client",
    "http.cookiejar",
    "http.server",
    "imaplib",
    "mailbox",
    "poplib",
    "smtplib",
    "socket",
    "socketserver",
    "ssl",
    "urllib.request",
    "urllib.robotparser",
    "webbrowser",
    "wsgiref",
    "xmlrpc",
    // Terminals, windows, editors.
    "_pyrepl",
    "curses",
    "fcntl",
    "idlelib",
    "readline",
    "rlcompleter",
    "syslog",
    "termios",
    "tkinter",
    "tty",
    "turtle",
    "turtledemo",
    // Databases that need native code.
    "_sqlite3",
    "dbm",
    "shelve",
    "sqlite3",
    // Other things that need native code which RustPython lacks here.
    "compression.zstd",
    "tracemalloc",
    // Installing, packaging, developing.
    "antigravity",
    "compileall",
    "asyncio.__main__",
    "asyncio.tools",
    "ensurepip",
    "lib2to3",
    "pdb",
    "pydoc",
    "pydoc_data",
    "this",
    "venv",
    "zipapp",
    // Tests.
    "__hello__",
    "__phello__",
    "_testinternalcapi",
    "test",
    "unittest.__main__",
    // Other operating systems.
    "_aix_support",
    "_android_support",
    "_apple_support",
    "_ios_support",
    "_osx_support",
    "asyncio.proactor_events",
    "asyncio.windows_events",
    "asyncio.windows_utils",
    "ctypes.macholib",
    "encodings.mbcs",
    "encodings.oem",
    "nturl2path",
];

/// Is `name`, or a package that it lies in, left out?
pub(crate) fn is_excluded(name: &str) -> bool {
    EXCLUDED.iter().any(|excluded| {
        name.strip_prefix(excluded)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}
