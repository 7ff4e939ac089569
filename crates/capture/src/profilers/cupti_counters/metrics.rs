//! The metrics of a roofline under the names that CUPTI has for a chip.

use std::ffi::{CStr, CString};

use proftool_inject::host::{Chip, Host, MetricKind, Refusal};

use crate::profilers::Missing;
use crate::profilers::ncu::catalog::{Catalog, Kind};
use crate::profilers::ncu::resolve::{MetricSet, Wanted, resolve};

/// What is counted: what explains a launch costs more runs of each kernel, and is left to Nsight Compute.
pub const WANTED: Wanted = Wanted { details: false, tensor_parts: false, in_ranges: false };

/// Everything that CUPTI lists of a chip, without suffixes.
///
/// # Errors
/// What CUPTI says.
pub fn catalog(chip: &Chip<'_>, name: &str) -> Result<Catalog, Refusal> {
    let mut metrics = Vec::new();
    for kind in MetricKind::ALL {
        let known = match kind {
            MetricKind::Counter => Kind::Counter,
            MetricKind::Ratio => Kind::Ratio,
            MetricKind::Throughput => Kind::Throughput,
        };
        metrics.extend(chip.metrics(kind)?.into_iter().map(|metric| (metric, known)));
    }
    Ok(Catalog::of_cupti(name, metrics))
}

/// The metrics of a roofline on a chip (`GH100`), each accepted by CUPTI.
///
/// # Errors
/// When CUPTI does not know the chip, or counts nothing of a quantity without which there is no roofline.
pub fn metrics(host: &Host, name: &str, wanted: Wanted) -> Result<MetricSet, Missing> {
    let chip = open(host, name)?;
    let listed = catalog(&chip, name).map_err(|refusal| told(name, &refusal))?;
    let set = resolve(&listed, wanted)?;
    let accepted = set.metrics().into_iter().filter(|metric| accepts(&chip, metric)).map(str::to_owned);
    let full: Vec<(String, Kind)> = accepted.map(|metric| (metric, Kind::Other)).collect();
    set.confirm(&Catalog::of_cupti(name, full))
}

/// How often a kernel runs for these metrics.
///
/// # Errors
/// What CUPTI says.
pub fn passes(host: &Host, name: &str, metrics: &[&str]) -> Result<usize, Refusal> {
    let chip = host.chip(name, Vec::new())?;
    let names: Vec<CString> = metrics.iter().filter_map(|metric| CString::new(*metric).ok()).collect();
    let names: Vec<&CStr> = names.iter().map(CString::as_c_str).collect();
    chip.add(&names)?;
    host.passes(&mut chip.config()?)
}

fn open<'a>(host: &'a Host, name: &str) -> Result<Chip<'a>, Missing> {
    host.chip(name, Vec::new()).map_err(|refusal| told(name, &refusal))
}

fn accepts(chip: &Chip<'_>, metric: &str) -> bool {
    CString::new(metric).is_ok_and(|name| chip.add(&[&name]).is_ok())
}

fn told(name: &str, refusal: &Refusal) -> Missing {
    Missing {
        reason: format!("CUPTI lists no metrics of {name}: {refusal}"),
        fix: "counters need a GPU from Turing on and a CUPTI that knows it: `pip install --upgrade nvidia-cuda-cupti`"
            .to_owned(),
    }
}
