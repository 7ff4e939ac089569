//! One pass over the events.

use std::collections::{BTreeMap, BTreeSet};

use proftool_trace::rows::{Call, Operator};

use super::category::Category;
use super::collectives::{Arguments, Stated};
use super::counters::{Counters, Refused};
use super::devices::{Devices, Work};
use super::event::{Event, Passed, compact, integer};
use super::launches::Launches;
use super::metadata::Metadata;
use super::pairs::Pairs;
use super::ranges::{Domain, Ranges, Style};
use crate::Error;
use crate::raw::json::{Cursor, Fault, Place, Stop, scaled};
use crate::raw::{Import, Severity};

/// Epoch times in microseconds are at least this (the year 2001); other clocks begin near zero.
const EPOCH_NS: i64 = 1_000_000_000_000_000_000;
/// Names that are counted one by one; a foreign file may have any number.
const MOST_NAMES: usize = 32;

/// The state of one pass over the events.
pub(crate) struct Reading<'i, 's> {
    pub(crate) import: &'i mut Import<'s>,
    pub(crate) metadata: Metadata,
    launches: Launches,
    devices: Devices,
    ranges: Ranges,
    pairs: Pairs,
    counters: Counters,
    stated: Stated,
    calls: i64,
    activities: i64,
    tally: Tally,
    scratch: Scratch,
    /// Whether the first event's time is an epoch time.
    epoch: Option<bool>,
    /// Whether a time of a device has decimals, so that the file's times are nanoseconds.
    decimals: bool,
    /// Groups of collectives whose size was not known when they were handed over.
    unsized_groups: BTreeSet<String>,
    second: bool,
}

/// What a first pass found that rows before it needed.
#[derive(Default)]
pub(crate) struct Learned {
    pub(crate) metadata: Metadata,
    launches: Launches,
    second: bool,
}

/// What is counted and becomes issues.
#[derive(Default)]
struct Tally {
    flows: u64,
    host_memory: u64,
    phases: BTreeMap<String, u64>,
    categories: BTreeMap<String, u64>,
    unfinished: u64,
    endless: u64,
}

/// Room for texts that need unescaping or compacting.
#[derive(Default)]
struct Scratch {
    name: String,
    dims: Vec<u8>,
    types: Vec<u8>,
    concrete: Vec<u8>,
    payload: Vec<u8>,
}

/// Something about an event that fails the import.
type Outcome = Result<(), Refused>;

impl<'i, 's> Reading<'i, 's> {
    /// A pass; `learned` is what an earlier one found.
    pub(crate) fn new(import: &'i mut Import<'s>, learned: Learned) -> Self {
        let Learned { metadata, launches, second } = learned;
        Self {
            import,
            metadata,
            launches,
            devices: Devices::default(),
            ranges: Ranges::default(),
            pairs: Pairs::default(),
            counters: Counters::default(),
            stated: Stated::default(),
            calls: 0,
            activities: 0,
            tally: Tally::default(),
            scratch: Scratch::default(),
            epoch: None,
            decimals: false,
            unsized_groups: BTreeSet::new(),
            second,
        }
    }

    /// Whether an earlier pass has told the metadata.
    pub(crate) fn second(&self) -> bool {
        self.second
    }

    /// Whether rows were handed over that would be others with what the rest of the file told: another rank, a group's
    /// size, a later call with a number that an earlier one has.
    pub(crate) fn too_early(&self) -> bool {
        let sizes = &self.metadata.group_sizes;
        let rank = self.metadata.rank.is_some_and(|rank| rank != self.import.sink.rank());
        let sized = self.unsized_groups.iter().any(|group| sizes.contains_key(group));
        !self.second && (rank || sized || self.launches.ambiguous())
    }

    /// What a second pass needs.
    pub(crate) fn learned(self) -> Learned {
        Learned { metadata: self.metadata, launches: self.launches.settled(), second: true }
    }

