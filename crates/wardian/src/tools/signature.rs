//! The signature of a tool in Python, with a docstring, made of JSON Schema.

use std::fmt::Write;

use serde_json::{Map, Value};
use wardian_abi::ToolSpec;
use wardian_policy::is_identifier;

/// Words that Python keeps to itself.
const KEYWORDS: &str = "False None True and as assert async await break class continue def del elif else except \
    finally for from global if import in is lambda nonlocal not or pass raise return try while with yield";

/// The depth to which types are spelled out.
const DEPTH: usize = 6;

/// The parameters of a function, what it returns, what it is.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    parameters: Vec<Parameter>,
    returns: String,
    /// The types of dicts that parameters and reply have, inner ones first.
    shapes: Vec<Shape>,
    pub(crate) description: String,
}

#[derive(Debug, Clone)]
struct Parameter {
    name: String,
    hint: String,
    default: Option<String>,
    doc: String,
}

/// A dict whose keys are known: a `TypedDict`.
#[derive(Debug, Clone, PartialEq)]
struct Shape {
    name: String,
    doc: String,
    fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: String,
    hint: String,
    doc: String,
}

impl Signature {
    /// Reads the schemas of a function. `order` is that of its parameters.
    ///
    /// # Errors
    ///
    /// Says what can't be a parameter.
    pub(crate) fn new(
        name: &str,
        parameters: &Value,
        returns: &Value,
        order: Option<&[&str]>,
    ) -> Result<Self, String> {
        let is_keyword = |name: &str| KEYWORDS.split_whitespace().any(|word| word == name);
        if is_keyword(name) {
            return Err("has a name that is a keyword of Python".to_owned());
        }
        let empty = Map::new();
        let properties = match parameters.get("properties") {
            Some(Value::Object(properties)) => properties,
            // A struct without fields.
            None if parameters.get("type").is_some_and(|kind| kind == "object") => &empty,
            _ => return Err("has arguments that are not a struct".to_owned()),
        };
        let order = order.ok_or("has arguments that are not a struct")?;
        if properties
            .keys()
            .any(|name| !order.contains(&name.as_str()))
        {
            return Err("has arguments that are flattened into others".to_owned());
        }
        let required = parameters.get("required").and_then(Value::as_array);
        let is_required =
            |name: &str| required.is_some_and(|required| required.iter().any(|one| one == name));
        let mut read = Vec::new();
        let mut shapes = Vec::new();
        let base = camel(name);
        for name in order.iter().filter(|name| properties.contains_key(**name)) {
            if !is_identifier(name) || is_keyword(name) || !name.is_ascii() || name.starts_with('_')
            {
                return Err(format!("has an argument {name:?}, which Python can't name"));
            }
            let schema = properties.get(*name).unwrap_or(&Value::Null);
            let default = schema
                .get("default")
                .map_or_else(|| "None".to_owned(), literal);
            read.push(Parameter {
                name: (*name).to_owned(),
                hint: hint(
                    schema,
                    DEPTH,
                    &format!("{base}{}", camel(name)),
                    &mut shapes,
                ),
                default: (!is_required(name)).then_some(default),
                doc: text(schema, "description"),
            });
        }
        // Python wants those without a default first.
        read.sort_by_key(|parameter| parameter.default.is_some());
        Ok(Self {
            parameters: read,
            returns: hint(returns, DEPTH, &format!("{base}Reply"), &mut shapes),
            shapes,
            description: text(parameters, "description"),
        })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters
            .iter()
            .map(|parameter| parameter.name.as_str())
    }

    /// Returns whether a call has to give this argument.
    pub(crate) fn requires(&self, name: &str) -> bool {
        self.parameters
            .iter()
            .any(|parameter| parameter.name == name && parameter.default.is_none())
    }

    fn parameters(&self) -> String {
        let written = self.parameters.iter().map(
            |Parameter {
                 name,
                 hint,
                 default,
                 ..
             }| {
                match default {
                    Some(default) => format!("{name}: {hint} = {default}"),
                    None => format!("{name}: {hint}"),
                }
            },
        );
        written.collect::<Vec<_>>().join(", ")
    }

    fn doc(&self) -> String {
        let mut doc = self.description.clone();
        let documented = self
            .parameters
            .iter()
            .filter(|parameter| !parameter.doc.is_empty());
        for (
            i,
            Parameter {
                name, doc: text, ..
            },
        ) in documented.enumerate()
        {
            if i == 0 {
                doc.push_str(if doc.is_empty() { "Args:" } else { "\n\nArgs:" });
            }
            let _ = write!(doc, "\n    {name}: {}", text.replace('\n', " "));
        }
        doc
    }

    /// The documentation with the shapes of dicts, for `help()`, which shows no classes.
    fn doc_with_shapes(&self) -> String {
        let mut doc = self.doc();
        for shape in self.shapes.iter().rev() {
            let _ = write!(doc, "\n\n{}, a dict:", shape.name);
            for Field {
                name,
                hint,
                doc: text,
            } in &shape.fields
            {
                let _ = write!(doc, "\n    {name} ({hint}): {}", text.replace('\n', " "));
            }
        }
        doc.trim().to_owned()
    }

