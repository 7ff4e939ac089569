//! Sends the requests, and writes their log.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use proftool_serving::engines::{self, Address, Clock, Endpoint, Engines, Job, Model, Options, describe, drive};
use proftool_serving::log::{Head, IssueRow, Log, Time};
use proftool_serving::{Workload, sources};

use super::{Plan, check, tell};
use crate::{Error, Place, Served};

/// The file of the run, as of simulations.
const FILE: &str = "router.jsonl";

/// Runs `plan` and writes its log; `target` names it in what is told.
///
/// # Errors
/// For engines that can't be launched or don't answer, a trace that cannot be read and a log that cannot be written.
pub(crate) fn serve(target: &str, plan: &Plan, place: &Place<'_>) -> Result<Served, Error> {
    let (workload, issues) = requests(plan)?;
    let launched = launched(plan, place)?;
    let addresses: Vec<Address> =
        launched.as_ref().map_or_else(|| plan.endpoints.clone(), |engines| engines.addresses().cloned().collect());
    let endpoints = addresses.iter().map(|address| endpoint(plan, address)).collect::<Result<Vec<_>, _>>()?;
    let clock = Clock::start();
    let options = Options { nonce: plan.options.nonce ^ clock.start_unix_ns() as u64, ..plan.options.clone() };
    let job = Job { workload: &workload, endpoints: &endpoints, options: &options, clock, stop: place.stop };
    let (cluster, modelled) = (job.cluster(), modelled(plan, &endpoints));
    let head = Head {
        time: Time::Measured,
        start_unix_ns: clock.start_unix_ns(),
        workload: &workload.name,
        policy: plan.router.name(),
        seed: options.seed,
        cluster: &cluster,
        slos: &options.slos,
        block_tokens: workload.block_tokens,
        modelled: &modelled,
    };
    let path = place.folder.join(FILE);
    let unwritten = |reason| Error::Output { path: path.clone(), reason };
    let mut log = Log::new(BufWriter::new(File::create(&path).map_err(unwritten)?), &head);
    let (mut policy, mut admission) = (plan.router.policy()?, plan.admission());
    let served = drive(&job, policy.as_mut(), admission.as_mut(), &mut log)?;
    drop(launched);
    for issue in &issues {
        let severity = if issue.left_out { "data_loss" } else { "info" };
        let (count, detail) = (issue.count as i64, issue.to_string());
        log.issue(&IssueRow { code: issue.code, source: "requests", severity, count, detail: &detail });
    }
    log.finish().map_err(unwritten)?;
    let checks = check::all(&path, &workload, &served, options.protocol.exact_output)?;
    let outcomes = tell::outcomes(&workload, &served);
    let summary = proftool_serving::summarize_tiers(&outcomes, Some(&options.slos));
    let mut lines = tell::lines(target, plan.router.name(), &workload.name, &served, &summary);
    lines.extend(issues.iter().map(|issue| format!("  {issue}")));
    Ok(Served { simulated: false, modelled, checks, summary: Some(summary), lines, trend: Vec::new() })
}

fn launched(plan: &Plan, place: &Place<'_>) -> Result<Option<Engines>, Error> {
    let Some(launch) = &plan.launch else { return Ok(None) };
    // What they print stays beside the log.
    let logs: PathBuf = place.folder.join("engines");
    Ok(Some(Engines::launch(&launch.plan(&logs)?, place.stop)?))
}

/// An endpoint that answers, or whose model was given: then one that does not answer fails its requests only.
fn endpoint(plan: &Plan, address: &Address) -> Result<Endpoint, engines::Error> {
    let described = describe(address, plan.model.as_deref());
    let Model { name, context_tokens } = match (described, &plan.model) {
        (Err(_), Some(name)) => Model { name: name.clone(), context_tokens: None },
        (described, _) => described?,
    };
    let context_tokens = plan.context_tokens.or(context_tokens);
    Ok(Endpoint { address: address.clone(), model: name, context_tokens, device: plan.device(address) })
}

/// The requests, and what is to be said about rows of a trace.
fn requests(plan: &Plan) -> Result<(Workload, Vec<sources::Issue>), Error> {
    let (mut workload, issues) = match &plan.trace {
        Some(path) => {
            let read = sources::open(path)?;
            (read.workload, read.issues)
        }
        None => (sources::synthetic("tenants", &plan.shape), Vec::new()),
    };
    if let Some(most) = plan.requests {
        workload.requests.truncate(most);
    }
    workload.scale(plan.load);
    Ok((workload, issues))
}

fn modelled(plan: &Plan, endpoints: &[Endpoint]) -> Vec<String> {
    let requests = match &plan.trace {
        Some(_) => "Requests arrive as recorded, divided by the load; their tokens are made up.",
        None => "Requests are made up from the seed: Poisson arrivals, uniform lengths.",
    };
    let context =
        |one: &Endpoint| Some(format!("{} takes {} tokens of context.", one.device.name, one.context_tokens?));
    let told = [requests.to_owned(), "Endpoints have no price here.".to_owned()];
    told.into_iter().chain(endpoints.iter().filter_map(context)).collect()
}
