//! Readers on whole files: good, bad and random ones.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::{Request, Tier};

fn text(text: &str) -> Read {
    read("t", text.as_bytes()).expect("a trace")
}

fn arrivals(read: &Read) -> Vec<i64> {
    read.workload.requests.iter().map(|request| request.arrival_ns).collect()
}

fn found(read: &Read) -> Vec<(&'static str, bool, u64, u64)> {
    read.issues.iter().map(|issue| (issue.code, issue.left_out, issue.count, issue.first_line)).collect()
}

#[test]
fn azure_times_may_lack_a_fraction_have_a_zone_and_cross_a_month() {
    let header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let rows = "2023-11-30 23:59:59.5000000,374,44\n2023-12-01 00:00:01,396,109\n2023-12-01 01:00:02+01:00,1,1\n";
    let all = header.to_owned() + rows;
    for text in [all.replace('\n', "\r\n"), all.clone()] {
        assert_eq!(found(&self::text(&text)), [("utc_assumed", false, 2, 2)]);
    }
    let workload = azure("t", &all).expect("a trace");
    let times: Vec<i64> = workload.requests.iter().map(|request| request.arrival_ns).collect();
    assert_eq!(times, [0, 1_500_000_000, 2_500_000_000]);
    assert_eq!((workload.requests[1].prompt_tokens, workload.requests[1].output_tokens), (396, 109));
    assert_eq!((workload.distinct_blocks, workload.block_tokens), (0, 16));
}

#[test]
fn mooncake_blocks_are_numbered_densely_and_a_cut_end_is_counted() {
    let line = |time: i64, prompt: u32| {
        format!(
            "{{\"timestamp\": {time}, \"input_length\": {prompt}, \"output_length\": 2, \"hash_ids\": [70, 9000]}}\n"
        )
    };
    let read = text(&(line(3, 900) + &line(1, 800) + "{\"timestamp\": 5, \"inp"));
    assert_eq!(found(&read), [("unsorted", false, 1, 2), ("cut_line", true, 1, 3)]);
    let workload = read.workload;
    assert_eq!((workload.blocks_of(&workload.requests[0]), workload.distinct_blocks), (&[0, 1][..], 2));
    assert_eq!((workload.requests[0].prompt_tokens, workload.block_tokens), (800, 512));
    assert_eq!(workload.requests[1].arrival_ns, 2_000_000);
}

#[test]
fn generic_rows_state_tier_tenant_and_prefix_in_csv_and_json_alike() {
    let csv = "\u{feff}arrival_s,Prompt Tokens,output_tokens,priority,tenant,prefix,prefix_tokens,status\r\n\
               0.5,40,3,0,acme,system,32,ok\r\n1.5,48,4,2,other,system,32,ok\r\n";
    let json = r#"{"arrival_s": 0.5, "prompt_tokens": 40, "output_tokens": 3, "tier": "premium", "user": "acme", "prefix": "system", "prefix_tokens": 32}
{"arrival_s": 1.5, "prompt_tokens": 48, "output_tokens": 4, "tier": "Free", "user": "other", "prefix": "system", "prefix_tokens": 32}"#;
    for read in [text(csv), text(json)] {
        let workload = &read.workload;
        assert_eq!(found(&read), []);
        let tiers: Vec<(Tier, u16)> = workload.requests.iter().map(|request| (request.tier, request.tenant)).collect();
        assert_eq!(tiers, [(Tier::Premium, 0), (Tier::Free, 1)]);
        assert_eq!(workload.blocks_of(&workload.requests[0]), [0, 1]);
        assert_eq!(workload.blocks_of(&workload.requests[1]), [0, 1, 2]);
        assert_eq!(arrivals(&read), [0, 1_000_000_000]);
    }
}

