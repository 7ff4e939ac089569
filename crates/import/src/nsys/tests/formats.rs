//! One capture in four formats gives the same tables.
//!
//! `gh200_jacobi` was captured twice. The JSON and Parquet exports are of the run whose SQLite export lies here as
//! `gh200_gpu_metrics`; the SQLite file of schema 3.6 and the report, which nsys 2022 cannot read, are of the other.

use polars::prelude::DataFrame;
use proftool_trace::table::Table;

use super::*;

fn columns(table: &Table) -> Vec<&'static str> {
    table.columns.iter().map(|column| column.name).collect()
}

/// Demands that two imports have the same rows in a table, but for columns that one of the formats does not tell.
fn same_rows(left: &Tables, right: &Tables, table: &'static Table, but: &[&str]) {
    let told: Vec<&str> = columns(table).into_iter().filter(|column| !but.contains(column)).collect();
    let select = |tables: &Tables| -> DataFrame { tables.get(table).select(told.iter().copied()).unwrap() };
    let (left, right) = (select(left), select(right));
    assert_eq!(left.height(), right.height(), "rows of {}", table.name);
    for name in told {
        let (left, right) = (left.column(name).unwrap(), right.column(name).unwrap());
        assert!(left.equals_missing(right), "{}.{name} differs", table.name);
    }
}

fn all_null(tables: &Tables, table: &'static Table, column: &str) -> bool {
    let frame = tables.get(table);
    frame.column(column).unwrap().null_count() == frame.height()
}

#[test]
fn parquet_gives_the_tables_of_sqlite() {
    let (Some(sqlite), Some(parquet)) =
        (import("gh200_gpu_metrics.schema3.7.sqlite.gz"), import("gh200_jacobi.parquetdir"))
    else {
        return;
    };
    // The stored folder holds 14 of nsys' tables. Those that it lacks and that are read: TARGET_INFO_CUDA_CONTEXT_INFO
    // and ENUM_CUDA_MEM_KIND, for which the rows themselves and the usual numbers stand in, so no column differs; and
    // TARGET_INFO_SESSION_START_TIME, which is no table here.
    for table in tables::ALL {
        same_rows(&sqlite, &parquet, table, &["source"]);
    }
    let path = shared_data("nsys/gh200_jacobi.parquetdir").unwrap();
    let (imported, _) = into_memory(&path).unwrap();
    assert_eq!(
        (imported.importer, imported.pass.as_str(), imported.session.start_unix_ns),
        ("nsys_parquet", "nsys", 0)
    );
}

#[test]
fn json_gives_the_activities_and_ranges_of_sqlite() {
    let (Some(sqlite), Some(json)) =
        (import("gh200_gpu_metrics.schema3.7.sqlite.gz"), import("gh200_jacobi.export.jsonl.gz"))
    else {
        return;
    };
    // JSON exports hold no calls in this file, so no activity has one; rows come by time rather than table by table,
    // so their numbers differ while their order within a kind does not.
    same_rows(&sqlite, &json, &tables::ACTIVITIES, &["call"]);
    same_rows(&sqlite, &json, &tables::RANGES, &[]);
    assert!(all_null(&json, &tables::ACTIVITIES, "call"));
    assert_eq!((json.get(&tables::CALLS).height(), json.get(&tables::SAMPLES).height()), (0, 0));
    // Of devices and streams it tells only the numbers.
    same_rows(&sqlite, &json, &tables::QUEUES, &["priority"]);
    assert_eq!(texts(json.get(&tables::DEVICES), "name").unwrap(), [Some("unknown CUDA device".to_owned())]);
}

/// A small capture with every kind of NVTX event, as the three formats of nsys 2022.4 have it.
#[cfg(test)]
mod nvtx {
    use super::*;
    use crate::fixture::import_bytes;

