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
    ("comm_wait", comm_wait),
    ("bubble", bubble),
    ("kv_half_hidden", kv_half_hidden),
    ("graph", graph),
    ("skew", skew),
    ("straggler", straggler),
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
    let (rank, stage, reads) = (0, device as i64, reads.to_vec());
    Step { name, rank, device, on, span, call: (0, 1), in_graph: false, phase, stage, micro_batch, reads }
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

/// Communication, on the comm queue.
fn comm(name: &'static str, device: usize, span: (i64, i64), reads: &[usize]) -> Step {
    Step { on: On::Comm, ..kernel(name, device, span, 0, reads) }
}

/// One rank on a true clock, nothing that waits on the host, no links.
fn schedule(devices: usize, window: i64, steps: Vec<Step>) -> Schedule {
    Schedule { devices, skews: vec![0], window, steps, syncs: Vec::new(), link_bytes_per_s: None }
}

/// The step, launched before the block begins.
fn early(step: Step) -> Step {
    Step { call: (-2, -1), ..step }
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
    schedule(2, 160, steps)
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
    let steps = vec![
        early(kernel("A", 0, (0, 40), 0, &[])),
        early(kv("a", 0, (50, 70), 0, &[0])),
        early(decode("B", 0, (80, 100), &[1])),
    ];
    schedule(1, 100, steps)
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
    schedule(1, 100, steps)
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
    schedule(1, 100, steps)
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
    Schedule { syncs: vec![(10, 65)], ..schedule(1, 100, steps) }
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
    schedule(1, 100, steps.into_iter().map(early).collect())
}

/// Compute that waits for communication.
///
/// ```text
///             0         5
/// d0 compute  AAA....BBB        A [0,30)   B [70,100)
/// d0 comm     ...aaa....        a [30,60)
/// window [0,100)
/// ```
/// Reads: a A, B a. Launch calls [-2,-1).
///
/// * The compute queue's row: busy 60, idle 40 [30,70) before B: comm_wait 30, launch 10.
/// * The device: busy 90, idle 10 [60,70): launch 10. overlap: comm total 30, hidden 0, exposed 30.
fn comm_wait() -> Schedule {
    let steps = vec![
        early(kernel("A", 0, (0, 30), 0, &[])),
        early(comm("all_reduce", 0, (30, 60), &[0])),
        early(kernel("B", 0, (70, 100), 0, &[1])),
    ];
    schedule(1, 100, steps)
}

/// A bubble that has all six parts.
///
/// ```text
///             0         5         10        15
/// d0 compute  .AAA..BB..CC.EE.FFF.     A [10,40)  B [60,80)  C [100,120)  E [130,150)  F [160,190)
/// d1 compute  ....P..QQ...........     P [40,50)  Q [70,90)
/// d1 copy     .....t.......u......     t [50,58)  u [124,130)
/// window [0,200)
/// ```
/// Reads: t P, B t, C A, u Q, E u, F E. Every launch call is [0,1).
///
/// * p = 2, T = 200, compute 120 and 30: j = d0, s_j = 10, e_j = 190. imbalance 90, fill_drain 2 * (10 + 10) = 40.
/// * Before B [40,60): dependency 10 (P computes), transfer 8 (t), host 2. Before C [80,100): host 20. Before E
///   [120,130): other 4 (u has not begun, Q has ended), transfer 6. Before F [150,160): host 10.
/// * So transfer 2 * 14 = 28, host 2 * 32 = 64, dependency 20, other 8. Sum 250 = 2 * 200 - 150.
fn bubble() -> Schedule {
    let steps = vec![
        kernel("A", 0, (10, 40), 0, &[]),
        kernel("P", 1, (40, 50), 0, &[]),
        copy("t", 1, (50, 58), 0, &[1]),
        kernel("B", 0, (60, 80), 0, &[2]),
        kernel("Q", 1, (70, 90), 1, &[]),
        kernel("C", 0, (100, 120), 1, &[0]),
        copy("u", 1, (124, 130), 1, &[4]),
        kernel("E", 0, (130, 150), 1, &[6]),
        kernel("F", 0, (160, 190), 1, &[7]),
    ];
    schedule(2, 200, steps)
}

