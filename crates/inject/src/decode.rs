//! From CUPTI's records to rows of the file (`docs/inject.md` lists their fields).

use std::ffi::c_char;

use proftool_tracer::ABSENT;

use crate::layouts::{
    api, context, copy, device, external, graph, kernel, marker, marker_data, name, peer_copy, set, stream, sync,
};
use crate::record::Record;

/// The kinds of records that are asked for and read: numbers of `CUpti_ActivityKind`.
pub(crate) mod kind {
    pub(crate) const MEMCPY: u32 = 1;
    pub(crate) const MEMSET: u32 = 2;
    pub(crate) const KERNEL: u32 = 3;
    pub(crate) const DRIVER: u32 = 4;
    pub(crate) const RUNTIME: u32 = 5;
    pub(crate) const DEVICE: u32 = 8;
    pub(crate) const CONTEXT: u32 = 9;
    pub(crate) const CONCURRENT_KERNEL: u32 = 10;
    pub(crate) const NAME: u32 = 11;
    pub(crate) const MARKER: u32 = 12;
    pub(crate) const MARKER_DATA: u32 = 13;
    pub(crate) const MEMCPY2: u32 = 22;
    pub(crate) const STREAM: u32 = 37;
    pub(crate) const SYNCHRONIZATION: u32 = 38;
    pub(crate) const EXTERNAL_CORRELATION: u32 = 39;
    pub(crate) const GRAPH_TRACE: u32 = 51;
}

/// `CUPTI_CB_DOMAIN_*`: whose functions a number names.
const DRIVER_DOMAIN: u32 = 1;
const RUNTIME_DOMAIN: u32 = 2;
/// `CUPTI_ACTIVITY_OBJECT_THREAD`.
const THREAD: i64 = 2;

/// What a record refers to by address or number.
pub(crate) trait Texts {
    /// The number of a string of CUPTI, absent for a null pointer.
    fn pointed(&mut self, text: *const c_char) -> i64;
    /// The number of the name of a function of CUDA.
    fn function(&mut self, domain: u32, number: u32) -> i64;
}

/// The rows of a buffer, a table a kind.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) kernels: Vec<[i64; 17]>,
    pub(crate) copies: Vec<[i64; 14]>,
    pub(crate) sets: Vec<[i64; 11]>,
    pub(crate) syncs: Vec<[i64; 7]>,
    pub(crate) calls: Vec<[i64; 8]>,
    pub(crate) markers: Vec<[i64; 7]>,
    pub(crate) payloads: Vec<[i64; 4]>,
    pub(crate) names: Vec<[i64; 5]>,
    pub(crate) graphs: Vec<[i64; 7]>,
    pub(crate) devices: Vec<[i64; 9]>,
    pub(crate) contexts: Vec<[i64; 2]>,
    pub(crate) streams: Vec<[i64; 3]>,
    pub(crate) externals: Vec<[i64; 3]>,
    /// Records of a kind that is not read.
    pub(crate) unknown: i64,
    /// Records that a buffer ends inside.
    pub(crate) cut: i64,
}

impl Rows {
    /// Adds the record that these bytes, up to the buffer's end, begin with.
    pub(crate) fn add(&mut self, bytes: &[u8], texts: &mut impl Texts) {
        if bytes.len() < 4 {
            self.cut += 1;
            return;
        }
        let kind = u32::from_ne_bytes(Record(bytes).bytes(0));
        let Some(read) = read(kind) else {
            self.unknown += 1;
            return;
        };
        match bytes.get(..read) {
            Some(bytes) => self.decode(kind, Record(bytes), texts),
            None => self.cut += 1,
        }
    }

    fn decode(&mut self, kind: u32, record: Record<'_>, texts: &mut impl Texts) {
        match kind {
            kind::CONCURRENT_KERNEL | kind::KERNEL => self.kernels.push(kernel_row(record, texts)),
            kind::MEMCPY => self.copies.push(copy_row(record)),
            kind::MEMCPY2 => self.copies.push(peer_copy_row(record)),
            kind::MEMSET => self.sets.push(set_row(record)),
            kind::SYNCHRONIZATION => self.syncs.push(sync_row(record)),
            kind::RUNTIME => self.calls.push(call_row(record, RUNTIME_DOMAIN, texts)),
            kind::DRIVER => self.calls.push(call_row(record, DRIVER_DOMAIN, texts)),
            kind::MARKER => self.markers.push(marker_row(record, texts)),
            kind::MARKER_DATA => self.payloads.push(payload_row(record)),
            kind::NAME => self.names.push(name_row(record, texts)),
            kind::GRAPH_TRACE => self.graphs.push(graph_row(record)),
            kind::DEVICE => self.devices.push(device_row(record, texts)),
            kind::CONTEXT => self.contexts.push([record.word(context::ID), record.word(context::DEVICE)]),
            kind::STREAM => self.streams.push(stream_row(record)),
            kind::EXTERNAL_CORRELATION => self.externals.push(external_row(record)),
            _ => self.unknown += 1,
        }
    }
}

