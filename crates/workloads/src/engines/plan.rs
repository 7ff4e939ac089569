//! What a run on engines is given: parameters, read and checked before anything is written.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;
use std::time::Duration;

use proftool_serving::admission::{Admission, Everyone, Predicted, QueueThreshold, Slos};
use proftool_serving::engines::{Address, Api, Form, Limits, Options, Protocol};
use proftool_serving::sources::{Lengths, Synthetic};
use proftool_serving::{Cost, Device, Role, Slo, StepModel};

use super::launch::Launch;
use super::parameters::NONE;
use crate::parameters::{AUTO, Given, refused};
use crate::router::{self, Router};
use crate::{Error, Parameter, Settings};

/// A run on engines, ready.
pub(crate) struct Plan {
    pub(super) endpoints: Vec<Address>,
    pub(super) launch: Option<Launch>,
    /// Name of the model, where it was given.
    pub(super) model: Option<String>,
    pub(super) router: Router,
    admission: &'static str,
    pub(super) trace: Option<PathBuf>,
    pub(super) requests: Option<usize>,
    pub(super) shape: Synthetic,
    pub(super) load: f64,
    pub(super) options: Options,
    /// What is known of every endpoint.
    device: Device,
    /// Most tokens of a prompt and its output, where that was given.
    pub(super) context_tokens: Option<u64>,
    /// Every parameter with its value.
    pub(crate) resolved: BTreeMap<String, String>,
}

const REQUESTS: usize = 200;
const MOST_REQUESTS: usize = 1_000_000;
/// Rates and factors, which are above 0.
const POSITIVE: RangeInclusive<f64> = 1e-6..=1e9;
/// Times.
const TIMES: RangeInclusive<f64> = 0.0..=1e9;

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
        let (endpoints, launch) = engines(&given)?;
        let requests = match given.text("requests") {
            AUTO => None,
            _ => Some(given.number("requests", 1..=MOST_REQUESTS)?),
        };
        let trace = (given.text("requests_from") != NONE).then(|| PathBuf::from(given.text("requests_from")));
        let plan = Self {
            endpoints,
            launch,
            model: (given.text("model") != AUTO).then(|| given.text("model").to_owned()),
            admission: given.choice("admission", &["none", "queue", "predicted"].map(|name| (name, name)))?,
            trace,
            requests,
            shape: shape(&given, settings.seed, requests)?,
            load: given.number("load", POSITIVE)?,
            options: options(&given, settings.seed)?,
            device: device(&given)?,
            context_tokens: match given.text("context_tokens") {
                AUTO => None,
                _ => Some(given.number("context_tokens", 1..=1_000_000_000_000)?),
            },
            resolved: resolved(parameters, &given, &router),
            router,
        };
        plan.router.policy()?;
        if plan.admission == "predicted" && plan.device.steps.compute.prefill_token <= 0.0 {
            let needs =
                "predictions need step times (hint: prefill_token_us and the others, from scripts/engines/calibrate)";
            return Err(refused("admission", &"predicted", needs));
        }
        if let Some(path) = plan.trace.as_ref().filter(|path| !path.is_file()) {
            return Err(Error::Input { path: path.clone(), reason: "no such file (hint: name a trace)".to_owned() });
        }
        Ok(plan)
    }

    /// The rule of admission.
    pub(super) fn admission(&self) -> Box<dyn Admission> {
        match self.admission {
            "queue" => Box::new(QueueThreshold::default()),
            "predicted" => Box::new(Predicted::default()),
            _ => Box::new(Everyone),
        }
    }

    /// An endpoint as policies know it.
    pub(super) fn device(&self, address: &Address) -> Device {
        Device { name: address.to_string(), ..self.device.clone() }
    }
}

