//! Failures, migrations and full memory, worked out by hand.

use super::*;

/// Everything to the first device as long as that is up, and on to the second at every period.
struct Fixed;

impl Policy for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }
    fn place_prefill(&mut self, _: &crate::Ask<'_>, view: &View<'_>, _: &mut crate::Explanation) -> Option<usize> {
        view.devices.iter().position(|state| state.up)
    }
    fn place_decode(&mut self, _: &crate::Ask<'_>, view: &View<'_>, _: &mut crate::Explanation) -> Option<usize> {
        view.devices.iter().position(|state| state.up)
    }
    fn plan_migrations(&mut self, _: &View<'_>, plan: &mut Vec<Migration>) {
        plan.push(Migration { from: 0, to: 1, count: 9, gap: 0.0 });
    }
}

fn fixed(requests: &[(i64, u32, u32)], capacities: [u64; 2], options: &Options) -> All {
    let cluster = cluster(capacities.map(|capacity| device(Role::Mixed, capacity)).to_vec());
    let mut all = All::default();
    simulate(&workload(requests), &cluster, &mut Fixed, &mut Everyone, options, &mut all).expect("sound");
    all.outcomes.sort_by_key(|outcome| outcome.request);
    all
}

fn failing(at_ns: i64) -> Options {
    Options { changes: vec![Change { at_ns, device: 0, up: false }], ..Options::default() }
}

#[test]
fn tokens_that_were_out_before_a_device_failed_stay_out() {
    // First token at 1100, steps of 1110, 1111, 1112 ns and more: the device fails in the fourth.
    let down_ns = 1100 + 1110 + 1111 + 1112 + 500;
    let all = fixed(&[(0, 10, 50)], [1000; 2], &failing(down_ns));
    // Ten tokens of the prompt and four that are out are computed again, and the fifth comes out.
    let again_ns = down_ns + 1000 + 140;
    let end_ns = again_ns + (0..45).map(|step| 1100 + 14 + step).sum::<i64>();
    assert_eq!((all.outcomes[0].end_ns, all.outcomes[0].output_tokens), (end_ns, 50));
    let steps: Vec<(u8, i64, u64)> = all.runs.iter().map(|run| (run.device, run.end_ns, run.steps)).collect();
    assert_eq!(steps, [(0, 1100, 1), (0, down_ns - 500, 3), (1, again_ns, 1), (1, end_ns, 45)]);
    let decode: Vec<(i64, i64)> = of(&all, SpanKind::Decode).map(|span| (span.start_ns, span.end_ns)).collect();
    assert_eq!(decode, [(1100, down_ns), (again_ns, end_ns)]);
    // The prediction of the placement that was asked for.
    assert_eq!(all.outcomes[0].predicted_ttft_ns, 1100);
}

fn of(all: &All, kind: SpanKind) -> impl Iterator<Item = &Span> {
    all.spans.iter().filter(move |span| span.kind == kind)
}

#[test]
fn the_wait_of_requests_whose_device_failed_is_told_without_a_gap() {
    let all = fixed(&[(0, 100, 3); 12], [1000; 2], &failing(5000));
    for outcome in &all.outcomes {
        let before = |span: &&Span| span.request == outcome.request && Some(span.end_ns) <= outcome.first_token_ns;
        let told = of(&all, SpanKind::Queued).chain(of(&all, SpanKind::Prefill)).filter(before);
        let told_ns: i64 = told.map(|span| span.end_ns - span.start_ns).sum();
        assert_eq!(Some(told_ns), outcome.first_token_ns.map(|at_ns| at_ns - outcome.arrival_ns), "{outcome:?}");
    }
    assert!(of(&all, SpanKind::Queued).any(|span| span.device == 0 && span.end_ns == 5000));
}

#[test]
fn a_request_is_not_moved_to_where_it_does_not_fit() {
    let options = Options { migration_period_ns: Some(2000), ..Options::default() };
    let small = fixed(&[(0, 60, 40), (0, 5, 40)], [1000, 50], &options);
    let moved: Vec<(Status, u16)> = small.outcomes.iter().map(|outcome| (outcome.status, outcome.migrations)).collect();
    assert_eq!(moved, [(Status::Ok, 0), (Status::Ok, 1)]);
}

