//! The keys of a policy file: their names, what each says, and the JSON Schema of all.

use serde_json::{Map, Value, json};

use crate::{Access, Limit, Permission, Profile, Unit};

/// A key that a table of a policy file may have.
pub(super) struct Key {
    pub(super) name: &'static str,
    doc: &'static str,
    schema: fn() -> Value,
}

const fn key(name: &'static str, doc: &'static str, schema: fn() -> Value) -> Key {
    Key { name, doc, schema }
}

/// The longest list or table, in entries.
pub(super) const ENTRIES: usize = 1_000;

pub(super) const TOP: &[Key] = &[
    key(
        "version",
        "The version of the format. Required, and 1.",
        || json!({"const": 1}),
    ),
    key(
        "agent",
        "Who the policy is for: the name on the audit trail. [default: the file's name]",
        string,
    ),
    key(
        "description",
        "What the policy is for, in a sentence.",
        string,
    ),
    key(
        "extends",
        "Another policy file, relative to this one. This file may only narrow what that one grants; a key that is absent here stays as it is there.",
        string,
    ),
    key(
        "permissions",
        "What may be done at all. [default: nothing]",
        || list(json!({"enum": permission_names()})),
    ),
    key(
        "allowed_paths",
        "Directories: where the permissions to read and write files hold. [default: none]",
        || {
            list(json!({"anyOf": [
                {"type": "string", "description": "A directory, which the script finds under the same path; one that is relative to this file, under `/` and that path."},
                table(ALLOWED_PATH, &["path"]),
            ]}))
        },
    ),
    key(
        "allowed_domains",
        "Hosts: `api.example.com` (by https), `http://localhost:8080`, `*.example.com` (subdomains only), `*` (every name). [default: none]",
        || list(string()),
    ),
    key(
        "max_file_size",
        "The size of a file that is read, and to which one can grow. [default: 10MiB]",
        || amount(Limit::FileSize),
    ),
    key("limits", "How much of everything a run may use.", || {
        let limits = Limit::ALL.into_iter().filter_map(|limit| {
            let name = limit.key().strip_prefix("limits.")?;
            Some((name.to_owned(), amount(limit)))
        });
        json!({"type": "object", "additionalProperties": false, "properties": limits.collect::<Map<_, _>>()})
    }),
    key("code", "What source may look like before it runs.", || {
        table(CODE, &[])
    }),
    key(
        "env",
        "Environment variables that every run gets. [default: none]",
        || json!({"type": "object", "maxProperties": ENTRIES, "additionalProperties": string()}),
    ),
    key(
        "tools",
        "Tools that may be called, each with its rules. [default: none]",
        || json!({"type": "object", "maxProperties": ENTRIES, "additionalProperties": table(TOOL, &[])}),
    ),
];

pub(super) const ALLOWED_PATH: &[Key] = &[
    key("path", "Where the script finds the directory.", string),
    key(
        "host",
        "The directory on the host, relative to this file. [default: the same as `path`]",
        string,
    ),
    key(
        "access",
        "What may be done in it; only what the permissions allow. [default: all that they allow]",
        || json!({"enum": Access::ALL.map(Access::name)}),
    ),
];

pub(super) const CODE: &[Key] = &[
    key(
        "profile",
        "The rules to start from: `strict` is the recipe's, `standard` allows what computing needs, `open` has none. [default: standard]",
        || json!({"enum": Profile::ALL.map(Profile::name)}),
    ),
    key(
        "allow_imports",
        "Modules that may be imported as well.",
        || list(string()),
    ),
    key(
        "forbid_imports",
        "Modules that may not be imported, even where they are allowed.",
        || list(string()),
    ),
    key(
        "allow_calls",
        "Functions that may be called although the profile forbids it.",
        || list(string()),
    ),
    key(
        "forbid_calls",
        "Functions that may not be called by name.",
        || list(string()),
    ),
];

pub(super) const TOOL: &[Key] = &[
    key(
        "max_calls",
        "How often a run may call it. [default: as often as any]",
        || json!({"type": "integer", "minimum": 0}),
    ),
    key(
        "approval",
        "Whether somebody has to approve of each call. [default: false]",
        || json!({"type": "boolean"}),
    ),
    key(
        "args",
        "What its arguments may be, each by its name; one that is absent has its default. [default: anything]",
        || json!({"type": "object", "maxProperties": ENTRIES, "additionalProperties": table(CONSTRAINT, &[])}),
    ),
    key(
        "config",
        "What the tool itself is told; it says what it understands. A text under `file` or `sqlite` is a path, relative to this file. [default: nothing]",
        || json!({"type": "object"}),
    ),
];

pub(super) const CONSTRAINT: &[Key] = &[
    key("equals", "This value.", || json!({})),
    key("one_of", "One of these values.", || list(json!({}))),
    key(
        "prefix",
        "A text that starts so. A path or a URL that the tool acts on is compared without `..`.",
        string,
    ),
    key(
        "min",
        "A number, this or more.",
        || json!({"type": "number"}),
    ),
    key(
        "max",
        "A number, this or less.",
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

fn amount(limit: Limit) -> Value {
    let (least, most, may_be_unlimited) = limit.bounds();
    let number = json!({"type": "number", "minimum": least, "maximum": most});
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
    json!({"anyOf": forms})
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
