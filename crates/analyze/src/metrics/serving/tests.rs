use super::*;
use crate::requests::Slo;
use crate::requests::fixture::Fixture;
use crate::windows::Window;
use proftool_trace::frame::{Tables, floats, ints, texts};

fn serving(tables: &Tables) -> DataFrame {
    compute(&Input::new("run", "target", tables, Window::Default)).unwrap()
}

fn first(frame: &DataFrame, names: &[&str]) -> Vec<Option<i64>> {
    names.iter().map(|name| ints(frame, name).unwrap()[0]).collect()
}

fn float_of(frame: &DataFrame, name: &str) -> Option<f64> {
    floats(frame, name).unwrap()[0]
}

/// Three served requests (TTFT 100, 300, 200; TPOT 100, 200, none) and one of each other kind.
fn mixed() -> Fixture {
    let slo = |fixture: Fixture| fixture.slo(250, 150);
    let fixture = slo(Fixture::new().request(0, Some(100), Some(500), 5));
    let fixture = slo(fixture.request(0, Some(300), Some(900), 4));
    let fixture = slo(fixture.request(0, Some(200), Some(200), 1));
    let fixture = slo(fixture.request(0, None, Some(1000), 0).status("rejected"));
    let fixture = slo(fixture.request(0, None, Some(10), 0).status("failed"));
    slo(fixture.request(0, Some(5), Some(10), 3).status("aborted"))
}

#[test]
fn a_log_is_summed_up_as_by_hand() {
    let frame = serving(&mixed().tables());
    assert_eq!(first(&frame, &["requests", "ok", "rejected", "failed", "aborted"]), [6, 3, 1, 1, 1].map(Some));
    assert_eq!(first(&frame, &["ttft_p50_ns", "ttft_p95_ns", "ttft_p99_ns"]), [200, 300, 300].map(Some));
    assert_eq!(first(&frame, &["tpot_p50_ns", "tpot_p95_ns", "tpot_requests"]), [100, 200, 2].map(Some));
    assert_eq!(first(&frame, &["e2e_p50_ns", "span_ns", "output_tokens"]), [500, 1000, 10].map(Some));
    // Only the first and the third meet both: 2 of 6 in a microsecond.
    assert_eq!(
        (first(&frame, &["slo_met"]), float_of(&frame, "slo_attainment_ratio")),
        (vec![Some(2)], Some(2.0 / 6.0))
    );
    assert_eq!(
        (float_of(&frame, "goodput_requests_per_s"), float_of(&frame, "output_tokens_per_s")),
        (Some(2e6), Some(1e7))
    );
    assert_eq!(
        (float_of(&frame, "ttft_attainment_ratio"), float_of(&frame, "tpot_attainment_ratio")),
        (Some(2.0 / 6.0), Some(2.0 / 6.0))
    );
    assert_eq!(
        (float_of(&frame, "ttft_mean_ns"), float_of(&frame, "ttft_stddev_ns")),
        (Some(200.0), Some((2e4_f64 / 3.0).sqrt()))
    );
    // Nothing tells of stages, tokens or prices.
    assert_eq!(
        first(&frame, &["ttft_queue_mean_ns", "itl_p99_ns", "migrations", "split_requests"]),
        [None, None, None, Some(0)]
    );
    assert_eq!((float_of(&frame, "cost_dollars"), float_of(&frame, "energy_j")), (None, None));
}

#[test]
fn limits_can_be_given_in_place_of_those_of_the_log() {
    let tables = mixed().tables();
    let input = Input::new("run", "target", &tables, Window::Default);
    let input = input.with_slo(Slo { ttft_ns: Some(300), tpot_ns: None });
    let frame = compute(&input).unwrap();
    assert_eq!(first(&frame, &["slo_met"]), [Some(2)]);
    let none = serving(&Fixture::new().request(0, Some(1), Some(2), 2).tables());
    assert_eq!(
        (first(&none, &["slo_met", "slo_requests"]), float_of(&none, "goodput_requests_per_s")),
        (vec![None, Some(0)], None)
    );
}

#[test]
fn a_log_without_first_tokens_does_not_say_that_slos_were_missed_but_one_that_rejects_all_does() {
    let names = ["slo_met", "slo_requests"];
    let ends = serving(&Fixture::new().request(0, None, Some(50), 5).slo(10, 10).tables());
    assert_eq!(first(&ends, &names), [None, Some(1)]);
    assert_eq!(
        ["goodput_requests_per_s", "slo_attainment_ratio", "ttft_attainment_ratio", "tpot_attainment_ratio"]
            .map(|name| float_of(&ends, name)),
        [None; 4]
    );
    let rejected = Fixture::new().request(0, None, Some(0), 0).slo(10, 10).status("rejected");
    assert_eq!(first(&serving(&rejected.tables()), &names), [Some(0), Some(1)]);
}

