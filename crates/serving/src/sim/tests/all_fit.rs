//! Where every request fits, every request is served.

use super::random::Restless;
use super::*;

proptest! {
    #[test]
    fn requests_that_fit_everywhere_are_all_served_whole(
        seed in 0_u64..1_000_000,
        roles in prop::collection::vec(0_u8..3, 1..5),
        capacity in 210_u64..900,
        policy in 0_usize..policies::POLICIES.len(),
        [staged, restless] in any::<[bool; 2]>(),
    ) {
        let mut random = SmallRng::seed_from_u64(seed);
        let mut workload = Workload { block_tokens: 16, distinct_blocks: 40, ..Workload::default() };
        for _ in 0..60 {
            let prompt_tokens = random.random_range(1..160);
            let start = random.random_range(0..30_u32);
            let blocks: Vec<u32> = (0..prompt_tokens / 16).map(|at| start + at).collect();
            let (arrival_ns, output_tokens) = (random.random_range(0..200_000), random.random_range(1..40));
            workload.push(Request { arrival_ns, prompt_tokens, output_tokens, ..Request::default() }, &blocks);
        }
        workload.sort();
        let role = |number: u8| [Role::Mixed, Role::Prefill, Role::Decode][number as usize];
        let mut devices: Vec<Device> = roles.iter().map(|&number| device(role(number), capacity)).collect();
        if staged {
            devices.iter_mut().step_by(2).for_each(|device| pipelines::stage(device, 3, 16));
        }
        let cluster = cluster(devices);
        if cluster.check().is_err() {
            return Ok(());
        }
        let options = Options { migration_period_ns: restless.then_some(5_000), ..Options::default() };
        let name = policies::POLICIES[policy].name;
        let mut policy = Restless(policies::find(name).expect("known").with(&BTreeMap::new(), seed).expect("defaults"));
        let mut all = All::default();
        simulate(&workload, &cluster, &mut policy, &mut Everyone, &options, &mut all).expect("sound");
        for outcome in &all.outcomes {
            prop_assert_eq!(outcome.status, Status::Ok, "{} of {:?}", outcome.request, cluster);
        }
    }
}
