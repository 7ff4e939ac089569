//! What an artifact states about how it was made: every option that changes what is in it, with its value.

use std::collections::BTreeMap;

use super::artifacts::SAMPLES_NS;
use super::cases::Case;
use super::requests::shape;
use super::setup::{DYNAMO_POLICY, Setup};
use super::values::{Fail, Step};

type Named = (&'static str, Option<String>);

/// The parameters of a case, as targets name theirs: those that mean nothing in it are not there.
pub(super) fn parameters(case: &Case, setup: &Setup<'_>) -> BTreeMap<String, String> {
    let given = cluster(setup).into_iter().chain(requests(case, setup)).chain(router(case, setup));
    let given = given.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let knobs = setup.knobs_of(case.maker);
    let knobs = case.maker.knobs.iter().map(|knob| {
        let value = knobs.get(knob.name).copied().unwrap_or(knob.default);
        (knob.name.to_owned(), value.to_string())
    });
    given.chain(knobs).collect()
}

fn cluster(setup: &Setup<'_>) -> [Named; 6] {
    let decode = setup.cluster.devices.iter().filter(|device| device.role.decodes()).count();
    let prefill = setup.cluster.devices.len() - decode;
    let fails: Vec<String> = setup.args.fail.iter().map(Fail::to_string).collect();
    [
        ("scenario", Some(setup.cluster.name.clone())),
        ("dynamo_config", setup.args.dynamo_config.as_ref().map(|path| path.display().to_string())),
        ("model", Some(setup.model.to_owned())),
        ("prefill_gpus", Some(prefill.to_string())),
        ("decode_gpus", Some(decode.to_string())),
        ("fail", Some(fails.join(",")).filter(|fails| !fails.is_empty())),
    ]
}

fn requests(case: &Case, setup: &Setup<'_>) -> [Named; 12] {
    let args = setup.args;
    let (trace, shape) = (setup.trace(), shape(args, case.seed));
    let seconds = |ns: Option<i64>| ns.map(|ns| (ns as f64 / 1e9).to_string());
    let made_up = |value: String| trace.is_none().then_some(value);
    // A trace's tiers are its own unless they are given.
    let tiers = args.tiers.or(trace.is_none().then_some(shape.tiers));
    let count = args.requests.map(|requests| requests.to_string());
    [
        ("requests_from", Some(trace.unwrap_or("none").to_owned())),
        ("from_s", seconds(args.from)),
        ("until_s", seconds(args.until)),
        ("requests", count.or_else(|| made_up(shape.requests.to_string())).or(Some("all".to_owned()))),
        ("arrival_rate", made_up(shape.per_s.to_string())),
        ("burst_factor", made_up(shape.burst_factor.to_string())),
        ("tenants", made_up(shape.tenants.to_string())),
        ("shared_tokens", made_up(shape.shared_tokens.to_string()).filter(|_| shape.tenants > 0)),
        ("premium_share", tiers.map(|(premium, _)| premium.to_string())),
        ("free_share", tiers.map(|(_, free)| free.to_string())),
        ("load", Some(case.load.to_string())),
        ("step", args.step.as_ref().map(Step::to_string)),
    ]
}

fn router(case: &Case, setup: &Setup<'_>) -> [Named; 8] {
    let args = setup.args;
    let admission = if args.dynamo_config.is_some() { DYNAMO_POLICY } else { &args.admission };
    let reserves = ["predicted", "early_rejection"].contains(&admission);
    let listed = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
    [
        ("policy", Some(case.maker.name.to_owned())),
        ("admission", Some(admission.to_owned())),
        ("reserve", reserves.then(|| args.reserve.to_string())),
        ("slo_ttft_ms", Some(listed(&args.slo_ttft_ms))),
        ("slo_tpot_ms", Some(listed(&args.slo_tpot_ms))),
        ("deadline_ms", Some(listed(&args.deadline_ms)).filter(|deadlines| !deadlines.is_empty())),
        ("migration_period_ms", Some(args.migration_period_ms.to_string())),
        ("sample_period_ms", Some((SAMPLES_NS as f64 / 1e6).to_string())),
    ]
}
