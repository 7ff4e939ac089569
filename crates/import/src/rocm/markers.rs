//! ROCTx ranges and marks, and how they nest.

use proftool_trace::rows::Range;

use crate::Error;
use crate::raw::Import;

/// One range or mark.
#[derive(Clone, Debug)]
pub(crate) struct Marker {
    pub(crate) process: Option<i64>,
    pub(crate) thread: Option<i64>,
    pub(crate) domain: Option<Box<str>>,
    pub(crate) name: Box<str>,
    pub(crate) style: &'static str,
    pub(crate) start_ns: i64,
    pub(crate) end_ns: i64,
}

/// The style of a range by the function that made it. rocprofv3 writes one record a range, named after the function
/// that began it; `None` for functions that make none.
pub(crate) fn style(function: &str) -> Option<&'static str> {
    let function = function.trim_start_matches("roctx");
    if ["RangePush", "ThreadRange"].iter().any(|begin| function.starts_with(begin)) {
        Some("push_pop")
    } else if ["RangeStart", "ProcessRange"].iter().any(|begin| function.starts_with(begin)) {
        Some("start_end")
    } else {
        function.starts_with("Mark").then_some("mark")
    }
}

/// Puts the ranges, with the enclosing push-pop range of each on its thread. Ids count on from `next`.
///
/// # Errors
/// When a row cannot be written.
pub(crate) fn put(mut markers: Vec<Marker>, next: &mut i64, import: &mut Import<'_>) -> Result<(), Error> {
    markers.retain(|marker| import.possible(marker.start_ns, marker.end_ns, || place(marker)));
    // The outer of two ranges that begin together is the longer.
    markers.sort_by_key(|marker| (marker.process, marker.thread, marker.start_ns, std::cmp::Reverse(marker.end_ns)));
    let mut open: Vec<(i64, &Marker)> = Vec::new();
    for marker in &markers {
        let id = *next;
        *next += 1;
        let same = |outer: &Marker| (outer.process, outer.thread) == (marker.process, marker.thread);
        open.retain(|(_, outer)| same(outer) && outer.end_ns >= marker.start_ns);
        let nests = marker.style != "start_end";
        let around = || open.iter().filter(|(_, outer)| nests && outer.end_ns >= marker.end_ns);
        let row = Range {
            id,
            parent: around().next_back().map(|(id, _)| *id),
            process: marker.process,
            thread: marker.thread,
            end_thread: (marker.style == "push_pop").then_some(marker.thread).flatten(),
            domain: marker.domain.as_deref(),
            name: &marker.name,
            style: marker.style,
            start_ns: marker.start_ns,
            end_ns: (marker.style != "mark").then_some(marker.end_ns),
            depth: nests.then(|| around().count() as i64),
            payload: None,
        };
        import.range(&row, || place(marker))?;
        if marker.style == "push_pop" {
            open.push((id, marker));
        }
    }
    Ok(())
}

fn place(marker: &Marker) -> String {
    format!("the range {:?}", marker.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_function_tells_the_style() {
        assert_eq!(style("roctxThreadRangeA"), Some("push_pop"));
        assert_eq!(style("roctxRangePushA"), Some("push_pop"));
        assert_eq!(style("roctxProcessRangeA"), Some("start_end"));
        assert_eq!(style("roctxRangeStartA"), Some("start_end"));
        assert_eq!(style("roctxMarkA"), Some("mark"));
        assert_eq!([style("roctxRangePop"), style("roctxProfilerPause")], [None, None]);
    }
}
