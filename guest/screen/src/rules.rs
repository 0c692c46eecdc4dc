//! The rules: what may be imported, what may be called.

use std::collections::HashSet;

use rustpython_ast::visitor::{Visitor, walk_expr, walk_stmt};
use rustpython_ast::{
    Comprehension, ExceptHandler, Expr, ExprContext, Mod, Parameters, Stmt, StmtFunctionDef,
    StmtImport, StmtImportFrom, StmtTry,
};
use rustpython_text_size::{Ranged, TextRange};
use wardian_abi::{ScreenRules, SourceRule};

use crate::bindings::Bindings;

/// The findings while a tree is read.
pub(crate) struct Found<'a> {
    rules: &'a ScreenRules,
    /// Rule, message, where.
    pub(crate) broken: Vec<(SourceRule, String, TextRange)>,
    /// The functions that are being read, the innermost last.
    functions: Vec<Bindings<'a>>,
    /// Names that stand for the module of built-in functions.
    builtins: HashSet<&'a str>,
    /// Names that the script has bound for good where they are read: by an import, a function or a
    /// class at its top level.
    own: HashSet<&'a str>,
    /// Set if the node runs in a `try` that catches the failure of an import.
    catches_import: bool,
}

impl<'a> Found<'a> {
    pub(crate) fn new(rules: &'a ScreenRules) -> Self {
        Self {
            rules,
            broken: Vec::new(),
            functions: Vec::new(),
            builtins: HashSet::from(["__builtins__"]),
            own: HashSet::new(),
            catches_import: false,
        }
    }

    pub(crate) fn read(&mut self, tree: &'a Mod) {
        match tree {
            Mod::Module(module) => {
                for statement in &module.body {
                    self.visit_stmt(statement);
                    self.own.extend(names_bound_by(statement));
                }
            }
            Mod::Expression(expression) => self.visit_expr(&expression.body),
        }
    }

    fn import(&mut self, module: &str, range: TextRange) {
        if let Some(message) = self.rules.import_refusal(module) {
            self.refuse_import(message, range);
        }
    }

    /// Refuses the script for an import, unless the script has something else to do where that
    /// fails: then it fails when it is run.
    fn refuse_import(&mut self, message: String, range: TextRange) {
        if !self.catches_import {
            self.broken.push((SourceRule::Import, message, range));
        }
    }

    fn imports(&mut self, import: &'a StmtImport) {
        for alias in &import.names {
            self.import(&alias.name, alias.name.range());
            if alias.name.as_str() == "builtins" {
                let name = alias.asname.as_ref().unwrap_or(&alias.name);
                self.builtins.insert(name.as_str());
            }
        }
    }

    fn imports_from(&mut self, import: &'a StmtImportFrom) {
        let dots = ".".repeat(import.level as usize);
        let named = import.module.as_ref();
        let module = format!("{dots}{}", named.map_or("", |name| name.as_str()));
        let range = named.map_or(import.range, Ranged::range);
        // What is imported from a module may be a module too.
        let parts = import
            .names
            .iter()
            .filter(|alias| alias.name.as_str() != "*");
        let whole = |alias: &str| {
            if module.ends_with('.') {
                format!("{module}{alias}")
            } else {
                format!("{module}.{alias}")
            }
        };
        match self.rules.import_refusal(&module) {
            // A module that is not allowed may hold something that is.
            Some(message) => {
                let all_allowed = import.names.iter().all(|alias| {
                    let part = whole(alias.name.as_str());
                    alias.name.as_str() != "*" && self.rules.import_refusal(&part).is_none()
                });
                if !all_allowed {
                    self.refuse_import(message, range);
                }
            }
            None => {
                for alias in parts {
                    self.import(&whole(alias.name.as_str()), alias.name.range());
                }
            }
        }
        if module == "builtins" {
            for alias in &import.names {
                self.built_in(&alias.name, alias.name.range());
            }
        }
    }

