//! The files of one pass put together: one clock, one number for each device.

use std::collections::HashMap;

use polars::prelude::{Column, DataFrame};
use proftool_import::Imported;
use proftool_trace::frame::{Tables, int_column};
use proftool_trace::manifest::{Pass, RankStart};
use proftool_trace::{Table, frame, tables};

use crate::failure::{Failure, Kind};

/// One imported file.
pub(super) struct File {
    pub(super) imported: Imported,
    pub(super) tables: Tables,
}

impl File {
    /// Whether it holds samples and nothing else that happened.
    pub(super) fn is_samples_only(&self) -> bool {
        let about = [&tables::DEVICES, &tables::QUEUES, &tables::LINKS, &tables::ISSUES, &tables::COUNTER_DEFS];
        let has = |table: &&&'static Table| self.tables.get(table).height() > 0;
        let about = |table: &Table| about.iter().any(|other| other.name == table.name);
        let mut events = tables::ALL.iter().filter(has).filter(|table| !about(table));
        events.all(|table| table.name == tables::SAMPLES.name)
    }
}

/// Appends the files of a pass to the tables: the first gives the pass its clock, samples are moved onto it, and every
/// other file is a pass of its own, since the numbers of its rows are.
pub(super) fn join(pass: Pass, files: Vec<File>, rank: i64, all: &mut Tables) -> Result<Vec<Pass>, Failure> {
    let mut passes: Vec<Pass> = Vec::new();
    let mut sampled = false;
    let known: HashMap<String, i64> = files
        .iter()
        .filter(|file| !file.is_samples_only())
        .flat_map(|file| uuids(file.tables.get(&tables::DEVICES)))
        .collect();
    for mut file in files {
        if file.is_samples_only() && !known.is_empty() {
            renumber(&mut file, &known)?;
        }
        let start = start_of(&file.imported, rank);
        let moved = passes.first().and_then(|first| {
            let fits = file.is_samples_only() && !sampled;
            offset(first, &start).filter(|_| fits)
        });
        sampled |= file.tables.get(&tables::COUNTER_DEFS).height() > 0;
        let name = match (moved, passes.len()) {
            (_, 0) | (Some(_), _) => pass.name.clone(),
            (None, count) => format!("{}-{}", pass.name, count + 1),
        };
        let stated = Stated { pass: &name, rank: start.rank, offset: moved.unwrap_or(0) };
        append(&file.tables, &stated, all)?;
        match passes.first_mut().filter(|_| moved.is_some()) {
            Some(first) => first.ranks.push(start),
            None => passes.push(Pass {
                name,
                clock: file.imported.session.clock.clone(),
                start_unix_ns: start.start_unix_ns,
                start_monotonic_ns: start.start_monotonic_ns,
                ranks: vec![start],
                ..pass.clone()
            }),
        }
    }
    Ok(if passes.is_empty() { vec![pass] } else { passes })
}

pub(super) fn start_of(imported: &Imported, rank: i64) -> RankStart {
    RankStart {
        // A file that does not tell is of this rank.
        rank: if imported.rank == 0 { rank } else { imported.rank },
        file: imported.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        start_unix_ns: imported.session.start_unix_ns,
        start_monotonic_ns: imported.session.start_monotonic_ns,
    }
}

/// The devices that the rows of a table name by UUID.
pub(super) fn uuids(devices: &DataFrame) -> Vec<(String, i64)> {
    let columns = frame::texts(devices, "uuid").and_then(|uuids| Ok((uuids, frame::ints(devices, "device")?)));
    let (uuids, numbers) = columns.unwrap_or_default();
    uuids.into_iter().zip(numbers).filter_map(|(uuid, number)| Some((uuid?, number?))).collect()
}

/// Gives the sampled devices the numbers that the pass's other file knows them by: a sampler counts the GPUs of the machine,
/// a program those that it sees (`CUDA_VISIBLE_DEVICES`). The others keep apart, beyond all of these.
pub(super) fn renumber(file: &mut File, known: &HashMap<String, i64>) -> Result<(), Failure> {
    let own = uuids(file.tables.get(&tables::DEVICES));
    let beyond = known.values().copied().max().unwrap_or(-1) + 1;
    let number = |(at, (uuid, device)): (usize, &(String, i64))| {
        (*device, known.get(uuid).copied().unwrap_or(beyond + at as i64))
    };
    let numbers: HashMap<i64, i64> = own.iter().enumerate().map(number).collect();
    for table in [&tables::DEVICES, &tables::SAMPLES] {
        let mut rows: DataFrame = file.tables.get(table).clone();
        let devices = frame::ints(&rows, "device")?.into_iter();
        let devices = devices.map(|device| device.map(|device| numbers.get(&device).copied().unwrap_or(device)));
        rows.with_column(int_column("device", devices)).map_err(|error| Failure::new(Kind::Bug, error))?;
        file.tables.set(table, rows)?;
    }
    Ok(())
}

/// What to add to a file's times so that they count from the start of the pass; none where the clocks share nothing.
pub(super) fn offset(pass: &Pass, start: &RankStart) -> Option<i64> {
    let both = |of_pass: i64, of_file: i64| (of_pass != 0 && of_file != 0).then(|| of_file.saturating_sub(of_pass));
    both(pass.start_monotonic_ns, start.start_monotonic_ns).or_else(|| both(pass.start_unix_ns, start.start_unix_ns))
}

