//! One line of a JSON export, and the rows that it stands for.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::export::Cell;
use super::int;

/// A row of a table.
pub(super) struct Rows<'r, 'c> {
    pub(super) table: &'static str,
    pub(super) columns: &'static [&'static str],
    pub(super) cells: &'r [Cell<'c>],
}

type Take<'t> = &'t mut dyn FnMut(Rows<'_, '_>);

/// One line. Exactly one kind of event is in it, or a list of texts.
#[derive(Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Line<'a> {
    /// All texts, in the order of their numbers; also a list of threads, which is not read.
    #[serde(borrow)]
    data: Texts<'a>,
    /// With `--separate-strings`: `String`, and its number and text.
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    id: Number,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    #[serde(rename = "CudaEvent")]
    cuda: Option<Cuda>,
    #[serde(rename = "TraceProcessEvent")]
    call: Option<Call>,
    #[serde(borrow, rename = "NvtxEvent")]
    nvtx: Option<Nvtx<'a>>,
    #[serde(borrow, rename = "DiagnosticEvent")]
    diagnostic: Option<Diagnostic<'a>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cuda {
    start_ns: Number,
    end_ns: Number,
    correlation_id: Number,
    device_id: Number,
    context_id: Number,
    stream_id: Number,
    global_pid: Number,
    kernel: Option<Kernel>,
    memcpy: Option<Memcpy>,
    memset: Option<Memset>,
    sync: Option<Sync>,
    graph: Option<Graph>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Kernel {
    demangled_name: Number,
    short_name: Number,
    mangled_name: Number,
    grid_x: Number,
    grid_y: Number,
    grid_z: Number,
    block_x: Number,
    block_y: Number,
    block_z: Number,
    static_shared_memory: Number,
    dynamic_shared_memory: Number,
    registers_per_thread: Number,
    graph_node_id: Number,
    graph_id: Number,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Memcpy {
    sizebytes: Number,
    copy_kind: Number,
    src_kind: Number,
    dst_kind: Number,
    src_device_id: Number,
    dst_device_id: Number,
    graph_node_id: Number,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Memset {
    sizebytes: Number,
    mem_kind: Number,
    graph_node_id: Number,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Sync {
    sync_type: Number,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Graph {
    graph_id: Number,
    graph_exec_id: Number,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Call {
    start_ns: Number,
    end_ns: Number,
    correlation_id: Number,
    event_class: Number,
    name: Number,
    global_tid: Number,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Nvtx<'a> {
    r#type: Number,
    timestamp: Number,
    end_timestamp: Number,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    text_id: Number,
    global_tid: Number,
    end_global_tid: Number,
    domain_id: Number,
    category: Number,
    #[serde(borrow)]
    payload: Option<Payload<'a>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Payload<'a> {
    #[serde(rename = "UInt64Value")]
    uint64: Number,
    #[serde(rename = "Int64Value")]
    int64: Number,
    #[serde(rename = "DoubleValue")]
    double: Option<f64>,
    #[serde(rename = "UInt32Value")]
    uint32: Number,
    #[serde(rename = "Int32Value")]
    int32: Number,
    #[serde(rename = "FloatValue")]
    float: Option<f64>,
    #[serde(borrow, rename = "JsonText")]
    json: Option<Cow<'a, str>>,
}

#[derive(Default, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Diagnostic<'a> {
    #[serde(borrow)]
    level: Option<Cow<'a, str>>,
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

const STRINGS: &[&str] = &["id", "value"];
const CALLS: &[&str] = &["start", "end", "eventClass", "globalTid", "correlationId", "nameId"];
const KERNELS: &[&str] = &[
    "start",
    "end",
    "deviceId",
    "contextId",
    "streamId",
    "correlationId",
    "globalPid",
    "demangledName",
    "shortName",
    "mangledName",
    "registersPerThread",
    "gridX",
    "gridY",
    "gridZ",
    "blockX",
    "blockY",
    "blockZ",
    "staticSharedMemory",
    "dynamicSharedMemory",
    "graphNodeId",
    "graphId",
];
const COPIES: &[&str] = &[
    "start",
    "end",
    "deviceId",
    "contextId",
    "streamId",
    "correlationId",
    "globalPid",
    "bytes",
    "copyKind",
    "srcKind",
    "dstKind",
    "srcDeviceId",
    "dstDeviceId",
    "graphNodeId",
];
const SETS: &[&str] = &[
    "start",
    "end",
    "deviceId",
    "contextId",
    "streamId",
    "correlationId",
    "globalPid",
    "bytes",
    "memKind",
    "graphNodeId",
];
const SYNCS: &[&str] = &["start", "end", "deviceId", "contextId", "streamId", "correlationId", "globalPid", "syncType"];
const GRAPHS: &[&str] =
    &["start", "end", "deviceId", "contextId", "streamId", "correlationId", "globalPid", "graphId", "graphExecId"];
const NVTX: &[&str] = &[
    "start",
    "end",
    "eventType",
    "globalTid",
    "endGlobalTid",
    "domainId",
    "text",
    "textId",
    "category",
    "uint64Value",
    "int64Value",
    "doubleValue",
    "uint32Value",
    "int32Value",
    "floatValue",
    "jsonText",
];
const DIAGNOSTICS: &[&str] = &["severity", "text"];

impl Line<'_> {
    /// Hands over the rows that the line stands for; none for events that no table is made of.
    pub(super) fn rows(&self, take: Take<'_>) {
        for (id, text) in self.data.0.iter().enumerate() {
            let cells = [Cell::Int(id as i64), Cell::Text(text.as_bytes())];
            take(Rows { table: "StringIds", columns: STRINGS, cells: &cells });
        }
        if let (Some("String"), Some(value)) = (self.kind.as_deref(), &self.value) {
            let cells = [int(self.id.0), Cell::Text(value.as_bytes())];
            take(Rows { table: "StringIds", columns: STRINGS, cells: &cells });
        }
        if let Some(call) = &self.call {
            call.rows(take);
        }
        if let Some(cuda) = &self.cuda {
            cuda.rows(take);
        }
        if let Some(nvtx) = &self.nvtx {
            nvtx.rows(take);
        }
        if let Some(Diagnostic { level, text: Some(text) }) = &self.diagnostic {
            let severity = match level.as_deref() {
                Some("Info") => 1,
                Some("Warning") => 2,
                Some("Error") => 3,
                _ => 0,
            };
            let cells = [Cell::Int(severity), Cell::Text(text.as_bytes())];
            take(Rows { table: "DIAGNOSTIC_EVENT", columns: DIAGNOSTICS, cells: &cells });
        }
    }
}

impl Call {
    /// Event classes as the tables have them: 0, 1 and 67 are CUDA's, 27 and its marks the operating system's.
    fn rows(&self, take: Take<'_>) {
        let table = match self.event_class.0 {
            Some(0 | 1 | 67) => "CUPTI_ACTIVITY_KIND_RUNTIME",
            Some(27 | 31 | 32) => "OSRT_API",
            _ => return,
        };
        let values = [self.start_ns, self.end_ns, self.event_class, self.global_tid, self.correlation_id, self.name];
        take(Rows { table, columns: CALLS, cells: &values.map(|value| int(value.0)) });
    }
}

impl Cuda {
    fn rows(&self, take: Take<'_>) {
        let common = [
            self.start_ns,
            self.end_ns,
            self.device_id,
            self.context_id,
            self.stream_id,
            self.correlation_id,
            self.global_pid,
        ];
        let mut row = |table, columns, more: &[Number]| {
            let cells: Vec<Cell<'_>> = common.iter().chain(more).map(|value| int(value.0)).collect();
            take(Rows { table, columns, cells: &cells });
        };
        if let Some(k) = &self.kernel {
            row(
                "CUPTI_ACTIVITY_KIND_KERNEL",
                KERNELS,
                &[
                    k.demangled_name,
                    k.short_name,
                    k.mangled_name,
                    k.registers_per_thread,
                    k.grid_x,
                    k.grid_y,
                    k.grid_z,
                    k.block_x,
                    k.block_y,
                    k.block_z,
                    k.static_shared_memory,
                    k.dynamic_shared_memory,
                    k.graph_node_id,
                    k.graph_id,
                ],
            );
        }
        if let Some(m) = &self.memcpy {
            row(
                "CUPTI_ACTIVITY_KIND_MEMCPY",
                COPIES,
                &[m.sizebytes, m.copy_kind, m.src_kind, m.dst_kind, m.src_device_id, m.dst_device_id, m.graph_node_id],
            );
        }
        if let Some(m) = &self.memset {
            row("CUPTI_ACTIVITY_KIND_MEMSET", SETS, &[m.sizebytes, m.mem_kind, m.graph_node_id]);
        }
        if let Some(sync) = &self.sync {
            row("CUPTI_ACTIVITY_KIND_SYNCHRONIZATION", SYNCS, &[sync.sync_type]);
        }
        if let Some(graph) = &self.graph {
            row("CUPTI_ACTIVITY_KIND_GRAPH_TRACE", GRAPHS, &[graph.graph_id, graph.graph_exec_id]);
        }
    }
}

impl Nvtx<'_> {
    fn rows(&self, take: Take<'_>) {
        let none = Payload::default();
        let payload = self.payload.as_ref().unwrap_or(&none);
        let real = |value: Option<f64>| value.map_or(Cell::Null, Cell::Real);
        let cells = [
            int(self.timestamp.0),
            int(self.end_timestamp.0),
            int(self.r#type.0),
            int(self.global_tid.0),
            int(self.end_global_tid.0),
            int(self.domain_id.0),
            text(self.text.as_deref()),
            int(self.text_id.0),
            int(self.category.0),
            int(payload.uint64.0),
            int(payload.int64.0),
            real(payload.double),
            int(payload.uint32.0),
            int(payload.int32.0),
            real(payload.float),
            text(payload.json.as_deref()),
        ];
        take(Rows { table: "NVTX_EVENTS", columns: NVTX, cells: &cells });
    }
}

fn text(text: Option<&str>) -> Cell<'_> {
    text.map_or(Cell::Null, |text| Cell::Text(text.as_bytes()))
}

/// A whole number, written as one or in quotes. Unsigned ones of 64 bits keep their bits.
#[derive(Clone, Copy, Default)]
struct Number(Option<i64>);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Digits;
        impl Visitor<'_> for Digits {
            type Value = Number;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a whole number, perhaps in quotes")
            }
            fn visit_i64<E>(self, value: i64) -> Result<Number, E> {
                Ok(Number(Some(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Number, E> {
                Ok(Number(Some(value.cast_signed())))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Number, E> {
                Ok(Number((value.fract() == 0.0 && value.abs() < 9e18).then_some(value as i64)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Number, E> {
                let number = value.parse().ok().or_else(|| value.parse().ok().map(u64::cast_signed));
                Ok(Number(number))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Number, E> {
                Ok(Number(Some(i64::from(value))))
            }
            fn visit_unit<E>(self) -> Result<Number, E> {
                Ok(Number(None))
            }
        }
        deserializer.deserialize_any(Digits)
    }
}

/// A list of texts; a list of anything else is read as an empty one.
#[derive(Default)]
struct Texts<'a>(Vec<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Texts<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts<'de>, A::Error> {
                let mut texts = Vec::new();
                let mut all_texts = true;
                while let Some(element) = list.next_element::<Element<'de>>()? {
                    match element.0 {
                        Some(text) => texts.push(text),
                        None => all_texts = false,
                    }
                }
                if !all_texts {
                    texts.clear();
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// A text, or something else.
struct Element<'a>(Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Element<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Element<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text or an object")
            }
            fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Element<'de>, E> {
                Ok(Element(Some(Cow::Borrowed(value))))
            }
            fn visit_str<E>(self, value: &str) -> Result<Element<'de>, E> {
                Ok(Element(Some(Cow::Owned(value.to_owned()))))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Element(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Element<'de>, E> {
                Ok(Element(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Element<'de>, E> {
                Ok(Element(None))
            }
            fn visit_unit<E>(self) -> Result<Element<'de>, E> {
                Ok(Element(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
