//! Runs a simulation, writes its router log and checks it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;
use std::sync::atomic::Ordering;

use proftool_serving::log::{Head, IssueRow, Log, Simulated, Time};
use proftool_serving::{
    Duty, Explanation, Options, Outcome, Run, Sink, Span, State, Summary, Until, Workload, simulate, sources,
    summarize_tiers,
};

use super::{FILE, Plan, check, tell, trend};
use crate::parameters::refused;
use crate::{Error, Place, Served};

/// Importers take rows further apart than 2^53 ns, 104 days, for damaged; the last request still needs its time.
const MOST_NS: i64 = 100 * 86_400 * 1_000_000_000;

/// A simulation that has run.
pub(crate) struct Done {
    pub(crate) served: Served,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) workload: Workload,
}

/// Runs `plan` and writes its log; `target` names it in what is told. Once `place` says stop, whoever is there ends as
/// aborted, the log says how many had not arrived, and nothing is checked.
///
/// # Errors
/// For a trace that cannot be read and a log that cannot be written.
pub(crate) fn serve(target: &str, plan: &Plan, place: &Place<'_>) -> Result<Done, Error> {
    let (workload, issues) = requests(plan)?;
    let path = place.folder.join(FILE);
    let unwritten = |reason| Error::Output { path: path.clone(), reason };
    let modelled = modelled(plan);
    let head = Head {
        time: Time::Simulated,
        // A simulation has no place on the wall clock, and the same seed gives the same bytes.
        start_unix_ns: 0,
        workload: &workload.name,
        policy: plan.router.name(),
        seed: plan.shape.seed,
        cluster: &plan.cluster,
        slos: &plan.slos,
        block_tokens: workload.block_tokens,
        modelled: &modelled,
    };
    let log = Log::new(BufWriter::new(File::create(&path).map_err(unwritten)?), &head);
    let mut sink = Tee { log: Simulated::new(log, plan.router.name(), &plan.slos), outcomes: Vec::new() };
    let stop = || place.stop.load(Ordering::Relaxed);
    simulate(
        &workload,
        &plan.cluster,
        plan.router.policy()?.as_mut(),
        plan.admission().as_mut(),
        &options(plan),
        &mut Until::new(&mut sink, &stop),
    )?;
    let Tee { log, outcomes } = sink;
    let mut log = log.into_log();
    let not_sent = workload.requests.len() - outcomes.len();
    if not_sent > 0 {
        log.issue(&IssueRow {
            code: "not_sent",
            source: "router",
            severity: "info",
            count: 1,
            detail: &format!("{not_sent} requests had not arrived when the run was stopped"),
        });
    }
    for issue in &issues {
        log.issue(&IssueRow {
            code: issue.code,
            source: "requests",
            severity: if issue.left_out { "data_loss" } else { "info" },
            count: issue.count as i64,
            detail: &issue.to_string(),
        });
    }
    log.finish().map_err(unwritten)?;
    let checks = if stop() { Vec::new() } else { checked(&path, &workload, plan)? };
    let summary = summarize_tiers(&outcomes, Some(&plan.slos));
    let mut lines = vec![tell::line(target, plan.router.name(), &workload.name, outcomes.len(), &summary)];
    lines.extend(issues.iter().map(|issue| format!("  {issue}")));
    let served = Served {
        simulated: true,
        modelled,
        checks,
        lines,
        trend: trend::lines(target, &outcomes),
        summary: Some(summary),
    };
    Ok(Done { served, outcomes, workload })
}

/// TTFT and TPOT over time of a simulation that leaves nothing behind.
///
/// # Errors
/// For a trace that cannot be read.
pub(crate) fn trend(target: &str, plan: &Plan) -> Result<Vec<String>, Error> {
    let (workload, _) = requests(plan)?;
    let mut kept = Kept::default();
    let options = Options { sample_period_ns: None, decisions: false, ..options(plan) };
    simulate(&workload, &plan.cluster, plan.router.policy()?.as_mut(), plan.admission().as_mut(), &options, &mut kept)?;
    Ok(trend::lines(target, &kept.0))
}

/// What the same requests feel where everybody is served, or those that have come until `place` says stop.
///
/// # Errors
/// For a cluster that cannot serve.
pub(crate) fn everyone(plan: &Plan, workload: &Workload, place: &Place<'_>) -> Result<(Summary, Vec<Outcome>), Error> {
    let stop = || place.stop.load(Ordering::Relaxed);
    let mut kept = Kept::default();
    let mut admission = proftool_serving::admission::Everyone;
    let options = Options { sample_period_ns: None, decisions: false, deadlines_ns: [None; 3], ..options(plan) };
    let mut sink = Until::new(&mut kept, &stop);
    simulate(workload, &plan.cluster, plan.router.policy()?.as_mut(), &mut admission, &options, &mut sink)?;
    Ok((summarize_tiers(&kept.0, Some(&plan.slos)), kept.0))
}

