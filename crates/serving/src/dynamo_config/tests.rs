//! The course's file, and what is refused.

use super::*;
use crate::admission::Predicted;
use crate::{Load, Outcome, Request, Scaling, Sink, Status, Tier, Workload, simulate};

const COURSE: &str = "\
model: llama-70b
split_policy:
  prompt_length_threshold: 256
  prefix_cache_weight: 10.0
  queue_length_weight: 1.5
  decode_load_weight: 0.5
  enable_hotspot_prevention: true
cache:
  reuse_prefix: true
  min_cache_hit_ratio: 0.75
autoscale:
  prefill:
    min_replicas: 4
    max_replicas: 12
    scale_up: {queue_length: 8, gpu_utilization: 80}
    scale_down: {queue_length: 2, gpu_utilization: 40}
  decode:
    min_replicas: 8
    max_replicas: 24
    scale_up: {queue_length: 16, kv_cache_usage: 75}
    scale_down: {queue_length: 4, kv_cache_usage: 30}
qos:
  enable_early_rejection: true
  low_priority_threshold_ms: 500
  reject_on_slo_violation: true
";

#[test]
fn the_courses_file_means_what_it_says() {
    let config = DynamoConfig::read(COURSE).expect("whole");
    assert_eq!(config.model.name, "llama-3.1-70b");
    let load = |queue_length, usage_ratio| Load { queue_length, usage_ratio };
    let scaling = |least, most, up, down| Some(Scaling { least, most, up, down });
    assert_eq!(
        config.autoscale,
        Some(Autoscale {
            prefill: scaling(4, 12, load(8.0, 0.8), load(2.0, 0.4)),
            decode: scaling(8, 24, load(16.0, 0.75), load(4.0, 0.3)),
            ..Autoscale::default()
        })
    );
    assert_eq!(config.admission, EarlyRejection::default());
    assert!(config.reuse_prefix && config.policy(1).is_ok());
    // The policy's defaults are the course's values.
    for knob in policies::dynamo_config::MAKER.knobs {
        assert!(
            config.knobs.get(knob.name).is_none_or(|value| value.to_bits() == knob.default.to_bits()),
            "{}",
            knob.name
        );
    }
    assert_eq!(config.knobs.len(), 6);
    let cluster = config.cluster("h100-sxm", 4.0).expect("fits");
    assert_eq!((cluster.devices.len(), cluster.devices[0].cost_per_hour.to_bits()), (36, 8.0_f64.to_bits()));
    assert_eq!((cluster.check(), config.autoscale.expect("scales").check(&cluster)), (Ok(()), Ok(())));
}

#[test]
fn what_is_left_out_has_the_courses_value_and_no_pool_scales() {
    let config = DynamoConfig::read("model: llama-8b\n").expect("enough");
    assert_eq!((config.model.name, config.autoscale.clone()), ("llama-3.1-8b", None));
    assert_eq!((config.reuse_prefix, config.admission), (true, EarlyRejection::default()));
    assert_eq!(config.cluster("h100-sxm", 4.0).expect("fits").devices.len(), 12);
}

