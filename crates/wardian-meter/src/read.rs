//! A module as metering sees it: which function is of which type, which calls which.

use anyhow::{Context, Result, bail};
use wasmparser::{ElementItems, ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};

/// A module's functions and who may call them through a table.
pub(crate) struct Functions<'a> {
    /// The type of each function, by its index. Those that are imported come first.
    pub(crate) types: Vec<u32>,
    /// The count of parameters of functions of each type.
    pub(crate) parameters: Vec<u32>,
    pub(crate) imported: usize,
    /// The bodies of the others.
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    /// Functions that stand in a table, or could be put into one: in the order of their indices,
    /// each once.
    pub(crate) in_tables: Vec<u32>,
    /// The count of globals.
    pub(crate) globals: u32,
    /// The exported globals, by name.
    pub(crate) exported_globals: Vec<(&'a str, u32)>,
    /// The imported functions by module and name.
    pub(crate) imports: Vec<(&'a str, &'a str)>,
}

impl<'a> Functions<'a> {
    pub(crate) fn read(wasm: &'a [u8]) -> Result<Self> {
        let mut found = Self {
            types: Vec::new(),
            parameters: Vec::new(),
            imported: 0,
            bodies: Vec::new(),
            in_tables: Vec::new(),
            globals: 0,
            exported_globals: Vec::new(),
            imports: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(types) => {
                    for r#type in types.into_iter_err_on_gc_types() {
                        found.parameters.push(r#type?.params().len().try_into()?);
                    }
                }
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        let TypeRef::Func(r#type) = import.ty else {
                            bail!("{}.{} is no function", import.module, import.name);
                        };
                        found.types.push(r#type);
                        found.imports.push((import.module, import.name));
                    }
                    found.imported = found.types.len();
                }
                Payload::FunctionSection(functions) => {
                    for r#type in functions {
                        found.types.push(r#type?);
                    }
                }
                Payload::GlobalSection(globals) => found.globals = globals.count(),
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        if export.kind == ExternalKind::Global {
                            found.exported_globals.push((export.name, export.index));
                        }
                    }
                }
                Payload::ElementSection(elements) => {
                    for element in elements {
                        let ElementItems::Functions(functions) = element?.items else {
                            bail!("a table holds other things than functions");
                        };
                        for function in functions {
                            found.in_tables.push(function?);
                        }
                    }
                }
                Payload::CodeSectionEntry(body) => found.bodies.push(body),
                _ => {}
            }
        }
        found.in_tables.sort_unstable();
        found.in_tables.dedup();
        Ok(found)
    }

    /// The instructions of each body.
    ///
    /// # Errors
    ///
    /// If there are some that are not known here.
    pub(crate) fn code(&self) -> Result<Vec<Vec<Operator<'a>>>> {
        let operators = |body: &FunctionBody<'a>| {
            let operators: Vec<_> = body
                .get_operators_reader()?
                .into_iter()
                .collect::<Result<_, _>>()?;
            operators.iter().try_for_each(is_known)?;
            Ok(operators)
        };
        self.bodies.iter().map(operators).collect()
    }

    /// The function whose body is the `i`th, as others call it.
    pub(crate) fn index(&self, i: usize) -> u32 {
        (self.imported + i) as u32
    }

    /// Returns the body of `function`, unless it is imported.
    pub(crate) fn body_of(&self, function: u32) -> Option<usize> {
        (function as usize).checked_sub(self.imported)
    }

    pub(crate) fn type_of(&self, function: u32) -> Result<u32> {
        self.types
            .get(function as usize)
            .copied()
            .with_context(|| format!("there is no function {function}"))
    }

    /// Counts the parameters of the function of body `i`.
    pub(crate) fn parameters_of(&self, i: usize) -> Result<u32> {
        let r#type = self.type_of(self.index(i))?;
        let parameters = self.parameters.get(r#type as usize).copied();
        parameters.with_context(|| format!("there is no type {type}"))
    }
}

/// Refuses what would call functions in a way that is not looked at, or hand them around.
fn is_known(operator: &Operator<'_>) -> Result<()> {
    match operator {
        Operator::ReturnCall { .. }
        | Operator::ReturnCallIndirect { .. }
        | Operator::ReturnCallRef { .. }
        | Operator::CallRef { .. }
        | Operator::RefFunc { .. }
        | Operator::TableSet { .. }
        | Operator::TableCopy { .. }
        | Operator::TableInit { .. }
        | Operator::TableFill { .. }
        | Operator::TableGrow { .. }
        | Operator::MemoryInit { .. }
        | Operator::Try { .. }
        | Operator::TryTable { .. }
        | Operator::Throw { .. }
        | Operator::Rethrow { .. }
        | Operator::ThrowRef => bail!("{operator:?} is not metered"),
        _ => Ok(()),
    }
}