#[test]
fn parts_of_the_first_token_sum_to_it_and_tiers_add_up() {
    let tier = |fixture: Fixture, name: &'static str| fixture.with(|request| request.tier = Some(name));
    let fixture = tier(Fixture::new().request(0, Some(31), Some(40), 2), "free");
    let fixture =
        fixture.event("queued", None, (0, 10)).event("prefill", None, (10, 31)).event("migrate", None, (35, 36));
    let fixture = tier(fixture.request(10, Some(40), Some(60), 2), "premium");
    let fixture =
        fixture.event("queued", None, (12, 20)).event("prefill", None, (20, 38)).event("preempt", None, (50, 50));
    let frame = serving(&fixture.tables());
    assert_eq!(texts(&frame, "group").unwrap(), ["all", "free", "premium"].map(|name| Some(name.to_owned())));
    // Queue 18, prefill 39, host 4 of 61 in two: means of 30.5 rounded down.
    let means = ["queue", "prefill", "kv", "decode", "host"]
        .map(|part| ints(&frame, &format!("ttft_{part}_mean_ns")).unwrap()[0]);
    assert_eq!(means, [9, 19, 0, 0, 2].map(Some));
    assert_eq!(first(&frame, &["ttft_prefill_p99_ns", "migrations", "preemptions"]), [21, 1, 1].map(Some));
    let rates = floats(&frame, "requests_per_s").unwrap();
    assert_eq!(rates[0], Some(rates[1].unwrap() + rates[2].unwrap()));
}

#[test]
fn gaps_come_from_streamed_tokens_or_from_steps_weighted_by_their_batch() {
    let streamed = Fixture::new()
        .request(0, Some(10), Some(60), 4)
        .event("token", None, (10, 10))
        .event("token", None, (30, 30))
        .event("token", None, (60, 60))
        .request(0, Some(5), Some(99), 2)
        .status("aborted")
        .event("token", None, (5, 5))
        .event("token", None, (99, 99));
    let frame = serving(&streamed.tables());
    assert_eq!(texts(&frame, "itl_source").unwrap()[0].as_deref(), Some("tokens"));
    assert_eq!(first(&frame, &["itl_gaps", "itl_p50_ns", "itl_p99_ns"]), [2, 20, 30].map(Some));
    // Device 0: 10 (alone), 20 (from the end before), and after a pause 5; device 1 overlaps its own steps.
    let steps = Fixture::new()
        .request(0, Some(10), Some(60), 4)
        .step(0, (30, 50), 0, 3)
        .step(0, (20, 30), 7, 1)
        .step(0, (60, 65), 0, 1)
        .step(1, (0, 10), 100, 0)
        .step(1, (8, 14), 0, 2);
    let frame = serving(&steps.tables());
    assert_eq!(texts(&frame, "itl_source").unwrap()[0].as_deref(), Some("steps"));
    // 4 4 5 10 20 20 20
    assert_eq!(first(&frame, &["itl_gaps", "itl_p50_ns", "itl_p95_ns"]), [7, 10, 20].map(Some));
}

#[test]
fn a_device_costs_while_it_is_up() {
    let hour = 3_600_000_000_000;
    let fixture = Fixture::new()
        .request(0, Some(1), Some(hour), 2)
        .slo(1, hour)
        .device(0, "simulated", Some(4.0))
        .device(1, "simulated", Some(2.0))
        .sample("up", 1, (0, hour / 4), 1.0)
        .sample("up", 1, (hour / 4, 2 * hour), 0.0)
        .sample("board_power_w", 0, (0, hour), 100.0)
        .sample("board_power_w", 1, (0, hour), 40.0);
    let frame = serving(&fixture.tables());
    assert_eq!(
        (float_of(&frame, "cost_dollars"), float_of(&frame, "goodput_requests_per_dollar")),
        (Some(4.5), Some(1.0 / 4.5))
    );
    assert_eq!(float_of(&frame, "energy_j"), Some(110.0 * 3600.0));
    assert_eq!(texts(&frame, "energy_source").unwrap()[0].as_deref(), Some("board_power_w"));
    let unknown = serving(&fixture.device(2, "simulated", None).tables());
    assert_eq!((float_of(&unknown, "cost_dollars"), float_of(&unknown, "energy_j")), (None, None));
}

#[test]
fn hostile_times_have_an_answer() {
    let fixture = Fixture::new()
        .request(i64::MIN, Some(i64::MAX), Some(i64::MAX), i64::MAX)
        .slo(i64::MIN, i64::MIN)
        .event("prefill", None, (i64::MIN, i64::MAX))
        .event("queued", None, (5, -5))
        .request(i64::MAX, Some(i64::MIN), Some(i64::MIN), i64::MIN)
        .with(|request| (request.prompt_tokens, request.cached_tokens) = (Some(i64::MAX), Some(i64::MIN)))
        .step(0, (i64::MIN, i64::MAX), -1, i64::MAX)
        .step(0, (i64::MAX, i64::MIN), 0, i64::MAX);
    assert_eq!(serving(&fixture.tables()).height(), 1);
}

#[test]
fn a_log_of_arrivals_alone_has_counts_and_no_rates() {
    let frame = serving(&Fixture::new().request(0, None, None, 7).request(1_000_000_000, None, None, 7).tables());
    assert_eq!(first(&frame, &["requests", "ok", "span_ns", "ttft_p50_ns"]), [Some(2), Some(2), None, None]);
    assert_eq!((float_of(&frame, "arrivals_per_s"), float_of(&frame, "requests_per_s")), (Some(1.0), None));
}
