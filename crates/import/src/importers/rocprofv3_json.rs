//! The importer of rocprofv3's JSON (`docs/importers/rocm.md`).

use super::{Importer, Session};
use crate::Error;
use crate::raw::{Head, Import, Source};
use crate::rocm::sdk;

/// The importer.
pub const IMPORTER: Importer = Importer {
    name: "rocprofv3_json",
    doc: "The JSON of rocprofv3 (rocprofiler-sdk-tool): kernels, copies, HIP and HSA calls, ROCTx, counters.",
    sniff,
    import,
};

/// The root's one member comes first.
fn sniff(head: &Head<'_>) -> bool {
    let inside = head.text().trim_start().strip_prefix('{').map(str::trim_start);
    inside.and_then(|text| text.strip_prefix('"')).is_some_and(|text| text.starts_with(sdk::ROOT))
}

fn import(source: &Source, import: &mut Import<'_>) -> Result<Session, Error> {
    let start_monotonic_ns = sdk::read(source, import)?;
    // `rocprofiler_get_timestamp` reads CLOCK_BOOTTIME, which differs from CLOCK_MONOTONIC by the time asleep.
    Ok(Session { start_monotonic_ns, clock: "rocprofiler (CLOCK_BOOTTIME, ns)".to_owned(), ..Session::default() })
}

