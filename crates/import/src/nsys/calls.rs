//! Runtime, driver and operating-system calls.

use proftool_trace::rows::Call;

use super::export::{Row, at};
use super::ids::{nonzero, process, thread};
use super::reader::{Reader, UNKNOWN, name, next};
use crate::Error;

const RUNTIME: &str = "CUPTI_ACTIVITY_KIND_RUNTIME";
const OSRT: &str = "OSRT_API";

const WANTED: &[&str] = &["start", "end", "eventClass", "globalTid", "correlationId", "nameId", "name"];
const START: usize = at(WANTED, "start");
const END: usize = at(WANTED, "end");
const CLASS: usize = at(WANTED, "eventClass");
const THREAD: usize = at(WANTED, "globalTid");
const CORRELATION: usize = at(WANTED, "correlationId");
const NAME: usize = at(WANTED, "nameId");
/// Some exports that other tools derived hold the name itself.
const NAME_TEXT: usize = at(WANTED, "name");

/// Event classes of rows in those tables (`ENUM_NSYS_EVENT_CLASS`).
mod class {
    pub(super) const RUNTIME: i64 = 0;
    pub(super) const DRIVER: i64 = 1;
    /// Begin and end of tracing, and its failure to begin.
    pub(super) const CUDA_MARKS: [i64; 3] = [10, 11, 12];
    pub(super) const OSRT_MARKS: [i64; 2] = [31, 32];
    /// A wrapper around a call, recorded for its call stack, with the call's own number; the call has its own row.
    pub(super) const BACKTRACE: i64 = 67;
}

pub(super) fn read(reader: &mut Reader<'_, '_>) -> Result<(), Error> {
    let export = reader.export;
    reader.demand(RUNTIME, &["start", "end"])?;
    export.scan(RUNTIME, WANTED, &mut |row| runtime(reader, row))?;
    reader.demand(OSRT, &["start", "end"])?;
    export.scan(OSRT, WANTED, &mut |row| osrt(reader, row))
}

fn runtime(reader: &mut Reader<'_, '_>, row: &Row<'_>) -> Result<(), Error> {
    let class = row.int(CLASS).unwrap_or(class::RUNTIME);
    if class == class::BACKTRACE || class::CUDA_MARKS.contains(&class) {
        return Ok(());
    }
    let Some((start_ns, end_ns)) = reader.span(RUNTIME, row, START, END) else { return Ok(()) };
    let found = name(&reader.strings, row, &[NAME], NAME_TEXT);
    let known = found.is_some();
    let name = found.as_deref().map_or(UNKNOWN, without_version);
    let api = match class {
        class::RUNTIME => "runtime",
        class::DRIVER => "driver",
        _ if name.starts_with("cu") && !name.starts_with("cuda") => "driver",
        _ => "runtime",
    };
    let id = next(&mut reader.ids.call);
    let global = row.int(THREAD);
    let correlation = nonzero(row.int(CORRELATION));
    let (process, thread) = (global.map(process), global.map(thread));
    reader.import.put(&Call { id, process, thread, api, name, start_ns, end_ns, correlation, ..Call::default() })?;
    if let Some(correlation) = correlation {
        reader.launches.push(process, correlation, id, start_ns);
    }
    if !known {
        reader.nameless();
    }
    Ok(())
}

fn osrt(reader: &mut Reader<'_, '_>, row: &Row<'_>) -> Result<(), Error> {
    if row.int(CLASS).is_some_and(|class| class::OSRT_MARKS.contains(&class)) {
        return Ok(());
    }
    let Some((start_ns, end_ns)) = reader.span(OSRT, row, START, END) else { return Ok(()) };
    let found = name(&reader.strings, row, &[NAME], NAME_TEXT);
    let known = found.is_some();
    let name = found.as_deref().unwrap_or(UNKNOWN);
    let id = next(&mut reader.ids.call);
    let global = row.int(THREAD);
    let (process, thread) = (global.map(process), global.map(thread));
    reader.import.put(&Call { id, process, thread, api: "osrt", name, start_ns, end_ns, ..Call::default() })?;
    if !known {
        reader.nameless();
    }
    Ok(())
}

/// The name without the version of the symbol that runtime calls carry: `cudaMalloc_v3020`, `..._v11060`. What belongs
/// to the name (`cuMemAlloc_v2`) stays.
fn without_version(name: &str) -> &str {
    match name.rsplit_once("_v") {
        Some((stem, version)) if version.len() >= 4 && version.bytes().all(|byte| byte.is_ascii_digit()) => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::Fake;
    use super::without_version;
    use proftool_trace::frame::{ints, texts};
    use proftool_trace::tables;

    #[test]
    fn versions_of_symbols_are_cut_and_versions_of_functions_stay() {
        let names =
            ["cudaMalloc_v3020", "cudaLaunchKernelExC_v11060", "cuMemAlloc_v2", "cudaStreamGetCaptureInfo_v2_v11030"];
        let cut = ["cudaMalloc", "cudaLaunchKernelExC", "cuMemAlloc_v2", "cudaStreamGetCaptureInfo_v2"];
        assert_eq!(names.map(without_version), cut);
    }

    #[test]
    fn calls_of_three_kinds_are_told_apart_and_wrappers_and_marks_left_out() {
        let mut fake = Fake::default();
        let tid = (77 << 24) + 78;
        for (id, text) in [(1, "cudaMalloc_v3020"), (2, "cuMemAlloc_v2"), (3, "read"), (4, "started")] {
            fake.row("StringIds", &[("id", id.into()), ("value", text.into())]);
        }
        for (start, class, correlation, name) in
            [(9, 67, 5, 1), (10, 0, 5, 1), (20, 1, 6, 2), (30, 10, 0, 4), (40, 0, 0, 99)]
        {
            let times = [("start", start.into()), ("end", (start + 5).into())];
            let rest = [("eventClass", class.into()), ("correlationId", correlation.into()), ("nameId", name.into())];
            fake.row("CUPTI_ACTIVITY_KIND_RUNTIME", &[&times[..], &rest, &[("globalTid", tid.into())]].concat());
        }
        for (start, class, name) in [(1, 31, 4), (50, 27, 3)] {
            let times = [("start", start.into()), ("end", start.into()), ("globalTid", tid.into())];
            fake.row("OSRT_API", &[&times[..], &[("eventClass", class.into()), ("nameId", name.into())]].concat());
        }
        let tables = fake.import().unwrap();
        let calls = tables.get(&tables::CALLS);
        let wanted = |values: &[&str]| values.iter().map(|value| Some((*value).to_owned())).collect::<Vec<_>>();
        assert_eq!(texts(calls, "name").unwrap(), wanted(&["cudaMalloc", "cuMemAlloc_v2", "[unknown]", "read"]));
        assert_eq!(texts(calls, "api").unwrap(), wanted(&["runtime", "driver", "runtime", "osrt"]));
        assert_eq!(ints(calls, "correlation").unwrap(), [Some(5), Some(6), None, None]);
        assert_eq!((ints(calls, "process").unwrap()[0], ints(calls, "thread").unwrap()[0]), (Some(77), Some(78)));
        assert!(texts(tables.get(&tables::ISSUES), "code").unwrap().contains(&Some("unknown_name".to_owned())));
    }
}