/// Where requests go: endpoints that run, or engines to launch; one of the two.
fn engines(given: &Given<'_>) -> Result<(Vec<Address>, Option<Launch>), Error> {
    let (endpoints, launch) = (given.text("endpoints"), given.text("launch"));
    match (endpoints, launch) {
        (NONE, NONE) => {
            let needs =
                "real engines are needed (hint: endpoints=http://127.0.0.1:8000,http://127.0.0.1:8001, or launch=vllm)";
            Err(refused("endpoints", &NONE, needs))
        }
        (_, NONE) => {
            let addresses: Result<Vec<Address>, _> = endpoints.split(',').map(str::parse).collect();
            let addresses = addresses.map_err(|error| refused("endpoints", &endpoints, error.to_string()))?;
            if addresses.len() > 64 {
                return Err(refused("endpoints", &addresses.len(), "at most 64"));
            }
            Ok((addresses, None))
        }
        (NONE, line) => Launch::read(line, given).map(|launch| (Vec::new(), Some(launch))),
        (_, line) => Err(refused("launch", &line, "endpoints are given too (hint: leave one out)")),
    }
}

/// Two numbers as `least-most`.
fn span(given: &Given<'_>, name: &'static str) -> Result<(u32, u32), Error> {
    let text = given.text(name);
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let read = |text: &str| text.trim().parse::<u32>().ok().filter(|&number| (1..=10_000_000).contains(&number));
    let span = read(least).zip(read(most)).filter(|(least, most)| least <= most);
    span.ok_or_else(|| refused(name, &text, "two numbers from 1 to 10000000 as 100-1200, or one"))
}

fn shape(given: &Given<'_>, seed: u64, requests: Option<usize>) -> Result<Synthetic, Error> {
    let lengths = |name| span(given, name).map(|(least, most)| Lengths::Uniform(least, most));
    let tenants = given.number("tenants", 0..=u16::MAX)?;
    let shared: u32 = given.number("shared_tokens", 0..=1_000_000)?;
    Ok(Synthetic {
        requests: requests.unwrap_or(REQUESTS),
        per_s: given.number("arrival_rate", POSITIVE)?,
        burst_factor: given.number("burst_factor", POSITIVE)?,
        seed,
        prompt_tokens: lengths("prompt_tokens")?,
        output_tokens: lengths("output_tokens")?,
        tenants,
        shared_tokens: if tenants > 0 { shared } else { 0 },
        ..Synthetic::default()
    })
}

fn options(given: &Given<'_>, seed: u64) -> Result<Options, Error> {
    let truth = [("true", true), ("false", false)];
    let protocol = Protocol {
        api: given.choice("api", &[("completions", Api::Completions), ("chat", Api::Chat)])?,
        form: given.choice("prompts", &[("tokens", Form::Tokens), ("text", Form::Text)])?,
        exact_output: given.choice("exact_output", &truth)?,
    };
    let ns = |name| given.number(name, POSITIVE).map(|ms: f64| (ms * 1e6).round() as i64);
    let slo = Slo { ttft_ns: ns("slo_ttft_ms")?, tpot_ns: ns("slo_tpot_ms")? };
    let seconds = |name| given.number(name, 0.001..=1e6).map(Duration::from_secs_f64);
    let period_ms: f64 = given.number("telemetry_period_ms", TIMES)?;
    let round: u64 = given.number("round", 0..=1_000_000)?;
    let (first, last) = span(given, "vocabulary")?;
    if first == last {
        return Err(refused("vocabulary", &given.text("vocabulary"), "at least two token ids"));
    }
    Ok(Options {
        protocol,
        seed,
        // The time of the run is added, so that no run finds another's prompts.
        nonce: round,
        vocabulary: Range { start: first, end: last + 1 },
        slos: Slos([slo; 3]),
        decisions: true,
        tokens: true,
        telemetry_period: (period_ms > 0.0).then(|| Duration::from_secs_f64(period_ms / 1e3)),
        migration_period: None,
        limits: Limits {
            first_token: seconds("first_token_s")?,
            stall: seconds("stall_s")?,
            drain: seconds("drain_s")?,
            ..Limits::default()
        },
    })
}

