//! Requests by tier, policy and prefill device.

use std::collections::BTreeMap;

use super::{Log, Request};

/// Requests that a row is about.
#[derive(Debug)]
pub(crate) struct Group<'l> {
    /// `all`, `tier`, `policy` or `prefill_device`.
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    /// By arrival.
    pub(crate) requests: Vec<&'l Request>,
}

/// What requests are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Tier,
    Policy,
    PrefillDevice,
}

impl By {
    fn kind(self) -> &'static str {
        match self {
            Self::Tier => "tier",
            Self::Policy => "policy",
            Self::PrefillDevice => "prefill_device",
        }
    }
}

impl Log {
    /// All requests, then those of each tier, policy or device where there are several; a request that states none is in
    /// none. Names ascend.
    pub(crate) fn groups(&self, by: &[By]) -> Vec<Group<'_>> {
        let all = Group { kind: "all", name: "all".to_owned(), requests: self.requests.iter().collect() };
        let mut groups = vec![all];
        for by in by {
            let found = self.parts(*by);
            if found.len() > 1 {
                let group = |(key, requests): (Key, _)| Group { kind: by.kind(), name: key.name(), requests };
                groups.extend(found.into_iter().map(group));
            }
        }
        groups
    }

    fn parts(&self, by: By) -> BTreeMap<Key, Vec<&Request>> {
        let mut parts: BTreeMap<Key, Vec<&Request>> = BTreeMap::new();
        let text = |number| self.text(number).map(|text| Key::Text(text.to_owned()));
        let ranks = self.requests.iter().any(|request| request.rank != 0);
        for request in &self.requests {
            let key = match by {
                By::Tier => text(request.tier),
                By::Policy => text(request.policy),
                By::PrefillDevice => request.prefill_device.map(|device| Key::Device(ranks, request.rank, device)),
            };
            if let Some(key) = key {
                parts.entry(key).or_default().push(request);
            }
        }
        parts
    }
}

/// What a group is sorted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Text(String),
    /// Whether its rank is named, rank and number.
    Device(bool, i64, i64),
}

impl Key {
    fn name(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Device(true, rank, device) => format!("rank {rank} device {device}"),
            Self::Device(false, _, device) => format!("device {device}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn groups_appear_where_there_are_several() {
        let log = Fixture::new()
            .request(0, None, None, 1)
            .with(|request| (request.tier, request.prefill_device) = (Some("premium"), Some(10)))
            .request(1, None, None, 1)
            .with(|request| (request.tier, request.policy) = (Some("free"), Some("own")))
            .request(2, None, None, 1)
            .with(|request| request.prefill_device = Some(9))
            .log();
        let groups = log.groups(&[By::Tier, By::Policy, By::PrefillDevice]);
        let told: Vec<_> = groups.iter().map(|group| (group.kind, group.name.as_str(), group.requests.len())).collect();
        let wanted = [
            ("all", "all", 3),
            ("tier", "free", 1),
            ("tier", "premium", 1),
            ("prefill_device", "device 9", 1),
            ("prefill_device", "device 10", 1),
        ];
        assert_eq!(told, wanted);
    }
}