    /// Cut from a real export: `nsys export --type=json --separate-strings=true`.
    const JSON: &str = r#"{"type":"String","id":"148","value":"registered"}
{"type":"String","id":"151","value":"pthread_create"}
{"type":"String","id":"20","value":"cudaMalloc_v3020"}
{"Type":75,"NvtxEvent":{"Type":75,"Timestamp":"23898888","Text":"MyDomain","GlobalTid":"281649560430758","DomainId":"1","NsTime":true}}
{"Type":33,"NvtxEvent":{"Type":33,"Timestamp":"23932018","Category":"5","Text":"io","GlobalTid":"281649560430758","DomainId":"1","NsTime":true}}
{"Type":60,"NvtxEvent":{"Type":60,"Timestamp":"23935603","RangeId":"1","Category":"6","Text":"crossing","Payload":{"DoubleValue":2.5},"GlobalTid":"281649560430758","EndTimestamp":"29561618","EndGlobalTid":"281649560430770","DomainId":"0","NsTime":true}}
{"Type":48,"TraceProcessEvent":{"startNs":"23938307","endNs":"24633224","correlationId":0,"eventClass":27,"name":"151","returnValue":0,"globalTid":"281649560430758","nestingLevel":0}}
{"Type":48,"TraceProcessEvent":{"startNs":"23938400","endNs":"24633224","correlationId":7,"eventClass":0,"name":"20","returnValue":0,"globalTid":"281649560430758"}}
{"Type":59,"NvtxEvent":{"Type":59,"Timestamp":"24657460","Category":"5","Text":"outer","Payload":{"UInt64Value":"18446744073709551615"},"GlobalTid":"281649560430758","EndTimestamp":"26728729","DomainId":"1","NsTime":true}}
{"Type":59,"NvtxEvent":{"Type":59,"Timestamp":"24658051","Text":"inner","GlobalTid":"281649560430758","EndTimestamp":"25285006","DomainId":"0","NsTime":true}}
{"Type":34,"NvtxEvent":{"Type":34,"Timestamp":"25285286","Text":"tick","GlobalTid":"281649560430758","DomainId":"0","NsTime":true}}
{"Type":59,"NvtxEvent":{"Type":59,"Timestamp":"26441620","Payload":{"FloatValue":0.1},"GlobalTid":"281649560430758","EndTimestamp":"26728388","TextId":148,"DomainId":"1","NsTime":true}}
{"Type":59,"NvtxEvent":{"Type":59,"Timestamp":"30121072","Text":"never ends","Payload":{"Int64Value":"-3"},"GlobalTid":"281649560430758","DomainId":"0","NsTime":true}}
{"Type":49,"DiagnosticEvent":{"Timestamp":{"Time":"126497780","Type":"HostTimestamp","NsTime":true},"Source":"Analysis","Level":"Warning","Text":"No CUDA events collected.","GlobalProcess":"281649560420352"}}
"#;

    #[test]
    fn ranges_calls_and_messages_are_read_from_json() {
        let (imported, tables) = import_bytes("export.json", JSON.as_bytes()).unwrap();
        assert_eq!(imported.importer, "nsys_jsonl");
        let frame = tables.get(&tables::RANGES);
        let text = |column: &str| -> Vec<String> {
            texts(frame, column).unwrap().into_iter().map(Option::unwrap_or_default).collect()
        };
        assert_eq!(text("name"), ["crossing", "outer", "inner", "tick", "registered", "never ends"]);
        assert_eq!(text("domain"), ["", "MyDomain", "", "", "MyDomain", ""]);
        let payloads = ["category=6, 2.5", "category=io, 18446744073709551615", "", "", "0.1", "-3"];
        assert_eq!(text("payload"), payloads);
        assert_eq!(ints(frame, "parent").unwrap(), [None, None, Some(1), Some(1), Some(1), None]);
        assert_eq!(ints(frame, "end_ns").unwrap()[5], None);
        let calls = tables.get(&tables::CALLS);
        assert_eq!(texts(calls, "name").unwrap(), [Some("cudaMalloc".to_owned()), Some("pthread_create".to_owned())]);
        assert!(issue(&tables, "nsys_warning").unwrap().1.contains("No CUDA events"));
    }

