//! What the file says beside its events.

use std::collections::BTreeMap;
use std::io::Read;

use crate::raw::json::{Cursor, Failure, Fault, Stream, integer};

use super::event;

/// What the members around `traceEvents` tell. Everything else there (environment, versions, logs) is passed unread.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// `distributedInfo.rank`.
    pub(crate) rank: Option<i64>,
    /// `distributedInfo.world_size`.
    pub(crate) world_size: Option<i64>,
    /// Size of each process group, by name.
    pub(crate) group_sizes: BTreeMap<String, i64>,
    /// `deviceProperties`.
    pub(crate) devices: Vec<Properties>,
    /// `baseTimeNanoseconds`: what the times are counted from, on the wall clock.
    pub(crate) base_ns: Option<i64>,
    /// Whether the devices are AMD's.
    pub(crate) hip: bool,
}

/// What is known about a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) number: Option<i64>,
    pub(crate) name: String,
    pub(crate) memory_bytes: Option<i64>,
    pub(crate) sm_count: Option<i64>,
    major: Option<i64>,
    minor: Option<i64>,
}

impl Metadata {
    /// Reads or passes the member of that name.
    ///
    /// # Errors
    /// What the file says.
    pub(crate) fn member<R: Read>(&mut self, key: &str, stream: &mut Stream<R>) -> Result<(), Failure> {
        match key {
            "distributedInfo" => {
                let told = stream.parse(distributed)?;
                self.rank = told.rank.or(self.rank);
                self.world_size = told.world_size;
                self.group_sizes = told.group_sizes;
            }
            "deviceProperties" => {
                let (devices, wide) = stream.parse(properties)?;
                self.devices = devices;
                self.hip |= wide;
            }
            "baseTimeNanoseconds" => self.base_ns = stream.parse(|cursor| Ok(integer(cursor.characters()?)))?,
            _ => {
                self.hip |= key.starts_with("hip_") || key.starts_with("roctracer") || key.starts_with("rocprof");
                stream.skip()?;
            }
        }
        Ok(())
    }

    /// The listed devices by their numbers.
    pub(crate) fn listed(&self) -> BTreeMap<i64, &Properties> {
        self.devices.iter().filter_map(|device| Some((device.number?, device))).collect()
    }

    /// What holds for every device, where all that are listed are alike. AMD's runtime numbers devices by their place in
    /// the machine, CPUs included, so that rows can name one that is not listed: it is one of these.
    pub(crate) fn any(&self) -> Option<&Properties> {
        let (first, rest) = self.devices.split_first()?;
        let alike = |other: &Properties| Properties { number: first.number, ..other.clone() } == *first;
        rest.iter().all(alike).then_some(first)
    }
}

/// What `distributedInfo` tells.
#[derive(Debug, Default)]
struct Distributed {
    rank: Option<i64>,
    world_size: Option<i64>,
    group_sizes: BTreeMap<String, i64>,
}

fn distributed(cursor: &mut Cursor<'_>) -> Result<Distributed, Fault> {
    let mut told = Distributed::default();
    cursor.members(|key, cursor| match key {
        b"rank" => {
            told.rank = integer(cursor.characters()?).filter(|rank| *rank >= 0);
            Ok(())
        }
        b"world_size" => {
            told.world_size = integer(cursor.characters()?);
            Ok(())
        }
        b"pg_config" => cursor.items(|cursor| {
            let (mut name, mut size) = (String::new(), None);
            cursor.members(|key, cursor| {
                let value = cursor.value()?;
                match key {
                    b"pg_name" => name = text(value)?,
                    b"pg_size" => size = event::integer(value),
                    _ => {}
                }
                Ok(())
            })?;
            told.group_sizes.extend(size.map(|size| (name, size)));
            Ok(())
        }),
        _ => cursor.skip(),
    })?;
    Ok(told)
}

fn text(value: &[u8]) -> Result<String, Fault> {
    Ok(event::text(value, &mut String::new())?.unwrap_or_default().to_owned())
}

