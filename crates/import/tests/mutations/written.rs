//! Seeds written by hand, for formats and tables of which there is no real file.

use std::fs;
use std::path::Path;

use crate::input::Input;
use crate::sqlite;

/// Written by the injected recorder from a double of CUPTI.
const CUPTI: &[u8] = include_bytes!("../../src/cupti/testdata/rank0.pid42.cupti.trace");

const VLLM: &str = r#"{"date": "20260102-030405", "endpoint_type": "openai", "backend": "openai", "model_id": "m",
"num_prompts": 3, "request_rate": "inf", "max_concurrency": null, "duration": 1.25, "completed": 2, "failed": 1,
"total_input_tokens": 35, "total_output_tokens": 5, "request_throughput": 1.6, "output_throughput": 4.0,
"input_lens": [10, 20, 5], "output_lens": [3, 2, 0], "ttfts": [0.1, 0.2, 0.0], "itls": [[0.05, 0.07], [0.1], []],
"start_times": [1234567.5, 1234568.123456789, 1234568.5], "generated_texts": ["a \"b\"", "c", ""],
"errors": ["", "", "Traceback:\n  TimeoutError: late\n"], "mean_ttft_ms": 150.0}"#;

const SGLANG: &str = r#"{"backend": "sglang", "dataset_name": "random", "request_rate": 4.0, "duration": 2.5,
"completed": 2, "input_lens": [5, 6], "output_lens": [2, 1], "ttfts": [0.5, 0.25], "itls": [[0.125], []],
"generated_texts": ["x", "y"], "errors": ["", ""]}"#;

const AIPERF: &str = r#"{"metadata": {"x_request_id": "a", "request_start_ns": 1700000000000000000, "request_end_ns": 1700000001000000000, "benchmark_phase": "profiling", "was_cancelled": false}, "metrics": {"time_to_first_token": {"value": 100.5, "unit": "ms"}, "request_latency": {"value": 900.25, "unit": "ms"}, "output_sequence_length": {"value": 12, "unit": "tokens"}, "input_sequence_length": {"value": 100, "unit": "tokens"}, "inter_chunk_latency": {"value": [400.0, 399.75], "unit": "ms"}}, "error": null}
{"metadata": {"x_request_id": "b", "request_start_ns": 1700000000500000000, "request_end_ns": 1700000001500000000, "benchmark_phase": "profiling", "was_cancelled": true}, "metrics": {}, "error": {"code": 499, "type": "Cancelled", "message": "late"}}
"#;

const CSV: &str = "request,arrival_ms,ttft_ms,latency_ms,prompt_tokens,output_tokens,token_times_ms,status,reason,model
a,0,180.25,900,512,37,[180.25 540 900],ok,,llama
b,12.5,290,1000,2048,64,302.5;500;1012.5,ok,,llama
\"c,\"\"d\",20,,0.1,4096,,,rejected,queue full,llama
";

const DATES: &str = "timestamp,first_token,end,input_length,output_length
2023-11-16 18:15:46.6805900,2023-11-16T18:15:47Z,2023-11-16T20:15:48.5+02:00,10,20
2023-11-16 18:15:46.7,2023-11-16 18:15:47,2023-11-16 18:15:48,11,21
";

const JSONL: &str = r#"{"request": "a", "arrival_ms": 0, "token_times_ms": [180.25, 540, 900], "prompt_tokens": 512, "output_tokens": 37, "model": "llama"}
{"request": "b", "arrival_ms": 12.5, "ttft_ms": 290, "latency_ms": 1000, "prompt_tokens": 2048, "output_tokens": 64, "slo_ttft_ms": 500, "priority": 1, "decode_device": 2}
{"request": "c", "arrival_ms": 20, "latency_ms": 0.1, "prompt_tokens": 4096, "status": "rejected", "reason": "queue full"}
"#;

