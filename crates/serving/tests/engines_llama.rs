//! Real llama.cpp servers with random weights. `PROFTOOL_ENGINES_PYTHON` is a Python with `scripts/engines/requirements.txt`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use proftool_serving::admission::Everyone;
use proftool_serving::engines::{
    Clock, Ending, Endpoint, Engines, Job, Model, Options, Plan, Round, Served, describe, drive, rounds,
};
use proftool_serving::log::{Head, Log, Time};
use proftool_serving::sources::{Lengths, Synthetic, synthetic};
use proftool_serving::{Device, Role, StepModel, Workload, policies};

const SLOTS: u32 = 4;
const CONTEXT: u32 = 8192;

/// A Python that has llama.cpp; without one the test says so.
fn python() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("PROFTOOL_ENGINES_PYTHON").unwrap_or_else(|| "python3".into()));
    let modules = ["-c", "import gguf, numpy, xllamacpp"];
    let found = Command::new(&python).args(modules).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    // Not a print macro: the test harness hides those.
    let skipped: &[u8] =
        b"skipped: no llama.cpp (hint: pip install -r scripts/engines/requirements.txt, PROFTOOL_ENGINES_PYTHON)\n";
    std::io::stderr().write_all(skipped).expect("standard error can be written");
    None
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/engines")
}

/// A folder of its own for a test's files.
fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&place).expect("a folder");
    place
}

fn plan(python: &Path, place: &Path, count: usize) -> Plan {
    let model = place.join("tiny.gguf");
    let made = Command::new(python).arg(scripts().join("model.py")).arg(&model).status().expect("python runs");
    assert!(made.success());
    let line = format!(
        "'{}' '{}' '{}' --port {{port}} --slots {SLOTS} --context {CONTEXT} --threads 1",
        python.display(),
        scripts().join("serve.py").display(),
        model.display()
    );
    Plan::command(&line, count, place).expect("a port")
}

fn endpoints(engines: &Engines) -> Vec<Endpoint> {
    let device = |at: usize| Device {
        name: format!("llama_{at}"),
        role: Role::Mixed,
        steps: StepModel::default(),
        kv_capacity_tokens: CONTEXT.into(),
        step_tokens: 2048,
        most_sequences: SLOTS,
        cost_per_hour: 1.0,
        watts: None,
        numa: 0,
    };
    let endpoint = |(at, address): (usize, &_)| {
        let Model { name, context_tokens } = describe(address, None).expect("a model");
        // What each slot has.
        assert_eq!(context_tokens, Some(u64::from(CONTEXT / SLOTS)));
        Endpoint { address: Clone::clone(address), model: name, context_tokens, device: device(at) }
    };
    engines.addresses().enumerate().map(endpoint).collect()
}

fn run(workload: &Workload, endpoints: &[Endpoint], policy: &str, nonce: u64) -> (Vec<Served>, String) {
    let options =
        Options { nonce, decisions: true, telemetry_period: Some(Duration::from_millis(100)), ..Options::default() };
    let (clock, stop) = (Clock::start(), AtomicBool::new(false));
    let job = Job { workload, endpoints, options: &options, clock, stop: &stop };
    let cluster = job.cluster();
    let head = Head {
        time: Time::Measured,
        start_unix_ns: clock.start_unix_ns(),
        workload: &workload.name,
        policy,
        seed: options.seed,
        cluster: &cluster,
        slos: &options.slos,
        block_tokens: workload.block_tokens,
        modelled: &[],
    };
    let mut policy = policies::find(policy).expect("known").with(&BTreeMap::new(), 1).expect("no knobs");
    let mut log = Log::new(Vec::new(), &head);
    let served = drive(&job, policy.as_mut(), &mut Everyone, &mut log).expect("a run");
    (served, String::from_utf8(log.finish().expect("memory")).expect("UTF-8"))
}

fn cached_share(served: &[Served]) -> f64 {
    let sum = |of: fn(&Served) -> u32| served.iter().map(|served| u64::from(of(served))).sum::<u64>() as f64;
    sum(|served| served.cached_tokens.unwrap_or(0)) / sum(|served| served.prompt_tokens)
}

#[test]
fn routing_by_prefixes_finds_more_in_real_caches_than_taking_turns() {
    let Some(python) = python() else { return };
    let engines = Engines::launch(&plan(&python, &place("affinity"), 2), &AtomicBool::new(false)).expect("two servers");
    let endpoints = endpoints(&engines);
    // Eight tenants, and slots for four a server: taking turns, every server sees all eight.
    let shape = Synthetic {
        requests: 60,
        per_s: 20.0,
        seed: 5,
        prompt_tokens: Lengths::Uniform(16, 64),
        output_tokens: Lengths::Uniform(8, 16),
        tenants: 8,
        shared_tokens: 256,
        ..Synthetic::default()
    };
    let workload = synthetic("tenants", &shape);
    let mut shares: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for Round { optimized, nonce, .. } in rounds(2, 1) {
        let (served, log) = run(&workload, &endpoints, if optimized { "cache_aware" } else { "round_robin" }, nonce);
        assert_eq!(served.len(), 60);
        for one in &served {
            assert_eq!(
                (&one.ending, one.output_tokens),
                (&Ending::Ok, Some(workload.requests[one.request].output_tokens))
            );
            // llama.cpp puts a token in front.
            assert!(one.prompt_tokens.abs_diff(workload.requests[one.request].prompt_tokens) <= 1);
            let (first_ns, sent_ns) = (one.first_token_ns.expect("a token"), one.sent_ns.expect("sent"));
            assert!(one.arrival_ns <= sent_ns && sent_ns < first_ns && first_ns <= one.end_ns);
        }
        assert!(log.lines().any(|line| line.contains("engine_running_requests")), "no telemetry");
        shares[usize::from(optimized)].push(cached_share(&served));
    }
    let [turns, prefixes] = shares;
    println!("share of prompt tokens cached: {turns:?} taking turns, {prefixes:?} by prefixes");
    assert!(
        prefixes.iter().fold(1.0, |least, &share| share.min(least))
            > turns.iter().fold(0.0, |most, &share| share.max(most))
    );
}

#[test]
fn engines_end_with_their_run_and_a_wrong_command_says_what_it_printed() {
    let place = place("launch");
    let stop = AtomicBool::new(false);
    let wrong = Plan::command("sh -c 'echo no such flag; exit 7' {port}", 1, &place).expect("a port");
    let error = Engines::launch(&wrong, &stop).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("no such flag") && error.contains("status 7"), "{error}");
    let Some(python) = python() else { return };
    let engines = Engines::launch(&plan(&python, &place, 1), &stop).expect("a server");
    let group = engines.pids().next().expect("one");
    assert!(members(group) > 1);
    let start = Instant::now();
    drop(engines);
    assert!(start.elapsed() < Duration::from_secs(9));
    assert_eq!(members(group), 0);
}

/// Processes of a group that have not ended.
fn members(group: u32) -> usize {
    let field = |stat: &str| {
        // pid (name) state parent group ...: the name may hold anything.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.to_owned();
        Some((state, fields.nth(1)?.parse::<u32>().ok()?))
    };
    let stats = std::fs::read_dir("/proc").expect("proc").flatten();
    let texts = stats.filter_map(|entry| std::fs::read_to_string(entry.path().join("stat")).ok());
    texts.filter_map(|text| field(&text)).filter(|(state, of)| *of == group && state != "Z").count()
}
