//! Which request log a file is, by its first bytes. One function answers for all, so that no two importers of request
//! logs claim a file.

use memchr::memmem;

use super::columns;
use crate::raw::Head;

/// A format of request logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Mooncake's trace: arrival, lengths and block hashes.
    Mooncake,
    /// Azure's trace: arrival and lengths.
    Azure,
    /// genai-perf's `profile_export.json`: every request with every response.
    GenaiRaw,
    /// AIPerf's `profile_export.jsonl`: one record a request.
    Aiperf,
    /// AIPerf's `profile_export_raw.jsonl`: requests and responses as they were sent.
    AiperfRaw,
    /// What genai-perf and AIPerf conclude: percentiles, no requests.
    GenaiSummary,
    /// `vllm bench serve` or SGLang's `bench_serving`.
    VllmBench,
    /// The generic CSV.
    Csv,
    /// The generic JSON lines.
    Jsonl,
}

/// The request log that begins with these bytes.
pub(crate) fn of(head: &Head<'_>) -> Option<Shape> {
    let bytes = head.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head.bytes).trim_ascii_start();
    match bytes.first()? {
        b'{' => of_json(bytes),
        _ => of_csv(bytes),
    }
}

fn of_csv(bytes: &[u8]) -> Option<Shape> {
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    let names: Vec<&str> =
        std::str::from_utf8(line).ok()?.split(',').map(|name| name.trim().trim_matches('"')).collect();
    let is = |wanted: &str| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
    if is("TIMESTAMP") && is("ContextTokens") && is("GeneratedTokens") {
        return Some(Shape::Azure);
    }
    if names.first() == Some(&"Metric") && matches!(names.get(1), Some(&"avg" | &"Value")) {
        return Some(Shape::GenaiSummary);
    }
    columns::tell_a_log(names.iter().copied()).then_some(Shape::Csv)
}

fn of_json(bytes: &[u8]) -> Option<Shape> {
    let keys = top_level(bytes);
    let value = |name: &str| keys.iter().find(|(key, _)| *key == name).map(|(_, first)| *first);
    let is = |name: &str, firsts: &[u8]| value(name).is_some_and(|first| firsts.contains(&first));
    let number = |name: &str| is(name, b"-0123456789");
    let says = |text: &str| memmem::find(bytes, text.as_bytes()).is_some();
    if is("experiments", b"[") && says("\"experiment\"") && says("\"mode\"") {
        return Some(Shape::GenaiRaw);
    }
    let aiperf = ["\"worker_id\"", "\"request_start_ns\"", "\"x_request_id\""].into_iter().any(says);
    if is("metadata", b"{") && is("metrics", b"{n") && aiperf {
        return Some(Shape::Aiperf);
    }
    if is("metadata", b"{") && says("\"start_perf_ns\"") {
        return Some(Shape::AiperfRaw);
    }
    let summed = ["request_throughput", "request_latency", "request_count"].into_iter().any(|name| is(name, b"{"));
    if summed && (is("input_config", b"{") || value("aiperf_version").is_some()) {
        return Some(Shape::GenaiSummary);
    }
    let results = ["request_throughput", "total_input_tokens", "input_lens", "ttfts"];
    if number("completed") && number("duration") && results.iter().any(|name| value(name).is_some()) {
        return Some(Shape::VllmBench);
    }
    if number("timestamp") && number("input_length") && number("output_length") {
        return Some(Shape::Mooncake);
    }
    columns::tell_a_log(keys.iter().map(|(key, _)| *key)).then_some(Shape::Jsonl)
}

/// The keys of the object that the bytes begin with, each with the first byte of its value, as far as the bytes reach.
/// Escapes in keys are left as they are.
fn top_level(bytes: &[u8]) -> Vec<(&str, u8)> {
    let mut keys = Vec::new();
    let mut at = bytes.len().min(1);
    loop {
        at += blank(&bytes[at..], b",");
        if bytes.get(at) != Some(&b'"') {
            return keys;
        }
        let Some(length) = text(&bytes[at..]) else { return keys };
        let key = std::str::from_utf8(&bytes[at + 1..at + length - 1]).unwrap_or_default();
        at += length;
        at += blank(&bytes[at..], b":");
        let Some(first) = bytes.get(at) else { return keys };
        keys.push((key, *first));
        let Some(length) = self::value(&bytes[at..]) else { return keys };
        at += length;
    }
}

