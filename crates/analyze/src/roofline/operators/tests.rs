//! Whose rows are whose, on small traces written out.

use std::rc::Rc;

use proftool_roofline::Precision;
use serde_json::{Value, json};

use super::{Attribution, Role, attribute, counts, helper_counts};
use crate::fixture::{import_bytes, shared_data};
use crate::model::Model;

fn event(category: &str, name: &str, span: (i64, i64), arguments: &Value) -> Value {
    json!({
        "ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "ts": span.0, "dur": span.1 - span.0,
        "args": arguments
    })
}

fn operator(name: &str, span: (i64, i64), dims: &Value, concrete: &Value) -> Value {
    let dtype = |shape: &Value| if shape.as_array().is_some_and(|dims| !dims.is_empty()) { "float" } else { "" };
    let dtypes: Vec<&str> = dims.as_array().unwrap().iter().map(dtype).collect();
    event("cpu_op", name, span, &json!({ "Input Dims": dims, "Input type": dtypes, "Concrete Inputs": concrete }))
}

/// A call of that name at `at` which launches a row of that kind and time.
fn launch(call: &str, at: i64, kind: &str, span: (i64, i64)) -> [Value; 2] {
    let mut row = event(kind, "k", span, &json!({ "correlation": at, "device": 0, "stream": 7 }));
    (row["pid"], row["tid"]) = (json!(0), json!(7));
    [event("cuda_runtime", call, (at, at + 1), &json!({ "correlation": at })), row]
}

/// The attribution, and the role of each row in the order of time.
fn of(events: &[Value]) -> (Rc<Attribution>, Vec<Option<Role>>) {
    let text = json!({ "schemaVersion": 1, "traceEvents": events }).to_string();
    let tables = import_bytes("trace.json", text.as_bytes());
    let model = Model::read(&tables).unwrap();
    let attribution = attribute(&tables, &model).unwrap();
    let roles = (0..model.activities.len()).map(|row| attribution.role(row)).collect();
    (attribution, roles)
}

#[test]
fn the_longest_kernel_is_the_work_and_the_others_are_part_of_it() {
    let mut events = vec![operator("aten::mm", (0, 100), &json!([[4, 5], [5, 6]]), &json!(["", ""]))];
    events.extend(launch("cudaMemsetAsync", 10, "gpu_memset", (200, 201)));
    events.extend(launch("cudaLaunchKernel", 20, "kernel", (210, 220)));
    events.extend(launch("cudaLaunchKernel", 30, "kernel", (220, 230)));
    events.extend(launch("cudaMemcpyAsync", 40, "gpu_memcpy", (240, 290)));
    let (attribution, roles) = of(&events);
    assert_eq!(roles, [Some(Role::Helper(0)), Some(Role::Main(0)), Some(Role::Helper(0)), None]);
    let own = attribution.operators[0];
    assert_eq!((own.launches, own.time_ns, own.main), (4, 71_000, Some(1)));
    let work = attribution.operation(0);
    let main = counts(work);
    assert_eq!((main.flop_sum(), main.flop[0].precision, main.flop_known), (Some(240.0), Precision::F32, true));
    let helper = helper_counts(work);
    assert_eq!((helper.flop_sum(), helper.bytes[0].bytes, helper.flop.len()), (Some(0.0), 0.0, 0));
}

#[test]
fn an_operator_whose_parts_do_its_work_owns_nothing() {
    // Attention by two products (2 * 8*8 * 4 each = half of its FLOP each) and a kernel of its own.
    let dims = json!([[1, 8, 4], [1, 8, 4], [1, 8, 4], [], [], []]);
    let concrete = json!(["", "", "", "", "0.", "False"]);
    let mut events = vec![operator("aten::scaled_dot_product_attention", (0, 100), &dims, &concrete)];
    events.push(operator("aten::bmm", (10, 20), &json!([[1, 8, 4], [1, 4, 8]]), &json!(["", ""])));
    events.extend(launch("cudaLaunchKernel", 12, "kernel", (200, 210)));
    events.extend(launch("cudaLaunchKernel", 30, "kernel", (210, 211)));
    events.push(operator("aten::bmm", (40, 50), &json!([[1, 8, 8], [1, 8, 4]]), &json!(["", ""])));
    events.extend(launch("cudaLaunchKernel", 42, "kernel", (220, 230)));
    let (attribution, roles) = of(&events);
    assert!(matches!(roles[..], [Some(Role::Main(_)), None, Some(Role::Main(_))]), "{roles:?}");
    let flop: f64 = attribution.operators.iter().map(|own| attribution.operations[own.operation as usize].flop).sum();
    assert!((flop - 1024.0).abs() < 0.5, "{flop}");
}

