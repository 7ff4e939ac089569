//! Queues against theory.

use super::*;

/// Mean time in the queue, in seconds, where each of `servers` serves one request after the other; jobs go round, which for
/// constant services is the same as one queue for all.
fn mean_wait_s(services_s: &[f64], seed: u64, per_s: f64, servers: usize) -> f64 {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut workload = Workload { block_tokens: 16, ..Workload::default() };
    let mut at_s = 0.0;
    for service_s in services_s {
        at_s -= (1.0 - random.random::<f64>()).ln() / per_s;
        let request = Request {
            arrival_ns: (at_s * 1e9) as i64,
            // A prompt token is a microsecond.
            prompt_tokens: ((service_s * 1e6).round() as u32).max(1),
            output_tokens: 1,
            ..Request::default()
        };
        workload.push(request, &[]);
    }
    let server = Device {
        steps: StepModel { compute: Cost { prefill_token: 1000.0, ..Cost::default() }, ..StepModel::default() },
        step_tokens: u32::MAX,
        most_sequences: 1,
        ..device(Role::Mixed, 1 << 50)
    };
    let all = run(&workload, &cluster(vec![server; servers]), "round_robin", &Options::default());
    let waits = all.spans.iter().filter(|span| span.kind == SpanKind::Queued).map(|span| span.end_ns - span.start_ns);
    waits.sum::<i64>() as f64 / 1e9 / services_s.len() as f64
}

/// Means of independent runs: their mean, and the half width of its 99.9 % interval.
fn over_seeds(run: impl Fn(u64) -> f64) -> (f64, f64) {
    let means: Vec<f64> = (0..60).map(run).collect();
    let mean = means.iter().sum::<f64>() / 60.0;
    let variance = means.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 59.0;
    // Student's t with 59 degrees of freedom.
    (mean, 3.463 * (variance / 60.0).sqrt())
}

/// Mean wait of M/D/c in service times (Crommelin 1932): sum over i of e^(-icr) times the tails of the Poisson terms.
fn crommelin(servers: usize, load: f64) -> f64 {
    let mut wait = 0.0;
    for i in 1..400_usize {
        let (mean, from) = ((i * servers) as f64 * load, i * servers);
        let mut term = (0..from).fold(-mean, |log, j| log + mean.ln() - ((j + 1) as f64).ln()).exp();
        let (mut tail, mut j) = (0.0, from);
        let first = term;
        while j < from + 2000 {
            tail += term;
            j += 1;
            term *= mean / j as f64;
        }
        wait += tail - (tail - first) / load;
    }
    wait
}

#[test]
fn queues_wait_as_long_as_theory_says() {
    const JOBS: usize = 20_000;
    // M/M/1 at a load of 0.7: r / (m - l), with services of 10 ms in the mean.
    let (wait_s, half) = over_seeds(|seed| {
        let mut random = SmallRng::seed_from_u64(seed + 1_000_000);
        let services: Vec<f64> = (0..JOBS).map(|_| -(1.0 - random.random::<f64>()).ln() * 0.01).collect();
        mean_wait_s(&services, seed, 70.0, 1)
    });
    assert!((wait_s - 0.7 / 30.0).abs() < half && half < 0.001, "{wait_s} +- {half}");
    // M/D/1: half of that. M/D/4: Crommelin's sum, which for one server is the same.
    assert!((crommelin(1, 0.7) - 0.7 / 0.6).abs() < 1e-9, "{}", crommelin(1, 0.7));
    for servers in [1, 4] {
        let (wait_s, half) = over_seeds(|seed| mean_wait_s(&vec![0.01; JOBS], seed, 70.0 * servers as f64, servers));
        let theory_s = crommelin(servers, 0.7) * 0.01;
        assert!((wait_s - theory_s).abs() < half && half < 0.1 * theory_s, "{servers}: {wait_s} +- {half}, {theory_s}");
    }
}
