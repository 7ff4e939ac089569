//! The measured roofs of GPUs: measured, kept, and given to artifacts.

use std::time::Duration;

use polars::prelude::DataFrame;
use proftool_trace::frame::{self, Tables, bool_column, float_column, int_column, text_column};
use proftool_trace::tables;
use proftool_workloads::ceilings::cuda::{self, Measured, Options, Scale};
use proftool_workloads::cuda::{Gpu, gpus};

use super::PASS;
use super::store::{self, Kept, Row};
use super::watch;
use crate::failure::{Failure, Kind};
use crate::interrupt;
use crate::progress::Bar;

/// Time of the rounds over all rows of one GPU, unless the user says otherwise.
pub(crate) const BUDGET: Duration = Duration::from_secs(10);

/// The name of the device of the test doubles in `crates/workloads/tests/cuda_double`, which no GPU has.
const TEST_DOUBLE: &str = "proftool test double";

/// How large the problems are: what a measurement needs; on the test double, which computes them on one core, as small
/// as can be. Its values mean nothing, so that they are shown and never kept.
fn scale(gpu: &Gpu) -> Scale {
    if gpu.name == TEST_DOUBLE { Scale::Tiny } else { Scale::Full }
}

/// The GPUs of this machine.
///
/// # Errors
/// When the driver is missing or lists none.
pub(crate) fn list() -> Result<Vec<Gpu>, Failure> {
    gpus().map_err(|error| Failure::new(Kind::Target, error))
}

/// Measures the roofs of one GPU of `all` now and keeps them. Nothing else may run on it meanwhile.
///
/// # Errors
/// When a library is missing, or the GPU cannot be used.
pub(crate) fn measure(gpu: &Gpu, all: &[Gpu], budget: Duration) -> Result<Kept, Failure> {
    let busy = watch::busy(&gpu.uuid);
    let bar = Bar::new("ceilings");
    let options = Options { budget, scale: scale(gpu) };
    let mut told = |done: usize, total: usize, what: &str| {
        bar.set(done, total, &format!("cuda:{} {what}", gpu.number));
        !interrupt::asked()
    };
    let measured = cuda::measure(gpu, all, options, &mut told).map_err(|error| {
        let interrupted = matches!(error, proftool_workloads::Error::Interrupted);
        Failure::new(if interrupted { Kind::Interrupted } else { Kind::Target }, error)
    })?;
    let kept = keep(&measured, all, busy);
    if options.scale == Scale::Full {
        store::write(&kept);
    }
    Ok(kept)
}

/// The roofs that are kept of a GPU, or measured now. Those that were disturbed by other load are measured again.
///
/// # Errors
/// As [`measure`].
pub(crate) fn cached_or_measured(gpu: &Gpu, all: &[Gpu], budget: Duration) -> Result<Kept, Failure> {
    match store::read(Some(&gpu.uuid), &gpu.name).filter(|kept| !kept.is_disturbed()) {
        Some(kept) => Ok(kept),
        None => measure(gpu, all, budget),
    }
}

/// Measures every GPU whose roofs are not known yet: before a built-in target runs on them, while nothing does. What
/// cannot be measured has no measured roofs; the reasons are given back. The user may ask to stop.
pub(crate) fn ready() -> Vec<String> {
    let Ok(all) = list() else { return Vec::new() };
    let one = |gpu: &Gpu| match scale(gpu) {
        Scale::Full => {
            let failed = cached_or_measured(gpu, &all, BUDGET).err();
            failed.filter(|failure| failure.code() != Kind::Interrupted as u8).map(|failure| failure.to_string())
        }
        Scale::Tiny => Some("its values would mean nothing".to_owned()),
    };
    all.iter().filter_map(|gpu| Some(format!("{}: {}", gpu.name, one(gpu)?))).collect()
}

