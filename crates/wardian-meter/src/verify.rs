//! Reads a metered module and finds what is not metered.

use anyhow::{Context, Result, bail, ensure};
use wardian_abi::fuel;
use wasmparser::{BlockType, Operator};

use crate::SHORT_COPY;
use crate::calls::Calls;
use crate::read::Functions;

/// Makes sure that a module is metered: that each of its loops and each cycle of calls has a check,
/// that copies and fills are paid for, and that nothing else touches the fuel.
///
/// # Errors
///
/// If it is not, saying where.
pub fn verify(wasm: &[u8]) -> Result<()> {
    let module = Functions::read(wasm)?;
    let ask = module
        .imports
        .iter()
        .position(|import| *import == (fuel::MODULE, fuel::FUNCTION))
        .context("the module does not import what gives it fuel")?;
    let fuel = module
        .exported_globals
        .iter()
        .find(|(name, _)| *name == fuel::EXPORT)
        .context("the module does not export its fuel")?;
    let names = CheckImports {
        ask: u32::try_from(ask)?,
        fuel: fuel.1,
    };
    let code = module.code()?;
    for (body, code) in code.iter().enumerate() {
        names
            .loops_and_copies(code)
            .with_context(|| format!("function {}", module.index(body)))?;
    }
    let checked: Vec<_> = code.iter().map(|code| names.is_check(code)).collect();
    let calls = Calls::of(&module, &code)?;
    ensure!(
        calls.order(&checked).is_some(),
        "functions without a check call each other in a cycle"
    );
    Ok(())
}

/// The names that a check refers to.
struct CheckImports {
    /// The function that gives fuel.
    ask: u32,
    /// The global that holds it.
    fuel: u32,
}

impl CheckImports {
    /// Does `code` start with a check?
    fn is_check(&self, code: &[Operator<'_>]) -> bool {
        use Operator::{Call, End, GlobalGet, GlobalSet, I64Const, I64LtS, I64Sub, If};
        matches!(
            code,
            [
                GlobalGet { global_index: read },
                I64Const { value: 1.. },
                I64Sub,
                GlobalSet { global_index: written },
                GlobalGet { global_index: again },
                I64Const { value: 0 },
                I64LtS,
                If { blockty: BlockType::Empty },
                Call { function_index },
                End,
                ..
            ] if [read, written, again].iter().all(|global| **global == self.fuel) && *function_index == self.ask
        )
    }

    /// Does `code` start with a payment for the bytes of a copy or a fill, and the same?
    fn is_paid_copy(&self, code: &[Operator<'_>]) -> bool {
        use Operator::{
            GlobalGet, GlobalSet, I64ExtendI32U, I64Sub, LocalGet, LocalSet, MemoryCopy, MemoryFill,
        };
        matches!(
            code,
            [
                LocalSet { local_index: bytes },
                GlobalGet { global_index: read },
                LocalGet { local_index: paid },
                I64ExtendI32U,
                I64Sub,
                GlobalSet { global_index: written },
                LocalGet { local_index: used },
                MemoryCopy { .. } | MemoryFill { .. },
                ..
            ] if [read, written].iter().all(|global| **global == self.fuel) && bytes == paid && bytes == used
        )
    }

    fn loops_and_copies(&self, code: &[Operator<'_>]) -> Result<()> {
        // How many of the next instructions were found to be in order.
        let mut known = 0;
        let rest = |at| code.get(at..).unwrap_or_default();
        for (at, operator) in code.iter().enumerate() {
            if known > 0 {
                known -= 1;
                continue;
            }
            let rest = rest(at);
            if self.is_check(rest) {
                known = CHECK - 1;
            } else if self.is_paid_copy(rest) {
                known = PAID_COPY - 1;
            } else {
                self.is_harmless(operator, rest.get(1..).unwrap_or_default())?;
                known = usize::from(is_short_copy(rest));
            }
        }
        Ok(())
    }

    fn is_harmless(&self, operator: &Operator<'_>, after: &[Operator<'_>]) -> Result<()> {
        match operator {
            Operator::Loop { .. } if !self.is_check(after) => bail!("a loop has no check"),
            Operator::MemoryCopy { .. } | Operator::MemoryFill { .. } => {
                bail!("bytes are copied or filled that are not paid for")
            }
            Operator::GlobalGet { global_index } | Operator::GlobalSet { global_index }
                if *global_index == self.fuel =>
            {
                bail!("fuel is touched outside of a check")
            }
            Operator::Call { function_index } if *function_index == self.ask => {
                bail!("fuel is asked for outside of a check")
            }
            _ => Ok(()),
        }
    }
}

/// The count of instructions of a check.
const CHECK: usize = 10;

/// The count of instructions of a payment for bytes, with what it pays for.
const PAID_COPY: usize = 8;

fn is_short_copy(code: &[Operator<'_>]) -> bool {
    match code {
        [
            Operator::I32Const { value },
            Operator::MemoryCopy { .. } | Operator::MemoryFill { .. },
            ..,
        ] => (0..=SHORT_COPY).contains(value),
        _ => false,
    }
}
