//! Times the projection of R ranges over L launches: `nesting R L` prints both, the seconds and a check sum.
//!
//! Four threads, each a tree of ranges seven deep with three children a range, as a training loop draws them; launches are
//! spread over the leaves and run later, on two queues that overlap.

use std::time::Instant;

use proftool_timeline::nesting::{Operation, Range, project};

const THREADS: u32 = 4;
const DEPTH: u32 = 7;

/// Adds a range and its children; returns the time after it.
fn tree(ranges: &mut Vec<Range>, lane: u32, begin: i64, level: u32, left: &mut usize) -> i64 {
    let place = ranges.len();
    ranges.push(Range { lane, id: place as i64, span: (begin, begin) });
    *left -= 1;
    let mut now = begin + 2;
    for _ in 0..3 {
        if level + 1 < DEPTH && *left > 0 {
            now = tree(ranges, lane, now, level + 1, left) + 1;
        } else {
            now += 10;
        }
    }
    ranges[place].span.1 = now;
    now
}

fn main() {
    let mut arguments = std::env::args().skip(1).map_while(|text| text.parse::<usize>().ok());
    let (range_count, launch_count) = (arguments.next().unwrap_or(3_800_000), arguments.next().unwrap_or(1_000_000));
    let (mut ranges, mut ends) = (Vec::new(), Vec::new());
    for lane in 0..THREADS {
        let (mut left, mut now) = (range_count / THREADS as usize, 0);
        while left > 0 {
            now = tree(&mut ranges, lane, now, 0, &mut left) + 5;
        }
        ends.push(now);
    }
    let operations: Vec<Operation> = (0..launch_count)
        .map(|launch| {
            let (lane, number) = (launch % THREADS as usize, (launch / THREADS as usize) as i64);
            let slots = (launch_count / THREADS as usize).max(1) as i64;
            let begin = (i128::from(ends[lane]) * i128::from(number) / i128::from(slots)) as i64;
            let start = begin + 40 + number % 7;
            Operation { lane: lane as u32, launch: launch as u32, call: (begin, begin + 1), span: (start, start + 30) }
        })
        .collect();
    let begun = Instant::now();
    let found = project(&ranges, &operations);
    let seconds = begun.elapsed().as_secs_f64();
    let sum = found.ranges.iter().fold(0_i64, |sum, range| sum.wrapping_add(range.busy).wrapping_add(range.own_busy));
    println!("ranges={} launches={} seconds={seconds:.3} check={sum}", ranges.len(), operations.len());
}
