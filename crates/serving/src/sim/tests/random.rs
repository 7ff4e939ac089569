//! What must hold in every run.

use super::*;

proptest! {
    #[test]
    fn every_request_ends_once_and_every_token_has_its_step(
        seed in 0_u64..1000,
        roles in prop::collection::vec(0_u8..3, 1..5),
        capacity in 150_u64..900,
        policy in 0_usize..policies::POLICIES.len(),
        down in prop::collection::vec((0_i64..200_000, 0_usize..5, any::<bool>()), 0..6),
        [staged, scaled, hurried, alone] in any::<[bool; 4]>(),
    ) {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut workload = Workload { block_tokens: 16, distinct_blocks: 40, ..Workload::default() };
        for _ in 0..60 {
            let prompt_tokens = random.random_range(1..160);
            let start = random.random_range(0..30_u32);
            let blocks: Vec<u32> = (0..prompt_tokens / 16).map(|at| start + at).collect();
            let request = Request {
                arrival_ns: random.random_range(0..200_000),
                prompt_tokens,
                output_tokens: random.random_range(1..40),
                ..Request::default()
            };
            workload.push(request, &blocks);
        }
        workload.sort();
        let role = |number: u8| [Role::Mixed, Role::Prefill, Role::Decode][number as usize];
        let mut devices: Vec<Device> = roles.iter().map(|&number| device(role(number), capacity)).collect();
        if staged {
            devices.iter_mut().step_by(2).for_each(|device| pipelines::stage(device, 3, 16));
        }
        let count = devices.len();
        let options = Options {
            migration_period_ns: Some(5_000),
            changes: down.iter().map(|&(at_ns, device, up)| Change { at_ns, device: device % count, up }).collect(),
            sample_period_ns: Some(700),
            autoscale: scaled.then(|| scaling::eager(&devices)),
            deadlines_ns: [None, hurried.then_some(20_000), None],
            no_prefix_cache: alone,
            ..Options::default()
        };
        let cluster = cluster(devices);
        let name = policies::POLICIES[policy].name;
        let mut restless = Restless(policies::find(name).expect("known").with(&BTreeMap::new(), seed).expect("defaults"));
        let mut all = All::default();
        let done = simulate(&workload, &cluster, &mut restless, &mut Everyone, &options, &mut all);
        prop_assert_eq!(&done, &cluster.check());
        if done.is_err() {
            prop_assert_eq!(all, All::default());
            return Ok(());
        }
        all.outcomes.sort_by_key(|outcome| outcome.request);
        let numbers: Vec<u32> = all.outcomes.iter().map(|outcome| outcome.request).collect();
        prop_assert_eq!(numbers, (0..60).collect::<Vec<u32>>());
        for outcome in &all.outcomes {
            let request = &workload.requests[outcome.request as usize];
            prop_assert!(outcome.end_ns >= outcome.first_token_ns.unwrap_or(outcome.arrival_ns));
            if outcome.status == Status::Ok {
                prop_assert_eq!(outcome.output_tokens, request.output_tokens);
            }
        }
        for device in 0..count as u8 {
            let runs: Vec<&Run> = all.runs.iter().filter(|run| run.device == device).collect();
            prop_assert!(runs.windows(2).all(|pair| pair[0].end_ns <= pair[1].start_ns));
            prop_assert!(runs.iter().all(|run| run.sequences <= 4));
        }
        for (_, states) in &all.samples {
            prop_assert!(states.iter().all(|state| state.kv_tokens <= capacity), "{states:?}");
        }
        // Without failures each generated token has a step: the first of a prompt (or of one computed again) is not decoded.
        if down.is_empty() {
            let decoded: u64 = all.runs.iter().map(|run| run.sequences * run.steps).sum();
            let out: u64 = all.outcomes.iter().map(|outcome| u64::from(outcome.output_tokens)).sum();
            let prefills = all.spans.iter().filter(|span| span.kind == SpanKind::Prefill).count() as u64;
            prop_assert_eq!(decoded + prefills, out);
        }
    }
}

/// Moves requests about without a reason.
pub(super) struct Restless(pub(super) Box<dyn Policy>);

impl Policy for Restless {
    fn name(&self) -> &'static str {
        "restless"
    }
    fn place_prefill(&mut self, ask: &crate::Ask<'_>, view: &View<'_>, why: &mut crate::Explanation) -> Option<usize> {
        self.0.place_prefill(ask, view, why)
    }
    fn place_decode(&mut self, ask: &crate::Ask<'_>, view: &View<'_>, why: &mut crate::Explanation) -> Option<usize> {
        self.0.place_decode(ask, view, why)
    }
    fn plan_migrations(&mut self, view: &View<'_>, plan: &mut Vec<Migration>) {
        let count = view.devices.len();
        let from = (view.now_ns / 5_000) as usize % count;
        plan.push(Migration { from, to: (from + 1) % count, count: 2, gap: 0.0 });
    }
}
