//! Finds items in a file by their paths.

use std::fmt::Display;
use std::ops::Range;

use anyhow::{Result, bail};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// A range of bytes of a file, in which an item stands with its attributes and docs.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The start of a function after its attributes and docs, and the range of its name.
    pub(crate) signature: Option<(usize, Range<usize>)>,
    /// The start of the `impl` that it is in; else its own.
    outer: usize,
}

impl Found {
    pub(crate) fn of(item: &impl Spanned) -> Self {
        let range = item.span().byte_range();
        Self {
            start: range.start,
            end: range.end,
            signature: None,
            outer: range.start,
        }
    }

    fn function(
        item: &impl Spanned,
        visibility: &syn::Visibility,
        signature: &syn::Signature,
    ) -> Self {
        let start = match visibility {
            syn::Visibility::Inherited => signature.span(),
            visibility => visibility.span(),
        };
        let name = signature.ident.span().byte_range();
        Self {
            signature: Some((start.byte_range().start, name)),
            ..Self::of(item)
        }
    }

    fn holds(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// The one item of this path, or the one arm in it of this pattern.
pub(crate) fn find(file: &syn::File, path: &str, arm: Option<&str>) -> Result<Found> {
    let mut items = Items {
        wanted: path,
        scope: Vec::new(),
        arm: arm.map(tokens).transpose()?,
        outer: None,
        found: Vec::new(),
    };
    items.visit_file(file);
    match &items.found[..] {
        [one] => Ok(one.clone()),
        [] => bail!("there is none"),
        several => bail!("there are {}", several.len()),
    }
}

/// The code beside what was used: each piece with the place in the crate's file where it belongs,
/// before the item that was replaced. `used` pairs our items with theirs.
pub(crate) fn helpers(items: &[syn::Item], used: &[(Found, Found)]) -> Vec<(Found, usize)> {
    let mut helpers = Vec::new();
    let Some((_, first)) = used.first() else {
        return helpers;
    };
    let mut before = first.outer;
    for item in items {
        let range = Found::of(item);
        let inside: Vec<_> = used
            .iter()
            .filter(|(own, _)| range.holds(own))
            .cloned()
            .collect();
        let Some((_, theirs)) = inside.first() else {
            helpers.push((range, before));
            continue;
        };
        before = theirs.outer;
        match item {
            syn::Item::Mod(module) => {
                let items = module.content.as_ref().map(|(_, items)| items);
                helpers.extend(
                    items
                        .map(|items| self::helpers(items, &inside))
                        .unwrap_or_default(),
                );
            }
            syn::Item::Impl(block) => {
                let methods = block.items.iter().map(Found::of);
                let unused =
                    methods.filter(|method| !inside.iter().any(|(own, _)| method.holds(own)));
                helpers.extend(unused.map(|method| (method, theirs.start)));
            }
            _ => {}
        }
    }
    helpers
}

/// A text as tokens: what is the same, however it is laid out.
fn tokens(text: &str) -> Result<String> {
    match text.parse::<proc_macro2::TokenStream>() {
        Ok(tokens) => Ok(tokens.to_string()),
        Err(error) => bail!("`{text}` is not Rust: {error}"),
    }
}

/// Looks for items, and where an arm is wanted, for the arms in them.
struct Items<'f> {
    wanted: &'f str,
    scope: Vec<String>,
    arm: Option<String>,
    /// The start of the `impl` that is being read.
    outer: Option<usize>,
    found: Vec<Found>,
}

impl Items<'_> {
    /// Takes an item called `name` in the scope, if it is what is looked for, or the arms in it
    /// that are.
    fn take(&mut self, name: impl Display, found: Found, visit: impl FnOnce(&mut Arms<'_>)) {
        self.scope.push(name.to_string());
        if self.scope.join("::") == self.wanted {
            match &self.arm {
                None => self.found.push(Found {
                    outer: self.outer.unwrap_or(found.outer),
                    ..found
                }),
                Some(pattern) => {
                    let mut arms = Arms {
                        pattern,
                        found: Vec::new(),
                    };
                    visit(&mut arms);
                    self.found.extend(arms.found);
                }
            }
        }
        self.scope.pop();
    }
}

impl<'f> Visit<'f> for Items<'_> {
    fn visit_item_mod(&mut self, item: &'f syn::ItemMod) {
        self.take(&item.ident, Found::of(item), |_| ());
        self.scope.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.scope.pop();
    }

    fn visit_item_fn(&mut self, item: &'f syn::ItemFn) {
        let found = Found::function(item, &item.vis, &item.sig);
        self.take(&item.sig.ident, found, |arms| arms.visit_item_fn(item));
    }

    fn visit_item_const(&mut self, item: &'f syn::ItemConst) {
        self.take(&item.ident, Found::of(item), |_| ());
    }

    fn visit_item_static(&mut self, item: &'f syn::ItemStatic) {
        self.take(&item.ident, Found::of(item), |_| ());
    }

    fn visit_item_macro(&mut self, item: &'f syn::ItemMacro) {
        if let Some(name) = item.mac.path.get_ident() {
            self.take(format_args!("{name}!"), Found::of(item), |_| ());
        }
    }

    fn visit_item_impl(&mut self, item: &'f syn::ItemImpl) {
        let own = compact(&item.self_ty);
        let scope = match &item.trait_ {
            None => own,
            Some((path, _)) => format!("<{own} as {}>", compact(path)),
        };
        self.scope.push(scope);
        self.outer = Some(Found::of(item).start);
        for item in &item.items {
            match item {
                syn::ImplItem::Fn(method) => {
                    let found = Found::function(method, &method.vis, &method.sig);
                    self.take(&method.sig.ident, found, |arms| {
                        arms.visit_impl_item_fn(method)
                    });
                }
                syn::ImplItem::Const(item) => {
                    self.take(&item.ident, Found::of(item), |_| ());
                }
                _ => {}
            }
        }
        self.outer = None;
        self.scope.pop();
    }
}

/// A type or a path as it is written without spaces and without lifetimes that have no name.
fn compact(tokens: &impl ToTokens) -> String {
    let text = tokens.to_token_stream().to_string().replace(' ', "");
    text.replace("<'_>", "")
}

/// Looks for the arms that have a pattern.
struct Arms<'p> {
    pattern: &'p str,
    found: Vec<Found>,
}

impl<'f> Visit<'f> for Arms<'_> {
    fn visit_arm(&mut self, arm: &'f syn::Arm) {
        if arm.pat.to_token_stream().to_string() == self.pattern {
            self.found.push(Found::of(arm));
        }
        visit::visit_arm(self, arm);
    }
}
