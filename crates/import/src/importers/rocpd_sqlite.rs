//! The importer of rocpd databases (`docs/importers/rocm.md`).

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Import, Source};
use crate::rocm::rocpd;

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "rocpd_sqlite",
    doc: "A rocpd database of rocprofv3 (results.db): kernels, copies, HIP and HSA calls, ROCTx, counters.",
    sniff: |head| rocpd::is_rocpd(head.sqlite),
    import,
};

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let start_monotonic_ns = rocpd::read(source, import)?;
    Ok(Session { start_monotonic_ns, clock: "rocprofiler (CLOCK_BOOTTIME, ns)".to_owned(), ..Session::default() })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use proftool_trace::frame::{Tables, floats, ints, texts};
    use proftool_trace::{Table, tables};
    use rusqlite::Connection;

    use super::*;
    use crate::driver::into_memory;
    use crate::fixture::shared_data;
    use crate::importers::IMPORTERS;
    use crate::raw::Head;
    use crate::rocm::rocpd::fake::{Fake, Schema, whole, write};

    fn imported(fill: impl FnOnce(&Connection)) -> Result<(i64, Tables), Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.db");
        write(&path, fill);
        into_memory(&path).map(|(imported, all)| (imported.session.start_monotonic_ns, all))
    }

    fn capture(schema: Schema) -> Tables {
        imported(|connection| whole(&mut Fake::new(connection, "00ab_1", schema, 5, 1000, "m"))).unwrap().1
    }

    fn column(all: &Tables, table: &'static Table, name: &str) -> Vec<Option<i64>> {
        ints(all.get(table), name).unwrap()
    }

    fn names(all: &Tables, table: &'static Table, name: &str) -> Vec<String> {
        texts(all.get(table), name).unwrap().into_iter().map(Option::unwrap_or_default).collect()
    }

    #[test]
    fn every_kind_of_row_is_read_and_joined() {
        let all = capture(Schema::Inline);
        let activity = |name: &str| column(&all, &tables::ACTIVITIES, name);
        assert_eq!(names(&all, &tables::ACTIVITIES, "kind"), ["kernel", "kernel", "copy", "copy", "copy"]);
        assert_eq!(names(&all, &tables::ACTIVITIES, "copy_kind"), ["", "", "h2d", "p2p", "d2h"]);
        assert_eq!(names(&all, &tables::ACTIVITIES, "name")[..3], ["f()", "f()", "MEMORY_COPY_0_TO_1"]);
        assert_eq!(activity("start_ns"), [200, 260, 300, 310, 500].map(Some));
        assert_eq!(activity("end_ns"), [250, 300, 400, 420, 600].map(Some));
        assert_eq!(activity("device"), [0, 1, 0, 1, 0].map(Some));
        assert_eq!(activity("call"), [Some(0), None, Some(1), Some(1), Some(1)]);
        assert_eq!(activity("bytes"), [None, None, Some(4096), Some(100), Some(7)]);
        assert_eq!(activity("queue"), [Some(4); 5]);
        assert_eq!(activity("process"), [Some(5); 5]);
        let first =
            ["grid_x", "grid_y", "block_x", "registers_per_thread", "shared_bytes"].map(|name| activity(name)[0]);
        assert_eq!(first, [2, 2, 64, 12, 64].map(Some));
        assert_eq!(names(&all, &tables::CALLS, "api"), ["runtime", "runtime", "driver"]);
        assert_eq!(column(&all, &tables::CALLS, "thread"), [Some(6); 3]);
        assert_eq!(names(&all, &tables::RANGES, "name"), ["step 1", "inner", "here"]);
        assert_eq!(column(&all, &tables::RANGES, "parent"), [None, Some(0), Some(1)]);
        assert_eq!(names(&all, &tables::RANGES, "style"), ["push_pop", "push_pop", "mark"]);
        assert_eq!(names(&all, &tables::DEVICES, "name"), ["AMD Instinct MI300X"; 2]);
        assert_eq!(column(&all, &tables::DEVICES, "sm_count"), [Some(304); 2]);
        assert_eq!(texts(all.get(&tables::DEVICES), "host").unwrap(), [None, None]);
        assert_eq!(names(&all, &tables::ISSUES, "code"), ["driver_event", "launch_not_recorded"]);
    }

    #[test]
    fn counters_belong_to_their_launches_and_instances_add_up() {
        let all = capture(Schema::Inline);
        assert_eq!(floats(all.get(&tables::COUNTERS), "value").unwrap(), [Some(3.5), Some(4.0)]);
        assert_eq!(names(&all, &tables::COUNTER_DEFS, "metric"), ["SQ_WAVES"]);
        let launch = |name: &str| column(&all, &tables::LAUNCHES, name);
        assert_eq!([launch("activity"), launch("launch_index")], [[0, 1], [0, 1]].map(|row| row.map(Some)));
        assert_eq!(names(&all, &tables::LAUNCHES, "grid"), ["(2,2,1)"; 2]);
    }

    #[test]
    fn every_state_of_the_schema_gives_the_same_tables() {
        let wanted = capture(Schema::Inline);
        for schema in [Schema::Tracks, Schema::Timestamps] {
            let all = capture(schema);
            for table in tables::ALL {
                assert!(all.get(table).equals_missing(wanted.get(table)), "{} of {schema:?}", table.name);
            }
        }
    }

    #[test]
    fn tables_without_an_identifier_are_read_too() {
        let (_, all) =
            imported(|connection| whole(&mut Fake::new(connection, "", Schema::Inline, 5, 1000, "m"))).unwrap();
        assert!(all.get(&tables::ACTIVITIES).equals_missing(capture(Schema::Inline).get(&tables::ACTIVITIES)));
    }

    /// As `rocpd merge` leaves them: one set of tables a process, and views over all sets.
    #[test]
    fn merged_processes_have_rows_of_their_own() {
        let (start, all) = imported(|connection| {
            whole(&mut Fake::new(connection, "00ab_1", Schema::Inline, 5, 1000, "m"));
            whole(&mut Fake::new(connection, "00ab_2", Schema::Inline, 6, 900, "m"));
            let union = "CREATE VIEW rocpd_X AS SELECT * FROM rocpd_X_00ab_1 UNION ALL SELECT * FROM rocpd_X_00ab_2";
            for name in ["string", "kernel_dispatch", "memory_copy", "region"] {
                connection.execute_batch(&union.replace('X', name)).unwrap();
            }
        })
        .unwrap();
        assert_eq!(start, 900);
        let activity = |name: &str| column(&all, &tables::ACTIVITIES, name);
        let ids: std::collections::BTreeSet<_> = activity("id").into_iter().collect();
        assert_eq!((ids.len(), activity("start_ns")[0]), (10, Some(300)));
        assert_eq!(activity("process")[4..6], [Some(5), Some(6)]);
        assert_eq!([activity("call")[0], activity("call")[5]], [Some(0), Some(3)]);
        assert_eq!(column(&all, &tables::DEVICES, "device"), [Some(0), Some(1)]);
        assert_eq!(names(&all, &tables::COUNTER_DEFS, "metric"), ["SQ_WAVES"]);
        assert!(names(&all, &tables::ISSUES, "code").contains(&"processes_merged".to_owned()));
    }

    #[test]
    fn machines_have_devices_and_clocks_of_their_own() {
        let (_, all) = imported(|connection| {
            whole(&mut Fake::new(connection, "a", Schema::Inline, 5, 1000, "m"));
            let mut other = Fake::new(connection, "b", Schema::Inline, 5, 9_000_000, "n");
            other.kernel(1, 1, 9_000_100, 9_000_200);
        })
        .unwrap();
        assert_eq!(column(&all, &tables::ACTIVITIES, "device")[5], Some(2));
        assert_eq!(column(&all, &tables::ACTIVITIES, "start_ns")[5], Some(100));
        assert_eq!(column(&all, &tables::DEVICES, "device"), [Some(0), Some(1), Some(2)]);
        assert!(names(&all, &tables::ISSUES, "code").contains(&"clocks_not_aligned".to_owned()));
    }

    #[test]
    fn the_views_alone_are_enough() {
        let (_, all) = imported(|connection| {
            connection
                .execute_batch(
                    "CREATE TABLE kernels (id, guid, tid, category, region, name, nid, pid, agent_abs_index, agent_type_index,
                     kernel_id, dispatch_id, stream_id, queue_id, start, \"end\", duration, grid_x, grid_y, grid_z, workgroup_x,
                     workgroup_y, workgroup_z, lds_size, vgpr_count, accum_vgpr_count, stack_id);
                     INSERT INTO kernels VALUES (1,'g',6,'K','','f()',1,5,1,0,1,1,4,9,1200,1250,50,100,2,1,64,1,1,64,8,4,10);
                     CREATE TABLE memory_copies (id, guid, category, pid, tid, start, \"end\", name, stream_id, size, src_agent_type,
                     src_agent_type_index, dst_agent_type, dst_agent_type_index, stack_id);
                     INSERT INTO memory_copies VALUES (1,'g','M',5,6,1300,1400,'MEMORY_COPY_HOST_TO_DEVICE',4,4096,'CPU',0,'GPU',0,10);
                     CREATE TABLE regions (id, guid, category, name, nid, pid, tid, start, \"end\", stack_id, extdata);
                     INSERT INTO regions VALUES (1,'g','HIP_RUNTIME_API_EXT','hipLaunchKernel',1,5,6,1190,1195,10,'{}');",
                )
                .unwrap();
        })
        .unwrap();
        let activity = |name: &str| column(&all, &tables::ACTIVITIES, name);
        assert_eq!([activity("start_ns"), activity("call")], [[Some(10), Some(110)], [Some(0), Some(0)]]);
        assert_eq!(["grid_x", "block_x", "registers_per_thread"].map(|name| activity(name)[0]), [2, 64, 12].map(Some));
        assert_eq!(names(&all, &tables::ACTIVITIES, "copy_kind"), ["", "h2d"]);
    }

    #[test]
    fn samples_of_a_counter_over_time_are_samples() {
        let (_, all) = imported(|connection| {
            let mut fake = Fake::new(connection, "a", Schema::Inline, 5, 1000, "m");
            fake.kernel(1, 1, 1100, 1200);
            let event = fake.sample("rocm_smi_busy", 1150, "{}");
            fake.counter(event, "busy", 62.5);
        })
        .unwrap();
        assert_eq!(column(&all, &tables::SAMPLES, "start_ns"), [Some(150)]);
        assert_eq!(floats(all.get(&tables::SAMPLES), "value").unwrap(), [Some(62.5)]);
        assert_eq!(all.get(&tables::LAUNCHES).height(), 0);
    }

    #[test]
    fn rows_that_cannot_be_are_counted() {
        let (_, all) = imported(|connection| {
            let mut fake = Fake::new(connection, "a", Schema::Inline, 5, 1000, "m");
            for id in 1..=400 {
                fake.kernel(1, id, 1000 + id, 1001 + id);
            }
            fake.kernel(1, 500, 1400, 1300);
            fake.kernel(0, 501, 1400, 1500);
            fake.kernel(1, 502, 0, 0);
        })
        .unwrap();
        assert_eq!(all.get(&tables::ACTIVITIES).height(), 400);
        let mut codes = names(&all, &tables::ISSUES, "code");
        codes.sort();
        assert_eq!(codes, ["end_before_start", "launch_not_recorded", "unknown_device", "without_times"]);
    }

    #[test]
    fn damage_is_told_with_its_table() {
        let broken = |fill: &dyn Fn(&Connection)| imported(|connection| fill(connection)).unwrap_err().to_string();
        let missing = broken(&|connection| {
            Fake::new(connection, "a", Schema::Inline, 5, 1000, "m").kernel(1, 1, 1100, 1200);
            connection.execute_batch("ALTER TABLE rocpd_kernel_dispatch_a RENAME COLUMN \"end\" TO finish").unwrap();
        });
        assert!(missing.contains("table rocpd_kernel_dispatch_a: it has no columns start and end"), "{missing}");
        let old = broken(&|connection| {
            connection
                .execute_batch(
                    "CREATE TABLE rocpd_op (id); CREATE TABLE rocpd_api (id); CREATE TABLE rocpd_string (id, string)",
                )
                .unwrap();
        });
        assert!(old.contains("RPD database") && old.contains("rpd2tracing"), "{old}");
        let empty = imported(|connection| drop(Fake::new(connection, "a", Schema::Inline, 5, 1000, "m"))).unwrap_err();
        assert!(matches!(empty, Error::NoRows { format: "rocpd_sqlite", .. }), "{empty}");
    }

    #[test]
    fn a_database_that_is_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.db");
        write(&path, |connection| {
            let mut fake = Fake::new(connection, "a", Schema::Inline, 5, 1000, "m");
            for id in 1..=2000 {
                fake.kernel(1, id, 1000 + id, 1001 + id);
            }
        });
        let bytes = fs::read(&path).unwrap();
        let cut = |part: &Path| fs::write(part, &bytes[..bytes.len() / 2]).unwrap();
        cut(&path);
        let error = into_memory(&path).unwrap_err().to_string();
        assert!(error.contains("results.db is damaged at "), "{error}");
    }

    #[test]
    fn no_other_database_is_claimed_and_no_other_importer_claims() {
        let claims = |names: &[&str]| {
            let sqlite: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let head = Head { bytes: b"SQLite format 3\0", sqlite: &sqlite, ..Head::default() };
            IMPORTERS
                .iter()
                .filter(|importer| (importer.sniff)(&head))
                .map(|importer| importer.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(claims(&["rocpd_string_ab", "rocpd_kernel_dispatch_ab", "kernels"]), ["rocpd_sqlite"]);
        assert_eq!(claims(&["kernels", "memory_copies", "regions"]), ["rocpd_sqlite"]);
        assert!(claims(&["kernels", "users"]).is_empty());
        let Some(nsys) = shared_data("nsys/rtx3080_min.schema3.24.sqlite") else { return };
        let source = crate::raw::Source::open(&nsys, &std::sync::Arc::default()).unwrap();
        assert!(!(IMPORTER.sniff)(&source.head()));
    }
}
