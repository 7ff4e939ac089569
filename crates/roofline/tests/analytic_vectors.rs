//! Published numbers that the analytic counts must reproduce, and inputs that no profiler writes.

use proftool_roofline::Precision;
use proftool_roofline::analytic::annotation::{Phase, parse};
use proftool_roofline::analytic::{Operation, operator, operator_in_step};
use proptest::prelude::*;

fn close(ours: f64, theirs: f64, digits: f64) {
    assert!((ours / theirs - 1.0).abs() <= digits, "{ours} is not {theirs}");
}

/// The JAX scaling book's example: activations of bfloat16 `[b, d]`, weights of int8 `[f, d]`.
fn weight_only(b: u64, d: u64) -> Operation {
    let shapes = format!("[[{b},{d}],[{d},{d}],[]]");
    operator("aten::linear", &shapes, r#"["c10::BFloat16","signed char",""]"#, None).unwrap()
}

#[test]
fn the_intensity_of_a_dot_product_goes_to_one_half() {
    // V3: (2 N - 1) / (4 N + 2), counting N - 1 additions; here N multiply-adds are 2 N.
    for n in [1000_u64, 1_000_000_000] {
        let shapes = format!("[[{n}],[{n}]]");
        let op = operator("aten::dot", &shapes, r#"["c10::BFloat16","c10::BFloat16"]"#, None).unwrap();
        let n = n as f64;
        close((op.flop - 1.0) / op.bytes, (2.0 * n - 1.0) / (4.0 * n + 2.0), 1e-12);
    }
    let op =
        operator("aten::dot", "[[1000000000],[1000000000]]", r#"["c10::BFloat16","c10::BFloat16"]"#, None).unwrap();
    close(op.arithmetic_intensity().unwrap(), 0.5, 1e-8);
}

#[test]
fn eight_bit_weights_reach_the_ridge_at_the_published_batch() {
    // V4: 2 B D F operations, 2 B D + D F + 2 B F bytes, on 197 TFLOP/s and 820 GB/s.
    let (peak, bandwidth) = (1.97e14, 8.2e11);
    let rate = |b: u64, d: u64| {
        let op = weight_only(b, d);
        assert_eq!(op.precision, Precision::MatrixBf16);
        close(op.bytes, (4 * b * d + d * d) as f64, 1e-15);
        (op.arithmetic_intensity().unwrap() * bandwidth).min(peak)
    };
    for (b, d, flop_per_s) in [
        (1, 4096, 1.638_400e12),
        (64, 4096, 9.878_588e13),
        (120, 4096, 1.761_566e14),
        (128, 4096, 1.865_956e14),
        (137, 4096, 1.97e14),
        (1, 1024, 1.633_619e12),
        (64, 1024, 8.396_8e13),
        (120, 1024, 1.339_915e14),
    ] {
        close(rate(b, d), flop_per_s, 1e-6);
    }
    assert!(rate(136, 4096) < peak && rate(226, 1024) < peak);
    close(rate(227, 1024), peak, 1e-12);
}

#[test]
fn a_narrow_product_is_bound_by_memory() {
    // V17: M 16, N and K 8192, bfloat16, on 708 TFLOP/s and 5300 GB/s: 3.033 and 25.423 us.
    let dtypes = r#"["c10::BFloat16","c10::BFloat16"]"#;
    let op = operator("aten::mm", "[[16,8192],[8192,8192]]", dtypes, None).unwrap();
    close(op.flop / 708e12 * 1e6, 3.033, 2e-4);
    close(op.bytes / 5300e9 * 1e6, 25.423, 2e-5);
}

#[test]
fn attention_of_a_recorded_vllm_step_takes_its_lengths_from_the_annotation() {
    let text = "execute_8192_context_9(sq8155sk8430sqsq7475785sqsk7671310)_generation_37(sq37sk34489sqsq37sqsk34489)";
    let step = parse(text).unwrap();
    assert_eq!((step.phase(), step.tokens()), (Some(Phase::Mixed), Some(8192)));
    let shapes = "[[8192,64,64],[8192,8,64],[8192,8,64],[8192,64,64],[],[],[],[0]]";
    let b = "c10::BFloat16";
    let dtypes = format!(r#"["{b}","{b}","{b}","{b}","","","","{b}"]"#);
    let name = "vllm::unified_attention_with_output";
    let op = operator_in_step(name, shapes, &dtypes, None, &step).unwrap();
    // 2*64*(64+64) * (7671310 - 7475785/2 + 34489); 2*128*(64*8192 + 8*(8430 + 34489)).
    close(op.flop, 16_384.0 * 3_967_906.5, 1e-12);
    close(op.bytes, 256.0 * (524_288.0 + 343_352.0), 1e-12);
    assert_eq!(operator(name, shapes, &dtypes, None), None, "the shapes alone do not tell");
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<u64>().prop_map(|number| number.to_string()),
        Just("18446744073709551615".to_owned()),
        Just("0".to_owned()),
        Just("1.5".to_owned()),
        Just("null".to_owned()),
        Just("\"c10::BFloat16\"".to_owned()),
        Just("\"[1, -1]\"".to_owned()),
        Just("\"True\"".to_owned()),
        Just("\"9223372036854775807\"".to_owned()),
    ];
    let list =
        |inner| prop::collection::vec(inner, 0..9).prop_map(|parts: Vec<String>| format!("[{}]", parts.join(",")));
    leaf.prop_recursive(3, 40, 9, list).prop_map(|text| format!("[{text}]"))
}

const NAMES: &[&str] = &[
    "aten::mm",
    "aten::matmul",
    "aten::linear",
    "aten::_scaled_mm",
    "aten::scaled_dot_product_attention",
    "aten::_scaled_dot_product_flash_attention_backward",
    "flash_attn::_flash_attn_forward",
    "aiter::mha_batch_prefill",
    "vllm::unified_attention",
    "aten::convolution",
    "aten::convolution_backward",
    "aten::cudnn_convolution_transpose",
    "_C::rms_norm",
    "aten::layer_norm",
    "aten::native_group_norm",
    "aten::batch_norm",
    "aten::_softmax",
    "aten::add_",
    "aten::where",
    "aten::sum",
    "aten::max",
    "aten::copy_",
    "aten::embedding",
    "aten::gather",
    "sglang::store_cache",
    "_C::silu_and_mul",
    "_C::rotary_embedding",
];

/// Inputs that are tensors of hostile sizes, so that the formulas are reached.
fn tensors() -> impl Strategy<Value = (String, String, String)> {
    let size = prop_oneof![0_u64..9, Just(u64::MAX), Just(1 << 53), any::<u64>()];
    let dims = prop::collection::vec(size, 0..6);
    let dtype = prop::sample::select(vec!["float", "c10::Half", "int", "bool", "Scalar", "c10::Float4_e2m1fn_x2"]);
    let scalar = prop::sample::select(vec!["", "0", "-1", "[2, 2]", "[]", "False", "True", "9223372036854775807", "3"]);
    prop::collection::vec((dims, dtype, scalar), 0..12).prop_map(|inputs| {
        let text = |values: Vec<serde_json::Value>| serde_json::to_string(&values).unwrap();
        (
            text(inputs.iter().map(|(dims, ..)| dims.clone().into()).collect()),
            text(inputs.iter().map(|(_, dtype, _)| (*dtype).into()).collect()),
            text(inputs.iter().map(|(.., scalar)| (*scalar).into()).collect()),
        )
    })
}

fn is_sane(operation: Option<Operation>) -> bool {
    operation.is_none_or(|op| op.flop.is_finite() && op.flop >= 0.0 && op.bytes.is_finite() && op.bytes >= 0.0)
}

proptest! {
    #[test]
    fn no_text_makes_a_panic_or_an_infinity(shapes in json(), dtypes in json(), concrete in json()) {
        let step = parse("step[DECODE bs=1 g_sq=1 g_sqsq=1 g_sqsk=18446744073709551615 g_sk=18446744073709551615]").unwrap();
        for name in NAMES {
            prop_assert!(is_sane(operator(name, &shapes, &dtypes, Some(&concrete))));
            prop_assert!(is_sane(operator_in_step(name, &shapes, &dtypes, Some(&concrete), &step)));
        }
    }

    #[test]
    fn no_size_makes_a_panic_or_an_infinity((shapes, dtypes, concrete) in tensors()) {
        for name in NAMES {
            prop_assert!(is_sane(operator(name, &shapes, &dtypes, Some(&concrete))), "{name} {shapes}");
        }
    }

    #[test]
    fn no_name_of_a_range_makes_a_panic(text in "(execute_|step\\[|decode\\[|prefill\\[)?[a-z0-9_=()\\[\\]/ ,.+]{0,60}") {
        let _ = parse(&text).map(|step| (step.phase(), step.tokens()));
    }
}