fn refused(from: &str, to: &str) -> String {
    assert!(COURSE.contains(from));
    DynamoConfig::read(&COURSE.replace(from, to)).expect_err("wrong").to_string()
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    let unknown = refused("queue_length_weight", "queue_lenght_weight");
    assert_eq!(unknown, "no knob is called split_policy.queue_lenght_weight (hint: did you mean queue_length_weight?)");
    let strange = refused("reuse_prefix: true", "colour: true");
    assert_eq!(strange, "no knob is called cache.colour (hint: there is reuse_prefix, min_cache_hit_ratio)");
    assert!(refused("qos:", "quality:").starts_with("no knob is called quality (hint: there is model, split_policy"));
    let range = refused("min_cache_hit_ratio: 0.75", "min_cache_hit_ratio: 75");
    assert_eq!(range, "cache.min_cache_hit_ratio: 75 is not allowed (hint: a number from 0 to 1)");
    let flag = refused("enable_early_rejection: true", "enable_early_rejection: perhaps");
    assert_eq!(flag, "qos.enable_early_rejection: \"perhaps\" is not allowed (hint: true or false)");
    let part = refused("min_replicas: 4", "min_replicas: 4.5");
    assert_eq!(part, "autoscale.prefill.min_replicas: 4.5 is not allowed (hint: a whole number from 1 to 64)");
    assert_eq!(
        refused("min_replicas: 4", "min_replicas: 13"),
        "autoscale.prefill.min_replicas: it is above max_replicas"
    );
    let down = refused("queue_length: 4, kv_cache_usage: 30", "queue_length: 4, kv_cache_usage: 75");
    assert!(down.starts_with("autoscale.decode.scale_down.kv_cache_usage: it must be below scale_up's"), "{down}");
    assert!(refused("    max_replicas: 24\n", "").starts_with("autoscale.decode.max_replicas is missing"));
    assert!(refused("max_replicas: 24", "max_replicas: 60").starts_with("autoscale: 72 replicas in all are too many"));
    let alone = "autoscale: {decode: {min_replicas: 1, max_replicas: 61, scale_up: {queue_length: 2, kv_cache_usage: 75}, \
                 scale_down: {queue_length: 1, kv_cache_usage: 30}}}";
    let fixed = DynamoConfig::read(alone).expect_err("four fixed ones").to_string();
    assert!(fixed.starts_with("autoscale: 65 replicas in all are too many"), "{fixed}");
    assert!(refused("kv_cache_usage: 75", "kv_cache_usage: .nan").contains("a number from 0 to 100"));
    assert!(
        refused("llama-70b", "gpt-5").starts_with("model: the shape of gpt-5 is not known (hint: one of llama-3.1-8b")
    );
    assert!(refused("qos:\n", "qos:\n- a\n").starts_with("not a YAML file"));
    assert!(DynamoConfig::read("- 1\n").expect_err("a list").to_string().ends_with("it is a list"));
    assert!(DynamoConfig::read("cache: {reuse_prefix: true, reuse_prefix: false}").is_err());
}

#[derive(Default)]
struct Kept(Vec<Outcome>);

impl Sink for Kept {
    fn outcome(&mut self, outcome: &Outcome) {
        self.0.push(*outcome);
    }
}

/// Served, refused for the free tier's limit, and refused for the SLO, in a rush under a file.
fn rush(text: &str) -> [usize; 3] {
    let config = DynamoConfig::read(text).expect("whole");
    let mut workload = Workload { block_tokens: 16, ..Workload::default() };
    for number in 0..600_i64 {
        let tier = Tier::ALL[number as usize % 3];
        let prompt_tokens = if number % 2 == 0 { 6000 } else { 200 };
        workload.push(
            Request { arrival_ns: number * 3_000_000, prompt_tokens, output_tokens: 50, tier, ..Request::default() },
            &[],
        );
    }
    let (cluster, mut admission) = (config.cluster("h100-sxm", 4.0).expect("fits"), config.admission);
    let (mut policy, mut kept) = (config.policy(1).expect("allowed"), Kept::default());
    let options = config.options(Options::default());
    simulate(&workload, &cluster, policy.as_mut(), &mut admission, &options, &mut kept).expect("sound");
    assert_eq!(kept.0.len(), 600);
    let count = |status: Status| kept.0.iter().filter(|outcome| outcome.status == status).count();
    let limit = Status::Rejected("predicted TTFT is above the limit of the free tier");
    let missed =
        kept.0.iter().filter(|outcome| matches!(outcome.status, Status::Rejected(_)) && outcome.status != limit);
    [count(Status::Ok), count(limit), missed.count()]
}

#[test]
fn a_run_under_the_file_refuses_whom_it_says() {
    let [ok, free, missed] = rush(COURSE);
    assert!(ok > 100 && free > 10 && missed > 10, "{ok} {free} {missed}");
    let mild = COURSE.replace("reject_on_slo_violation: true", "reject_on_slo_violation: false");
    let [_, free, missed] = rush(&mild);
    assert!(free > 10 && missed == 0, "{free} {missed}");
    assert_eq!(rush(&mild.replace("enable_early_rejection: true", "enable_early_rejection: false")), [600, 0, 0]);
    let none = DynamoConfig::read("qos: {enable_early_rejection: false}").expect("enough").admission;
    assert_eq!(none, EarlyRejection { free_ttft_ns: None, predicted: Some(Predicted::default()) });
}
