use super::*;
use crate::fixture::Fixture;
use crate::model::Model;
use crate::operators::{contains, union};
use proftool_trace::frame::{Tables, build, floats, int_column, ints, text_column, texts};
use proptest::prelude::*;

mod hosts;
mod requests;

fn kv(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn int(frame: &DataFrame, row: usize, name: &str) -> Option<i64> {
    ints(frame, name).unwrap()[row]
}

fn float_of(frame: &DataFrame, row: usize, name: &str) -> Option<f64> {
    floats(frame, name).unwrap()[row]
}

/// The only row of a source that is about all transfers.
fn all_of(frame: &DataFrame, source: &str) -> usize {
    let (sources, requests) = (texts(frame, "source").unwrap(), texts(frame, "request").unwrap());
    let found: Vec<usize> = (0..frame.height())
        .filter(|row| sources[*row].as_deref() == Some(source) && requests[*row].is_none())
        .collect();
    assert_eq!(found.len(), 1, "{source}");
    found[0]
}

const STALL: [&str; 5] = ["decode_wait_ns", "decode_busy_ns", "stall_transfer_ns", "stall_queue_ns", "stall_other_ns"];

fn stall(frame: &DataFrame, row: usize) -> [Option<i64>; 5] {
    STALL.map(|name| int(frame, row, name))
}

#[test]
fn transfers_hide_behind_the_compute_of_their_device_and_share_the_link() {
    // 100 bytes in 40..80 at 2.5 GB/s of a 5 GB/s link; device 0 computes 0..50, the block ends at 60.
    let fixture = Fixture::new()
        .queue(0, 1, "kv")
        .kernel(0, 0, (0, 50))
        .copy(0, 1, (40, 80), 1, 100)
        .simulated()
        .kernel(1, 0, (0, 100))
        .link(0, 1, 5e9)
        .block((0, 60));
    let frame = kv(&fixture.tables());
    let value = |name| int(&frame, 0, name).unwrap();
    assert_eq!((value("bytes"), value("total_ns"), value("hidden_ns"), value("exposed_ns")), (50, 20, 10, 10));
    assert_eq!((value("simulated_ns"), value("transfers"), value("sender_ns")), (20, 1, 20));
    assert_eq!(floats(&frame, "bytes_per_s").unwrap(), [Some(2.5e9)]);
    assert_eq!(floats(&frame, "link_ratio").unwrap(), [Some(0.5)]);
    assert_eq!(texts(&frame, "roof").unwrap()[0].as_deref(), Some("link 0 to 1, stated 5.0 GB/s"));
    assert_eq!(["exposed_ttft_ns", "sender_hidden_ns", "decode_wait_ns"].map(|name| int(&frame, 0, name)), [None; 3]);
    let reason = texts(&frame, "reason").unwrap()[0].clone().unwrap();
    assert!(reason.contains("prefill") && reason.contains("wait is not known"), "{reason}");
}

#[test]
fn interference_compares_decode_operations_of_equal_kind() {
    let fixture = Fixture::new()
        .queue(0, 1, "kv")
        .copy(0, 1, (0, 30), 1, 100)
        .kernel(1, 0, (10, 25))
        .work(0, "decode", 1, 0, 8)
        .kernel(1, 0, (40, 50))
        .work(0, "decode", 1, 1, 8)
        .kernel(1, 0, (60, 99))
        .work(0, "decode", 1, 1, 4);
    assert_eq!(floats(&kv(&fixture.tables()), "interference_ratio").unwrap(), [Some(1.5)]);
}

/// ```text
///            0    20   40   60   80   100
/// d0 compute AAAAAAAAAABBBBB                A, B prefill
/// d0 kv                aaaaabbbbb           a reads A, b reads B
/// d1 compute                  EEEE       DD D decodes what a and b brought, E decodes others
/// ```
fn half_hidden() -> Fixture {
    Fixture::new()
        .queue(0, 1, "kv")
        .kernel(0, 0, (0, 40))
        .work(0, "prefill", 0, 0, 8)
        .kernel(0, 0, (40, 60))
        .work(0, "prefill", 0, 1, 8)
        .copy(0, 1, (40, 60), 1, 1000)
        .after(&[0])
        .copy(0, 1, (60, 80), 1, 1000)
        .after(&[1])
        .kernel(1, 0, (70, 85))
        .work(0, "decode", 0, 7, 8)
        .kernel(1, 0, (110, 120))
        .work(1, "decode", 0, 0, 8)
        .after(&[2, 3])
        .link(0, 1, 1e11)
}

#[test]
fn a_transfer_that_the_senders_prefill_half_hides_stalls_the_decoder_by_the_rest() {
    // X = 40..80; the sender prefills until 60: half of it is hidden. The wait is 60..110: E decodes 70..85, b is in
    // flight 60..80, of which 60..70 are left, and 85..110 is other. 2000 bytes in 40 ns are half of 100 GB/s.
    let frame = kv(&half_hidden().tables());
    assert_eq!(["total_ns", "hidden_ns", "exposed_ns"].map(|name| int(&frame, 0, name)), [40, 20, 20].map(Some));
    let sender = ["sender_ns", "sender_hidden_ns", "sender_exposed_ns"].map(|name| int(&frame, 0, name));
    assert_eq!(sender, [40, 20, 20].map(Some));
    assert_eq!(float_of(&frame, 0, "sender_hidden_ratio"), Some(0.5));
    assert_eq!(stall(&frame, 0), [Some(50), Some(15), Some(10), None, Some(25)]);
    assert_eq!(int(&frame, 0, "decode_stall_ns"), Some(35));
    assert_eq!((float_of(&frame, 0, "link_ratio"), float_of(&frame, 0, "bytes_per_s")), (Some(0.5), Some(5e10)));
    // E takes 15 ns with b in flight, D 10 ns without.
    assert_eq!(float_of(&frame, 0, "interference_ratio"), Some(1.5));
    assert_eq!(float_of(&frame, 0, "coverage_ratio"), Some(1.0));
    assert_eq!(texts(&frame, "compute_source").unwrap()[0].as_deref(), Some("activities"));
}

#[test]
fn windows_cut_the_wait_and_its_parts_too() {
    // 0..65 holds 5 ns of the wait, with b in flight; 65..100 the rest of b (5 ns), E, and 15 ns of other.
    let tables = half_hidden().block((0, 65)).block((65, 100)).tables();
    let frame = compute(&Input::new("run", "target", &tables, Window::Each)).unwrap();
    assert_eq!(stall(&frame, 0), [Some(5), Some(0), Some(5), None, Some(0)]);
    assert_eq!(stall(&frame, 1), [Some(35), Some(15), Some(5), None, Some(15)]);
    assert_eq!(ints(&frame, "sender_hidden_ns").unwrap(), [Some(20), Some(0)]);
}

#[test]
fn a_copy_through_the_host_belongs_to_the_decode_that_reads_its_second_half() {
    // The prefill ends at 10; the halves run 10..20 and 20..30; the decode begins at 30: all of the wait is transfer.
    let fixture = Fixture::new()
        .queue(0, 1, "kv")
        .queue(1, 1, "kv")
        .kernel(0, 0, (0, 10))
        .work(0, "prefill", 0, 0, 8)
        .copy(0, 1, (10, 20), 0, 100)
        .copy_kind("d2h")
        .after(&[0])
        .copy(1, 1, (20, 30), 1, 100)
        .copy_kind("h2d")
        .after(&[1])
        .kernel(1, 0, (30, 40))
        .work(0, "decode", 0, 0, 8)
        .after(&[2]);
    let frame = kv(&fixture.tables());
    assert_eq!(stall(&frame, 0), [Some(20), Some(0), Some(20), None, Some(0)]);
    // The host sends the second half: no device is known to hide it.
    assert_eq!((int(&frame, 0, "sender_ns"), float_of(&frame, 0, "coverage_ratio")), (Some(10), Some(0.5)));
}

fn constant(name: &str, text: &'static str, count: usize) -> polars::prelude::Column {
    text_column(name, vec![Some(text); count])
}

/// device, start, length, whether it is a transfer.
type Random = (i64, i64, i64, bool);

fn schedule(rows: &[Random]) -> Fixture {
    let fixture = Fixture::new().queue(0, 1, "kv").queue(1, 1, "kv").block((10, 70));
    rows.iter().fold(fixture, |fixture, (device, start, length, transfer)| {
        let span = (*start, start + length);
        if *transfer {
            fixture.copy(*device, 1, span, 1 - device, 8)
        } else {
            fixture.kernel(*device, 0, span).work(0, "prefill", 0, 0, 1)
        }
    })
}

proptest! {
    #[test]
    fn what_hides_agrees_with_a_decision_for_each_nanosecond(
        rows in prop::collection::vec((0..2_i64, 0..80_i64, 0..15_i64, any::<bool>()), 1..14),
        seed in 0..14_usize,
    ) {
        let frame = kv(&schedule(&rows).tables());
        let on = |device: i64, transfer: bool| {
            let chosen = rows.iter().filter(|row| row.0 == device && row.3 == transfer);
            union(&chosen.map(|row| (row.1, row.1 + row.2)).collect::<Vec<_>>())
        };
        let (mut total, mut hidden) = (0, 0);
        for device in 0..2 {
            let (transfers, compute) = (on(device, true), on(device, false));
            total += (10..70).filter(|t| contains(&transfers, *t)).count() as i64;
            hidden += (10..70).filter(|t| contains(&transfers, *t) && contains(&compute, *t)).count() as i64;
        }
        prop_assert_eq!((int(&frame, 0, "total_ns"), int(&frame, 0, "hidden_ns")), (Some(total), Some(hidden)));
        // The copies leave the device that carries them.
        if let (Some(sender), Some(behind)) = (int(&frame, 0, "sender_ns"), int(&frame, 0, "sender_hidden_ns")) {
            prop_assert_eq!((sender, behind), (total, hidden));
        }
        let mut other = rows.clone();
        other.rotate_left(seed % rows.len());
        prop_assert!(frame.equals_missing(&kv(&schedule(&other).tables())));
    }
}

#[test]
fn a_model_without_transfers_has_no_hand_over() {
    let model: Model = Fixture::new().kernel(0, 0, (0, 9)).after(&[]).model();
    assert_eq!(Units::of(&model, &Computed::default()).stall(&[(0, 9)]), None);
}

#[test]
fn communication_launched_as_a_transfer_has_the_bytes_of_its_arguments_and_a_receiver_is_no_sender() {
    // Device 0 sends 10..30 (300 bytes) while it prefills 0..20; device 1 receives at the same time.
    let mut tables = Fixture::new()
        .queue(0, 1, "kv")
        .queue(1, 1, "kv")
        .kernel(0, 0, (0, 20))
        .work(0, "prefill", 0, 0, 8)
        .named_kernel("ncclDevKernel_SendRecv", 0, 1, (10, 30))
        .named_kernel("ncclDevKernel_SendRecv", 1, 1, (10, 30))
        .tables();
    let columns = vec![
        constant("pass", "host", 2),
        int_column("rank", [Some(0), Some(0)]),
        int_column("activity", [Some(1), Some(2)]),
        text_column("operation", [Some("send"), Some("recv")]),
        int_column("bytes_in", [Some(300), None]),
        int_column("bytes_out", [None, Some(300)]),
    ];
    tables.set(&tables::COLLECTIVES, build(&tables::COLLECTIVES, columns).unwrap()).unwrap();
    let frame = kv(&tables);
    let values = ["transfers", "total_ns", "hidden_ns", "sender_ns", "sender_hidden_ns"];
    assert_eq!(values.map(|name| int(&frame, 0, name)), [2, 40, 10, 20, 10].map(Some));
    assert_eq!(float_of(&frame, 0, "coverage_ratio"), Some(0.5));
}

#[test]
fn interference_of_an_imported_trace_compares_annotated_steps_of_equal_batch() {
    // vLLM's annotations: two requests decode in each step, 40 ns with a transfer in flight and 20 without.
    let step = "execute_context_0(0)_generation_2(2)";
    let fixture = Fixture::new()
        .queue(0, 1, "kv")
        .kernel(0, 0, (0, 9))
        .launched((2, 3))
        .kernel(0, 0, (110, 115))
        .launched((101, 102))
        .copy(0, 1, (20, 30), 1, 100)
        .range(step, (0, 40))
        .range(step, (100, 120));
    assert_eq!(float_of(&kv(&fixture.tables()), 0, "interference_ratio"), Some(2.0));
}

#[test]
fn a_device_number_that_several_ranks_have_is_not_guessed() {
    let computed = |ranks: &[i64]| {
        let rows = vec![
            constant("pass", "host", ranks.len()),
            int_column("rank", ranks.iter().map(|rank| Some(*rank))),
            int_column("id", (0..ranks.len()).map(|id| Some(id as i64))),
            int_column("device", vec![Some(0); ranks.len()]),
            constant("kind", "kernel", ranks.len()),
            constant("name", "gemm", ranks.len()),
            int_column("start_ns", vec![Some(0); ranks.len()]),
            int_column("end_ns", vec![Some(9); ranks.len()]),
            proftool_trace::frame::bool_column("simulated", vec![Some(false); ranks.len()]),
        ];
        let work = vec![
            constant("pass", "host", ranks.len()),
            int_column("rank", ranks.iter().map(|rank| Some(*rank))),
            int_column("activity", (0..ranks.len()).map(|id| Some(id as i64))),
            constant("phase", "prefill", ranks.len()),
        ];
        let mut tables = Tables::default();
        tables.set(&tables::ACTIVITIES, build(&tables::ACTIVITIES, rows).unwrap()).unwrap();
        tables.set(&tables::WORK, build(&tables::WORK, work).unwrap()).unwrap();
        Computed::of(&Model::read(&tables).unwrap()).only(0)
    };
    assert_eq!((computed(&[3]), computed(&[3, 5])), (Some((3, 0)), None));
}
