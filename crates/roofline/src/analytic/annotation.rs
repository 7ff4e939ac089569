//! Names of ranges that serving engines put around a step, with the sums that attention needs.
//!
//! | engine | text |
//! |---|---|
//! | vLLM, detailed | `execute_6147_context_2(sq6144sk7144sqsq20971520sqsk23019520)_generation_3(sq3sk6144sqsq3sqsk6144)` |
//! | vLLM | `execute_context_2(6144)_generation_3(3)` |
//! | SGLang, detailed | `step[MIXED bs=2 c=1 g=1 c_sq=5 c_sk=8 c_sqsq=25 c_sqsk=40 g_sq=1 g_sk=12 g_sqsq=1 g_sqsk=12]` |
//! | SGLang | `step[EXTEND bs=2 toks=14721]`, `step[DECODE bs=64]` |
//! | ATOM | `prefill[bs=2 tok=14721 ctx=[7803, 6918] sqsq=.. sqsk=.. sk=..]`, `decode[bs=117/128 tok=117 d=117]` |
//!
//! Context requests have prompt tokens in the step, generation requests do not. s_q are the tokens of a request that the
//! step computes, s_k those that they attend to: a sum over requests each of s_q, s_k, s_q^2 and s_q s_k.

/// Sums over the requests of one group; absent where the text does not state them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many requests.
    pub requests: Option<u64>,
    /// Tokens that the step computes.
    pub sq: Option<u64>,
    /// Tokens that they attend to, those of the step included.
    pub sk: Option<u64>,
    /// Squares of the computed tokens.
    pub sqsq: Option<u64>,
    /// Products of both.
    pub sqsk: Option<u64>,
}

/// What a step holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// Prompt tokens only.
    Prefill,
    /// No prompt tokens.
    Decode,
    /// Both.
    Mixed,
}

impl Phase {
    /// The name in results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Mixed => "mixed",
        }
    }
}

/// One annotated step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The format: `vllm`, `sglang` or `atom`.
    pub engine: &'static str,
    /// Requests with prompt tokens; `None` where the text has no such group.
    pub context: Option<Sums>,
    /// Requests that generate.
    pub generation: Option<Sums>,
    /// Requests of both groups, where they are stated.
    pub requests: Option<u64>,
    /// Size that a captured graph was padded to.
    pub padded: Option<u64>,
    /// Whether the step runs as two overlapping halves, so that one launch does not do all of it.
    pub split: bool,
    /// The phase where the text names it and the groups do not tell.
    named: Option<Phase>,
}

/// The longest text that is looked at; real ones have some 200 letters.
const LONGEST: usize = 4096;

/// Reads the name of a range. `None` where it is no annotation of these formats, or a number does not fit.
pub fn parse(text: &str) -> Option<Step> {
    if text.len() > LONGEST {
        return None;
    }
    let text = text.trim();
    if let Some(rest) = text.strip_prefix("execute_") {
        return vllm(rest);
    }
    let (word, body) = text.strip_suffix(']')?.split_once('[')?;
    match word {
        "step" => sglang(body),
        "prefill" => atom(body, Phase::Prefill),
        "decode" => atom(body, Phase::Decode),
        _ => None,
    }
}

impl Step {
    fn new(engine: &'static str, context: Option<Sums>, generation: Option<Sums>) -> Option<Self> {
        let count = |sums: Option<Sums>| sums.map_or(Some(0), |sums| sums.requests);
        let requests = match (count(context), count(generation)) {
            (Some(a), Some(b)) => Some(a.checked_add(b)?),
            _ => None,
        };
        Some(Self { engine, context, generation, requests, padded: None, split: false, named: None })
    }

    /// What the step holds; `None` of one without requests.
    pub fn phase(&self) -> Option<Phase> {
        if self.named.is_some() {
            return self.named;
        }
        let holds = |sums: Option<Sums>| sums.is_some_and(|sums| sums.requests != Some(0));
        match (holds(self.context), holds(self.generation)) {
            (true, true) => Some(Phase::Mixed),
            (true, false) => Some(Phase::Prefill),
            (false, true) => Some(Phase::Decode),
            (false, false) => None,
        }
    }

    /// Tokens that the step computes, without padding; `None` where a group does not state them.
    pub fn tokens(&self) -> Option<u64> {
        let of = |sums: Option<Sums>| sums.map_or(Some(0), |sums| sums.sq);
        of(self.context)?.checked_add(of(self.generation)?)
    }

    /// Whether the sums are there that attention needs.
    pub fn has_sums(&self) -> bool {
        let whole = |sums: Option<Sums>| {
            sums.is_none_or(|sums| sums.sq.is_some() && sums.sk.is_some() && sums.sqsq.is_some() && sums.sqsk.is_some())
        };
        whole(self.context) && whole(self.generation)
    }
}

/// `6147_context_2(..)_generation_3(..)`, the first number only where the groups have sums.
fn vllm(text: &str) -> Option<Step> {
    let groups = if let Some(groups) = text.strip_prefix("context_") {
        groups
    } else {
        let (tokens, groups) = text.split_once("_context_")?;
        number(tokens)?;
        groups
    };
    let (context, generation) = groups.split_once("_generation_")?;
    Step::new("vllm", Some(vllm_group(context)?), Some(vllm_group(generation)?))
}