#[test]
fn hashes_may_stand_in_csv_with_their_block_size() {
    let read =
        text("arrival_ms,input_tokens,output_tokens,hash_ids,block_size\n0,70,1,8;9,32\n1,70,1,8;4,32\n2,70,1,8,64\n");
    let workload = &read.workload;
    assert_eq!(workload.block_tokens, 32);
    assert_eq!(workload.blocks_of(&workload.requests[1]), [0, 2]);
    assert_eq!(found(&read), [("block_sizes_differ", false, 1, 4)]);
}

#[test]
fn rows_that_cannot_be_served_are_counted_by_reason_and_the_others_kept() {
    let read = text(
        "arrival_ms,prompt_tokens,output_tokens,tier,model\n5,10,1,,x\n,10,1,,\n6,0,1,,\n7,10,0,,\n8,,1,,\n9,10,,,\n10,ten,1,,\n\
         nan,10,1,,\n-3,10,1,gold,\n12,10,1,,x,more\n13,9999999999,1,,\n14,10\n15,10,1,,\n16,1",
    );
    assert_eq!(arrivals(&read), [0, 8_000_000, 18_000_000]);
    let wanted = [
        ("unknown_columns", false, 1, 1),
        ("missing_arrival", true, 1, 3),
        ("zero_prompt", true, 1, 4),
        ("zero_output", true, 1, 5),
        ("missing_prompt", true, 1, 6),
        ("missing_output", true, 1, 7),
        ("bad_count", true, 1, 8),
        ("bad_time", true, 1, 9),
        ("negative_time", false, 1, 10),
        ("unknown_tier", false, 1, 10),
        ("unsorted", false, 1, 10),
        ("ragged_row", true, 2, 11),
        ("too_long", true, 1, 12),
        ("cut_line", true, 1, 15),
    ];
    assert_eq!(found(&read), wanted);
    assert_eq!(read.left_out(), 11);
    assert!(read.issues[0].to_string().contains("model"), "{}", read.issues[0]);
    assert_eq!(read.issues[2].to_string(), "left out: 1 x a prompt without tokens (line 4)");
}

#[test]
fn damaged_json_lines_are_left_out_wherever_they_stand() {
    let read = text(
        "{oops}\n{\"arrival_s\":1,\"prompt_tokens\":2,\"output_tokens\":3}\n[1]\n{\"arrival_s\":2,\"prompt_tokens\":2,\"output_tokens\":3}\n",
    );
    assert_eq!((arrivals(&read), found(&read)), (vec![0, 1_000_000_000], vec![("damaged_line", true, 2, 1)]));
}

