use super::*;
use proptest::prelude::*;

fn work(start: i64, end: i64) -> Operation {
    Operation { span: (start, end), work: true }
}

fn host(start: i64, end: i64) -> Operation {
    Operation { span: (start, end), work: false }
}

fn edge(from: u32, to: u32, kind: Kind) -> Edge {
    Edge { from, to, kind, anchor: Anchor::End }
}

fn names(view: &View) -> Vec<(Option<u32>, Part, i64)> {
    view.path().iter().map(|piece| (piece.operation, piece.part, piece.span.1 - piece.span.0)).collect()
}

#[test]
fn the_path_of_a_gap_free_chain_is_the_window() {
    let graph =
        Graph::new(&[work(0, 10), work(10, 30), work(30, 35)], &[edge(0, 1, Kind::Queue), edge(1, 2, Kind::Queue)]);
    let view = graph.view((0, 35));
    let operation = |number, length| (Some(number), Part::Operation, length);
    assert_eq!(names(&view), [operation(2, 5), operation(1, 20), operation(0, 10)]);
    assert_eq!(view.slack(), [Some(0); 3]);
    assert_eq!(view.end_without(|number| number == 1), Some(15));
}

#[test]
fn lags_carry_the_kind_of_the_input_that_was_ready_last() {
    // Call 0 (0..4) launches kernel 1 (7..20); call 2 (4..9) launches kernel 3 on the same queue (22..30).
    let operations = [host(0, 4), work(7, 20), host(4, 9), work(22, 30)];
    let edges = [edge(0, 1, Kind::Launch), edge(0, 2, Kind::Host), edge(2, 3, Kind::Launch), edge(1, 3, Kind::Queue)];
    let graph = Graph::new(&operations, &edges);
    let view = graph.view((0, 31));
    let expected = [
        (Some(3), Part::Tail, 1),
        (Some(3), Part::Operation, 8),
        (Some(3), Part::Lag(Kind::Queue), 2),
        (Some(1), Part::Operation, 13),
        (Some(1), Part::Lag(Kind::Launch), 3),
        (Some(0), Part::Operation, 4),
    ];
    assert_eq!(names(&view), expected);
    assert_eq!(graph.bound_by(3), Some((1, Kind::Queue, Anchor::End)));
    assert_eq!((graph.lag(3), graph.lag(1), graph.lag(2)), (2, 3, 0));
    // Kernel 3 could be launched at 20 instead of 9.
    assert_eq!(view.slack(), [Some(0), Some(11), Some(0), Some(0)]);
    // Without kernel 1, kernel 3 starts 2 after its launch (9), so the work ends at 19.
    assert_eq!(view.end_without(|number| number == 1), Some(19));
}

#[test]
fn overlap_on_a_queue_binds_the_start_and_not_the_end() {
    // Kernel 1 begins 6 after kernel 0 although that one runs on.
    let overlap = Edge { from: 0, to: 1, kind: Kind::Queue, anchor: Anchor::Start };
    let graph = Graph::new(&[work(0, 10), work(6, 20)], &[overlap]);
    let view = graph.view((0, 20));
    assert_eq!(names(&view), [(Some(1), Part::Operation, 14), (Some(1), Part::Lag(Kind::Queue), 6)]);
    assert_eq!(view.slack(), [Some(10), Some(0)]);
    assert_eq!(view.end_without(|number| number == 0), Some(20));
}

#[test]
fn contradictions_and_cycles_are_left_out_and_counted() {
    let operations = [work(0, 10), work(5, 12), work(12, 12), work(12, 12), work(12, 20)];
    let edges = [
        edge(0, 1, Kind::Data),
        edge(2, 3, Kind::Data),
        edge(3, 2, Kind::Data),
        edge(4, 2, Kind::Data),
        edge(3, 4, Kind::Data),
        edge(9, 0, Kind::Data),
        edge(0, 0, Kind::Data),
    ];
    let graph = Graph::new(&operations, &edges);
    assert_eq!(graph.dropped(), Dropped { contradicted: 2, cyclic: 1, invalid: 2 });
    assert_eq!(graph.edges(), 2);
    assert_eq!(graph.simulate(|number| graph.duration(number)), [0, 5, 12, 12, 12]);
}

#[test]
fn a_zero_length_operation_follows_one_of_the_same_instant_that_is_listed_later() {
    let graph = Graph::new(&[work(10, 10), host(10, 10)], &[edge(1, 0, Kind::Sync)]);
    assert_eq!(graph.dropped(), Dropped::default());
    assert_eq!(graph.bound_by(0), Some((1, Kind::Sync, Anchor::End)));
}

