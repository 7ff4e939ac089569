//! The ceilings of links.

use std::collections::HashMap;

use proftool_roofline::{Level, Roof};

use super::transfer::Key;
use crate::roofline::DeviceRoofs;
use crate::roofline::wire::{Link, collective_link, link_roof};

/// Why two devices have no link.
const NO_LINK: &str = "the link between the devices is neither stated nor in a hardware spec";

/// The ceiling of a row, or why there is none.
pub(super) fn ceiling(
    key: &Key,
    roofs: Option<&DeviceRoofs>,
    links: &HashMap<(i64, i64), Roof>,
) -> Result<Roof, &'static str> {
    let between = key.src.zip(key.dst).filter(|(src, dst)| src != dst);
    if let Some(roof) = between.and_then(|ends| links.get(&ends)) {
        return Ok(roof.clone());
    }
    let named = |link| roofs.and_then(|roofs| link_roof(roofs, link));
    match key.way {
        Some("h2h") => Err("a copy inside host memory uses no link of the device"),
        Some("h2d" | "d2h") => named(Link::Host).ok_or("the device's link to its host is not known"),
        Some("p2p") => named(Link::Peer).map(of_a_pair).ok_or(NO_LINK),
        Some(_) if key.local => roofs
            .and_then(|roofs| roofs.used.bandwidth.get(&Level::Dram).cloned())
            .map(|roof| Roof { label: format!("{}: read and written in one memory", roof.label), ..roof })
            .ok_or("the device's DRAM bandwidth is not known"),
        Some(_) => Err("the direction of the copy is not recorded"),
        None => named(collective_link(key.ranks, roofs)?).ok_or(NO_LINK),
    }
}

fn of_a_pair(roof: Roof) -> Roof {
    Roof { label: format!("{}: all links of the device; without a switch fewer join a pair", roof.label), ..roof }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::ceilings::{Ceiling, Resource};
    use proftool_roofline::RoofSource;

    fn ceiling_of(name: &str, value: f64, source: RoofSource) -> Ceiling {
        let roof = Roof { value, source, label: name.to_owned(), disputed: None };
        Ceiling {
            resource: Resource::Link,
            name: name.to_owned(),
            roof,
            clock_hz: None,
            accumulate: None,
            confidence: None,
        }
    }

    fn key(kind: &'static str, way: Option<&'static str>, ranks: Option<i64>) -> Key {
        Key { kind: kind.into(), way, local: way == Some("d2d"), src: None, dst: None, ranks }
    }

    #[test]
    fn each_kind_has_its_link_and_what_is_unknown_has_a_reason() {
        let mut roofs = DeviceRoofs::default();
        roofs.ceilings.push(ceiling_of("nvlink", 450e9, RoofSource::Datasheet));
        roofs.ceilings.push(ceiling_of("pcie", 64e9, RoofSource::Datasheet));
        let value = |key: &Key, roofs: &DeviceRoofs| ceiling(key, Some(roofs), &HashMap::new()).map(|roof| roof.value);
        let copy = |way| value(&key(way, Some(way), None), &roofs);
        assert_eq!((copy("h2d"), copy("p2p")), (Ok(64e9), Ok(450e9)));
        assert!(copy("h2h").is_err() && copy("copy").unwrap_err().contains("direction"));
        let all_reduce = |ranks| value(&key("all_reduce", None, ranks), &roofs);
        assert_eq!(all_reduce(Some(8)), Ok(450e9));
        assert!(all_reduce(Some(9)).unwrap_err().contains("span machines") && all_reduce(None).is_err());
        assert!(value(&key("d2d", Some("d2d"), None), &DeviceRoofs::default()).is_err());
    }

    #[test]
    fn a_kv_transfer_uses_the_link_of_its_direction() {
        let mut roofs = DeviceRoofs::default();
        roofs.ceilings.push(ceiling_of("nvlink", 450e9, RoofSource::Datasheet));
        roofs.ceilings.push(ceiling_of("pcie", 64e9, RoofSource::Datasheet));
        let dram = ceiling_of("peak", 3e12, RoofSource::Datasheet).roof;
        roofs.used.bandwidth.insert(Level::Dram, dram);
        let value = |way| ceiling(&key("kv", Some(way), None), Some(&roofs), &HashMap::new()).map(|roof| roof.value);
        assert_eq!([value("h2d"), value("d2h")], [Ok(64e9), Ok(64e9)]);
        assert_eq!([value("p2p"), value("d2d")], [Ok(450e9), Ok(3e12)]);
    }
}
