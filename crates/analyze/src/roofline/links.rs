//! The links of copies and collectives, and their roofs: one answer for the engine and for the metrics of links.

use std::collections::HashMap;

use proftool_roofline::{Roof, RoofSource};
use proftool_trace::frame::Tables;
use proftool_trace::tables;

use super::DeviceRoofs;
use super::ceilings::{Resource, byte_rate};
use super::timeline::Direction;
use crate::Error;
use crate::model::{Activity, DeviceKey, Rows};

/// A link that a hardware spec names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    /// NVLink (Infinity Fabric, xGMI) to other devices.
    Nvlink,
    /// To other devices: the fastest kind that there is, at last PCIe.
    Peer,
    /// PCIe.
    Pcie,
    /// To the host: as measured, or the coherent chip-to-chip link where there is one, else PCIe.
    Host,
}

impl Link {
    /// Parts of the names that specs give it, the best match first.
    fn names(self) -> &'static [&'static str] {
        match self {
            Self::Nvlink => &["nvlink", "xgmi", "infinity"],
            Self::Peer => &["nvlink", "xgmi", "infinity", "pcie"],
            Self::Pcie => &["pcie"],
            Self::Host => &["host", "c2c", "pcie"],
        }
    }
}

/// The ceiling of a link: measured where it was, else of the datasheet.
pub(crate) fn link_roof(roofs: &DeviceRoofs, link: Link) -> Option<Roof> {
    let links: Vec<_> = roofs
        .ceilings
        .iter()
        .filter(|ceiling| ceiling.resource == Resource::Link && ceiling.roof.value > 0.0)
        .map(|ceiling| (ceiling.name.to_ascii_lowercase(), &ceiling.roof))
        .collect();
    link.names().iter().find_map(|wanted| {
        // A chip-to-chip link is no way to another device, however its name begins.
        let named =
            links.iter().filter(|(name, _)| name.contains(wanted) && (link == Link::Host || !name.contains("c2c")));
        let better = |a: &&Roof, b: &&Roof| a.source.cmp(&b.source).then(a.value.total_cmp(&b.value));
        named.map(|(_, roof)| *roof).max_by(better).cloned()
    })
}

/// The roofs that the table `links` states, by source and destination; of several rows of one connection the last counts.
///
/// # Errors
/// When the frame does not have the columns of its table.
pub(crate) fn stated(tables: &Tables) -> Result<HashMap<(i64, i64), Roof>, Error> {
    let rows = Rows::all(tables.get(&tables::LINKS));
    let ends = rows.ints("src")?.into_iter().zip(rows.ints("dst")?);
    let known = ends.zip(rows.floats("bytes_per_s")?);
    let known = known.filter_map(|(ends, rate)| Some((ends, rate.filter(|rate| rate.is_finite() && *rate > 0.0)?)));
    let roof = |(ends, value): ((i64, i64), f64)| {
        let label = format!("link {} to {}, stated {}", ends.0, ends.1, byte_rate(value));
        (ends, Roof { value, source: RoofSource::Measured, label, disputed: None })
    };
    Ok(known.map(roof).collect())
}

/// The roofs of one link.
#[derive(Clone, Debug)]
pub(crate) struct LinkRoofs {
    /// What the bounds use: the artifact's own statement, or else the best ceiling of the device.
    pub(crate) used: Roof,
    /// The datasheet's.
    pub(crate) datasheet: Option<Roof>,
}

/// The roofs of the links between devices.
#[derive(Debug, Default)]
pub(crate) struct Links {
    roofs: Vec<LinkRoofs>,
    stated: HashMap<(i64, i64), u32>,
    of_spec: HashMap<(DeviceKey, Link), Option<u32>>,
}

impl Links {
    /// Reads the table `links`.
    ///
    /// # Errors
    /// When the frame does not have the columns of its table.
    pub(crate) fn read(tables: &Tables) -> Result<Self, Error> {
        let mut links = Self::default();
        for (ends, used) in stated(tables)? {
            links.stated.insert(ends, links.roofs.len() as u32);
            links.roofs.push(LinkRoofs { used, datasheet: None });
        }
        Ok(links)
    }

