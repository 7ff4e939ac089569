//! What a reader of requests gives: the workload, and what was left out or assumed.

use std::io;

use crate::Workload;

/// A trace that was read.
#[derive(Clone, Debug, Default)]
pub struct Read {
    /// Its requests.
    pub workload: Workload,
    /// What was left out or assumed, by the line where it was met first.
    pub issues: Vec<Issue>,
}

/// Something about rows of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// What, in one word.
    pub code: &'static str,
    /// Whether the rows were left out; the others were kept.
    pub left_out: bool,
    /// How many rows, of unknown columns how many columns.
    pub count: u64,
    /// Line of the first, from 1; entry of a list where the file has no lines.
    pub first_line: u64,
    /// What, in a sentence without its end.
    pub detail: String,
}

impl std::fmt::Display for Issue {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, first_line, detail, left_out, .. } = self;
        write!(formatter, "{}{count} x {detail} (line {first_line})", if *left_out { "left out: " } else { "" })
    }
}

impl Read {
    /// Rows that were left out.
    pub fn left_out(&self) -> u64 {
        self.issues.iter().filter(|issue| issue.left_out).map(|issue| issue.count).sum()
    }
}

/// Why there is no workload.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("cannot read {name}: {cause} (hint: name a request trace; .gz is unpacked)")]
    Io {
        /// The file.
        name: String,
        /// Why.
        cause: io::Error,
    },
    /// It is something else.
    #[error("{name} is no request trace: {what} (hint: {FORMATS})")]
    Unknown {
        /// The file.
        name: String,
        /// What it is instead.
        what: String,
    },
    /// None of its rows can be served.
    #[error("{name} holds no request that can be served: {what} (hint: {FORMATS})")]
    Nothing {
        /// The file.
        name: String,
        /// Why not, by reason.
        what: String,
    },
}

/// What can be read.
const FORMATS: &str = "Mooncake's JSON lines, Azure's CSV, CSV or JSON lines with arrival_ms, prompt_tokens and output_tokens \
                       (docs/serving.md), or a result of vllm bench serve with --save-detailed";

/// What can be wrong with a row, or was assumed of it.
#[derive(Debug)]
pub(super) struct Reason {
    code: &'static str,
    left_out: bool,
    says: &'static str,
}

const fn bad(code: &'static str, says: &'static str) -> Reason {
    Reason { code, left_out: true, says }
}

const fn assumed(code: &'static str, says: &'static str) -> Reason {
    Reason { code, left_out: false, says }
}

pub(super) static CUT: Reason = bad("cut_line", "the last line is cut");
pub(super) static DAMAGED: Reason = bad("damaged_line", "a damaged line: no JSON object, or no UTF-8");
pub(super) static RAGGED: Reason = bad("ragged_row", "a row with more or fewer fields than the header");
pub(super) static TWICE: Reason = bad("ambiguous_value", "a row that says the same thing twice");
pub(super) static NO_ARRIVAL: Reason = bad("missing_arrival", "no arrival");
pub(super) static NO_PROMPT: Reason = bad("missing_prompt", "no prompt length");
pub(super) static NO_OUTPUT: Reason = bad("missing_output", "no output length");
pub(super) static ZERO_PROMPT: Reason = bad("zero_prompt", "a prompt without tokens");
pub(super) static ZERO_OUTPUT: Reason = bad("zero_output", "an output without tokens");
pub(super) static TOO_LONG: Reason = bad("too_long", "a length above 2^30 tokens");
pub(super) static NO_TIME: Reason =
    bad("bad_time", "an arrival that is no time in its column's unit (a number without a unit is none)");
pub(super) static NO_COUNT: Reason = bad("bad_count", "a length that is no whole number from 0 on");
pub(super) static NO_HASHES: Reason = bad("bad_hashes", "block hashes that are no list of whole numbers");
pub(super) static UNSORTED: Reason = assumed("unsorted", "an arrival before that of an earlier row: sorted");
pub(super) static NEGATIVE: Reason = assumed("negative_time", "a negative arrival: the replay starts at the earliest");
pub(super) static ZONELESS: Reason = assumed("utc_assumed", "a date without a zone: read as UTC");
pub(super) static NO_TIER: Reason =
    assumed("unknown_tier", "a tier that is none of premium, standard, free (priority 0, 1, 2): taken as standard");
pub(super) static NO_LENGTH: Reason = assumed("prefix_without_length", "a prefix without prefix_tokens: not shared");
pub(super) static OTHER_BLOCK: Reason = assumed("block_sizes_differ", "a block size unlike the first one: not shared");
pub(super) static TENANTS: Reason =
    assumed("many_tenants", "a tenant beyond the first 65,535: counted with the others");

/// Counts of reasons.
#[derive(Debug, Default)]
pub(super) struct Issues(Vec<Issue>);

impl Issues {
    pub(super) fn add(&mut self, reason: &Reason, line: u64) {
        match self.0.iter_mut().find(|issue| issue.code == reason.code) {
            Some(issue) => issue.count += 1,
            None => self.0.push(Issue {
                code: reason.code,
                left_out: reason.left_out,
                count: 1,
                first_line: line,
                detail: reason.says.to_owned(),
            }),
        }
    }

    /// Columns that nothing is known about.
    pub(super) fn unknown(&mut self, names: &[String]) {
        const SHOWN: usize = 20;
        if names.is_empty() {
            return;
        }
        let more = if names.len() > SHOWN { ", ..." } else { "" };
        let shown: Vec<String> = names.iter().take(SHOWN).map(|name| shown(name)).collect();
        let detail = format!("unknown column, not used: {}{more}", shown.join(", "));
        self.0.push(Issue {
            code: "unknown_columns",
            left_out: false,
            count: names.len() as u64,
            first_line: 1,
            detail,
        });
    }

    /// The reasons in words, for an error.
    pub(super) fn words(&self) -> String {
        let words: Vec<String> = self.0.iter().map(Issue::to_string).collect();
        if words.is_empty() { "it is empty".to_owned() } else { words.join("; ") }
    }

    pub(super) fn sorted(mut self) -> Vec<Issue> {
        self.0.sort_by_key(|issue| (issue.first_line, issue.code));
        self.0
    }
}

/// A name from a file on one line of no great length.
pub(super) fn shown(name: &str) -> String {
    name.chars().take(60).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
