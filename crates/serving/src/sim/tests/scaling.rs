//! Replicas that start and stop with the load.

use super::*;

/// Both pools of a cluster from one device to all, at any sign of load.
pub(super) fn eager(devices: &[Device]) -> Autoscale {
    let scaling = |decodes: bool| {
        let most = devices.iter().filter(|device| device.role.decodes() == decodes).count();
        let (up, down) = (Load { queue_length: 1.0, usage_ratio: 0.5 }, Load { queue_length: 0.5, usage_ratio: 0.2 });
        (most > 0).then_some(Scaling { least: 1, most, up, down })
    };
    Autoscale { period_ns: 5_000, start_up_ns: 3_000, prefill: scaling(false), decode: scaling(true) }
}

/// A quiet time, a rush, and a quiet time: requests and how the devices' duties changed.
fn rush(autoscale: Option<Autoscale>) -> All {
    let quiet = (0..20).map(|number| (number * 20_000, 60, 3));
    let rush = (0..900).map(|number| (400_000 + number * 460, 60, 3));
    let after = (0..20).map(|number| (900_000 + number * 20_000, 60, 3));
    let requests: Vec<(i64, u32, u32)> = quiet.chain(rush).chain(after).collect();
    let options = Options { autoscale, sample_period_ns: Some(5_000), ..Options::default() };
    run(&workload(&requests), &cluster(vec![device(Role::Mixed, 2000); 4]), "least_loaded", &options)
}

fn slowest(all: &All) -> i64 {
    let ttft = |outcome: &Outcome| outcome.first_token_ns.expect("served") - outcome.arrival_ns;
    all.outcomes.iter().map(ttft).max().expect("some")
}

#[test]
fn a_pool_grows_in_a_rush_and_shrinks_after_it() {
    let devices = vec![device(Role::Mixed, 2000); 4];
    let scaled = rush(Some(eager(&devices)));
    assert!(scaled.outcomes.iter().all(|outcome| outcome.status == Status::Ok));
    assert_eq!(scaled.duties[..3], [(0, 1, Duty::Off), (0, 2, Duty::Off), (0, 3, Duty::Off)]);
    let up = |at_ns| {
        scaled
            .samples
            .iter()
            .rfind(|(at, _)| *at <= at_ns)
            .map_or(0, |(_, states)| states.iter().filter(|state| state.up).count())
    };
    assert_eq!((up(300_000), up(700_000), up(1_250_000)), (1, 4, 1));
    // As fast as four from the start once they are there, and faster than one alone.
    let one =
        Autoscale { decode: eager(&devices).decode.map(|scaling| Scaling { most: 1, ..scaling }), ..eager(&devices) };
    let (alone, all) = (slowest(&rush(Some(one))), slowest(&rush(None)));
    assert!(slowest(&scaled) < alone / 4 && slowest(&scaled) > all, "{} {alone} {all}", slowest(&scaled));
}

#[test]
fn a_start_takes_its_time_and_a_stop_ends_what_was_begun() {
    let devices = vec![device(Role::Mixed, 2000); 4];
    let scaled = rush(Some(eager(&devices)));
    for device in 1..4 {
        let own: Vec<(i64, Duty)> =
            scaled.duties.iter().filter(|change| change.1 == device).map(|&(at_ns, _, duty)| (at_ns, duty)).collect();
        for pair in own.windows(2) {
            let took_ns = pair[1].0 - pair[0].0;
            match (pair[0].1, pair[1].1) {
                (Duty::Off, Duty::Starting) | (Duty::Serving, Duty::Draining) => assert_eq!(pair[1].0 % 5_000, 0),
                (Duty::Starting, Duty::Serving) => assert_eq!(took_ns, 3_000),
                (Duty::Draining, Duty::Off | Duty::Serving) => {}
                other => panic!("{other:?}"),
            }
        }
        // Nothing is computed while it is off.
        for run in scaled.runs.iter().filter(|run| usize::from(run.device) == device) {
            let before = own.iter().rfind(|&&(at_ns, _)| at_ns < run.end_ns).expect("off at first");
            assert!(matches!(before.1, Duty::Serving | Duty::Draining), "{run:?} {before:?}");
        }
    }
    // At most one a period.
    let decided: Vec<i64> = scaled.duties[3..]
        .iter()
        .filter(|change| matches!(change.2, Duty::Starting | Duty::Draining))
        .map(|change| change.0)
        .collect();
    assert!(decided.len() >= 6 && decided.windows(2).all(|pair| pair[0] < pair[1]), "{decided:?}");
}

#[test]
fn a_busy_prefill_pool_grows_by_its_usage_before_anybody_waits() {
    let devices = vec![device(Role::Prefill, 2000), device(Role::Prefill, 2000), device(Role::Decode, 9000)];
    let (up, down) = (Load { queue_length: 1e9, usage_ratio: 0.8 }, Load { queue_length: 1.0, usage_ratio: 0.3 });
    let prefill = Some(Scaling { least: 1, most: 2, up, down });
    let autoscale = Some(Autoscale { period_ns: 20_000, start_up_ns: 0, prefill, decode: None });
    // A prompt takes 1600 ns: every 1800 ns it is used to 8/9, every 3000 to 8/15.
    let every = |period_ns| {
        let requests: Vec<(i64, u32, u32)> = (0..100_i64).map(|number| (number * period_ns, 60, 1)).collect();
        let options = Options { autoscale: autoscale.clone(), ..Options::default() };
        run(&workload(&requests), &cluster(devices.clone()), "least_loaded", &options).duties
    };
    assert_eq!(every(3000), [(0, 1, Duty::Off)]);
    assert_eq!(every(1800)[..3], [(0, 1, Duty::Off), (20_000, 1, Duty::Starting), (20_000, 1, Duty::Serving)]);
}

#[test]
fn a_pool_that_lost_a_replica_starts_another() {
    let devices = vec![device(Role::Mixed, 2000); 2];
    let options = Options {
        autoscale: Some(eager(&devices)),
        changes: vec![Change { at_ns: 12_000, device: 0, up: false }],
        ..Options::default()
    };
    let requests: Vec<(i64, u32, u32)> = (0..30).map(|number| (number * 5_000, 60, 3)).collect();
    let all = run(&workload(&requests), &cluster(devices), "least_loaded", &options);
    let after = [(12_000, 0, Duty::Failed), (15_000, 1, Duty::Starting), (18_000, 1, Duty::Serving)];
    assert_eq!(all.duties[1..], after);
    let failed = all.outcomes.iter().filter(|outcome| outcome.status != Status::Ok).count();
    assert!((1..=2).contains(&failed), "{failed}");
}

#[test]
fn pools_that_cannot_follow_are_refused() {
    let cluster = cluster(vec![device(Role::Mixed, 2000); 2]);
    let eager = eager(&cluster.devices);
    let with = |change: fn(&mut Scaling)| {
        let mut wrong = eager.clone();
        wrong.decode.iter_mut().for_each(change);
        wrong.check(&cluster)
    };
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(with(|scaling| scaling.most = 3), Err(SetupError::Pool { pool: "decode", least: 1, most: 3, has: 2 }));
    assert_eq!(with(|scaling| scaling.least = 0), Err(SetupError::Pool { pool: "decode", least: 0, most: 2, has: 2 }));
    assert_eq!(with(|scaling| scaling.down.usage_ratio = 0.5), Err(SetupError::Thresholds("decode")));
    assert_eq!(with(|scaling| scaling.up.queue_length = f64::NAN), Err(SetupError::Thresholds("decode")));
}
