//! On what a pipeline runs, and in which numbers.

use crate::cuda::Gpu;
pub(crate) use crate::cuda::numbers::Precision;
use crate::outputs::TOLERANCE;
use crate::parameters::{Given, refused};
use crate::{Backend, Error, Settings, cuda};

/// What a run is executed by.
#[derive(Clone, Debug)]
pub(crate) struct Execution {
    /// The GPUs; none: cores.
    pub(crate) gpus: Vec<Gpu>,
    /// What values are kept as.
    pub(crate) precision: Precision,
    /// Whether a block is launched as one graph.
    pub(crate) graph: bool,
    /// Whether the measured blocks are recorded.
    pub(crate) record: bool,
}

impl Default for Execution {
    fn default() -> Self {
        Self { gpus: Vec::new(), precision: Precision::F32, graph: false, record: true }
    }
}

/// The largest deviation that is accepted of values in bf16, with sums in f32.
///
/// A bf16 has 8 bits, so rounding is off by u = 2^-8 at most and by about 0.4 u in the root mean square. In a layer each
/// product's two factors are rounded, independently, and the result once more: 0.4 u sqrt(3) = 0.7 u of the layer's root
/// mean square. Layers keep a relative error as it is (weights are scaled so), so four of them give 0.7 u sqrt(4) =
/// 0.0055; the largest of a million values lies 5 such deviations out, the largest value of the reference 4 to 5 times its
/// root mean square. A decode step adds its own, but its keys come from the prompts and the row is normalised: errors of
/// earlier steps die out. Emulated in f32 with rounded values (the real widths, 3 seeds, prompts of 1, 2 and 32 rows, 64
/// steps): 0.0053 in the prefill, at most 0.0121 in the decode steps, no more in the last than in the fourth. The two of a
/// pair sum in different orders, so that they round differently: their errors are as far apart as two such, 0.0121 sqrt(2) =
/// 0.017 at most.
pub(crate) const BF16_TOLERANCE: f64 = 0.03;

impl Execution {
    /// Reads and checks the parameters that concern it.
    pub(crate) fn new(given: &Given<'_>, settings: &Settings) -> Result<Self, Error> {
        let precision = given
            .choice("precision", &[("auto", None), ("f32", Some(Precision::F32)), ("bf16", Some(Precision::Bf16))])?;
        let graph = given.choice("graph", &[("auto", None), ("on", Some(true)), ("off", Some(false))])?;
        let record = settings.record;
        if settings.backend.resolve()? != Backend::Cuda {
            let only = |name: &'static str, value: &str| {
                let allowed = "the cpu backend has no such choice; leave it out, or use --backend cuda";
                Err(refused(name, &value, allowed))
            };
            return match (precision, graph, given.text("cuda_devices")) {
                (Some(Precision::Bf16), _, _) => only("precision", "bf16"),
                (_, Some(true), _) => only("graph", "on"),
                (_, _, devices) if devices != "all" => only("cuda_devices", devices),
                _ => Ok(Self { record, ..Self::default() }),
            };
        }
        if given.has("link_gbps") {
            let allowed = "links between GPUs are real, not modelled: leave it out, or use --backend cpu";
            return Err(refused("link_gbps", &given.text("link_gbps"), allowed));
        }
        let gpus = chosen(given.text("cuda_devices"), cuda::gpus()?)?;
        Ok(Self { gpus, precision: precision.unwrap_or(Precision::Bf16), graph: graph.unwrap_or(true), record })
    }

    /// Whether GPUs execute it.
    pub(crate) fn is_cuda(&self) -> bool {
        !self.gpus.is_empty()
    }

    /// The largest relative deviation from the f64 reference, and between the two of a pair, that is accepted.
    pub(crate) fn tolerance(&self) -> f64 {
        match self.precision {
            Precision::F32 => TOLERANCE,
            Precision::Bf16 => BF16_TOLERANCE,
        }
    }

    /// The parameters that GPUs have besides those of cores, with their values.
    pub(crate) fn parameters(&self) -> [(&'static str, String); 3] {
        let numbers: Vec<String> = self.gpus.iter().map(|gpu| gpu.number.to_string()).collect();
        [
            ("precision", self.precision.name().to_owned()),
            ("graph", if self.graph { "on" } else { "off" }.to_owned()),
            ("cuda_devices", numbers.join(",")),
        ]
    }
}

/// The GPUs that `text` names.
fn chosen(text: &str, all: Vec<Gpu>) -> Result<Vec<Gpu>, Error> {
    if text == "all" {
        return Ok(all);
    }
    let find = |number: &str| {
        let number = number.trim().parse::<usize>().ok();
        number.and_then(|number| all.iter().find(|gpu| gpu.number == number)).cloned()
    };
    let found: Option<Vec<Gpu>> = text.split(',').map(find).collect();
    let distinct = |gpus: &Vec<Gpu>| {
        let numbers: std::collections::BTreeSet<usize> = gpus.iter().map(|gpu| gpu.number).collect();
        numbers.len() == gpus.len()
    };
    found.filter(distinct).ok_or_else(|| {
        let numbers: Vec<String> = all.iter().map(|gpu| gpu.number.to_string()).collect();
        refused("cuda_devices", &text, format!("all, or numbers of visible GPUs, each once: {}", numbers.join(",")))
    })
}
