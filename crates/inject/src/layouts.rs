//! Where the fields of CUPTI's activity records are, as byte offsets; `READ` is how far a record is read.
//!
//! Written by `scripts/cupti_layouts.py` from the headers in NVIDIA's wheels; do not edit. The fields that are read lie in
//! the same places in CUDA 11.7.101, 11.8.87, 12.0.146, 12.1.105, 12.2.142, 12.3.101, 12.4.127, 12.5.82, 12.6.80,
//! 12.8.90, 12.9.79, 13.0.85, 13.1.115, 13.2.86, 13.3.75, 13.4.92, 13.5.25.

/// `CUPTI_API_VERSION` of the oldest and newest of them.
pub(crate) const VERSIONS: std::ops::RangeInclusive<u32> = 17..=130_500;

/// `CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL`: `CUpti_ActivityKernel7` to `CUpti_ActivityKernel13`.
pub(crate) mod kernel {
    pub(crate) const READ: usize = 160;
    pub(crate) const START: usize = 16;
    pub(crate) const END: usize = 24;
    pub(crate) const DEVICE: usize = 40;
    pub(crate) const CONTEXT: usize = 44;
    pub(crate) const STREAM: usize = 48;
    pub(crate) const CORRELATION: usize = 92;
    pub(crate) const GRID_X: usize = 52;
    pub(crate) const GRID_Y: usize = 56;
    pub(crate) const GRID_Z: usize = 60;
    pub(crate) const BLOCK_X: usize = 64;
    pub(crate) const BLOCK_Y: usize = 68;
    pub(crate) const BLOCK_Z: usize = 72;
    pub(crate) const STATIC_SHARED: usize = 76;
    pub(crate) const DYNAMIC_SHARED: usize = 80;
    pub(crate) const REGISTERS: usize = 6;
    pub(crate) const NAME: usize = 104;
    pub(crate) const GRAPH: usize = 156;
    pub(crate) const GRAPH_NODE: usize = 144;
}

/// `CUPTI_ACTIVITY_KIND_MEMCPY`: `CUpti_ActivityMemcpy5` to `CUpti_ActivityMemcpy7`.
pub(crate) mod copy {
    pub(crate) const READ: usize = 76;
    pub(crate) const START: usize = 16;
    pub(crate) const END: usize = 24;
    pub(crate) const DEVICE: usize = 32;
    pub(crate) const CONTEXT: usize = 36;
    pub(crate) const STREAM: usize = 40;
    pub(crate) const CORRELATION: usize = 44;
    pub(crate) const BYTES: usize = 8;
    pub(crate) const COPY_KIND: usize = 4;
    pub(crate) const SRC_KIND: usize = 5;
    pub(crate) const DST_KIND: usize = 6;
    pub(crate) const GRAPH: usize = 72;
    pub(crate) const GRAPH_NODE: usize = 64;
}

/// `CUPTI_ACTIVITY_KIND_MEMCPY2`: `CUpti_ActivityMemcpyPtoP4`.
pub(crate) mod peer_copy {
    pub(crate) const READ: usize = 84;
    pub(crate) const START: usize = 16;
    pub(crate) const END: usize = 24;
    pub(crate) const DEVICE: usize = 32;
    pub(crate) const CONTEXT: usize = 36;
    pub(crate) const STREAM: usize = 40;
    pub(crate) const CORRELATION: usize = 60;
    pub(crate) const BYTES: usize = 8;
    pub(crate) const COPY_KIND: usize = 4;
    pub(crate) const SRC_KIND: usize = 5;
    pub(crate) const DST_KIND: usize = 6;
    pub(crate) const SRC_DEVICE: usize = 44;
    pub(crate) const DST_DEVICE: usize = 52;
    pub(crate) const GRAPH: usize = 80;
    pub(crate) const GRAPH_NODE: usize = 72;
}

/// `CUPTI_ACTIVITY_KIND_MEMSET`: `CUpti_ActivityMemset4` to `CUpti_ActivityMemset5`.
pub(crate) mod set {
    pub(crate) const READ: usize = 76;
    pub(crate) const START: usize = 16;
    pub(crate) const END: usize = 24;
    pub(crate) const DEVICE: usize = 32;
    pub(crate) const CONTEXT: usize = 36;
    pub(crate) const STREAM: usize = 40;
    pub(crate) const CORRELATION: usize = 44;
    pub(crate) const BYTES: usize = 8;
    pub(crate) const VALUE: usize = 4;
    pub(crate) const MEMORY_KIND: usize = 50;
    pub(crate) const GRAPH: usize = 72;
    pub(crate) const GRAPH_NODE: usize = 64;
}

