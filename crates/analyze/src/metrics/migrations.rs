//! What moving decoding requests to other devices cost and brought.
//!
//! A move is an event `migrate`. It leaves the device on which the request decoded last before it, and costs the stall from
//! the end of that decode to the begin of the next one. Its gain is an estimate: the mean step of the old device in the
//! second before the move, less that of the new device in the second after the request goes on, times the steps that the
//! request still decodes there, less the stall. It says what the request gained if the old device had gone on as before; what
//! the others on both devices gained or lost is not in it.

mod pace;

use std::collections::BTreeMap;

use polars::prelude::DataFrame;
use proftool_trace::table::{Table, float, int};

use super::serving::{PASS, SIMULATED};
use super::{Input, Metric, Output, RUN, TARGET};
use crate::Error;
use crate::requests::{Event, Kind, Latencies, Log};
use pace::Paces;

/// The metric.
pub const METRIC: Metric = Metric {
    name: "migrations",
    doc: "Moves of decoding requests between devices: bytes, stall, step time before and after, estimated gain.",
    table: &TABLE,
    compute,
};

/// Schema of the result.
pub static TABLE: Table = Table {
    name: "migrations",
    doc: "All moves of a pass (devices null), then those from one device to another.",
    columns: &[
        RUN,
        TARGET,
        PASS,
        SIMULATED,
        int("from_device", "Device that the requests left; null for all.").or_null(),
        int("to_device", "Device that they went to; null for all.").or_null(),
        int("moves", "Moves."),
        int("bytes", "Bytes moved; null where one move does not state them.").or_null(),
        int("transfer_ns", "Sum of their times in flight."),
        int("stall_p50_ns", "Median time in which the request did not decode (nearest rank).").or_null(),
        int("stall_max_ns", "The longest.").or_null(),
        float("step_before_ns", "Mean step of the old device in the second before, mean over the moves that know it.")
            .or_null(),
        float("step_after_ns", "Mean step of the new device in the second after.").or_null(),
        int("estimated", "Moves whose gain is estimated: both step times are known."),
        int("gain_ns", "Sum of the estimated gains; below 0 the moves cost more than they brought.").or_null(),
        int("gained", "Moves with an estimated gain above 0."),
    ],
};

/// One move.
struct Move {
    from: Option<i64>,
    to: Option<i64>,
    bytes: Option<i64>,
    transfer: i64,
    stall: Option<i64>,
    before: Option<f64>,
    after: Option<f64>,
    gain: Option<f64>,
}

struct Row<'l> {
    log: &'l Log,
    devices: Option<(Option<i64>, Option<i64>)>,
    moves: Vec<&'l Move>,
}

fn compute(input: &Input) -> Result<DataFrame, Error> {
    let mut found = Vec::new();
    for log in input.logs()? {
        let paces = Paces::read(input, &log.pass)?;
        let moves: Vec<Move> = (0..log.events.len()).filter_map(|at| moved(log, at, &paces)).collect();
        found.push((log, moves));
    }
    let mut rows = Vec::new();
    for (log, moves) in found.iter().filter(|(_, moves)| !moves.is_empty()) {
        rows.push(Row { log, devices: None, moves: moves.iter().collect() });
        let mut pairs: BTreeMap<_, Vec<&Move>> = BTreeMap::new();
        for one in moves {
            pairs.entry((one.from, one.to)).or_default().push(one);
        }
        rows.extend(pairs.into_iter().map(|(pair, moves)| Row { log, devices: Some(pair), moves }));
    }
    build(input, &rows)
}

/// The event of that place as a move, if it is one.
fn moved(log: &Log, at: usize, paces: &Paces) -> Option<Move> {
    let event = &log.events[at];
    if event.kind != Kind::Migrate {
        return None;
    }
    let request = &log.requests[event.request];
    let decodes = || log.stages(request).iter().filter(|other| other.kind == Kind::Decode);
    let before: Option<&Event> =
        decodes().filter(|other| other.span.1 <= event.span.0).max_by_key(|other| other.span.1);
    let after: Option<&Event> = decodes().filter(|other| other.span.0 >= event.span.1).min_by_key(|other| other.span.0);
    let pace = |device: Option<i64>, from: i64, to: i64| paces.mean((request.rank, device?), (from, to));
    let stall = before.zip(after).map(|(before, after)| after.span.0.saturating_sub(before.span.1));
    let old = before.and_then(|before| {
        pace(before.device, before.span.1.saturating_sub(pace::SPAN_NS).max(before.span.0), before.span.1)
    });
    let new = after.and_then(|after| {
        pace(after.device, after.span.0, after.span.0.saturating_add(pace::SPAN_NS).min(after.span.1))
    });
    let steps = after.and_then(|after| paces.steps((request.rank, after.device?), after.span));
    let gain = old
        .zip(new)
        .zip(steps)
        .zip(stall)
        .map(|(((old, new), steps), stall)| (old - new) * steps as f64 - stall as f64);
    Some(Move {
        from: before.and_then(|before| before.device),
        to: event.device,
        bytes: event.bytes,
        transfer: event.span.1.saturating_sub(event.span.0),
        stall,
        before: old,
        after: new,
        gain,
    })
}

