//! Columns whose names do not bound their values.

/// Places in time and differences of clocks: any sign.
const PLACES: &[(&str, &str)] = &[
    ("bubble_iteration", "start_ns"),
    ("collectives", "start_ns"),
    ("critical_operations", "start_ns"),
    ("critical_operations", "end_ns"),
    ("device_load", "start_ns"),
    ("device_load", "end_ns"),
    ("gaps", "start_ns"),
    ("gaps", "end_ns"),
    ("gaps", "call_start_ns"),
    ("gaps", "call_end_ns"),
    // What moves cost more than they brought.
    ("migrations", "gain_ns"),
    ("queue_depth", "start_ns"),
    ("queue_depth", "end_ns"),
    ("ranges", "first_ns"),
    ("ranks", "offset_ns"),
    ("ranks", "refined_ns"),
    ("serving_time", "start_ns"),
    ("serving_time", "end_ns"),
    ("settling", "from_ns"),
    ("slowest_requests", "arrival_ns"),
    ("steps", "start_ns"),
];

/// Ratios that are not the share of a part in its whole.
const NO_SHARES: &[(&str, &str)] = &[
    // Time over time that is not part of it.
    ("kv_transfer", "interference_ratio"),
    // Overhead over ideal time.
    ("bubble", "ideal_overhead_ratio"),
    // Below 0 where a clock ran faster than its specification.
    ("throttling", "spec_drop_ratio"),
    // The most over the mean, or over what follows; deviation over mean; too much or too little over all.
    ("load_balance", "imbalance_ratio"),
    ("load_balance", "requests_imbalance_ratio"),
    ("load_balance", "tokens_imbalance_ratio"),
    ("load_balance", "busy_cv_ratio"),
    ("settling", "overshoot_ratio"),
    ("calibration", "bias_ratio"),
    // Against a roof, which a stated or measured one can be below.
    ("kv_transfer", "link_ratio"),
    ("copies", "roof_ratio"),
    ("collective_sizes", "link_ratio"),
];

/// Tables of bounds against roofs, whose points may lie above them (the metric `triage` says why).
const ROOFS: &str = "roof";

pub(super) fn may_be_negative(place: (&str, &str)) -> bool {
    PLACES.contains(&place)
}

pub(super) fn may_exceed_one(place: (&str, &str)) -> bool {
    NO_SHARES.contains(&place) || place.0.starts_with(ROOFS) || place == ("phases", "efficiency_ratio")
}
