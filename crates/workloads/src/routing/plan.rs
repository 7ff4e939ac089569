//! What a simulation is given: parameters, read and checked before anything is written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proftool_serving::admission::{Admission, EarlyRejection, Everyone, Predicted, QueueThreshold, Slos};
use proftool_serving::sources::Synthetic;
use proftool_serving::{Cluster, Model, Slo, Tier, scenarios};

use super::knobs::{MADE_UP, TIERS};
use crate::parameters::{AUTO, Given, refused};
use crate::router::{self, Router};
use crate::{Error, Parameter, Settings};

/// A simulation, ready to run.
pub(crate) struct Plan {
    pub(crate) cluster: Cluster,
    pub(crate) router: Router,
    admission: &'static str,
    predicted: Predicted,
    /// Time within which a prompt must be begun, by tier.
    pub(crate) deadlines_ns: [Option<i64>; 3],
    /// The recorded trace; none where requests are made up.
    pub(crate) trace: Option<PathBuf>,
    /// At most so many requests.
    pub(crate) requests: Option<usize>,
    pub(crate) shape: Synthetic,
    /// Shares of premium and free requests of a trace; none where it has tiers of its own.
    pub(crate) tiers: Option<(f64, f64)>,
    pub(crate) load: f64,
    /// Times as fast from half time on.
    pub(crate) step_factor: f64,
    pub(crate) slos: Slos,
    pub(crate) migration_period_ns: Option<i64>,
    pub(crate) sample_period_ns: Option<i64>,
    pub(crate) decisions: bool,
    /// Every parameter with its value.
    pub(crate) resolved: BTreeMap<String, String>,
}

/// Requests that are made up where no number is given.
const REQUESTS: usize = 2000;
/// The log of more would take gigabytes; `proftool simulate` keeps none.
const MOST_REQUESTS: usize = 1_000_000;
/// Rates, factors and times in ms, which are above 0.
const POSITIVE: std::ops::RangeInclusive<f64> = 1e-6..=1e9;

impl Plan {
    /// Reads the parameters of a target.
    ///
    /// # Errors
    /// For the first that is unknown, has a bad value, or contradicts another.
    pub(crate) fn new(
        target: &'static str,
        parameters: &'static [Parameter],
        settings: &Settings,
    ) -> Result<Self, Error> {
        let own = router::own(parameters, settings);
        let given = Given::new(target, parameters, &own)?;
        let router = Router::new(target, parameters, given.text("policy"), settings)?;
        let model = Model::find(given.text("model")).ok_or_else(|| {
            let names: Vec<&str> = proftool_serving::MODELS.iter().map(|model| model.name).collect();
            one_of("model", given.text("model"), &names)
        })?;
        let scenario = scenarios::find(given.text("scenario")).ok_or_else(|| {
            let names: Vec<&str> = scenarios::SCENARIOS.iter().map(|scenario| scenario.name).collect();
            one_of("scenario", given.text("scenario"), &names)
        })?;
        let cluster = scenario
            .cluster(model, count(&given, "prefill_gpus")?, count(&given, "decode_gpus")?)
            .map_err(|error| refused("model", &given.text("model"), error.to_string()))?;
        let trace = trace(&given)?;
        let requests = match given.text("requests") {
            AUTO => None,
            _ => Some(given.number("requests", 1..=MOST_REQUESTS)?),
        };
        let shape = shape(&given, settings.seed, requests)?;
        let tiers = TIERS.iter().any(|name| given.has(name)).then_some(shape.tiers);
        let slos = slos(&given)?;
        cluster.check().map_err(|error| refused("scenario", &scenario.name, error.to_string()))?;
        slos.check().map_err(|error| refused("slo_ttft_ms", &given.text("slo_ttft_ms"), error.to_string()))?;
        let admission = ["none", "queue", "predicted", "early_rejection"].map(|name| (name, name));
        let predicted = Predicted {
            slack: given.number("admission_slack", POSITIVE)?,
            reserved_ratio: given.number("reserved_ratio", 0.0..=1.0)?,
        };
        let deadline: f64 = given.number("deadline_slos", 0.0..=1e6)?;
        let deadlines_ns = slos.0.map(|slo| (deadline > 0.0).then(|| (slo.ttft_ns as f64 * deadline).round() as i64));
        let decisions = given.choice("decisions", &[("true", true), ("false", false)])?;
        let mut plan = Self {
            cluster,
            router,
            admission: given.choice("admission", &admission)?,
            predicted,
            deadlines_ns,
            trace,
            requests,
            shape,
            tiers,
            load: given.number("load", POSITIVE)?,
            step_factor: given.number("step_factor", POSITIVE)?,
            slos,
            migration_period_ns: period_ns(&given, "migration_period_ms")?,
            sample_period_ns: period_ns(&given, "sample_period_ms")?,
            decisions,
            resolved: BTreeMap::new(),
        };
        plan.router.policy()?;
        plan.resolved = plan.resolve(parameters, &given);
        Ok(plan)
    }