/// Length of the white space, and of those separators.
fn blank(bytes: &[u8], separators: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_whitespace() || separators.contains(byte)).count()
}

/// Length of the string that the bytes begin with, quotation marks included.
fn text(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// Length of the value that the bytes begin with.
fn value(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => at += text(&bytes[at..])?,
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' | b',' if depth == 0 => return Some(at),
            b'}' | b']' => (at, depth) = (at + 1, depth - 1),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Option<Shape> {
        of(&Head { bytes: text.as_bytes(), ..Head::default() })
    }

    #[test]
    fn keys_are_read_as_far_as_the_bytes_reach() {
        let keys = |text: &'static str| top_level(text.as_bytes());
        assert_eq!(keys(r#"{"a": 1, "b":{"c":[1,"}"]} , "d":"#), [("a", b'1'), ("b", b'{')]);
        assert_eq!(keys(r#"{"a\"": [1, 2"#), [("a\\\"", b'[')]);
        assert_eq!(keys("{}"), []);
        assert_eq!(keys(r#"{"a": 1} {"b": 2}"#), [("a", b'1')]);
        for end in 0..40 {
            top_level(&br#"{"a\\": "x\"y", "b": [{"c": 1}], "d": 2}"#[..end]);
        }
    }

    #[test]
    fn each_log_is_told_by_its_first_bytes() {
        let cases = [
            (r#"{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1"#, Shape::Mooncake),
            ("\u{feff}TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44", Shape::Azure),
            (r#"{"experiments":[{"experiment":{"mode":"concurrency","value":1},"requests":[{"#, Shape::GenaiRaw),
            (
                r#"{"metadata":{"worker_id":"w"},"metrics":{"ttft":{"value":1,"unit":"ms"}},"error":null}"#,
                Shape::Aiperf,
            ),
            (r#"{"metadata":{"worker_id":"w"},"start_perf_ns":1,"responses":[{"perf_ns":2"#, Shape::AiperfRaw),
            (
                "{\n  \"request_throughput\": {\"unit\": \"requests/sec\", \"avg\": 1},\n  \"input_config\": {",
                Shape::GenaiSummary,
            ),
            ("Metric,avg,min,max,p99,p95,p90,p75,p50,p25\nTime To First Token (ms),24.49", Shape::GenaiSummary),
            ("Metric,Value\nRequest Throughput (per sec),1.50", Shape::GenaiSummary),
            (
                r#"{"date": "x", "duration": 1.5, "completed": 2, "total_input_tokens": 3, "request_throughput""#,
                Shape::VllmBench,
            ),
            ("request_id,arrival_ms,prompt_tokens\n", Shape::Csv),
            (r#"{"arrival_s": 0.5, "output_tokens": 3}"#, Shape::Jsonl),
        ];
        for (text, wanted) in cases {
            assert_eq!(shape(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn other_files_are_left_to_others() {
        for text in [
            "",
            "{",
            "{\"",
            "[]",
            "hello",
            r#"{"Type":80,"timestamp":1}"#,
            r#"{"data":[1,2]}"#,
            r#"{"schemaVersion": 1, "traceEvents": ["#,
            r#"{"rocprofiler-sdk-tool": [{"metadata": {"#,
            "\"ID\",\"Process ID\",\"Metric Name\"\n",
            "Time (%),Total Time (ns),Instances\n",
            "Dispatch_ID,GPU_ID\n",
            r#"{"timestamp": "2024-01-01", "level": "info", "message": "x"}"#,
            "timestamp,message\n",
            r#"{"experiments": [], "name": "x"}"#,
            r#"{"metadata": {}, "metrics": {}}"#,
        ] {
            assert_eq!(shape(text), None, "{text}");
        }
    }

    /// Other tools' files, as they lie in `../shared/data`.
    #[test]
    fn no_file_of_a_profiler_is_taken_for_a_request_log() {
        let Some(root) = crate::fixture::shared_data("") else { return };
        let (mut folders, mut files) = (vec![root], 0);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(source) = crate::raw::Source::open(&path, &std::sync::Arc::default()) {
                    let log = path.iter().any(|part| part == "serving");
                    assert_eq!(of(&source.head()).is_some(), log, "{}", path.display());
                    files += 1;
                }
            }
        }
        assert!(files > 100, "{files} files");
    }
}
