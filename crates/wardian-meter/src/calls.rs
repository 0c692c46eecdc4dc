//! The call graph, and which functions have to check so that no cycle of calls is without a check.

use std::collections::HashMap;

use anyhow::{Context, Result};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{EdgeRef, NodeFiltered};
use wasmparser::Operator;

use crate::read::Functions;

/// The graph of calls. Nodes are the functions that have a body, by the numbers of their bodies;
/// after them the types by which functions are called through a table.
pub(crate) struct Calls {
    functions: usize,
    graph: DiGraph<(), ()>,
}

/// A node of the call graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Node {
    /// The function with this body.
    Function(usize),
    /// Whatever is called by this type.
    Type(usize),
}

impl Calls {
    /// Every call that `module` makes, whose instructions are `code`.
    pub(crate) fn of(module: &Functions<'_>, code: &[Vec<Operator<'_>>]) -> Result<Self> {
        let functions = module.bodies.len();
        let mut graph = DiGraph::new();
        let nodes: Vec<_> = (0..functions + module.parameters.len())
            .map(|_| graph.add_node(()))
            .collect();
        let node = |at: usize| {
            nodes
                .get(at)
                .copied()
                .context("there is no such function or type")
        };
        for (caller, code) in code.iter().enumerate() {
            for operator in code {
                let called = match operator {
                    Operator::Call { function_index } => module.body_of(*function_index),
                    Operator::CallIndirect { type_index, .. } => {
                        Some(functions + *type_index as usize)
                    }
                    _ => None,
                };
                if let Some(called) = called {
                    graph.update_edge(node(caller)?, node(called)?, ());
                }
            }
        }
        for function in &module.in_tables {
            if let Some(body) = module.body_of(*function) {
                let by = functions + module.type_of(*function)? as usize;
                graph.update_edge(node(by)?, node(body)?, ());
            }
        }
        Ok(Self { functions, graph })
    }

    fn node(&self, index: NodeIndex) -> Node {
        match index.index().checked_sub(self.functions) {
            Some(r#type) => Node::Type(r#type),
            None => Node::Function(index.index()),
        }
    }

    /// The nodes but those that are `checked`, in an order in which who is called comes before the
    /// caller; those that can call each other in one group.
    fn groups(&self, checked: &[bool]) -> Vec<Vec<NodeIndex>> {
        let is_checked = |node: NodeIndex| checked.get(node.index()).copied().unwrap_or_default();
        let unchecked = NodeFiltered::from_fn(&self.graph, |node| !is_checked(node));
        kosaraju_scc(&unchecked)
    }

    fn is_cycle(&self, group: &[NodeIndex]) -> bool {
        match group {
            [node] => self.graph.contains_edge(*node, *node),
            _ => true,
        }
    }

    /// The nodes that are not `checked`, who is called before the caller; `None` if some call each
    /// other in a cycle.
    pub(crate) fn order(&self, checked: &[bool]) -> Option<Vec<Node>> {
        let groups = self.groups(checked);
        let order = groups.iter().map(|group| match group[..] {
            [node] if !self.is_cycle(group) => Some(self.node(node)),
            _ => None,
        });
        order.collect()
    }

    /// Chooses the functions that are to check, so that every cycle has a check in it. Those that
    /// are `checked` have one anyhow; `prices` are those of the functions.
    pub(crate) fn cut(&self, mut checked: Vec<bool>, prices: &[i64]) -> Vec<bool> {
        loop {
            let groups = self.groups(&checked);
            let mut cycles = groups
                .iter()
                .filter(|group| self.is_cycle(group))
                .peekable();
            if cycles.peek().is_none() {
                return checked;
            }
            for cycle in cycles {
                if let Some(most) = self.hub(cycle, prices)
                    && let Some(checked) = checked.get_mut(most)
                {
                    *checked = true;
                }
            }
        }
    }

    /// The function of a cycle through which most ways go, and in which a check adds least.
    fn hub(&self, cycle: &[NodeIndex], prices: &[i64]) -> Option<usize> {
        let mut ways: HashMap<NodeIndex, (u32, u32)> =
            cycle.iter().map(|node| (*node, (0, 0))).collect();
        for from in cycle {
            for edge in self.graph.edges(*from) {
                if let Some((inward, _)) = ways.get_mut(&edge.target()) {
                    *inward += 1;
                    if let Some((_, outward)) = ways.get_mut(from) {
                        *outward += 1;
                    }
                }
            }
        }
        let weight = |node: &NodeIndex| {
            let (inward, outward) = ways.get(node).copied().unwrap_or_default();
            let price = prices.get(node.index()).copied().unwrap_or_default();
            u64::from(inward) * u64::from(outward) * price.clamp(1, 1_000).unsigned_abs()
        };
        cycle
            .iter()
            .filter(|node| node.index() < self.functions)
            .max_by_key(|node| weight(node))
            .map(|node| node.index())
    }
}
