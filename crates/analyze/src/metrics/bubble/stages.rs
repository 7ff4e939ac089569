//! The stage hosts of a pipeline: who computes its stages, and how we know.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::labels::{self, Label};
use crate::classes::Class;
use crate::metrics::ratio;
use crate::model::{DeviceKey, Model};
use crate::operators::{Span, union};

/// A stage host with what it computed, activity indices sorted by start and id.
#[derive(Clone, Debug)]
pub struct Host {
    /// Rank and device.
    pub device: DeviceKey,
    /// The queue, where one device hosts several stages.
    pub queue: Option<i64>,
    pub(crate) rows: Vec<usize>,
    pub(crate) busy: Vec<Span>,
}

/// How the stage hosts are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// Rows of `work` state the stages.
    Declared,
    /// Ranges name them.
    Ranges,
    /// Nobody names stages: every device that computes is taken for one.
    #[default]
    Devices,
    /// Nobody names stages: every compute queue of the one device is taken for one.
    Queues,
}

impl Source {
    /// The text in the column `stages`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Ranges => "inferred from ranges",
            Self::Devices => "devices",
            Self::Queues => "queues",
        }
    }
}

/// Who computes what.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    /// The stage hosts, sorted by rank, device and queue.
    pub(crate) hosts: Vec<Host>,
    /// How they are known.
    pub(crate) source: Source,
    /// Hosts with different stages: those that hold the same ones (replicas, tensor parallel ranks) count once.
    pub(crate) depth: i64,
    /// Separate chunks of consecutive stages on each host, v; `None` where the hosts differ.
    pub(crate) chunks: Option<i64>,
    /// Share of the hosts' rows whose stage is stated; `None` where no stage is.
    pub(crate) coverage: Option<f64>,
    /// What ranges tell about activities.
    pub(crate) labels: HashMap<usize, Label>,
}

/// A device, or one queue of it.
type Key = (DeviceKey, Option<i64>);
/// The stages that each queue computed.
type Stages = BTreeMap<Key, Stage>;

/// The stages of a queue, and how many of its rows state one.
#[derive(Debug, Default)]
struct Stage {
    numbers: BTreeSet<i64>,
    rows: i64,
}

/// Finds the stage hosts: those that rows of `work` declare, else those that ranges name, else the devices that
/// compute, or the compute queues where there is only one device and it has several. Where stages are named, a device
/// without any is no stage host.
pub(crate) fn staging(model: &Model) -> Staging {
    let declared = stages(model, |index| model.activities[index].work()?.stage);
    if !declared.is_empty() {
        return of(model, declared_keys(&declared), Source::Declared, &declared, HashMap::new());
    }
    let labels = labels::of_model(model);
    let told = stages(model, |index| labels.get(&index)?.stage);
    if told.values().flat_map(|queue| &queue.numbers).collect::<BTreeSet<_>>().len() > 1 {
        return of(model, told_keys(&told), Source::Ranges, &told, labels);
    }
    // Timers name no stage, but where two devices have them, these are the stages.
    let timed = labels.iter().filter(|(_, label)| label.stage.is_none());
    let timed: BTreeSet<Key> = timed.map(|(index, _)| (model.activities[*index].device, None)).collect();
    if timed.len() > 1 {
        return of(model, timed, Source::Ranges, &Stages::new(), labels);
    }
    let devices: BTreeSet<Key> = compute(model).map(|index| (model.activities[index].device, None)).collect();
    let queues = compute_queues(model);
    let (keys, source) =
        if devices.len() == 1 && queues.len() > 1 { (queues, Source::Queues) } else { (devices, Source::Devices) };
    of(model, keys, source, &Stages::new(), labels)
}

fn compute(model: &Model) -> impl Iterator<Item = usize> + '_ {
    let rows = model.activities.iter().enumerate();
    rows.filter(|(_, row)| row.class == Class::Compute).map(|(index, _)| index)
}

fn stages(model: &Model, stage: impl Fn(usize) -> Option<i64>) -> Stages {
    let mut found = Stages::new();
    for index in compute(model) {
        if let Some(stage) = stage(index) {
            let row = &model.activities[index];
            let queue = found.entry((row.device, row.queue)).or_default();
            queue.numbers.insert(stage);
            queue.rows += 1;
        }
    }
    found
}

/// The devices, or their queues where any device has several with stages: a target that states stages gives each its own.
fn declared_keys(found: &Stages) -> BTreeSet<Key> {
    let devices: BTreeSet<Key> = found.keys().map(|key| (key.0, None)).collect();
    if found.len() > devices.len() { found.keys().copied().collect() } else { devices }
}

