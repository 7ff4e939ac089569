//! Checks of a run on engines.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use proftool_serving::Workload;
use proftool_serving::engines::{Ending, Served};

use crate::{Check, Error};

/// The checks: every request that was sent has one row, no time is before what it follows, those that ended well have the
/// tokens that they asked for (where engines were asked for all), and somebody was served.
///
/// # Errors
/// When the log cannot be read.
pub(super) fn all(path: &Path, workload: &Workload, served: &[Served], exact: bool) -> Result<Vec<Check>, Error> {
    let unread = |error: std::io::Error| Error::Input { path: path.to_owned(), reason: error.to_string() };
    let mut rows = 0_usize;
    for line in BufReader::new(File::open(path).map_err(unread)?).lines() {
        rows += usize::from(line.map_err(unread)?.starts_with("{\"request\""));
    }
    Ok(checks(rows, workload, served, exact))
}

fn checks(rows: usize, workload: &Workload, served: &[Served], exact: bool) -> Vec<Check> {
    let mut seen = vec![0_u32; workload.requests.len()];
    for one in served {
        seen[one.request] += 1;
    }
    let twice = seen.iter().filter(|&&times| times > 1).count();
    let ok = || served.iter().filter(|one| one.ending == Ending::Ok);
    let ordered = |one: &&Served| {
        let first = one
            .first_token_ns
            .is_none_or(|first| one.sent_ns.is_some_and(|sent| one.arrival_ns <= sent && sent <= first));
        let last = one.first_token_ns.unwrap_or(one.arrival_ns) <= one.end_ns;
        first && last && (one.ending != Ending::Ok || one.first_token_ns.is_some())
    };
    let whole =
        |one: &&Served| one.output_tokens.is_none_or(|tokens| tokens == workload.requests[one.request].output_tokens);
    let mut checks = vec![
        share("every request that was sent has one row", served.len(), rows.abs_diff(served.len()) + twice),
        share(
            "arrival, sending, first token and end in this order",
            served.len(),
            served.len() - served.iter().filter(ordered).count(),
        ),
        share("somebody was served", 1, usize::from(ok().count() == 0)),
    ];
    if exact {
        checks.push(share(
            "requests that ended well have the tokens that they asked for",
            ok().count(),
            ok().count() - ok().filter(whole).count(),
        ));
    }
    checks
}

/// The deviation is the share of wrong rows, of which none is accepted.
fn share(name: &str, rows: usize, wrong: usize) -> Check {
    let mut check = Check::within(name.to_owned(), 0.0);
    check.values = rows as u64;
    check.max_relative_error = wrong as f64 / rows.max(1) as f64;
    check
}

#[cfg(test)]
mod tests {
    use super::*;
    use proftool_serving::Request;

    fn served() -> Served {
        Served {
            request: 0,
            arrival_ns: 1,
            sent_ns: Some(2),
            first_token_ns: Some(3),
            end_ns: 4,
            prompt_tokens: 5,
            output_tokens: Some(2),
            cached_tokens: None,
            endpoint: Some(0),
            predicted_ttft_ns: None,
            ending: Ending::Ok,
        }
    }

    fn failed(rows: usize, served: &[Served]) -> usize {
        let mut workload = Workload::default();
        workload.push(Request { prompt_tokens: 5, output_tokens: 2, ..Request::default() }, &[]);
        checks(rows, &workload, served, true).iter().filter(|check| !check.passes()).count()
    }

    #[test]
    fn each_check_can_fail() {
        assert_eq!(failed(1, &[served()]), 0);
        assert_eq!(failed(0, &[served()]), 1);
        assert_eq!(failed(2, &[served(), served()]), 1);
        assert_eq!(failed(1, &[Served { sent_ns: Some(9), ..served() }]), 1);
        assert_eq!(failed(1, &[Served { output_tokens: Some(1), ..served() }]), 1);
        assert_eq!(failed(1, &[Served { ending: Ending::Aborted("stopped"), ..served() }]), 1);
    }
}