/// `2(6144)` or `2(sq6144sk7144sqsq20971520sqsk23019520)`.
fn vllm_group(text: &str) -> Option<Sums> {
    let (requests, inner) = text.strip_suffix(')')?.split_once('(')?;
    let requests = Some(number(requests)?);
    let Some(inner) = inner.strip_prefix("sq") else {
        return Some(Sums { requests, sq: Some(number(inner)?), ..Sums::default() });
    };
    // The names are spelled with letters of one another, so they are taken in their order.
    let (sq, rest) = digits(inner)?;
    let (sk, rest) = digits(rest.strip_prefix("sk")?)?;
    let (sqsq, rest) = digits(rest.strip_prefix("sqsq")?)?;
    let (sqsk, rest) = digits(rest.strip_prefix("sqsk")?)?;
    let sums = Sums { requests, sq: Some(sq), sk: Some(sk), sqsq: Some(sqsq), sqsk: Some(sqsk) };
    rest.is_empty().then_some(sums)
}

/// `EXTEND bs=2 toks=14721 c_sq=14721 ..`.
fn sglang(body: &str) -> Option<Step> {
    let (mode, fields) = body.split_once(' ').unwrap_or((body, ""));
    let fields = Fields::parse(fields)?;
    let (requests, tokens) = (fields.get("bs"), fields.get("toks"));
    let sums = |prefix: &str, requests, tokens| Sums {
        requests,
        sq: fields.get(&format!("{prefix}sq")).or(tokens),
        sk: fields.get(&format!("{prefix}sk")),
        sqsq: fields.get(&format!("{prefix}sqsq")),
        sqsk: fields.get(&format!("{prefix}sqsk")),
    };
    match mode {
        "EXTEND" | "PREFILL" => Step::new("sglang", Some(sums("c_", requests, tokens)), None),
        // Without sums each request decodes one token.
        "DECODE" => Step::new("sglang", None, Some(sums("g_", requests, requests))),
        "MIXED" => {
            let (context, generation) = (sums("c_", fields.get("c"), None), sums("g_", fields.get("g"), None));
            let known = context.requests.is_some() && generation.requests.is_some();
            let step = Step::new("sglang", Some(context), Some(generation))?;
            let named = (!known).then_some(Phase::Mixed);
            Some(Step { named, requests: step.requests.or(requests), ..step })
        }
        _ => None,
    }
}

/// `bs=117/128 tok=117 d=117 sqsq=.. sqsk=.. sk=..`. `decode` with `p` has prompts among it, summed with the rest.
fn atom(body: &str, phase: Phase) -> Option<Step> {
    let fields = Fields::parse(body)?;
    let (requests, padded) = fields.real_and_padded("bs")?;
    let (sq, sk) = (fields.get("tok"), fields.get("sk"));
    let sums = Some(Sums { requests, sq, sk, sqsq: fields.get("sqsq"), sqsk: fields.get("sqsk") });
    let step = match phase {
        Phase::Prefill => Step::new("atom", sums, None)?,
        Phase::Decode | Phase::Mixed => Step::new("atom", None, sums)?,
    };
    let mixed = phase == Phase::Decode && fields.get("p").is_some_and(|prompts| prompts > 0);
    Some(Step { padded, split: fields.get("tbo").is_some(), named: mixed.then_some(Phase::Mixed), ..step })
}

/// `name=value` parts, lists in brackets skipped.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    /// `None` where a value that should be a number is none, or does not fit.
    fn parse(mut text: &'a str) -> Option<Self> {
        let mut fields = Vec::new();
        while let Some((name, rest)) = text.split_once('=') {
            // A list may hold blanks, and what follows it may say how many were left out: `[4096, 4096]...+3`.
            let skipped = if rest.starts_with('[') { rest.find(']')? } else { 0 };
            let end = rest[skipped..].find(' ').map_or(rest.len(), |blank| skipped + blank);
            let value = &rest[..end];
            if skipped == 0 {
                value.split('/').map(number).collect::<Option<Vec<u64>>>()?;
                fields.push((name.trim(), value));
            }
            text = &rest[end..];
        }
        text.trim().is_empty().then_some(Self(fields))
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn get(&self, name: &str) -> Option<u64> {
        number(self.text(name)?)
    }

    /// `117/128` or `117`.
    fn real_and_padded(&self, name: &str) -> Option<(Option<u64>, Option<u64>)> {
        let Some(text) = self.text(name) else { return Some((None, None)) };
        let (real, padded) = text.split_once('/').map_or((text, None), |(real, padded)| (real, Some(padded)));
        Some((Some(number(real)?), padded.map_or(Some(None), |padded| number(padded).map(Some))?))
    }
}

/// Digits only: no sign, no blank.
fn number(text: &str) -> Option<u64> {
    digits(text).filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value)
}

/// A number and what follows it.
fn digits(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests;
