//! Interval operators: every metric is a short composition of these.
//!
//! A [`Span`] is a half-open interval of integer nanoseconds, `[start, end)`, of any two `i64`. A *set* is a slice of
//! spans that are not empty, sorted by start and disjoint; as [`union`] returns it they also do not touch. All operators
//! are linear sweeps over sets, except that [`union`], [`depth`] (the overlap count) and [`innermost`] sort what they are
//! given; those that ask about one instant or one window bisect. Lengths saturate at `i64::MAX`.

/// A half-open interval `[start, end)` in nanoseconds. It is empty when `end <= start`.
pub type Span = (i64, i64);

/// The set that covers exactly the spans, which may overlap, touch, be empty, and come in any order.
pub fn union(spans: &[Span]) -> Vec<Span> {
    into_union(spans.to_vec())
}

/// As [`union`], in the memory of the spans: at ten million of them a second copy takes longer than the sort.
pub fn into_union(mut spans: Vec<Span>) -> Vec<Span> {
    // Only the starts matter: of equal ones the latest end wins in any order. Comparing one integer keeps the sort free
    // of branches, and traces mostly come sorted.
    if !spans.is_sorted_by_key(|span| span.0) {
        spans.sort_unstable_by_key(|span| span.0);
    }
    let mut kept = 0;
    for at in 0..spans.len() {
        let (start, end) = spans[at];
        if end <= start {
            continue;
        }
        if kept > 0 && start <= spans[kept - 1].1 {
            spans[kept - 1].1 = spans[kept - 1].1.max(end);
        } else {
            spans[kept] = (start, end);
            kept += 1;
        }
    }
    spans.truncate(kept);
    spans
}

/// The length of a span; 0 for an empty one.
pub fn length(span: Span) -> i64 {
    span.1.saturating_sub(span.0).max(0)
}

/// The length of a set.
pub fn total(set: &[Span]) -> i64 {
    set.iter().fold(0, |sum: i64, span| sum.saturating_add(length(*span)))
}

/// What two sets have in common.
pub fn intersect(a: &[Span], b: &[Span]) -> Vec<Span> {
    let (mut set, mut i, mut j) = (Vec::new(), 0, 0);
    while i < a.len() && j < b.len() {
        set.extend(clip(a[i], b[j]));
        if a[i].1 < b[j].1 { i += 1 } else { j += 1 }
    }
    set
}

/// What is in `a` and not in `b`, both sets.
pub fn subtract(a: &[Span], b: &[Span]) -> Vec<Span> {
    let (mut set, mut j) = (Vec::new(), 0);
    for &(mut start, end) in a {
        while j < b.len() && b[j].1 <= start {
            j += 1;
        }
        let mut next = j;
        while next < b.len() && b[next].0 < end {
            if start < b[next].0 {
                set.push((start, b[next].0));
            }
            start = start.max(b[next].1);
            next += 1;
        }
        if start < end {
            set.push((start, end));
        }
    }
    set
}

/// The parts of `window` that the set leaves free.
pub fn gaps(set: &[Span], window: Span) -> Vec<Span> {
    into_gaps(within(set, window), window)
}

/// As [`gaps`], in the memory of the set.
pub fn into_gaps(mut set: Vec<Span>, window: Span) -> Vec<Span> {
    let (mut free, mut kept) = (window.0, 0);
    for at in 0..set.len() {
        let (start, end) = set[at];
        let start = start.min(window.1);
        if free < start {
            // At most one gap a span, so that it never overtakes what is still to be read.
            set[kept] = (free, start);
            kept += 1;
        }
        free = free.max(end);
    }
    set.truncate(kept);
    if free < window.1 {
        set.push((free, window.1));
    }
    set
}

/// The part of one span inside a window, if any.
pub fn clip(span: Span, window: Span) -> Option<Span> {
    let clipped = (span.0.max(window.0), span.1.min(window.1));
    (clipped.0 < clipped.1).then_some(clipped)
}

/// The part of a set inside a window, found by bisection: cheap for a short window on a long set.
pub fn within(set: &[Span], window: Span) -> Vec<Span> {
    parts_within(set, window).collect()
}

fn parts_within(set: &[Span], window: Span) -> impl Iterator<Item = Span> {
    let first = set.partition_point(|(_, end)| *end <= window.0);
    set[first..].iter().take_while(move |span| span.0 < window.1).filter_map(move |part| clip(*part, window))
}

/// The parts of a set inside windows (a set, which may touch), window by window. As [`intersect`], but bisected: a few
/// short windows on a long set cost no sweep over it.
pub fn clip_set(set: &[Span], windows: &[Span]) -> Vec<Span> {
    windows.iter().flat_map(|window| parts_within(set, *window)).collect()
}

/// The parts of the windows (a set, which may touch) that the set leaves free, window by window.
pub fn gaps_in(set: &[Span], windows: &[Span]) -> Vec<Span> {
    windows.iter().flat_map(|window| gaps(set, *window)).collect()
}

/// The length of one span inside a set.
pub fn covered(span: Span, set: &[Span]) -> i64 {
    parts_within(set, span).fold(0, |sum: i64, part| sum.saturating_add(length(part)))
}

/// Whether an instant lies in a set.
pub fn contains(set: &[Span], instant: i64) -> bool {
    let next = set.partition_point(|(_, end)| *end <= instant);
    set.get(next).is_some_and(|(start, _)| *start <= instant)
}