/// What the rows of a file get.
pub(super) struct Stated<'a> {
    pub(super) pass: &'a str,
    pub(super) rank: i64,
    pub(super) offset: i64,
}

pub(super) fn append(tables: &Tables, stated: &Stated<'_>, all: &mut Tables) -> Result<(), Failure> {
    let bug = |error| Failure::new(Kind::Bug, error);
    for table in tables::ALL {
        let mut rows: DataFrame = tables.get(table).clone();
        if rows.height() == 0 {
            continue;
        }
        let has = |name: &str| table.columns.iter().any(|column| column.name == name);
        if has("pass") {
            rows = frame::with_pass(rows, stated.pass)?;
        }
        if has("rank") {
            let rank = Column::new_scalar("rank".into(), stated.rank.into(), rows.height());
            rows.with_column(rank).map_err(bug)?;
        }
        if table.name == tables::SAMPLES.name && stated.offset != 0 {
            for name in ["start_ns", "end_ns"] {
                let moved = frame::ints(&rows, name)?.into_iter().map(|time| Some(time?.saturating_add(stated.offset)));
                rows.with_column(int_column(name, moved)).map_err(bug)?;
            }
        }
        all.append(table, &rows)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_import::importers::Session;
    use proftool_trace::frame::text_column;

    fn file(name: &str, table: &'static Table, columns: Vec<Column>, monotonic: i64) -> File {
        let mut tables = Tables::default();
        tables.append(table, &frame::build(table, columns).expect("a table")).expect("appended");
        let session = Session { start_monotonic_ns: monotonic, ..Session::default() };
        let imported = Imported {
            importer: "test",
            path: name.into(),
            place: name.into(),
            pass: "test".to_owned(),
            rank: 0,
            session,
            devices: Vec::new(),
            problems: 0,
            lost: false,
        };
        File { imported, tables }
    }

    fn about(columns: Vec<Column>) -> Vec<Column> {
        [vec![text_column("pass", [Some("test")]), int_column("rank", [Some(0)])], columns].concat()
    }

    fn samples(monotonic: i64) -> File {
        let columns = ["device", "def", "start_ns", "end_ns"].map(|name| int_column(name, [Some(7)]));
        file("nvml.jsonl", &tables::SAMPLES, about(columns.into()), monotonic)
    }

    fn steps(name: &str, monotonic: i64) -> File {
        file(
            name,
            &tables::STEPS,
            about(["device", "start_ns", "end_ns"].map(|name| int_column(name, [Some(7)])).into()),
            monotonic,
        )
    }

    #[test]
    fn samples_are_moved_onto_the_clock_of_their_pass_and_other_files_are_passes_of_their_own() {
        let pass = Pass {
            name: "nsys".to_owned(),
            profilers: Vec::new(),
            clock: String::new(),
            start_unix_ns: 1,
            start_monotonic_ns: 1,
            ranks: Vec::new(),
        };
        let mut all = Tables::default();
        let files = vec![steps("a", 1000), steps("b", 1100), samples(1500)];
        let passes = join(pass, files, 3, &mut all).expect("joined");
        assert_eq!(passes.iter().map(|pass| pass.name.as_str()).collect::<Vec<_>>(), ["nsys", "nsys-2"]);
        assert_eq!((passes[0].start_monotonic_ns, passes[0].ranks.len()), (1000, 2));
        let rows = all.get(&tables::SAMPLES);
        assert_eq!(frame::ints(rows, "start_ns").expect("ints"), [Some(507)]);
        assert_eq!(frame::ints(rows, "rank").expect("ints"), [Some(3)]);
        assert_eq!(frame::texts(rows, "pass").expect("texts"), [Some("nsys".to_owned())]);
    }

    #[test]
    fn sampled_devices_get_the_numbers_of_the_program_by_uuid_and_the_others_keep_apart() {
        let devices = |uuids: &[Option<&'static str>]| {
            let numbers = (0..uuids.len() as i64).map(Some);
            vec![
                text_column("pass", uuids.iter().map(|_| Some("test"))),
                int_column("rank", uuids.iter().map(|_| Some(0))),
                int_column("device", numbers),
                text_column("kind", uuids.iter().map(|_| Some("cuda"))),
                text_column("name", uuids.iter().map(|_| Some("gpu"))),
                text_column("uuid", uuids.to_vec()),
            ]
        };
        // The program saw the machine's last two GPUs, in the other order; the sampler sees all three.
        let known = uuids(
            file("a", &tables::DEVICES, devices(&[Some("GPU-c"), Some("GPU-b")]), 0).tables.get(&tables::DEVICES),
        )
        .into_iter()
        .collect();
        let sampler = [Some("GPU-a"), Some("GPU-b"), Some("GPU-c")];
        let mut sampled = file("nvml.jsonl", &tables::DEVICES, devices(&sampler), 0);
        let rows = about(["device", "def", "start_ns", "end_ns"].map(|name| int_column(name, [Some(2)])).into());
        sampled
            .tables
            .append(&tables::SAMPLES, &frame::build(&tables::SAMPLES, rows).expect("a table"))
            .expect("appended");
        renumber(&mut sampled, &known).expect("renumbered");
        let numbers = |table| frame::ints(sampled.tables.get(table), "device").expect("ints");
        assert_eq!(numbers(&tables::DEVICES), [Some(2), Some(1), Some(0)]);
        assert_eq!(numbers(&tables::SAMPLES), [Some(0)]);
    }
}
