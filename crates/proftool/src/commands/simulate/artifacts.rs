//! Each case as an artifact: its router log below `raw/`, and the tables that the importer makes of it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use proftool_capture::{Environment, checked};
use proftool_serving::log::{Head, IssueRow, Log, Simulated, Time as LogTime};
use proftool_serving::{Cluster, Duty, Explanation, Options, Outcome, Run, Sink, Span, State, Tally, Workload};
use proftool_trace::manifest::{FORMAT, Manifest, Pass, Target, Time};
use proftool_trace::{Artifact, Draft, tables};
use proftool_workloads::{Check, check_router_log};

use super::Args;
use super::cases::{Case, simulated};
use super::parameters::parameters;
use super::setup::Setup;
use crate::commands::capture;
use crate::failure::Failure;
use crate::{artifacts, machine};

/// Name of the pass, as of the targets that simulate.
const PASS: &str = "simulation";
const FILE: &str = "router.jsonl";
/// Time between samples of the devices' state; a value that stays is one row.
pub(super) const SAMPLES_NS: i64 = 250_000_000;

/// Importers take rows further apart than 2^53 ns, 104 days, for damaged; the last request still needs its time.
const MOST_NS: i64 = 100 * 86_400 * 1_000_000_000;

/// Where artifacts are made.
pub(super) struct Place {
    parent: PathBuf,
    environment: Environment,
    /// Whether several loads and several seeds are run, so that their artifacts need names of their own.
    loads: bool,
    seeds: bool,
}

impl Place {
    /// The folder of `--artifacts`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn new(args: &Args) -> Result<Option<Self>, Failure> {
        let Some(parent) = args.artifacts.clone() else { return Ok(None) };
        artifacts::check_writable(&parent)?;
        let environment = machine::environment(&proftool_hardware::probe());
        Ok(Some(Self { parent, environment, loads: args.loads.len() > 1, seeds: args.seeds > 1 }))
    }

    /// Runs a case, writes what it tells, and checks what was written.
    ///
    /// # Errors
    /// When something cannot be written; nothing is left then. A failed check is none: the manifest says so.
    pub(super) fn write(
        &self,
        case: &Case,
        setup: &Setup<'_>,
        workload: &Workload,
        tally: &mut Tally,
    ) -> Result<Artifact, Failure> {
        if workload.span_ns() > MOST_NS {
            let hint = "hint: cut a part out with --from and --until, or leave --artifacts out";
            return Err(Failure::usage(format!(
                "the requests span more than 100 days, too long for an artifact ({hint})"
            )));
        }
        let load = if self.loads { format!("-x{}", case.load) } else { String::new() };
        let seed = if self.seeds { format!("-seed{}", case.seed) } else { String::new() };
        let target = format!("simulate-{}{load}{seed}", case.maker.name);
        let key = hardware_key(&setup.cluster);
        let stamp = self.environment.captured_utc.replace(['-', ':'], "");
        let draft = Draft::create(&self.parent, &format!("{stamp}-{target}-{key}"))?;
        let made = logged(&draft, case, setup, workload, tally).and_then(|(file, modelled)| {
            let checks = checks(&file, workload, &setup.cluster)?;
            self.described(&draft, &file, case, setup, Told { name: target, key, modelled, checks })
        });
        match made {
            Ok(manifest) => Ok(draft.finish(manifest)?),
            Err(failure) => {
                draft.discard();
                Err(failure)
            }
        }
    }

    /// Imports the log, and describes the run.
    fn described(
        &self,
        draft: &Draft,
        file: &Path,
        case: &Case,
        setup: &Setup<'_>,
        told: Told,
    ) -> Result<Manifest, Failure> {
        let (imported, all) = proftool_import::into_memory(file)?;
        let pass = Pass {
            name: imported.pass,
            profilers: vec!["simulator".to_owned()],
            clock: imported.session.clock,
            start_unix_ns: imported.session.start_unix_ns,
            start_monotonic_ns: imported.session.start_monotonic_ns,
            ranks: Vec::new(),
        };
        let environment = self.environment.clone();
        let Told { name, key, modelled, checks } = told;
        Ok(Manifest {
            format: FORMAT,
            target: Target { name, parameters: parameters(case, setup), seed: case.seed },
            pair: None,
            hardware_key: key,
            time: Time::Simulated,
            captured_utc: environment.captured_utc,
            command_line: machine::command_line(),
            git: environment.git,
            host: environment.host,
            devices: capture::devices(all.get(&tables::DEVICES))?,
            versions: environment.versions,
            passes: vec![pass],
            warmup: 0,
            iterations: 0,
            blocks: 0,
            tables: all.write(&draft.tables_dir())?,
            results: checked(checks),
            modelled,
            command: None,
        })
    }
}

