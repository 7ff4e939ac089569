//! Arguments to what is simulated; everything that can be wrong with them is told before anything runs.

use std::collections::BTreeMap;
use std::path::Path;

use proftool_serving::admission::{Admission, EarlyRejection, Everyone, Predicted, QueueThreshold, Slos};
use proftool_serving::policies::{self, Maker};
use proftool_serving::sources::{self, Issue};
use proftool_serving::{Change, Cluster, DynamoConfig, Model, ModelError, Options, Slo, Tier, Workload, scenarios};

use super::Args;
use super::artifacts::Place;
use super::requests::{made_up, recorded, shape};
use super::values::{Fail, Step};
use crate::failure::Failure;
use crate::names;

/// Device of a replica under a `dynamo_config.yaml`, which names none, and its price: assumed, as in the scenarios.
const DYNAMO_DEVICE: (&str, f64) = ("h100-sxm", 4.0);

/// What is simulated.
pub(super) struct Setup<'a> {
    /// As given.
    pub(super) args: &'a Args,
    /// The policies.
    pub(super) makers: Vec<&'static Maker>,
    /// Their knobs, as far as given.
    knobs: BTreeMap<String, f64>,
    /// The devices.
    pub(super) cluster: Cluster,
    /// How.
    pub(super) options: Options,
    /// What is recorded; none where requests are made up for each seed.
    recorded: Option<Workload>,
    /// Where from.
    pub(super) source: String,
    /// What was left out or assumed there.
    pub(super) issues: Vec<Issue>,
    /// The file of `--dynamo-config`.
    dynamo: Option<DynamoConfig>,
    /// Name of the model that is served.
    pub(super) model: &'static str,
    /// Where artifacts are made; nowhere without.
    pub(super) place: Option<Place>,
}

impl<'a> Setup<'a> {
    pub(super) fn new(args: &'a Args) -> Result<Self, Failure> {
        consistent(args)?;
        let dynamo = args.dynamo_config.as_deref().map(dynamo).transpose()?;
        let makers = makers(&args.policy, dynamo.is_some())?;
        let knobs = knobs(&args.set, &makers)?;
        let (model, cluster) = match &dynamo {
            Some(config) => (config.model, config.cluster(DYNAMO_DEVICE.0, DYNAMO_DEVICE.1)),
            None => scenario(args)?,
        };
        let cluster = cluster.map_err(|error| Failure::usage(error.to_string()))?;
        let options = Options {
            migration_period_ns: Some((args.migration_period_ms * 1e6) as i64),
            slos: slos(args)?,
            changes: changes(&args.fail, &cluster)?,
            deadlines_ns: deadlines(args)?,
            ..Options::default()
        };
        let options = dynamo.as_ref().map_or(options.clone(), |config| config.options(options));
        cluster.check().and_then(|()| options.slos.check()).map_err(|error| Failure::usage(error.to_string()))?;
        let source = args.requests_from.as_ref().map_or_else(String::new, |path| path.display().to_string());
        let (recorded, issues) = recorded(args)?.unzip();
        let issues = issues.unwrap_or_default();
        let place = Place::new(args)?;
        Ok(Self { args, makers, knobs, cluster, options, recorded, source, issues, dynamo, model: model.name, place })
    }

    /// The requests of a case, at its own load.
    pub(super) fn workload(&self, load: f64, seed: u64) -> Workload {
        let mut workload = self.recorded.clone().unwrap_or_else(|| made_up(self.args, seed));
        if let Some(shares) = self.args.tiers.filter(|_| self.recorded.is_some()) {
            sources::tiers(&mut workload, shares, seed);
        }
        workload.scale(load);
        if let Some(Step { factor, at_ns }) = self.args.step {
            workload.step(at_ns, factor);
        }
        workload
    }

    /// The rule of admission.
    pub(super) fn admission(&self) -> Box<dyn Admission> {
        if let Some(config) = &self.dynamo {
            return Box::new(config.admission);
        }
        match self.args.admission.as_str() {
            "queue" => Box::new(QueueThreshold::default()),
            "predicted" => Box::new(self.predicted()),
            "early_rejection" => Box::new(EarlyRejection {
                free_ttft_ns: Some(self.options.slos.of(Tier::Standard).ttft_ns),
                predicted: Some(self.predicted()),
            }),
            _ => Box::new(Everyone),
        }
    }

    fn predicted(&self) -> Predicted {
        Predicted { reserved_ratio: self.args.reserve, ..Predicted::default() }
    }