fn device(given: &Given<'_>) -> Result<Device, Error> {
    let ns = |name, unit: f64| given.number(name, TIMES).map(|value: f64| value * unit);
    let compute = Cost {
        constant: 0.0,
        prefill_token: ns("prefill_token_us", 1e3)?,
        prefill_pair: ns("prefill_pair_ns", 1.0)?,
        sequence: ns("sequence_us", 1e3)?,
        kv_token: ns("kv_token_ns", 1.0)?,
    };
    Ok(Device {
        name: String::new(),
        role: Role::Mixed,
        steps: StepModel { base_ns: ns("step_base_us", 1e3)?, compute, ..StepModel::default() },
        kv_capacity_tokens: given.number("kv_capacity_tokens", 1..=1_000_000_000_000)?,
        step_tokens: 2048,
        most_sequences: given.number("slots", 1..=1_000_000)?,
        cost_per_hour: 0.0,
        watts: None,
        numa: 0,
    })
}

/// Parameters that mean something here, with the knobs that were given.
fn resolved(parameters: &[Parameter], given: &Given<'_>, router: &Router) -> BTreeMap<String, String> {
    let made_up = ["arrival_rate", "burst_factor", "tenants", "shared_tokens", "prompt_tokens", "output_tokens"];
    let recorded = given.text("requests_from") != NONE;
    let means = |name: &&str| !(recorded && made_up.contains(name));
    let own = parameters.iter().map(|parameter| parameter.name).filter(means);
    own.map(|name| (name.to_owned(), given.text(name).to_owned())).chain(router.resolved()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::{COUNT, parameters};

    static PARAMETERS: [Parameter; COUNT] = parameters("kv_overlap");

    fn plan(given: &[(&str, &str)]) -> Result<Plan, String> {
        let settings = Settings {
            seed: 1,
            parameters: given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            cores: vec![0],
            iterations: 1,
            blocks: 1,
            warmup: 0,
            device_name: String::new(),
            arch: String::new(),
            backend: crate::Backend::Cpu,
            record: false,
        };
        Plan::new("t", &PARAMETERS, &settings).map_err(|error| error.to_string())
    }

    const TWO: (&str, &str) = ("endpoints", "http://127.0.0.1:8000,http://h:81/v1");

    #[test]
    fn endpoints_knobs_and_lengths_are_read() {
        let plan =
            plan(&[TWO, ("overlap_weight", "2"), ("migration_gap", "0.1"), ("prompt_tokens", "5-9")]).expect("a plan");
        assert_eq!(plan.endpoints.len(), 2);
        assert_eq!(
            (plan.resolved["overlap_weight"].as_str(), plan.resolved.contains_key("migration_gap")),
            ("2", false)
        );
        assert_eq!(plan.shape.prompt_tokens, Lengths::Uniform(5, 9));
        assert_eq!(plan.options.vocabulary, 300..2300);
    }

    #[test]
    fn what_can_not_be_is_refused_before_anything_is_sent() {
        for (given, what) in [
            (vec![], "real engines are needed"),
            (vec![("endpoints", "https://h")], "no address"),
            (vec![TWO, ("launch", "vllm")], "leave one out"),
            (vec![TWO, ("policy", "best")], "one of round_robin"),
            (vec![TWO, ("polcy", "best")], "no parameter polcy"),
            (vec![TWO, ("overlap_weight", "-1")], "a number from"),
            (vec![TWO, ("prompt_tokens", "9-5")], "two numbers"),
            (vec![TWO, ("vocabulary", "7")], "two token ids"),
            (vec![TWO, ("context_tokens", "0")], "context_tokens"),
            (vec![TWO, ("slo_ttft_ms", "0")], "a number from"),
            (vec![TWO, ("admission", "predicted")], "step times"),
            (vec![TWO, ("requests_from", "no-such-trace.csv")], "no such file"),
            (vec![("launch", "serve --port 80")], "{port}"),
        ] {
            let error = plan(&given).err().unwrap_or_default();
            assert!(error.contains(what), "{given:?}: {error}");
        }
    }
}
