//! Counted kernels and their values, of a pass that counts.

use std::collections::{BTreeMap, HashMap};

use proftool_trace::rows::{Counter, CounterDef, Launch};

use super::{Content, Head, optional};
use crate::Error;
use crate::raw::{Import, Severity};

/// Stands for the name of a kernel that the recorder could not tell, as in pages of ncu.
const UNKNOWN: &str = "unknown";

/// What the recorder notes, and how bad it is.
const NOTES: [(&str, Severity); 7] = [
    ("no_permission", Severity::Error),
    ("another_profiler", Severity::Error),
    ("not_supported", Severity::Error),
    ("not_initialized", Severity::Error),
    ("no_counters", Severity::Error),
    ("unknown_metrics", Severity::DataLoss),
    ("incomplete_passes", Severity::DataLoss),
];

/// Takes launches, metrics and values. `names` are the kernels' names by the numbers of their strings. Counted kernels run
/// one after the other and again and again, so that they have no times here.
pub(crate) fn counters(
    head: &Head,
    content: &Content,
    names: &BTreeMap<i64, String>,
    import: &mut Import<'_>,
) -> Result<(), Error> {
    let version = version(head.cupti_version);
    for [def, metric, unit] in content.rows::<3>(*b"cdef") {
        import.put(&CounterDef {
            def,
            metric: content.text(metric).unwrap_or(UNKNOWN),
            unit: content.text(unit),
            source: "counter",
            formula_id: None,
            tool: Some("cupti"),
            tool_version: Some(&version),
        })?;
    }
    let mut before: HashMap<[i64; 8], i64> = HashMap::new();
    for row in content.rows::<11>(*b"crng") {
        let [launch, device, _, name, .., graph] = row;
        let index = before.entry(std::array::from_fn(|field| row[field + 3])).or_default();
        let shape = |at: usize| Some([optional(row[at])?, optional(row[at + 1])?, optional(row[at + 2])?]);
        let text = |[x, y, z]: [i64; 3]| format!("({x},{y},{z})");
        let (grid, block) = (shape(4).map(text), shape(7).map(text));
        let unnamed = if graph == 1 { "CUDA graph" } else { UNKNOWN };
        import.uses_device(device);
        import.put(&Launch {
            launch,
            device,
            name: names.get(&name).map_or(unnamed, String::as_str),
            launch_index: *index,
            grid: grid.as_deref(),
            block: block.as_deref(),
            ..Launch::default()
        })?;
        *index += 1;
    }
    for [launch, def, value] in content.rows::<3>(*b"cval") {
        let value = f64::from_bits(value.cast_unsigned());
        if value.is_finite() {
            import.put(&Counter { launch, def, value: Some(value) })?;
        }
    }
    issues(content, import);
    Ok(())
}

/// Why a pass that should have counted has no counts, and what to try; `None` for every other file.
pub(crate) fn refused(content: &Content) -> Option<(String, String)> {
    let counted = content.rows::<11>(*b"crng").next().is_some();
    let errors = NOTES.iter().filter(|(_, severity)| *severity == Severity::Error).map(|(code, _)| *code);
    let errors: Vec<&str> = errors.collect();
    let refusal = |[code, _]: &[i64; 2]| content.text(*code).is_some_and(|code| errors.contains(&code));
    let [_, detail] = content.rows::<2>(*b"note").find(refusal).filter(|_| !counted)?;
    let (reason, hint) = content.text(detail)?.split_once(" (hint: ").unwrap_or((content.text(detail)?, ""));
    let hint = hint.strip_suffix(')').unwrap_or(hint);
    let hint = if hint.is_empty() { "see what the program printed on stderr" } else { hint };
    Some((format!("holds no counts: {reason}"), hint.to_owned()))
}

/// CUDA's version by `CUPTI_API_VERSION`: since CUDA 13 that is its own, 130500 for 13.5. Before, it counted releases
/// (CUPTI's documentation, "CUPTI Version"); one that it does not list keeps its number.
fn version(number: u32) -> String {
    match number {
        24 => "12.6".to_owned(),
        26 => "12.8".to_owned(),
        27 | 28 => "12.9".to_owned(),
        ..100_000 => number.to_string(),
        _ => format!("{}.{}", number / 10_000, number % 10_000 / 100),
    }
}

fn issues(content: &Content, import: &mut Import<'_>) {
    for [code, detail] in content.rows::<2>(*b"note") {
        let code = content.text(code).unwrap_or_default();
        let known = NOTES.into_iter().find(|(name, _)| *name == code);
        let (code, severity) = known.unwrap_or(("counters_note", Severity::Info));
        import.issue(severity, code, 1, content.text(detail).unwrap_or_default());
    }
    let [dropped, unnamed, uncounted, missing] = content.rows::<4>(*b"clos").next_back().unwrap_or_default();
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    let text = "kernels whose counts CUPTI had no room for (hint: lower PROFTOOL_CUPTI_RANGES; raise it for large CUDA graphs)";
    import.issue(Severity::DataLoss, "dropped_ranges", count(dropped), text);
    let text = "counted kernels without their names: several threads launched at once, or there were other counts than \
                launches (hint: lower PROFTOOL_CUPTI_RANGES)";
    import.issue(Severity::DataLoss, "unnamed_kernels", count(unnamed), text);
    let text = "launches without counts: inside a capture of a stream, refused, or not fetched when the program ended";
    import.issue(Severity::DataLoss, "uncounted_launches", count(uncounted), text);
    let text = "values that CUPTI did not give have no row in `counters`";
    import.issue(Severity::Info, "missing_values", count(missing), text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_cuda_where_the_number_tells_it() {
        let versions = [130_500, 130_000, 24, 25, 26, 28].map(version);
        assert_eq!(versions, ["13.5", "13.0", "12.6", "25", "12.8", "12.9"]);
    }
}
