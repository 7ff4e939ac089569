//! The measured roofs of this machine: a cache per hardware key and kernel version, and the canonical table. Here those of
//! its processor, in [`gpu`] those of its GPUs.

pub(crate) mod gpu;
pub(crate) mod store;
pub(crate) mod watch;

use std::path::PathBuf;

use polars::prelude::DataFrame;
use proftool_hardware::{Cache, Machine};
use proftool_trace::frame::{self, bool_column, float_column, int_column, text_column};
use proftool_trace::tables;
use proftool_workloads::ceilings::{self, Measured, Shape};

use crate::failure::{Failure, Kind};
use crate::progress::Bar;

const PASS: &str = "ceilings";

/// Raised when the method of measurement changes, so that roofs of an older method are not used.
const METHOD: &str = "3";

/// The roofs of this machine from the cache, or measured now and cached. A cache whose roofs were disturbed by other load
/// is measured again.
///
/// # Errors
/// When the measurement fails; a cache that cannot be read or written is measured around.
pub(crate) fn cached_or_measured(machine: &Machine) -> Result<DataFrame, Failure> {
    let cached = cache_folder(machine).and_then(|folder| frame::read(&tables::CEILINGS, &folder).ok());
    match cached {
        Some(frame) if frame.height() > 0 && !disturbed(&frame)? => Ok(frame),
        _ => measure(machine),
    }
}

/// Whether a roof that bounds are computed from (an arithmetic peak, the memory's read bandwidth) was disturbed.
fn disturbed(roofs: &DataFrame) -> Result<bool, Failure> {
    let (names, levels) = (frame::texts(roofs, "name")?, frame::texts(roofs, "level")?);
    let contended = frame::bools(roofs, "contended")?;
    let matters = |name: Option<&str>, level: Option<&str>| {
        matches!((name, level), (Some("fma"), _) | (Some("read"), Some("DRAM")))
    };
    let mut rows = names.iter().zip(&levels).zip(contended);
    Ok(rows.any(|((name, level), contended)| contended == Some(true) && matters(name.as_deref(), level.as_deref())))
}

/// Measures the roofs of this machine now and caches them.
///
/// # Errors
/// When the measurement fails.
pub(crate) fn measure(machine: &Machine) -> Result<DataFrame, Failure> {
    let cpu = &machine.cpu;
    let bytes = |cache: Option<Cache>| cache.map_or(0, |cache| usize::try_from(cache.bytes).unwrap_or(usize::MAX));
    let shape = Shape {
        l1_bytes: bytes(cpu.l1d),
        l2_bytes: bytes(cpu.l2),
        l3_bytes: bytes(cpu.l3),
        cores_per_l3: cpu.l3.map_or(cpu.cores.len(), |cache| cache.shared_by),
        cores: cpu.cores.clone(),
    };
    let bar = Bar::new("ceilings");
    let measured = ceilings::measure(&shape, &mut |done, total, what| bar.set(done, total, what))
        .map_err(|error| Failure::new(Kind::Target, error))?;
    let frame = table(&measured, &[0])?;
    if let Some(folder) = cache_folder(machine) {
        // A cache that cannot be written costs some seconds the next time, nothing else.
        let _ = std::fs::create_dir_all(&folder).map(|()| frame::write(&tables::CEILINGS, &frame, &folder));
    }
    Ok(frame)
}

/// Forgetting the cache is the user's: the folder is named here.
pub(crate) fn cache_folder(machine: &Machine) -> Option<PathBuf> {
    let key = proftool_hardware::hardware_key(&machine.cpu, machine.cpu.cores.len());
    let kernel = proftool_hardware::slug(&machine.kernel);
    Some(cache_base()?.join(METHOD).join(key).join(kernel))
}

/// The folder of everything that was measured.
fn cache_base() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    Some(base.join("proftool").join("ceilings"))
}

/// The canonical table with the same roofs for each of `devices`: CPU devices are cores of one machine.
fn table(measured: &[Measured], devices: &[i64]) -> Result<DataFrame, Failure> {
    let rows: Vec<(i64, &Measured)> =
        devices.iter().flat_map(|&device| measured.iter().map(move |row| (device, row))).collect();
    Ok(frame::build(
        &tables::CEILINGS,
        vec![
            text_column("pass", rows.iter().map(|_| Some(PASS))),
            int_column("rank", rows.iter().map(|_| Some(0))),
            int_column("device", rows.iter().map(|(device, _)| Some(*device))),
            text_column("kind", rows.iter().map(|(_, row)| Some(row.kind))),
            text_column("name", rows.iter().map(|(_, row)| Some(row.name))),
            text_column("precision", rows.iter().map(|(_, row)| row.precision)),
            text_column("level", rows.iter().map(|(_, row)| row.level)),
            text_column("isa", rows.iter().map(|(_, row)| Some(row.isa))),
            int_column("cores", rows.iter().map(|(_, row)| Some(row.cores))),
            float_column("value", rows.iter().map(|(_, row)| Some(row.value))),
            text_column("unit", rows.iter().map(|(_, row)| Some(row.unit))),
            float_column("per_cycle", rows.iter().map(|(_, row)| Some(row.per_cycle))),
            text_column("source", rows.iter().map(|_| Some("measured"))),
            bool_column("contended", rows.iter().map(|(_, row)| Some(row.contended))),
        ],
    )?)
}

/// The same roofs for each device of an artifact.
///
/// # Errors
/// When the table cannot be built.
pub(crate) fn for_devices(one: &DataFrame, devices: &[i64]) -> Result<DataFrame, Failure> {
    let mut whole = frame::empty(&tables::CEILINGS);
    for &device in devices {
        let mut rows = one.clone();
        let column = int_column("device", std::iter::repeat_n(Some(device), rows.height()));
        rows.with_column(column).map_err(|error| Failure::new(Kind::Bug, error))?;
        whole = whole.vstack(&rows).map_err(|error| Failure::new(Kind::Bug, error))?;
    }
    Ok(whole)
}
