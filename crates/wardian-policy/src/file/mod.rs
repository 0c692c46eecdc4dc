//! Policy files: TOML becomes a [`Policy`], or a list of everything that is wrong with it.

mod keys;
mod paths;
mod problem;
mod read;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

pub use keys::schema;
pub use problem::{Problem, Problems};
pub use read::nearest;
use toml::de::DeTable;

use crate::domain::DomainRule;
use crate::names::{is_env_variable, is_identifier, is_tool_name};
use crate::{Constraint, GuestPath, Limit, Limits, Permission, Policy, Profile, Source, ToolRules};
use keys::{CONSTRAINT, SOURCE, TOOL, TOP, limit_names, permission_names};
use read::{Item, Reader, Table, names};

/// The largest policy file, in bytes.
pub const FILE_BYTES: usize = 256 << 10;

/// The version of the format.
const VERSION: u64 = 1;

impl Policy {
    /// Reads a policy that stands alone.
    ///
    /// # Errors
    ///
    /// [`Problems`], all that there are; `extends` is one of them.
    pub fn parse(source: &Source) -> Result<Self, Problems> {
        Self::parse_with(source, |_| {
            Err(Base::Unreadable(
                "this text can't extend another file".to_owned(),
            ))
        })
    }

    /// Reads a policy. `base` loads the one that it extends, given its absolute path.
    ///
    /// # Errors
    ///
    /// [`Problems`], all that there are, those of the extended files included.
    pub fn parse_with(
        source: &Source,
        base: impl FnOnce(&Path) -> Result<Self, Base>,
    ) -> Result<Self, Problems> {
        let mut reader = Reader {
            source,
            problems: Vec::new(),
        };
        if source.text.len() > FILE_BYTES {
            let bytes = source.text.len();
            let message = format!("the file takes {bytes} bytes; at most {FILE_BYTES} are read");
            reader.problem(0..0, "", message, None);
            return Err(Problems::in_order(reader.problems, None));
        }
        let (document, errors) = DeTable::parse_recoverable(&source.text);
        for error in errors {
            let span = error.span().unwrap_or_default();
            reader.problem(span, "", error.message(), None);
        }
        // What follows a syntax error would only repeat it.
        let policy = if reader.problems.is_empty() {
            reader.policy(document.get_ref(), base)
        } else {
            None
        };
        let mut problems = reader.problems;
        match policy {
            Some(policy) if problems.is_empty() => Ok(policy),
            draft => {
                // Those of one file stay together.
                problems
                    .sort_by_key(|problem| (problem.at.file != source.file, problem.at.span.start));
                Err(Problems::in_order(problems, draft))
            }
        }
    }
}

/// A reason for which a base policy can't be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum Base {
    /// The file can't be read.
    Unreadable(String),
    /// It is wrong itself.
    Problems(Problems),
}

