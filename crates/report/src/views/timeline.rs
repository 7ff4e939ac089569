//! What the timeline shows of a run: a representative block, and about one iteration from its middle.

use std::collections::BTreeMap;

use proftool_trace::frame::{bools, ints, texts};
use proftool_trace::tables::{ACTIVITIES, DEVICES, QUEUES, RANGES, WORK};

use crate::charts::style::Ink;
use crate::charts::timeline::{Lane, Panel, Span, Timeline};
use crate::error::Error;
use crate::format;
use crate::run::{Run, file_stem};

type Interval = (i64, i64);
/// Rank, device and queue; a queue that the tool does not name sorts first.
type QueueKey = (i64, i64, Option<i64>);

/// Phase, step and micro-batch, as the target states them.
type Stated = (Option<String>, Option<i64>, Option<i64>);

/// An activity with what its target states about it.
struct Activity {
    key: QueueKey,
    span: Span,
    step: Option<i64>,
    simulated: bool,
}

/// The timeline of a run; none where it has no activities.
///
/// # Errors
/// When a table lacks a column, which the schema check excludes.
pub(crate) fn view(run: &Run, suffix: &str) -> Result<Option<Timeline>, Error> {
    let Some(pass) = timeline_pass(run)? else { return Ok(None) };
    let roles = queue_roles(run, &pass)?;
    let activities = activities(run, &pass, &roles)?;
    let (Some(first), Some(last)) = (
        activities.iter().map(|activity| activity.span.start_ns).min(),
        activities.iter().map(|activity| activity.span.end_ns).max(),
    ) else {
        return Ok(None);
    };
    let blocks = blocks(run, &pass)?;
    let (window, name) = match representative(&blocks) {
        Some((index, block)) => {
            (block, format!("Block {index} of 0 to {}, the one of median length", blocks.len() - 1))
        }
        None => ((first, last), "Whole trace (no measured blocks are marked)".to_owned()),
    };
    let simulated = activities.iter().any(|activity| activity.simulated);
    let length = format::duration(window.1.saturating_sub(window.0));
    let mut panels = vec![Panel { title: format!("{name}: {length}"), window }];
    panels.extend(close_up(&activities, window));
    Ok(Some(Timeline {
        id: format!("timeline{}", file_stem(suffix)),
        title: format!("Timeline: {}", run.artifact.manifest.target.name),
        subtitle: format!(
            "{}, pass {pass}; one lane a queue, uncoloured time is idle",
            run.artifact.manifest.hardware_key
        ),
        lanes: lanes(run, &pass, activities, &roles, window)?,
        panels,
        notes: notes(&pass, simulated),
    }))
}

fn notes(pass: &str, simulated: bool) -> Vec<String> {
    let mut notes = vec![format!(
        "Busy = length of the union of the queue's kernel, copy, set and graph rows in the window / window; \
         synchronisation rows are not drawn. Source: tables/activities, pass {pass}, which the metrics read as well. Gaps \
         below half a pixel are joined."
    )];
    if simulated {
        notes.push("Some copies are modelled: paced at a stated link rate while no core is used.".to_owned());
    }
    notes
}

/// The pass that the metrics read as well: that of the first activity.
fn timeline_pass(run: &Run) -> Result<Option<String>, Error> {
    let first = texts(&run.tables.get(&ACTIVITIES).head(Some(1)), "pass")?;
    Ok(first.into_iter().flatten().next())
}

fn queue_roles(run: &Run, pass: &str) -> Result<BTreeMap<QueueKey, String>, Error> {
    let frame = run.tables.get(&QUEUES);
    let (passes, ranks, devices) = (texts(frame, "pass")?, ints(frame, "rank")?, ints(frame, "device")?);
    let (queues, roles) = (ints(frame, "queue")?, texts(frame, "role")?);
    let mut found = BTreeMap::new();
    for (row, role) in roles.into_iter().enumerate() {
        if let (Some(rank), Some(device), true) = (ranks[row], devices[row], passes[row].as_deref() == Some(pass)) {
            found.insert((rank, device, queues[row]), role.unwrap_or_default());
        }
    }
    Ok(found)
}

/// Phase, step and micro-batch of each activity that a built-in target describes.
fn work(run: &Run, pass: &str) -> Result<BTreeMap<(i64, i64), Stated>, Error> {
    let frame = run.tables.get(&WORK);
    let (passes, ranks, ids) = (texts(frame, "pass")?, ints(frame, "rank")?, ints(frame, "activity")?);
    let (phases, steps, batches) = (texts(frame, "phase")?, ints(frame, "step")?, ints(frame, "micro_batch")?);
    let mut found = BTreeMap::new();
    for (row, phase) in phases.into_iter().enumerate() {
        if let (Some(rank), Some(id), true) = (ranks[row], ids[row], passes[row].as_deref() == Some(pass)) {
            found.insert((rank, id), (phase, steps[row], batches[row]));
        }
    }
    Ok(found)
}

