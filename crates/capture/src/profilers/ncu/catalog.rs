//! The metrics that a version of ncu knows for a chip: what `ncu --query-metrics` prints.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::{explain, tool};
use crate::profilers::Missing;

/// How long a question about metrics may take: a quarter of a second without a GPU, seconds to wake one.
const LIMIT: Duration = Duration::from_mins(1);

/// What a metric is, which decides its suffixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Takes `.sum`, `.avg`, `.min`, `.max` and what follows from them.
    Counter,
    /// Takes `.pct`, `.ratio`, `.max_rate`.
    Ratio,
    /// Takes the rollups with `.pct_of_peak_...` behind them.
    Throughput,
    /// Not told.
    Other,
}

impl Kind {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "Counter" => Self::Counter,
            "Ratio" => Self::Ratio,
            "Throughput" => Self::Throughput,
            _ => return None,
        })
    }

    /// Whether a metric of this kind takes a suffix, given without its dot: `sum.per_second`.
    pub fn takes(self, suffix: &str) -> bool {
        let rollup = ["sum", "avg", "min", "max"].contains(&suffix.split('.').next().unwrap_or_default());
        match self {
            Self::Counter => rollup,
            Self::Ratio => ["pct", "ratio", "max_rate"].contains(&suffix),
            Self::Throughput => rollup && suffix.contains(".pct_of_peak"),
            Self::Other => true,
        }
    }
}

/// Whose list a catalog is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    /// Nsight Compute.
    #[default]
    Ncu,
    /// CUPTI's host profiler, which has the same names.
    Cupti,
}

/// The metrics of one chip, without suffixes unless they were asked for with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// What the list is of: `gh100`, or the device's name.
    pub chip: String,
    /// Who lists them.
    pub tool: Tool,
    kinds: BTreeMap<String, Kind>,
}

impl Catalog {
    /// A list of names whose kind is not known, for a chip whose metrics come from elsewhere than ncu.
    pub fn of_names<'a>(chip: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let kinds = names.into_iter().map(|name| (name.to_owned(), Kind::Other)).collect();
        Self { chip: chip.to_owned(), tool: Tool::Ncu, kinds }
    }

    /// What CUPTI lists of a chip, each name with what it is.
    pub fn of_cupti(chip: &str, metrics: impl IntoIterator<Item = (String, Kind)>) -> Self {
        Self { chip: chip.to_owned(), tool: Tool::Cupti, kinds: metrics.into_iter().collect() }
    }

    /// Reads what `ncu --query-metrics` printed: a list for each chip or device.
    pub fn parse(text: &str) -> Vec<Self> {
        let mut catalogs: Vec<Self> = Vec::new();
        for line in text.lines() {
            if let Some(chip) = line.strip_prefix("Chip ").or_else(|| line.strip_prefix("Device ")) {
                catalogs.push(Self { chip: chip.trim().to_owned(), ..Self::default() });
            } else if let Some((name, kind)) = row(line) {
                if catalogs.is_empty() {
                    catalogs.push(Self::default());
                }
                if let Some(catalog) = catalogs.last_mut() {
                    catalog.kinds.insert(name.to_owned(), kind);
                }
            }
        }
        catalogs.retain(|catalog| !catalog.kinds.is_empty());
        catalogs
    }

    /// What is in every list: a command line names metrics for all devices together, and ncu refuses one that a device
    /// lacks. `None` without any list.
    pub fn common(catalogs: Vec<Self>) -> Option<Self> {
        catalogs.into_iter().reduce(|mut all, one| {
            all.kinds.retain(|name, _| one.kinds.contains_key(name));
            if all.chip != one.chip {
                all.chip = format!("{}, {}", all.chip, one.chip);
            }
            all
        })
    }

    /// The list without the names that hold such a part.
    #[must_use]
    pub fn without(&self, part: &str) -> Self {
        let mut fewer = self.clone();
        fewer.kinds.retain(|name, _| !name.contains(part));
        fewer
    }

    /// The kind of a metric; `None` where the chip has no such metric.
    pub fn kind(&self, name: &str) -> Option<Kind> {
        self.kinds.get(name).copied()
    }

    /// Every name, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kinds.keys().map(String::as_str)
    }
}

