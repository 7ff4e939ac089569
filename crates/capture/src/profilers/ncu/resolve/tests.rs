use super::*;

const ALL: Wanted = Wanted { details: true, tensor_parts: false, in_ranges: false };

fn of<'a>(set: &'a MetricSet, quantity: &str) -> &'a [String] {
    set.chosen.iter().find(|(name, _)| *name == quantity).map_or(&[], |(_, metrics)| metrics)
}

fn catalog(names: &[&str]) -> Catalog {
    Catalog::of_names("x", names.iter().copied())
}

#[test]
fn the_first_way_that_the_chip_has_is_taken() {
    let few = ["gpu__time_duration", "dram__bytes_op_read", "dram__bytes_op_write"];
    let set = resolve(&catalog(&few), ALL).unwrap();
    assert_eq!(of(&set, "time"), ["gpu__time_duration.sum"]);
    assert_eq!(of(&set, "dram_bytes"), ["dram__bytes_op_read.sum", "dram__bytes_op_write.sum"]);
    assert!(set.unresolved.contains(&"f32") && !set.unresolved.contains(&"f32_pairs"));
    assert_eq!(set.metrics().len(), 3, "bytes by direction are the same metrics: {:?}", set.metrics());
    let set = resolve(&catalog(&[&few[..], &["dram__bytes"]].concat()), ALL).unwrap();
    assert_eq!(of(&set, "dram_bytes"), ["dram__bytes.sum"]);
}

#[test]
fn arithmetic_is_counted_on_the_sms_else_on_their_partitions_and_never_half() {
    let names = |unit: &str, operations: &[&str]| -> Vec<String> {
        let name = |operation| format!("{unit}__sass_thread_inst_executed_op_{operation}_pred_on");
        operations.iter().map(name).collect()
    };
    let with = |own: &[String]| {
        let all = own.iter().map(String::as_str).chain(["gpu__time_duration"]);
        resolve(&Catalog::of_names("x", all), ALL).unwrap()
    };
    let whole = ["fadd2", "fmul2", "ffma2", "fadd", "fmul", "ffma"];
    let both = [names("sm", &whole), names("smsp", &whole)].concat();
    assert_eq!(of(&with(&both), "f32")[0], "sm__sass_thread_inst_executed_op_fadd_pred_on.sum");
    assert_eq!(of(&with(&both), "f32_pairs")[2], "sm__sass_thread_inst_executed_op_ffma2_pred_on.sum");
    let mixed = [names("sm", &["fadd", "ffma"]), names("smsp", &whole[3..])].concat();
    assert_eq!(of(&with(&mixed), "f32")[1], "smsp__sass_thread_inst_executed_op_fmul_pred_on.sum");
    assert!(with(&names("sm", &["fadd", "ffma"])).unresolved.contains(&"f32"));
}

#[test]
fn without_time_or_bytes_there_is_no_roofline() {
    let missing = resolve(&catalog(&["dram__bytes"]), ALL).unwrap_err().to_string();
    assert!(missing.contains("counts no time (duration of a launch, in its replay) on x"), "{missing}");
    let missing = resolve(&catalog(&["gpu__time_duration", "dram__bytes_read"]), ALL).unwrap_err().to_string();
    assert!(missing.contains("counts no dram_bytes"), "{missing}");
}

#[test]
fn a_chip_whose_memory_is_not_counted_at_all_is_told_and_works() {
    let set = resolve(&catalog(&["gpu__time_duration"]), ALL).unwrap();
    assert!(set.unresolved.contains(&"dram_bytes") && set.unresolved.contains(&"dram_clock"));
}

#[test]
fn details_can_be_left_out() {
    let names = ["gpu__time_duration", "sm__warps_active", "smsp__average_warps_issue_stalled_wait_per_issue_active"];
    let all = resolve(&catalog(&names), ALL).unwrap();
    assert_eq!(of(&all, "stalls"), ["smsp__average_warps_issue_stalled_wait_per_issue_active.ratio"]);
    let few = resolve(&catalog(&names), Wanted { details: false, ..ALL }).unwrap();
    assert_eq!(few.metrics(), ["gpu__time_duration.sum"]);
    assert!(!few.unresolved.contains(&"occupancy"));
}

#[test]
fn over_a_range_single_operations_are_not_counted() {
    let names = ["gpu__time_duration", "smsp__inst_executed", "sm__sass_thread_inst_executed_op_ffma_pred_on"];
    let set = resolve(&catalog(&names), Wanted { in_ranges: true, ..ALL }).unwrap();
    assert_eq!(set.metrics(), ["gpu__time_duration.sum", "smsp__inst_executed.sum"]);
    assert!(set.unresolved.contains(&"f32") && set.unresolved.contains(&"peak_f32"));
}

#[test]
fn what_the_list_of_full_names_lacks_is_left_out() {
    let names = ["gpu__time_duration", "dram__bytes", "dram__cycles_elapsed"];
    let set = resolve(&catalog(&names), ALL).unwrap();
    assert_eq!(set.bases(), ["dram__bytes", "dram__cycles_elapsed", "gpu__time_duration"]);
    let full = ["gpu__time_duration.sum", "dram__bytes.sum", "dram__cycles_elapsed.avg.per_second"];
    let confirmed = set.clone().confirm(&catalog(&full)).unwrap();
    assert_eq!(confirmed.metrics(), [full[0], full[2], full[1]]);
    assert!(confirmed.unresolved.contains(&"peak_dram"));
    let missing = set.confirm(&catalog(&full[1..])).unwrap_err();
    assert!(missing.reason.contains("counts no time"), "{missing}");
}

#[test]
fn a_pattern_covers_what_lies_between_its_ends() {
    assert!(
        is_like("a__stalled_wait_per_x", "a__stalled_*_per_x") && !is_like("a__stalled__per_x", "a__stalled_*_per_x")
    );
    assert!(!is_like("ab", "ab*b"), "the ends may not share a letter");
}