fn activities(run: &Run, pass: &str, roles: &BTreeMap<QueueKey, String>) -> Result<Vec<Activity>, Error> {
    let frame = run.tables.get(&ACTIVITIES);
    let work = work(run, pass)?;
    let (passes, ranks, ids) = (texts(frame, "pass")?, ints(frame, "rank")?, ints(frame, "id")?);
    let (devices, queues, kinds) = (ints(frame, "device")?, ints(frame, "queue")?, texts(frame, "kind")?);
    let (names, starts, ends) = (texts(frame, "name")?, ints(frame, "start_ns")?, ints(frame, "end_ns")?);
    let simulated = bools(frame, "simulated")?;
    let mut found = Vec::with_capacity(ids.len());
    for row in 0..ids.len() {
        let (Some(start_ns), Some(end_ns)) = (starts[row], ends[row]) else { continue };
        // As the metrics read it: no kind is a kernel, and a clock that stepped back makes no negative length.
        let (end_ns, kind) = (end_ns.max(start_ns), kinds[row].as_deref().unwrap_or("kernel"));
        if passes[row].as_deref() != Some(pass) || kind == "sync" {
            continue;
        }
        let key = (ranks[row].unwrap_or(0), devices[row].unwrap_or(0), queues[row]);
        let stated = ids[row].and_then(|id| work.get(&(key.0, id)));
        let phase = stated.and_then(|stated| stated.0.as_deref());
        let role = roles.get(&key).map(String::as_str);
        let ink = ink(kind, phase, role);
        let micro_batch = stated.and_then(|stated| stated.2);
        let name = span_name(names[row].as_deref().unwrap_or(kind), phase, micro_batch);
        let span = Span { start_ns, end_ns, ink, name, micro_batch };
        found.push(Activity {
            key,
            span,
            step: stated.and_then(|stated| stated.1),
            simulated: simulated[row] == Some(true),
        });
    }
    Ok(found)
}

fn ink(kind: &str, phase: Option<&str>, role: Option<&str>) -> Ink {
    let moves = matches!(kind, "copy" | "set");
    match Ink::of_phase(phase) {
        Ink::Kv => Ink::Kv,
        _ if moves && role == Some("kv") => Ink::Kv,
        _ if moves => Ink::Copy,
        phase => phase,
    }
}

fn span_name(name: &str, phase: Option<&str>, micro_batch: Option<i64>) -> String {
    let mut text = name.to_owned();
    if let Some(phase) = phase.filter(|phase| !name.contains(phase)) {
        text = format!("{text}, {phase}");
    }
    match micro_batch {
        Some(number) => format!("{text}, micro-batch {number}"),
        None => text,
    }
}

/// The measured blocks, by the rule of the metrics: ranges named `block` of the domain that the built-in targets use, of
/// the first rank that marks any (one clock is shared by all ranks of a pass).
fn blocks(run: &Run, pass: &str) -> Result<Vec<Interval>, Error> {
    let frame = run.tables.get(&RANGES);
    let (passes, names, domains) = (texts(frame, "pass")?, texts(frame, "name")?, texts(frame, "domain")?);
    let (starts, ends) = (ints(frame, "start_ns")?, ints(frame, "end_ns")?);
    let ranks = ints(frame, "rank")?;
    let of_block = |row: &usize| {
        let name = names[*row].as_deref().unwrap_or_default();
        let named = name
            .strip_prefix("block")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ':', '/', '_', '-']));
        named && passes[*row].as_deref() == Some(pass) && domains[*row].as_deref() == Some("proftool")
    };
    let marked: Vec<(Option<i64>, Interval)> =
        (0..names.len()).filter(of_block).filter_map(|row| Some((ranks[row], (starts[row]?, ends[row]?)))).collect();
    let first = marked.iter().map(|(rank, _)| *rank).min();
    Ok(disjoint(marked.into_iter().filter(|(rank, _)| Some(*rank) == first).map(|(_, block)| block).collect()))
}

