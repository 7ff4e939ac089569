//! What was asked of built-in targets: their names, their parameters, and the runs that lists of values stand for.

use std::collections::BTreeMap;

use proftool_workloads::{Role, TARGETS, Target};

use super::Options;
use crate::failure::Failure;
use crate::names;

/// Values by name.
pub(super) type Parameters = BTreeMap<String, String>;

/// Runs that lists of values may stand for.
const MOST_CASES: usize = 1000;

/// What the parameters of all targets may hold beside their own.
#[derive(Debug)]
pub(super) struct Given {
    /// Those of the target.
    pub(super) parameters: Parameters,
    /// Seed, where a parameter names it.
    seed: Option<String>,
    /// Whether `--trace` stands among the arguments of `--target-extra-arg`.
    pub(super) trace: bool,
}

/// What tells the runs of a sweep apart, a line a run; nothing where there is one.
pub(super) fn labels(cases: &[Case]) -> Vec<String> {
    let Some(first) = cases.first() else { return Vec::new() };
    let varies = |name: &str| cases.iter().any(|case| case.parameters.get(name) != first.parameters.get(name));
    let seeds = cases.iter().any(|case| case.seed != first.seed);
    let label = |case: &Case| {
        let own =
            case.parameters.iter().filter(|(name, _)| varies(name)).map(|(name, value)| format!("{name}={value}"));
        own.chain(seeds.then(|| format!("seed={}", case.seed))).collect::<Vec<_>>().join(" ")
    };
    cases.iter().map(label).collect()
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// Parameters of the target.
    pub(super) parameters: Parameters,
    /// Seed.
    pub(super) seed: u64,
}

/// The targets that a name stands for: one, or the baseline and the optimized target of a pair. A pair's name comes first.
pub(super) fn targets(name: &str) -> Result<Vec<&'static Target>, Failure> {
    let name = names::plain(name);
    let of_role = |role: Role| {
        TARGETS.iter().copied().find(|target| target.pair.is_some_and(|(pair, found)| pair == name && found == role))
    };
    if let (Some(baseline), Some(optimized)) = (of_role(Role::Baseline), of_role(Role::Optimized)) {
        return Ok(vec![baseline, optimized]);
    }
    if let Some(target) = proftool_workloads::find(name) {
        return Ok(vec![target]);
    }
    Err(Failure::usage(format!("no target is called {name} ({})", names::suggest(name, names::targets()))))
}

