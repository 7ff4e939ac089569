//! The hand-written schedules. One column of a drawing is ten microseconds, from 0 at the left; all times are in
//! microseconds. `d0` is device 0, then the queue's role; a letter is the operation of that name; `=` marks a host call that
//! waits. A launch call is stated where it matters; elsewhere every launch call ends before the first operation.

use super::schedule::{On, Schedule, Step};

/// A case by name.
type Case = (&'static str, fn() -> Schedule);

static CASES: &[Case] = &[
    ("two_stage", two_stage),
    ("kv_wait", kv_wait),
    ("host_wait", host_wait),
    ("launch", launch),
    ("sync", sync),
    ("overlap", overlap),
];

/// The values of the parameter `case`.
pub(crate) fn case_names() -> impl Iterator<Item = &'static str> {
    CASES.iter().map(|case| case.0).chain(["random"])
}

/// The schedule of a hand-written case.
pub(crate) fn find_case(name: &str) -> Option<Schedule> {
    CASES.iter().find(|case| case.0 == name).map(|case| case.1())
}

/// A prefill kernel of one micro-batch, launched by a call at `[0, 1)`.
fn kernel(name: &'static str, device: usize, span: (i64, i64), micro_batch: i64, reads: &[usize]) -> Step {
    let (on, phase) = (On::Compute, "prefill");
    Step { name, device, on, span, call: (0, 1), phase, stage: device as i64, micro_batch, reads: reads.to_vec() }
}

/// The same as a decode kernel.
fn decode(name: &'static str, device: usize, span: (i64, i64), reads: &[usize]) -> Step {
    Step { phase: "decode", ..kernel(name, device, span, 0, reads) }
}

/// A copy between stages, on the copy queue.
fn copy(name: &'static str, device: usize, span: (i64, i64), micro_batch: i64, reads: &[usize]) -> Step {
    Step { on: On::Copy, ..kernel(name, device, span, micro_batch, reads) }
}

/// A KV hand-over.
fn kv(name: &'static str, device: usize, span: (i64, i64), micro_batch: i64, reads: &[usize]) -> Step {
    Step { on: On::Kv, phase: "kv_transfer", ..kernel(name, device, span, micro_batch, reads) }
}

/// Two stages, two micro-batches, then a decode step that waits for the second KV hand-over.
///
/// ```text
///             0         5         10        15
/// d0 compute  .AAABBB......EE.        A [10,40)  B [40,70)   E [130,150)
/// d0 copy     ....aaa.bb......        a [40,50)  b [70,78)
/// d1 compute  .....CCCDDD.....        C [50,80)  D [80,110)
/// d1 kv       ........cc.dd...        c [80,95)  d [110,130)
/// window [0,160)
/// ```
/// Reads: a A, b B, C a, D b, c C, d D, E c and d. Every launch call is [0,1).
///
/// * d0: A, B, b and E are work of the device: busy 30 + 30 + 8 + 20 = 88, idle 72. Before A [0,10): launch 10 (its call
///   starts at 0). Before E [78,130): kv_wait 15 (c) + 20 (d); the other 17 are launch (the call has ended). After E
///   [150,160): other 10.
/// * d0's compute queue: busy 80, idle 80. Before E [70,130): kv_wait 35, launch 25.
/// * d1: C, D, c and d fill [50,130): busy 80, idle 80. Before C [0,50): a runs in [40,50), so dependency_wait 10;
///   launch 40. After d [130,160): other 30.
/// * overlap on d1: kv total 35, hidden 15 (c under D), exposed 20. On d0: copy total 18, hidden 10 (a under B), exposed 8.
/// * bubble over hosts d0 and d1: p = 2, T = 160, compute 80 and 60: j = d0, s_j = 10, e_j = 150. imbalance 20,
///   fill_drain 2 * (10 + 10) = 40, transfer 2 * 35 = 70 (c and d carry E's input). In [70,80) and [95,110) of d0's gap C
///   and D compute, which make E's input through those copies: dependency 2 * 25 = 50. Sum 180 = 2 * 160 - 140.
fn two_stage() -> Schedule {
    let steps = vec![
        kernel("A", 0, (10, 40), 0, &[]),
        kernel("B", 0, (40, 70), 1, &[]),
        copy("a", 0, (40, 50), 0, &[0]),
        copy("b", 0, (70, 78), 1, &[1]),
        kernel("C", 1, (50, 80), 0, &[2]),
        kernel("D", 1, (80, 110), 1, &[3]),
        kv("c", 1, (80, 95), 0, &[4]),
        kv("d", 1, (110, 130), 1, &[5]),
        decode("E", 0, (130, 150), &[6, 7]),
    ];
    Schedule { devices: 2, window: 160, steps, syncs: Vec::new() }
}

