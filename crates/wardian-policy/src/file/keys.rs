//! The keys of a policy file: their names, what each says, and the JSON Schema of all.

use serde_json::{Map, Value, json};

use crate::{Access, Allowance, Limit, Permission, Policy, Profile, Unit};

/// A key that a table of a policy file may have.
pub(super) struct Key {
    pub(super) name: &'static str,
    doc: &'static str,
    /// A value, as both TOML and JSON write it; empty for a table.
    example: &'static str,
    schema: fn() -> Value,
}

const fn key(
    name: &'static str,
    doc: &'static str,
    example: &'static str,
    schema: fn() -> Value,
) -> Key {
    Key {
        name,
        doc,
        example,
        schema,
    }
}

/// The longest list or table, in entries.
pub(super) const ENTRIES: usize = 1_000;

pub(super) const TOP: &[Key] = &[
    key(
        "version",
        "The version of the format. Required, and 1.",
        "1",
        || json!({"const": 1}),
    ),
    key(
        "agent",
        "The name of whoever the policy is for, on the audit log. [default: the file's name]",
        r#""support""#,
        string,
    ),
    key(
        "description",
        "The purpose of the policy, in a sentence.",
        r#""Answers mails about orders.""#,
        string,
    ),
    key(
        "extends",
        "Another policy file, relative to this one. This file may only narrow what that one grants; a key that \
         is absent here stays as it is there.",
        r#""base.toml""#,
        string,
    ),
    key(
        "permissions",
        "The kinds of actions that are allowed at all. [default: nothing]",
        r#"["EXECUTE_CODE", "READ_FILE"]"#,
        || list(json!({"enum": permission_names()})),
    ),
    key(
        "allowed_paths",
        "Directories: where the permissions to read and write files hold. [default: none]",
        r#"["data"]"#,
        || {
            list(json!({"anyOf": [
                {"type": "string", "description": "A directory, which the script finds under the same path; one \
                                                   that is relative to this file, under `/` and that path."},
                table(ALLOWED_PATH, &["path"]),
            ]}))
        },
    ),
    key(
        "allowed_domains",
        "Hosts: `api.example.com` (by https), `http://localhost:8080`, `*.example.com` (subdomains only), `*` \
         (every name). [default: none]",
        r#"["api.example.com"]"#,
        || list(string()),
    ),
    key(
        "max_file_size",
        "The size of a file that is read, and to which one can grow. [default: 10MiB]",
        r#""64MiB""#,
        || amount(Limit::FileSize),
    ),
    key(
        "limits",
        "The limits of a run, and of a session.",
        "",
        || {
            let mut limits = limits_in("limits");
            limits.insert("session".to_owned(), section(limits_in("limits.session")));
            section(limits)
        },
    ),
    key(
        "work",
        "A working directory in the host's memory, which is the script's current one; `/tmp` is in it. It takes \
         no permission. [default: none]",
        "",
        || {
            let mut work = limits_in("work");
            work.insert(
                "path".to_owned(),
                json!({"type": "string", "default": Policy::WORK,
                       "description": "The path under which the script finds it."}),
            );
            section(work)
        },
    ),
    key(
        "packages",
        "Packages that scripts can import, from files of the host. They take no permission, and their code has no \
         more rights than the script. [default: none]",
        "",
        || table(PACKAGES, &[]),
    ),
    key(
        "image",
        "The image that scripts start from, relative to this file: an interpreter in which packages are imported \
         and a setup has run. A table names the setup too. [default: none]",
        r#""app.image""#,
        || json!({"anyOf": [string(), table(IMAGE, &["file"])]}),
    ),
    key(
        "source",
        "The rules that source is screened by.",
        "",
        || table(SOURCE, &[]),
    ),
    key(
        "env",
        "Environment variables that every run gets. [default: none]",
        "",
        || json!({"type": "object", "maxProperties": ENTRIES, "additionalProperties": string()}),
    ),
    key(
        "tools",
        "Tools that may be called, each with its rules. [default: none]",
        "",
        || json!({"type": "object", "maxProperties": ENTRIES, "additionalProperties": table(TOOL, &[])}),
    ),
];

pub(super) const ALLOWED_PATH: &[Key] = &[
    key(
        "path",
        "The path under which the script finds the directory.",
        r#""/data""#,
        string,
    ),
    key(
        "host",
        "The directory on the host, relative to this file. [default: the same as `path`]",
        r#""analyst/data""#,
        string,
    ),
    key(
        "access",
        "The access to it, within what the permissions allow. [default: all that they allow]",
        r#""read""#,
        || json!({"enum": Access::ALL.map(Access::name)}),
    ),
];

pub(super) const PACKAGES: &[Key] = &[
    key(
        "wheels",
        "Wheels in pure Python, each with the SHA-256 of its bytes.",
        "",
        || list(table(WHEEL, &["file", "sha256"])),
    ),
    key(
        "directories",
        "Directories of Python code, relative to this file. They are read when a sandbox is made.",
        r#"["vendor/lib"]"#,
        || list(string()),
    ),
];

pub(super) const IMAGE: &[Key] = &[
    key(
        "file",
        "The image's file, relative to this one: `wardian image build` writes it.",
        r#""app.image""#,
        string,
    ),
    key(
        "setup",
        "The script that has set it up. An image of another one is stale. [default: any may have]",
        r#""setup.py""#,
        string,
    ),
];