    pub(crate) fn spec(&self, name: &str) -> ToolSpec {
        ToolSpec {
            name: name.to_owned(),
            parameters: self.parameters(),
            names: self.names().map(ToOwned::to_owned).collect(),
            returns: self.returns.clone(),
            doc: self.doc_with_shapes(),
            shapes: self.shapes.iter().map(|shape| shape.name.clone()).collect(),
        }
    }

    pub(crate) fn stub(&self, name: &str) -> String {
        let mut stub = String::new();
        for shape in &self.shapes {
            let _ = writeln!(stub, "class {}(TypedDict):", shape.name);
            if !shape.doc.is_empty() {
                let _ = writeln!(stub, "    \"\"\"{}\"\"\"", escaped(&shape.doc));
            }
            for Field { name, hint, doc } in &shape.fields {
                let _ = writeln!(stub, "    {name}: {hint}");
                if !doc.is_empty() {
                    let _ = writeln!(stub, "    \"\"\"{}\"\"\"", escaped(doc));
                }
            }
            stub.push('\n');
        }
        let _ = write!(
            stub,
            "def {name}({}) -> {}:",
            self.parameters(),
            self.returns
        );
        let doc = escaped(&self.doc());
        match doc.lines().count() {
            0 => stub.push_str(" ...\n"),
            1 => {
                let _ = writeln!(stub, "\n    \"\"\"{doc}\"\"\"");
            }
            _ => {
                let doc = doc
                    .lines()
                    .collect::<Vec<_>>()
                    .join("\n    ")
                    .replace("\n    \n", "\n\n");
                let _ = writeln!(stub, "\n    \"\"\"{doc}\n    \"\"\"");
            }
        }
        stub
    }
}

/// A text as it can stand between three quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// `http_request` as `HttpRequest`.
fn camel(name: &str) -> String {
    let mut camel = String::new();
    for word in name.split('_') {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

fn text(schema: &Value, key: &str) -> String {
    let text = schema.get(key).and_then(Value::as_str).unwrap_or_default();
    text.trim().to_owned()
}

/// A value as Python writes it. JSON's strings are Python's.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(items) => {
            let item = |(key, value): (&String, &Value)| {
                format!("{}: {}", Value::from(key.as_str()), literal(value))
            };
            let items: Vec<_> = items.iter().map(item).collect();
            format!("{{{}}}", items.join(", "))
        }
    }
}

/// A type as Python writes it. A dict whose keys are known is called `name`, and added to `shapes`.
fn hint(schema: &Value, depth: usize, name: &str, shapes: &mut Vec<Shape>) -> String {
    let any = || "Any".to_owned();
    let Some(depth) = depth.checked_sub(1) else {
        return any();
    };
    let constant = schema.get("const").map(std::slice::from_ref);
    let listed = schema
        .get("enum")
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    if let Some(values) = constant.or(listed) {
        let is_scalar = |value: &Value| !value.is_array() && !value.is_object() && !value.is_f64();
        return if values.iter().all(is_scalar) {
            literals(values)
        } else {
            any()
        };
    }
    let one_of = schema.get("anyOf").or_else(|| schema.get("oneOf"));
    if let Some(options) = one_of.and_then(Value::as_array) {
        let constants: Option<Vec<Value>> = options
            .iter()
            .map(|option| option.get("const").cloned())
            .collect();
        return match constants {
            Some(values) => literals(&values),
            None => union(
                options
                    .iter()
                    .map(|option| hint(option, depth, name, shapes))
                    .collect(),
            ),
        };
    }
    match schema.get("type") {
        Some(Value::String(kind)) => named(kind, schema, depth, name, shapes),
        Some(Value::Array(kinds)) => {
            let kinds = kinds.iter().filter_map(Value::as_str);
            union(
                kinds
                    .map(|kind| named(kind, schema, depth, name, shapes))
                    .collect(),
            )
        }
        _ => any(),
    }
}

fn literals(values: &[Value]) -> String {
    let values: Vec<_> = values.iter().map(literal).collect();
    format!("Literal[{}]", values.join(", "))
}

fn union(mut hints: Vec<String>) -> String {
    hints.dedup();
    if hints.iter().any(|hint| hint == "Any") {
        "Any".to_owned()
    } else {
        hints.join(" | ")
    }
}

