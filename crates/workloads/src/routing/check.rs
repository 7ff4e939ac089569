//! Checks of a router log that was written: it is read back line by line and held against what was asked for.

use std::io::{self, BufRead};

use proftool_serving::{Cluster, Workload};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Check;

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
struct Request {
    request: usize,
    arrival_ns: i64,
    first_token_ns: Option<i64>,
    end_ns: Option<i64>,
    #[serde(default)]
    output_tokens: i64,
    status: String,
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the fields are those of the file")]
struct Sample {
    sample: String,
    device: usize,
    value: Option<f64>,
}

#[derive(Deserialize)]
struct End {
    end: u64,
}

/// How many rows were looked at and how many are wrong.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    rows: u64,
    wrong: u64,
}

impl Tally {
    fn add(&mut self, right: bool) {
        self.rows += 1;
        self.wrong += u64::from(!right);
    }

    /// The deviation is the share of wrong rows, of which none is accepted.
    fn check(self, name: &str) -> Check {
        let mut check = Check::within(name.to_owned(), 0.0);
        check.values = self.rows;
        check.max_relative_error = self.wrong as f64 / self.rows.max(1) as f64;
        check
    }
}

#[derive(Default)]
struct Tallies {
    lines: Tally,
    tokens: Tally,
    order: Tally,
    memory: Tally,
    /// Rows of each request.
    outcomes: Vec<u32>,
    /// Rows of requests that nobody sent.
    strange: u64,
}

/// Reads a log back. The checks: it is whole, every request has one row, one that ended well has its tokens, no time is before
/// what it follows, and no device holds more than its memory.
///
/// # Errors
/// When it cannot be read. A damaged line is a failed check.
pub fn log(mut log: impl BufRead, workload: &Workload, cluster: &Cluster) -> io::Result<Vec<Check>> {
    let mut tallies = Tallies { outcomes: vec![0; workload.requests.len()], ..Tallies::default() };
    let (mut line, mut read, mut end) = (String::new(), 0, None);
    loop {
        line.clear();
        if log.read_line(&mut line)? == 0 {
            break;
        }
        tallies.line(&line, workload, cluster, read, &mut end);
        read += 1;
    }
    // The last line tells how many there are before it.
    tallies.lines.add(end.is_some() && end == read.checked_sub(1));
    Ok(tallies.checks())
}

impl Tallies {
    fn line(&mut self, line: &str, workload: &Workload, cluster: &Cluster, at: u64, end: &mut Option<u64>) {
        if line.starts_with("{\"request\"") {
            match self.read::<Request>(line) {
                Some(request) => self.request(&request, workload),
                None => self.strange += 1,
            }
        } else if line.starts_with("{\"sample\"") {
            if let Some(sample) = self.read::<Sample>(line).filter(|sample| sample.sample == "kv_usage_ratio") {
                let known = sample.device < cluster.devices.len();
                self.memory.add(known && sample.value.is_some_and(|share| (0.0..=1.0).contains(&share)));
            }
        } else if line.starts_with("{\"end\"") {
            *end = self.read::<End>(line).map(|end| end.end).filter(|&end| end == at);
        } else {
            self.read::<serde::de::IgnoredAny>(line);
        }
    }

    fn read<T: DeserializeOwned>(&mut self, line: &str) -> Option<T> {
        let read = serde_json::from_str(line).ok();
        self.lines.add(read.is_some());
        read
    }

    fn request(&mut self, row: &Request, workload: &Workload) {
        let Some(asked) = workload.requests.get(row.request) else {
            self.strange += 1;
            return;
        };
        self.outcomes[row.request] += 1;
        let began = row.first_token_ns.is_none_or(|first| row.arrival_ns <= first);
        let ended = row.end_ns.is_some_and(|end| row.first_token_ns.unwrap_or(row.arrival_ns) <= end);
        self.order.add(row.arrival_ns == asked.arrival_ns && began && ended);
        if row.status == "ok" {
            let whole = row.output_tokens == i64::from(asked.output_tokens);
            self.tokens.add(whole && row.first_token_ns.is_some());
        }
    }

