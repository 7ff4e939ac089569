//! FLOP and bytes of operators, as TraceLens 0.1.0 reports them for its own test traces (`GFLOPS_first` and
//! `Data Moved (MB)_first`, whose MB is 2^20 bytes). What differs differs for a reason that has a name.

use proftool_roofline::Precision;
use proftool_roofline::analytic::{Operation, operator};

/// Why a row may differ, and by how many bytes.
enum Note {
    Same,
    /// TraceLens counts one operation an element of a copy.
    CopiesComputeNothing,
    /// TraceLens counts integer operations as FLOP.
    IntegersAreNoFlop,
    /// As before, and its sums of integers have their type, where PyTorch's are `long int`.
    IntegersSumIntoLong(f64),
    /// TraceLens takes any reduction for one to a single element; these bytes are of the rows that stay.
    Rows(f64),
    /// TraceLens leaves the positions or slots out, which are read.
    Indices(f64),
}

struct Row {
    name: &'static str,
    shapes: &'static str,
    dtypes: &'static str,
    concrete: &'static str,
    gflop: f64,
    mebibytes: f64,
    note: Note,
}

const ROWS: &[Row] = &[
    // h100_qwen/GEMM.csv
    Row {
        name: "aten::mm",
        shapes: "[[8944,1024],[1024,2816]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 51.581_550_592,
        mebibytes: 71.007_812_5,
        note: Note::Same,
    },
    Row {
        name: "aten::addmm",
        shapes: "[[1024],[8944,1024],[1024,1024],[],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","Scalar","Scalar"]"#,
        concrete: r#"["","","","1","1"]"#,
        gflop: 18.766_086_144,
        mebibytes: 36.939_453_125,
        note: Note::Same,
    },
    Row {
        name: "aten::mm",
        shapes: "[[8944,2816],[2816,1024]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 51.581_550_592,
        mebibytes: 71.007_812_5,
        note: Note::Same,
    },
    Row {
        name: "aten::mm",
        shapes: "[[8944,1024],[1024,1024]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 18.756_927_488,
        mebibytes: 36.937_5,
        note: Note::Same,
    },
    Row {
        name: "aten::bmm",
        shapes: "[[1,32,1],[1,1,559]]",
        dtypes: r#"["float","float"]"#,
        concrete: r#"["",""]"#,
        gflop: 3.5776e-05,
        mebibytes: 0.070_491_790_771_484_38,
        note: Note::Same,
    },
    // h100_qwen/SDPA_fwd.csv
    Row {
        name: "aten::_scaled_dot_product_flash_attention",
        shapes: "[[16,16,559,64],[16,16,559,64],[16,16,559,64],[],[],[],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","Scalar","Scalar","Scalar","Scalar"]"#,
        concrete: r#"["","","","0.","True","False","0.125"]"#,
        gflop: 10.239_377_408,
        mebibytes: 69.875,
        note: Note::Same,
    },
    // h100_qwen/BinaryElementwise.csv
    Row {
        name: "aten::add",
        shapes: "[[16,16,559,64],[16,16,559,64],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","1"]"#,
        gflop: 0.009_158_656,
        mebibytes: 52.406_25,
        note: Note::Same,
    },
    Row {
        name: "aten::mul",
        shapes: "[[16,559,1024],[16,559,1]]",
        dtypes: r#"["float","float"]"#,
        concrete: r#"["",""]"#,
        gflop: 0.009_158_656,
        mebibytes: 69.909_118_652_343_75,
        note: Note::Same,
    },
    Row {
        name: "aten::mul",
        shapes: "[[16,16,559,64],[1,1,559,64]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 0.009_158_656,
        mebibytes: 35.005_737_304_687_5,
        note: Note::Same,
    },
    Row {
        name: "aten::mul",
        shapes: "[[1024],[16,559,1024]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 0.009_158_656,
        mebibytes: 34.939_453_125,
        note: Note::Same,
    },
    Row {
        name: "aten::mul",
        shapes: "[[16,559,2816],[16,559,2816]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 0.025_186_304,
        mebibytes: 144.117_187_5,
        note: Note::Same,
    },
    Row {
        name: "aten::mul",
        shapes: "[[16,16,559,64],[1,1,559,64]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 0.009_158_656,
        mebibytes: 35.005_737_304_687_5,
        note: Note::Same,
    },
    Row {
        name: "aten::add",
        shapes: "[[16,559,1024],[16,559,1024],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","1"]"#,
        gflop: 0.009_158_656,
        mebibytes: 52.406_25,
        note: Note::Same,
    },
    Row {
        name: "aten::add",
        shapes: "[[16,559,1],[],[]]",
        dtypes: r#"["float","double","Scalar"]"#,
        concrete: r#"["","","1"]"#,
        gflop: 8.944e-06,
        mebibytes: 0.068_244_934_082_031_25,
        note: Note::Same,
    },
    Row {
        name: "aten::mul",
        shapes: "[[1,559,64],[]]",
        dtypes: r#"["float","double"]"#,
        concrete: r#"["",""]"#,
        gflop: 3.5776e-05,
        mebibytes: 0.272_956_848_144_531_25,
        note: Note::Same,
    },
    // h100_qwen/UnaryElementwise.csv
    Row {
        name: "aten::copy_",
        shapes: "[[16,16,559,64],[16,16,559,64],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 0.009_158_656,
        mebibytes: 34.937_5,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[16,559,1024],[16,559,1024],[]]",
        dtypes: r#"["float","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 0.009_158_656,
        mebibytes: 52.406_25,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::pow",
        shapes: "[[16,559,1024],[]]",
        dtypes: r#"["float","Scalar"]"#,
        concrete: r#"["","2"]"#,
        gflop: 0.009_158_656,
        mebibytes: 69.875,
        note: Note::Same,
    },
    Row {
        name: "aten::silu",
        shapes: "[[16,559,2816]]",
        dtypes: r#"["c10::BFloat16"]"#,
        concrete: r#"[""]"#,
        gflop: 0.025_186_304,
        mebibytes: 96.078_125,
        note: Note::Same,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[16,559,1024],[16,559,1024],[]]",
        dtypes: r#"["c10::BFloat16","float","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 0.009_158_656,
        mebibytes: 52.406_25,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[16,559,16,64],[16,559,16,64],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 0.009_158_656,
        mebibytes: 34.937_5,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::neg",
        shapes: "[[16,16,559,32]]",
        dtypes: r#"["c10::BFloat16"]"#,
        concrete: r#"[""]"#,
        gflop: 0.004_579_328,
        mebibytes: 17.468_75,
        note: Note::Same,
    },
    Row {
        name: "aten::rsqrt",
        shapes: "[[16,559,1]]",
        dtypes: r#"["float"]"#,
        concrete: r#"[""]"#,
        gflop: 8.944e-06,
        mebibytes: 0.068_237_304_687_5,
        note: Note::Same,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[1,559,64],[1,559,64],[]]",
        dtypes: r#"["c10::BFloat16","float","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 3.5776e-05,
        mebibytes: 0.204_711_914_062_5,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[1,1,559],[1,1,559],[]]",
        dtypes: r#"["float","long int","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 5.59e-07,
        mebibytes: 0.006_397_247_314_453_125,
        note: Note::CopiesComputeNothing,
    },
    // h100_qwen/Reduce_fwd.csv
    Row {
        name: "aten::mean",
        shapes: "[[16,559,1024],[],[],[]]",
        dtypes: r#"["float","ScalarList","Scalar",""]"#,
        concrete: r#"["","[-1]","True",""]"#,
        gflop: 0.009_158_656,
        mebibytes: 34.937_503_814_697_266,
        note: Note::Rows(8_943.0 * 4.0),
    },
    // sglang_prefilldecode/GEMM.csv
    Row {
        name: "aiter::gemm_a16w16",
        shapes: "[[15360,4096],[24576,4096],[],[],[],[],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","","Scalar","","",""]"#,
        concrete: r#"["","","","15","","",""]"#,
        gflop: 3_092.376_453_12,
        mebibytes: 1_032.0,
        note: Note::Same,
    },
    Row {
        name: "aten::mm",
        shapes: "[[15360,4096],[4096,24576]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 3_092.376_453_12,
        mebibytes: 1_032.0,
        note: Note::Same,
    },
    Row {
        name: "aiter::gemm_a16w16",
        shapes: "[[15360,12288],[4096,12288],[],[],[],[],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","","Scalar","","",""]"#,
        concrete: r#"["","","","15","","",""]"#,
        gflop: 1_546.188_226_56,
        mebibytes: 576.0,
        note: Note::Same,
    },
    Row {
        name: "aten::mm",
        shapes: "[[15360,12288],[12288,4096]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 1_546.188_226_56,
        mebibytes: 576.0,
        note: Note::Same,
    },
    Row {
        name: "aiter::gemm_a16w16",
        shapes: "[[15360,4096],[6144,4096],[],[],[],[],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","","Scalar","","",""]"#,
        concrete: r#"["","","","15","","",""]"#,
        gflop: 773.094_113_28,
        mebibytes: 348.0,
        note: Note::Same,
    },
    Row {
        name: "aten::mm",
        shapes: "[[15360,4096],[4096,6144]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 773.094_113_28,
        mebibytes: 348.0,
        note: Note::Same,
    },
    Row {
        name: "aiter::gemm_a16w16",
        shapes: "[[15360,4096],[4096,4096],[],[],[],[],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","","Scalar","","",""]"#,
        concrete: r#"["","","","15","","",""]"#,
        gflop: 515.396_075_52,
        mebibytes: 272.0,
        note: Note::Same,
    },
    Row {
        name: "aten::mm",
        shapes: "[[15360,4096],[4096,4096]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 515.396_075_52,
        mebibytes: 272.0,
        note: Note::Same,
    },
    Row {
        name: "aten::mm",
        shapes: "[[15,4096],[4096,151936]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 18.669_895_68,
        mebibytes: 1_191.464_111_328_125,
        note: Note::Same,
    },
    // sglang_prefilldecode/InferenceAttention_fwd.csv
    Row {
        name: "aiter::mha_batch_prefill",
        shapes: "[[15360,32,128],[835874,8,128],[835874,8,128],[16],[16],[15616],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","int","int","int","Scalar","Scalar","Scalar","Scalar","Scalar","Scalar","Scalar","Scalar","Scalar","Scalar","Scalar","Scalar","","","","","","","","","","","",""]"#,
        concrete: r#"["","","","","","","1024","1024","0.","0.088388347648318447","0.","False","True","-1","-1","0","False","False","","","","","","","","","","","",""]"#,
        gflop: 128.849_018_88,
        mebibytes: 300.0,
        note: Note::Same,
    },
    Row {
        name: "sglang::store_cache",
        shapes: "[[15360,1024],[15360,1024],[835874,1024],[835874,1024],[15360],[],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","c10::BFloat16","long int","Scalar","Scalar"]"#,
        concrete: r#"["","","","","","2048","0"]"#,
        gflop: 0.0,
        mebibytes: 120.0,
        note: Note::Indices(15_360.0 * 8.0),
    },
    // sglang_prefilldecode/RMSNorm_fwd.csv
    Row {
        name: "aiter::rmsnorm",
        shapes: "[[491520,128],[491520,128],[128],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","","9.9999999999999995e-07"]"#,
        gflop: 0.252_641_28,
        mebibytes: 240.000_244_140_625,
        note: Note::Same,
    },
    Row {
        name: "aiter::add_rmsnorm",
        shapes: "[[15360,4096],[15360,4096],[15360,4096],[15360,4096],[4096],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","","","","9.9999999999999995e-07"]"#,
        gflop: 0.314_603_52,
        mebibytes: 480.007_812_5,
        note: Note::Same,
    },
    Row {
        name: "aiter::rmsnorm",
        shapes: "[[122880,128],[122880,128],[128],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","","9.9999999999999995e-07"]"#,
        gflop: 0.063_160_32,
        mebibytes: 60.000_244_140_625,
        note: Note::Same,
    },
    Row {
        name: "aiter::rmsnorm",
        shapes: "[[15360,4096],[15360,4096],[4096],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","","9.9999999999999995e-07"]"#,
        gflop: 0.251_688_96,
        mebibytes: 240.007_812_5,
        note: Note::Same,
    },
    // sglang_prefilldecode/RoPE_fwd.csv
    Row {
        name: "sgl_kernel::rotary_embedding",
        shapes: "[[15360],[15360,4096],[15360,1024],[],[41216,128],[]]",
        dtypes: r#"["long int","c10::BFloat16","c10::BFloat16","Scalar","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","","128","","True"]"#,
        gflop: 0.235_929_6,
        mebibytes: 300.0,
        note: Note::Indices(15_360.0 * 8.0),
    },
    // sglang_prefilldecode/UnaryElementwise.csv
    Row {
        name: "sgl_kernel::silu_and_mul",
        shapes: "[[15360,12288],[15360,24576]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16"]"#,
        concrete: r#"["",""]"#,
        gflop: 0.943_718_4,
        mebibytes: 1_080.0,
        note: Note::Same,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[15360,4096],[15360,4096],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 0.062_914_56,
        mebibytes: 240.0,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[15360,1024],[15360,1024],[]]",
        dtypes: r#"["c10::BFloat16","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 0.015_728_64,
        mebibytes: 60.0,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[15],[15],[]]",
        dtypes: r#"["long int","long int","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 1.5e-08,
        mebibytes: 0.000_228_881_835_937_5,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[15],[15],[]]",
        dtypes: r#"["int","int","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 1.5e-08,
        mebibytes: 0.000_114_440_917_968_75,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[15,151936],[15,151936],[]]",
        dtypes: r#"["float","c10::BFloat16","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 0.002_279_04,
        mebibytes: 13.040_771_484_375,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[15],[15],[]]",
        dtypes: r#"["int","long int","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 1.5e-08,
        mebibytes: 0.000_171_661_376_953_125,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[15],[15],[]]",
        dtypes: r#"["long int","int","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 1.5e-08,
        mebibytes: 0.000_171_661_376_953_125,
        note: Note::CopiesComputeNothing,
    },
    Row {
        name: "aten::neg",
        shapes: "[[15]]",
        dtypes: r#"["long int"]"#,
        concrete: r#"[""]"#,
        gflop: 1.5e-08,
        mebibytes: 0.000_228_881_835_937_5,
        note: Note::IntegersAreNoFlop,
    },
    Row {
        name: "aten::copy_",
        shapes: "[[256],[256],[]]",
        dtypes: r#"["int","int","Scalar"]"#,
        concrete: r#"["","","False"]"#,
        gflop: 2.56e-07,
        mebibytes: 0.001_953_125,
        note: Note::CopiesComputeNothing,
    },
    // sglang_prefilldecode/Reduce_fwd.csv
    Row {
        name: "aten::cumsum",
        shapes: "[[15],[],[]]",
        dtypes: r#"["int","Scalar",""]"#,
        concrete: r#"["","0",""]"#,
        gflop: 1.5e-08,
        mebibytes: 0.000_114_440_917_968_75,
        note: Note::IntegersSumIntoLong(15.0 * 4.0),
    },
    Row {
        name: "aten::max",
        shapes: "[[15]]",
        dtypes: r#"["long int"]"#,
        concrete: r#"[""]"#,
        gflop: 1.5e-08,
        mebibytes: 0.000_122_070_312_5,
        note: Note::IntegersAreNoFlop,
    },
    Row {
        name: "aten::cumsum",
        shapes: "[[15],[],[]]",
        dtypes: r#"["long int","Scalar",""]"#,
        concrete: r#"["","0",""]"#,
        gflop: 1.5e-08,
        mebibytes: 0.000_228_881_835_937_5,
        note: Note::IntegersAreNoFlop,
    },
];