fn build(input: &Input, rows: &[Row]) -> Result<DataFrame, Error> {
    let gains = |row: &Row| row.moves.iter().filter_map(|one| one.gain).collect::<Vec<f64>>();
    let stalls = |row: &Row| row.moves.iter().filter_map(|one| one.stall).collect::<Latencies>();
    let sum = |values: &mut dyn Iterator<Item = i64>| values.fold(0_i64, i64::saturating_add);
    let bytes = |row: &Row| {
        let known: Option<Vec<i64>> = row.moves.iter().map(|one| one.bytes).collect();
        Some(sum(&mut known?.into_iter()))
    };
    let mean = |row: &Row, value: fn(&Move) -> Option<f64>| {
        let known: Vec<f64> = row.moves.iter().filter_map(|one| value(one)).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    Output::new(input.run, input.target, rows)
        .text("pass", |row| Some(&row.log.pass))
        .bool("simulated", |row| Some(row.log.simulated))
        .int("from_device", |row| row.devices?.0)
        .int("to_device", |row| row.devices?.1)
        .int("moves", |row| Some(row.moves.len() as i64))
        .int("bytes", bytes)
        .int("transfer_ns", |row| Some(sum(&mut row.moves.iter().map(|one| one.transfer))))
        .int("stall_p50_ns", |row| stalls(row).permille(500))
        .int("stall_max_ns", |row| stalls(row).permille(1000))
        .float("step_before_ns", |row| mean(row, |one| one.before))
        .float("step_after_ns", |row| mean(row, |one| one.after))
        .int("estimated", |row| Some(gains(row).len() as i64))
        .int("gain_ns", |row| {
            let gains = gains(row);
            (!gains.is_empty()).then(|| gains.iter().sum::<f64>().round() as i64)
        })
        .int("gained", |row| Some(gains(row).iter().filter(|gain| **gain > 0.0).count() as i64))
        .build(&TABLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::fixture::Fixture;
    use crate::windows::Window;
    use proftool_trace::frame::{floats, ints};

    #[test]
    fn a_move_gains_the_difference_of_the_steps_less_its_stall() {
        // 10 ns a step on device 1, 4 on device 2, where 5 steps follow: (10 - 4) x 5 - 8 = 22.
        let mut fixture = Fixture::new()
            .request(0, Some(10), Some(88), 12)
            .event("decode", Some(1), (10, 60))
            .event("migrate", Some(2), (60, 65))
            .event("decode", Some(2), (68, 88));
        for step in 0..5 {
            fixture =
                fixture.step(1, (10 + step * 10, 20 + step * 10), 0, 3).step(2, (68 + step * 4, 72 + step * 4), 0, 1);
        }
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        let (ints, floats) = (|name| ints(&frame, name).unwrap(), |name| floats(&frame, name).unwrap());
        assert_eq!(
            (frame.height(), ints("from_device"), ints("to_device")),
            (2, vec![None, Some(1)], vec![None, Some(2)])
        );
        assert_eq!((ints("stall_p50_ns")[0], ints("transfer_ns")[0], ints("bytes")[0]), (Some(8), Some(5), None));
        assert_eq!((floats("step_before_ns")[0], floats("step_after_ns")[0]), (Some(10.0), Some(4.0)));
        assert_eq!((ints("gain_ns")[0], ints("gained")[0], ints("estimated")[0]), (Some(22), Some(1), Some(1)));
    }

    #[test]
    fn without_steps_nothing_is_estimated() {
        let fixture = Fixture::new().request(0, Some(1), Some(9), 3).event("migrate", Some(2), (3, 5));
        let frame = compute(&Input::new("run", "target", &fixture.tables(), Window::Default)).unwrap();
        assert_eq!((ints(&frame, "gain_ns").unwrap()[0], ints(&frame, "moves").unwrap()[0]), (None, Some(1)));
    }
}