/// Each device, or its queues where these have no stage in common: a framework's side streams belong to the same stage.
fn told_keys(found: &Stages) -> BTreeSet<Key> {
    let mut devices: BTreeMap<DeviceKey, Vec<&BTreeSet<i64>>> = BTreeMap::new();
    for (key, queue) in found {
        devices.entry(key.0).or_default().push(&queue.numbers);
    }
    let apart = |sets: &[&BTreeSet<i64>]| {
        let all: BTreeSet<i64> = sets.iter().flat_map(|set| set.iter().copied()).collect();
        sets.len() > 1 && sets.iter().map(|set| set.len()).sum::<usize>() == all.len()
    };
    let split: BTreeSet<DeviceKey> =
        devices.into_iter().filter(|(_, sets)| apart(sets)).map(|(device, _)| device).collect();
    found.keys().map(|(device, queue)| (*device, queue.filter(|_| split.contains(device)))).collect()
}

/// The queues of role `compute` that computed.
fn compute_queues(model: &Model) -> BTreeSet<Key> {
    let is_compute = |role: &Option<String>| role.as_deref() == Some("compute");
    let declared: BTreeSet<Key> = model
        .queues
        .iter()
        .filter(|queue| is_compute(&queue.role))
        .map(|queue| (queue.device, Some(queue.queue)))
        .collect();
    let worked: BTreeSet<Key> =
        compute(model).map(|index| (model.activities[index].device, model.activities[index].queue)).collect();
    declared.intersection(&worked).copied().collect()
}

fn of(model: &Model, keys: BTreeSet<Key>, source: Source, stages: &Stages, labels: HashMap<usize, Label>) -> Staging {
    let mut rows: BTreeMap<Key, Vec<usize>> = keys.into_iter().map(|key| (key, Vec::new())).collect();
    let mut held: BTreeMap<Key, BTreeSet<i64>> = BTreeMap::new();
    for index in compute(model) {
        let row = &model.activities[index];
        let own = if rows.contains_key(&(row.device, row.queue)) { row.queue } else { None };
        if let Some(rows) = rows.get_mut(&(row.device, own)) {
            rows.push(index);
        }
    }
    for ((device, queue), stage) in stages {
        let own = if rows.contains_key(&(*device, *queue)) { (*device, *queue) } else { (*device, None) };
        held.entry(own).or_default().extend(&stage.numbers);
    }
    let (stated, all) = (stages.values().map(|stage| stage.rows).sum(), rows.values().map(Vec::len).sum::<usize>());
    let coverage = if stages.is_empty() { None } else { ratio(stated, all as i64) };
    let hosts: Vec<Host> = rows
        .into_iter()
        .map(|((device, queue), rows)| {
            let busy = union(&rows.iter().map(|index| model.activities[*index].span).collect::<Vec<_>>());
            Host { device, queue, rows, busy }
        })
        .collect();
    let different: BTreeSet<&BTreeSet<i64>> = held.values().collect();
    let depth = if different.is_empty() { hosts.len() } else { different.len() } as i64;
    let counts: BTreeSet<i64> = different.into_iter().map(chunks).collect();
    let chunks = match counts.len() {
        0 => Some(1),
        1 => counts.first().copied(),
        _ => None,
    };
    Staging { hosts, source, depth, chunks, coverage, labels }
}

/// How many runs of consecutive numbers there are: an interleaved schedule gives a host several.
fn chunks(stages: &BTreeSet<i64>) -> i64 {
    stages.iter().filter(|stage| stage.checked_sub(1).is_none_or(|before| !stages.contains(&before))).count() as i64
}

/// The stage hosts of a pass.
pub fn stage_hosts(model: &Model) -> Vec<Host> {
    staging(model).hosts
}