impl Row {
    fn ours(&self) -> Operation {
        operator(self.name, self.shapes, self.dtypes, Some(self.concrete)).unwrap_or_else(|| panic!("{}", self.name))
    }
}

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-12 * theirs.abs()
}

#[test]
fn every_row_is_equal_or_differs_for_its_reason() {
    for row in ROWS {
        let ours = row.ours();
        let (flop, bytes) = (row.gflop * 1e9, row.mebibytes * f64::from(1 << 20));
        let (flop, bytes) = match row.note {
            Note::Same => (flop, bytes),
            Note::CopiesComputeNothing | Note::IntegersAreNoFlop => (0.0, bytes),
            Note::IntegersSumIntoLong(more) => (0.0, bytes + more),
            Note::Rows(more) | Note::Indices(more) => (flop, bytes + more),
        };
        assert!(close(ours.flop, flop), "{} {}: {} FLOP, not {flop}", row.name, row.shapes, ours.flop);
        assert!(close(ours.bytes, bytes), "{} {}: {} bytes, not {bytes}", row.name, row.shapes, ours.bytes);
    }
}

#[test]
fn matrix_units_multiply_half_types_and_nothing_else_runs_on_them() {
    let of = |kind: &str| ROWS.iter().map(Row::ours).find(|op| op.kind == kind).unwrap();
    assert_eq!([of("gemm"), of("attention")].map(|op| op.precision), [Precision::MatrixBf16; 2]);
    assert_eq!(["elementwise", "normalization", "reduction"].map(|kind| of(kind).precision), [Precision::F32; 3]);
    let float = ROWS.iter().find(|row| row.name == "aten::bmm").unwrap().ours();
    assert_eq!((float.precision, float.formula), (Precision::F32, "gemm-2mnk, tf32 unknown"));
}
