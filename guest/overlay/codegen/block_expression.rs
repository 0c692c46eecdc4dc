//! Crate: rustpython-codegen 0.6.0
//! File: src/compile.rs
//! Item: Compiler<'warnings>::compile_block_expr = 56aedf5ade2fe74d
//! Test: tests/python/annotations.py
//!
//! Reason: a script with an annotated variable (`x: int = 1`) raised NameError, and had neither `__annotations__`,
//! `from __future__ import annotations` nor `__doc__`.
//!
//! Upstream: Modules that are compiled as a block expression lack annotations
//!
//! `compile_block_expr` emits nothing of what `compile_program` does before and after the statements of a module:
//! the cell and the set of conditional annotations, the flag of the future import, the function of annotations, the
//! docstring. So `x: int = 1` fails with "name '__conditional_annotations__' is not defined".

impl<'warnings> Compiler<'warnings> {
    fn compile_block_expr(
        &mut self,
        body: &[ast::Stmt],
        symbol_table: SymbolTable,
    ) -> CompileResult<()> {
        self.future_annotations = symbol_table.future_annotations;
        let future_features = self.future_features;
        self.current_code_info().flags |= future_features;
        if self.future_annotations {
            self.future_features
                .insert(bytecode::CodeFlags::FUTURE_ANNOTATIONS);
            self.current_code_info()
                .flags
                .insert(bytecode::CodeFlags::FUTURE_ANNOTATIONS);
        }
        if symbol_table.is_coroutine {
            self.current_code_info()
                .flags
                .insert(bytecode::CodeFlags::COROUTINE);
        }
        let has_conditional_annotations =
            Self::scope_needs_conditional_annotations_cell(&symbol_table);
        if has_conditional_annotations {
            self.current_code_info()
                .metadata
                .cellvars
                .insert("__conditional_annotations__".to_string());
        }
        self.symbol_table_stack.push(symbol_table);
        let start = self.module_start_location(body);
        self.emit_resume_for_scope(CompilerScope::Module, 1);
        emit!(self, PseudoInstruction::AnnotationsPlaceholder);
        let annotations_used = self.current_symbol_table().annotations_used;
        if has_conditional_annotations {
            self.set_source_range(start);
            emit!(self, Instruction::BuildSet { count: 0 });
            self.store_name(&"__conditional_annotations__".into())?;
        }
        if self.future_annotations && annotations_used {
            self.set_source_range(start);
            emit!(self, Instruction::SetupAnnotations);
        }
        // A text that is all there is, is the value.
        if body.len() > 1
            && let (Some((value, range)), _) = split_doc_with_range(body, &self.opts)
        {
            let saved_range = self.current_source_range;
            self.set_source_range(range);
            self.emit_load_const(ConstantData::Str {
                value: value.into(),
            });
            let doc = self.name("__doc__");
            emit!(self, Instruction::StoreName { namei: doc });
            self.set_no_location();
            self.set_source_range(saved_range);
        }

        if let Some((last_statement, statements)) = body.split_last() {
            self.compile_statements(statements)?;
            match last_statement {
                ast::Stmt::Expr(ast::StmtExpr { value, .. }) => {
                    self.compile_expression(value)?;
                }
                ast::Stmt::FunctionDef(ast::StmtFunctionDef {
                    name,
                    parameters,
                    body,
                    decorator_list,
                    returns,
                    type_params,
                    is_async,
                    ..
                }) => {
                    validate_duplicate_params(parameters).map_err(|e| self.error(e))?;
                    self.compile_function_def(
                        name.id(),
                        parameters,
                        body,
                        decorator_list,
                        returns.as_deref(),
                        *is_async,
                        type_params.as_deref(),
                        true,
                    )?;
                }
                ast::Stmt::ClassDef(ast::StmtClassDef {
                    name,
                    body,
                    decorator_list,
                    type_params,
                    arguments,
                    ..
                }) => {
                    self.compile_class_def(
                        name.id(),
                        body,
                        decorator_list,
                        type_params.as_deref(),
                        arguments.as_deref(),
                        true,
                    )?;
                }
                _ => {
                    self.compile_statement(last_statement)?;
                    self.emit_load_const(ConstantData::None);
                }
            }
        } else {
            self.emit_load_const(ConstantData::None);
        }
        if annotations_used && !self.future_annotations {
            self.compile_module_annotation_setup_sequence(body, start)?;
        }
        self.emit_return_value();

        Ok(())
    }
}