#[test]
fn a_result_of_vllm_bench_gives_its_lengths_and_start_times() {
    let bench = |starts: &str| {
        format!(r#"{{"duration": 2.0, "completed": 2, "input_lens": [10, 20, 5], "output_lens": [3, 4, 0]{starts}}}"#)
    };
    let read = text(&bench(r#", "start_times": [100.5, 101.25, 101.5]"#));
    assert_eq!((arrivals(&read), found(&read)), (vec![0, 750_000_000], vec![("zero_output", true, 1, 3)]));
    let error = super::read("t", bench("").as_bytes()).expect_err("no times").to_string();
    assert!(error.contains("start_times") && error.contains("hint: "), "{error}");
}

#[test]
fn packed_files_are_read_and_one_that_is_cut_gives_what_it_holds() {
    let mut csv = "arrival_ms,prompt_tokens,output_tokens\n".to_owned();
    (0..20_000).for_each(|at| _ = writeln!(csv, "{at},{},{}", 1 + at * 7 % 911, 1 + at * 31 % 97));
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(csv.as_bytes()).expect("packed");
    let packed = packer.finish().expect("packed");
    let place = std::env::temp_dir().join(format!("proftool-sources-{}", std::process::id()));
    std::fs::create_dir_all(&place).expect("a folder");
    let file = place.join("log.csv.gz");
    std::fs::write(&file, &packed).expect("written");
    let whole = open(&file).expect("a trace");
    assert_eq!((whole.workload.requests.len(), whole.workload.name.as_str()), (20_000, "log"));
    std::fs::write(&file, &packed[..packed.len() / 2]).expect("written");
    let half = open(&file).expect("half a trace");
    assert!((1000..20_000).contains(&half.workload.requests.len()));
    assert_eq!(half.workload.requests[..999], whole.workload.requests[..999]);
    std::fs::remove_dir_all(&place).expect("removed");
}

#[test]
fn what_is_no_trace_is_refused_with_what_is_read() {
    for (content, part) in [
        ("", "it is empty"),
        ("\n \n", "it is empty"),
        ("\"a\nb", "(a b)"),
        ("hello\n", "is an arrival with its unit"),
        ("arrival_ms,prompt_tokens\n1,2\n", "output_tokens"),
        ("arrival_ms,arrival_s,prompt_tokens,output_tokens\n", "say the same"),
        ("arrival_ms,prompt_tokens,output_tokens\n", "it is empty"),
        ("timestamp,prompt_tokens,output_tokens\n5,1,1\n", "a number without a unit"),
        ("{\"level\": 1}\n{\"level\": 2}\n", "2 x no arrival (line 1)"),
        ("{\"completed\": 1, \"duration\": 1", "vllm bench serve, but EOF"),
        ("{\n \"a\": 1\n}\n", "no request"),
    ] {
        let error = read("t", content.as_bytes()).expect_err(content).to_string();
        assert!(
            error.contains(part) && error.contains("(hint: Mooncake's JSON lines, Azure's CSV"),
            "{content}: {error}"
        );
    }
    assert!(open(Path::new("absent.csv")).expect_err("absent").to_string().contains("cannot read absent.csv"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in a file: an error of one line, or requests that can be simulated.
    #[test]
    fn no_file_breaks_the_readers(
        rows in prop::collection::vec((0_usize..7, any::<i64>(), any::<u32>(), "[ -~]{0,12}"), 0..40),
        json in any::<bool>(), cut in 0_usize..4000,
    ) {
        let mut content = if json { String::new() } else { "timestamp_ms,input_length,output_length,hash_ids,tier\n".to_owned() };
        for (kind, time, length, odd) in rows {
            let time = time >> (length % 60);
            let _ = match (json, kind) {
                (_, 0) => writeln!(content, "{odd}"),
                (true, 1) => writeln!(content, "{{\"timestamp\": {odd}, \"input_length\": 1, \"output_length\": 1}}"),
                (true, _) => writeln!(content, "{{\"timestamp\":{time},\"input_length\":{},\"output_length\":{kind},\"hash_ids\":[{kind},{length}]}}", length % 5000),
                (false, 1) => writeln!(content, "{time},{odd},1,,"),
                (false, _) => writeln!(content, "{time},{},{kind},{kind};{length},free", length % 5000),
            };
        }
        let bytes = &content.as_bytes()[..content.len().min(cut)];
        match read("t", bytes) {
            Err(error) => prop_assert!(!error.to_string().contains('\n') && error.to_string().contains("hint: "), "{}", error),
            Ok(read) => {
                let workload = &read.workload;
                prop_assert_eq!(workload.requests.first().map(|request| request.arrival_ns), Some(0));
                prop_assert!(workload.requests.is_sorted_by_key(|request| request.arrival_ns));
                let fine = |request: &Request| request.prompt_tokens > 0 && request.output_tokens > 0
                    && workload.blocks_of(request).iter().all(|&block| block < workload.distinct_blocks);
                prop_assert!(workload.requests.iter().all(fine));
                prop_assert!(!read.issues.iter().any(|issue| issue.detail.contains('\n')));
            }
        }
    }

    /// The same with bytes that are no text, packed ones among them.
    #[test]
    fn no_bytes_break_the_readers(start in prop::sample::select(vec![&b""[..], b"{", b"\x1f\x8b\x08\0", b"\xef\xbb\xbf{\"", b"arrival_s,prompt_tokens,output_tokens\n\""]), rest in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = read("t", &[start, &rest].concat()[..]);
    }
}
