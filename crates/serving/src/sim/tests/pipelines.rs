//! Pipelined replicas against hand-worked cases and a naive pipeline.

use super::*;

/// Gives a device stages, without time between them.
pub(super) fn stage(device: &mut Device, stages: u32, micro_tokens: u32) {
    device.steps.pipeline = Pipeline { stages, micro_tokens, ..Pipeline::default() };
    device.step_tokens = stages * micro_tokens;
}

fn staged(stages: u32) -> Device {
    let mut device = Device { most_sequences: 64, ..device(Role::Mixed, 1 << 40) };
    stage(&mut device, stages, 64);
    device.steps.compute.kv_token = 0.0;
    device
}

fn first_tokens(requests: &[(i64, u32, u32)], stages: u32) -> Vec<i64> {
    let all = run(&workload(requests), &cluster(vec![staged(stages)]), "round_robin", &Options::default());
    all.outcomes.iter().map(|outcome| outcome.first_token_ns.expect("served")).collect()
}

#[test]
fn chunks_of_a_prompt_follow_each_other_through_the_stages() {
    // Four chunks of 64 tokens, 1000 + 640 on the whole model: 410 a stage, 4 + 4 - 1 of them.
    assert_eq!(first_tokens(&[(0, 256, 1)], 4), [7 * 410]);
    // Ten chunks: two full steps and one of two.
    assert_eq!(first_tokens(&[(0, 640, 1)], 4), [13 * 410]);
    assert_eq!(first_tokens(&[(0, 640, 1)], 1), [10 * 1640]);
    // A chunk alone is no faster than without stages.
    assert_eq!(first_tokens(&[(0, 64, 1)], 4), first_tokens(&[(0, 64, 1)], 1));
}

#[test]
fn the_prediction_for_an_empty_pipeline_is_what_happens() {
    for prompt in [64, 128, 640, 64 * 37] {
        let all = run(&workload(&[(0, prompt, 1)]), &cluster(vec![staged(4)]), "predicted_ttft", &Options::default());
        assert_eq!(Some(all.outcomes[0].predicted_ttft_ns), all.outcomes[0].first_token_ns);
    }
}

#[test]
fn requests_that_decode_come_round_in_the_time_of_their_part_of_the_batch() {
    // Eight requests over four stages: micro-batches of two, (1000 + 200) / 4 a stage, four stages a token.
    let all = run(&workload(&[(0, 8, 30); 8]), &cluster(vec![staged(4)]), "round_robin", &Options::default());
    let last: Vec<i64> = all.runs.iter().filter(|run| run.sequences == 8).flat_map(Run::ends_ns).collect();
    assert!(last.len() > 20 && last.windows(2).all(|pair| pair[1] - pair[0] == 1200), "{last:?}");
    assert_eq!(last.windows(2).map(|pair| pair[1] - pair[0]).max(), Some(round(4, 8)));
}

/// Time between the tokens of a request, once steady, of a naive pipeline: micro-batches of `requests / stages` that start
/// again when they have come out of the last stage.
fn round(stages: usize, requests: usize) -> i64 {
    let stage_ns = (1000 + 100 * (requests / stages) as i64) / stages as i64;
    let mut free = vec![0; stages];
    let mut back = vec![vec![0]; stages];
    for turn in 0..20 {
        for micro in &mut back {
            let mut at: i64 = micro[turn];
            for free in &mut free {
                at = at.max(*free) + stage_ns;
                *free = at;
            }
            micro.push(at);
        }
    }
    back[0][20] - back[0][19]
}

/// First tokens of a naive pipeline: each chunk goes through each stage when that is free and the stage before has it.
fn naive(requests: &[(i64, u32, u32)], stages: usize) -> Vec<i64> {
    let stage_ns = 1640 / stages as i64;
    let mut free = vec![0; stages];
    let mut ends = Vec::new();
    for &(arrival_ns, prompt, _) in requests {
        let mut out = 0;
        for _ in 0..prompt / 64 {
            let mut at = arrival_ns;
            for free in &mut free {
                at = at.max(*free) + stage_ns;
                *free = at;
            }
            out = at;
        }
        ends.push(out);
    }
    ends
}

proptest! {
    #[test]
    fn prompts_that_wait_together_leave_as_from_a_naive_pipeline(
        chunks in prop::collection::vec(1_u32..30, 1..20),
        stages in prop::sample::select(vec![1_u32, 2, 4, 5]),
    ) {
        let requests: Vec<(i64, u32, u32)> = chunks.iter().map(|&chunks| (0, 64 * chunks, 1)).collect();
        prop_assert_eq!(first_tokens(&requests, stages), naive(&requests, stages as usize));
    }

    /// One that arrives amid a step waits for its end: at most the time of a chunk on the whole model.
    #[test]
    fn prompts_that_arrive_amid_steps_are_late_by_less_than_one(
        mut requests in prop::collection::vec((0_i64..100_000, 1_u32..30), 1..20),
    ) {
        requests.sort_unstable();
        let requests: Vec<(i64, u32, u32)> = requests.iter().map(|&(at_ns, chunks)| (at_ns, 64 * chunks, 1)).collect();
        let (got, naive) = (first_tokens(&requests, 4), naive(&requests, 4));
        for (got, naive) in got.iter().zip(&naive) {
            prop_assert!((0..1640).contains(&(got - naive)), "{} {}", got, naive);
        }
    }
}

#[test]
fn long_contexts_go_to_the_pipeline_and_short_ones_to_the_pool() {
    let model = crate::Model::find("llama-3.1-8b").expect("known");
    let cluster = crate::scenarios::find("pipeline_and_pool").expect("known").cluster(model, None, None).expect("fits");
    let mut mixed = Workload { block_tokens: 16, ..Workload::default() };
    for number in 0..200_i64 {
        let prompt_tokens = if number % 10 == 0 { 24_000 } else { 400 };
        mixed.push(
            Request { arrival_ns: number * 60_000_000, prompt_tokens, output_tokens: 8, ..Request::default() },
            &[],
        );
    }
    for policy in ["predicted_ttft", "least_delay"] {
        let all = run(&mixed, &cluster, policy, &Options::default());
        let piped = |long: bool| {
            let of = all.outcomes.iter().filter(|outcome| (outcome.prompt_tokens > 1000) == long);
            let on = of.clone().filter(|outcome| outcome.prefill_device == Some(0)).count();
            on as f64 / of.count() as f64
        };
        assert!(piped(true) > 0.9 && piped(false) < 0.4, "{policy}: {} {}", piped(true), piped(false));
    }
}