/// What a manifest says beside what is in the log.
struct Told {
    name: String,
    /// The hardware key.
    key: String,
    modelled: Vec<String>,
    checks: Vec<Check>,
}

/// Reads the log back, as the targets that simulate do.
fn checks(file: &Path, workload: &Workload, cluster: &Cluster) -> Result<Vec<Check>, Failure> {
    let unread = |error| Failure::io(format!("cannot read {} back: {error} (hint: check the disk)", file.display()));
    File::open(file).and_then(|log| check_router_log(BufReader::new(log), workload, cluster)).map_err(unread)
}

/// `simulated-flagship_vs_mid-2p4d`, as of the targets that simulate: nobody takes it for a machine's.
fn hardware_key(cluster: &Cluster) -> String {
    let decode = cluster.devices.iter().filter(|device| device.role.decodes()).count();
    format!("simulated-{}-{}p{decode}d", cluster.name, cluster.devices.len() - decode)
}

/// Runs a case and writes its log; its file, and what is modelled.
fn logged(
    draft: &Draft,
    case: &Case,
    setup: &Setup<'_>,
    workload: &Workload,
    tally: &mut Tally,
) -> Result<(PathBuf, Vec<String>), Failure> {
    let file = draft.raw_dir(PASS)?.join(FILE);
    let unwritten =
        |error| Failure::io(format!("cannot write {}: {error} (hint: check the space on the disk)", file.display()));
    let modelled: Vec<String> = std::iter::once(setup.note()).chain(setup.cluster.modelled()).collect();
    let head = Head {
        time: LogTime::Simulated,
        // A simulation has no place on the wall clock, and the same seed gives the same bytes.
        start_unix_ns: 0,
        workload: &workload.name,
        policy: case.maker.name,
        seed: case.seed,
        cluster: &setup.cluster,
        slos: &setup.options.slos,
        block_tokens: workload.block_tokens,
        modelled: &modelled,
    };
    let log = Log::new(BufWriter::new(File::create(&file).map_err(unwritten)?), &head);
    let mut sink = Both { log: Simulated::new(log, case.maker.name, &setup.options.slos), tally };
    let options = Options { decisions: true, sample_period_ns: Some(SAMPLES_NS), ..setup.options.clone() };
    simulated(case, setup, workload, &options, &mut sink)?;
    let mut log = sink.log.into_log();
    for issue in &setup.issues {
        log.issue(&IssueRow {
            code: issue.code,
            source: "requests",
            severity: if issue.left_out { "data_loss" } else { "info" },
            count: issue.count as i64,
            detail: &issue.to_string(),
        });
    }
    log.finish().map_err(unwritten)?;
    Ok((file, modelled))
}

/// Writes the log and keeps what a summary needs.
struct Both<'t, W: Write> {
    log: Simulated<W>,
    tally: &'t mut Tally,
}

impl<W: Write> Sink for Both<'_, W> {
    fn outcome(&mut self, outcome: &Outcome) {
        self.tally.outcome(outcome);
        self.log.outcome(outcome);
    }

    fn span(&mut self, span: &Span) {
        self.log.span(span);
    }

    fn steps(&mut self, run: &Run) {
        self.tally.steps(run);
        self.log.steps(run);
    }

    fn sample(&mut self, at_ns: i64, devices: &[State]) {
        self.log.sample(at_ns, devices);
    }

    fn duty(&mut self, at_ns: i64, device: usize, duty: Duty) {
        self.tally.duty(at_ns, device, duty);
        self.log.duty(at_ns, device, duty);
    }

    fn decision(&mut self, at_ns: i64, request: u32, chosen: Option<usize>, why: &Explanation) {
        self.log.decision(at_ns, request, chosen, why);
    }
}