    /// Whether times count from the begin of 1970; `None` without any event.
    pub(crate) fn epoch(&self) -> Option<bool> {
        self.epoch
    }

    /// Passes one element of `traceEvents` and takes its rows.
    ///
    /// # Errors
    /// What is wrong with it; [`Fault::Short`] before anything was taken.
    #[inline]
    pub(crate) fn element(&mut self, cursor: &mut Cursor<'_>, place: Place) -> Result<(), Stop<Error>> {
        let start = cursor.at();
        match Event::pass(cursor)? {
            Passed::Event(event) => {
                let end = cursor.at();
                let taken = self.event(&event, cursor.since(start), place);
                taken.map_err(|refused| match refused {
                    Refused::Other(error) => Stop::Other(error),
                    Refused::Fault(fault) => {
                        cursor.back(if fault == Fault::Short { end } else { start });
                        Stop::Fault(if fault == Fault::Short { Fault::Expected("whole arguments") } else { fault })
                    }
                })
            }
            Passed::Aside(b'M') => Ok(()),
            Passed::Aside(_) => {
                self.tally.flows += 1;
                Ok(())
            }
            Passed::Foreign => {
                self.import.bad_row("not_an_event", || format!("{}: it is no object", at(place)));
                Ok(())
            }
        }
    }

    fn event(&mut self, event: &Event<'_>, json: &[u8], place: Place) -> Outcome {
        if !matches!(event.phase, b'X' | b'B' | b'E' | b'i' | b'I' | b'R' | b'C') {
            let phase = if event.phase == 0 { "none".to_owned() } else { char::from(event.phase).to_string() };
            count(&mut self.tally.phases, phase);
            return Ok(());
        }
        let Some(ts) = scaled(event.ts, 3) else {
            self.import.bad_row("time_out_of_range", || format!("{}: ts {:?}", at(place), lossy(event.ts)));
            return Ok(());
        };
        self.epoch.get_or_insert(ts >= EPOCH_NS);
        match event.phase {
            b'X' => {
                // Viewers take a missing length as 0.
                self.tally.endless += u64::from(event.dur.is_empty());
                let duration = if event.dur.is_empty() { Some(0) } else { scaled(event.dur, 3) };
                let end = duration.and_then(|duration| ts.checked_add(duration));
                let Some(end) = end else {
                    self.import.bad_row("time_out_of_range", || format!("{}: dur {:?}", at(place), lossy(event.dur)));
                    return Ok(());
                };
                self.complete(event, (ts, end), place)
            }
            b'B' => {
                if !self.pairs.begin(event, json, ts) {
                    self.tally.unfinished += 1;
                }
                Ok(())
            }
            b'E' => self.second_half(event, ts, place),
            b'C' => {
                if !self.import.possible(ts, ts, || at(place)) {
                    return Ok(());
                }
                let name = event.name.read(&mut self.scratch.name)?;
                self.counters.event(self.import, event, name, ts)
            }
            _ => self.instant(event, ts, place),
        }
    }

    fn second_half(&mut self, event: &Event<'_>, end: i64, place: Place) -> Outcome {
        let Some(begun) = self.pairs.end(event) else {
            self.import.bad_row("end_without_begin", || format!("{}: E without B on its thread", at(place)));
            return Ok(());
        };
        match Event::pass(&mut Cursor::new(&begun.json))? {
            Passed::Event(first) => self.complete(&first, (begun.start, end), place),
            _ => Ok(()),
        }
    }

