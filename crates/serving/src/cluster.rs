//! What serves: devices, their memory and the links between them.

use crate::{SetupError, StepModel};

/// Devices and how they are joined.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Its name: a scenario or a file.
    pub name: String,
    /// At most 64.
    pub devices: Vec<Device>,
    /// Link between any two devices.
    pub link: Link,
    /// Link between devices of different NUMA nodes; none where that is no other.
    pub numa_link: Option<Link>,
    /// Bytes of keys and values of a token.
    pub kv_bytes_per_token: u64,
}

/// One device, or several that serve one replica of the model together.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// What it is used for.
    pub role: Role,
    /// How long a step takes.
    pub steps: StepModel,
    /// Tokens whose keys and values its memory holds.
    pub kv_capacity_tokens: u64,
    /// Tokens that a step computes, at most: decoding requests, and prompt tokens with what is left.
    pub step_tokens: u32,
    /// Requests that decode together, at most.
    pub most_sequences: u32,
    /// Price.
    pub cost_per_hour: f64,
    /// The most that it draws (board power), where its vendor states it.
    pub watts: Option<f64>,
    /// Its NUMA node.
    pub numa: u16,
}

impl Cluster {
    /// Devices at most: the index of cached blocks has a bit for each.
    pub const MOST_DEVICES: usize = 64;

    /// The link from one device to another.
    pub fn link(&self, from: usize, to: usize) -> &Link {
        let apart = self.devices[from].numa != self.devices[to].numa;
        self.numa_link.as_ref().filter(|_| apart).unwrap_or(&self.link)
    }

    /// What is modelled of devices that [`crate::Model::on`] made rather than measured, a sentence each: what a run states.
    pub fn modelled(&self) -> Vec<String> {
        let steps = "Every time is simulated. A batch step takes 1 ms and what the roofline of the device's datasheet says for the \
                     model: 60 % of the dense matrix peak, 80 % of the memory bandwidth (docs/serving.md).";
        let link = format!(
            "The link between devices: {} GB/s after {} us, one transfer at a time in each direction.",
            self.link.bytes_per_s / 1e9,
            self.link.latency_ns as f64 / 1e3
        );
        let watts: Option<f64> = self.devices.iter().map(|device| device.watts).sum();
        let energy = watts.map(|watts| {
            format!(
                "Energy is that at board power ({watts:.0} W in all), the vendor's maximum, of a slice of a board its share: an upper bound for whole boards, no reading."
            )
        });
        [steps.to_owned(), link, "Prices of devices are assumed.".to_owned()].into_iter().chain(energy).collect()
    }

    /// Whether requests can be served on it.
    ///
    /// # Errors
    /// For the first thing that makes no sense: too many devices, none that computes prompts or decodes, a number that is
    /// none.
    pub fn check(&self) -> Result<(), SetupError> {
        if self.devices.len() > Self::MOST_DEVICES {
            return Err(SetupError::TooManyDevices(self.devices.len()));
        }
        if !self.devices.iter().any(|device| device.role.prefills()) {
            return Err(SetupError::NoPrefill);
        }
        if !self.devices.iter().any(|device| device.role.decodes()) {
            return Err(SetupError::NoDecode);
        }
        self.devices.iter().try_for_each(Device::check)?;
        let links = [Some(&self.link), self.numa_link.as_ref()];
        let sound = |link: &&Link| link.bytes_per_s > 0.0 && link.latency_ns >= 0;
        if links.iter().flatten().all(sound) { Ok(()) } else { Err(SetupError::Link) }
    }
}

impl Device {
    fn check(&self) -> Result<(), SetupError> {
        let cost = |number: f64| number.is_finite() && number >= 0.0;
        let wrong = [
            ("KV memory", self.kv_capacity_tokens == 0),
            ("tokens a step", self.step_tokens == 0),
            ("requests a batch", self.most_sequences == 0),
            ("step time", !self.steps.is_sound()),
            ("price", !cost(self.cost_per_hour)),
            ("power", !self.watts.is_none_or(cost)),
        ];
        let wrong = wrong.into_iter().find(|(_, wrong)| *wrong);
        wrong.map_or(Ok(()), |(what, _)| Err(SetupError::Number { device: self.name.clone(), what }))
    }
}

/// What a device is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Prompts only.
    Prefill,
    /// Decoding only.
    Decode,
    /// Both.
    Mixed,
}

impl Role {
    /// Whether prompts are computed there.
    pub fn prefills(self) -> bool {
        self != Self::Decode
    }

    /// Whether tokens are generated there.
    pub fn decodes(self) -> bool {
        self != Self::Prefill
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::Mixed => "mixed",
        }
    }
}

/// A connection. Each device sends one transfer at a time and receives one at a time: the others wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Bytes per second, in one direction.
    pub bytes_per_s: f64,
    /// Time before the first byte.
    pub latency_ns: i64,
}

impl Default for Link {
    /// 50 GB/s after 10 us: a network adapter of 400 Gbit/s.
    fn default() -> Self {
        Self { bytes_per_s: 50e9, latency_ns: 10_000 }
    }
}

impl Link {
    /// Time that a transfer takes alone.
    pub fn duration_ns(&self, bytes: u64) -> i64 {
        self.latency_ns + (bytes as f64 / self.bytes_per_s * 1e9).round() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::device;

    fn checked(devices: Vec<Device>) -> Result<(), SetupError> {
        Cluster { devices, ..Cluster::default() }.check()
    }

    #[test]
    fn a_cluster_that_cannot_serve_is_refused_with_the_reason() {
        assert_eq!(checked(vec![device(Role::Mixed)]), Ok(()));
        assert_eq!(checked(vec![device(Role::Mixed); 65]), Err(SetupError::TooManyDevices(65)));
        assert_eq!(checked(vec![device(Role::Prefill)]), Err(SetupError::NoDecode));
        assert_eq!(checked(vec![device(Role::Decode)]), Err(SetupError::NoPrefill));
        assert_eq!(checked(Vec::new()), Err(SetupError::NoPrefill));
        let wrong = Device { watts: Some(f64::NAN), ..device(Role::Mixed) };
        assert_eq!(checked(vec![wrong]), Err(SetupError::Number { device: "d".to_owned(), what: "power" }));
        let link = Link { bytes_per_s: 0.0, latency_ns: 0 };
        let cluster = Cluster { devices: vec![device(Role::Mixed)], numa_link: Some(link), ..Cluster::default() };
        assert_eq!(cluster.check(), Err(SetupError::Link));
    }

    #[test]
    fn the_power_is_named_only_where_that_of_every_device_is_known() {
        let known = Device { watts: Some(350.0), ..device(Role::Mixed) };
        let cluster = |devices| Cluster { devices, ..Cluster::default() };
        let told = cluster(vec![known.clone(), known.clone()]).modelled();
        assert!(told.len() == 4 && told[3].contains("(700 W in all)"), "{told:?}");
        assert_eq!(cluster(vec![known, device(Role::Mixed)]).modelled().len(), 3);
    }

    #[test]
    fn the_link_across_numa_nodes_is_taken_where_there_is_one() {
        let far = Link { bytes_per_s: 1e9, latency_ns: 5 };
        let devices = vec![device(Role::Mixed), device(Role::Mixed), Device { numa: 1, ..device(Role::Mixed) }];
        let mut cluster = Cluster { devices, numa_link: Some(far), ..Cluster::default() };
        assert_eq!((cluster.link(0, 1), cluster.link(0, 2)), (&Link::default(), &far));
        cluster.numa_link = None;
        assert_eq!(cluster.link(0, 2), &Link::default());
    }
}