impl Staging {
    /// The names of the hosts: `device`, or `device/queue`; with the rank where there are several.
    pub(crate) fn names(&self) -> String {
        let several_ranks = self.hosts.iter().any(|host| host.device.0 != self.hosts[0].device.0);
        let name = |host: &Host| {
            let rank = if several_ranks { format!("rank {} ", host.device.0) } else { String::new() };
            let queue = host.queue.map_or_else(String::new, |queue| format!("/{queue}"));
            format!("{rank}{}{queue}", host.device.1)
        };
        self.hosts.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    /// What a reader must know about the hosts before taking the bubble for one of a pipeline.
    pub(crate) fn caution(&self) -> Option<&'static str> {
        match (self.hosts.len(), self.source) {
            (0, _) => None,
            (1, _) => Some("one host: no pipeline, its bubble is plain idle time"),
            (_, Source::Declared | Source::Ranges) if self.depth == 1 => {
                Some("every host has the same stages: no pipeline, the bubble is idle time of replicas")
            }
            (_, Source::Declared | Source::Ranges) => None,
            (_, Source::Devices) => {
                Some("nothing names stages: every device is taken for one, which ranks that share their layers are not")
            }
            (_, Source::Queues) => Some("nothing names stages: every compute queue is taken for one"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;

    fn found(fixture: &Fixture) -> (String, &'static str, i64, Option<i64>) {
        let staging = staging(&fixture.model());
        (staging.names(), staging.source.name(), staging.depth, staging.chunks)
    }

    /// One kernel launched at `at`.
    fn launch(fixture: Fixture, device: i64, queue: i64, at: i64) -> Fixture {
        fixture.kernel(device, queue, (at + 5, at + 8)).launched((at, at + 1))
    }

    #[test]
    fn declared_stages_come_first_and_chunks_are_counted() {
        // Interleaved: stages 0 and 2 on device 0, 1 and 3 on device 1. The range would say otherwise.
        let mut fixture = Fixture::new().range("stage 0", (0, 2)).range("stage 1", (3, 5));
        for stage in 0..4 {
            fixture = fixture.kernel(stage % 2, 0, (stage * 10, stage * 10 + 5)).work(0, "forward", stage, 0, 1);
        }
        assert_eq!(found(&fixture.kernel(2, 0, (0, 99))), ("0, 1".to_owned(), "declared", 2, Some(2)));
    }

    #[test]
    fn consecutive_stages_are_one_chunk_and_uneven_placements_have_no_count() {
        let place = |places: &[(i64, i64)]| {
            places.iter().fold(Fixture::new(), |fixture, (device, stage)| {
                fixture.kernel(*device, 0, (*stage, stage + 1)).work(0, "forward", *stage, 0, 1)
            })
        };
        assert_eq!(found(&place(&[(0, 0), (0, 1), (1, 2), (1, 3)])).3, Some(1));
        // A V: the ends on device 0, the middle on device 1.
        assert_eq!(found(&place(&[(0, 0), (0, 3), (1, 1), (1, 2)])).3, None);
        // Two pairs of replicas.
        assert_eq!(found(&place(&[(0, 0), (1, 1), (2, 0), (3, 1)])).2, 2);
        let same = staging(&place(&[(0, 0), (0, 1), (1, 0), (1, 1)]).model());
        assert!(same.depth == 1 && same.caution().unwrap().contains("replicas"));
    }

    #[test]
    fn ranges_name_stages_and_side_streams_belong_to_their_stage() {
        let ranges = || Fixture::new().range("stage 0", (0, 50)).range("stage 1", (50, 100));
        let two_devices = launch(launch(launch(ranges(), 0, 7, 1), 0, 8, 10), 1, 7, 60);
        assert_eq!(found(&two_devices), ("0, 1".to_owned(), "inferred from ranges", 2, Some(1)));
        let two_queues = launch(launch(ranges(), 0, 7, 1), 0, 8, 60);
        assert_eq!(found(&two_queues).0, "0/7, 0/8");
        // Both stages on the same queue: one host.
        assert_eq!(found(&launch(launch(ranges(), 0, 7, 1), 0, 7, 60)).0, "0");
        // One stage only tells nothing about a pipeline.
        assert_eq!(found(&launch(launch(ranges(), 0, 7, 1), 1, 7, 2)).1, "devices");
    }

    #[test]
    fn timers_of_a_schedule_tell_which_devices_are_stages() {
        let fixture = Fixture::new().range("forward-compute", (0, 50));
        let fixture = launch(launch(launch(fixture, 0, 0, 1), 1, 0, 2), 2, 0, 70);
        assert_eq!(found(&fixture), ("0, 1".to_owned(), "inferred from ranges", 2, Some(1)));
    }

    #[test]
    fn without_names_devices_are_hosts_and_declared_compute_queues_of_a_single_one() {
        let two = Fixture::new().kernel(0, 0, (0, 1)).kernel(1, 0, (0, 1)).copy(2, 0, (0, 1), 1, 8);
        assert_eq!(found(&two), ("0, 1".to_owned(), "devices", 2, Some(1)));
        let queues = Fixture::new().kernel(0, 0, (0, 1)).kernel(0, 1, (0, 1));
        assert_eq!(found(&queues).1, "devices", "streams of unknown role are no stages");
        let queues = queues.queue(0, 0, "compute").queue(0, 1, "compute").queue(0, 2, "compute");
        assert_eq!(found(&queues), ("0/0, 0/1".to_owned(), "queues", 2, Some(1)));
        assert_eq!(found(&Fixture::new()), (String::new(), "devices", 0, Some(1)));
    }

    #[test]
    fn several_ranks_are_told_apart() {
        let mut model = Fixture::new().kernel(0, 0, (0, 1)).kernel(1, 0, (0, 1)).model();
        for (rank, row) in model.activities.iter_mut().enumerate() {
            row.device = (rank as i64, 0);
        }
        let staging = staging(&model);
        assert_eq!(staging.names(), "rank 0 0, rank 1 0");
        assert!(staging.caution().unwrap().contains("every device"));
    }
}
