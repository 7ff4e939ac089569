//! Counters: counter events, the allocator's totals, and CUPTI's counters of a kernel.

use proftool_trace::rows::{Counter, CounterDef, Launch, Sample};

use super::event::{Event, integer};
use super::names::Names;
use crate::Error;
use crate::raw::Import;
use crate::raw::json::{Cursor, Fault, Text, float};

/// Definitions and launches so far.
#[derive(Default)]
pub(crate) struct Counters {
    defs: Names,
    defined: u32,
    kernels: Names,
    /// How often each kernel was launched so far.
    launched: Vec<i64>,
    launches: i64,
}

/// Why an event gave no rows.
pub(crate) enum Refused {
    /// Its text cannot be read.
    Fault(Fault),
    /// A row could not be written.
    Other(Error),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Counters {
    fn def(&mut self, import: &mut Import<'_>, metric: &str, unit: Option<&str>) -> Result<i64, Error> {
        let number = self.defs.number(metric);
        let def = i64::from(number);
        if number == self.defined {
            self.defined += 1;
            let tool = Some("kineto");
            import.put(&CounterDef { def, metric, unit, source: "counter", tool, ..CounterDef::default() })?;
        }
        Ok(def)
    }

    /// Takes a counter event (`C`): a sample for each of its series that is a number. `pid` is the device where it is the
    /// number of one; other processes count as device 0.
    pub(crate) fn event(
        &mut self,
        import: &mut Import<'_>,
        event: &Event<'_>,
        name: &str,
        ts: i64,
    ) -> Result<(), Refused> {
        let device = integer(event.pid).filter(|pid| (0..256).contains(pid)).unwrap_or(0);
        let mut scratch = String::new();
        each_number(event.raw_args, |series, value| {
            let series = series.read(&mut scratch)?;
            let metric =
                if series == name || series == "value" { name.to_owned() } else { format!("{name}: {series}") };
            let def = self.def(import, &metric, None)?;
            let row = Sample { device, def, start_ns: ts, end_ns: ts, value };
            Ok(import.sample(&row, String::new)?)
        })
    }

    /// Takes an event of the allocator: what is allocated and reserved on its device from then on. `false` where it is
    /// no event about a device's memory.
    pub(crate) fn memory(&mut self, import: &mut Import<'_>, event: &Event<'_>, ts: i64) -> Result<bool, Error> {
        let args = &event.args;
        // Type 0 is the host.
        let on_device = integer(args.memory_device_type).is_some_and(|kind| kind != 0);
        let Some(device) = integer(args.memory_device).filter(|device| *device >= 0 && on_device) else {
            return Ok(false);
        };
        for (metric, value) in [("Total Allocated", args.memory_allocated), ("Total Reserved", args.memory_reserved)] {
            if let Some(value) = integer(value) {
                let def = self.def(import, metric, Some("byte"))?;
                let row = Sample { device, def, start_ns: ts, end_ns: ts, value: Some(value as f64) };
                import.sample(&row, String::new)?;
            }
        }
        Ok(true)
    }

    /// Takes the counters of one kernel or range (`cuda_profiler_range`). Its times are not taken: Kineto spreads the
    /// kernels of a window evenly over it.
    pub(crate) fn profiled(&mut self, import: &mut Import<'_>, event: &Event<'_>, name: &str) -> Result<(), Refused> {
        let kernel = self.kernels.number(name) as usize;
        if kernel == self.launched.len() {
            self.launched.push(0);
        }
        let (launch, launch_index) = (self.launches, self.launched[kernel]);
        self.launches += 1;
        self.launched[kernel] += 1;
        let device = integer(event.args.device).or_else(|| integer(event.pid)).unwrap_or(0);
        import.put(&Launch { launch, device, name, launch_index, ..Launch::default() })?;
        let mut scratch = String::new();
        each_number(event.raw_args, |metric, value| {
            let def = self.def(import, metric.read(&mut scratch)?, None)?;
            Ok(import.put(&Counter { launch, def, value })?)
        })
    }
}

/// Runs `each` on the members of an object that are numbers; NaN and the infinities are absent values.
fn each_number(json: &[u8], mut each: impl FnMut(Text<'_>, Option<f64>) -> Result<(), Refused>) -> Result<(), Refused> {
    if json.is_empty() {
        return Ok(());
    }
    let (mut cursor, mut first) = (Cursor::new(json), true);
    cursor.object()?;
    while let Some(key) = cursor.key(&mut first)? {
        let value = cursor.value()?;
        let value = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value);
        let number = float(value);
        let absent = ["nan", "inf", "-inf", "infinity", "-infinity"];
        if number.is_some() || absent.iter().any(|word| value.eq_ignore_ascii_case(word.as_bytes())) {
            each(key, number)?;
        }
    }
    Ok(())
}
