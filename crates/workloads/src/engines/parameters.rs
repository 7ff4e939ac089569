//! Parameters of the targets that drive real engines.

use crate::Parameter;
use crate::parameters::AUTO;

/// What stands for nothing.
pub(super) const NONE: &str = "none";

/// Parameters whose values may hold commas.
pub(super) const WHOLE: &[&str] = &["endpoints", "launch", "requests_from"];

/// How many there are.
pub(crate) const COUNT: usize = 34;

const fn parameter(name: &'static str, default: &'static str, doc: &'static str) -> Parameter {
    Parameter { name, default, doc }
}

/// The parameters of a target whose policy is `policy`.
#[rustfmt::skip]
pub(crate) const fn parameters(policy: &'static str) -> [Parameter; COUNT] {
    [
        parameter("endpoints", NONE, "Engines that run already: http://host:port,..., 1 to 64 of them."),
        parameter("launch", NONE, "Engines to launch: vllm (of the model in VLLM_MODEL, one a device), or a command line with {port} in it."),
        parameter("engines", AUTO, "How many of them, 1 to 64; auto: 2, or of vllm one a device."),
        parameter("model", AUTO, "Name of the model in requests; auto: the first that each endpoint lists."),
        parameter("api", "completions", "Interface: completions or chat."),
        parameter("prompts", "tokens", "Form of prompts in completions: tokens (ids) or text."),
        parameter("vocabulary", "300-2299", "First and last of the token ids that prompts are made of."),
        parameter("exact_output", "true", "Whether engines are asked to go on to the requested length (ignore_eos): true or false."),
        parameter("policy", policy, "The router's policy, of `proftool list policies`; its knobs are parameters too."),
        parameter("admission", NONE, "Who is served: none (everyone), queue (while queues are short), predicted (needs the step times below)."),
        parameter("requests_from", NONE, "A recorded trace in place of made-up requests: a file that `proftool simulate --requests-from` reads."),
        parameter("requests", AUTO, "Requests, 1 to 1000000; auto: 200 made up, or the whole trace."),
        parameter("load", "1", "Times as fast as recorded or made up."),
        parameter("arrival_rate", "4", "Arrivals per second outside bursts."),
        parameter("burst_factor", "1", "Times as many in a burst, which a fifth of all seconds is."),
        parameter("tenants", "8", "Tenants whose prompts begin with the same tokens, 0 to 65535."),
        parameter("shared_tokens", "512", "Those tokens, 0 to 1000000."),
        parameter("prompt_tokens", "100-1200", "Shortest and longest prompt beside them."),
        parameter("output_tokens", "32-256", "Shortest and longest output."),
        parameter("slo_ttft_ms", "500", "Agreed time to the first token, in ms."),
        parameter("slo_tpot_ms", "50", "Agreed time per output token after it, in ms."),
        parameter("kv_capacity_tokens", "262144", "Tokens whose keys and values an endpoint holds."),
        parameter("context_tokens", AUTO, "Longest prompt and output together that an endpoint takes; auto: what each says, where it does."),
        parameter("slots", "256", "Requests that an endpoint computes together."),
        parameter("step_base_us", "0", "Time of every batch step, in us, as `scripts/engines/calibrate` fits it; 0 where it is not known, as below."),
        parameter("prefill_token_us", "0", "Time of a prompt token, in us."),
        parameter("prefill_pair_ns", "0", "Time of a pair of a prompt token and one before it, in ns."),
        parameter("sequence_us", "0", "Time of a decoding request in a step, in us."),
        parameter("kv_token_ns", "0", "Time of a token in the contexts of those, in ns."),
        parameter("telemetry_period_ms", "250", "Time between readings of /metrics, in ms; 0 without."),
        parameter("first_token_s", "120", "Limit of the time to the first content, in s."),
        parameter("stall_s", "30", "Limit of the time between two parts of a stream, in s."),
        parameter("drain_s", "300", "Limit of the time after the last arrival, in s."),
        parameter("round", "0", "Number of a repetition: 0,1,2,3 repeats a pair in the order A B B A, each run with prompts of its own."),
    ]
}
