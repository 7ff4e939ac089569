use super::*;
use proftool_trace::frame::float_column;

/// device, def, start, end, value.
type Sample = (i64, i64, i64, i64, Option<f64>);

#[test]
fn calls_of_transfer_libraries_are_a_source_of_their_own() {
    let fixture = Fixture::new()
        .kernel(0, 0, (0, 50))
        .work(0, "prefill", 0, 0, 8)
        .kernel(0, 0, (90, 100))
        .range("nixl_post_xfer", (60, 70))
        .range("nixl_register_mem", (70, 90));
    let mut tables = fixture.tables();
    let calls = [("ucp_tag_send_nbx", 30, 55), ("ucp_worker_progress", 0, 100)];
    let columns = vec![
        constant("pass", "host", 2),
        int_column("rank", vec![Some(0); 2]),
        int_column("id", [Some(0), Some(1)]),
        constant("api", "ucx", 2),
        text_column("name", calls.iter().map(|call| Some(call.0))),
        int_column("start_ns", calls.iter().map(|call| Some(call.1))),
        int_column("end_ns", calls.iter().map(|call| Some(call.2))),
    ];
    tables.set(&tables::CALLS, build(&tables::CALLS, columns).unwrap()).unwrap();
    let frame = kv(&tables);
    let row = all_of(&frame, "ucx");
    // 30..55 and 60..70, of which 30..50 behind the prefill.
    let values = ["transfers", "total_ns", "sender_ns", "sender_hidden_ns", "sender_exposed_ns"];
    assert_eq!(values.map(|name| int(&frame, row, name)), [2, 35, 35, 20, 15].map(Some));
    assert_eq!((int(&frame, row, "bytes"), int(&frame, row, "hidden_ns")), (None, None));
    assert!(texts(&frame, "reason").unwrap()[row].as_deref().unwrap().contains("asynchronous"));
}

#[test]
fn ranges_speak_only_where_nothing_else_is_recorded() {
    let ranges = Fixture::new().kernel(0, 0, (0, 20)).range("kv_transfer", (10, 40)).block((0, 30));
    let frame = kv(&ranges.tables());
    assert_eq!((frame.height(), int(&frame, all_of(&frame, "ranges"), "total_ns")), (2, Some(20)));
    let copies = Fixture::new().queue(0, 1, "kv").copy(0, 1, (0, 20), 1, 8).range("kv_transfer", (10, 40));
    assert_eq!(kv(&copies.tables()).height(), 1);
}

#[test]
fn adapters_count_what_they_moved_in_their_busier_direction() {
    let mut tables =
        Fixture::new().kernel(0, 0, (0, 150)).work(0, "prefill", 0, 0, 8).kernel(0, 0, (290, 300)).tables();
    let defs = [
        ("mlx5_0 port 1: Bytes sent", "MB/s"),
        ("mlx5_0 port 1: Bytes received", "bytes/ms"),
        ("x: Packets sent", "packets/s"),
    ];
    let columns = vec![
        constant("pass", "host", 3),
        int_column("rank", vec![Some(0); 3]),
        int_column("def", (0..3).map(Some)),
        text_column("metric", defs.iter().map(|def| Some(def.0))),
        text_column("unit", defs.iter().map(|def| Some(def.1))),
        constant("source", "counter", 3),
    ];
    tables.set(&tables::COUNTER_DEFS, build(&tables::COUNTER_DEFS, columns).unwrap()).unwrap();
    // device, def, start, end, value: 2000 MB/s for 100 ns are 200 bytes; then none; then 1 byte a ns. Device 0 is no
    // adapter, a rate that is no number says nothing, and little is received.
    let samples = [
        (1000, 0, 100, 200, Some(2000.0)),
        (1000, 0, 200, 250, Some(0.0)),
        (1000, 0, 250, 300, Some(1000.0)),
        (1000, 0, 250, 300, Some(f64::NAN)),
        (1000, 1, 0, 300, Some(10_000.0)),
        (0, 0, 0, 300, Some(9e9)),
        (1000, 2, 0, 300, Some(9e9)),
    ];
    let column = |name, value: fn(&Sample) -> i64| int_column(name, samples.iter().map(|sample| Some(value(sample))));
    let columns = vec![
        constant("pass", "host", samples.len()),
        int_column("rank", vec![Some(0); samples.len()]),
        column("device", |sample| sample.0),
        column("def", |sample| sample.1),
        column("start_ns", |sample| sample.2),
        column("end_ns", |sample| sample.3),
        float_column("value", samples.iter().map(|sample| sample.4)),
    ];
    tables.set(&tables::SAMPLES, build(&tables::SAMPLES, columns).unwrap()).unwrap();
    let frame = kv(&tables);
    let row = all_of(&frame, "nic");
    let values = ["transfers", "bytes", "total_ns", "sender_hidden_ns"];
    assert_eq!(values.map(|name| int(&frame, row, name)), [2, 250, 150, 50].map(Some));
}