/// Adds the kept roofs of an artifact's GPUs to its tables: nothing is measured, and no library of CUDA is loaded. A GPU
/// that has ceilings already keeps them. Says how many GPUs got some.
///
/// # Errors
/// When a table lacks a column.
pub(crate) fn add(all: &mut Tables) -> Result<usize, Failure> {
    let devices = all.get(&tables::DEVICES);
    let (ranks, numbers, kinds) =
        (frame::ints(devices, "rank")?, frame::ints(devices, "device")?, frame::texts(devices, "kind")?);
    let (names, uuids) = (frame::texts(devices, "name")?, frame::texts(devices, "uuid")?);
    let known = all.get(&tables::CEILINGS);
    let known: Vec<_> = frame::ints(known, "rank")?.into_iter().zip(frame::ints(known, "device")?).collect();
    let mut found: Vec<Of> = Vec::new();
    for at in 0..numbers.len() {
        let (rank, device) = (ranks[at], numbers[at]);
        let is_new = !found.iter().any(|one| (Some(one.rank), Some(one.device)) == (rank, device));
        let (Some(rank), Some(device), Some("cuda")) = (rank, device, kinds[at].as_deref()) else { continue };
        if is_new && !known.contains(&(Some(rank), Some(device))) {
            let kept = store::read(uuids[at].as_deref(), names[at].as_deref().unwrap_or_default());
            found.extend(kept.map(|kept| Of { rank, device, uuid: uuids[at].clone(), kept }));
        }
    }
    for one in &found {
        all.append(&tables::CEILINGS, &table(&one.kept, one.rank, one.device)?)?;
    }
    all.append(&tables::LINKS, &links(&found)?)?;
    Ok(found.len())
}

/// A device of an artifact and its roofs.
struct Of {
    rank: i64,
    device: i64,
    uuid: Option<String>,
    kept: Kept,
}

/// The roofs of one GPU as rows of the table `ceilings`, under the number that it has there. Links to other GPUs are among
/// them only where those have a number.
///
/// # Errors
/// When the table cannot be built.
pub(crate) fn table(kept: &Kept, rank: i64, device: i64) -> Result<DataFrame, Failure> {
    let rows = || kept.rows.iter();
    Ok(frame::build(
        &tables::CEILINGS,
        vec![
            text_column("pass", rows().map(|_| Some(PASS))),
            int_column("rank", rows().map(|_| Some(rank))),
            int_column("device", rows().map(|_| Some(device))),
            text_column("kind", rows().map(|row| Some(&row.kind))),
            text_column("name", rows().map(|row| Some(&row.name))),
            text_column("precision", rows().map(|row| row.precision.as_ref())),
            text_column("level", rows().map(|row| row.level.as_ref())),
            text_column("isa", rows().map(|row| Some(&row.isa))),
            int_column("cores", rows().map(|row| row.cores)),
            float_column("value", rows().map(|row| Some(row.value))),
            text_column("unit", rows().map(|row| Some(&row.unit))),
            float_column("per_cycle", rows().map(|row| row.per_cycle)),
            text_column("source", rows().map(|_| Some("measured"))),
            bool_column("contended", rows().map(|row| Some(row.contended || kept.busy.is_some()))),
        ],
    )?)
}

/// The links between devices of one rank, under the numbers that they have there.
fn links(found: &[Of]) -> Result<DataFrame, Failure> {
    let mut rows: Vec<(i64, i64, i64, f64, bool)> = Vec::new();
    for one in found {
        for (row, peer) in one.kept.rows.iter().filter_map(|row| Some((row, row.peer.as_ref()?))) {
            let other = found.iter().find(|other| other.rank == one.rank && other.uuid.as_ref() == Some(peer));
            // Bytes of both directions together are no rate of a direction.
            let Some(other) = other.filter(|_| !row.both) else { continue };
            rows.push((one.rank, one.device, other.device, row.value, one.kept.shares(peer)));
        }
    }
    Ok(frame::build(
        &tables::LINKS,
        vec![
            text_column("pass", rows.iter().map(|_| Some(PASS))),
            int_column("rank", rows.iter().map(|row| Some(row.0))),
            int_column("src", rows.iter().map(|row| Some(row.1))),
            int_column("dst", rows.iter().map(|row| Some(row.2))),
            float_column("bytes_per_s", rows.iter().map(|row| Some(row.3))),
            int_column("latency_ns", rows.iter().map(|_| None)),
            bool_column("contended", rows.iter().map(|row| Some(row.4))),
        ],
    )?)
}

