//! Reads `allowed_paths`, and every other path of the host that a file names.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::de::DeValue;

use super::keys::{ALLOWED_PATH, IMAGE, PACKAGES, PATH_KEYS, WHEEL};
use super::read::{Item, Reader, Table, names};
use crate::grant::{check_host, normal};
use crate::{Access, Grant, GrantError, GuestPath, ImageFile, Permission, Policy, Wheel};

impl Reader<'_> {
    /// An absolute path of the host, from one that may be relative to the file.
    pub(super) fn host_path(
        &mut self,
        span: Range<usize>,
        key: &str,
        path: &str,
    ) -> Option<PathBuf> {
        if path.contains('\0') {
            self.problem(span, key, "holds a NUL byte", None);
            return None;
        }
        let shell = path.starts_with('~') || path.contains(['$', '*', '?']);
        let path = Path::new(path);
        let resolved = |path: PathBuf| (self.source.resolve)(&path).unwrap_or(path);
        let directory = self.source.path.as_deref().and_then(Path::parent);
        let is_there = || {
            let path = directory.map_or_else(|| path.to_owned(), |directory| directory.join(path));
            (self.source.resolve)(&path).is_some()
        };
        if shell && !is_there() {
            let message = "is for a shell to expand, and here there is none: `~`, `$NAME` and `*` stand for themselves";
            let help = "write the path itself, absolute or relative to this file; a directory stands for all \
                        that is in it";
            self.problem(span, key, message, Some(help.to_owned()));
            return None;
        }
        if path.is_absolute() {
            return Some(resolved(normal(path)));
        }
        let Some(directory) = directory else {
            let message = "is relative to the policy file, and there is none";
            self.problem(
                span,
                key,
                message,
                Some("write an absolute path".to_owned()),
            );
            return None;
        };
        Some(resolved(normal(&directory.join(path))))
    }

    /// Reads the configuration of a tool. Under the keys of [`PATH_KEYS`], texts are paths.
    pub(super) fn config(&mut self, table: &Table<'_>, prefix: &str) -> Map<String, Value> {
        let members = table.iter().filter_map(|(name, item)| {
            let name = name.get_ref().as_ref();
            let key = format!("{prefix}{name}");
            let value = match item.get_ref() {
                DeValue::String(path) if PATH_KEYS.contains(&name) => {
                    let path = self.host_path(item.span(), &key, path)?;
                    path.to_string_lossy().into_owned().into()
                }
                DeValue::Table(table) => self.config(table, &format!("{key}.")).into(),
                DeValue::Array(_) => {
                    let items = self.list(item, &key);
                    let values = items
                        .into_iter()
                        .filter_map(|(key, item)| match item.get_ref() {
                            DeValue::Table(table) => {
                                Some(self.config(table, &format!("{key}.")).into())
                            }
                            _ => self.value(item, &key),
                        });
                    values.collect()
                }
                _ => self.value(item, &key)?,
            };
            Some((name.to_owned(), value))
        });
        members.collect()
    }

    pub(super) fn grants(&mut self, policy: &mut Policy, item: &Item<'_>) {
        for (key, item) in self.list(item, "allowed_paths") {
            let Some(mut grant) = self.grant(policy.permissions, item, &key) else {
                continue;
            };
            grant.at = Some(self.source.location(item.span()));
            grant.resolved = (self.source.resolve)(grant.host()).is_some();
            let added = check_host(grant.host(), self.source.home.as_deref(), &policy.files)
                .and_then(|()| policy.add_grant(grant));
            if let Err(error) = added {
                self.problem(item.span(), key, error.to_string(), None);
            }
        }
    }

    fn grant(&mut self, permissions: Permission, item: &Item<'_>, key: &str) -> Option<Grant> {
        let Some(table) = item.get_ref().as_table() else {
            let text = self.string(item, key)?;
            let host = self.host_path(item.span(), key, text)?;
            let guest = if text.starts_with('/') {
                text.to_owned()
            } else {
                self.guest_path(item.span(), key, text)?
            };
            return self.checked(
                item.span(),
                key,
                Grant::new(&guest, host, Access::READ_WRITE),
            );
        };
        self.only(table, &format!("{key}."), &names(ALLOWED_PATH));
        let Some(path) = table.get("path") else {
            let help = Some("write `{ path = \"/in\", host = \"data/in\" }`".to_owned());
            self.problem(item.span(), format!("{key}.path"), "is missing", help);
            return None;
        };
        let path_key = format!("{key}.path");
        let guest = self.string(path, &path_key)?;
        let host = match table.get("host") {
            None => self.host_path(path.span(), &path_key, guest)?,
            Some(host) => {
                let key = format!("{key}.host");
                let text = self.string(host, &key)?;
                self.host_path(host.span(), &key, text)?
            }
        };
        let guest = if guest.starts_with('/') {
            guest.to_owned()
        } else {
            self.guest_path(path.span(), &path_key, guest)?
        };
        let access = match table.get("access") {
            None => Access::READ_WRITE,
            Some(item) => self.access(permissions, item, &format!("{key}.access"))?,
        };
        self.checked(item.span(), key, Grant::new(&guest, host, access))
    }

    /// Returns the path at which a script finds a directory that was named relative to the file.
    fn guest_path(&mut self, span: Range<usize>, key: &str, text: &str) -> Option<String> {
        let guest = (!text.split('/').any(|name| name == ".."))
            .then(|| GuestPath::root().join(text).ok())
            .flatten()
            .filter(|guest| *guest != GuestPath::root());
        if guest.is_none() {
            let message = format!("{text:?} does not say under which path the script finds it");
            let help = format!("write `{{ path = \"/in\", host = {text:?} }}`");
            self.problem(span, key, message, Some(help));
        }
        guest.map(|guest| guest.to_string())
    }

    /// The access of an entry, which can't be more than is permitted.
    fn access(&mut self, permissions: Permission, item: &Item<'_>, key: &str) -> Option<Access> {
        let access = self.choice(item, key, &Access::ALL.map(Access::name), Access::named)?;
        for part in [Access::READ, Access::WRITE] {
            let lacking = part.permissions() - permissions;
            if access.contains(part) && !lacking.is_empty() {
                let lacking = lacking.names().collect::<String>();
                let message = format!("asks for {}, but `permissions` lack {lacking}", part.name());
                let help = "an entry can only narrow them".to_owned();
                self.problem(item.span(), key, message, Some(help));
            }
        }
        Some(access)
    }

    pub(super) fn packages(&mut self, policy: &mut Policy, item: &Item<'_>) {
        let Some(table) = self.table(item, "packages") else {
            return;
        };
        self.only(table, "packages.", &names(PACKAGES));
        if let Some(item) = table.get("wheels") {
            policy.packages.wheels.clear();
            for (key, item) in self.list(item, "packages.wheels") {
                policy.packages.wheels.extend(self.wheel(item, &key));
            }
        }
        if let Some(item) = table.get("directories") {
            policy.packages.directories.clear();
            for (key, text, span) in self.strings(item, "packages.directories") {
                let path = self.host_path(span, &key, text);
                policy.packages.directories.extend(path);
            }
        }
        if let Err(error) = policy.check_packages() {
            self.problem(item.span(), "packages", error.to_string(), None);
        }
    }

    /// The image: its file, or a table with the file and the setup.
    pub(super) fn image(&mut self, item: &Item<'_>) -> Option<ImageFile> {
        let path = |reader: &mut Self, item: &Item<'_>, key| {
            let path = reader.string(item, key)?;
            reader.host_path(item.span(), key, path)
        };
        let Some(table) = item.get_ref().as_table() else {
            let file = path(self, item, "image")?;
            return Some(ImageFile { file, setup: None });
        };
        self.only(table, "image.", &names(IMAGE));
        let Some(file) = table.get("file") else {
            let help = "write `image = \"app.image\"`".to_owned();
            self.problem(item.span(), "image.file", "is missing", Some(help));
            return None;
        };
        let file = path(self, file, "image.file")?;
        let setup = table.get("setup");
        let setup = setup.and_then(|setup| path(self, setup, "image.setup"));
        Some(ImageFile { file, setup })
    }

    fn wheel(&mut self, item: &Item<'_>, key: &str) -> Option<Wheel> {
        let table = self.table(item, key)?;
        self.only(table, &format!("{key}."), &names(WHEEL));
        let [file, sha256] = ["file", "sha256"].map(|name| {
            let found = table.get(name);
            if found.is_none() {
                let help = "write `{ file = \"vendor/NAME.whl\", sha256 = \"…\" }`; `sha256sum` tells the hash";
                let name = format!("{key}.{name}");
                self.problem(item.span(), name, "is missing", Some(help.to_owned()));
            }
            found
        });
        let (file, sha256) = (file?, sha256?);
        let file_key = format!("{key}.file");
        let path = self.string(file, &file_key)?;
        let path = self.host_path(file.span(), &file_key, path)?;
        let hash_key = format!("{key}.sha256");
        let hash = self.string(sha256, &hash_key)?;
        match Wheel::new(path, hash) {
            Ok(wheel) => Some(wheel),
            Err(error) => {
                self.problem(sha256.span(), hash_key, error.to_string(), None);
                None
            }
        }
    }

    fn checked(
        &mut self,
        span: Range<usize>,
        key: &str,
        grant: Result<Grant, GrantError>,
    ) -> Option<Grant> {
        match grant {
            Ok(grant) => Some(grant),
            Err(error) => {
                self.problem(span, key, error.to_string(), None);
                None
            }
        }
    }
}
