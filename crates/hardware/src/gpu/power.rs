//! What a device may draw at most.

use serde::Deserialize;

use super::GpuSpec;

/// The most that a device draws by its vendor's word: maximum thermal design power, total board power, total graphics power.
///
/// An upper bound of what a run takes, and never what it took: a device draws less wherever memory limits it or it waits.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct BoardPower {
    /// Watts of the board or module; where two devices share one module, half of them.
    pub value: f64,
    /// See [`GpuSpec`].
    pub source: String,
    /// See [`GpuSpec`].
    pub confidence: String,
    /// See [`GpuSpec`].
    pub disputed: Option<String>,
    /// See [`GpuSpec`]: whether it can be set lower, and what else is in it.
    pub remark: Option<String>,
}

impl GpuSpec {
    /// Watts at board power; none where the vendor does not state them.
    pub fn board_watts(&self) -> Option<f64> {
        self.board_power_w.as_ref().map(|power| power.value)
    }
}

#[cfg(test)]
mod tests {
    use crate::gpu::{all, find};

    #[test]
    fn a_device_states_its_board_power_or_none() {
        let watts = |slug: &str| find(slug).unwrap().board_watts();
        assert_eq!(["h200", "l40s", "h100-sxm"].map(watts), [Some(700.0), Some(350.0), Some(700.0)]);
        // NVIDIA states that of a whole system only.
        let silent: Vec<&str> =
            all().iter().filter(|spec| spec.board_watts().is_none()).map(|spec| &*spec.slug).collect();
        assert_eq!(silent, ["b300"]);
    }
}
