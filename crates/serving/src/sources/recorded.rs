//! Published traces: Mooncake's and Azure's.

use hashbrown::HashMap;
use serde::Deserialize;

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

/// Reads an Azure trace: CSV of TIMESTAMP (date and time, in order), ContextTokens and GeneratedTokens. It knows no prefixes.
///
/// # Errors
/// For the first line that is not one of those.
pub fn azure(name: &str, text: &str) -> Result<Workload, Error> {
    let mut workload = Workload { name: name.to_owned(), block_tokens: 16, ..Workload::default() };
    let mut first_ns = None;
    for (at, line) in text.lines().enumerate().skip(1).filter(|(_, line)| !line.trim().is_empty()) {
        let read = azure_line(line);
        let Some((time_ns, prompt_tokens, output_tokens)) = read.filter(|(_, prompt, _)| *prompt > 0) else {
            let hint = "a line is date time,context tokens,generated tokens";
            return Err(Error { line: at + 1, what: format!("{line:?} is no request"), hint });
        };
        let arrival_ns = time_ns - *first_ns.get_or_insert(time_ns);
        let request = Request { arrival_ns, prompt_tokens, output_tokens: output_tokens.max(1), ..Request::default() };
        workload.push(request, &[]);
    }
    workload.sort();
    Ok(workload)
}

/// Time of the day in ns with the day of the month, prompt and output tokens.
fn azure_line(line: &str) -> Option<(i64, u32, u32)> {
    let mut fields = line.trim_end().split(',');
    let (date, clock) = fields.next()?.split_once(' ')?;
    let day: i64 = date.rsplit('-').next()?.parse().ok()?;
    let mut parts = clock.split(':');
    let hours: i64 = parts.next()?.parse().ok()?;
    let minutes: i64 = parts.next()?.parse().ok()?;
    let (seconds, fraction) = parts.next()?.split_once('.').unwrap_or(("0", "0"));
    let digits = format!("{fraction:0<9}");
    let ns: i64 = digits.get(..9)?.parse().ok()?;
    let seconds: i64 = seconds.parse().ok()?;
    let time_ns = (((day * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000_000 + ns;
    Some((time_ns, fields.next()?.trim().parse().ok()?, fields.next()?.trim().parse().ok()?))
}