#[test]
fn windows_cut_what_runs_across_their_ends() {
    let graph = Graph::new(&[work(0, 10), work(10, 30)], &[edge(0, 1, Kind::Queue)]);
    let view = graph.view((5, 25));
    assert_eq!(names(&view), [(Some(1), Part::Operation, 15), (Some(0), Part::Operation, 5)]);
    assert_eq!(view.end_without(|number| number == 0), Some(20));
    assert_eq!(view.end_without(|_| true), Some(5));
    assert_eq!(graph.view((12, 20)).end_without(|_| true), Some(12), "the only work runs across both ends");
}

#[test]
fn without_work_the_window_is_a_tail_and_an_empty_window_has_no_piece() {
    let graph = Graph::new(&[host(0, 10)], &[]);
    assert_eq!(names(&graph.view((0, 10))), [(None, Part::Tail, 10)]);
    assert_eq!(graph.view((0, 10)).end_without(|_| false), None);
    assert!(graph.view((4, 4)).path().is_empty());
    assert_eq!(names(&Graph::new(&[], &[]).view((0, 7))), [(None, Part::Tail, 7)]);
}

#[test]
fn the_largest_times_neither_overflow_nor_break_the_sum() {
    let operations = [work(i64::MIN, i64::MAX), work(i64::MAX, i64::MIN), host(i64::MIN, i64::MIN)];
    let graph = Graph::new(&operations, &[edge(0, 1, Kind::Queue), edge(2, 0, Kind::Launch)]);
    let view = graph.view((i64::MIN, i64::MAX));
    let total: i64 = view.path().iter().map(|piece| piece.span.1 - piece.span.0).sum();
    assert_eq!(total, view.window().1 - view.window().0);
    assert_eq!(view.end_without(|_| true), Some(-FURTHEST));
}

/// Operations with start, length and whether they are work; edges by number, kind and whether they bind the start.
type Random = (Vec<(i64, i64, bool)>, Vec<(u32, u32, usize, bool)>, (i64, i64));

fn random() -> impl Strategy<Value = Random> {
    let operations = prop::collection::vec((0..20_i64, 0..6_i64, prop::bool::weighted(0.7)), 1..9);
    let edges = prop::collection::vec((0..9_u32, 0..9_u32, 0..7_usize, prop::bool::weighted(0.2)), 0..24);
    (operations, edges, (0..12_i64, 0..26_i64))
}

struct Case {
    operations: Vec<Operation>,
    edges: Vec<Edge>,
    window: Span,
}

fn ready(edge: &Edge, times: &[Span]) -> i64 {
    let span = times[edge.from as usize];
    if edge.anchor == Anchor::End { span.1 } else { span.0 }
}

impl Case {
    fn new((operations, edges, (start, length)): &Random) -> Self {
        let operation =
            |(start, length, work): &(i64, i64, bool)| Operation { span: (*start, start + length), work: *work };
        let link = |(from, to, kind, start): &(u32, u32, usize, bool)| Edge {
            from: *from,
            to: *to,
            kind: Kind::ALL[*kind].0,
            anchor: if *start { Anchor::Start } else { Anchor::End },
        };
        let window = (*start, start + length);
        Self { operations: operations.iter().map(operation).collect(), edges: edges.iter().map(link).collect(), window }
    }

    /// The edges that a graph keeps, asked of the graph itself only for those inside cycles.
    fn kept(&self) -> Vec<Edge> {
        let count = self.operations.len() as u32;
        let spans: Vec<Span> = self.operations.iter().map(|operation| operation.span).collect();
        let valid = |edge: &&Edge| edge.from < count && edge.to < count && edge.from != edge.to;
        let fits = |edge: &&Edge| ready(edge, &spans) <= spans[edge.to as usize].0;
        self.edges.iter().filter(valid).filter(fits).copied().collect()
    }

    /// The end of the window's work when durations are those, by iterating until nothing changes (a longest path over
    /// all paths). What began before the window stands as recorded, cut at `floor` where it is free.
    fn end(&self, edges: &[Edge], durations: &[i64], free: &[bool]) -> Option<i64> {
        let spans: Vec<Span> = self.operations.iter().map(|operation| operation.span).collect();
        let lag = |to: usize| {
            let inputs = edges.iter().filter(|edge| edge.to as usize == to);
            inputs.map(|edge| ready(edge, &spans)).max().map(|ready| spans[to].0 - ready)
        };
        let inside = |at: usize| self.window.0 <= spans[at].0 && spans[at].0 < self.window.1;
        let before = |at: usize| {
            let cut = if free[at] { self.window.0.max(spans[at].0) } else { self.window.1 };
            (spans[at].0, spans[at].1.min(cut))
        };
        let mut times: Vec<Span> =
            (0..spans.len()).map(|at| if inside(at) { (i64::MIN / 2, i64::MIN / 2) } else { before(at) }).collect();
        for _ in 0..=spans.len() {
            for at in (0..spans.len()).filter(|at| inside(*at)) {
                let inputs = edges.iter().filter(|edge| edge.to as usize == at);
                let ready = inputs.map(|edge| ready(edge, &times)).max();
                let start = ready.map_or(spans[at].0, |ready| ready + lag(at).unwrap());
                times[at] = (start, start + durations[at]);
            }
        }
        let counts = |at: &usize| self.operations[*at].work && spans[*at].0 < self.window.1;
        let recorded = (0..spans.len()).filter(counts).map(|at| spans[at].1.min(self.window.1)).max()?;
        if recorded <= self.window.0 {
            return None;
        }
        // Of the work before the window, the first of those that end last.
        let outside = (0..spans.len()).filter(counts).filter(|at| !inside(*at));
        let entering = outside.max_by_key(|at| (spans[*at].1, std::cmp::Reverse((spans[*at].0, *at))));
        let ends =
            (0..spans.len()).filter(counts).filter(|at| inside(*at) || Some(*at) == entering).map(|at| times[at].1);
        Some(ends.max().unwrap_or(self.window.0).max(self.window.0))
    }