/// Blocks that touch stay apart; where any overlap (damaged data), all that touch or overlap merge.
fn disjoint(mut blocks: Vec<Interval>) -> Vec<Interval> {
    blocks.retain(|(start, end)| start < end);
    blocks.sort_unstable();
    if blocks.windows(2).all(|pair| pair[1].0 >= pair[0].1) {
        return blocks;
    }
    let mut merged: Vec<Interval> = Vec::with_capacity(blocks.len());
    for (start, end) in blocks {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// The block of median length (the lower of the middle two), with its number.
fn representative(blocks: &[Interval]) -> Option<(usize, Interval)> {
    let mut order: Vec<(usize, Interval)> = blocks.iter().copied().enumerate().collect();
    order.sort_by_key(|(index, (start, end))| (end.saturating_sub(*start), *index));
    order.get(order.len().saturating_sub(1) / 2).copied()
}

/// About one iteration from the middle of the block, where a block has several.
fn close_up(activities: &[Activity], window: Interval) -> Option<Panel> {
    let mut steps: BTreeMap<i64, Interval> = BTreeMap::new();
    for activity in activities.iter().filter(|activity| inside(&activity.span, window)) {
        let Some(step) = activity.step else { continue };
        let whole = steps.entry(step).or_insert((i64::MAX, i64::MIN));
        *whole = (whole.0.min(activity.span.start_ns), whole.1.max(activity.span.end_ns));
    }
    if steps.len() < 3 {
        return None;
    }
    let (step, whole) = steps.iter().nth(steps.len() / 2)?;
    // Streamed iterations overlap: the panel shows the whole of one, and what runs beside it.
    let whole = (whole.0.max(window.0), whole.1.min(window.1));
    let [start, end] = [whole.0, whole.1].map(|at| format::milliseconds(at.saturating_sub(window.0)));
    let title = format!("Iteration {step} of that block, from {start} to {end} ms of it");
    (whole.0 < whole.1).then_some(Panel { title, window: whole })
}

fn inside(span: &Span, window: Interval) -> bool {
    span.end_ns > window.0 && span.start_ns < window.1
}

fn lanes(
    run: &Run,
    pass: &str,
    activities: Vec<Activity>,
    roles: &BTreeMap<QueueKey, String>,
    window: Interval,
) -> Result<Vec<Lane>, Error> {
    let kinds = device_kinds(run, pass)?;
    let ranks = activities.iter().any(|activity| activity.key.0 != 0);
    let mut found: BTreeMap<QueueKey, Vec<Span>> = BTreeMap::new();
    for activity in activities.into_iter().filter(|activity| inside(&activity.span, window)) {
        found.entry(activity.key).or_default().push(activity.span);
    }
    // A queue without any work in the window still has its lane: it is idle.
    for key in roles.keys().filter(|key| roles.get(key).is_some_and(|role| role == "compute")) {
        found.entry(*key).or_default();
    }
    let lane = |(key, spans): (QueueKey, Vec<Span>)| {
        let kind = kinds.get(&(key.0, key.1)).map_or("device", String::as_str);
        let device = if ranks { format!("rank {} {kind} {}", key.0, key.1) } else { format!("{kind} {}", key.1) };
        let number = key.2.map_or_else(String::new, |queue| queue.to_string());
        let role = roles.get(&key).filter(|role| !role.is_empty()).map_or("queue", String::as_str);
        Lane { device, queue: format!("{role} {number}").trim_end().to_owned(), spans }
    };
    Ok(found.into_iter().map(lane).collect())
}

fn device_kinds(run: &Run, pass: &str) -> Result<BTreeMap<(i64, i64), String>, Error> {
    let frame = run.tables.get(&DEVICES);
    let (passes, ranks, devices) = (texts(frame, "pass")?, ints(frame, "rank")?, ints(frame, "device")?);
    let kinds = texts(frame, "kind")?;
    let rows = (0..kinds.len()).filter(|row| passes[*row].as_deref() == Some(pass));
    Ok(rows.filter_map(|row| Some(((ranks[row]?, devices[row]?), kinds[row].clone()?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_representative_block_is_the_one_of_median_length() {
        assert_eq!(representative(&[(0, 30), (40, 50), (60, 80)]), Some((2, (60, 80))));
        assert_eq!(representative(&[(0, 30), (40, 50)]), Some((1, (40, 50))));
        assert_eq!(representative(&[]), None);
    }

    #[test]
    fn a_block_of_hostile_length_is_the_longest() {
        assert_eq!(representative(&[(i64::MIN, i64::MAX), (0, 5)]), Some((1, (0, 5))));
    }

    #[test]
    fn blocks_that_touch_stay_apart_and_blocks_that_overlap_merge() {
        assert_eq!(disjoint(vec![(10, 20), (0, 10), (5, 5)]), [(0, 10), (10, 20)]);
        assert_eq!(disjoint(vec![(0, 10), (5, 20), (20, 30), (40, 50)]), [(0, 30), (40, 50)]);
        assert_eq!(disjoint(vec![(0, 10), (0, 10)]), [(0, 10)]);
    }

    #[test]
    fn a_copy_is_kv_by_its_phase_or_by_its_queue() {
        assert_eq!(ink("copy", Some("kv_transfer"), None), Ink::Kv);
        assert_eq!(ink("copy", None, Some("kv")), Ink::Kv);
        assert_eq!(ink("copy", Some("prefill"), Some("copy")), Ink::Copy);
        assert_eq!(ink("kernel", Some("decode"), Some("kv")), Ink::Decode);
        assert_eq!(ink("kernel", None, None), Ink::Other);
    }
}
