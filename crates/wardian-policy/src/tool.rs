//! Rules of a policy for a tool, whatever the tool does: the count of calls, the arguments, the
//! approval.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// The rules of one tool: an entry of `[tools]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ToolRules {
    /// The most calls in a run; `None` for as many as the run may make at all.
    pub max_calls: Option<u64>,
    /// Set if somebody has to approve of each call.
    pub approval: bool,
    /// Constraints on its arguments, by name.
    pub args: BTreeMap<String, Constraint>,
    /// The tool's own configuration, which it reads itself.
    pub config: Map<String, Value>,
}

/// A constraint on an argument. On a list, it holds for every entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
#[non_exhaustive]
pub enum Constraint {
    /// One of these values.
    OneOf(Vec<Value>),
    /// A text that starts so. A path or a URL that the tool acts on is compared in its normal form,
    /// without `..`.
    Prefix(String),
    /// A number from the first to the last, both included.
    Range {
        /// The least; `None` for any.
        min: Option<Number>,
        /// The most; `None` for any.
        max: Option<Number>,
    },
}

impl Constraint {
    /// May the argument be this?
    pub fn allows(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::OneOf(values), value) if values.iter().any(|one| same(one, value)) => true,
            // Nothing is allowed because there is nothing in it.
            (_, Value::Array(items)) => {
                !items.is_empty() && items.iter().all(|item| self.allows(item))
            }
            (Self::OneOf(_), _) => false,
            (Self::Prefix(prefix), value) => {
                value.as_str().is_some_and(|text| text.starts_with(prefix))
            }
            (Self::Range { min, max }, Value::Number(number)) => {
                min.as_ref().is_none_or(|min| at_most(min, number))
                    && max.as_ref().is_none_or(|max| at_most(number, max))
            }
            (Self::Range { .. }, _) => false,
        }
    }

    /// Does it allow everything that `other` allows?
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::OneOf(values)) => values.iter().all(|value| self.allows(value)),
            (Self::Prefix(mine), Self::Prefix(theirs)) => theirs.starts_with(mine),
            (
                Self::Range { min, max },
                Self::Range {
                    min: least,
                    max: most,
                },
            ) => {
                let bounded = |outer: &Option<Number>, inner: &Option<Number>| {
                    outer.is_none() || inner.is_some()
                };
                let inside = [least, most].into_iter().flatten();
                bounded(min, least)
                    && bounded(max, most)
                    && inside.cloned().all(|end| self.allows(&Value::Number(end)))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(values) => match values.as_slice() {
                [value] => write!(f, "{value}"),
                values => {
                    let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                    write!(f, "one of {}", values.join(", "))
                }
            },
            Self::Prefix(prefix) => write!(f, "text that starts with {prefix:?}"),
            Self::Range { min, max } => match (min, max) {
                (Some(min), Some(max)) => write!(f, "{min} to {max}"),
                (Some(min), None) => write!(f, "{min} or more"),
                (None, Some(max)) => write!(f, "{max} or less"),
                (None, None) => f.write_str("a number"),
            },
        }
    }
}

/// Are these the same? A number is, however it is written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => at_most(one, other) && at_most(other, one),
        (one, other) => one == other,
    }
}

/// Whole numbers exactly, others as floating-point numbers.
fn at_most(one: &Number, other: &Number) -> bool {
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => one <= other,
        _ => one.as_f64() <= other.as_f64(),
    }
}

fn whole(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn range(min: i64, max: i64) -> Constraint {
        Constraint::Range {
            min: Some(min.into()),
            max: Some(max.into()),
        }
    }

    fn one_of(values: &[Value]) -> Constraint {
        Constraint::OneOf(values.to_vec())
    }

    #[test]
    fn just_inside_and_just_outside() {
        let prefix = || Constraint::Prefix("/data/".to_owned());
        for (constraint, value, allowed) in [
            (range(1, 10), json!(1), true),
            (range(1, 10), json!(10), true),
            (range(1, 10), json!(0), false),
            (range(1, 10), json!(11), false),
            (range(1, 10), json!(10.5), false),
            (range(1, 10), json!("5"), false),
            (range(1, 10), json!(null), false),
            (range(1, 10), json!(true), false),
            (
                range(1, 9_007_199_254_740_992),
                json!(9_007_199_254_740_993_u64),
                false,
            ),
            (range(1, 10), json!([1, 2]), true),
            (range(1, 10), json!([1, 20]), false),
            (one_of(&[json!("GET")]), json!("GET"), true),
            (one_of(&[json!("GET")]), json!("get"), false),
            (one_of(&[json!("GET")]), json!(["GET", "PUT"]), false),
            (one_of(&[json!(1)]), json!(1.0), true),
            (one_of(&[json!([1])]), json!([1]), true),
            (one_of(&[]), json!(null), false),
            (one_of(&[]), json!([]), false),
            (one_of(&[json!([])]), json!([]), true),
            (prefix(), json!([]), false),
            (range(1, 10), json!([]), false),
            (prefix(), json!("/data/x"), true),
            (prefix(), json!("/data"), false),
            (prefix(), json!("/DATA/x"), false),
            (prefix(), json!({"/data/": 1}), false),
        ] {
            assert_eq!(constraint.allows(&value), allowed, "{constraint} {value}");
        }
    }

    #[test]
    fn what_is_narrower() {
        let prefix = |text: &str| Constraint::Prefix(text.to_owned());
        let open = Constraint::Range {
            min: Some(1.into()),
            max: None,
        };
        for (outer, inner, covered) in [
            (range(1, 10), range(2, 9), true),
            (range(1, 10), range(1, 11), false),
            (range(1, 10), open.clone(), false),
            (open, range(1, 10), true),
            (prefix("/a"), prefix("/a/b"), true),
            (prefix("/a/b"), prefix("/a"), false),
            (one_of(&[json!(1), json!(2)]), one_of(&[json!(2)]), true),
            (one_of(&[json!(2)]), one_of(&[json!(1), json!(2)]), false),
            (range(1, 10), one_of(&[json!(3)]), true),
            (one_of(&[json!(3)]), range(3, 3), false),
            (prefix("/a"), range(1, 2), false),
        ] {
            assert_eq!(outer.covers(&inner), covered, "{outer} {inner}");
        }
    }
}