/// A small file, for tests that damage it.
#[cfg(test)]
pub(crate) fn sample() -> String {
    tests::whole()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use proftool_trace::frame::{Tables, floats, ints, texts};
    use proftool_trace::tables;

    use super::*;
    use crate::driver::into_memory;
    use crate::fixture::shared_data;
    use crate::importers::rocprofv3_json::sniff;

    fn written(text: &str) -> Result<Tables, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        fs::write(&path, text).unwrap();
        into_memory(&path).map(|(_, all)| all)
    }

    fn column(all: &Tables, table: &'static proftool_trace::Table, name: &str) -> Vec<Option<i64>> {
        ints(all.get(table), name).unwrap()
    }

    fn names(all: &Tables, table: &'static proftool_trace::Table, name: &str) -> Vec<String> {
        texts(all.get(table), name).unwrap().into_iter().map(Option::unwrap_or_default).collect()
    }

    /// Every number was computed from the file with Python's json and integers.
    #[test]
    fn mi355_gives_the_numbers_that_python_gives() {
        let Some(path) = shared_data("amd/rocprofv3_mi355.json.gz") else { return };
        let (imported, all) = into_memory(&path).unwrap();
        assert_eq!(imported.session.start_monotonic_ns, 63_855_948_165_371);
        let activities = &tables::ACTIVITIES;
        let starts: Vec<i64> = column(&all, activities, "start_ns").into_iter().flatten().collect();
        let ends: Vec<i64> = column(&all, activities, "end_ns").into_iter().flatten().collect();
        assert_eq!(starts.len(), 43_915);
        assert_eq!((starts.iter().min(), ends.iter().max()), (Some(&2_034_426_629), Some(&17_156_450_123)));
        let mut total: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for (at, name) in names(&all, activities, "name").into_iter().enumerate() {
            let sum = total.entry(name).or_default();
            *sum = (sum.0 + 1, sum.1 + ends[at] - starts[at]);
        }
        assert_eq!(total.values().map(|(_, ns)| ns).sum::<i64>(), 4_441_741_378);
        assert_eq!(total.len(), 80);
        let nccl = total["ncclDevKernel_Generic_1(ncclDevKernelArgsStorage<4096ul>)"];
        assert_eq!(nccl, (1310, 4_158_756_678));
        let mut spans: Vec<(i64, i64)> = starts.into_iter().zip(ends).collect();
        spans.sort_unstable();
        let (busy, _) = spans.iter().fold((0, i64::MIN), |(busy, until), (start, end)| {
            (busy + (end - until.max(*start)).max(0), until.max(*end))
        });
        assert_eq!(busy, 4_233_112_334);
        let sum = |name: &str| column(&all, activities, name).into_iter().flatten().sum::<i64>();
        let sums = ["grid_x", "shared_bytes", "registers_per_thread"].map(sum);
        assert_eq!(sums, [19_699_803, 560_342_640, 1_367_408]);
    }

    #[test]
    fn mi355_gives_the_one_device_that_ran_kernels_and_its_streams() {
        let Some(path) = shared_data("amd/rocprofv3_mi355.json.gz") else { return };
        let (_, all) = into_memory(&path).unwrap();
        let device = |name: &str| column(&all, &tables::DEVICES, name);
        assert_eq!(names(&all, &tables::DEVICES, "name"), ["AMD Instinct MI350X"]);
        assert_eq!(names(&all, &tables::DEVICES, "arch"), ["gfx950"]);
        assert_eq!([device("device"), device("sm_count")], [[Some(0)], [Some(256)]]);
        assert_eq!([device("clock_hz"), device("memory_bytes")], [[Some(2_200_000_000)], [Some(309_220_868_096)]]);
        assert_eq!(column(&all, &tables::QUEUES, "queue").len(), 567);
        assert!(texts(all.get(&tables::DEVICES), "host").unwrap()[0].is_none());
        assert!(column(&all, &tables::ACTIVITIES, "call").iter().all(Option::is_none), "the file has no calls");
    }

    const AGENTS: &str = r#"[{"id":{"handle":1},"type":1,"node_id":0},
        {"id":{"handle":2},"type":2,"node_id":1,"logical_node_type_id":0,"name":"gfx942","product_name":"MI300X"},
        {"id":{"handle":3},"type":2,"node_id":2,"logical_node_type_id":1,"name":"gfx942","product_name":"MI300X"}]"#;
    const STRINGS: &str = r#"{"callback_records":[{"kind":"X","operations":["wrong"]}],"buffer_records":[
        {"kind":"NONE","operations":[]},{"kind":"HIP_RUNTIME_API_EXT","operations":["hipInit","hipLaunchKernel","hipMemcpyAsync"]},
        {"kind":"HSA_CORE_API","operations":["hsa_init"]},
        {"kind":"MARKER_CORE_RANGE_API","operations":["roctxMarkA","roctxThreadRangeA","roctxProcessRangeA","roctxGetThreadId"]},
        {"kind":"MEMORY_COPY","operations":["NONE","H","MEMORY_COPY_HOST_TO_DEVICE","D","MEMORY_COPY_DEVICE_TO_DEVICE"]}],
        "marker_api":[{"key":20,"value":"step \"1\""},{"key":21,"value":"inner"}]}"#;
    const SYMBOLS: &str = r#"[{"kernel_id":0,"formatted_kernel_name":"0"},
        {"kernel_id":1,"kernel_name":"_Z1fv.kd","formatted_kernel_name":"f()","arch_vgpr_count":8,"accum_vgpr_count":4}]"#;

    fn dispatch(id: i64, agent: i64, start: i64, end: i64) -> String {
        format!(
            r#"{{"kind":11,"operation":2,"thread_id":7,"correlation_id":{{"internal":{id},"external":0}},
            "start_timestamp":{start},"end_timestamp":{end},"dispatch_info":{{"agent_id":{{"handle":{agent}}},
            "queue_id":{{"handle":9}},"kernel_id":1,"dispatch_id":{id},"group_segment_size":64,
            "workgroup_size":{{"x":64,"y":1,"z":1}},"grid_size":{{"x":100,"y":2,"z":1}}}},"stream_id":{{"handle":4}}}}"#
        )
    }

    fn api(kind: i64, operation: i64, correlation: i64, start: i64, end: i64) -> String {
        format!(
            r#"{{"kind":{kind},"operation":{operation},"correlation_id":{{"internal":{correlation}}},
            "start_timestamp":{start},"end_timestamp":{end},"thread_id":7,"args":[{{"name":"n","value":"]}}"}}]}}"#
        )
    }

    fn process(counters: &str, records: &str) -> String {
        format!(
            r#"{{"metadata":{{"pid":5,"init_time":1000,"config":{{"group_by_queue":false}}}},"agents":{AGENTS},
            "counters":[{{"agent_id":{{"handle":2}},"id":{{"handle":18446744073709551615}},"name":"SQ_WAVES"}}],
            "strings":{STRINGS},"kernel_symbols":{SYMBOLS},"callback_records":{{"counter_collection":[{counters}]}},
            "buffer_records":{{{records}}}}}"#
        )
    }

    fn file(processes: &[String]) -> String {
        format!(r#"{{"rocprofiler-sdk-tool":[{}]}}"#, processes.join(","))
    }

    /// A file with something of every kind.
    pub(super) fn whole() -> String {
        let copy = r#"{"kind":4,"operation":2,"thread_id":7,"correlation_id":{"internal":11},"start_timestamp":1300,
            "end_timestamp":1400,"dst_agent_id":{"handle":2},"src_agent_id":{"handle":1},"bytes":4096,"stream_id":{"handle":4}}"#;
        let peer = copy
            .replace(r#"src_agent_id":{"handle":1"#, r#"src_agent_id":{"handle":3"#)
            .replace("operation\":2", "operation\":4");
        let records = format!(
            r#""kernel_dispatch":[{}],"hip_api":[{},{}],"hsa_api":[{}],"marker_api":[{},{},{}],"memory_copy":[{copy},{peer}],
            "scratch_memory":[{{}},{{}}],"kfd":[]"#,
            dispatch(10, 2, 1200, 1250),
            api(1, 1, 10, 1100, 1110),
            api(1, 2, 11, 1120, 1190),
            api(2, 0, 3, 1001, 1002),
            api(3, 1, 21, 1105, 1150),
            api(3, 1, 20, 1050, 1500),
            api(3, 0, 22, 1120, 1120),
        );
        file(&[process("", &records)])
    }

    #[test]
    fn calls_launches_copies_and_ranges_are_joined() {
        let all = written(&whole()).unwrap();
        assert_eq!(names(&all, &tables::CALLS, "name"), ["hipLaunchKernel", "hipMemcpyAsync", "hsa_init"]);
        assert_eq!(names(&all, &tables::CALLS, "api"), ["runtime", "runtime", "driver"]);
        let activity = |name: &str| column(&all, &tables::ACTIVITIES, name);
        assert_eq!(names(&all, &tables::ACTIVITIES, "kind"), ["kernel", "copy", "copy"]);
        assert_eq!(names(&all, &tables::ACTIVITIES, "copy_kind"), ["", "h2d", "p2p"]);
        assert_eq!(activity("call"), [Some(0), Some(1), Some(1)]);
        assert_eq!(activity("start_ns"), [Some(200), Some(300), Some(300)]);
        assert_eq!(activity("device"), [Some(0), Some(0), Some(1)]);
        assert_eq!([activity("src_device"), activity("dst_device")], [[None, None, Some(1)], [None, Some(0), Some(0)]]);
        assert_eq!(
            [activity("grid_x")[0], activity("grid_y")[0], activity("block_x")[0]],
            [Some(2), Some(2), Some(64)]
        );
        assert_eq!([activity("queue")[0], activity("registers_per_thread")[0]], [Some(4), Some(12)]);
        assert_eq!(names(&all, &tables::RANGES, "name"), ["step \"1\"", "inner", "roctxMarkA"]);
        assert_eq!(column(&all, &tables::RANGES, "parent"), [None, Some(0), Some(1)]);
        assert_eq!(column(&all, &tables::RANGES, "depth"), [Some(0), Some(1), Some(2)]);
        assert_eq!(names(&all, &tables::RANGES, "style"), ["push_pop", "push_pop", "mark"]);
        assert_eq!(names(&all, &tables::ISSUES, "code"), ["scratch_memory"]);
    }

    fn counted(id: i64, values: &[f64]) -> String {
        let values = values
            .iter()
            .map(|value| format!(r#"{{"counter_id":{{"handle":18446744073709551615}},"value":{value:?}}}"#));
        let values = values.collect::<Vec<_>>().join(",");
        format!(
            r#"{{"thread_id":7,"dispatch_data":{},"records":[{values}],"stream_id":{{"handle":4}}}}"#,
            dispatch(id, 2, 1500, 1600)
        )
    }

    #[test]
    fn instances_of_a_counter_add_up_and_a_replay_does_not() {
        let counters = [counted(2, &[1.0, 2.5]), counted(2, &[9.0]), counted(1, &[4.0])].join(",");
        let records = format!(r#""kernel_dispatch":[{},{}]"#, dispatch(2, 2, 1300, 1400), dispatch(1, 2, 1100, 1200));
        let all = written(&file(&[process(&counters, &records)])).unwrap();
        assert_eq!(floats(all.get(&tables::COUNTERS), "value").unwrap(), [Some(3.5), Some(4.0)]);
        assert_eq!(names(&all, &tables::COUNTER_DEFS, "metric"), ["SQ_WAVES"]);
        let launch = |name: &str| column(&all, &tables::LAUNCHES, name);
        assert_eq!(
            [launch("launch"), launch("activity"), launch("launch_index")],
            [[1, 0], [0, 1], [0, 1]].map(|row| row.map(Some))
        );
        assert_eq!(column(&all, &tables::ACTIVITIES, "start_ns"), [Some(100), Some(300)]);
        assert_eq!(names(&all, &tables::LAUNCHES, "grid"), ["(2,2,1)"; 2]);
        let alone = written(&file(&[process(&counters, r#""kernel_dispatch":[]"#)])).unwrap();
        assert_eq!(column(&alone, &tables::ACTIVITIES, "start_ns"), [Some(500), Some(500)]);
    }

    #[test]
    fn processes_of_one_file_have_rows_of_their_own() {
        let one = process(
            "",
            &format!(r#""kernel_dispatch":[{}],"hip_api":[{}]"#, dispatch(1, 2, 1100, 1200), api(1, 1, 1, 1010, 1020)),
        );
        let other = one.replace("\"pid\":5", "\"pid\":6").replace("\"init_time\":1000", "\"init_time\":1700");
        let all = written(&file(&[one, other])).unwrap();
        let activity = |name: &str| column(&all, &tables::ACTIVITIES, name);
        assert_eq!([activity("id"), activity("call")], [[Some(0), Some(1)]; 2]);
        assert_eq!([activity("process"), activity("start_ns")], [[Some(5), Some(6)], [Some(100), Some(100)]]);
        assert_eq!(all.get(&tables::DEVICES).height(), 1);
    }

    #[test]
    fn rows_that_cannot_be_are_counted_and_many_end_the_import() {
        let mut records: Vec<String> = (1..=300).map(|id| dispatch(id, 2, 1000 + id, 1001 + id)).collect();
        records.push(dispatch(301, 2, 1400, 1300));
        records.push(dispatch(302, 2, 0, 0));
        records.push(dispatch(303, 99, 1400, 1500));
        let all = written(&file(&[process("", &format!(r#""kernel_dispatch":[{}]"#, records.join(",")))])).unwrap();
        assert_eq!(all.get(&tables::ACTIVITIES).height(), 300);
        let mut codes = names(&all, &tables::ISSUES, "code");
        codes.sort();
        assert_eq!(codes, ["end_before_start", "launch_not_recorded", "unknown_device", "without_times"]);
        let few = file(&[process("", &format!(r#""kernel_dispatch":[{}]"#, records[299..].join(",")))]);
        let error = written(&few).unwrap_err().to_string();
        assert!(error.contains("dispatch_id") || error.contains("kernel_dispatch"), "{error}");
    }

    #[test]
    fn a_file_cut_anywhere_is_refused_with_the_place() {
        let text = file(&[process("", &format!(r#""kernel_dispatch":[{}]"#, dispatch(1, 2, 1100, 1200)))]);
        for end in (40..text.len()).step_by(37) {
            let error = written(&text[..end]).unwrap_err().to_string();
            assert!(error.contains("is damaged at byte ") && error.contains("the file ends"), "{end}: {error}");
        }
        assert!(written(&text).is_ok());
        let error = written(&text.replace("\"dispatch_info\":{", "\"dispatch_info\":[")).unwrap_err().to_string();
        assert!(error.contains("in record 1 of kernel_dispatch"), "{error}");
    }

    #[test]
    fn a_cut_gzip_is_refused() {
        let Some(path) = shared_data("amd/rocprofv3_mi355.json.gz") else { return };
        let bytes = fs::read(path).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let cut = folder.path().join("cut.json.gz");
        fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
        let error = into_memory(&cut).unwrap_err().to_string();
        assert!(error.contains("its gzip data: it is cut short"), "{error}");
    }

    #[test]
    fn only_the_root_member_claims() {
        let claims = |text: &str| sniff(&Head { bytes: text.as_bytes(), ..Head::default() });
        assert!(claims("\u{feff}{ \"rocprofiler-sdk-tool\": [ {"));
        assert!(!claims("{\"traceEvents\":[{\"name\":\"rocprofiler-sdk-tool\"}]}") && !claims("[]"));
    }
}