/// The devices, and whether one has warps of 64 threads, as AMD's have.
fn properties(cursor: &mut Cursor<'_>) -> Result<(Vec<Properties>, bool), Fault> {
    let (mut devices, mut wide) = (Vec::new(), false);
    cursor.items(|cursor| {
        let mut device = Properties::default();
        cursor.members(|key, cursor| {
            let value = cursor.value()?;
            match key {
                b"id" => device.number = event::integer(value),
                b"name" => device.name = text(value)?,
                b"totalGlobalMem" => device.memory_bytes = event::integer(value),
                b"numSms" => device.sm_count = event::integer(value),
                b"computeMajor" => device.major = event::integer(value),
                b"computeMinor" => device.minor = event::integer(value),
                b"warpSize" => wide |= value == b"64",
                _ => {}
            }
            Ok(())
        })?;
        devices.push(device);
        Ok(())
    })?;
    Ok((devices, wide))
}

impl Properties {
    /// `sm_90`; for AMD the `gfx` name where major and minor tell it. The stepping is not in the file: 9.0 is a gfx90a
    /// with 60 GB or more, since no older 9.0 device had that much.
    pub(crate) fn arch(&self, hip: bool) -> Option<String> {
        let (major, minor) = (self.major?, self.minor?);
        if !hip {
            return Some(format!("sm_{major}{minor}"));
        }
        let name = match (major, minor) {
            (9, 5) => "gfx950",
            (9, 4) => "gfx942",
            (9, 0) if self.memory_bytes? >= 60_000_000_000 => "gfx90a",
            _ => return None,
        };
        Some(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Metadata {
        let mut stream = Stream::new(json.as_bytes()).unwrap();
        let (mut metadata, mut key, mut first) = (Metadata::default(), String::new(), true);
        stream.object().unwrap();
        while stream.key(&mut first, &mut key).unwrap() {
            metadata.member(&key, &mut stream).unwrap();
        }
        metadata
    }

    #[test]
    fn rank_groups_devices_and_base_time_are_read() {
        let metadata = read(
            r#"{"schemaVersion":1,"deviceProperties":[{"id":0,"name":"A","totalGlobalMem":8,"computeMajor":9,"computeMinor":0,
            "numSms":132,"warpSize":32}],"distributedInfo":{"backend":"nccl","rank":3,"world_size":8,"pg_config":[{"pg_name":"0","pg_size":8,
            "ranks":[0,1]},{"pg_name":"tp"}]},"env":{"rank":9},"baseTimeNanoseconds":1711964646000000000}"#,
        );
        assert_eq!((metadata.rank, metadata.base_ns, metadata.hip), (Some(3), Some(1_711_964_646_000_000_000), false));
        assert_eq!(metadata.world_size, Some(8));
        assert_eq!(metadata.group_sizes, BTreeMap::from([("0".to_owned(), 8)]));
        let device = metadata.listed()[&0];
        assert_eq!((device.name.as_str(), device.sm_count, device.memory_bytes), ("A", Some(132), Some(8)));
        assert_eq!(device.arch(false).as_deref(), Some("sm_90"));
    }

    #[test]
    fn an_amd_device_that_is_not_listed_is_like_the_listed_ones() {
        let device = |id: u32, memory: u64, minor: u32| {
            format!(r#"{{"id":{id},"totalGlobalMem":{memory},"computeMajor":9,"computeMinor":{minor},"warpSize":64}}"#)
        };
        let alike = read(&format!(r#"{{"deviceProperties":[{},{}]}}"#, device(0, 7, 4), device(1, 7, 4)));
        assert!(alike.hip);
        assert_eq!(alike.any().and_then(|device| device.arch(true)).as_deref(), Some("gfx942"));
        let mixed = read(&format!(r#"{{"deviceProperties":[{},{}]}}"#, device(0, 7, 4), device(1, 64 << 30, 0)));
        assert_eq!(mixed.any(), None);
        assert_eq!(mixed.listed()[&1].arch(true).as_deref(), Some("gfx90a"));
    }

    #[test]
    fn members_of_unexpected_kinds_are_passed() {
        let metadata = read(r#"{"distributedInfo":7,"deviceProperties":{"id":1},"baseTimeNanoseconds":null,"x":"y"}"#);
        assert!(metadata.rank.is_none() && metadata.devices.is_empty() && metadata.base_ns.is_none());
    }
}
