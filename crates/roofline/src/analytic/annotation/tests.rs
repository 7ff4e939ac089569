//! Texts that the engines write, and others.

use super::*;

fn sums(requests: u64, sq: u64, sk: u64, sqsq: u64, sqsk: u64) -> Sums {
    Sums { requests: Some(requests), sq: Some(sq), sk: Some(sk), sqsq: Some(sqsq), sqsk: Some(sqsk) }
}

#[test]
fn the_detailed_text_of_vllm_is_eight_sums() {
    // V13: prompts of 4096 (nothing cached) and 2048 (1000 cached): 4096^2 + 2048^2, 4096*4096 + 2048*3048.
    let text = "execute_6147_context_2(sq6144sk7144sqsq20971520sqsk23019520)_generation_3(sq3sk6144sqsq3sqsk6144)";
    let step = parse(text).unwrap();
    assert_eq!(4096_u64.pow(2) + 2048_u64.pow(2), 20_971_520);
    assert_eq!(4096 * 4096 + 2048 * 3048, 23_019_520);
    assert_eq!(step.context, Some(sums(2, 6144, 7144, 20_971_520, 23_019_520)));
    assert_eq!(step.generation, Some(sums(3, 3, 6144, 3, 6144)));
    assert_eq!((step.phase(), step.tokens(), step.requests), (Some(Phase::Mixed), Some(6147), Some(5)));
    assert!(step.has_sums());
}

#[test]
fn short_texts_tell_tokens_and_no_sums() {
    let of = |text: &str| {
        let step = parse(text).unwrap();
        (step.phase(), step.tokens(), step.requests, step.has_sums())
    };
    assert_eq!(of("execute_context_2(6144)_generation_3(3)"), (Some(Phase::Mixed), Some(6147), Some(5), false));
    let drafts = of("execute_context_0(0)_generation_32(128)");
    assert_eq!(drafts, (Some(Phase::Decode), Some(128), Some(32), false));
    assert_eq!(of("step[EXTEND bs=2 toks=14721]"), (Some(Phase::Prefill), Some(14_721), Some(2), false));
    assert_eq!(of("step[DECODE bs=64]"), (Some(Phase::Decode), Some(64), Some(64), false));
    assert_eq!(of("step[MIXED bs=2]"), (Some(Phase::Mixed), None, Some(2), false));
    let cut = of("prefill[bs=6 tok=17408 ctx=[4096, 4096, 4096]...+3]");
    assert_eq!(cut, (Some(Phase::Prefill), Some(17_408), Some(6), false));
    assert_eq!(of("execute_context_0(0)_generation_0(0)").0, None);
}

#[test]
fn sglang_names_its_groups_by_a_letter() {
    let step = parse("step[MIXED bs=2 c=1 g=1 c_sq=5 c_sk=8 c_sqsq=25 c_sqsk=40 g_sq=1 g_sk=12 g_sqsq=1 g_sqsk=12]");
    let step = step.unwrap();
    assert_eq!((step.context, step.generation), (Some(sums(1, 5, 8, 25, 40)), Some(sums(1, 1, 12, 1, 12))));
    let prompts = parse("step[MIXED bs=1 c=1 g=0 c_sq=3 c_sk=3 c_sqsq=9 c_sqsk=9 g_sq=0 g_sk=0 g_sqsq=0 g_sqsk=0]");
    assert_eq!(prompts.unwrap().phase(), Some(Phase::Prefill));
    let drafts = parse("step[DECODE bs=64 g_sq=128 g_sqsq=256 g_sqsk=262144 g_sk=131072]").unwrap();
    assert_eq!((drafts.generation, drafts.tokens()), (Some(sums(64, 128, 131_072, 256, 262_144)), Some(128)));
}

#[test]
fn atom_names_the_padded_batch_behind_the_real_one() {
    let step = parse("decode[bs=117/128 tok=117 d=117 sqsq=117 sqsk=239616 sk=239616]").unwrap();
    assert_eq!((step.requests, step.padded), (Some(117), Some(128)));
    assert_eq!(step.generation, Some(sums(117, 117, 239_616, 117, 239_616)));
    let step = parse("prefill[bs=2 tok=14721 ctx=[7803, 6918] sqsq=108745533 sqsk=108745533 sk=14721]").unwrap();
    assert_eq!(step.context, Some(sums(2, 14_721, 14_721, 108_745_533, 108_745_533)));
    let step = parse("decode[bs=128 tok=384 p=2 d=126 sqsq=132612 sqsk=1114112 sk=258048 tbo=1]").unwrap();
    assert_eq!((step.phase(), step.split), (Some(Phase::Mixed), true));
}

#[test]
fn anything_else_is_no_annotation() {
    let texts = [
        "",
        "ProfilerStep#42",
        "aten::matmul",
        "step[",
        "step[]",
        "step[WAIT bs=1]",
        "decode[bs=-1]",
        "decode[bs=1/x]",
        "prefill[bs=1 ctx=[1, 2]",
        "prefill[nonsense]",
        "step[DECODE bs=99999999999999999999999]",
        "execute_context_1(1)",
        "execute_1_context_1(sq1sk1sqsq1)_generation_0(0)",
        "execute_context_18446744073709551615(1)_generation_1(1)",
        "execute_context_1(18446744073709551616)_generation_1(1)",
        "decode[bs=\u{661}]",
    ];
    for text in texts {
        assert_eq!(parse(text), None, "{text}");
    }
    assert_eq!(parse(&format!("step[DECODE bs={}]", "0".repeat(5000))), None);
    let step = parse("execute_context_1(18446744073709551615)_generation_1(1)").unwrap();
    assert_eq!(step.tokens(), None, "the sum does not fit");
}
