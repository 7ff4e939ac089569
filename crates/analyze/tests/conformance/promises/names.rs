//! Columns whose names do not bound their values.

/// Places in time and differences of clocks: any sign.
const PLACES: &[(&str, &str)] = &[
    ("bubble_iteration", "start_ns"),
    ("collectives", "start_ns"),
    ("critical_operations", "start_ns"),
    ("critical_operations", "end_ns"),
    ("gaps", "start_ns"),
    ("gaps", "end_ns"),
    ("gaps", "call_start_ns"),
    ("gaps", "call_end_ns"),
    ("queue_depth", "start_ns"),
    ("queue_depth", "end_ns"),
    ("ranges", "first_ns"),
    ("ranks", "offset_ns"),
    ("ranks", "refined_ns"),
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