/// A KV hand-over of which the sender's prefill hides half.
///
/// ```text
///             0         5         10        15
/// d0 compute  AAAABBBB........         A [0,40)  B [40,80)
/// d0 kv       ......aaaa......         a [60,100), to d1
/// d1 compute  ...........DDDD.         D [110,150), decode
/// window [0,160)
/// ```
/// Reads: a A, D a. Launch calls [-2,-1). The link carries 20 GB/s, the transfer 400 kB in 40 us: half of it.
///
/// * kv total 40, hidden 20 (under B), exposed 20; 10 GB/s, link ratio 0.5.
/// * d1: busy 40, idle 120. Before D [0,110): kv_wait 40, launch 70. After it [150,160): other 10.
fn kv_half_hidden() -> Schedule {
    let steps = vec![
        early(kernel("A", 0, (0, 40), 0, &[])),
        early(kernel("B", 0, (40, 80), 1, &[])),
        early(kv("a", 0, (60, 100), 0, &[0])),
        early(decode("D", 1, (110, 150), &[2])),
    ];
    Schedule { link_bytes_per_s: Some(20e9), ..schedule(2, 160, steps) }
}

/// A graph of three nodes, launched twice.
///
/// ```text
///             0         5         10        15
/// host        ==...==...........      launches [0,5) and [50,55)
/// d0 compute  .AABB.CC..AABB.CC.      A [10,30) B [30,50) C [60,80), then A [100,120) B [120,140) C [150,170)
/// window [0,180)
/// ```
/// * 2 launches of 3 nodes; each spans 70 and computes 60: inside 10 of gaps a launch. Between the launches [80,100) 20.
///   From the end of the call to the first node 5 and 45.
/// * Idle 60: [0,10), [50,60), [80,100) and [140,150) launch 50 (their calls have begun); [170,180) other 10.
fn graph() -> Schedule {
    let node = |name, span, call, in_graph| Step { call, in_graph, ..kernel(name, 0, span, 0, &[]) };
    let launch = |first: i64, call: (i64, i64)| {
        let spans = [("A", (0, 20)), ("B", (20, 40)), ("C", (50, 70))];
        spans.map(|(name, (start, end))| node(name, (first + start, first + end), call, start > 0))
    };
    schedule(1, 180, [launch(10, (0, 5)), launch(100, (50, 55))].concat())
}

/// The same on two ranks, the clock of the second 137 us ahead.
///
/// ```text
///                  0         5
/// rank 0 compute   AAAA......       A [0,40), three times: 100 later each
/// rank 0 comm      ....aa....       a [40,60)
/// rank 1           the same
/// window [0,300)
/// ```
/// Every operation is launched in the microsecond before the first A. Of the ends of the three collectives rank 1 is 137
/// ahead, always: 137 us are taken off its times, and nothing remains. Nobody waits for the other: a takes 20.
fn skew() -> Schedule {
    of_two_ranks([40, 40], 20, 100)
}

/// As [`skew`], and the second rank computes longer.
///
/// ```text
///                  0         5         10
/// rank 0 compute   AAAA........     A [0,40)
/// rank 0 comm      ....aaaaaa..     a [40,100): it waits 40 for rank 1
/// rank 1 compute   AAAAAAAA....     A [0,80)
/// rank 1 comm      ........aa..     a [80,100)
/// window [0,360), three times: 120 later each
/// ```
/// The last to arrive is rank 1, three times, 40 late each: rank 0 waits 120 in all, and a transfer takes 20.
fn straggler() -> Schedule {
    of_two_ranks([40, 80], 20, 120)
}

/// Three rounds of compute, then a collective that begins when a rank is ready and ends `transfer` after both are.
fn of_two_ranks(computes: [i64; 2], transfer: i64, round: i64) -> Schedule {
    let mut steps = Vec::new();
    let end = computes[0].max(computes[1]) + transfer;
    for first in [0, round, 2 * round] {
        for (rank, compute) in computes.into_iter().enumerate() {
            let computing = early(kernel("A", 0, (first, first + compute), first / round, &[]));
            let reduce = early(comm("all_reduce", 0, (first + compute, first + end), &[steps.len()]));
            steps.extend([computing, reduce].map(|step| Step { rank, ..step }));
        }
    }
    Schedule { skews: vec![0, 137], ..schedule(1, 3 * round, steps) }
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