    /// Takes an event with a start and an end.
    fn complete(&mut self, event: &Event<'_>, (start, end): (i64, i64), place: Place) -> Outcome {
        let category = Category::of(event.category);
        if !self.import.possible(start, end, || at(place)) {
            return Ok(());
        }
        if let Some(api) = category.api() {
            return self.call(event, category, api, (start, end));
        }
        if let Some(kind) = category.activity() {
            self.decimals |= event.ts.contains(&b'.');
            return self.activity(event, kind, (start, end));
        }
        match category {
            Category::Annotation => self.range(event, "", (start, end)),
            Category::Overhead => self.range(event, "overhead", (start, end)),
            Category::Trace => self.range(event, "Trace", (start, end)),
            Category::GpuAnnotation => {
                self.decimals |= event.ts.contains(&b'.');
                let name = event.name.read(&mut self.scratch.name)?;
                self.ranges.add(event, name, Domain::Device, (Style::PushPop, start, Some(end)), None);
                Ok(())
            }
            Category::ProfilerRange => {
                self.devices.also(integer(event.args.device).or_else(|| integer(event.pid)).unwrap_or(0));
                let name = event.name.read(&mut self.scratch.name)?;
                self.counters.profiled(self.import, event, name)
            }
            _ => {
                let domain = String::from_utf8_lossy(event.category).into_owned();
                count(&mut self.tally.categories, domain.clone());
                self.range(event, &domain, (start, end))
            }
        }
    }

    fn range(&mut self, event: &Event<'_>, domain: &str, (start, end): (i64, i64)) -> Outcome {
        let name = event.name.read(&mut self.scratch.name)?;
        self.ranges.add(event, name, Domain::Host(domain), (Style::PushPop, start, Some(end)), None);
        Ok(())
    }

    fn call(&mut self, event: &Event<'_>, category: Category, api: &'static str, (start, end): (i64, i64)) -> Outcome {
        let Scratch { name, dims, types, concrete, .. } = &mut self.scratch;
        let name = event.name.read(name)?;
        // Steps were operators before PyTorch 1.9.
        if category == Category::Operator && name.starts_with("ProfilerStep#") {
            self.ranges.add(event, name, Domain::Host(""), (Style::PushPop, start, Some(end)), None);
            return Ok(());
        }
        let (id, process, thread) = (self.calls, integer(event.pid), integer(event.tid));
        self.calls += 1;
        let correlation = match category {
            Category::Runtime | Category::Driver => self.launches.add(event, id, process, start),
            _ => None,
        };
        let row = Call { id, process, thread, api, name, start_ns: start, end_ns: end, correlation, ..Call::default() };
        self.import.put(&row)?;
        if let Some(correlation) = correlation {
            self.devices.release(self.import, &self.launches, correlation)?;
        }
        self.metadata.hip |= category == Category::Runtime && name.starts_with("hip");
        if category != Category::Operator {
            return Ok(());
        }
        let external_id = integer(event.args.external_id);
        if let (Some(id), Some(arguments)) = (external_id, Arguments::of(&event.args)?) {
            self.stated.add(id, arguments);
        }
        let (shapes, dtypes) = (compact(event.args.dims, dims)?, compact(event.args.types, types)?);
        let concrete_inputs = compact(event.args.concrete, concrete)?;
        Ok(self.import.put(&Operator { call: id, external_id, shapes, dtypes, concrete_inputs })?)
    }

    fn activity(&mut self, event: &Event<'_>, kind: &'static str, times: (i64, i64)) -> Outcome {
        let name = event.name.read(&mut self.scratch.name)?;
        let work = Work::of(event, kind, self.activities, name, times);
        self.activities += 1;
        let own = Arguments::of(&event.args)?;
        if let Some(arguments) = own.as_ref().or_else(|| self.stated.find(&event.args, name)) {
            let row = arguments.row(work.id, &self.metadata.group_sizes);
            if let (None, Some(group)) = (row.group_size, row.group)
                && !self.unsized_groups.contains(group)
            {
                self.unsized_groups.insert(group.to_owned());
            }
            self.import.put(&row)?;
        }
        Ok(self.devices.add(self.import, &self.launches, work, name, &event.args)?)
    }

