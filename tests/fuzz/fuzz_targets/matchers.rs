//! Any bytes get an answer, the answer for a path is about where the path leads, and that for a
//! URL about the host that would be connected to.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wardian_policy::{Action, GuestPath, Policy, Source, parse_url};

const POLICY: &str = r#"
version = 1
permissions = ["FULL"]
allowed_paths = ["/data/faq", { path = "/in", host = "/srv/in", access = "read" }]
allowed_domains = ["api.example.com", "*.example.org", "http://127.0.0.1:8080"]
"#;

fuzz_target!(|bytes: &[u8]| {
    let policy = Policy::parse(&Source::text("policy.toml", POLICY)).unwrap();
    for action in Action::ALL {
        let decision = policy.check(action, bytes);
        let _ = (decision.to_string(), decision.rule());
    }
    if policy.check(Action::ReadFile, bytes).allowed() {
        let path = GuestPath::new(bytes).unwrap();
        let names: Vec<_> = path.components().collect();
        assert!(names.starts_with(&["data", "faq"]) || names.starts_with(&["in"]));
        assert!(names.iter().all(|name| ![".", ".."].contains(name)));
    }
    if policy.check(Action::HttpRequest, bytes).allowed() {
        let url = parse_url(bytes).unwrap();
        let host = url.host_str().unwrap().trim_end_matches('.');
        let https = url.scheme() == "https" && url.port().is_none();
        assert!(match host {
            "api.example.com" => https,
            "127.0.0.1" => url.scheme() == "http" && url.port() == Some(8080),
            host => https && host.ends_with(".example.org") && host.len() > ".example.org".len(),
        });
    }
});
