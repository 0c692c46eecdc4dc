//! Reads values out of TOML, and collects everything that is wrong with them.

use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{ENTRIES, Key};
use super::problem::Problem;
use crate::{Allowance, Limit, Source};

pub(super) type Table<'t> = DeTable<'t>;
pub(super) type Item<'t> = Spanned<DeValue<'t>>;

/// Reads one file. What is wrong is noted, and the reading goes on.
pub(super) struct Reader<'s> {
    pub(super) source: &'s Source,
    pub(super) problems: Vec<Problem>,
}

impl Reader<'_> {
    pub(super) fn problem(
        &mut self,
        span: Range<usize>,
        key: impl Into<String>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.problems.push(Problem {
            at: self.source.location(span),
            source: self.source.clone(),
            key: key.into(),
            message: message.into(),
            help,
            is_warning: false,
        });
    }

    /// Notes every key that is not one of `keys`.
    pub(super) fn only(&mut self, table: &Table<'_>, prefix: &str, keys: &[&str]) {
        for (key, _) in table.iter() {
            let name = key.get_ref().as_ref();
            if keys.contains(&name) {
                continue;
            }
            let help = match nearest(name, keys) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the keys here are {}", keys.join(", ")),
            };
            self.problem(
                key.span(),
                format!("{prefix}{name}"),
                "unknown key",
                Some(help),
            );
        }
    }

    fn wrong_type(&mut self, item: &Item<'_>, key: &str, wanted: &str) {
        let found = match item.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(
            item.span(),
            key,
            format!("this is {found}, not {wanted}"),
            None,
        );
    }

    pub(super) fn string<'t>(&mut self, item: &'t Item<'_>, key: &str) -> Option<&'t str> {
        let text = item.get_ref().as_str();
        if text.is_none() {
            self.wrong_type(item, key, "a string");
        }
        text
    }

    pub(super) fn boolean(&mut self, item: &Item<'_>, key: &str) -> Option<bool> {
        let boolean = item.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(item, key, "true or false");
        }
        boolean
    }

    pub(super) fn count(&mut self, item: &Item<'_>, key: &str) -> Option<u64> {
        let number = item.get_ref().as_integer();
        let count =
            number.and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        if count.is_none() {
            self.wrong_type(item, key, "a whole number of 0 or more");
        }
        count
    }

    pub(super) fn number(&mut self, item: &Item<'_>, key: &str) -> Option<Number> {
        let number = match item.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(Number::from),
            DeValue::Float(number) => number.as_str().parse().ok().and_then(Number::from_f64),
            _ => None,
        };
        if number.is_none() {
            self.wrong_type(item, key, "a finite number of 64 bits");
        }
        number
    }

    /// Any value but a date, which JSON does not have.
    pub(super) fn value(&mut self, item: &Item<'_>, key: &str) -> Option<Value> {
        match item.get_ref() {
            DeValue::String(text) => Some(text.as_ref().into()),
            DeValue::Boolean(boolean) => Some((*boolean).into()),
            DeValue::Integer(_) | DeValue::Float(_) => self.number(item, key).map(Value::Number),
            DeValue::Array(_) => {
                let items = self.list(item, key);
                let values = items
                    .into_iter()
                    .filter_map(|(key, item)| self.value(item, &key));
                Some(values.collect())
            }
            DeValue::Table(table) => Some(self.object(table, &format!("{key}.")).into()),
            DeValue::Datetime(_) => {
                self.wrong_type(item, key, "a value that JSON has; write it as a string");
                None
            }
        }
    }

    pub(super) fn object(&mut self, table: &Table<'_>, prefix: &str) -> Map<String, Value> {
        let members = table.iter().filter_map(|(name, item)| {
            let name = name.get_ref().as_ref();
            let value = self.value(item, &format!("{prefix}{name}"))?;
            Some((name.to_owned(), value))
        });
        members.collect()
    }

    pub(super) fn table<'t, 'i>(&mut self, item: &'t Item<'i>, key: &str) -> Option<&'t Table<'i>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(item, key, "a table");
        }
        table.filter(|table| self.fits(item, key, table.len()))
    }

    /// The items of a list, each with its key: `allowed_paths[0]`.
    pub(super) fn list<'t, 'i>(
        &mut self,
        item: &'t Item<'i>,
        key: &str,
    ) -> Vec<(String, &'t Item<'i>)> {
        let Some(list) = item.get_ref().as_array() else {
            self.wrong_type(item, key, "a list");
            return Vec::new();
        };
        if !self.fits(item, key, list.len()) {
            return Vec::new();
        }
        let numbered = list.iter().enumerate();
        numbered
            .map(|(i, item)| (format!("{key}[{i}]"), item))
            .collect()
    }

    /// The strings of a list, each with its key and where it stands.
    pub(super) fn strings<'t>(
        &mut self,
        item: &'t Item<'_>,
        key: &str,
    ) -> Vec<(String, &'t str, Range<usize>)> {
        let items = self.list(item, key);
        let strings = items.into_iter().filter_map(|(key, item)| {
            let text = self.string(item, &key)?;
            Some((key, text, item.span()))
        });
        strings.collect()
    }

    fn fits(&mut self, item: &Item<'_>, key: &str, entries: usize) -> bool {
        if entries > ENTRIES {
            let message = format!("has {entries} entries; at most {ENTRIES} are read");
            self.problem(item.span(), key, message, None);
        }
        entries <= ENTRIES
    }

    /// One of a few words.
    pub(super) fn choice<T>(
        &mut self,
        item: &Item<'_>,
        key: &str,
        names: &[&str],
        named: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.string(item, key)?;
        let choice = named(text);
        if choice.is_none() {
            let help = match nearest(text, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            };
            self.problem(
                item.span(),
                key,
                format!("there is no {text:?}"),
                Some(help),
            );
        }
        choice
    }

    /// An amount of what `limit` limits.
    pub(super) fn amount(&mut self, item: &Item<'_>, limit: Limit) -> Option<Allowance<u64>> {
        let text = match item.get_ref() {
            DeValue::String(text) => text,
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => "",
        };
        match limit.parse(text) {
            Ok(amount) => Some(amount),
            Err(help) => {
                let message = format!("this is not {}", limit.amount_noun());
                self.problem(item.span(), limit.key(), message, Some(help.to_owned()));
                None
            }
        }
    }
}

pub(super) fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

/// Returns the name among these that was probably meant: one that differs in a third of its letters
/// at most.
pub fn nearest<'n>(typed: &str, names: &[&'n str]) -> Option<&'n str> {
    let distance =
        |name: &str| strsim::damerau_levenshtein(&typed.to_lowercase(), &name.to_lowercase());
    let near = names.iter().min_by_key(|name| distance(name))?;
    (distance(near) <= (near.len() / 3).max(1)).then_some(*near)
}
