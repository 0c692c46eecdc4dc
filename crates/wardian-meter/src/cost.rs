//! Costs of the code from one check to the next.

use anyhow::{Context, Result, ensure};
use wasmparser::Operator;

/// The most instructions on any path for one unit of fuel that is taken off for it.
pub const MOST_PER_FUEL: u32 = 16;

/// The cost of a stretch of code, of instructions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    /// The cost on average, if of its usual ways each is as likely as the others.
    mean: f64,
    /// Its longest path.
    pub(crate) longest: f64,
    /// Set if it is a usual way to go: one that comes to a trap is not, nor, for a turn of a loop,
    /// one that leaves the loop.
    pub(crate) usual: bool,
}

impl Cost {
    /// Nothing comes after.
    pub(crate) const DONE: Self = Self {
        mean: 0.0,
        longest: 0.0,
        usual: true,
    };
    /// Nothing comes after, and it hardly ever comes to this.
    const UNUSUAL: Self = Self {
        usual: false,
        ..Self::DONE
    };

    /// One of several ways: the mean of those that are usual, or of all if none is.
    pub(crate) fn one_of(ways: &[Self]) -> Self {
        let usual = ways.iter().any(|way| way.usual);
        let counted = ways.iter().filter(|way| way.usual == usual);
        let (sum, count) = counted.fold((0.0, 0.0), |(sum, count), way| {
            (sum + way.mean, count + 1.0)
        });
        Self {
            mean: sum / f64::max(count, 1.0),
            longest: ways.iter().map(|way| way.longest).fold(0.0, f64::max),
            usual,
        }
    }

    /// One instruction, what it `calls`, and then this.
    fn after(self, calls: Self) -> Self {
        Self {
            mean: self.mean + 1.0 + calls.mean,
            longest: self.longest + 1.0 + calls.longest,
            usual: self.usual,
        }
    }

    /// Returns the amount that is taken off for it.
    pub(crate) fn price(self) -> i64 {
        let least = self.longest / f64::from(MOST_PER_FUEL);
        (self.mean.max(least).ceil() as i64).max(1)
    }
}

/// The costs of a function: what is outside of its loops, and one turn of each of them without
/// those inside it, in the order of their headers.
pub(crate) struct Costs {
    pub(crate) entry: Cost,
    pub(crate) loops: Vec<Cost>,
}

/// Something that has an end in the code.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Function,
    Block,
    If,
    Loop,
}

/// A target of branches, seen from behind.
struct Label {
    kind: Kind,
    /// The cost of the code after its end.
    after: Cost,
    /// Of an `if`, its other branch; of a loop, what comes after it where it is left.
    other: Option<Cost>,
}

/// Goes through a function from its end to its start.
struct Backwards {
    labels: Vec<Label>,
    /// The labels that are loops.
    loops: Vec<usize>,
    here: Cost,
}