    /// A name that stands for a built-in function.
    fn built_in(&mut self, name: &str, range: TextRange) {
        if self.rules.forbidden_calls.contains(name) {
            let message = format!("Forbidden call: {name}()");
            self.broken.push((SourceRule::Call, message, range));
        }
    }

    fn is_builtins(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Name(name) if self.builtins.contains(name.id.as_str()))
    }

    fn function(&mut self, function: &'a StmtFunctionDef) {
        for decorator in &function.decorator_list {
            self.visit_decorator(decorator);
        }
        if let Some(type_params) = &function.type_params {
            self.visit_type_params(type_params);
        }
        // Defaults and annotations belong to what is around the function.
        self.visit_parameters(&function.parameters);
        if let Some(returns) = &function.returns {
            self.visit_annotation(returns);
        }
        self.within(
            Bindings::of_function(&function.parameters, &function.body),
            |found| found.visit_body(&function.body),
        );
    }

    fn lambda(&mut self, parameters: Option<&'a Parameters>, body: &'a Expr) {
        if let Some(parameters) = parameters {
            self.visit_parameters(parameters);
        }
        self.within(Bindings::of_parameters(parameters), |found| {
            found.visit_expr(body);
        });
    }

    fn comprehension(&mut self, parts: &[&'a Expr], generators: &'a [Comprehension]) {
        // The first thing that is gone through is looked up outside.
        if let Some(first) = generators.first() {
            self.visit_expr(&first.iter);
        }
        self.within(Bindings::of_comprehension(generators), |found| {
            for (i, generator) in generators.iter().enumerate() {
                if i > 0 {
                    found.visit_expr(&generator.iter);
                }
                found.visit_expr(&generator.target);
                for condition in &generator.ifs {
                    found.visit_expr(condition);
                }
            }
            for part in parts {
                found.visit_expr(part);
            }
        });
    }

    fn within(&mut self, bindings: Bindings<'a>, read: impl FnOnce(&mut Self)) {
        self.functions.push(bindings);
        // It runs when it is called, wherever that is.
        let catches_import = std::mem::take(&mut self.catches_import);
        read(self);
        self.catches_import = catches_import;
        self.functions.pop();
    }

    fn try_statement(&mut self, statement: &'a StmtTry) {
        let outside = self.catches_import;
        self.catches_import |= statement.handlers.iter().any(catches_import_error);
        self.visit_body(&statement.body);
        self.catches_import = outside;
        for handler in &statement.handlers {
            self.visit_except_handler(handler);
        }
        self.visit_body(&statement.orelse);
        self.visit_body(&statement.finalbody);
    }

    fn unknown(&mut self, range: TextRange) {
        let message = "Syntax error: this is not Python".to_owned();
        self.broken.push((SourceRule::Syntax, message, range));
    }
}

/// The names that an import, a function or a class binds.
fn names_bound_by(statement: &Stmt) -> Vec<&str> {
    let aliases = match statement {
        Stmt::Import(import) => &import.names,
        Stmt::ImportFrom(import) => &import.names,
        Stmt::FunctionDef(function) => return vec![function.name.as_str()],
        Stmt::ClassDef(class) => return vec![class.name.as_str()],
        _ => return Vec::new(),
    };
    let names = aliases
        .iter()
        .map(|alias| alias.asname.as_ref().unwrap_or(&alias.name).as_str());
    names.collect()
}

/// Does a handler catch the error of an import that fails?
fn catches_import_error(handler: &ExceptHandler) -> bool {
    let ExceptHandler::ExceptHandler(handler) = handler;
    let catches = |caught: &Expr| match caught {
        Expr::Name(name) => matches!(
            name.id.as_str(),
            "ImportError" | "ModuleNotFoundError" | "Exception" | "BaseException"
        ),
        _ => false,
    };
    match handler.type_.as_deref() {
        None => true,
        Some(Expr::Tuple(several)) => several.elts.iter().any(catches),
        Some(one) => catches(one),
    }
}

