//! Windows: the time that a number is about.
//!
//! The default of a built-in target is its measured blocks (ranges `block` of the domain `proftool`): what is counted in
//! nanoseconds is computed in each and summed. Any other trace has one window, from the first start to the last end of
//! the device's kernel, copy, set and graph rows.

use crate::model::{DeviceKey, Model};
use crate::operators::{Span, union};

/// Which windows a result is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// All measured blocks together, or the whole trace.
    #[default]
    Default,
    /// The ranges of that name together.
    Named(String),
    /// Each window of the default set by itself.
    Each,
}

impl Window {
    /// What `--window` means: `each`, the name of a range, or nothing.
    pub fn parse(text: Option<&str>) -> Self {
        match text {
            None => Self::Default,
            Some("each") => Self::Each,
            Some(name) => Self::Named(name.to_owned()),
        }
    }
}

/// Windows that one result row is about: disjoint and sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowSet {
    /// The name in the column `window`.
    pub name: String,
    /// The windows.
    pub spans: Vec<Span>,
}

/// Whose extent bounds the window of a trace without blocks.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// One device.
    Device(DeviceKey),
    /// All devices together.
    All,
}

/// The window sets to report, one result row each; `None` when no finished range has the name.
pub fn sets(model: &Model, window: &Window, scope: Scope) -> Option<Vec<WindowSet>> {
    let set = |name: &str, spans| WindowSet { name: name.to_owned(), spans };
    match window {
        Window::Named(name) => Some(vec![set(name, named(model, name, scope)?)]),
        Window::Default => Some(match blocks(model, scope) {
            spans if spans.is_empty() => vec![set("trace", extent(model, scope).into_iter().collect())],
            spans => vec![set("blocks", spans)],
        }),
        Window::Each => Some(match blocks(model, scope) {
            spans if spans.is_empty() => vec![set("trace", extent(model, scope).into_iter().collect())],
            spans => spans.iter().enumerate().map(|(at, span)| set(&format!("block {at}"), vec![*span])).collect(),
        }),
    }
}

/// The measured blocks, in order; empty when the trace has none.
pub fn blocks(model: &Model, scope: Scope) -> Vec<Span> {
    let Some(domain) = model.names.find("proftool") else { return Vec::new() };
    let ranges = || model.ranges.iter().filter(|range| range.domain == Some(domain));
    let block = || ranges().filter(|range| is_block(model.names.text(range.name)));
    let rank = match scope {
        Scope::Device((rank, _)) => Some(rank),
        // One clock is shared by all ranks of a pass; the first rank that marks blocks speaks for them.
        Scope::All => block().map(|range| range.rank).min(),
    };
    let spans: Vec<Span> = block().filter(|range| Some(range.rank) == rank).map(|range| range.span).collect();
    disjoint(spans)
}

fn is_block(name: &str) -> bool {
    name == "block" || name.strip_prefix("block").is_some_and(|rest| rest.starts_with([' ', ':', '/', '_', '-']))
}

/// Blocks that touch stay apart, each with its own fill and drain; blocks that overlap (damaged data) merge.
fn disjoint(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|(start, end)| start < end);
    spans.sort_unstable();
    if spans.windows(2).any(|pair| pair[1].0 < pair[0].1) { union(&spans) } else { spans }
}

fn named(model: &Model, name: &str, scope: Scope) -> Option<Vec<Span>> {
    let number = model.names.find(name)?;
    let of_scope = |rank| matches!(scope, Scope::All) || matches!(scope, Scope::Device((own, _)) if own == rank);
    let found: Vec<_> = model.ranges.iter().filter(|range| range.name == number).collect();
    if found.is_empty() {
        return None;
    }
    let spans = found.iter().filter(|range| of_scope(range.rank)).map(|range| range.span);
    Some(union(&spans.collect::<Vec<_>>()))
}

/// How many names a message lists.
const LISTED: usize = 12;

/// What to name instead of a range that does not exist.
pub(crate) fn known_names(model: &Model) -> String {
    let mut names: Vec<&str> = model.ranges.iter().map(|range| model.names.text(range.name)).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [] => "the trace has no ranges; leave --window out".to_owned(),
        names if names.len() <= LISTED => format!("choose each, or one of: {}", names.join(", ")),
        names => {
            let more = names.len() - LISTED;
            format!("choose each, or one of: {} ... and {more} more", names[..LISTED].join(", "))
        }
    }
}

fn extent(model: &Model, scope: Scope) -> Option<Span> {
    match scope {
        Scope::Device(key) => model.extents().get(&key).copied(),
        Scope::All => model.extents().values().copied().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::metrics::Input;

    fn two_blocks() -> Model {
        Fixture::new().kernel(0, 0, (5, 95)).block((0, 40)).block((50, 100)).range("warm", (0, 20)).model()
    }

    #[test]
    fn blocks_are_the_default_and_each_takes_them_one_by_one() {
        let model = two_blocks();
        let default = sets(&model, &Window::Default, Scope::Device((0, 0))).unwrap();
        assert_eq!(default, [WindowSet { name: "blocks".into(), spans: vec![(0, 40), (50, 100)] }]);
        let each = sets(&model, &Window::Each, Scope::All).unwrap();
        assert_eq!(each.iter().map(|set| set.name.as_str()).collect::<Vec<_>>(), ["block 0", "block 1"]);
    }

    #[test]
    fn a_trace_without_blocks_spans_its_own_work() {
        let model = Fixture::new().kernel(0, 0, (5, 95)).kernel(1, 0, (7, 99)).model();
        let spans = |scope| sets(&model, &Window::Default, scope).unwrap()[0].spans.clone();
        assert_eq!(spans(Scope::Device((0, 0))), [(5, 95)]);
        assert_eq!(spans(Scope::All), [(5, 99)]);
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_the_run_and_its_ranges() {
        let model = two_blocks();
        assert_eq!(sets(&model, &Window::Named("warm".into()), Scope::All).unwrap()[0].spans, [(0, 20)]);
        let tables = Fixture::new().kernel(0, 0, (5, 9)).block((0, 40)).range("warm", (0, 20)).tables();
        let input = Input::new("the run", "target", &tables, Window::Named("warn".into()));
        let error = input.sets(Scope::All).unwrap_err().to_string();
        assert!(error.contains("of the run is named \"warn\"") && error.ends_with("block, warm)"), "{error}");
    }

    #[test]
    fn a_long_list_of_names_says_how_many_it_leaves_out() {
        const NAMES: [&str; 14] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"];
        let with = |count: usize| {
            NAMES[..count].iter().fold(Fixture::new().kernel(0, 0, (5, 9)), |fixture, name| fixture.range(name, (0, 1)))
        };
        assert!(known_names(&with(14).model()).ends_with("k, l ... and 2 more"));
        assert!(known_names(&with(12).model()).ends_with("k, l"));
    }
}