    #[test]
    fn a_line_that_is_cut_or_no_json_is_named_and_odd_bytes_in_names_are_kept_as_marks() {
        let cut = &JSON[..JSON.len() - 40];
        let error = import_bytes("export.json", cut.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("line 14") && error.contains("ends in the middle"), "{error}");
        let broken = JSON.replace("\"Timestamp\":\"24658051\"", "\"Timestamp\":}");
        let error = import_bytes("export.json", broken.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("line 10"), "{error}");
        let mut odd = JSON.as_bytes().to_vec();
        let at = JSON.find("inner").unwrap();
        odd[at] = 0xff;
        let (_, tables) = import_bytes("export.json", &odd).unwrap();
        let names = texts(tables.get(&tables::RANGES), "name").unwrap();
        assert_eq!(names[2].as_deref(), Some("\u{fffd}nner"));
    }
}

/// What needs nsys itself; skipped where it is not installed.
mod with_nsys {
    use super::*;
    use crate::raw::tool::NSYS;

    fn nsys() -> bool {
        let found = NSYS.find(std::path::Path::new("")).is_ok();
        if !found {
            // Not a print macro: the test harness hides those.
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: no nsys\n").unwrap();
        }
        found
    }

    #[test]
    fn a_report_gives_the_tables_of_its_export() {
        let (Some(path), true) = (shared_data("nsys/v100_p2p_nvlink.qdrep"), nsys()) else { return };
        let (imported, report) = into_memory(&path).unwrap();
        let stored = import("v100_p2p_nvlink.schema3.0.sqlite").unwrap();
        assert_eq!((imported.importer, imported.session.start_unix_ns), ("nsys_report", 1_625_566_313_696_370_334));
        for table in tables::ALL {
            same_rows(&report, &stored, table, &["source"]);
        }
    }

    #[test]
    fn the_arrow_and_json_exports_of_a_report_give_the_tables_of_its_sqlite_export() {
        let (Some(path), true) = (shared_data("nsys/v100_p2p_nvlink.qdrep"), nsys()) else { return };
        let sqlite = import("v100_p2p_nvlink.schema3.0.sqlite").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let exported = |kind: &str| {
            let out = folder.path().join(format!("export.{kind}"));
            let options = [format!("--type={kind}"), format!("--output={}", out.display()), path.display().to_string()];
            let arguments = ["export".to_owned(), "--force-overwrite=true".to_owned()].into_iter().chain(options);
            let output = NSYS.run(arguments, &path, std::time::Duration::from_mins(5)).unwrap();
            assert!(output.status.success(), "{}", output.last_words());
            into_memory(&out).unwrap().1
        };
        let arrow = exported("arrow");
        for table in tables::ALL {
            same_rows(&sqlite, &arrow, table, &["source"]);
        }
        // JSON tells no devices, priorities or versions, and has no enumerations, whose usual numbers stand in.
        let json = exported("json");
        for table in [&tables::ACTIVITIES, &tables::CALLS, &tables::RANGES] {
            same_rows(&sqlite, &json, table, &[]);
        }
        same_rows(&sqlite, &json, &tables::QUEUES, &["priority"]);
    }

    #[test]
    fn a_report_of_a_newer_version_names_both_versions() {
        if !nsys() {
            return;
        }
        for (name, version) in [("gb200_cuda_graph_too_new", "2025.5.1"), ("gh200_jacobi", "2023.4.1")] {
            let Some(path) = shared_data(&format!("nsys/{name}.nsys-rep")) else { return };
            match into_memory(&path) {
                Err(error) => {
                    let error = error.to_string();
                    assert!(error.contains(version) && error.contains("installed nsys 20"), "{error}");
                    assert!(error.contains(&format!("install nsys {version} or newer")), "{error}");
                }
                // A newer nsys than Debian's reads it.
                Ok((imported, _)) => assert_eq!(imported.importer, "nsys_report"),
            }
        }
    }
}