#[test]
fn no_policy_gives_a_context_to_a_device_that_cannot_hold_it_where_others_can() {
    let requests: Vec<(i64, u32, u32)> =
        (0..40).map(|number| (number * 9000, 20 + 10 * (number as u32 % 10), 5)).collect();
    for maker in policies::POLICIES {
        for roles in [[Role::Mixed; 4], [Role::Prefill, Role::Prefill, Role::Decode, Role::Decode]] {
            let devices = roles.into_iter().zip([60, 400, 60, 400]).map(|(role, capacity)| device(role, capacity));
            let all = run(&workload(&requests), &cluster(devices.collect()), maker.name, &Options::default());
            assert!(all.outcomes.iter().all(|outcome| outcome.status == Status::Ok), "{}", maker.name);
        }
    }
}

#[test]
fn the_only_one_that_decodes_gives_way_to_prompts_and_is_served_later() {
    let mut preempted = 0;
    for at_ns in (0..80_000).step_by(400) {
        let all = fixed(&[(0, 10, 100), (at_ns, 150, 3)], [200; 2], &Options::default());
        assert!(all.outcomes.iter().all(|outcome| outcome.status == Status::Ok), "{at_ns}: {:?}", all.outcomes);
        preempted += u32::from(all.outcomes[0].preemptions);
    }
    assert!(preempted > 0);
}

#[test]
fn one_that_lost_its_memory_comes_before_those_who_are_sent_there() {
    // Two of 40 tokens grow until the second gives way; from then on there is always one who would take the memory.
    let mut requests = vec![(0, 40, 30), (1, 40, 30)];
    requests.extend((0..300).map(|number| (3000 + number * 600, 30, 4)));
    let apart = cluster(vec![device(Role::Prefill, 1 << 40), device(Role::Decode, 100)]);
    let all = run(&workload(&requests), &apart, "round_robin", &Options::default());
    assert!(all.outcomes.iter().all(|outcome| outcome.status == Status::Ok));
    let lost: Vec<&Span> = of(&all, SpanKind::Preempt).filter(|span| span.request < 2).collect();
    assert!(!lost.is_empty());
    for span in lost {
        let after = |own: bool| {
            let decode = of(&all, SpanKind::Decode).filter(move |other| (other.request == span.request) == own);
            decode.map(|other| other.start_ns).filter(|&start_ns| start_ns > span.start_ns)
        };
        let back_ns = after(true).min().expect("goes on");
        // Only those go before it whose context had come already, or was on its way: three of them fit.
        let before = after(false).filter(|&start_ns| start_ns < back_ns).count();
        assert!(before <= 3, "{before} before {span:?}");
    }
}

#[test]
fn memory_of_a_request_that_fits_nowhere_is_used_at_once() {
    let devices = vec![device(Role::Prefill, 100), device(Role::Prefill, 100), device(Role::Decode, 50)];
    let requests = [(0, 40, 9), (1, 4, 1), (2, 40, 5), (3, 60, 2), (4, 4, 1), (5, 60, 1)];
    let all = run(&workload(&requests), &cluster(devices), "round_robin", &Options::default());
    let failed: Vec<u32> = all.outcomes.iter().filter(|one| one.status != Status::Ok).map(|one| one.request).collect();
    assert_eq!(failed, [3]);
}

#[test]
fn a_device_that_comes_back_to_a_full_pool_is_off() {
    let devices = vec![device(Role::Mixed, 2000); 3];
    let mut autoscale = scaling::eager(&devices);
    autoscale.decode.iter_mut().for_each(|scaling| scaling.most = 1);
    let change = |at_ns, up| Change { at_ns, device: 0, up };
    let changes = vec![change(12_000, false), change(40_000, true)];
    let options = Options { autoscale: Some(autoscale), changes, ..Options::default() };
    let requests: Vec<(i64, u32, u32)> = (0..30).map(|number| (number * 5_000, 60, 3)).collect();
    let all = run(&workload(&requests), &cluster(devices), "least_loaded", &options);
    let after = [(12_000, 0, Duty::Failed), (15_000, 1, Duty::Starting), (18_000, 1, Duty::Serving)];
    assert_eq!(all.duties[2..], [&after[..], &[(40_000, 0, Duty::Off)]].concat());
}

#[test]
fn admission_says_when_nobody_decodes() {
    let cluster = cluster(vec![device(Role::Prefill, 1000), device(Role::Decode, 1000)]);
    let changes = vec![Change { at_ns: 0, device: 1, up: false }];
    let options = Options { changes, ..Options::default() };
    let mut policy = policies::find("round_robin").expect("known").with(&BTreeMap::new(), 7).expect("defaults");
    let mut all = All::default();
    let some = workload(&[(5, 10, 2)]);
    simulate(&some, &cluster, policy.as_mut(), &mut Predicted::default(), &options, &mut all).expect("sound");
    assert_eq!(all.outcomes[0].status, Status::Rejected("no device decodes"));
}
