//! Any text is a policy or a list of problems; and a policy that extends another allows nothing
//! more.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wardian_policy::{Action, Base, Policy, Source};

const BASE: &str = r#"
version = 1
permissions = ["READ_FILE", "EXECUTE_CODE", "NETWORK_ACCESS"]
allowed_paths = ["/data", { path = "/in", host = "/srv/in", access = "read" }]
allowed_domains = ["*.example.com", "127.0.0.1"]
[limits]
timeout = "5s"
[source]
profile = "standard"
"#;

const RESOURCES: [&str; 8] = [
    "/data/x",
    "/in/../etc/passwd",
    "/in/x",
    "/",
    "https://a.example.com/",
    "http://a.example.com/",
    "https://127.0.0.1/",
    "https://evil.com/",
];

fuzz_target!(|text: &str| {
    let source = Source {
        path: Some("/srv/agent/policy.toml".into()),
        home: Some("/home/ada".into()),
        ..Source::text("policy.toml", text)
    };
    let base = Policy::parse(&Source::text("base.toml", BASE)).unwrap();
    match Policy::parse_with(&source, |_| Ok::<_, Base>(base.clone())) {
        Err(problems) => {
            assert!(problems.iter().count() > 0);
            let _ = problems.to_string();
        }
        Ok(policy) => {
            assert_eq!(policy.widenings(&policy), []);
            // As JSON it grants the same.
            let back: Policy = serde_json::from_value(serde_json::to_value(&policy).unwrap()).unwrap();
            assert_eq!(back.sha256(), policy.sha256());
            // It says `extends`, or it would not have been asked for.
            if policy.location("extends").is_some() {
                assert_eq!(policy.widenings(&base), []);
                for action in Action::ALL {
                    for resource in RESOURCES {
                        let allowed = policy.check(action, resource).allowed();
                        assert!(!allowed || base.check(action, resource).allowed());
                    }
                }
            }
        }
    }
});
