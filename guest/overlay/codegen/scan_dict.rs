//! Crate: rustpython-codegen 0.6.0
//! File: src/symboltable.rs
//! Item: SymbolTableBuilder::scan_expression / Expr::Dict(ExprDict { items, .. }) = 73632313b435af7c
//! Test: tests/python/dict_scopes.py
//!
//! Reason: a lambda or comprehension in a value before a key that has one too got the scope of another.
//!
//! Upstream: Scopes in a dict display are paired in another order than they are compiled
//!
//! The symbol table visits all keys of a dict display, then all values; `compile_subdict` compiles key by value, and takes
//! the next table for each scope that it meets. So `{1: sum(x * b for x in a), max(a, key=lambda x: x * b): 2}` fails with
//! "the symbol 'y' must be present in the symbol table" or with an UnboundLocalError. The table must visit
//! each key with its value.

impl SymbolTableBuilder {
    fn scan_expression(
        &mut self,
        expression: &Expr,
        context: ExpressionContext,
    ) -> SymbolTableResult {
        match expression {
            Expr::Dict(ExprDict { items, .. }) => {
                for item in items {
                    if let Some(key) = &item.key {
                        self.scan_expression(key, context)?;
                    }
                    self.scan_expression(&item.value, context)?;
                }
            }
        }
    }
}
