//! The file of a pass that counts: ranges and the values of their metrics, in blocks beside those of the other passes
//! (`docs/inject.md` lists their fields).

use std::collections::HashMap;

use proftool_tracer::{ABSENT, Error, Stream};

use crate::callbacks::Launch;
use crate::clock;
use crate::cupti::Cupti;
use crate::driver::Device;
use crate::output::{self, Tail};
use crate::range::Profiler;
use crate::settings::Settings;

/// What has no values, counted from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    /// Ranges for which CUPTI had no room.
    pub(crate) dropped: i64,
    /// Ranges whose kernel is not known.
    pub(crate) unnamed: i64,
    /// Launches that could not be counted.
    pub(crate) uncounted: i64,
    /// Values that CUPTI did not give, or that are no number.
    pub(crate) missing: i64,
}

/// The file of one process.
pub(crate) struct CounterFile {
    stream: Stream,
    /// Numbers of the metrics.
    defs: HashMap<String, i64>,
    ranges: i64,
    pub(crate) lost: Lost,
    written: Lost,
}

impl CounterFile {
    /// Creates the file with its head and a pair of times.
    pub(crate) fn create(settings: &Settings, cupti: &Cupti) -> Result<Self, Error> {
        let mut stream = output::create(settings, &output::head(settings, cupti, "cupti_counters"))?;
        stream.rows(*b"clok", clock::pair(cupti).as_slice());
        stream.flush()?;
        let (defs, lost) = (HashMap::new(), Lost::default());
        Ok(Self { stream, defs, ranges: 0, lost, written: lost })
    }

    /// Removes the file, of a pass that could not start.
    pub(crate) fn remove(&self) {
        // A file that stays holds no range: an importer says so.
        let _ = std::fs::remove_file(self.stream.path());
    }

    /// States a device and a context of it.
    pub(crate) fn device(&mut self, device: &Device, context: u32) {
        let name = device.name.as_deref().map_or(ABSENT, |name| self.stream.text(name));
        let [major, minor, count, memory, clock, first, second] = device.fields;
        let row = [device.number, name, major, minor, count, memory, clock, first, second];
        self.stream.rows(*b"devi", &[row]);
        self.stream.rows(*b"cont", &[[i64::from(context), device.number]]);
    }

    /// States how the kernels of a context are counted.
    pub(crate) fn counting(&mut self, device: i64, context: u32, chip: &str, profiler: &Profiler) {
        for metric in profiler.metrics() {
            if !self.defs.contains_key(metric) {
                let def = self.defs.len() as i64;
                self.defs.insert(metric.to_owned(), def);
                let unit = unit(metric, profiler.unit(metric)).map_or(ABSENT, |unit| self.stream.text(&unit));
                let name = self.stream.text(metric);
                self.stream.rows(*b"cdef", &[[def, name, unit]]);
            }
        }
        let chip = self.stream.text(chip);
        let [passes, capacity] = [profiler.passes, profiler.capacity].map(|number| number as i64);
        let caches = i64::from(profiler.empty_caches);
        self.stream.rows(*b"cset", &[[i64::from(context), device, chip, passes, capacity, caches]]);
    }

    /// Adds a range and its values, in the order of the profiler's metrics.
    pub(crate) fn range(
        &mut self,
        device: i64,
        context: u32,
        launch: Option<&Launch>,
        profiler: &Profiler,
        values: &[f64],
    ) {
        let name = launch.and_then(|launch| launch.name.as_deref()).map_or(ABSENT, |name| self.stream.text(name));
        let dimensions = launch.and_then(|launch| launch.dimensions);
        let [x, y, z, width, height, depth] = dimensions.map_or([ABSENT; 6], |all| all.map(i64::from));
        let graph = i64::from(launch.is_some_and(|launch| launch.many));
        let range = self.ranges;
        self.ranges += 1;
        self.lost.unnamed += i64::from(name == ABSENT && graph == 0);
        let row = [range, device, i64::from(context), name, x, y, z, width, height, depth, graph];
        self.stream.rows(*b"crng", &[row]);
        let mut rows = Vec::with_capacity(values.len());
        for (metric, value) in profiler.metrics().zip(values) {
            match self.defs.get(metric) {
                Some(def) if value.is_finite() => rows.push([range, *def, value.to_bits().cast_signed()]),
                _ => self.lost.missing += 1,
            }
        }
        self.stream.rows(*b"cval", &rows);
    }

    /// Says what went wrong: a word for it, and a sentence.
    pub(crate) fn note(&mut self, code: &str, detail: &str) {
        let row = [self.stream.text(code), self.stream.text(detail)];
        self.stream.rows(*b"note", &[row]);
    }

    /// Writes what was added, at once.
    pub(crate) fn flush(&mut self) -> Result<(), Error> {
        if self.lost != self.written {
            let Lost { dropped, unnamed, uncounted, missing } = self.lost;
            self.stream.rows(*b"clos", &[[dropped, unnamed, uncounted, missing]]);
            self.written = self.lost;
        }
        self.stream.flush()
    }

    /// Ends the file.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.stream.json(*b"tail", &Tail { complete: true })?;
        self.stream.flush()
    }
}

/// The unit of a metric with its suffix, of that of its counter: `byte`, `ns`, `byte/s`; `None` where it has none or is
/// per cycle of a clock of its own.
fn unit(metric: &str, counter: Option<String>) -> Option<String> {
    let suffix = metric.split_once('.')?.1;
    if suffix == "pct" || suffix.contains(".pct_of_peak") {
        return Some("%".to_owned());
    }
    let counter = match counter?.as_str() {
        "nanosecond" => "ns".to_owned(),
        // The clocks of single units: `gpc_cycle`, `fbp_cycle`.
        name if name.ends_with("cycle") => "cycle".to_owned(),
        name => name.to_owned(),
    };
    match suffix.split_once('.') {
        None if ["sum", "avg", "min", "max"].contains(&suffix) => Some(counter),
        Some((_, "per_second")) if counter == "cycle" => Some("hz".to_owned()),
        Some((_, "per_second")) => Some(format!("{counter}/s")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_the_tables() {
        let of = |metric: &str, counter: &str| unit(metric, Some(counter.to_owned()));
        assert_eq!(of("gpu__time_duration.sum", "nanosecond").as_deref(), Some("ns"));
        assert_eq!(of("dram__bytes.sum", "byte").as_deref(), Some("byte"));
        assert_eq!(of("dram__bytes.sum.per_second", "byte").as_deref(), Some("byte/s"));
        assert_eq!(of("sm__cycles_elapsed.avg.per_second", "gpc_cycle").as_deref(), Some("hz"));
        assert_eq!(of("sm__warps_active.avg.pct_of_peak_sustained_active", "gpc_cyclewarp").as_deref(), Some("%"));
        assert_eq!(of("dram__bytes.sum.peak_sustained", "byte"), None);
        assert_eq!((of("x.ratio", "instruction"), unit("x.sum", None)), (None, None));
    }
}