/// How many of the spans (any order, overlaps allowed) are open at each instant: the pieces where at least one is, in
/// order, each with its count.
pub fn depth(spans: &[Span]) -> Vec<(Span, usize)> {
    let filled = || spans.iter().filter(|(start, end)| end > start);
    let mut starts: Vec<i64> = filled().map(|span| span.0).collect();
    let mut ends: Vec<i64> = filled().map(|span| span.1).collect();
    starts.sort_unstable();
    ends.sort_unstable();
    let (mut pieces, mut begun, mut since): (Vec<(Span, usize)>, usize, i64) = (Vec::new(), 0, 0);
    for (ended, &end) in ends.iter().enumerate() {
        while let Some(&start) = starts.get(begun).filter(|start| **start < end) {
            push_piece(&mut pieces, (since, start), begun - ended);
            (since, begun) = (start, begun + 1);
        }
        push_piece(&mut pieces, (since, end), begun - ended);
        since = end;
    }
    pieces
}

/// Appends a piece that is not empty, or lengthens the last one when it touches and has the same count.
fn push_piece(pieces: &mut Vec<(Span, usize)>, span: Span, count: usize) {
    if count == 0 || span.0 >= span.1 {
        return;
    }
    match pieces.last_mut() {
        Some((last, same)) if last.1 == span.0 && *same == count => last.1 = span.1,
        _ => pieces.push((span, count)),
    }
}

/// Which of the spans is the innermost at each instant: the pieces where one is open, in order, each with the index of
/// the open span that started last (of equal starts the one that ends first, then the one that comes last). Spans that
/// nest, such as the calls of a thread, are cut into what each did itself; spans that cross, as damaged data do, have an
/// answer too.
pub fn innermost(spans: &[Span]) -> Vec<(Span, usize)> {
    let mut order: Vec<usize> = (0..spans.len()).filter(|at| spans[*at].0 < spans[*at].1).collect();
    order.sort_unstable_by_key(|at| (spans[*at].0, std::cmp::Reverse(spans[*at].1), *at));
    let (mut pieces, mut open, mut since): (Vec<(Span, usize)>, Vec<usize>, i64) = (Vec::new(), Vec::new(), 0);
    for next in order.into_iter().map(Some).chain([None]) {
        let until = next.map_or(i64::MAX, |next| spans[next].0);
        while let Some(&top) = open.last() {
            let end = spans[top].1.min(until);
            if since < end {
                pieces.push(((since, end), top));
                since = end;
            }
            if spans[top].1 > until {
                break;
            }
            open.pop();
        }
        open.extend(next);
        since = until;
    }
    pieces
}

/// The gaps between rows sorted by start, as those of one queue: from the latest end so far to the next start, with the
/// index of the row that follows. The latest end, not the end of the row before: rows that overlap or contain others
/// leave no negative gap. Empty rows neither end a gap nor begin one, so that the gaps are those of the rows' [`union`].
pub fn row_gaps(rows: &[Span]) -> Vec<(Span, usize)> {
    let mut latest: Option<i64> = None;
    let mut gaps = Vec::new();
    for (at, &(start, end)) in rows.iter().enumerate().filter(|(_, (start, end))| start < end) {
        gaps.extend(latest.filter(|latest| *latest < start).map(|latest| ((latest, start), at)));
        latest = latest.max(Some(end));
    }
    gaps
}

/// The running maximum of the ends: for each row the index of the row up to it that ends last, the first of equal ones.
/// With rows sorted by start and [`last_at_or_before`] it answers which row that began by an instant ended last.
pub fn latest_ends(rows: &[Span]) -> Vec<u32> {
    let mut latest = 0;
    let step = |(at, row): (usize, &Span)| {
        if row.1 > rows[latest].1 {
            latest = at;
        }
        latest as u32
    };
    rows.iter().enumerate().map(step).collect()
}

/// The last of the sorted keys at or before an instant; of equal keys the last.
pub fn last_at_or_before(keys: &[i64], instant: i64) -> Option<usize> {
    keys.partition_point(|key| *key <= instant).checked_sub(1)
}

/// The nearest-earlier join: for each instant the last of the sorted keys at or before it, of equal keys the last. The
/// instants are sorted too; one that steps back is found by bisection.
pub fn nearest_earlier(keys: &[i64], instants: &[i64]) -> Vec<Option<usize>> {
    let mut next = 0;
    let find = |instant: &i64| {
        if next > 0 && keys[next - 1] > *instant {
            next = keys.partition_point(|key| key <= instant);
        }
        while keys.get(next).is_some_and(|key| key <= instant) {
            next += 1;
        }
        next.checked_sub(1)
    };
    instants.iter().map(find).collect()
}

/// Cuts `whole` by priority: each instant belongs to the first class (a set) that covers it. Returns one set a class
/// and last the rest; together they are a partition of `whole`.
pub fn split(whole: &[Span], classes: &[&[Span]]) -> Vec<Vec<Span>> {
    let mut rest = whole.to_vec();
    let mut parts = Vec::with_capacity(classes.len() + 1);
    for class in classes {
        parts.push(intersect(&rest, class));
        rest = subtract(&rest, class);
    }
    parts.push(rest);
    parts
}

/// The lengths of the parts that [`split`] returns.
pub fn split_totals(whole: &[Span], classes: &[&[Span]]) -> Vec<i64> {
    split(whole, classes).iter().map(|part| total(part)).collect()
}

#[cfg(test)]
mod tests;