pub(super) const WHEEL: &[Key] = &[
    key(
        "file",
        "The wheel's file, relative to this one.",
        r#""vendor/tabulate-0.9.0-py3-none-any.whl""#,
        string,
    ),
    key(
        "sha256",
        "SHA-256 of its bytes, in hex: `sha256sum` tells it.",
        r#""024ca478df22e9340661486f85298cff5f6dcdba14f3813e8830015b9ed1948f""#,
        || json!({"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}),
    ),
];

pub(super) const SOURCE: &[Key] = &[
    key(
        "profile",
        "The rules to start from: `strict` allows ten modules, `standard` allows what computing needs, `open` \
         has none. [default: standard]",
        r#""strict""#,
        || json!({"enum": Profile::ALL.map(Profile::name)}),
    ),
    key(
        "allow_imports",
        "Modules that may be imported as well.",
        r#"["zlib"]"#,
        || list(string()),
    ),
    key(
        "forbid_imports",
        "Modules that may not be imported, even where they are allowed.",
        r#"["re"]"#,
        || list(string()),
    ),
    key(
        "allow_calls",
        "Functions that may be called although the profile forbids it.",
        r#"["eval"]"#,
        || list(string()),
    ),
    key(
        "forbid_calls",
        "Functions that may not be called by name.",
        r#"["print"]"#,
        || list(string()),
    ),
];

pub(super) const TOOL: &[Key] = &[
    key(
        "max_calls",
        "The maximum of calls in a run. [default: as many as `tool_calls`]",
        "5",
        || json!({"type": "integer", "minimum": 0}),
    ),
    key(
        "approval",
        "Set if somebody has to approve of each call. [default: false]",
        "true",
        || json!({"type": "boolean"}),
    ),
    key(
        "args",
        "Rules on its arguments, each by its name; one that is absent has its default. [default: anything]",
        "",
        || json!({"type": "object", "maxProperties": ENTRIES, "additionalProperties": table(CONSTRAINT, &[])}),
    ),
    key(
        "config",
        "Settings of the tool itself, which says what it understands. A text under `file` or `sqlite` is a \
         path, relative to this file. [default: nothing]",
        "",
        || json!({"type": "object"}),
    ),
];

pub(super) const CONSTRAINT: &[Key] = &[
    key("equals", "This value.", r#""GET""#, || json!({})),
    key(
        "one_of",
        "One of these values.",
        r#"["open", "sent"]"#,
        || list(json!({})),
    ),
    key(
        "prefix",
        "A text that starts so. A path or a URL that the tool acts on is compared without `..`.",
        r#""https://api.example.com/v1/""#,
        string,
    ),
    key(
        "min",
        "A number, this or more.",
        "0",
        || json!({"type": "number"}),
    ),
    key(
        "max",
        "A number, this or less.",
        "100",
        || json!({"type": "number"}),
    ),
];

/// The keys of a tool's configuration under which a text is a path of the host, relative to the
/// policy's file.
pub(super) const PATH_KEYS: &[&str] = &["file", "sqlite"];

/// Every name that `permissions` understands.
pub(super) fn permission_names() -> Vec<&'static str> {
    use bitflags::Flags;
    Permission::FLAGS.iter().map(bitflags::Flag::name).collect()
}

fn string() -> Value {
    json!({"type": "string"})
}

fn list(items: Value) -> Value {
    json!({"type": "array", "maxItems": ENTRIES, "items": items})
}

fn table(keys: &[Key], required: &[&str]) -> Value {
    let properties = keys.iter().map(|key| {
        let mut schema = (key.schema)();
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), key.doc.into());
            if let Ok(example) = serde_json::from_str::<Value>(key.example) {
                schema.insert("examples".to_owned(), json!([example]));
            }
        }
        (key.name.to_owned(), schema)
    });
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties.collect::<Map<_, _>>(),
    })
}

/// The limits whose keys are in a section, with their names in it.
pub(super) fn limit_names(section: &str) -> impl Iterator<Item = (Limit, &'static str)> {
    Limit::ALL.into_iter().filter_map(move |limit| {
        let (of, name) = limit.key().rsplit_once('.')?;
        (of == section).then_some((limit, name))
    })
}

fn limits_in(section: &str) -> Map<String, Value> {
    let schemas = limit_names(section).map(|(limit, name)| (name.to_owned(), amount(limit)));
    schemas.collect()
}

fn section(properties: Map<String, Value>) -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn amount(limit: Limit) -> Value {
    let (min, max, may_be_unlimited) = limit.bounds();
    let number = json!({"type": "number", "minimum": min, "maximum": max});
    let mut forms = match limit.unit() {
        Unit::Bytes => vec![
            number,
            json!({"type": "string", "pattern": "^[0-9.]+ ?([kKMGT]i?)?B?$"}),
        ],
        Unit::Time => vec![json!({"type": "string", "pattern": "^[0-9]"})],
        Unit::Count => vec![number],
    };
    if may_be_unlimited {
        forms.push(json!({"const": "unlimited"}));
    }
    let default = limit.show(Allowance::AtMost(limit.default_amount()));
    json!({"anyOf": forms, "default": default.replace(' ', "")})
}

/// The JSON Schema of policy files, for editors.
///
/// It says what the keys are and what they hold. Not what only the whole file shows: that grants
/// do not overlap, that `extends` narrows.
pub fn schema() -> Value {
    let mut schema = table(TOP, &["version"]);
    if let Value::Object(schema) = &mut schema {
        schema.insert(
            "$schema".to_owned(),
            "https://json-schema.org/draft/2020-12/schema".into(),
        );
        schema.insert("title".to_owned(), "Wardian policy".into());
    }
    schema
}
