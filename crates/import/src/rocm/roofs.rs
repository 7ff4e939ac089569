//! `roofline.csv` of rocprofiler-compute: the roofs that its micro-benchmarks measured, one row a device.
//!
//! Each roof has three columns, its value and the ends of a confidence interval (`HBMBw`, `HBMBwLow`, `HBMBwHigh`).
//! Only the value becomes a row; the table has no place for the interval. Bandwidths are in GB/s and rates in GFLOP/s
//! or Gop/s of 10^9: the benchmark divides bytes or operations by milliseconds and by 10^6 (rocm-amdgpu-bench and
//! `utils/benchmark.py` of rocprofiler-compute). A zero stands for a type that the device does not have.
//!
//! The headers have real misspellings: `hbmBwHigh` in every version that writes HBM, `MFMAFI8OpsLow` among `MFMAI8Ops`
//! and `MFMAI8OpsHigh`, `devID` for `device` in some; and `MFMA_FLOPs_F6F4` has its parts the other way round.

use proftool_trace::rows::Ceiling;

use super::number;
use super::table::{Table, position};
use crate::Error;
use crate::raw::{Import, Severity, Source};

/// What one column of `roofline.csv` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    /// Bandwidth of a level of the memory hierarchy: the table's level and the benchmark's name.
    Bandwidth(&'static str, &'static str),
    /// Rate of a unit (`valu`, `mfma`, `wmma`) at a precision.
    Rate(&'static str, &'static str),
    /// The end of a confidence interval, or the device.
    Other,
    /// Nothing known.
    Unknown,
}

/// Levels by the names that rocprofiler-compute gives them. MALL is the Infinity Cache, LDS the scratchpad of a
/// compute unit; RDNA's first level is L0.
const LEVELS: &[(&str, &str, &str)] = &[
    ("hbm", "DRAM", "hbm"),
    ("dram", "DRAM", "dram"),
    ("mall", "MALL", "mall"),
    ("l2", "L2", "l2"),
    ("l1", "L1", "l1"),
    ("l0", "L0", "l0"),
    ("lds", "LDS", "lds"),
];

/// Precisions by the names in the headers. `FI8` is a misspelling that is really there.
const PRECISIONS: &[(&str, &str)] = &[
    ("fp64", "f64"),
    ("f64", "f64"),
    ("fp32", "f32"),
    ("f32", "f32"),
    ("xf32", "tf32"),
    ("bf16", "bf16"),
    ("fp16", "f16"),
    ("f16", "f16"),
    ("fp8", "fp8"),
    ("f8", "fp8"),
    ("fp6", "fp6"),
    ("f6", "fp6"),
    ("fp4", "fp4"),
    ("f4", "fp4"),
    ("f6f4", "fp6fp4"),
    ("i8", "i8"),
    ("fi8", "i8"),
    ("i32", "i32"),
    ("i64", "i64"),
];

/// What a column holds, by its name in whatever case.
pub(crate) fn column(name: &str) -> Column {
    let name = name.to_ascii_lowercase();
    if ["device", "devid"].contains(&name.as_str()) || name.ends_with("low") || name.ends_with("high") {
        return Column::Other;
    }
    if let Some(level) = name.strip_suffix("bw") {
        let known = LEVELS.iter().find(|(prefix, _, _)| *prefix == level);
        return known.map_or(Column::Unknown, |(_, level, name)| Column::Bandwidth(level, name));
    }
    let (unit, rest) = match (name.strip_prefix("mfma"), name.strip_prefix("wmma")) {
        (Some(rest), _) => ("mfma", rest),
        (_, Some(rest)) => ("wmma", rest),
        _ => ("valu", name.as_str()),
    };
    let parts =
        rest.strip_suffix("flops").or_else(|| rest.strip_suffix("ops")).or_else(|| rest.strip_prefix("_flops_"));
    let precision = parts.and_then(|text| PRECISIONS.iter().find(|(name, _)| *name == text));
    precision.map_or(Column::Unknown, |(_, precision)| Column::Rate(unit, precision))
}

/// Whether a header is that of `roofline.csv`.
pub(crate) fn is_roofline(header: &[String]) -> bool {
    let is = |wanted: fn(&Column) -> bool| header.iter().any(|name| wanted(&column(name)));
    position(header, &["device", "devID"]) == Some(0)
        && is(|column| matches!(column, Column::Bandwidth(..)))
        && is(|column| matches!(column, Column::Rate(..)))
}

