//! The columns of request logs that say what arrived. Names and units are those of `docs/importers/requests.md`.

use proftool_trace::decimal::Unit;

/// What a column says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// When it arrives, in a unit.
    Arrival(Unit),
    /// When it arrives, as a date.
    ArrivalDate,
    Prompt,
    Output,
    Tier,
    Priority,
    Tenant,
    /// Hashes of the prompt's blocks.
    Hashes,
    /// Tokens of such a block.
    BlockTokens,
    /// Name of what the prompt begins with.
    Prefix,
    /// Tokens of that beginning.
    PrefixTokens,
    /// What became of the request elsewhere, or who it was: nothing that a replay needs.
    Elsewhere,
}

const FIELDS: &[(&str, Field)] = &[
    ("prompt_tokens", Field::Prompt),
    ("input_tokens", Field::Prompt),
    ("input_length", Field::Prompt),
    ("context_tokens", Field::Prompt),
    ("contexttokens", Field::Prompt),
    ("num_prefill_tokens", Field::Prompt),
    ("output_tokens", Field::Output),
    ("output_length", Field::Output),
    ("completion_tokens", Field::Output),
    ("generated_tokens", Field::Output),
    ("generatedtokens", Field::Output),
    ("num_decode_tokens", Field::Output),
    ("tier", Field::Tier),
    ("priority", Field::Priority),
    ("tenant", Field::Tenant),
    ("user", Field::Tenant),
    ("hash_ids", Field::Hashes),
    ("block_tokens", Field::BlockTokens),
    ("block_size", Field::BlockTokens),
    ("prefix", Field::Prefix),
    ("prefix_tokens", Field::PrefixTokens),
    // Vidur's traces give seconds without saying so.
    ("arrived_at", Field::Arrival(Unit::S)),
];

const ARRIVALS: &[&str] = &["arrival", "arrival_time", "timestamp"];

const ELSEWHERE: &[&str] = &[
    "request",
    "request_id",
    "first_token",
    "first_token_time",
    "end",
    "end_time",
    "ttft",
    "time_to_first_token",
    "latency",
    "request_latency",
    "e2e_latency",
    "token_times",
    "slo_ttft",
    "slo_tpot",
    "predicted_ttft",
    "cached_tokens",
    "prefill_device",
    "decode_device",
    "first_token_device",
    "policy",
    "status",
    "reason",
    "error",
];

/// What the column of that name says; upper case, spaces and hyphens do not matter.
pub(super) fn field(name: &str) -> Option<Field> {
    let name = name.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    if let Some((_, field)) = FIELDS.iter().find(|(other, _)| *other == name) {
        return Some(*field);
    }
    let units = [("_ns", Unit::Ns), ("_us", Unit::Us), ("_ms", Unit::Ms), ("_s", Unit::S)];
    let split = units.into_iter().find_map(|(ending, unit)| Some((name.strip_suffix(ending)?, unit)));
    let stem = split.map_or(name.as_str(), |(stem, _)| stem);
    if ARRIVALS.contains(&stem) {
        return Some(split.map_or(Field::ArrivalDate, |(_, unit)| Field::Arrival(unit)));
    }
    ELSEWHERE.contains(&stem).then_some(Field::Elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_their_unit() {
        assert_eq!(field("arrival_ms"), Some(Field::Arrival(Unit::Ms)));
        assert_eq!(field("Arrival Time-S"), Some(Field::Arrival(Unit::S)));
        assert_eq!(field("TIMESTAMP"), Some(Field::ArrivalDate));
        assert_eq!(field("ContextTokens"), Some(Field::Prompt));
        assert_eq!(field("TTFT-ns"), Some(Field::Elsewhere));
        assert_eq!((field("model"), field("")), (None, None));
    }

    #[test]
    fn every_name_is_documented() {
        let documented =
            [include_str!("../../../../docs/importers/requests.md"), include_str!("../../../../docs/serving.md")]
                .concat();
        let names = FIELDS.iter().map(|(name, _)| *name).chain(ARRIVALS.iter().chain(ELSEWHERE).copied());
        for name in names.filter(|name| !["contexttokens", "generatedtokens"].contains(name)) {
            assert!(documented.contains(&format!("`{name}")), "the documents lack {name}");
        }
    }
}
