//! Regions: calls, ranges and marks.

use proftool_trace::rows::Call;

use super::State;
use super::place::Place;
use crate::Error;
use crate::raw::Severity;
use crate::raw::json::Cursor;
use crate::rocm::fields;
use crate::rocm::ids::{Callers, take};
use crate::rocm::markers::{self, Marker};

/// A region or sample with its names looked up.
pub(super) struct Region<'r> {
    pub(super) category: &'r str,
    pub(super) function: &'r str,
    /// The column of the event's JSON.
    pub(super) extdata: usize,
    pub(super) is_sample: bool,
    pub(super) process: Option<i64>,
    pub(super) thread: Option<i64>,
}

/// What a category of regions becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Api(&'static str),
    Marker,
    /// A function that rocprofiler-systems instrumented, or whatever else has a begin and an end.
    Range,
    /// Events of the kernel driver.
    Driver,
}

/// Categories by a part of their names; the first that fits counts. rocprofv3 writes them in capitals
/// (`HIP_RUNTIME_API_EXT`), rocprofiler-systems in small letters (`rocm_hip_api`).
const SORTS: &[(&str, Sort)] = &[
    ("marker", Sort::Marker),
    ("kfd", Sort::Driver),
    ("hsa", Sort::Api("driver")),
    ("hip", Sort::Api("runtime")),
    ("rccl", Sort::Api("runtime")),
    ("rocdecode", Sort::Api("runtime")),
    ("rocjpeg", Sort::Api("runtime")),
    ("rocshmem", Sort::Api("runtime")),
    ("mpi", Sort::Api("mpi")),
    ("ucx", Sort::Api("ucx")),
    ("pthread", Sort::Api("osrt")),
];

fn sort(category: &str) -> Sort {
    let holds =
        |part: &str| category.as_bytes().windows(part.len()).any(|text| text.eq_ignore_ascii_case(part.as_bytes()));
    SORTS.iter().find(|(part, _)| holds(part)).map_or(Sort::Range, |(_, sort)| *sort)
}

/// Calls so far, and the ranges kept until all are known.
#[derive(Default)]
pub(super) struct Calls {
    callers: Callers,
    markers: Vec<Marker>,
}

impl Calls {
    pub(super) fn take(
        &mut self,
        place: &Place<'_>,
        region: &Region<'_>,
        state: &mut State<'_, '_>,
    ) -> Result<(), Error> {
        match sort(region.category) {
            Sort::Driver => {
                state.import.issue(Severity::Info, "driver_event", 1, "events of the kernel driver are left out");
            }
            Sort::Marker => match markers::style(region.function) {
                Some(style) => self.range(place, region, style, None, state),
                None => return self.call(place, region, "runtime", state),
            },
            // A call that took no time, its name lost, or what a sampler saw.
            _ if region.is_sample => {}
            Sort::Range => self.range(place, region, "push_pop", Some(region.category), state),
            Sort::Api(api) => return self.call(place, region, api, state),
        }
        Ok(())
    }

    fn call(
        &mut self,
        place: &Place<'_>,
        region: &Region<'_>,
        api: &str,
        state: &mut State<'_, '_>,
    ) -> Result<(), Error> {
        let Some((start_ns, end_ns)) = place.times(state) else { return Ok(()) };
        let id = take(&mut state.ids.call);
        let correlation = place.correlation();
        self.callers.add(correlation, id);
        let (process, thread, name) = (region.process, region.thread, region.function);
        let row = Call { id, process, thread, api, name, start_ns, end_ns, correlation, ..Call::default() };
        state.import.call(&row, || place.text())
    }

    fn range(
        &mut self,
        place: &Place<'_>,
        region: &Region<'_>,
        style: &'static str,
        domain: Option<&str>,
        state: &mut State<'_, '_>,
    ) {
        let Some((start_ns, end_ns)) = place.times(state) else { return };
        if place.row.is_blob(region.extdata) {
            let detail =
                "messages of ranges are packed by the profiler's LZ4 extension; ranges are named after their functions";
            state.import.issue(Severity::DataLoss, "packed_messages", 1, detail);
        }
        let message = place.row.text(region.extdata).and_then(message);
        let name = message.unwrap_or_else(|| region.function.into());
        let (process, thread, domain) = (region.process, region.thread, domain.map(Into::into));
        self.markers.push(Marker { process, thread, domain, name, style, start_ns, end_ns });
    }

    pub(super) fn finish(&mut self, state: &mut State<'_, '_>) -> Result<(), Error> {
        self.callers.close();
        markers::put(std::mem::take(&mut self.markers), &mut state.ids.range, state.import)
    }

    /// The call that caused a row: its stack id is rocprofiler's internal correlation id.
    pub(super) fn caller(&self, correlation: Option<i64>, state: &mut State<'_, '_>) -> Option<i64> {
        let call = self.callers.get(correlation);
        state.unlaunched += u64::from(call.is_none());
        call
    }
}

/// The message in an event's JSON.
fn message(extdata: &str) -> Option<Box<str>> {
    let mut message = None;
    let read = fields::object(&mut Cursor::new(extdata.as_bytes()), |key, cursor| {
        if key != b"message" {
            return Ok(false);
        }
        message = fields::text(cursor)?;
        Ok(true)
    });
    read.ok().and(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_of_both_writers_are_sorted() {
        assert_eq!(sort("HIP_RUNTIME_API_EXT"), Sort::Api("runtime"));
        assert_eq!(sort("rocm_hsa_api"), Sort::Api("driver"));
        assert_eq!(sort("MARKER_CORE_RANGE_API"), Sort::Marker);
        assert_eq!(sort("KFD_PAGE_FAULT"), Sort::Driver);
        assert_eq!(sort("mpi"), Sort::Api("mpi"));
        assert_eq!([sort("host"), sort("")], [Sort::Range; 2]);
    }

    #[test]
    fn a_message_is_read_and_anything_else_is_none() {
        assert_eq!(message(r#"{"other":[1],"message":"step \u0031"}"#).as_deref(), Some("step 1"));
        assert_eq!([message("{}"), message(""), message("{\"message\":")], [None, None, None]);
    }
}