/// Reads the roofs into `ceilings` and returns the devices that have any.
///
/// # Errors
/// When the file cannot be read or has no column `device`.
pub(crate) fn read(source: &Source, import: &mut Import<'_>) -> Result<Vec<i64>, Error> {
    let mut table = Table::open(source)?;
    let device_at = table.required(&["device", "devID"])?;
    let columns: Vec<Column> = table.header().iter().map(|name| column(name)).collect();
    let unknown: Vec<&str> =
        table.header().iter().map(String::as_str).filter(|name| column(name) == Column::Unknown).collect();
    if let Some(first) = unknown.first() {
        let detail = format!("columns of {} that are no known roof, the first: {first}", name_of(source));
        import.issue(Severity::Info, "unknown_roof", unknown.len() as u64, detail);
    }
    let mut devices = Vec::new();
    while table.next()? {
        let Some(device) = number::integer(table.cell(Some(device_at))) else {
            import
                .bad_row("not_a_number", || format!("{}: the device {:?}", table.place(), table.cell(Some(device_at))));
            continue;
        };
        if devices.contains(&device) {
            import.bad_row("device_twice", || format!("{}: device {device} has roofs already", table.place()));
            continue;
        }
        devices.push(device);
        for (at, column) in columns.iter().enumerate() {
            put(&table, at, column, device, import)?;
        }
    }
    Ok(devices)
}

fn put(table: &Table<'_>, at: usize, column: &Column, device: i64, import: &mut Import<'_>) -> Result<(), Error> {
    let mut ceiling = Ceiling { device, source: "measured", ..Ceiling::default() };
    match *column {
        Column::Bandwidth(level, name) => {
            (ceiling.kind, ceiling.unit, ceiling.name, ceiling.level) = ("bandwidth", "bytes/s", name, Some(level));
        }
        Column::Rate(unit, precision) => {
            (ceiling.kind, ceiling.name, ceiling.precision) = ("compute", unit, Some(precision));
            ceiling.unit = if precision.starts_with('i') { "op/s" } else { "flop/s" };
        }
        Column::Other | Column::Unknown => return Ok(()),
    }
    let text = table.cell(Some(at));
    if number::is_absent(text) {
        return Ok(());
    }
    match number::float(text).map(|giga| giga * 1e9).filter(|value| *value >= 0.0 && value.is_finite()) {
        None => {
            import.bad_row("not_a_number", || format!("{}, column {}: {text:?}", table.place(), table.header()[at]));
        }
        Some(value) if value > 0.0 => import.put(&Ceiling { value, ..ceiling })?,
        Some(_) => {}
    }
    Ok(())
}

fn name_of(source: &Source) -> String {
    source.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_misspelt_headers_that_exist_are_read() {
        assert_eq!(column("hbmBwHigh"), Column::Other);
        assert_eq!(column("MFMAFI8OpsLow"), Column::Other);
        assert_eq!(column("MFMAFI8Ops"), Column::Rate("mfma", "i8"));
        assert_eq!(column("devID"), Column::Other);
        assert_eq!(column("MFMA_FLOPs_F6F4"), Column::Rate("mfma", "fp6fp4"));
        assert_eq!(column("HBMBw"), Column::Bandwidth("DRAM", "hbm"));
    }

    #[test]
    fn every_unit_and_precision_of_the_newer_versions_is_read() {
        for (name, unit, precision) in [
            ("FP32Flops", "valu", "f32"),
            ("BF16Flops", "valu", "bf16"),
            ("I64Ops", "valu", "i64"),
            ("MFMAF8Flops", "mfma", "fp8"),
            ("MFMABF16Flops", "mfma", "bf16"),
            ("MFMAI8Ops", "mfma", "i8"),
            ("WMMAF16Flops", "wmma", "f16"),
        ] {
            assert_eq!(column(name), Column::Rate(unit, precision), "{name}");
        }
        assert_eq!(column("MALLBw"), Column::Bandwidth("MALL", "mall"));
        assert_eq!(column("TeslaCoilBw"), Column::Unknown);
    }
}