/// How much of a record of that kind is read; `None` for a kind that is not.
fn read(kind: u32) -> Option<usize> {
    Some(match kind {
        kind::CONCURRENT_KERNEL | kind::KERNEL => kernel::READ,
        kind::MEMCPY => copy::READ,
        kind::MEMCPY2 => peer_copy::READ,
        kind::MEMSET => set::READ,
        kind::SYNCHRONIZATION => sync::READ,
        kind::RUNTIME | kind::DRIVER => api::READ,
        kind::MARKER => marker::READ,
        kind::MARKER_DATA => marker_data::READ,
        kind::NAME => name::READ,
        kind::GRAPH_TRACE => graph::READ,
        kind::DEVICE => device::READ,
        kind::CONTEXT => context::READ,
        kind::STREAM => stream::READ,
        kind::EXTERNAL_CORRELATION => external::READ,
        _ => return None,
    })
}

fn kernel_row(record: Record<'_>, texts: &mut impl Texts) -> [i64; 17] {
    use kernel as at;
    let [start, end] = record.span(at::START, at::END);
    let [graph, node] = record.graph(at::GRAPH, at::GRAPH_NODE);
    let word = |at| record.word(at);
    [
        word(at::CORRELATION),
        word(at::DEVICE),
        word(at::CONTEXT),
        word(at::STREAM),
        start,
        end,
        texts.pointed(record.pointer(at::NAME)),
        word(at::GRID_X),
        word(at::GRID_Y),
        word(at::GRID_Z),
        word(at::BLOCK_X),
        word(at::BLOCK_Y),
        word(at::BLOCK_Z),
        record.half(at::REGISTERS),
        word(at::STATIC_SHARED) + word(at::DYNAMIC_SHARED),
        graph,
        node,
    ]
}

fn copy_row(record: Record<'_>) -> [i64; 14] {
    use copy as at;
    let [start, end] = record.span(at::START, at::END);
    let [graph, node] = record.graph(at::GRAPH, at::GRAPH_NODE);
    [
        record.word(at::CORRELATION),
        record.word(at::DEVICE),
        record.word(at::CONTEXT),
        record.word(at::STREAM),
        start,
        end,
        record.long(at::BYTES),
        record.byte(at::COPY_KIND),
        record.byte(at::SRC_KIND),
        record.byte(at::DST_KIND),
        ABSENT,
        ABSENT,
        graph,
        node,
    ]
}

fn peer_copy_row(record: Record<'_>) -> [i64; 14] {
    use peer_copy as at;
    let [start, end] = record.span(at::START, at::END);
    let [graph, node] = record.graph(at::GRAPH, at::GRAPH_NODE);
    [
        record.word(at::CORRELATION),
        record.word(at::DEVICE),
        record.word(at::CONTEXT),
        record.word(at::STREAM),
        start,
        end,
        record.long(at::BYTES),
        record.byte(at::COPY_KIND),
        record.byte(at::SRC_KIND),
        record.byte(at::DST_KIND),
        record.id(at::SRC_DEVICE),
        record.id(at::DST_DEVICE),
        graph,
        node,
    ]
}

fn set_row(record: Record<'_>) -> [i64; 11] {
    use set as at;
    let [start, end] = record.span(at::START, at::END);
    let [graph, node] = record.graph(at::GRAPH, at::GRAPH_NODE);
    let [correlation, device, context, stream, value] =
        [at::CORRELATION, at::DEVICE, at::CONTEXT, at::STREAM, at::VALUE].map(|at| record.word(at));
    let bytes = record.long(at::BYTES);
    [correlation, device, context, stream, start, end, bytes, value, record.half(at::MEMORY_KIND), graph, node]
}

fn sync_row(record: Record<'_>) -> [i64; 7] {
    use sync as at;
    let [start, end] = record.span(at::START, at::END);
    let [context, stream, event] = [at::CONTEXT, at::STREAM, at::EVENT].map(|at| record.id(at));
    [record.word(at::CORRELATION), context, stream, start, end, record.word(at::SYNC_KIND), event]
}

fn call_row(record: Record<'_>, domain: u32, texts: &mut impl Texts) -> [i64; 8] {
    use api as at;
    let [start, end] = record.span(at::START, at::END);
    let [correlation, process, thread, returned] =
        [at::CORRELATION, at::PROCESS, at::THREAD, at::RETURNED].map(|at| record.word(at));
    let name = texts.function(domain, record.word(at::CBID) as u32);
    [i64::from(domain == DRIVER_DOMAIN), correlation, process, thread, start, end, name, returned]
}

