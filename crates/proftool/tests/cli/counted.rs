//! Counts of CUPTI's range profiler, as the recorder writes them, through to the roofline.

use serde_json::Value;

use super::support::{Place, repository};

/// Written by the recorder in a program of its tests (`crates/inject/tests/counting_program.c`, mode `plain 3`) on a double
/// of an H100: gemm, copy, gemm, which count once, twice and three times 200 us, 64 + 32 MiB, 2 x 4096^3 operations of
/// bf16 on the tensor cores, and 1, 2 and 3 million additions, FMAs and multiplications of FP32.
const FILE: &str = "crates/import/src/cupti/testdata/rank0.pid44.cupti.trace";

fn near(value: &Value, expected: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value} is a number near {expected}"));
    assert!((found / expected - 1.0).abs() <= 1e-5, "{found} instead of {expected}");
}

#[test]
fn what_cupti_counts_is_placed_under_the_roof_as_worked_out_by_hand() {
    let place = Place::new();
    place.ok(&["import", &repository().join(FILE).to_string_lossy()]);
    let ran = place.ok(&["roofline", "--format", "json"]);
    let rows: Vec<Value> = serde_json::from_str(&ran.out).expect("an array");
    // The gemm's two launches are four times the first, the copy's one is twice.
    for (name, launches, times) in [("gemm(float*)", 2, 4), ("copy(float*)", 1, 2)] {
        let row = rows.iter().find(|row| row["name"] == name).expect(name);
        let (matrix, vector, bytes) = (times * 137_438_953_472_i64, times * 8_000_000, times * 100_663_296);
        assert_eq!((&row["launches"], &row["time_ns"]), (&launches.into(), &(times * 200_000).into()));
        assert_eq!((&row["flop"], &row["dram_bytes"]), (&(matrix + vector).into(), &bytes.into()));
        near(&row["arithmetic_intensity"], 1_365.412_806);
        near(&row["flop_per_s"], 687.234_767e12);
        // At 989.43 and 66.908 TFLOP/s 138,907.2 and 119.6 ns: more than the bytes' 30,028 ns at 3.352 TB/s.
        near(&row["bound_ns"], times as f64 * 139_026.8);
        near(&row["efficiency_ratio"], 0.695_134);
        assert_eq!((&row["limiter"], &row["precision"]), (&"compute".into(), &"matrix_bf16".into()));
        assert_eq!((&row["flop_source"], &row["bytes_source"]), (&"counter".into(), &"counter".into()));
        assert_eq!(row["formula_id"], "sass+tensor-ops-aggregate+dram-bytes/cupti-13.5");
        assert_eq!(row["time_source"], "replay (pass cupti_counters)");
    }
    assert_eq!(rows.len(), 2);
}
