//! Random schedules, for comparison with brute force.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::schedule::{On, Schedule, Step};

const QUEUES: [On; 3] = [On::Compute, On::Copy, On::Kv];

/// A schedule of that many operations, drawn by the seed: one to three devices, gaps, launch calls, host waits, and reads of
/// operations that ended before.
pub(crate) fn random(seed: u64, operations: usize) -> Schedule {
    let mut random = SmallRng::seed_from_u64(seed);
    let devices = random.random_range(1..=3);
    let mut free = vec![[0_i64; QUEUES.len()]; devices];
    let mut steps: Vec<Step> = Vec::new();
    for _ in 0..operations {
        let device = random.random_range(0..devices);
        // Half of all operations compute.
        let queue = [0, 0, 1, 2][random.random_range(0..4)];
        let step = draw(&mut random, &steps, device, queue, free[device][queue]);
        free[device][queue] = step.span.1;
        steps.push(step);
    }
    let end = free.iter().flatten().copied().max().unwrap_or(0);
    let window = end + random.random_range(1..50);
    let syncs = (0..=operations / 8).map(|_| draw_sync(&mut random, window)).collect();
    Schedule { devices, skews: vec![0], window, steps, syncs, link_bytes_per_s: None }
}

fn draw(random: &mut SmallRng, before: &[Step], device: usize, queue: usize, free: i64) -> Step {
    let mut reads: Vec<usize> = Vec::new();
    for _ in 0..random.random_range(0..3) {
        if !before.is_empty() {
            reads.push(random.random_range(before.len().saturating_sub(10)..before.len()));
        }
    }
    reads.sort_unstable();
    reads.dedup();
    let ready = reads.iter().map(|&read| before[read].span.1).max().unwrap_or(0).max(free);
    // Zero gaps are as likely as all others together.
    let gap = if random.random_bool(0.5) { 0 } else { random.random_range(1..60) };
    let start = ready + gap + i64::from(ready == 0);
    let span = (start, start + random.random_range(1..80));
    let call_end = random.random_range(0..=start);
    let call = (call_end - random.random_range(0..5), call_end);
    let (phase, name) = [("prefill", "kernel"), ("decode", "copy"), ("kv_transfer", "kv")][queue];
    let (rank, stage, on) = (0, device as i64, QUEUES[queue]);
    Step { name, rank, device, on, span, call, in_graph: false, phase, stage, micro_batch: 0, reads }
}

fn draw_sync(random: &mut SmallRng, window: i64) -> (i64, i64) {
    let start = random.random_range(0..window);
    (start, random.random_range(start..=window))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_schedules_are_possible_and_repeat_with_their_seed() {
        for seed in 0..200 {
            let schedule = random(seed, 40);
            assert_eq!(schedule.problem(), None, "seed {seed}");
            assert_eq!(format!("{schedule:?}"), format!("{:?}", random(seed, 40)));
        }
    }
}
