//! What `vllm bench serve --save-result --save-detailed` writes: one object with a list for each quantity.

use serde::Deserialize;

use super::builder::Builder;
use super::lines::Input;
use super::read::{Error, NO_ARRIVAL, NO_COUNT, Read};
use super::row::Row;

#[derive(Deserialize)]
struct Bench {
    input_lens: Option<Vec<u32>>,
    output_lens: Option<Vec<u32>>,
    /// In seconds, of a clock with any zero.
    start_times: Option<Vec<f64>>,
}

/// Whether a file begins like one: its sums stand before its lists.
pub(super) fn is(head: &[u8]) -> bool {
    let says = |key: &str| head.windows(key.len()).any(|bytes| bytes == key.as_bytes());
    says("\"completed\"") && says("\"duration\"")
}

/// Reads the requests that were sent.
pub(super) fn read(name: &str, input: Input<'_>) -> Result<Read, Error> {
    let unknown = |what: String| Error::Unknown { name: name.to_owned(), what };
    let bench: Bench = serde_json::from_reader(input.all)
        .map_err(|error| unknown(format!("it begins like a result of vllm bench serve, but {error}")))?;
    let (Some(prompts), Some(outputs), Some(starts)) = (bench.input_lens, bench.output_lens, bench.start_times) else {
        let what = "this result of vllm bench serve lacks input_lens, output_lens or start_times: nobody knows which request \
                    came when (a newer vLLM with --save-detailed writes them)";
        return Err(unknown(what.to_owned()));
    };
    let mut builder = Builder::new(name);
    for (at, start) in starts.iter().enumerate() {
        let (Some(&prompt), Some(&output)) = (prompts.get(at), outputs.get(at)) else {
            builder.left_out(&NO_COUNT, at as u64 + 1);
            continue;
        };
        let arrival_ns = start * 1e9;
        if arrival_ns.is_nan() || arrival_ns.abs() > 4e18 {
            builder.left_out(&NO_ARRIVAL, at as u64 + 1);
            continue;
        }
        let row = Row {
            arrival_ns: Some(arrival_ns.round() as i64),
            prompt_tokens: Some(prompt),
            output_tokens: Some(output),
            ..Row::default()
        };
        builder.take(&row, at as u64 + 1);
    }
    builder.finish()
}
