//! Paths of ranges: the names from the outermost range of a thread to their own, each path once.
//!
//! Counters in names would make a row of every instance, so they are left out: `seq = 12` and `op_id = 34`, which PyTorch
//! writes behind each operator, the number of a step (`ProfilerStep#12`, `train_iteration_3`), and what an annotated step
//! held, except for zeros, which tell prefill from decode (`execute_context_0(0)_generation_3(3)`).

use std::collections::HashMap;

use polars::prelude::PlHashMap;

use super::instances::Instances;
use crate::model::{Model, Names};
use crate::steps::{self, Style};

/// Levels that a path shows; above them it begins with dots.
const SHOWN: usize = 16;

/// What stands before a counter of PyTorch's operator ranges.
const COUNTERS: &[&str] = &[", seq = ", ", op_id = "];

/// The name without its counters.
pub(crate) fn label(name: &str) -> String {
    match steps::style(name) {
        Some(Style::Annotation) => starred(name, |number| number.bytes().any(|digit| digit != b'0')),
        Some(Style::Profiler | Style::Iteration) => starred(name, |_| true),
        None => uncounted(name),
    }
}

/// The text with a star for each number that is chosen.
fn starred(text: &str, chosen: impl Fn(&str) -> bool) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let (before, from) = rest.split_at(at);
        let end = from.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(from.len());
        out.push_str(before);
        out.push_str(if chosen(&from[..end]) { "*" } else { &from[..end] });
        rest = &from[end..];
    }
    out + rest
}

/// The text with a star for each number behind one of [`COUNTERS`].
fn uncounted(text: &str) -> String {
    let mut text = text.to_owned();
    for counter in COUNTERS {
        let Some(at) = text.find(counter).map(|at| at + counter.len()) else { continue };
        let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            text.replace_range(at..at + digits, "*");
        }
    }
    text
}

/// A name inside a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Node {
    rank: i64,
    above: Option<u32>,
    label: u32,
}

/// Every path once, by number.
#[derive(Debug, Default)]
pub(super) struct Paths {
    nodes: Numbers<Node>,
    texts: Names,
    /// Labels of the model's names.
    labels: HashMap<u32, u32>,
}

impl Paths {
    /// The path of a range under another path; of none at the top.
    pub(super) fn number(&mut self, model: &Model, rank: i64, above: Option<u32>, name: u32) -> u32 {
        let texts = &mut self.texts;
        let label = *self.labels.entry(name).or_insert_with(|| texts.intern(&label(model.names.text(name))));
        self.nodes.number(Node { rank, above, label })
    }

    /// The path of each projected range. A parent may stand behind its children, so each climbs to the first ancestor that
    /// is known; every range is climbed over once.
    pub(super) fn of_instances(&mut self, model: &Model, instances: &Instances) -> Vec<u32> {
        const UNKNOWN: u32 = u32::MAX;
        let mut paths = vec![UNKNOWN; instances.projected.len()];
        let mut climbed = Vec::new();
        for at in 0..paths.len() {
            let mut next = Some(at as u32);
            while let Some(place) = next.filter(|place| paths[*place as usize] == UNKNOWN) {
                climbed.push(place);
                next = instances.projected[place as usize].parent;
            }
            let mut above = next.map(|place| paths[place as usize]);
            while let Some(place) = climbed.pop() {
                let range = &model.ranges[instances.range[place as usize] as usize];
                let path = self.number(model, range.rank, above, range.name);
                paths[place as usize] = path;
                above = Some(path);
            }
        }
        paths
    }

    pub(super) fn rank(&self, path: u32) -> i64 {
        self.nodes.all[path as usize].rank
    }

    /// Its last name.
    pub(super) fn name(&self, path: u32) -> &str {
        self.texts.text(self.nodes.all[path as usize].label)
    }

    /// Its names from the outermost one, the innermost [`SHOWN`] of them.
    pub(super) fn text(&self, path: u32) -> String {
        let (mut names, mut next) = (Vec::new(), Some(path));
        while let Some(path) = next {
            if names.len() == SHOWN {
                names.push("...");
                break;
            }
            names.push(self.name(path));
            next = self.nodes.all[path as usize].above;
        }
        names.reverse();
        names.join(" > ")
    }
}

/// Numbers for distinct values, in the order in which they are first seen.
#[derive(Debug)]
pub(super) struct Numbers<T> {
    /// With a faster hash than the standard one: there may be millions.
    of: PlHashMap<T, u32>,
    pub(super) all: Vec<T>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self { of: PlHashMap::default(), all: Vec::new() }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Numbers<T> {
    pub(super) fn number(&mut self, value: T) -> u32 {
        *self.of.entry(value).or_insert_with(|| {
            self.all.push(value);
            self.all.len() as u32 - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_left_out_of_names_and_what_tells_ranges_apart_is_not() {
        let told = [
            (
                "aten::add, seq = 12, op_id = 1000001, sizes = [[8, 2]]",
                "aten::add, seq = *, op_id = *, sizes = [[8, 2]]",
            ),
            ("aten::add, op_id = ", "aten::add, op_id = "),
            ("ProfilerStep#12", "ProfilerStep#*"),
            ("train_iteration_3", "train_iteration_*"),
            ("layer 12", "layer 12"),
            ("execute_context_0(0)_generation_3(3)", "execute_context_0(0)_generation_*(*)"),
            ("step[DECODE bs=64]", "step[DECODE bs=*]"),
            ("", ""),
        ];
        for (name, expected) in told {
            assert_eq!(label(name), expected);
        }
    }
}
