//! Rewrites a module with checks in it.

use std::collections::VecDeque;

use anyhow::{Context, Result, anyhow, ensure};
use wardian_abi::fuel;
use wasm_encoder::reencode::{self, Reencode, utils};
use wasm_encoder::{
    BlockType, BranchHint, BranchHints, CodeSection, ConstExpr, EntityType, ExportKind,
    ExportSection, Function, GlobalSection, GlobalType, ImportSection, Module, SectionId,
    TypeSection, ValType,
};
use wasmparser::{FunctionBody, Operator, Parser};

use crate::SHORT_COPY;
use crate::calls::{Calls, Node};
use crate::cost::{Cost, Costs};
use crate::read::Functions;

/// The longest path through a function without a check, of instructions: who calls it pays for all
/// of it, whichever path it takes.
const MOST_UNCHECKED: f64 = 300.0;

/// A module that counts its fuel.
pub struct Metered {
    /// The module.
    pub module: Vec<u8>,
    /// The count of functions.
    pub functions: usize,
    /// The count of those that check at their start.
    pub checked: usize,
    /// The count of loops, each with a check.
    pub loops: usize,
}

/// Rewrites `wasm` so that it counts its fuel.
///
/// Of the result, [`wardian_abi::fuel`] says what it imports and exports besides.
///
/// # Errors
///
/// If it is no module, or has instructions that are not known here.
pub fn meter(wasm: &[u8]) -> Result<Metered> {
    let module = Functions::read(wasm)?;
    let code = module.code()?;
    let calls = Calls::of(&module, &code)?;

    // What a function costs without those that it calls is enough to know where checks are cheap.
    let alone = |code: &Vec<Operator<'_>>| Costs::of(code, |_| None);
    let alone: Vec<_> = code.iter().map(alone).collect::<Result<_>>()?;
    let traps = alone.iter().map(|costs| !costs.entry.usual).collect();
    let prices: Vec<_> = alone.iter().map(|costs| costs.entry.price()).collect();
    let mut checked = calls.cut(traps, &prices);
    let costs = costs(&module, &code, &calls, &mut checked)?;

    Ok(Metered {
        module: rewrite(wasm, &module, &code, &costs, &checked)?,
        functions: module.bodies.len(),
        checked: checked.iter().filter(|checked| **checked).count(),
        loops: costs.iter().map(|costs| costs.loops.len()).sum(),
    })
}

/// Computes the costs of functions, with those that they call and that have no check. One that
/// would cost more than
/// [`MOST_UNCHECKED`] is given one.
fn costs(
    module: &Functions<'_>,
    code: &[Vec<Operator<'_>>],
    calls: &Calls,
    checked: &mut [bool],
) -> Result<Vec<Costs>> {
    let mut of_functions = vec![Cost::DONE; code.len()];
    let mut of_types = vec![Cost::DONE; module.parameters.len()];
    let mut costs: Vec<Option<Costs>> = code.iter().map(|_| None).collect();
    let order = calls
        .order(checked)
        .context("no cycle is without a check")?;
    let rest = (0..code.len()).filter(|body| checked.get(*body) == Some(&true));
    let rest: Vec<_> = rest.map(Node::Function).collect();
    for node in order.into_iter().chain(rest) {
        match node {
            Node::Function(body) => {
                let called = |operator: &Operator<'_>| match operator {
                    Operator::Call { function_index } => {
                        of_functions.get(module.body_of(*function_index)?).copied()
                    }
                    Operator::CallIndirect { type_index, .. } => {
                        of_types.get(*type_index as usize).copied()
                    }
                    _ => None,
                };
                let code = code.get(body).context("every body has code")?;
                let found = Costs::of(code, called)?;
                if let (Some(checked), Some(cost)) =
                    (checked.get_mut(body), of_functions.get_mut(body))
                {
                    *checked |= found.entry.longest > MOST_UNCHECKED;
                    // Who has a check pays for itself.
                    if !*checked {
                        *cost = found.entry;
                    }
                }
                if let Some(costs) = costs.get_mut(body) {
                    *costs = Some(found);
                }
            }
            Node::Type(r#type) => {
                let mut ways = Vec::new();
                for function in &module.in_tables {
                    if module.type_of(*function)? as usize == r#type
                        && let Some(body) = module.body_of(*function)
                    {
                        ways.extend(of_functions.get(body));
                    }
                }
                if let Some(cost) = of_types.get_mut(r#type) {
                    *cost = Cost::one_of(&ways);
                }
            }
        }
    }
    costs
        .into_iter()
        .map(|costs| costs.context("every function is in the order"))
        .collect()
}

