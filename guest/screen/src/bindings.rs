//! Names that a function makes its own: those are not the built-in ones.

use std::collections::HashSet;

use rustpython_ast::visitor::{Visitor, walk_except_handler, walk_expr, walk_pattern, walk_stmt};
use rustpython_ast::{Comprehension, ExceptHandler, Expr, ExprContext, Parameters, Pattern, Stmt};

/// The names of one function.
#[derive(Default)]
pub(crate) struct Bindings<'a> {
    bound: HashSet<&'a str>,
    /// Declared `global` or `nonlocal`: bound elsewhere, if at all.
    elsewhere: HashSet<&'a str>,
}

impl<'a> Bindings<'a> {
    pub(crate) fn of_function(parameters: &'a Parameters, body: &'a [Stmt]) -> Self {
        let mut bindings = Self::of_parameters(Some(parameters));
        bindings.visit_body(body);
        bindings
    }

    pub(crate) fn of_parameters(parameters: Option<&'a Parameters>) -> Self {
        let mut bindings = Self::default();
        for parameter in parameters.into_iter().flat_map(Parameters::iter) {
            bindings.bound.insert(parameter.name().as_str());
        }
        bindings
    }

    pub(crate) fn of_comprehension(generators: &'a [Comprehension]) -> Self {
        let mut bindings = Self::default();
        for generator in generators {
            bindings.visit_expr(&generator.target);
        }
        bindings
    }

    pub(crate) fn hold(&self, name: &str) -> bool {
        self.bound.contains(name) && !self.elsewhere.contains(name)
    }
}

impl<'a> Visitor<'a> for Bindings<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            // Their bodies have names of their own.
            Stmt::FunctionDef(function) => _ = self.bound.insert(function.name.as_str()),
            Stmt::ClassDef(class) => _ = self.bound.insert(class.name.as_str()),
            Stmt::Import(import) => {
                for alias in &import.names {
                    let name = alias.asname.as_ref().unwrap_or(&alias.name).as_str();
                    let top = name.split('.').next().unwrap_or(name);
                    self.bound.insert(top);
                }
            }
            Stmt::ImportFrom(import) => {
                for alias in &import.names {
                    let name = alias.asname.as_ref().unwrap_or(&alias.name);
                    self.bound.insert(name.as_str());
                }
            }
            Stmt::Global(global) => self
                .elsewhere
                .extend(global.names.iter().map(|n| n.as_str())),
            Stmt::Nonlocal(outer) => self
                .elsewhere
                .extend(outer.names.iter().map(|n| n.as_str())),
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) if name.ctx == ExprContext::Store => {
                self.bound.insert(name.id.as_str());
            }
            Expr::Lambda(_) => {}
            _ => walk_expr(self, expr),
        }
    }

    /// Visits a comprehension: its counters are its own; a `:=` in it is not.
    fn visit_comprehension(&mut self, comprehension: &'a Comprehension) {
        self.visit_expr(&comprehension.iter);
        for condition in &comprehension.ifs {
            self.visit_expr(condition);
        }
    }

    fn visit_except_handler(&mut self, handler: &'a ExceptHandler) {
        let ExceptHandler::ExceptHandler(handled) = handler;
        self.bound
            .extend(handled.name.as_ref().map(|name| name.as_str()));
        walk_except_handler(self, handler);
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        let name = match pattern {
            Pattern::MatchAs(as_name) => as_name.name.as_ref(),
            Pattern::MatchStar(star) => star.name.as_ref(),
            Pattern::MatchMapping(mapping) => mapping.rest.as_ref(),
            _ => None,
        };
        self.bound.extend(name.map(|name| name.as_str()));
        walk_pattern(self, pattern);
    }
}