    /// The knobs of a policy: those of the file of `--dynamo-config` for its own, and above them those of `--set`.
    pub(super) fn knobs_of(&self, maker: &Maker) -> BTreeMap<String, f64> {
        let own_file = self.dynamo.as_ref().filter(|_| maker.name == DYNAMO_POLICY);
        let mut knobs = own_file.map_or_else(BTreeMap::new, |config| config.knobs.clone());
        knobs.extend(own(maker, &self.knobs));
        knobs
    }

    /// How requests are simulated that arrive `factor` times as fast as [`Setup::workload`] says. Devices fail and come back
    /// at the same share of the requests' span, as the step of a load does: the same requests meet the failure.
    pub(super) fn faster(&self, factor: f64) -> Options {
        let sooner = |change: &Change| Change { at_ns: (change.at_ns as f64 / factor) as i64, ..*change };
        Options { changes: self.options.changes.iter().map(sooner).collect(), ..self.options.clone() }
    }

    /// The trace that is replayed; none where requests are made up.
    pub(super) fn trace(&self) -> Option<&str> {
        self.recorded.as_ref().map(|_| self.source.as_str())
    }

    /// Whether the course over time is wanted.
    pub(super) fn traced(&self) -> bool {
        self.args.trace
    }

    /// What the devices cost an hour, all of them.
    pub(super) fn dollars_per_hour(&self) -> f64 {
        self.cluster.devices.iter().map(|device| device.cost_per_hour).sum()
    }

    /// What they draw, where that is known of each.
    pub(super) fn watts(&self) -> Option<f64> {
        self.cluster.devices.iter().map(|device| device.watts).sum()
    }

    /// What a reader of the table must know.
    pub(super) fn note(&self) -> String {
        let shown = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join("/");
        let power = self.watts().map_or_else(String::new, |watts| format!(", {watts:.0} W of board power"));
        format!(
            "Simulated: {} serving {} on {} devices at ${:.2} an hour (assumed){power}; SLO {} ms to the first token, {} ms a token.",
            self.cluster.name,
            self.model,
            self.cluster.devices.len(),
            self.dollars_per_hour(),
            shown(&self.args.slo_ttft_ms),
            shown(&self.args.slo_tpot_ms)
        )
    }
}

/// What is allowed alone and means nothing together.
///
/// # Errors
/// For the first of these.
fn consistent(args: &Args) -> Result<(), Failure> {
    if args.reserve > 0.0 && !["predicted", "early_rejection"].contains(&args.admission.as_str()) {
        let hint = "hint: add --admission predicted";
        return Err(Failure::usage(format!("--reserve keeps memory from those whom no rule refuses ({hint})")));
    }
    let names: Vec<&str> = args.policy.iter().map(|name| name.trim()).filter(|name| !name.is_empty()).collect();
    let policy = twice(&names).map(|name| format!("--policy names {name}"));
    if let Some(what) = policy.or_else(|| twice(&args.loads).map(|load| format!("--loads has {load}"))) {
        return Err(Failure::usage(format!("{what} twice (hint: write it once; --seeds 2 repeats every run)")));
    }
    if args.requests_from.is_none() && shape(args, args.seed).is_endless() {
        let hint = "hint: a higher --arrival-rate, or fewer --requests";
        return Err(Failure::usage(format!("made-up requests would span more than three years ({hint})")));
    }
    Ok(())
}

/// The first that stands twice.
fn twice<T: PartialEq>(all: &[T]) -> Option<&T> {
    all.iter().enumerate().find(|&(at, one)| all[..at].contains(one)).map(|(_, one)| one)
}

fn slos(args: &Args) -> Result<Slos, Failure> {
    let ttft = by_tier("--slo-ttft-ms", &args.slo_ttft_ms)?;
    let tpot = by_tier("--slo-tpot-ms", &args.slo_tpot_ms)?;
    Ok(Slos([0, 1, 2].map(|tier| Slo { ttft_ns: ttft[tier], tpot_ns: tpot[tier] })))
}

fn deadlines(args: &Args) -> Result<[Option<i64>; 3], Failure> {
    if args.deadline_ms.is_empty() { Ok([None; 3]) } else { Ok(by_tier("--deadline-ms", &args.deadline_ms)?.map(Some)) }
}

/// One length of time for all tiers, or one for each, in ns; one that is shorter than a nanosecond is one.
fn by_tier(name: &str, ms: &[f64]) -> Result<[i64; 3], Failure> {
    let ns = |ms: f64| ((ms * 1e6) as i64).max(1);
    match ms {
        [all] => Ok([ns(*all); 3]),
        [premium, standard, free] => Ok([premium, standard, free].map(|&ms| ns(ms))),
        _ => Err(Failure::usage(format!(
            "{name} has {} values (hint: one for all, or three: premium, standard and free)",
            ms.len()
        ))),
    }
}