impl Given {
    /// The parameters of `--set KEY=VALUE` and `--target-extra-arg NAME="--key value"`; of a key that is given twice the last
    /// value counts.
    ///
    /// # Errors
    /// For words that are neither, and for arguments of another target.
    pub(super) fn read(options: &Options, targets: &[&'static Target]) -> Result<Self, Failure> {
        let mut given = Self { parameters: BTreeMap::new(), seed: None, trace: options.trace };
        for text in &options.set {
            let Some((key, value)) = text.split_once('=') else {
                return Err(Failure::usage(format!("--set {text}: no value (hint: write --set {text}=VALUE)")));
            };
            given.parameters.insert(key.trim().to_owned(), value.trim().to_owned());
        }
        for text in &options.target_extra_arg {
            given.extra(text, targets)?;
        }
        given.seed = given.parameters.remove("seed");
        Ok(given)
    }

    /// `NAME="--key value --other-key=value --trace"`.
    fn extra(&mut self, text: &str, targets: &[&'static Target]) -> Result<(), Failure> {
        let named = text.split_once('=').filter(|(name, _)| !name.trim_start().starts_with("--"));
        if let Some((name, _)) = named {
            let plain = names::plain(name);
            let is = |target: &&Target| target.name == plain || target.pair.is_some_and(|(pair, _)| pair == plain);
            let pair = targets.iter().find_map(|target| target.pair).filter(|_| targets.len() > 1);
            if let Some((pair, _)) = pair.filter(|_| targets.iter().any(|target| target.name == plain)) {
                let hint = format!("hint: write {pair} in its place, or capture {plain} alone");
                let why = "the targets of a pair have the same parameters";
                return Err(Failure::usage(format!("--target-extra-arg {text}: {why} ({hint})")));
            }
            if !targets.iter().copied().any(|target| is(&target)) {
                let own = || targets.first().map_or("", |target| target.name);
                let hint = format!("hint: {}", pair.map_or_else(own, |(pair, _)| pair));
                return Err(Failure::usage(format!("--target-extra-arg {text}: {name} is not captured here ({hint})")));
            }
        }
        let arguments = named.map_or(text, |(_, arguments)| arguments).trim_matches('"');
        let mut words = arguments.split_whitespace();
        while let Some(word) = words.next() {
            let Some(key) = word.strip_prefix("--") else {
                return Err(Failure::usage(format!(
                    "--target-extra-arg {text}: {word} is no flag (hint: --{word} VALUE)"
                )));
            };
            if key == "trace" {
                self.trace = true;
                continue;
            }
            let own = key.split_once('=');
            let Some(value) = own.map(|(_, value)| value).or_else(|| words.next()) else {
                return Err(Failure::usage(format!(
                    "--target-extra-arg {text}: {word} has no value (hint: {word} VALUE)"
                )));
            };
            let key = own.map_or(key, |(key, _)| key);
            self.parameters.insert(key.replace('-', "_"), value.to_owned());
        }
        Ok(())
    }

    /// The runs: one, or of targets that run once, one for each combination of the values between commas, in the order of the
    /// parameters' names and of their values.
    ///
    /// # Errors
    /// For a seed that is none or is given twice, and for more runs than anybody wants.
    pub(super) fn cases(&self, targets: &[&'static Target], seed: Option<u64>) -> Result<Vec<Case>, Failure> {
        let once: Vec<_> = targets.iter().filter_map(|target| target.once()).collect();
        let is_list = |name: &str| !once.is_empty() && once.iter().all(|once| !once.whole.contains(&name));
        let mut cases = vec![Case { parameters: BTreeMap::new(), seed: seed.unwrap_or(DEFAULT_SEED) }];
        for (name, text) in &self.parameters {
            let values: Vec<&str> = if is_list(name) { text.split(',').map(str::trim).collect() } else { vec![text] };
            cases = multiplied(&cases, &values, |case, value| {
                case.parameters.insert(name.clone(), (*value).to_owned());
            })?;
        }
        let Some(text) = &self.seed else { return Ok(cases) };
        if seed.is_some() {
            return Err(Failure::usage(format!(
                "--seed and the parameter seed={text} say the same (hint: leave one out)"
            )));
        }
        let seeds: Result<Vec<u64>, _> = text.split(',').map(|seed| seed.trim().parse()).collect();
        let seeds =
            seeds.map_err(|_| Failure::usage(format!("seed={text} is not allowed: a whole number from 0 on")))?;
        if seeds.len() > 1 && once.is_empty() {
            let hint = "hint: capture once a seed";
            return Err(Failure::usage(format!("seed={text}: a target in measured blocks has one seed ({hint})")));
        }
        multiplied(&cases, &seeds, |case, &seed| case.seed = seed)
    }
}

/// Seed where none is given.
const DEFAULT_SEED: u64 = 17;

/// Every case with every value.
fn multiplied<T>(cases: &[Case], values: &[T], set: impl Fn(&mut Case, &T)) -> Result<Vec<Case>, Failure> {
    if cases.len() * values.len() > MOST_CASES {
        return Err(Failure::usage(format!("more than {MOST_CASES} runs (hint: fewer values between commas)")));
    }
    let with = |case: &Case, value: &T| {
        let mut case = case.clone();
        set(&mut case, value);
        case
    };
    Ok(cases.iter().flat_map(|case| values.iter().map(move |value| with(case, value))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_stands_for_both_of_its_targets_and_a_typo_names_the_nearest() {
        for (name, pair) in [
            ("ch17:pipeline_parallelism", "pipeline_parallelism"),
            ("labs/dynamic_router:router", "router"),
            ("labs/dynamic_router", "dynamic_router"),
            ("ch17:dynamic_routing", "dynamic_routing"),
            ("routing_static", "routing_static"),
        ] {
            let found: Vec<&str> = targets(name).expect("the pair exists").iter().map(|target| target.name).collect();
            assert_eq!(found, [format!("baseline_{pair}"), format!("optimized_{pair}")]);
        }
        let error = targets("pipeline_paralelism").expect_err("a typo");
        assert_eq!(error.code(), 2);
        assert!(error.to_string().contains("pipeline_parallelism"));
    }

    fn given(parameters: &[(&str, &str)], seed: Option<&str>) -> Given {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Given { parameters, seed: seed.map(str::to_owned), trace: false }
    }

    #[test]
    fn values_between_commas_are_runs_of_a_router_and_one_value_of_a_pipeline() {
        let router = targets("optimized_router").expect("known");
        let cases = given(&[("arrival_rate", "8,16"), ("requests_from", "a,b.csv")], Some("3, 4"));
        let cases = cases.cases(&router, None).expect("allowed");
        let told: Vec<_> = cases.iter().map(|case| (case.parameters["arrival_rate"].as_str(), case.seed)).collect();
        assert_eq!(told, [("8", 3), ("8", 4), ("16", 3), ("16", 4)]);
        assert_eq!(labels(&cases)[1], "arrival_rate=8 seed=4");
        assert_eq!(labels(&cases[..1]), [""]);
        assert!(cases.iter().all(|case| case.parameters["requests_from"] == "a,b.csv"));
        let pipeline = targets("optimized_pipeline_parallelism").expect("known");
        let cases = given(&[("cuda_devices", "0,1")], None).cases(&pipeline, Some(5)).expect("allowed");
        assert_eq!((cases.len(), cases[0].parameters["cuda_devices"].as_str(), cases[0].seed), (1, "0,1", 5));
    }

    #[test]
    fn an_argument_for_one_target_of_a_pair_is_refused_and_not_given_to_both() {
        let router = targets("router").expect("known");
        let mut given = given(&[], None);
        let error = given.extra("labs/dynamic_router:optimized_router=--load 2", &router).expect_err("one of two");
        assert!(error.to_string().contains("write router"), "{error}");
        given.extra("labs/dynamic_router:router=--load 2", &router).expect("the pair");
        given.extra("optimized_router=--load 3", &router[1..]).expect("alone");
        assert_eq!(given.parameters["load"], "3");
    }

    #[test]
    fn seeds_that_contradict_and_too_many_runs_are_refused() {
        let router = targets("optimized_router").expect("known");
        assert!(given(&[], Some("3")).cases(&router, Some(4)).is_err());
        assert!(given(&[], Some("x")).cases(&router, None).is_err());
        let many = vec!["1"; 1001].join(",");
        assert!(given(&[("load", &many)], None).cases(&router, None).is_err());
    }
}