/// What was measured, as it is kept.
fn keep(measured: &Measured, all: &[Gpu], busy: Option<String>) -> Kept {
    let uuid = |number: usize| all.iter().find(|gpu| gpu.number == number).map(|gpu| gpu.uuid.clone());
    let row = |roof: &cuda::Roof| Row {
        kind: roof.kind.to_owned(),
        name: roof.name.clone(),
        precision: roof.precision.map(str::to_owned),
        level: roof.level.map(str::to_owned),
        isa: roof.isa.to_owned(),
        cores: roof.cores,
        value: roof.value,
        unit: roof.unit.to_owned(),
        per_cycle: roof.per_cycle,
        contended: roof.contended,
        peer: roof.peer.and_then(uuid),
        both: roof.both,
    };
    let (gpu, versions) = (&measured.gpu, measured.versions);
    Kept {
        name: gpu.name.clone(),
        uuid: gpu.uuid.clone(),
        driver: store::kernel_driver(),
        cuda: versions.driver.to_string(),
        nvrtc: versions.nvrtc.to_string(),
        cublaslt: versions.cublaslt.to_string(),
        memory_clock_hz: watch::memory_clock_hz(&gpu.uuid),
        busy,
        rows: measured.roofs.iter().map(row).collect(),
        absent: measured.absent.iter().map(|one| format!("{}: {}", one.what, one.reason)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, value: f64, peer: Option<&str>, both: bool) -> Row {
        let text = |text: &str| text.to_owned();
        Row {
            kind: text("bandwidth"),
            name: text(name),
            precision: None,
            level: Some(text("peer")),
            isa: text("copy_engine"),
            cores: None,
            value,
            unit: text("bytes/s"),
            per_cycle: None,
            contended: false,
            peer: peer.map(text),
            both,
        }
    }

    fn of(device: i64, uuid: &str, rows: Vec<Row>) -> Of {
        let kept = Kept { uuid: uuid.to_owned(), rows, ..Kept::default() };
        Of { rank: 0, device, uuid: Some(uuid.to_owned()), kept }
    }

    #[test]
    fn links_have_the_numbers_of_the_artifact_and_one_direction_each() {
        // The machine's GPUs 0 and 1 are 7 and 3 in the artifact, which does not have the machine's GPU 2.
        let rows = vec![
            row("to_1", 4e9, Some("b"), false),
            row("to_and_from_1", 7.9e9, Some("b"), true),
            row("to_2", 4e9, Some("c"), false),
        ];
        let table = links(&[of(7, "a", rows), of(3, "b", Vec::new())]).expect("a table");
        assert_eq!(frame::ints(&table, "src").expect("ints"), [Some(7)]);
        assert_eq!(frame::ints(&table, "dst").expect("ints"), [Some(3)]);
        assert_eq!(frame::floats(&table, "bytes_per_s").expect("floats"), [Some(4e9)]);
        assert_eq!(frame::bools(&table, "contended").expect("flags"), [Some(false)]);
    }

    #[test]
    fn the_roofs_of_a_busy_gpu_are_contended() {
        let mut kept = of(0, "a", vec![row("to_1", 1e9, None, false)]).kept;
        let contended = |kept: &Kept| {
            let table = table(kept, 0, 4).expect("a table");
            frame::bools(&table, "contended").expect("flags")
        };
        assert_eq!(contended(&kept), [Some(false)]);
        kept.busy = Some("other load".to_owned());
        assert_eq!(contended(&kept), [Some(true)]);
    }
}