fn options(plan: &Plan) -> Options {
    Options {
        migration_period_ns: plan.migration_period_ns,
        slos: plan.slos,
        decisions: plan.decisions,
        sample_period_ns: plan.sample_period_ns,
        deadlines_ns: plan.deadlines_ns,
        ..Options::default()
    }
}

/// Reads the log back.
fn checked(path: &Path, workload: &Workload, plan: &Plan) -> Result<Vec<crate::Check>, Error> {
    let unread = |error: std::io::Error| Error::Input { path: path.to_owned(), reason: error.to_string() };
    let log = BufReader::new(File::open(path).map_err(unread)?);
    check::log(log, workload, &plan.cluster).map_err(unread)
}

/// The requests, and what is to be said about rows of a trace.
fn requests(plan: &Plan) -> Result<(Workload, Vec<sources::Issue>), Error> {
    let (mut workload, issues) = match &plan.trace {
        Some(path) => {
            let mut read = sources::open(path)?;
            if let Some(shares) = plan.tiers {
                sources::tiers(&mut read.workload, shares, plan.shape.seed);
            }
            (read.workload, read.issues)
        }
        None => (sources::synthetic(&plan.cluster.name, &plan.shape), Vec::new()),
    };
    if let Some(most) = plan.requests {
        workload.requests.truncate(most);
    }
    workload.scale(plan.load);
    if plan.step_factor.to_bits() != 1.0_f64.to_bits() {
        let first_ns = workload.requests.first().map_or(0, |request| request.arrival_ns);
        workload.step(first_ns + workload.span_ns() / 2, plan.step_factor);
    }
    if workload.span_ns() > MOST_NS {
        let allowed = "the requests would span more than 100 days, too long for an artifact (hint: a higher load)";
        return Err(refused("load", &plan.load, allowed));
    }
    Ok((workload, issues))
}

fn modelled(plan: &Plan) -> Vec<String> {
    let requests = match &plan.trace {
        Some(_) => "Requests arrive as recorded, divided by the load.".to_owned(),
        None => "Requests are made up from the seed: Poisson arrivals, uniform lengths.".to_owned(),
    };
    let mut modelled = plan.cluster.modelled();
    modelled.push(requests);
    modelled
}

/// Writes the log and keeps the outcomes.
struct Tee<W: Write> {
    log: Simulated<W>,
    outcomes: Vec<Outcome>,
}

impl<W: Write> Sink for Tee<W> {
    fn outcome(&mut self, outcome: &Outcome) {
        self.outcomes.push(*outcome);
        self.log.outcome(outcome);
    }

    fn span(&mut self, span: &Span) {
        self.log.span(span);
    }

    fn steps(&mut self, run: &Run) {
        self.log.steps(run);
    }

    fn sample(&mut self, at_ns: i64, devices: &[State]) {
        self.log.sample(at_ns, devices);
    }

    fn duty(&mut self, at_ns: i64, device: usize, duty: Duty) {
        self.log.duty(at_ns, device, duty);
    }

    fn decision(&mut self, at_ns: i64, request: u32, chosen: Option<usize>, why: &Explanation) {
        self.log.decision(at_ns, request, chosen, why);
    }
}

/// Keeps the outcomes.
#[derive(Default)]
struct Kept(Vec<Outcome>);

impl Sink for Kept {
    fn outcome(&mut self, outcome: &Outcome) {
        self.0.push(*outcome);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::Settings;
    use crate::targets::early_rejection::TARGET;

    #[test]
    fn a_run_that_is_stopped_leaves_a_whole_log_of_those_who_had_come() {
        let settings = Settings {
            seed: 1,
            parameters: BTreeMap::from([("requests".to_owned(), "200000".to_owned())]),
            cores: vec![0],
            iterations: 1,
            blocks: 1,
            warmup: 0,
            device_name: "test".to_owned(),
            arch: "test".to_owned(),
            backend: crate::Backend::Cpu,
            record: false,
        };
        let folder = tempfile::tempdir().expect("a folder");
        let stop = AtomicBool::new(true);
        let place = Place { folder: folder.path(), stop: &stop };
        let once = TARGET.once().expect("runs once");
        let served = (once.serve)(&TARGET, &settings, &place).expect("served");
        assert!(served.checks.is_empty());
        let log = std::fs::read_to_string(folder.path().join(FILE)).expect("a log");
        let lines = |word: &str| log.lines().filter(|line| line.contains(word)).count();
        assert!(lines(r#""status":"aborted""#) > 0 && lines(r#""status""#) < 2000 && lines(r#""not_sent""#) == 1);
        assert!(log.lines().last().is_some_and(|line| line.starts_with(r#"{"end":"#)));
    }
}