fn changes(fails: &[Fail], cluster: &Cluster) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    for Fail { device: name, at_ns, until_ns } in fails {
        let known = cluster.devices.iter().position(|device| device.name == *name);
        let number = name.parse().ok().filter(|&number| number < cluster.devices.len());
        let names = || cluster.devices.iter().map(|device| device.name.as_str()).collect();
        let device = known.or(number).ok_or_else(|| unknown("device of this cluster", name, names()))?;
        changes.push(Change { at_ns: *at_ns, device, up: false });
        changes.extend(until_ns.map(|at_ns| Change { at_ns, device, up: true }));
    }
    Ok(changes)
}

/// The policy that a `dynamo_config.yaml` describes.
pub(super) const DYNAMO_POLICY: &str = "dynamo_config";

/// The cluster of a scenario.
fn scenario(args: &Args) -> Result<(&'static Model, Result<Cluster, ModelError>), Failure> {
    let model = Model::find(&args.model).ok_or_else(|| unknown("model", &args.model, model_names()))?;
    let scenario =
        scenarios::find(&args.scenario).ok_or_else(|| unknown("scenario", &args.scenario, scenario_names()))?;
    let pool = |count: Option<u8>| count.map(usize::from);
    Ok((model, scenario.cluster(model, pool(args.prefill_gpus), pool(args.decode_gpus))))
}

/// The file of `--dynamo-config`.
fn dynamo(path: &Path) -> Result<DynamoConfig, Failure> {
    let shown = path.display();
    let hint = "hint: name a dynamo_config.yaml";
    let text =
        std::fs::read_to_string(path).map_err(|error| Failure::io(format!("cannot read {shown}: {error} ({hint})")))?;
    DynamoConfig::read(&text).map_err(|error| Failure::usage(format!("{shown}: {error}")))
}

fn makers(given: &[String], dynamo: bool) -> Result<Vec<&'static Maker>, Failure> {
    if given.is_empty() {
        let wanted = |maker: &&'static Maker| !dynamo || maker.name == DYNAMO_POLICY;
        return Ok(policies::POLICIES.iter().copied().filter(wanted).collect());
    }
    let find = |name: &String| {
        let known = policies::POLICIES.iter().map(|maker| maker.name).collect();
        policies::find(name.trim()).ok_or_else(|| unknown("policy", name, known))
    };
    given.iter().map(find).collect()
}

/// The knobs of `--set`: at least one of the policies must have each, and allow its value.
fn knobs(given: &[String], makers: &[&'static Maker]) -> Result<BTreeMap<String, f64>, Failure> {
    let mut all = BTreeMap::new();
    for text in given {
        let Some((name, value)) = text.split_once('=') else {
            return Err(Failure::usage(format!("--set {text}: no value (hint: write --set {text}=VALUE)")));
        };
        let (name, value) = (name.trim(), value.trim());
        let known: Vec<&str> = makers.iter().flat_map(|maker| maker.knobs).map(|knob| knob.name).collect();
        if !known.contains(&name) {
            return Err(unknown("knob of these policies", name, known));
        }
        let hint = "(hint: write a number, like --set migration_gap=0.3)";
        let number = value.parse().map_err(|_| Failure::usage(format!("--set {text}: {value} is no number {hint}")))?;
        all.insert(name.to_owned(), number);
    }
    for maker in makers {
        maker.with(&own(maker, &all), 0).map_err(|error| Failure::usage(error.to_string()))?;
    }
    Ok(all)
}

/// The knobs that a policy has.
fn own(maker: &Maker, knobs: &BTreeMap<String, f64>) -> BTreeMap<String, f64> {
    let has = |name: &String| maker.knobs.iter().any(|knob| knob.name == *name);
    knobs.iter().filter(|(name, _)| has(name)).map(|(name, &value)| (name.clone(), value)).collect()
}

fn unknown(what: &str, name: &str, known: Vec<&str>) -> Failure {
    Failure::usage(format!("no {what} is called {name} (hint: {})", names::suggest(name, known)))
}

fn model_names() -> Vec<&'static str> {
    proftool_serving::MODELS.iter().map(|model| model.name).collect()
}

fn scenario_names() -> Vec<&'static str> {
    scenarios::SCENARIOS.iter().map(|scenario| scenario.name).collect()
}