    /// The rule of admission.
    pub(crate) fn admission(&self) -> Box<dyn Admission> {
        match self.admission {
            "queue" => Box::new(QueueThreshold::default()),
            "predicted" => Box::new(self.predicted),
            "early_rejection" => Box::new(EarlyRejection {
                free_ttft_ns: Some(self.slos.of(Tier::Standard).ttft_ns),
                predicted: Some(self.predicted),
            }),
            _ => Box::new(Everyone),
        }
    }

    /// Every parameter that means something here, with its value.
    fn resolve(&self, parameters: &[Parameter], given: &Given<'_>) -> BTreeMap<String, String> {
        let pool = |prefill: bool| {
            let of_pool = |device: &&proftool_serving::Device| device.role.prefills() == prefill;
            self.cluster.devices.iter().filter(of_pool).count().to_string()
        };
        let value = |name: &'static str| match name {
            "prefill_gpus" => Some(pool(true)),
            "decode_gpus" => Some(pool(false)),
            "requests" => match (self.requests, &self.trace) {
                (Some(requests), _) => Some(requests.to_string()),
                (None, Some(_)) => Some("all".to_owned()),
                (None, None) => Some(REQUESTS.to_string()),
            },
            _ if self.trace.is_some() && MADE_UP.contains(&name) => None,
            _ if self.trace.is_some() && self.tiers.is_none() && TIERS.contains(&name) => None,
            "admission_slack" | "reserved_ratio" if matches!(self.admission, "none" | "queue") => None,
            "shared_tokens" if self.shape.tenants == 0 => None,
            _ if router::is_knob(name) => None,
            _ => Some(given.text(name).to_owned()),
        };
        let own = parameters.iter().filter_map(|one| Some((one.name.to_owned(), value(one.name)?)));
        own.chain(self.router.resolved()).collect()
    }
}

fn one_of(name: &'static str, value: &str, known: &[&str]) -> Error {
    refused(name, &value, format!("one of {}", known.join(", ")))
}

/// Devices of a pool, where they were given.
fn count(given: &Given<'_>, name: &'static str) -> Result<Option<usize>, Error> {
    if given.text(name) == AUTO {
        return Ok(None);
    }
    given.number_or(name, 1..=32, 1).map(Some)
}

/// The recorded trace: a file that is there.
fn trace(given: &Given<'_>) -> Result<Option<PathBuf>, Error> {
    let text = given.text("requests_from");
    if text == "none" {
        return Ok(None);
    }
    if let Some(name) = MADE_UP.iter().find(|name| given.has(name)) {
        let allowed = "the requests of a recorded trace arrive as they did (hint: load=2 makes them arrive faster)";
        return Err(refused(name, &given.text(name), allowed));
    }
    let path = PathBuf::from(text);
    match std::fs::metadata(&path) {
        Ok(found) if found.is_file() => Ok(Some(path)),
        Ok(_) => Err(Error::Input { path, reason: "it is no file (hint: name a trace)".to_owned() }),
        Err(error) => Err(Error::Input { path, reason: format!("{error} (hint: name a trace)") }),
    }
}

fn shape(given: &Given<'_>, seed: u64, requests: Option<usize>) -> Result<Synthetic, Error> {
    let tenants = given.number("tenants", 0..=u16::MAX)?;
    let shared = given.number("shared_tokens", 0..=1_000_000)?;
    let tiers = (given.number("premium_share", 0.0..=1.0)?, given.number("free_share", 0.0..=1.0)?);
    if tiers.0 + tiers.1 > 1.0 {
        return Err(refused("free_share", &tiers.1, format!("at most 1 with premium_share={}", tiers.0)));
    }
    let shape = Synthetic {
        requests: requests.unwrap_or(REQUESTS),
        per_s: given.number("arrival_rate", POSITIVE)?,
        burst_factor: given.number("burst_factor", POSITIVE)?,
        seed,
        tenants,
        shared_tokens: if tenants > 0 { shared } else { 0 },
        tiers,
        ..Synthetic::default()
    };
    if given.text("requests_from") == "none" && shape.is_endless() {
        let allowed = "so many requests would span more than three years (hint: a higher rate, or fewer requests)";
        return Err(refused("arrival_rate", &shape.per_s, allowed));
    }
    Ok(shape)
}

/// What is agreed on with premium, standard and free requests, in the relation of the course's tiers: 200, 500 and 1000 ms,
/// 30, 50 and 100 ms.
fn slos(given: &Given<'_>) -> Result<Slos, Error> {
    let (ttft_ms, tpot_ms) = (given.number("slo_ttft_ms", POSITIVE)?, given.number("slo_tpot_ms", POSITIVE)?);
    let ns = |ms: f64, share: f64| (ms * share * 1e6).round() as i64;
    let slo = |ttft: f64, tpot: f64| Slo { ttft_ns: ns(ttft_ms, ttft), tpot_ns: ns(tpot_ms, tpot) };
    Ok(Slos([slo(0.4, 0.6), slo(1.0, 1.0), slo(2.0, 2.0)]))
}

/// A period in ns; none where it is 0.
fn period_ns(given: &Given<'_>, name: &'static str) -> Result<Option<i64>, Error> {
    let ms: f64 = given.number(name, 0.0..=1e9)?;
    Ok((ms > 0.0).then(|| ((ms * 1e6) as i64).max(1)))
}