/// Every kind of node is named here, so that a new one does not build until somebody has thought
/// about it.
impl<'a> Visitor<'a> for Found<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Import(import) => self.imports(import),
            Stmt::ImportFrom(import) => self.imports_from(import),
            Stmt::FunctionDef(function) => return self.function(function),
            Stmt::Try(statement) => return self.try_statement(statement),
            Stmt::Assign(assign) if self.is_builtins(&assign.value) => {
                let targets = assign.targets.iter();
                let names = targets.filter_map(|target| target.as_name_expr());
                self.builtins.extend(names.map(|name| name.id.as_str()));
            }
            Stmt::IpyEscapeCommand(command) => self.unknown(command.range),
            Stmt::ClassDef(_)
            | Stmt::Return(_)
            | Stmt::Delete(_)
            | Stmt::TypeAlias(_)
            | Stmt::Assign(_)
            | Stmt::AugAssign(_)
            | Stmt::AnnAssign(_)
            | Stmt::For(_)
            | Stmt::While(_)
            | Stmt::If(_)
            | Stmt::With(_)
            | Stmt::Match(_)
            | Stmt::Raise(_)
            | Stmt::Assert(_)
            | Stmt::Global(_)
            | Stmt::Nonlocal(_)
            | Stmt::Expr(_)
            | Stmt::Pass(_)
            | Stmt::Break(_)
            | Stmt::Continue(_) => {}
        }
        walk_stmt(self, stmt);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => {
                let local = || self.functions.iter().any(|names| names.hold(&name.id));
                let own = || self.own.contains(name.id.as_str());
                if name.ctx == ExprContext::Load && !own() && !local() {
                    self.built_in(&name.id, name.range);
                }
            }
            Expr::Attribute(attribute) if self.is_builtins(&attribute.value) => {
                self.built_in(&attribute.attr, attribute.range);
            }
            Expr::Subscript(subscript) if self.is_builtins(&subscript.value) => {
                if let Expr::StringLiteral(key) = &*subscript.slice {
                    self.built_in(key.value.to_str(), subscript.range);
                }
            }
            Expr::Lambda(lambda) => {
                return self.lambda(lambda.parameters.as_deref(), &lambda.body);
            }
            Expr::ListComp(comp) => return self.comprehension(&[&comp.elt], &comp.generators),
            Expr::SetComp(comp) => return self.comprehension(&[&comp.elt], &comp.generators),
            Expr::Generator(comp) => return self.comprehension(&[&comp.elt], &comp.generators),
            Expr::DictComp(comp) => {
                let parts: Vec<&Expr> = comp
                    .key
                    .iter()
                    .map(|key| &**key)
                    .chain([&*comp.value])
                    .collect();
                return self.comprehension(&parts, &comp.generators);
            }
            Expr::IpyEscapeCommand(command) => self.unknown(command.range),
            Expr::BoolOp(_)
            | Expr::Named(_)
            | Expr::BinOp(_)
            | Expr::UnaryOp(_)
            | Expr::If(_)
            | Expr::Dict(_)
            | Expr::Set(_)
            | Expr::Await(_)
            | Expr::Yield(_)
            | Expr::YieldFrom(_)
            | Expr::Compare(_)
            | Expr::Call(_)
            | Expr::FString(_)
            | Expr::TString(_)
            | Expr::StringLiteral(_)
            | Expr::BytesLiteral(_)
            | Expr::NumberLiteral(_)
            | Expr::BooleanLiteral(_)
            | Expr::NoneLiteral(_)
            | Expr::EllipsisLiteral(_)
            | Expr::Constant(_)
            | Expr::Attribute(_)
            | Expr::Subscript(_)
            | Expr::Starred(_)
            | Expr::List(_)
            | Expr::Tuple(_)
            | Expr::Slice(_) => {}
        }
        walk_expr(self, expr);
    }
}