fn marker_row(record: Record<'_>, texts: &mut impl Texts) -> [i64; 7] {
    use marker as at;
    let of_thread = record.word(at::OBJECT_KIND) == THREAD;
    let [process, thread] = [at::PROCESS, at::THREAD].map(|at| if of_thread { record.word(at) } else { ABSENT });
    let [name, domain] = [at::NAME, at::DOMAIN].map(|at| texts.pointed(record.pointer(at)));
    [record.word(at::ID), record.word(at::FLAGS), record.long(at::TIMESTAMP), process, thread, name, domain]
}

fn payload_row(record: Record<'_>) -> [i64; 4] {
    use marker_data as at;
    [record.word(at::ID), record.word(at::PAYLOAD_KIND), record.long(at::PAYLOAD), record.word(at::CATEGORY)]
}

fn name_row(record: Record<'_>, texts: &mut impl Texts) -> [i64; 5] {
    use name as at;
    let [kind, first, second, third] = [at::OBJECT_KIND, at::FIRST, at::SECOND, at::THIRD].map(|at| record.word(at));
    [kind, first, second, third, texts.pointed(record.pointer(at::NAME))]
}

fn graph_row(record: Record<'_>) -> [i64; 7] {
    use graph as at;
    let [start, end] = record.span(at::START, at::END);
    let [correlation, device, context, stream, graph] =
        [at::CORRELATION, at::DEVICE, at::CONTEXT, at::STREAM, at::GRAPH].map(|at| record.word(at));
    [correlation, device, context, stream, start, end, graph]
}

fn device_row(record: Record<'_>, texts: &mut impl Texts) -> [i64; 9] {
    use device as at;
    let name = texts.pointed(record.pointer(at::NAME));
    let [id, major, minor, multiprocessors, clock_khz] =
        [at::ID, at::MAJOR, at::MINOR, at::MULTIPROCESSORS, at::CLOCK_KHZ].map(|at| record.word(at));
    // The order of printing: the first byte is the highest.
    let [high, low] = [at::UUID, at::UUID + 8].map(|at| i64::from_be_bytes(record.bytes(at)));
    [id, name, major, minor, multiprocessors, record.long(at::MEMORY), clock_khz * 1000, high, low]
}

fn stream_row(record: Record<'_>) -> [i64; 3] {
    let priority = i32::from_ne_bytes(record.bytes(stream::PRIORITY));
    [record.word(stream::CONTEXT), record.word(stream::ID), i64::from(priority)]
}

fn external_row(record: Record<'_>) -> [i64; 3] {
    use external as at;
    [record.word(at::EXTERNAL_KIND), record.long(at::EXTERNAL_ID), record.word(at::CORRELATION)]
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Texts for Nothing {
        fn pointed(&mut self, text: *const c_char) -> i64 {
            if text.is_null() { ABSENT } else { text as i64 }
        }

        fn function(&mut self, domain: u32, number: u32) -> i64 {
            i64::from(domain * 1000 + number)
        }
    }

    fn record(kind: u32, fields: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 256];
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        for (at, field) in fields {
            bytes[*at..at + field.len()].copy_from_slice(field);
        }
        bytes
    }

    fn rows(bytes: &[u8]) -> Rows {
        let mut rows = Rows::default();
        rows.add(bytes, &mut Nothing);
        rows
    }

    #[test]
    fn a_kernel_outside_a_graph_and_without_a_time_has_neither() {
        let bytes = record(kind::CONCURRENT_KERNEL, &[(kernel::CORRELATION, &[9]), (kernel::STATIC_SHARED, &[1, 1])]);
        let row = rows(&bytes).kernels[0];
        assert_eq!((row[0], row[4], row[5], row[6], row[14]), (9, ABSENT, ABSENT, ABSENT, 257));
        assert_eq!(row[15..], [ABSENT, ABSENT]);
    }

    #[test]
    fn a_call_has_the_interface_of_its_record() {
        let runtime = rows(&record(kind::RUNTIME, &[(api::CBID, &[5])])).calls[0];
        let driver = rows(&record(kind::DRIVER, &[(api::CBID, &[5])])).calls[0];
        assert_eq!((runtime[0], runtime[6], driver[0], driver[6]), (0, 2005, 1, 1005));
    }

    #[test]
    fn a_wait_for_a_whole_context_has_no_stream() {
        let row = rows(&record(kind::SYNCHRONIZATION, &[(sync::STREAM, &[255; 4])])).syncs[0];
        assert_eq!(row[2], ABSENT);
    }

    #[test]
    fn an_unknown_kind_and_a_cut_record_are_counted() {
        assert_eq!(rows(&record(9999, &[])).unknown, 1);
        for length in [0, 3, 4, kernel::READ - 1] {
            let rows = rows(&record(kind::CONCURRENT_KERNEL, &[])[..length]);
            assert_eq!((rows.cut, rows.kernels.len()), (1, 0), "{length}");
        }
    }

    #[test]
    fn priorities_are_signed() {
        let row = rows(&record(kind::STREAM, &[(stream::PRIORITY, &[251, 255, 255, 255])])).streams[0];
        assert_eq!(row[2], -5);
    }
}