fn rewrite(
    wasm: &[u8],
    module: &Functions<'_>,
    code: &[Vec<Operator<'_>>],
    costs: &[Costs],
    checked: &[bool],
) -> Result<Vec<u8>> {
    let mut rewriter = Rewriter {
        imported: module.imported as u32,
        r#type: module.parameters.len() as u32,
        fuel: module.globals,
        functions: VecDeque::new(),
        hints: BranchHints::new(),
    };
    for (body, ((code, costs), checked)) in code.iter().zip(costs).zip(checked).enumerate() {
        let locals = module
            .bodies
            .get(body)
            .context("every function has a body")?;
        let parameters = module.parameters_of(body)?;
        let price = checked.then(|| costs.entry.price());
        let (function, hints) = rewriter.function(locals, parameters, code, price, costs)?;
        if !hints.is_empty() {
            let index = rewriter.imported + 1 + body as u32;
            rewriter.hints.function_hints(index, hints);
        }
        rewriter.functions.push_back(function);
    }
    let mut written = Module::default();
    rewriter
        .parse_core_module(&mut written, Parser::new(0), wasm)
        .map_err(failed)?;
    ensure!(rewriter.functions.is_empty(), "every function is written");
    Ok(written.finish())
}

fn failed(error: reencode::Error) -> anyhow::Error {
    anyhow!("cannot rewrite the module: {error}")
}

/// Writes a module anew, one function more imported, one global more.
struct Rewriter {
    imported: u32,
    /// The type of the function that is called for more fuel.
    r#type: u32,
    /// The global that holds the fuel.
    fuel: u32,
    /// Functions that were written ahead of their section, for the hints on branches that come
    /// before it.
    functions: VecDeque<Function>,
    hints: BranchHints,
}

impl Rewriter {
    fn function(
        &mut self,
        body: &FunctionBody<'_>,
        parameters: u32,
        code: &[Operator<'_>],
        price: Option<i64>,
        costs: &Costs,
    ) -> Result<(Function, Vec<BranchHint>)> {
        let mut locals = Vec::new();
        let mut length = parameters;
        for group in body.get_locals_reader()? {
            let (count, r#type) = group?;
            length += count;
            locals.push((count, self.val_type(r#type).map_err(failed)?));
        }
        if has_long_copies(code) {
            locals.push((1, ValType::I32));
        }
        let mut function = Function::new(locals);
        let mut hints = Vec::new();
        if let Some(price) = price {
            self.check(&mut function, price, &mut hints);
        }
        let mut turns = costs.loops.iter();
        let mut before = None;
        for operator in code {
            if is_long_copy(before, operator) {
                self.pay_for_bytes(&mut function, length);
            }
            function.instruction(&self.instruction(operator.clone()).map_err(failed)?);
            if let Operator::Loop { .. } = operator {
                let turn = turns.next().context("every loop has a cost")?;
                self.check(&mut function, turn.price(), &mut hints);
            }
            before = Some(operator);
        }
        Ok((function, hints))
    }

    /// Takes `price` off the fuel, and asks for more where that was too much.
    fn check(&self, function: &mut Function, price: i64, hints: &mut Vec<BranchHint>) {
        let fuel = self.fuel;
        function
            .instructions()
            .global_get(fuel)
            .i64_const(price)
            .i64_sub()
            .global_set(fuel)
            .global_get(fuel)
            .i64_const(0)
            .i64_lt_s();
        hints.push(BranchHint {
            branch_func_offset: function.byte_len() as u32,
            branch_hint_value: 0,
        });
        function
            .instructions()
            .if_(BlockType::Empty)
            .call(self.imported)
            .end();
    }

    /// Takes as much off the fuel as there are bytes to be copied or filled, which is what lies on
    /// the stack.
    fn pay_for_bytes(&self, function: &mut Function, length: u32) {
        function
            .instructions()
            .local_set(length)
            .global_get(self.fuel)
            .local_get(length)
            .i64_extend_i32_u()
            .i64_sub()
            .global_set(self.fuel)
            .local_get(length);
    }
}

/// Does this copy or fill memory, and not of a length that is short for certain?
fn is_long_copy(before: Option<&Operator<'_>>, operator: &Operator<'_>) -> bool {
    let copies = matches!(
        operator,
        Operator::MemoryCopy { .. } | Operator::MemoryFill { .. }
    );
    let short =
        matches!(before, Some(Operator::I32Const { value }) if (0..=SHORT_COPY).contains(value));
    copies && !short
}

fn has_long_copies(code: &[Operator<'_>]) -> bool {
    let before = std::iter::once(None).chain(code.iter().map(Some));
    before
        .zip(code)
        .any(|(before, operator)| is_long_copy(before, operator))
}

impl Reencode for Rewriter {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, reencode::Error> {
        Ok(function + u32::from(function >= self.imported))
    }

    fn parse_type_section(
        &mut self,
        types: &mut TypeSection,
        section: wasmparser::TypeSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_type_section(self, types, section)?;
        types.ty().function([], []);
        Ok(())
    }

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_import_section(self, imports, section)?;
        imports.import(
            fuel::MODULE,
            fuel::FUNCTION,
            EntityType::Function(self.r#type),
        );
        Ok(())
    }

    fn parse_global_section(
        &mut self,
        globals: &mut GlobalSection,
        section: wasmparser::GlobalSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_global_section(self, globals, section)?;
        let fuel = GlobalType {
            val_type: ValType::I64,
            mutable: true,
            shared: false,
        };
        globals.global(fuel, &ConstExpr::i64_const(0));
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: wasmparser::ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        utils::parse_export_section(self, exports, section)?;
        exports.export(fuel::EXPORT, ExportKind::Global, self.fuel);
        Ok(())
    }

    fn intersperse_section_hook(
        &mut self,
        module: &mut Module,
        _after: Option<SectionId>,
        before: Option<SectionId>,
    ) -> Result<(), reencode::Error> {
        if before == Some(SectionId::Code) {
            module.section(&self.hints);
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        _body: FunctionBody<'_>,
    ) -> Result<(), reencode::Error> {
        let written = self.functions.pop_front();
        code.function(&written.ok_or(reencode::Error::InvalidCodeSectionSize)?);
        Ok(())
    }
}