    /// The roofs of that number.
    pub(crate) fn roofs(&self, link: Option<u32>) -> Option<&LinkRoofs> {
        self.roofs.get(link? as usize)
    }

    /// The link of a copy: the stated connection of its two devices, or else the device's own link in that direction.
    pub(crate) fn of_copy(
        &mut self,
        row: &Activity,
        direction: Option<Direction>,
        device: Option<&DeviceRoofs>,
    ) -> Option<u32> {
        let stated = row.src.zip(row.dst).and_then(|ends| self.stated.get(&ends).copied());
        stated.or_else(|| match Direction::between(direction, row.src, row.dst)? {
            Direction::Inside => None,
            Direction::Host => self.of_device(row.device, Link::Host, device),
            Direction::Peer => self.of_device(row.device, Link::Peer, device),
        })
    }

    /// The link that a collective's kernel uses, where [`super::wire::collective_link`] says that it is the device's own.
    pub(crate) fn of_collective(&mut self, device: DeviceKey, roofs: Option<&DeviceRoofs>) -> Option<u32> {
        self.of_device(device, Link::Peer, roofs)
    }

    fn of_device(&mut self, key: DeviceKey, link: Link, device: Option<&DeviceRoofs>) -> Option<u32> {
        if let Some(known) = self.of_spec.get(&(key, link)) {
            return *known;
        }
        let found = device.and_then(|roofs| Some((link_roof(roofs, link)?, roofs.link(link.names()))));
        let number = found.as_ref().map(|_| self.roofs.len() as u32);
        self.roofs.extend(found.map(|(used, ceiling)| {
            let datasheet = ceiling.map(|ceiling| ceiling.roof.clone());
            LinkRoofs { used, datasheet }
        }));
        self.of_spec.insert((key, link), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::roofline::ceilings::Ceiling;

    fn ceiling(name: &str, value: f64, source: RoofSource) -> Ceiling {
        let roof = Roof { value, source, label: name.to_owned(), disputed: None };
        let resource = Resource::Link;
        Ceiling { resource, name: name.to_owned(), roof, clock_hz: None, accumulate: None, confidence: None }
    }

    #[test]
    fn devices_reach_each_other_over_the_fastest_link_and_the_host_over_its_own() {
        let mut roofs = DeviceRoofs::default();
        let value = |roofs: &DeviceRoofs, link| link_roof(roofs, link).map(|roof| roof.value);
        roofs.ceilings.push(ceiling("pcie", 64e9, RoofSource::Datasheet));
        assert_eq!((value(&roofs, Link::Peer), value(&roofs, Link::Nvlink)), (Some(64e9), None));
        roofs.ceilings.push(ceiling("nvlink-c2c", 450e9, RoofSource::Datasheet));
        assert_eq!((value(&roofs, Link::Host), value(&roofs, Link::Peer)), (Some(450e9), Some(64e9)));
        roofs.ceilings.push(ceiling("nvlink", 900e9, RoofSource::Datasheet));
        assert_eq!(value(&roofs, Link::Peer), Some(900e9));
        roofs.ceilings.push(ceiling("nvlink", 800e9, RoofSource::Measured));
        assert_eq!(value(&roofs, Link::Nvlink), Some(800e9), "a measured one wins");
        // Both directions of a measured link to the host have one name.
        roofs.ceilings.extend([54e9, 53e9].map(|value| ceiling("host", value, RoofSource::Measured)));
        assert_eq!((value(&roofs, Link::Host), value(&roofs, Link::Peer)), (Some(54e9), Some(800e9)));
        assert_eq!(roofs.link(Link::Host.names()).map(|stated| stated.roof.value), Some(64e9), "of the datasheet");
    }

    #[test]
    fn a_stated_link_names_its_ends_and_its_rate() {
        let tables = Fixture::new().link(0, 1, 5e9).link(0, 1, 20e9).link(1, 0, -1.0).link(2, 0, 0.0).tables();
        let stated = stated(&tables).unwrap();
        assert_eq!(stated.len(), 1);
        assert_eq!(stated[&(0, 1)].label, "link 0 to 1, stated 20.0 GB/s");
    }
}
