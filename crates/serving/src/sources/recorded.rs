//! Published traces: Mooncake's and Azure's.

use hashbrown::HashMap;
use serde::Deserialize;
use time::PrimitiveDateTime;
use time::macros::format_description;

use crate::{Request, Workload};

/// Tokens of a hash block in Mooncake's traces (its README).
const MOONCAKE_BLOCK: u32 = 512;

/// A trace that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what} (hint: {hint})")]
pub struct Error {
    /// Where, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to try.
    pub hint: &'static str,
}

#[derive(Deserialize)]
struct MooncakeLine {
    timestamp: i64,
    input_length: u32,
    output_length: u32,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

/// Reads a Mooncake trace: JSON lines of timestamp (ms), input_length, output_length and hash_ids.
///
/// # Errors
/// For the first line that is not one of those, or has no tokens or a negative time.
pub fn mooncake(name: &str, text: &str) -> Result<Workload, Error> {
    let mut workload = Workload { name: name.to_owned(), block_tokens: MOONCAKE_BLOCK, ..Workload::default() };
    let mut numbers: HashMap<u64, u32> = HashMap::new();
    let mut blocks = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let error = |what: String, hint| Error { line: at + 1, what, hint };
        let read: MooncakeLine = serde_json::from_str(line).map_err(|cause| {
            error(
                cause.to_string(),
                "a line is {\"timestamp\": ms, \"input_length\": n, \"output_length\": n, \"hash_ids\": [...]}",
            )
        })?;
        check(read.timestamp, read.input_length).map_err(|what| error(what, "remove the request"))?;
        blocks.clear();
        for id in read.hash_ids {
            let next = numbers.len() as u32;
            blocks.push(*numbers.entry(id).or_insert(next));
        }
        let request = Request {
            arrival_ns: read.timestamp.saturating_mul(1_000_000),
            prompt_tokens: read.input_length,
            output_tokens: read.output_length.max(1),
            ..Request::default()
        };
        workload.push(request, &blocks);
    }
    workload.distinct_blocks = numbers.len() as u32;
    workload.sort();
    Ok(workload)
}

fn check(time: i64, prompt: u32) -> Result<(), String> {
    match (time, prompt) {
        (..0, _) => Err(format!("negative time {time}")),
        (_, 0) => Err("a prompt without tokens".to_owned()),
        _ => Ok(()),
    }
}

/// Reads an Azure trace: CSV of TIMESTAMP (date and time), ContextTokens and GeneratedTokens. It knows no prefixes.
///
/// # Errors
/// For the first line that is not one of those.
pub fn azure(name: &str, text: &str) -> Result<Workload, Error> {
    let mut workload = Workload { name: name.to_owned(), block_tokens: 16, ..Workload::default() };
    for (at, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let read = azure_line(line);
        let Some((time_ns, prompt_tokens, output_tokens)) = read.filter(|(_, prompt, _)| *prompt > 0) else {
            let hint = "a line is date time,context tokens,generated tokens";
            return Err(Error { line: at + 1, what: format!("{line:?} is no request"), hint });
        };
        let request =
            Request { arrival_ns: time_ns, prompt_tokens, output_tokens: output_tokens.max(1), ..Request::default() };
        workload.push(request, &[]);
    }
    workload.sort();
    let first_ns = workload.requests.first().map_or(0, |request| request.arrival_ns);
    workload.requests.iter_mut().for_each(|request| request.arrival_ns -= first_ns);
    Ok(workload)
}

/// Time in ns, prompt and output tokens.
fn azure_line(line: &str) -> Option<(i64, u32, u32)> {
    let mut fields = line.trim_end().split(',').map(str::trim);
    let stamp = fields.next()?;
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second][optional [.[subsecond]]]");
    let time = PrimitiveDateTime::parse(stamp, &format).ok()?.assume_utc();
    let time_ns = i64::try_from(time.unix_timestamp_nanos()).ok()?;
    Some((time_ns, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn azure_times_may_lack_a_fraction_and_cross_a_month() {
        let text = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-30 23:59:59.5000000,374,44\n2023-12-01 00:00:01,396,109\n";
        let workload = azure("t", text).expect("a trace");
        let times: Vec<i64> = workload.requests.iter().map(|request| request.arrival_ns).collect();
        assert_eq!(times, [0, 1_500_000_000]);
        assert_eq!((workload.requests[1].prompt_tokens, workload.requests[1].output_tokens), (396, 109));
        let early = format!("{text}2023-11-29 00:00:00,1,1\n");
        assert_eq!(azure("t", &early).expect("sorted").requests[0].arrival_ns, 0);
    }

    #[test]
    fn mooncake_blocks_are_numbered_densely_and_a_bad_line_is_named() {
        let line = |time: i64, prompt: u32| {
            format!(
                "{{\"timestamp\": {time}, \"input_length\": {prompt}, \"output_length\": 2, \"hash_ids\": [70, 9000]}}\n"
            )
        };
        let workload = mooncake("t", &(line(3, 900) + &line(1, 900))).expect("a trace");
        assert_eq!((workload.blocks_of(&workload.requests[0]), workload.distinct_blocks), (&[0, 1][..], 2));
        assert_eq!(workload.requests[0].arrival_ns, 1_000_000);
        assert_eq!(mooncake("t", &(line(0, 9) + "{\n")).expect_err("cut").line, 2);
        assert!(mooncake("t", &line(-1, 9)).expect_err("early").to_string().contains("negative time"));
    }
}