/// `CUPTI_ACTIVITY_KIND_SYNCHRONIZATION`: `CUpti_ActivitySynchronization` to `CUpti_ActivitySynchronization2`.
pub(crate) mod sync {
    pub(crate) const READ: usize = 40;
    pub(crate) const START: usize = 8;
    pub(crate) const END: usize = 16;
    pub(crate) const CONTEXT: usize = 28;
    pub(crate) const STREAM: usize = 32;
    pub(crate) const CORRELATION: usize = 24;
    pub(crate) const EVENT: usize = 36;
    pub(crate) const SYNC_KIND: usize = 4;
}

/// `CUPTI_ACTIVITY_KIND_RUNTIME`: `CUpti_ActivityAPI`.
pub(crate) mod api {
    pub(crate) const READ: usize = 40;
    pub(crate) const START: usize = 8;
    pub(crate) const END: usize = 16;
    pub(crate) const PROCESS: usize = 24;
    pub(crate) const THREAD: usize = 28;
    pub(crate) const CORRELATION: usize = 32;
    pub(crate) const CBID: usize = 4;
    pub(crate) const RETURNED: usize = 36;
}

/// `CUPTI_ACTIVITY_KIND_MARKER`: `CUpti_ActivityMarker2`.
pub(crate) mod marker {
    pub(crate) const READ: usize = 56;
    pub(crate) const TIMESTAMP: usize = 8;
    pub(crate) const ID: usize = 16;
    pub(crate) const FLAGS: usize = 4;
    pub(crate) const OBJECT_KIND: usize = 20;
    pub(crate) const PROCESS: usize = 24;
    pub(crate) const THREAD: usize = 28;
    pub(crate) const NAME: usize = 40;
    pub(crate) const DOMAIN: usize = 48;
}

/// `CUPTI_ACTIVITY_KIND_MARKER_DATA`: `CUpti_ActivityMarkerData` to `CUpti_ActivityMarkerData2`.
pub(crate) mod marker_data {
    pub(crate) const READ: usize = 32;
    pub(crate) const ID: usize = 8;
    pub(crate) const PAYLOAD_KIND: usize = 12;
    pub(crate) const PAYLOAD: usize = 16;
    pub(crate) const CATEGORY: usize = 28;
}

/// `CUPTI_ACTIVITY_KIND_NAME`: `CUpti_ActivityName`.
pub(crate) mod name {
    pub(crate) const READ: usize = 32;
    pub(crate) const OBJECT_KIND: usize = 4;
    pub(crate) const FIRST: usize = 8;
    pub(crate) const SECOND: usize = 12;
    pub(crate) const THIRD: usize = 16;
    pub(crate) const NAME: usize = 24;
}

/// `CUPTI_ACTIVITY_KIND_GRAPH_TRACE`: `CUpti_ActivityGraphTrace` to `CUpti_ActivityGraphTrace2`.
pub(crate) mod graph {
    pub(crate) const READ: usize = 40;
    pub(crate) const START: usize = 8;
    pub(crate) const END: usize = 16;
    pub(crate) const DEVICE: usize = 24;
    pub(crate) const CONTEXT: usize = 32;
    pub(crate) const STREAM: usize = 36;
    pub(crate) const CORRELATION: usize = 4;
    pub(crate) const GRAPH: usize = 28;
}

/// `CUPTI_ACTIVITY_KIND_DEVICE`: `CUpti_ActivityDevice4` to `CUpti_ActivityDevice6`.
pub(crate) mod device {
    pub(crate) const READ: usize = 144;
    pub(crate) const ID: usize = 112;
    pub(crate) const NAME: usize = 136;
    pub(crate) const MULTIPROCESSORS: usize = 44;
    pub(crate) const MEMORY: usize = 16;
    pub(crate) const CLOCK_KHZ: usize = 36;
    pub(crate) const MAJOR: usize = 104;
    pub(crate) const MINOR: usize = 108;
    pub(crate) const UUID: usize = 120;
}

/// `CUPTI_ACTIVITY_KIND_CONTEXT`: `CUpti_ActivityContext` to `CUpti_ActivityContext4`.
pub(crate) mod context {
    pub(crate) const READ: usize = 12;
    pub(crate) const ID: usize = 4;
    pub(crate) const DEVICE: usize = 8;
}

/// `CUPTI_ACTIVITY_KIND_STREAM`: `CUpti_ActivityStream`.
pub(crate) mod stream {
    pub(crate) const READ: usize = 16;
    pub(crate) const CONTEXT: usize = 4;
    pub(crate) const ID: usize = 8;
    pub(crate) const PRIORITY: usize = 12;
}

/// `CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION`: `CUpti_ActivityExternalCorrelation`.
pub(crate) mod external {
    pub(crate) const READ: usize = 20;
    pub(crate) const EXTERNAL_KIND: usize = 4;
    pub(crate) const EXTERNAL_ID: usize = 8;
    pub(crate) const CORRELATION: usize = 16;
}
