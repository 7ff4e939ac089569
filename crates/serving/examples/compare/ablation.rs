//! What each feature of `ewma_score` is good for: the policy at its defaults, with one feature off (or on) at a time.

use proftool_serving::evaluation::{Case, Entry, Error, Half, Score, Source, difference, in_order, score};
use proftool_serving::sources::{Lengths, Synthetic};
use proftool_serving::{Change, Link, policies};

use crate::statement::ratio;
use crate::tables::{head, mean, number, row};
use crate::{Args, Failure, Found, LOADS};

const SECOND_NS: i64 = 1_000_000_000;

/// A feature: what it is called in the table, its knob and the value without (or with) it.
const FEATURES: [(&str, &str, f64); 6] = [
    ("EWMA off: only the newest observation", "ewma_alpha", 1.0),
    ("KV locality off", "kv_locality", 0.0),
    ("cost penalty on (0.3; off by default)", "cost_penalty", 0.3),
    ("NUMA bias off", "numa_bias", 0.0),
    ("hysteresis off: any gap of scores moves requests", "migration_gap", 0.0),
    ("migrations off", "migration_budget", 0.0),
];

/// The tables.
pub(crate) fn section(all: &[Found], args: &Args) -> Result<String, Failure> {
    let mut text = "\n## `ewma_score`: one feature off at a time\n\n\
        Defaults, second half, load 0.8, relative to the policy with all features: negative TTFT numbers mean that the policy is better without \
        the feature. Two cases are only here: a slow link (5 GB/s) between the NUMA nodes, and long answers while two decode devices fail and come back: what migrations are for.\n"
        .to_owned();
    let shown = all
        .iter()
        .filter(|found| matches!(found.case.source, Source::Recorded { .. }) || found.case.name.ends_with("tenants"));
    let mut cases: Vec<(Case, f64)> = shown.map(|found| (found.case.clone(), LOADS[1] * found.rates.best)).collect();
    if let Some(found) = all.iter().find(|found| found.case.name == "flagship_vs_mid, tenants") {
        cases.extend([apart(&found.case, LOADS[1] * found.rates.best), returning(&found.case)]);
    }
    for (case, load) in &cases {
        text.push_str(&table(case, *load, args)?);
    }
    Ok(text)
}

/// The same where the NUMA nodes are joined by a slow link.
fn apart(case: &Case, load: f64) -> (Case, f64) {
    let mut case = Case { name: "flagship_vs_mid, NUMA nodes apart", ..case.clone() };
    case.cluster.numa_link = Some(Link { bytes_per_s: 5e9, ..Link::default() });
    (case, load)
}

/// The lab's cluster with long answers, where two decode devices are down from 20 s to 60 s.
fn returning(case: &Case) -> (Case, f64) {
    let shape = Synthetic {
        requests: 2000,
        per_s: 16.0,
        output_tokens: Lengths::Uniform(500, 4000),
        prompt_tokens: Lengths::Uniform(100, 1200),
        ..Synthetic::default()
    };
    let change = |device: usize, at_s: i64, up: bool| Change { at_ns: at_s * SECOND_NS, device, up };
    let changes = vec![change(2, 20, false), change(3, 20, false), change(2, 60, true), change(3, 60, true)];
    let case =
        Case { name: "flagship_vs_mid, devices return", source: Source::Synthetic(shape), changes, ..case.clone() };
    (case, 1.0)
}

fn table(case: &Case, load: f64, args: &Args) -> Result<String, Error> {
    let Some(maker) = policies::find("ewma_score") else { return Ok(String::new()) };
    let full = Entry::default_of(maker);
    let entries: Vec<Entry> =
        std::iter::once(full.clone()).chain(FEATURES.iter().map(|(_, knob, value)| full.with(knob, *value))).collect();
    let seeds: Vec<u64> = (0..args.seeds).collect();
    let runs = in_order(&seeds, args.threads, |&seed| {
        let mut workload = case.source.workload(Half::Shown, seed);
        workload.scale(load);
        entries.iter().map(|entry| score(case, &workload, entry, seed)).collect::<Result<Vec<Score>, Error>>()
    });
    let runs: Vec<Vec<Score>> = runs.into_iter().collect::<Result<_, _>>()?;
    let mut text = format!("\n### {}\n\n", case.name);
    let names = ["", "p99 TTFT %", "TTFT deviation %", "p99 TPOT %", "tokens/s %", "goodput %", "migrations"];
    head(&mut text, &names.map(str::to_owned));
    for (at, name) in std::iter::once("all features").chain(FEATURES.map(|feature| feature.0)).enumerate() {
        row(&mut text, line(&runs, at, name));
    }
    Ok(text)
}

fn line(runs: &[Vec<Score>], at: usize, name: &str) -> Vec<String> {
    let own: Vec<Score> = runs.iter().map(|scores| scores[at].clone()).collect();
    let change = |of: &dyn Fn(&Score) -> f64| {
        let logs: Vec<f64> =
            runs.iter().map(|scores| (of(&scores[at]).max(1e-9) / of(&scores[0]).max(1e-9)).ln()).collect();
        if at == 0 { number(mean(&own, of)) } else { ratio(difference(&logs, 4)) }
    };
    vec![
        name.to_owned(),
        change(&|score| score.summary.ttft_ns.map_or(0.0, |ttft| ttft[2] as f64 / 1e6)),
        change(&|score| score.summary.ttft_stddev_ns.unwrap_or(0.0) / 1e6),
        change(&|score| score.summary.tpot_ns.map_or(0.0, |tpot| tpot[2] as f64 / 1e6)),
        change(&|score| score.summary.output_tokens_per_s),
        change(&|score| score.summary.goodput_requests_per_s),
        number(mean(&own, |score| score.summary.migrations as f64)),
    ]
}