    fn checks(self) -> Vec<Check> {
        let mut outcomes = Tally { rows: self.strange, wrong: self.strange };
        for &rows in &self.outcomes {
            outcomes.add(rows == 1);
        }
        let mut checks = vec![
            self.lines.check("lines of the log that can be read, and none missing"),
            outcomes.check("every request has exactly one outcome"),
            self.tokens.check("requests that ended well have the tokens that they asked for"),
            self.order.check("arrival, first token and end in this order"),
        ];
        if self.memory.rows > 0 {
            checks.push(self.memory.check("no device holds more keys and values than its memory"));
        }
        checks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_serving::{Model, scenarios};

    const LINES: [&str; 5] = [
        r#"{"format":"proftool-router-log"}"#,
        r#"{"request":0,"arrival_ns":5,"first_token_ns":9,"end_ns":20,"output_tokens":3,"status":"ok"}"#,
        r#"{"sample":"kv_usage_ratio","device":0,"start_ns":0,"end_ns":5,"value":1.0}"#,
        r#"{"request":1,"arrival_ns":6,"end_ns":6,"status":"rejected","reason":"full"}"#,
        r#"{"end":4}"#,
    ];

    fn failed(lines: &[&str]) -> Vec<String> {
        let mut workload = Workload::default();
        for (arrival_ns, output_tokens) in [(5, 3), (6, 2)] {
            let request =
                proftool_serving::Request { arrival_ns, prompt_tokens: 1, output_tokens, ..Default::default() };
            workload.push(request, &[]);
        }
        let model = Model::find("llama-3.1-8b").expect("known");
        let cluster = scenarios::find("mig_slices").expect("known").cluster(model, None, None).expect("fits");
        let checks = log(lines.join("\n").as_bytes(), &workload, &cluster).expect("read");
        checks.into_iter().filter(|check| !check.passes()).map(|check| check.name).collect()
    }

    /// The lines with one of them changed.
    fn with(at: usize, from: &str, to: &str) -> Vec<String> {
        assert!(LINES[at].contains(from));
        let changed = LINES[at].replace(from, to);
        let mut lines = LINES;
        lines[at] = &changed;
        failed(&lines)
    }

    #[test]
    fn a_whole_log_passes() {
        assert_eq!(failed(&LINES), [""; 0]);
    }

    #[test]
    fn a_broken_log_fails_the_check_that_it_breaks_and_no_other() {
        for (at, from, to, what) in [
            (1, r#""output_tokens":3"#, r#""output_tokens":2"#, "tokens"),
            (1, r#""first_token_ns":9,"#, "", "tokens"),
            (1, r#""first_token_ns":9"#, r#""first_token_ns":4"#, "order"),
            (1, r#""end_ns":20"#, r#""end_ns":8"#, "order"),
            (1, r#""arrival_ns":5"#, r#""arrival_ns":4"#, "order"),
            (2, "1.0", "1.01", "memory"),
            (2, "1.0", "-0.1", "memory"),
            (2, r#""device":0"#, r#""device":9"#, "memory"),
            (3, r#""request":1"#, r#""request":0"#, "outcome order"),
            (3, r#""request":1"#, r#""request":7"#, "outcome"),
            (4, "4", "5", "missing"),
            (0, "{", "", "missing"),
        ] {
            let failed = with(at, from, to);
            assert_eq!(failed.len(), what.split(' ').count(), "{to}: {failed:?}");
            let named = |word: &str| failed.iter().any(|name| name.contains(word));
            assert!(what.split(' ').all(named), "{to}: {failed:?}");
        }
        let cut: Vec<String> = failed(&LINES[..3]);
        assert!(cut.len() == 2 && cut[0].contains("missing") && cut[1].contains("outcome"), "{cut:?}");
    }
}