    fn durations(&self) -> Vec<i64> {
        self.operations.iter().map(|one| one.span.1.min(self.window.1.max(one.span.0)) - one.span.0).collect()
    }
}

proptest! {
    #[test]
    fn an_unchanged_graph_gives_the_recorded_times_back(random in random()) {
        let case = Case::new(&random);
        let graph = Graph::new(&case.operations, &case.edges);
        let starts: Vec<i64> = case.operations.iter().map(|operation| operation.span.0).collect();
        prop_assert_eq!(graph.simulate(|number| graph.duration(number)), starts);
        let view = graph.view(case.window);
        prop_assert_eq!(view.end_without(|_| false), view.end());
    }

    #[test]
    fn the_pieces_of_a_path_touch_and_sum_to_the_window(random in random()) {
        let case = Case::new(&random);
        let graph = Graph::new(&case.operations, &case.edges);
        let pieces = graph.view(case.window).path();
        let mut at = case.window.1;
        for piece in &pieces {
            prop_assert_eq!(piece.span.1, at);
            prop_assert!(piece.span.0 < piece.span.1);
            at = piece.span.0;
        }
        prop_assert_eq!(at, case.window.0);
    }

    #[test]
    fn free_operations_and_slack_agree_with_the_longest_of_all_paths(random in random(), frees in 0..512_u32) {
        let case = Case::new(&random);
        let graph = Graph::new(&case.operations, &case.edges);
        let kept = case.kept();
        prop_assume!(graph.dropped().cyclic == 0);
        prop_assert_eq!(graph.edges(), kept.len());
        let view = graph.view(case.window);
        let (lengths, none) = (case.durations(), vec![false; case.operations.len()]);
        prop_assert_eq!(view.end(), case.end(&kept, &lengths, &none));
        let free: Vec<bool> = (0..lengths.len()).map(|at| frees >> at & 1 == 1).collect();
        let without: Vec<i64> = lengths.iter().zip(&free).map(|(length, free)| if *free { 0 } else { *length }).collect();
        let found = view.end_without(|number| free[number as usize]);
        prop_assert_eq!(found, case.end(&kept, &without, &free));
        for (number, slack) in view.operations().iter().zip(view.slack()) {
            let longer = |by: i64| {
                let mut changed = lengths.clone();
                changed[*number as usize] += by;
                case.end(&kept, &changed, &none)
            };
            if let Some(slack) = slack {
                prop_assert!(slack >= 0);
                prop_assert_eq!(longer(slack), view.end());
                prop_assert!(longer(slack + 1) > view.end());
            } else {
                prop_assert_eq!(longer(1000), view.end());
            }
        }
    }

    #[test]
    fn the_order_of_edges_and_operations_changes_nothing(random in random(), turn in 0..9_usize) {
        let case = Case::new(&random);
        let graph = Graph::new(&case.operations, &case.edges);
        prop_assume!(graph.dropped().cyclic == 0);
        let (count, turn) = (case.operations.len(), turn % case.operations.len());
        let mut operations = case.operations.clone();
        operations.rotate_left(turn);
        let renumber = |number: u32| if (number as usize) < count { (number as usize + count - turn) % count } else { number as usize } as u32;
        let mut edges: Vec<Edge> =
            case.edges.iter().map(|edge| Edge { from: renumber(edge.from), to: renumber(edge.to), ..*edge }).collect();
        edges.reverse();
        let turned = Graph::new(&operations, &edges);
        prop_assert_eq!(graph.dropped(), turned.dropped());
        let (a, b) = (graph.view(case.window), turned.view(case.window));
        prop_assert_eq!(a.end(), b.end());
        let slack = |view: &View, number: &dyn Fn(u32) -> u32| {
            let mut slack: Vec<_> = view.operations().iter().map(|at| number(*at)).zip(view.slack()).collect();
            slack.sort_unstable();
            slack
        };
        prop_assert_eq!(slack(&a, &renumber), slack(&b, &|number| number));
    }
}