    /// Takes an instant: the allocator's become samples, others marks with their arguments as payload.
    fn instant(&mut self, event: &Event<'_>, ts: i64, place: Place) -> Outcome {
        if !self.import.possible(ts, ts, || at(place)) {
            return Ok(());
        }
        let memory = Category::of(event.category) == Category::Memory && !event.args.memory_allocated.is_empty();
        if memory && event.name.read(&mut self.scratch.name)? == "[memory]" {
            self.tally.host_memory += u64::from(!self.counters.memory(self.import, event, ts)?);
            return Ok(());
        }
        let name = event.name.read(&mut self.scratch.name)?;
        let payload = compact(event.raw_args, &mut self.scratch.payload)?.filter(|payload| *payload != "{}");
        let domain = String::from_utf8_lossy(event.category);
        self.ranges.add(event, name, Domain::Host(&domain), (Style::Mark, ts, None), payload);
        Ok(())
    }

    /// Hands over what waited for the end of the file, and notes what was found.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.never_ended();
        if self.decimals {
            self.ranges.narrow();
        }
        let Self { import, metadata, launches, devices, ranges, tally, .. } = self;
        devices.finish(import, &launches, &metadata)?;
        ranges.finish(import)?;
        let repeated = "calls whose correlation an earlier call of the file has; of such calls a device row belongs to the \
            one that begins last before it";
        import.issue(Severity::Info, "correlation_repeated", launches.repeated, repeated);
        tally.note(import);
        if let Some(world) = metadata.world_size.filter(|world| *world > 1) {
            let detail = format!(
                "this file is rank {} of {world} (distributedInfo.world_size): what the other ranks do is in their files",
                import.sink.rank()
            );
            import.issue(Severity::Info, "part_of_world", 1, detail);
        }
        Ok(())
    }

    /// First halves whose second is missing: ranges stay without an end, others are lost.
    fn never_ended(&mut self) {
        let mut name = String::new();
        for begun in std::mem::take(&mut self.pairs).rest() {
            let Ok(Passed::Event(event)) = Event::pass(&mut Cursor::new(&begun.json)) else { continue };
            let category = Category::of(event.category);
            let Some(name) =
                event.name.read(&mut name).ok().filter(|_| category.activity().or(category.api()).is_none())
            else {
                self.tally.unfinished += 1;
                continue;
            };
            let domain =
                if category == Category::Annotation { "".into() } else { String::from_utf8_lossy(event.category) };
            self.ranges.add(&event, name, Domain::Host(&domain), (Style::PushPop, begun.start, None), None);
        }
    }
}

impl Tally {
    fn note(self, import: &mut Import<'_>) {
        let flows = "flow arrows (ac2g, fwdbwd): correlation numbers and forward/backward links are not read from them";
        import.issue(Severity::Info, "flows_not_read", self.flows, flows);
        let memory = "allocator events of host memory, which belong to no device";
        import.issue(Severity::Info, "host_memory_not_read", self.host_memory, memory);
        let (total, names) = listed(&self.phases);
        import.issue(Severity::Info, "phase_not_read", total, format!("events of these phases (ph): {names}"));
        let (total, names) = listed(&self.categories);
        let detail = format!("events of other categories, kept as ranges of that domain: {names}");
        import.issue(Severity::Info, "unknown_category", total, detail);
        let endless = "X events without a length (dur), taken as of length 0";
        import.issue(Severity::Info, "no_duration", self.endless, endless);
        let unfinished = "B events without E, or more of them open than can be kept";
        import.issue(Severity::DataLoss, "begin_without_end", self.unfinished, unfinished);
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: String) {
    let known = counts.len() < MOST_NAMES || counts.contains_key(&name);
    *counts.entry(if known { name } else { "others".to_owned() }).or_default() += 1;
}

fn listed(counts: &BTreeMap<String, u64>) -> (u64, String) {
    let names: Vec<String> = counts.iter().map(|(name, count)| format!("{name:?} {count}")).collect();
    (counts.values().sum(), names.join(", "))
}

fn at(place: Place) -> String {
    format!("byte {} (event {})", place.offset, place.number)
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned()
}