impl Costs {
    /// Costs of the function whose code is `operators`; `called` says what calls cost.
    pub(crate) fn of(
        operators: &[Operator<'_>],
        called: impl Fn(&Operator<'_>) -> Option<Cost>,
    ) -> Result<Self> {
        let mut ends = ends(operators)?;
        let mut walk = Backwards {
            labels: Vec::new(),
            loops: Vec::new(),
            here: Cost::UNUSUAL,
        };
        let mut loops = Vec::new();
        for operator in operators.iter().rev() {
            match operator {
                Operator::End => walk.enter(ends.pop().context("ends match")?),
                Operator::Loop { .. } => loops.push(walk.leave_loop()?),
                Operator::Block { .. } => _ = walk.leave()?,
                Operator::Else => {
                    let label = walk.labels.last_mut().context("an else is in an if")?;
                    label.other = Some(walk.here);
                    walk.here = label.after;
                }
                Operator::If { .. } => {
                    let label = walk.leave()?;
                    let other = label.other.unwrap_or(label.after);
                    walk.here = Cost::one_of(&[walk.here, other]).after(Cost::DONE);
                }
                Operator::Br { relative_depth } => {
                    walk.here = walk.target(*relative_depth)?.after(Cost::DONE);
                }
                Operator::BrIf { relative_depth } => {
                    let target = walk.target(*relative_depth)?;
                    walk.here = Cost::one_of(&[walk.here, target]).after(Cost::DONE);
                }
                Operator::BrTable { targets } => {
                    let mut all = Vec::new();
                    for depth in targets.targets() {
                        all.push(walk.target(depth?)?);
                    }
                    all.push(walk.target(targets.default())?);
                    walk.here = Cost::one_of(&all).after(Cost::DONE);
                }
                Operator::Return => walk.here = Cost::DONE,
                Operator::Unreachable => walk.here = Cost::UNUSUAL,
                Operator::Nop | Operator::Drop => {}
                _ => walk.here = walk.here.after(called(operator).unwrap_or(Cost::DONE)),
            }
        }
        ensure!(walk.labels.len() == 1, "a function has one end");
        loops.reverse();
        Ok(Self {
            entry: walk.here,
            loops,
        })
    }
}

impl Backwards {
    fn enter(&mut self, kind: Kind) {
        if kind == Kind::Function {
            self.here = Cost::DONE;
        }
        if kind == Kind::Loop {
            self.loops.push(self.labels.len());
        }
        self.labels.push(Label {
            kind,
            after: self.here,
            other: None,
        });
        if kind == Kind::Loop {
            self.here = Cost::UNUSUAL;
        }
    }

    fn leave(&mut self) -> Result<Label> {
        self.labels.pop().context("what ends has a start")
    }

    /// Comes to the header of a loop: what a turn of it costs.
    fn leave_loop(&mut self) -> Result<Cost> {
        let label = self.leave()?;
        ensure!(label.kind == Kind::Loop, "loops are nested");
        self.loops.pop();
        let turn = self.here;
        self.here = match label.other {
            Some(elsewhere) => Cost::one_of(&[label.after, elsewhere]),
            None => label.after,
        };
        Ok(turn)
    }

    /// Returns the cost of what comes after a branch.
    fn target(&mut self, depth: u32) -> Result<Cost> {
        let label = self.labels.len().checked_sub(1 + depth as usize);
        self.target_within(label.context("a branch has a target")?, self.loops.len())
    }

    /// Returns the cost of what comes after a branch to a label, as code sees it that lies in the
    /// first so many of the loops around it.
    fn target_within(&mut self, label: usize, loops: usize) -> Result<Cost> {
        let around = loops
            .checked_sub(1)
            .and_then(|last| self.loops.get(last).copied().map(|at| (at, last)));
        match around {
            // The next turn is paid for by its own check.
            Some((at, _)) if at == label => Ok(Cost::DONE),
            // The loop is left, and who is around it goes on there.
            Some((at, last)) if label < at => {
                let outside = self.target_within(label, last)?;
                let left = self.labels.get_mut(at).context("a loop has a label")?;
                left.other = Some(match left.other {
                    Some(other) => Cost::one_of(&[other, outside]),
                    None => outside,
                });
                Ok(Cost::UNUSUAL)
            }
            _ => {
                let label = self.labels.get(label).context("a branch has a target")?;
                Ok(label.after)
            }
        }
    }
}

/// Lists what each `end` ends, in their order.
fn ends(operators: &[Operator<'_>]) -> Result<Vec<Kind>> {
    let mut open = vec![Kind::Function];
    let mut ends = Vec::new();
    for operator in operators {
        match operator {
            Operator::Block { .. } => open.push(Kind::Block),
            Operator::If { .. } => open.push(Kind::If),
            Operator::Loop { .. } => open.push(Kind::Loop),
            Operator::End => ends.push(open.pop().context("what ends has a start")?),
            _ => {}
        }
    }
    Ok(ends)
}