const WIDE: &str = "\u{feff}==PROF== Connected to process 4242
==PROF== Profiling \"gemm\" - 0: 0%....50%....100% - 8 passes
the program's own output, with a comma
\"ID\",\"Process ID\",\"Process Name\",\"Host Name\",\"Kernel Name\",\"Context\",\"Stream\",\"Block Size\",\"Grid Size\",\"Device\",\"CC\",\"thread Domain:Push/Pop_Range:PL_Type:PL_Value:CLR_Type:Color:Msg_Type:Msg\",\"dram__bytes.sum\",\"gpu__time_duration.sum\",\"sm__throughput.avg.pct_of_peak_sustained_elapsed\",\"launch__registers_per_thread\",\"device__attribute_display_name\"
\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"Mbyte\",\"usecond\",\"%\",\"register/thread\",\"\"
\"0\",\"4242\",\"app\",\"127.0.0.1\",\"gemm(float *, int)\",\"1\",\"7\",\"(128, 1, 1)\",\"(1,024, 1, 1)\",\"0\",\"9.0\",\"\"\"<default domain>:step:none:none:none:none:none\"\"\",\"1,234.5\",\"12.25\",\"99.5\",\"32\",\"NVIDIA H100\"
\"1\",\"4242\",\"app\",\"127.0.0.1\",\"gemm(float *, int)\",\"1\",\"7\",\"(128, 1, 1)\",\"(8, 1, 1)\",\"0\",\"9.0\",\"\",\"n/a\",\"3\",\"1e-3\",\"32\",\"NVIDIA H100\"
";

const ROUTER: &str = r#"{"format":"proftool-router-log","version":{"major":1,"minor":0},"time":"simulated","start_unix_ns":5,"workload":"w","policy":"p","seed":1,"block_tokens":16,"cluster":"c","kv_bytes_per_token":8,"modelled":["links"],"slos":[{"tier":"free","ttft_ns":9,"tpot_ns":1}],"devices":[{"device":0,"name":"a","role":"prefill","kind":"simulated","numa_node":0,"kv_capacity_tokens":1000,"step_tokens":64,"most_sequences":8,"cost_per_hour":4.0,"watts":700.0},{"device":1,"name":"b","role":"decode","kind":"simulated","numa_node":1,"kv_capacity_tokens":1000,"step_tokens":64,"most_sequences":8}],"links":[{"src":0,"dst":1,"bytes_per_s":5e10,"latency_ns":10,"contended":true}]}
{"decision":"prefill","request":0,"t_ns":0,"policy":"p","chosen":"a","terms":{"score":1.0,"queue":2.5},"runner_up":{"device":"b","score":3.0}}
{"issue":"scrape","source":"engines","severity":"data_loss","count":2,"detail":"a \"b\""}
"#;

/// A log of enough requests that one bad one is left out and does not fail the import.
fn long(head: &str, line: impl Fn(usize) -> String) -> Input {
    Input::File((head.to_owned() + &(0..120).map(line).collect::<String>()).into_bytes())
}

fn long_csv() -> Input {
    let statuses = ["ok,", "rejected,queue full", "failed,", "aborted,late"];
    long(
        "request_id,arrival_s,ttft_us,e2e_latency_ms,input_tokens,output_tokens,cached_tokens,tier,status,error\n",
        |n| format!("r{n},{}.25,{}.5,{}.125,{n},{},7,gold,{}\n", n * 3, n * 1000, n * 2, n % 9, statuses[n % 4]),
    )
}

fn long_jsonl() -> Input {
    long("", |n| {
        format!("{{\"arrival_ms\": {n}.5, \"token_times_ms\": [{n}.5, {n}.75, {}], \"prompt_tokens\": {n}}}\n", n + 1)
    })
}

