//! One device against a simulator that goes step by step.

use super::*;

/// Step by step, without runs, heaps or epochs: one mixed device, no prefixes, memory for all.
fn naive(workload: &Workload, device: &Device) -> Vec<(i64, i64)> {
    let mut left: Vec<(u32, u32)> =
        workload.requests.iter().map(|request| (request.prompt_tokens, request.output_tokens)).collect();
    let mut times = vec![(0, 0); left.len()];
    let mut batch: Vec<usize> = Vec::new();
    let (mut begun, mut now, mut seats) = (0, 0, Vec::new());
    // The first who arrives at an idle device begins at once, alone.
    let mut idle = false;
    while times.iter().any(|&(_, end)| end == 0) {
        let decoding: Vec<usize> = batch.iter().copied().filter(|&at| left[at].0 == 0).collect();
        let kv: u64 = decoding
            .iter()
            .map(|&at| {
                let request = &workload.requests[at];
                u64::from(request.prompt_tokens + request.output_tokens - left[at].1 - 1)
            })
            .sum();
        let mut room = device.step_tokens - decoding.len() as u32;
        let mut chunks = Vec::new();
        for &at in batch.iter().filter(|&&at| left[at].0 > 0) {
            let take = left[at].0.min(room);
            room -= take;
            if take > 0 {
                chunks.push((at, take));
            }
        }
        while room > 0
            && begun < left.len()
            && (workload.requests[begun].arrival_ns < now || std::mem::take(&mut idle))
            && batch.len() < device.most_sequences as usize
        {
            let take = left[begun].0.min(room);
            room -= take;
            chunks.push((begun, take));
            batch.push(begun);
            begun += 1;
        }
        if decoding.is_empty() && chunks.is_empty() {
            now = workload.requests[begun].arrival_ns;
            idle = true;
            continue;
        }
        let tokens: u32 = chunks.iter().map(|(_, take)| take).sum();
        now += 1000 + 10 * i64::from(tokens) + 100 * decoding.len() as i64 + kv as i64;
        for at in decoding {
            left[at].1 -= 1;
            seats.push(at);
        }
        for (at, take) in chunks {
            left[at].0 -= take;
            if left[at].0 == 0 {
                left[at].1 -= 1;
                times[at].0 = now;
                seats.push(at);
            }
        }
        for at in seats.drain(..).filter(|&at| left[at].1 == 0) {
            times[at].1 = now;
            batch.retain(|&other| other != at);
        }
    }
    times
}

proptest! {
    #[test]
    fn it_equals_a_naive_simulator_to_the_nanosecond(
        requests in prop::collection::vec((0_i64..60_000, 1_u32..200, 1_u32..40), 1..40),
    ) {
        let (workload, device) = (workload(&requests), device(Role::Mixed, 1 << 40));
        let all = run(&workload, &cluster(vec![device.clone()]), "least_loaded", &Options::default());
        // Who arrives at the very end of a step is in time for the next only amid steps that were computed at once.
        let ends: Vec<i64> = all.runs.iter().flat_map(Run::ends_ns).collect();
        if workload.requests.iter().any(|request| ends.contains(&request.arrival_ns)) {
            return Ok(());
        }
        let got: Vec<(i64, i64)> =
            all.outcomes.iter().map(|outcome| (outcome.first_token_ns.unwrap_or(-1), outcome.end_ns)).collect();
        prop_assert_eq!(got, naive(&workload, &device));
    }
}