#[test]
fn a_small_part_leaves_the_work_with_the_whole() {
    // The product of 240 FLOP fills 24 elements first, which computes nothing.
    let mut events = vec![operator("aten::mm", (0, 100), &json!([[4, 5], [5, 6]]), &json!(["", ""]))];
    events.push(operator("aten::fill_", (10, 20), &json!([[4, 6], []]), &json!(["", "0"])));
    events.extend(launch("cudaLaunchKernel", 12, "kernel", (200, 201)));
    events.extend(launch("cudaLaunchKernel", 30, "kernel", (210, 211)));
    let (attribution, roles) = of(&events);
    let kinds: Vec<&str> = roles
        .iter()
        .map(|role| match role {
            Some(Role::Main(own)) => attribution.operation(*own).kind,
            _ => "none",
        })
        .collect();
    assert_eq!(kinds, ["fill", "gemm"]);
}

#[test]
fn rows_of_a_graph_and_of_another_thread_are_nobodys() {
    let mut events = vec![operator("aten::mm", (0, 100), &json!([[4, 5], [5, 6]]), &json!(["", ""]))];
    events.extend(launch("cudaGraphLaunch", 10, "kernel", (200, 201)));
    let mut other = launch("cudaLaunchKernel", 20, "kernel", (210, 211));
    other[0]["tid"] = json!(2);
    events.extend(other);
    assert_eq!(of(&events).1, [None, None]);
    assert_eq!(of(&launch("cudaLaunchKernel", 20, "kernel", (210, 211))).1, [None]);
}

#[test]
fn attention_over_a_cache_takes_the_innermost_annotated_step() {
    let dims = json!([[30, 4, 8], [30, 2, 8], [30, 2, 8], [30, 4, 8]]);
    let step = "prefill[bs=3 tok=30 sqsq=300 sqsk=300 sk=30]";
    let mut events = vec![
        event("user_annotation", "decode[bs=1 tok=1 sqsq=1 sqsk=9 sk=9]", (0, 900), &json!({})),
        event("user_annotation", step, (10, 90), &json!({})),
        event("user_annotation", "step[DECODE bs=64]", (15, 80), &json!({})),
    ];
    for at in [20, 220] {
        events.push(operator("vllm::unified_attention_with_output", (at, at + 20), &dims, &json!(["", "", "", ""])));
        events.extend(launch("cudaLaunchKernel", at + 5, "kernel", (1000 + at, 1010 + at)));
    }
    let (attribution, roles) = of(&events);
    let flop = |role: &Option<Role>| match role {
        Some(Role::Main(own)) => attribution.operation(*own).flop,
        _ => 0.0,
    };
    // 2*4 heads * 16 * (300 - 150) pairs; a token that sees 9 keys.
    assert_eq!(roles.iter().map(flop).collect::<Vec<_>>(), [19_200.0, 1152.0]);
    assert_eq!((attribution.signatures.len(), attribution.operations.len()), (1, 2));
}

#[test]
fn a_recorded_step_of_vllm_is_placed_layer_by_layer() {
    let Some(path) = shared_data("kineto/mi300x_vllm_piecewise_graph.json.gz") else { return };
    let (_, tables) = proftool_import::into_memory(&path).unwrap();
    let model = Model::read(&tables).unwrap();
    let attribution = attribute(&tables, &model).unwrap();
    let of = |name: &str| {
        let is = |own: &&super::Operator| attribution.signatures[own.signature as usize].name == name;
        attribution.operators.iter().filter(is).count()
    };
    // 24 layers; the last product, of 46 rows by 2880 by 201088, is outside of the graphs.
    assert_eq!((of("vllm::unified_attention_with_output"), of("aten::mm")), (24, 1));
    let product = attribution.operations.iter().find(|work| work.kind == "gemm").unwrap();
    assert!((product.flop - 2.0 * 46.0 * 2880.0 * 201_088.0).abs() < 0.5);
}