/// A line of the table: name, kind, unit, description. Descriptions go on in lines that begin with spaces.
fn row(line: &str) -> Option<(&str, Kind)> {
    let (name, rest) = line.split_once(' ')?;
    let named =
        name.contains("__") && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_.".contains(letter));
    let kind = rest.split_whitespace().next()?;
    named.then(|| (name, Kind::parse(kind).unwrap_or(Kind::Other)))
}

/// The metrics that every device of this machine has, or those of the named chip (`gh100`), for which no GPU is needed.
///
/// # Errors
/// When ncu lists none: without a driver, or for a chip that this version does not know.
pub fn query(program: &Path, chip: Option<&str>) -> Result<Catalog, Missing> {
    list(program, &["--query-metrics"], chip)
}

/// The same metrics with every suffix that they take.
///
/// # Errors
/// As [`query`].
pub fn query_suffixes(program: &Path, chip: Option<&str>, bases: &[&str]) -> Result<Catalog, Missing> {
    list(program, &["--query-metrics-mode", "suffix", "--metrics", &bases.join(",")], chip)
}

fn list(program: &Path, arguments: &[&str], chip: Option<&str>) -> Result<Catalog, Missing> {
    let chips = chip.map(|chip| ["--chips", chip]);
    let said = tool::ask(program, arguments.iter().chain(chips.iter().flatten()), LIMIT)?;
    Catalog::common(Catalog::parse(&said.out)).ok_or_else(|| {
        let text = said.text();
        match explain::explain(&text) {
            Some(told) => Missing { reason: format!("ncu lists no metrics: {}", told.reason), fix: told.fix },
            None => Missing {
                reason: format!("ncu lists no metrics: {}", explain::last_words(&text)),
                fix: "compare the GPU with `ncu --list-chips`, and install a newer Nsight Compute where it is missing"
                    .to_owned(),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As ncu 2022.3 prints it, columns shortened.
    const TEXT: &str = "\
Chip gh100
--------------- ----------- ---------- --------------------------
Metric Name     Metric Type Metric Unit Metric Description
--------------- ----------- ---------- --------------------------
FE_B.TriageCompute.fe__output_ops Counter                         # of bundles
dram__bytes     Counter     byte       # of bytes accessed in DRAM
gpu__time_duration Counter  nsecond    equals to gpu__time_duration_measured_user
                                       equals to gpu__time_duration_measured_wallclock
smsp__x_per_y   Ratio                  average # of x

Chip tu102
==WARNING== The below metrics are either invalid or don't have suffixes.
nonsense__x
dram__bytes     Counter     byte       # of bytes accessed in DRAM
sm__throughput  Throughput  %          SM throughput assuming ideal load
";

    #[test]
    fn lists_are_read_for_each_chip_with_the_kind_of_each_metric() {
        let catalogs = Catalog::parse(TEXT);
        let names: Vec<Vec<&str>> = catalogs.iter().map(|catalog| catalog.names().collect()).collect();
        let gh100 = ["FE_B.TriageCompute.fe__output_ops", "dram__bytes", "gpu__time_duration", "smsp__x_per_y"];
        assert_eq!(names, [gh100.to_vec(), vec!["dram__bytes", "sm__throughput"]]);
        assert_eq!(catalogs[0].kind("smsp__x_per_y"), Some(Kind::Ratio));
        assert_eq!((catalogs[1].chip.as_str(), catalogs[1].kind("nonsense__x")), ("tu102", None));
        let common = Catalog::common(catalogs).unwrap();
        assert_eq!((common.chip.as_str(), common.names().collect::<Vec<_>>()), ("gh100, tu102", vec!["dram__bytes"]));
    }

    #[test]
    fn no_list_is_nothing() {
        assert!(Catalog::parse("").is_empty() && Catalog::parse("Chip x\n==ERROR== no__no thing\n").is_empty());
        assert_eq!(Catalog::common(Vec::new()), None);
    }

    #[test]
    fn suffixes_belong_to_kinds() {
        assert!(Kind::Counter.takes("sum.per_second") && !Kind::Counter.takes("pct"));
        assert!(Kind::Ratio.takes("ratio") && !Kind::Ratio.takes("sum"));
        assert!(Kind::Throughput.takes("avg.pct_of_peak_sustained_elapsed") && !Kind::Throughput.takes("sum"));
    }
}
