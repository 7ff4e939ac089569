//! Parameters of the targets that simulate a router.

use crate::Parameter;
use crate::parameters::AUTO;

/// What differs between these targets when nothing is given.
pub(crate) struct Defaults {
    /// Policy.
    pub(crate) policy: &'static str,
    /// Rule of admission.
    pub(crate) admission: &'static str,
    /// Arrivals per second outside bursts.
    pub(crate) arrival_rate: &'static str,
    /// Times as many in a burst.
    pub(crate) burst_factor: &'static str,
    /// Tenants whose prompts begin alike.
    pub(crate) tenants: &'static str,
    /// Shares of premium and free requests.
    pub(crate) tiers: (&'static str, &'static str),
}

impl Defaults {
    /// The lab's: even arrivals of one tier, no shared prefixes.
    pub(crate) const fn lab(policy: &'static str) -> Self {
        Self { policy, admission: "none", arrival_rate: "24", burst_factor: "1", tenants: "0", tiers: ("0", "0") }
    }

    /// Bursts of tenants whose prompts begin alike.
    pub(crate) const fn dynamic(policy: &'static str) -> Self {
        Self { burst_factor: "4", tenants: "8", ..Self::lab(policy) }
    }

    /// More requests of three tiers than the cluster serves in time.
    pub(crate) const fn overload(policy: &'static str) -> Self {
        Self { admission: "predicted", arrival_rate: "100", tiers: ("0.2", "0.3"), ..Self::lab(policy) }
    }
}

/// How many there are.
pub(crate) const COUNT: usize = 33;

/// Those that make requests up, and mean nothing for recorded ones.
pub(crate) const MADE_UP: &[&str] = &["arrival_rate", "burst_factor", "tenants", "shared_tokens"];

/// Those that give requests a tier, recorded ones only where they are asked to.
pub(crate) const TIERS: &[&str] = &["premium_share", "free_share"];

/// Those whose value may hold commas.
pub(crate) const WHOLE: &[&str] = &["requests_from"];

const fn parameter(name: &'static str, default: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, default, doc }
}

/// The knob of a policy.
const fn knob(name: &'static str, doc: &'static str) -> Parameter {
    parameter(name, AUTO, doc)
}

/// The parameters of a target with these defaults.
pub(crate) const fn parameters(defaults: &Defaults) -> [Parameter; COUNT] {
    [
        parameter(
            "scenario",
            "flagship_vs_mid",
            "The cluster: flagship_vs_mid, mig_slices or another of `proftool simulate --help`.",
        ),
        parameter("model", "llama-3.1-8b", "The model that is served: llama-3.1-8b, llama-3.1-70b or qwen2.5-32b."),
        parameter("prefill_gpus", AUTO, "Devices that compute prompts, 1 to 32; auto: as the scenario has."),
        parameter("decode_gpus", AUTO, "Devices that decode, 1 to 32; auto: as the scenario has."),
        parameter(
            "policy",
            defaults.policy,
            "The router's policy, of `proftool list policies`; its knobs are parameters too.",
        ),
        parameter(
            "admission",
            defaults.admission,
            "Who is served: none (everyone), queue (while queues are short), predicted (while predictions meet the SLO), early_rejection (the same, and free requests only within the SLO of standard ones).",
        ),
        parameter(
            "admission_slack",
            "1",
            "Times the SLO that a prediction may be; of admission=predicted and early_rejection.",
        ),
        parameter(
            "reserved_ratio",
            "0",
            "Share of every decode device's memory that is kept for premium requests, 0 to 1; likewise.",
        ),
        parameter(
            "deadline_slos",
            "0",
            "A request is refused when the turn of its prompt comes later than so many times its TTFT SLO after its arrival; 0 without deadlines.",
        ),
        parameter(
            "requests_from",
            "none",
            "A recorded trace in place of made-up requests: a file that `proftool simulate --requests-from` reads.",
        ),
        parameter("requests", AUTO, "Requests, 1 to 1000000; auto: 2000 made up, or the whole trace."),
        parameter("load", "1", "Times as fast as recorded or made up."),
        parameter(
            "step_factor",
            "1",
            "From half of the time of all arrivals on, they come that many times as fast: a step of the load.",
        ),
        parameter("arrival_rate", defaults.arrival_rate, "Arrivals per second outside bursts."),
        parameter("burst_factor", defaults.burst_factor, "Times as many in a burst, which a fifth of all seconds is."),
        parameter("tenants", defaults.tenants, "Tenants whose prompts begin with the same tokens, 0 to 65535."),
        parameter("shared_tokens", "512", "Those tokens, 0 to 1000000."),
        parameter("premium_share", defaults.tiers.0, "Share of premium requests, 0 to 1."),
        parameter("free_share", defaults.tiers.1, "Share of free requests, 0 to 1; the others are standard."),
        parameter(
            "slo_ttft_ms",
            "500",
            "Agreed time to the first token of standard requests, in ms; premium 2/5 of it, free twice.",
        ),
        parameter("slo_tpot_ms", "50", "Agreed time per output token after it, in ms; premium 3/5 of it, free twice."),
        parameter("migration_period_ms", "250", "Time between plans of migrations, in ms; 0 without migrations."),
        parameter(
            "sample_period_ms",
            "250",
            "Time between samples of the devices' state, in ms of the simulation; 0 without samples.",
        ),
        knob("migration_budget", "Requests that may move in a window; for policies that migrate."),
        knob("migration_window_s", "Length of that window, in seconds."),
        knob("migration_gap", "Difference of scores above which requests move."),
        knob("migration_batch", "Requests that move at a time."),
        knob("kv_locality", "Score of a prompt that is cached wholly; for policies that have it."),
        knob("queue_urgency", "Weight of the queue; for policies that have it."),
        knob("cost_penalty", "Power of the relative price that divides a score; for policies that have it."),
        knob("numa_bias", "Score of a decode device on the prefill's NUMA node; for policies that have it."),
        knob("ewma_alpha", "Weight of the newest observation; for policies that have it."),
        parameter("decisions", "true", "Whether every decision is explained in the log: true or false."),
    ]
}