impl Reader<'_> {
    fn policy(
        &mut self,
        table: &Table<'_>,
        load: impl FnOnce(&Path) -> Result<Policy, Base>,
    ) -> Option<Policy> {
        self.only(table, "", &names(TOP));
        match table.get("version") {
            None => {
                let help = format!("start the file with `version = {VERSION}`");
                self.problem(0..0, "version", "is missing", Some(help));
            }
            Some(item) => {
                if let Some(version) = self.count(item, "version")
                    && version != VERSION
                {
                    let help = Some(format!("this program reads version {VERSION}"));
                    self.problem(
                        item.span(),
                        "version",
                        format!("there is no version {version}"),
                        help,
                    );
                }
            }
        }
        let base = match table.get("extends") {
            None => None,
            Some(item) => Some((item.span(), self.base(item, load)?)),
        };
        let mut policy = base.as_ref().map_or_else(
            || Policy::new(Permission::NONE, Limits::default()),
            |(_, base)| base.clone(),
        );
        if base.is_none() {
            policy.agent = self.file_name();
        }
        policy.sources.push(self.source.clone());
        policy.files.extend(self.source.path.clone());
        let given = self.source.given.clone();
        policy
            .files
            .extend(given.filter(|given| Some(given) != self.source.path.as_ref()));
        self.locate(&mut policy, table, "");
        for (name, slot) in [
            ("agent", &mut policy.agent),
            ("description", &mut policy.description),
        ] {
            if let Some(text) = table.get(name).and_then(|item| self.string(item, name)) {
                *slot = text.to_owned();
            }
        }
        if let Some(item) = table.get("permissions") {
            policy.permissions = self.permissions(item);
        }
        if let Some(item) = table.get("allowed_paths") {
            policy.grants.clear();
            self.grants(&mut policy, item);
        }
        if let Some(item) = table.get("allowed_domains") {
            policy.domains = Default::default();
            self.domains(&mut policy, item);
        }
        self.limits(&mut policy, table);
        if let Some(item) = table.get("work") {
            self.work(&mut policy, item);
        }
        if let Some(item) = table.get("packages") {
            self.packages(&mut policy, item);
        }
        if let Some(item) = table.get("image") {
            policy.image = self.image(item);
        }
        if let Some(item) = table.get("source") {
            self.source_rules(&mut policy, item);
        }
        if let Some(item) = table.get("env") {
            self.env(&mut policy, item);
        }
        if let Some(item) = table.get("tools") {
            self.tools(&mut policy, item);
        }
        if let Some((span, base)) = base {
            self.narrows(&policy, &base, span);
        }
        Some(policy)
    }

    fn file_name(&self) -> String {
        let stem = self.source.file.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    }

    /// Notes where every key of a table stands.
    fn locate(&self, policy: &mut Policy, table: &Table<'_>, prefix: &str) {
        for (key, item) in table.iter() {
            let name = format!("{prefix}{}", key.get_ref());
            if let Some(table) = item.get_ref().as_table() {
                self.locate(policy, table, &format!("{name}."));
            }
            policy
                .locations
                .insert(name, self.source.location(key.span()));
        }
    }

    /// The policy that this one extends.
    fn base(
        &mut self,
        item: &Item<'_>,
        load: impl FnOnce(&Path) -> Result<Policy, Base>,
    ) -> Option<Policy> {
        let file = self.string(item, "extends")?;
        let path = self.host_path(item.span(), "extends", file)?;
        match load(&path) {
            Ok(base) => Some(base),
            Err(Base::Unreadable(why)) => {
                self.problem(item.span(), "extends", why, None);
                None
            }
            Err(Base::Problems(problems)) => {
                let message = format!("there are problems in {file:?}");
                self.problem(item.span(), "extends", message, None);
                self.problems.extend(problems.into_list());
                None
            }
        }
    }

    fn permissions(&mut self, item: &Item<'_>) -> Permission {
        let mut permissions = Permission::NONE;
        let known = permission_names();
        for (key, item) in self.list(item, "permissions") {
            let named = self.choice(item, &key, &known, Permission::named);
            permissions |= named.unwrap_or(Permission::NONE);
        }
        permissions
    }

    fn domains(&mut self, policy: &mut Policy, item: &Item<'_>) {
        for (key, text, span) in self.strings(item, "allowed_domains") {
            let at = self.source.location(span.clone());
            let added =
                DomainRule::new(text).and_then(|rule| policy.domains.add(rule.located(Some(at))));
            if let Err(error) = added {
                self.problem(span, key, format!("{text:?}: {error}"), None);
            }
        }
    }

    fn limits(&mut self, policy: &mut Policy, top: &Table<'_>) {
        let run = top
            .get("limits")
            .and_then(|item| self.table(item, "limits"));
        let session = run
            .and_then(|run| run.get("session"))
            .and_then(|item| self.table(item, "limits.session"));
        let work = top.get("work").and_then(|item| self.table(item, "work"));
        if let Some(run) = run {
            let names = limit_names("limits").map(|(_, name)| name);
            self.only(
                run,
                "limits.",
                &names.chain(["session"]).collect::<Vec<_>>(),
            );
        }
        if let Some(session) = session {
            let names = limit_names("limits.session").map(|(_, name)| name);
            self.only(session, "limits.session.", &names.collect::<Vec<_>>());
        }
        for limit in Limit::ALL {
            let item = match limit.key().rsplit_once('.') {
                Some(("limits.session", name)) => session.and_then(|session| session.get(name)),
                Some(("work", name)) => work.and_then(|work| work.get(name)),
                Some((_, name)) => run.and_then(|run| run.get(name)),
                None => top.get(limit.key()),
            };
            let Some(item) = item else { continue };
            let Some(amount) = self.amount(item, limit) else {
                continue;
            };
            match policy.limits.clone().with(limit, amount) {
                Ok(limits) => policy.limits = limits,
                Err(error) => {
                    let message = format!("{} is out of bounds", error.given);
                    let help = format!("it can be {} to {}", error.min, error.max);
                    self.problem(item.span(), limit.key(), message, Some(help));
                }
            }
        }
    }

    /// Reads `[work]`, but for its limits.
    fn work(&mut self, policy: &mut Policy, item: &Item<'_>) {
        let Some(table) = self.table(item, "work") else {
            return;
        };
        let names = limit_names("work").map(|(_, name)| name);
        self.only(table, "work.", &names.chain(["path"]).collect::<Vec<_>>());
        let path = table.get("path");
        let span = path.map_or(item.span(), |path| path.span());
        let path = match path {
            Some(path) => self.string(path, "work.path"),
            None => Some(policy.work.as_ref().map_or(Policy::WORK, GuestPath::as_str)),
        };
        let Some(path) = path.map(str::to_owned) else {
            return;
        };
        match policy.clone().with_work(&path) {
            Ok(with_work) => *policy = with_work,
            Err(error) => self.problem(span, "work.path", error.to_string(), None),
        }
    }

    fn source_rules(&mut self, policy: &mut Policy, item: &Item<'_>) {
        let Some(table) = self.table(item, "source") else {
            return;
        };
        self.only(table, "source.", &names(SOURCE));
        let all = Profile::ALL.map(Profile::name);
        let profile = table
            .get("profile")
            .and_then(|item| self.choice(item, "source.profile", &all, Profile::named));
        let mut source_rules =
            profile.map_or_else(|| policy.source_rules.clone(), Profile::source_rules);
        let rules = &mut source_rules.rules;
        let [allowed, forbidden] =
            ["allow_imports", "forbid_imports"].map(|name| self.source_names(policy, table, name));
        let [allowed_calls, forbidden_calls] =
            ["allow_calls", "forbid_calls"].map(|name| self.source_names(policy, table, name));
        for (allowed, forbidden) in [(&allowed, &forbidden), (&allowed_calls, &forbidden_calls)] {
            for (key, name, span) in forbidden {
                if let Some((other, ..)) = allowed.iter().find(|(_, other, _)| other == name) {
                    let help = format!("leave it out here or in {other}");
                    let message = format!("{name} is allowed as well, by {other}");
                    self.problem(span.clone(), key, message, Some(help));
                }
            }
        }
        let names = |listed: Vec<(String, String, Range<usize>)>| {
            listed.into_iter().map(|(_, name, _)| name)
        };
        // What a policy forbids is forbidden with all its parts, whichever of them the profile
        // allows.
        let forbidden: Vec<_> = names(forbidden).collect();
        if let Some(allowed) = &mut rules.allowed_imports {
            let is_forbidden = |name: &str| {
                let mut rests = forbidden
                    .iter()
                    .filter_map(|module| name.strip_prefix(&**module));
                rests.any(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            let others = allowed.iter().filter(|name| !is_forbidden(name));
            *allowed = others.map(str::to_owned).collect();
        }
        for module in names(allowed) {
            rules.forbidden_imports.remove(&module);
            if let Some(allowed) = &mut rules.allowed_imports {
                allowed.extend([module]);
            }
        }
        rules.forbidden_imports.extend(forbidden);
        for call in names(allowed_calls) {
            rules.forbidden_calls.remove(&call);
        }
        rules.forbidden_calls.extend(names(forbidden_calls));
        policy.source_rules = source_rules;
    }

    /// The names of a list of `[source]`: the key of each, the name, and where it stands.
    fn source_names(
        &mut self,
        policy: &mut Policy,
        table: &Table<'_>,
        list: &str,
    ) -> Vec<(String, String, Range<usize>)> {
        let Some(item) = table.get(list) else {
            return Vec::new();
        };
        let mut named = Vec::new();
        for (key, text, span) in self.strings(item, &format!("source.{list}")) {
            if text.split('.').all(is_identifier) {
                let at = self.source.location(span.clone());
                policy
                    .locations
                    .insert(format!("source.{list}[{text:?}]"), at);
                named.push((key, text.to_owned(), span));
            } else {
                let message = format!("{text:?} is not a name that Python knows");
                self.problem(span, key, message, None);
            }
        }
        named
    }

    fn env(&mut self, policy: &mut Policy, item: &Item<'_>) {
        let Some(table) = self.table(item, "env") else {
            return;
        };
        policy.env.clear();
        for (name, item) in table.iter() {
            let (span, name) = (name.span(), name.get_ref().as_ref());
            let key = format!("env.{name}");
            let Some(value) = self.string(item, &key) else {
                continue;
            };
            if !is_env_variable(name, value) {
                let message =
                    "no variable can be this: its name is empty or holds `=`, or there is a NUL";
                self.problem(span, key, message, None);
            }
            policy.env.insert(name.to_owned(), value.to_owned());
        }
    }

    fn tools(&mut self, policy: &mut Policy, item: &Item<'_>) {
        let Some(table) = self.table(item, "tools") else {
            return;
        };
        policy.tools.clear();
        for (name, item) in table.iter() {
            let (span, name) = (name.span(), name.get_ref().as_ref());
            let key = format!("tools.{name}");
            if !is_tool_name(name) {
                let help = "a tool's name has lower-case letters, digits and `_`, 64 at most";
                let message = "is not a name that a tool can have";
                self.problem(span, key.as_str(), message, Some(help.to_owned()));
            }
            let Some(table) = self.table(item, &key) else {
                continue;
            };
            self.only(table, &format!("{key}."), &names(TOOL));
            let (max_calls, approval) = (format!("{key}.max_calls"), format!("{key}.approval"));
            let rules = ToolRules {
                max_calls: table
                    .get("max_calls")
                    .and_then(|item| self.count(item, &max_calls)),
                approval: table
                    .get("approval")
                    .and_then(|item| self.boolean(item, &approval))
                    .unwrap_or(false),
                args: self.constraints(table, &format!("{key}.args")),
                config: table
                    .get("config")
                    .and_then(|item| self.table(item, &format!("{key}.config")))
                    .map(|table| self.config(table, &format!("{key}.config.")))
                    .unwrap_or_default(),
            };
            policy.tools.insert(name.to_owned(), rules);
        }
    }

    fn constraints(&mut self, tool: &Table<'_>, prefix: &str) -> BTreeMap<String, Constraint> {
        let mut constraints = BTreeMap::new();
        let args = tool.get("args");
        for (name, item) in args
            .and_then(|item| self.table(item, prefix))
            .into_iter()
            .flatten()
        {
            let name = name.get_ref().as_ref();
            let key = format!("{prefix}.{name}");
            let Some(table) = self.table(item, &key) else {
                continue;
            };
            self.only(table, &format!("{key}."), &names(CONSTRAINT));
            if let Some(constraint) = self.constraint(table, item.span(), &key) {
                constraints.insert(name.to_owned(), constraint);
            }
        }
        constraints
    }

    fn constraint(
        &mut self,
        table: &Table<'_>,
        span: Range<usize>,
        key: &str,
    ) -> Option<Constraint> {
        let of = |name: &str| format!("{key}.{name}");
        let given = ["equals", "one_of", "prefix"].map(|name| table.get(name));
        let bounds = ["min", "max"].map(|name| table.get(name));
        match (given, bounds) {
            ([Some(item), None, None], [None, None]) => {
                Some(Constraint::OneOf(vec![self.value(item, &of("equals"))?]))
            }
            ([None, Some(item), None], [None, None]) => {
                let items = self.list(item, &of("one_of"));
                if items.is_empty() {
                    let help = "leave the tool out, or name a value".to_owned();
                    self.problem(span, of("one_of"), "allows nothing", Some(help));
                }
                let values = items
                    .into_iter()
                    .filter_map(|(key, item)| self.value(item, &key));
                Some(Constraint::OneOf(values.collect()))
            }
            ([None, None, Some(item)], [None, None]) => {
                let prefix = self.string(item, &of("prefix"))?;
                if prefix.is_empty() {
                    let help = "leave it out, or write how the text starts".to_owned();
                    self.problem(span, of("prefix"), "allows every text", Some(help));
                }
                Some(Constraint::Prefix(prefix.to_owned()))
            }
            ([None, None, None], [min, max]) if min.is_some() || max.is_some() => {
                let mut number = |item: Option<&Item<'_>>, name| {
                    item.and_then(|item| self.number(item, &of(name)))
                };
                Some(Constraint::Range {
                    min: number(min, "min"),
                    max: number(max, "max"),
                })
            }
            _ => {
                let help = "write one of `equals`, `one_of`, `prefix`, or `min` and `max`";
                self.problem(
                    span,
                    key,
                    "has no rule, or more than one",
                    Some(help.to_owned()),
                );
                None
            }
        }
    }

    /// Notes everything that this file allows and the one that it extends does not.
    fn narrows(&mut self, policy: &Policy, base: &Policy, extends: Range<usize>) {
        for wider in policy.widenings(base) {
            let own = wider.at.filter(|at| at.file == self.source.file);
            let span = own.map_or(extends.clone(), |at| at.span);
            let message = format!("allows more than the file that it extends: {}", wider.what);
            let help = match base.locations.get(&wider.key) {
                Some(at) => format!("a file may only narrow what it extends; see {at}"),
                None => "a file may only narrow what it extends".to_owned(),
            };
            self.problem(span, wider.key, message, Some(help));
        }
    }
}