/// One device whose decode waits for a KV hand-over that nothing hides.
///
/// ```text
///             0         5
/// d0 compute  AAAA....BB        A [0,40)  B [80,100)
/// d0 kv       .....aa...        a [50,70)
/// window [0,100)
/// ```
/// Reads: a A, B a. Launch calls [-2,-1).
///
/// * The KV queue is the device's: busy 40 + 20 + 20 = 80, idle 20: [40,50) before a, whose call has ended: launch 10;
///   [70,80) before B: launch 10.
/// * The compute queue's row: busy 60, idle 40 [40,80) before B: kv_wait 20, launch 20.
/// * overlap: kv total 20, hidden 0, exposed 20.
fn kv_wait() -> Schedule {
    let early = |step: Step| Step { call: (-2, -1), ..step };
    let steps = vec![
        early(kernel("A", 0, (0, 40), 0, &[])),
        early(kv("a", 0, (50, 70), 0, &[0])),
        early(decode("B", 0, (80, 100), &[1])),
    ];
    Schedule { devices: 1, window: 100, steps, syncs: Vec::new() }
}

/// The host launches late.
///
/// ```text
///             0         5
/// d0 compute  .AAA....BB        A [10,40), launched [5,8)   B [80,100), launched [70,75)
/// window [0,100)
/// ```
/// * busy 50, idle 50. The cut is at the start of the launch call: before A [0,10) host_wait 5, launch 5; before B [40,80)
///   host_wait 30, launch 10.
fn host_wait() -> Schedule {
    let steps = vec![
        Step { call: (5, 8), ..kernel("A", 0, (10, 40), 0, &[]) },
        Step { call: (70, 75), ..kernel("B", 0, (80, 100), 0, &[]) },
    ];
    Schedule { devices: 1, window: 100, steps, syncs: Vec::new() }
}

/// The device starts late although everything was launched.
///
/// ```text
///             0         5
/// d0 compute  ..AAA..BBB        A [20,50), launched [0,1)   B [70,100), launched [1,2)
/// window [0,100)
/// ```
/// * busy 60, idle 40: before A [0,20) launch 20 (c0 = 0); before B [50,70) launch 20.
fn launch() -> Schedule {
    let steps = vec![kernel("A", 0, (20, 50), 0, &[]), Step { call: (1, 2), ..kernel("B", 0, (70, 100), 0, &[]) }];
    Schedule { devices: 1, window: 100, steps, syncs: Vec::new() }
}

/// The host waits for the device before it launches more.
///
/// ```text
///             0         5
/// host        .======...        synchronises [10,65)
/// d0 compute  AAAA....BB        A [0,40), launched [-2,-1)   B [80,100), launched [70,72)
/// window [0,100)
/// ```
/// * busy 60, idle 40 [40,80) before B: sync 25 [40,65), host_wait 5 [65,70), launch 10 [70,80).
fn sync() -> Schedule {
    let steps = vec![
        Step { call: (-2, -1), ..kernel("A", 0, (0, 40), 0, &[]) },
        Step { call: (70, 72), ..kernel("B", 0, (80, 100), 0, &[]) },
    ];
    Schedule { devices: 1, window: 100, steps, syncs: vec![(10, 65)] }
}

/// Three kinds of work at once.
///
/// ```text
///             0         5
/// d0 compute  AAAAA.....        A [0,50)
/// d0 copy     ...aaaa...        a [30,70)
/// d0 kv       .....bbbb.        b [50,90)
/// window [0,100)
/// ```
/// * copy: total 40, hidden 20, exposed 20. kv: total 40, hidden 0, exposed 40.
/// * exclusive: compute 50, kv 40 (kv comes before copy), copy 0, idle 10.
/// * idle: [90,100) other 10.
fn overlap() -> Schedule {
    let steps = vec![kernel("A", 0, (0, 50), 0, &[]), copy("a", 0, (30, 70), 0, &[]), kv("b", 0, (50, 90), 0, &[])];
    let early = |step: Step| Step { call: (-2, -1), ..step };
    Schedule { devices: 1, window: 100, steps: steps.into_iter().map(early).collect(), syncs: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_possible() {
        for (name, schedule) in CASES {
            assert_eq!(schedule().problem(), None, "{name}");
        }
    }

    #[test]
    fn the_documented_busy_times_are_those_of_the_steps() {
        let busy = |name: &str, device: usize| -> i64 {
            let schedule = find_case(name).expect("a case");
            (0..schedule.window)
                .filter(|t| schedule.steps.iter().any(|s| s.device == device && s.span.0 <= *t && *t < s.span.1))
                .count() as i64
        };
        assert_eq!((busy("two_stage", 0), busy("two_stage", 1)), (80 + 8, 80));
        assert_eq!(
            ["kv_wait", "host_wait", "launch", "sync", "overlap"].map(|name| busy(name, 0)),
            [80, 50, 60, 60, 90]
        );
    }
}