fn named(kind: &str, schema: &Value, depth: usize, name: &str, shapes: &mut Vec<Shape>) -> String {
    let inner = |key: &str| schema.get(key).filter(|inner| inner.is_object());
    match kind {
        "null" => "None".to_owned(),
        "boolean" => "bool".to_owned(),
        "integer" => "int".to_owned(),
        "number" => "float".to_owned(),
        "string" => "str".to_owned(),
        "array" => match inner("items") {
            Some(items) => format!(
                "list[{}]",
                hint(items, depth, &format!("{name}Item"), shapes)
            ),
            None => "list[Any]".to_owned(),
        },
        "object" => match (inner("properties"), inner("additionalProperties")) {
            (Some(Value::Object(properties)), _) if !properties.is_empty() => {
                shape(schema, properties, depth, name, shapes)
            }
            (_, Some(values)) => format!("dict[str, {}]", hint(values, depth, name, shapes)),
            (_, None) => "dict[str, Any]".to_owned(),
        },
        _ => "Any".to_owned(),
    }
}

/// A dict whose keys are known. Returns its name.
fn shape(
    schema: &Value,
    properties: &Map<String, Value>,
    depth: usize,
    name: &str,
    shapes: &mut Vec<Shape>,
) -> String {
    // A key that is no name can't stand in a class.
    if !properties
        .keys()
        .all(|key| is_identifier(key) && key.is_ascii())
    {
        return "dict[str, Any]".to_owned();
    }
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |key: &str| required.is_some_and(|all| all.iter().any(|one| one == key));
    let mut fields = Vec::new();
    for (key, schema) in properties {
        let hint = hint(schema, depth, &format!("{name}{}", camel(key)), shapes);
        fields.push(Field {
            name: key.clone(),
            hint: if is_required(key) {
                hint
            } else {
                format!("NotRequired[{hint}]")
            },
            doc: text(schema, "description"),
        });
    }
    let shape = Shape {
        name: name.to_owned(),
        doc: text(schema, "description"),
        fields,
    };
    if !shapes.contains(&shape) {
        shapes.push(shape);
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn types_are_those_of_python() {
        for (schema, written) in [
            (json!({"type": "string"}), "str"),
            (json!({"type": ["integer", "null"]}), "int | None"),
            (
                json!({"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]}),
                "list[float] | None",
            ),
            (
                json!({"type": "object", "additionalProperties": {"type": "string"}}),
                "dict[str, str]",
            ),
            (
                json!({"type": "array", "items": {"type": "object", "properties": {"a": {}}}}),
                "list[ReplyItem]",
            ),
            (
                json!({"type": "object", "properties": {"a-b": {}}}),
                "dict[str, Any]",
            ),
            (json!({"enum": ["a", "b\"c"]}), r#"Literal["a", "b\"c"]"#),
            (
                json!({"oneOf": [{"const": "GET"}, {"const": "PUT", "description": "d"}]}),
                r#"Literal["GET", "PUT"]"#,
            ),
            (json!(true), "Any"),
            (json!({"type": "array", "items": true}), "list[Any]"),
        ] {
            assert_eq!(hint(&schema, DEPTH, "Reply", &mut Vec::new()), written);
        }
    }

    #[test]
    fn c_2_a_dict_with_known_keys_has_a_type_of_its_own() {
        let returns = json!({
            "type": "object", "required": ["rows", "at"],
            "properties": {
                "rows": {"type": "array", "items": {"type": "integer"}, "description": "The \"rows\"."},
                "at": {"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}},
                "more": {"type": "boolean"},
            },
        });
        let signature =
            Signature::new("find_rows", &json!({"type": "object"}), &returns, Some(&[]));
        let signature = signature.unwrap();
        let stub = signature.stub("find_rows");
        for part in [
            "class FindRowsReplyAt(TypedDict):\n    x: float\n\n",
            "class FindRowsReply(TypedDict):\n",
            "    rows: list[int]\n    \"\"\"The \\\"rows\\\".\"\"\"\n",
            "    at: FindRowsReplyAt\n",
            "    more: NotRequired[bool]\n",
            "def find_rows() -> FindRowsReply: ...\n",
        ] {
            assert!(stub.contains(part), "{stub}\nhas not\n{part}");
        }
        let doc = signature.spec("find_rows").doc;
        assert!(doc.contains("FindRowsReply, a dict:\n"), "{doc}");
        assert!(doc.contains("    rows (list[int]): The \"rows\"."), "{doc}");
    }

    #[test]
    fn defaults_are_those_of_python() {
        let value = json!({"a": [null, true, false, 1.5, "x\n\"y"]});
        assert_eq!(
            literal(&value),
            r#"{"a": [None, True, False, 1.5, "x\n\"y"]}"#
        );
    }

    #[test]
    fn what_can_not_be_a_parameter() {
        let schema = |name: &str| json!({"type": "object", "properties": {name: {}}});
        for name in ["from", "a-b", "ö", "_call", "1"] {
            let read = Signature::new("t", &schema(name), &json!({}), Some(&[name]));
            assert!(read.is_err(), "{name}");
        }
        assert!(Signature::new("t", &schema("a"), &json!({}), Some(&["a"])).is_ok());
        assert!(Signature::new("import", &schema("a"), &json!({}), Some(&["a"])).is_err());
        assert!(Signature::new("t", &json!({"type": "string"}), &json!({}), None).is_err());
    }
}