/// The same with what a hundred requests leave.
fn long_router(end: bool) -> Input {
    let kinds = ["queued", "prefill", "kv_transfer", "decode", "token", "preempt", "migrate"];
    let (statuses, end) = (["ok", "rejected", "failed", "aborted"], if end { "{\"end\":363}\n" } else { "" });
    let Input::File(mut bytes) = long(ROUTER, |n| {
        let (kind, status, at) = (kinds[n % 7], statuses[n % 4], n * 100);
        let other = match n % 2 {
            0 => format!("{{\"steps\":[7,8,{n}],\"device\":1,\"start_ns\":{at},\"decode_batch\":2,\"kv_tokens\":{n}}}"),
            _ => format!(
                "{{\"sample\":\"up\",\"unit\":\"ratio\",\"device\":1,\"start_ns\":{at},\"end_ns\":{at},\"value\":0.{n}}}"
            ),
        };
        let ends = (at + 70, at + 90);
        format!(
            "{{\"event\":\"{kind}\",\"request\":{n},\"device\":0,\"start_ns\":{at},\"end_ns\":{},\"bytes\":{n}}}\n{other}\n\
             {{\"request\":{n},\"arrival_ns\":{at},\"first_token_ns\":{},\"end_ns\":{},\"prefill_device\":0,\"status\":\"{status}\"}}\n",
            ends.0, ends.0, ends.1
        )
    }) else {
        unreachable!("a log is a file")
    };
    bytes.extend_from_slice(end.as_bytes());
    Input::File(bytes)
}

fn long_vllm() -> Input {
    let list = |item: fn(usize) -> String| (0..120).map(item).collect::<Vec<_>>().join(", ");
    let (lens, ttfts) = (list(|n| n.to_string()), list(|n| format!("0.{n}")));
    let itls = list(|n| format!("[0.0{n}, 0.5]"));
    let (starts, errors) = (list(|n| format!("{n}.125")), list(|_| "\"\"".to_owned()));
    let text = format!(
        "{{\"backend\": \"openai\", \"duration\": 9.5, \"completed\": 120, \"input_lens\": [{lens}], \"output_lens\": [{lens}], \
         \"ttfts\": [{ttfts}], \"itls\": [{itls}], \"start_times\": [{starts}], \"errors\": [{errors}]}}"
    );
    Input::File(text.into_bytes())
}

/// Seeds of that importer.
pub(crate) fn of(importer: &str) -> Vec<Input> {
    let mut seeds = short(importer);
    match importer {
        "requests_csv" => seeds.push(long_csv()),
        "requests_jsonl" => seeds.push(long_jsonl()),
        "router_log" => seeds.extend([long_router(true), long_router(false)]),
        "vllm_bench" => seeds.push(long_vllm()),
        _ => {}
    }
    seeds
}

fn short(importer: &str) -> Vec<Input> {
    let texts: &[&str] = match importer {
        "genai_perf" => &[AIPERF],
        "ncu_csv" => &[WIDE],
        "nvml" => &[include_str!("nvml.jsonl")],
        "requests_csv" => &[CSV, DATES],
        "requests_jsonl" => &[JSONL],
        "router_log" => &[ROUTER],
        "vllm_bench" => &[VLLM, SGLANG],
        "nsys_arrow" => return arrow(),
        "cupti" => return vec![Input::File(CUPTI.to_owned())],
        "nsys_sqlite" => return vec![Input::File(sqlite::made(include_str!("nsys.sql")))],
        "rocpd_sqlite" => return rocpd(),
        _ => &[],
    };
    texts.iter().map(|text| Input::File(text.as_bytes().to_owned())).collect()
}

/// The database with its process's suffix, and with plain names as views and as tables.
fn rocpd() -> Vec<Input> {
    let suffixed = include_str!("rocpd.sql");
    let names = suffixed.lines().filter_map(|line| line.strip_prefix("CREATE TABLE ")?.split(' ').next());
    let views = names.map(|name| format!("CREATE VIEW {} AS SELECT * FROM {name};", name.trim_end_matches("_0a")));
    let with_views = suffixed.to_owned() + &views.collect::<String>();
    let plain = suffixed.replace("_0a ", " ");
    [suffixed, &with_views, &plain].iter().map(|sql| Input::File(sqlite::made(sql))).collect()
}

/// Files that Apache Arrow's own library wrote, which the importer's tests read too.
fn arrow() -> Vec<Input> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/nsys/arrow/testdata");
    let read = |name: &str| fs::read(folder.join(name)).unwrap_or_default();
    let tables = ["NVTX_EVENTS.arrow", "StringIds.arrow"].map(|name| (name.to_owned(), read(name)));
    vec![Input::File(read("streams.arrow")), Input::File(read("zstd.arrow")), Input::Folder(tables.to_vec())]
}
