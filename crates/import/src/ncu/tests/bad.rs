//! Malformed files: one message each, with the place and what to try.

use super::{Page, message, refused};
use crate::Error;
use crate::fixture::shared_data;

const WIDE: &str = "\"ID\",\"Kernel Name\",\"a__b\",\"c__d\"\n\"\",\"\",\"byte\",\"\"\n";

fn refusal_of(relative: &str) -> Option<String> {
    shared_data(relative).map(|path| crate::driver::into_memory(&path).unwrap_err().to_string())
}

#[test]
fn a_missing_permission_is_named_with_its_fix() {
    for file in ["negatives/ncu_ERR_NVGPUCTRPERM_no_kernels.csv", "ncu/a100_sgemm/profile.csv"] {
        let Some(text) = refusal_of(file) else { return };
        for part in ["ERR_NVGPUCTRPERM", "line 2", "NVreg_RestrictProfilingToAdminUsers=0", "CAP_SYS_ADMIN"] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn a_page_of_errors_says_what_ncu_said() {
    let Some(text) = refusal_of("negatives/ncu_raw_empty.csv") else { return };
    assert!(text.contains("line 1: Option '--section .*SpeedOfLight.*' did not match any section"), "{text}");
    let text = message("==PROF== Connected to process 1 (x)\n==WARNING== No kernels were profiled.\n");
    assert!(text.contains("ncu profiled no kernel") && text.contains("--target-processes all"), "{text}");
}

#[test]
fn a_page_of_rules_only_holds_no_metrics() {
    let Some(text) = refusal_of("ncu/a100_attention_nersc_metrics/conv2d_roofline_result.csv") else { return };
    assert!(text.contains("only advice of ncu's rules"), "{text}");
}

#[test]
fn a_file_that_is_cut_fails_with_its_line() {
    let whole = format!("{WIDE}\"0\",\"k\",\"1.5\",\"2\"\n");
    for cut in ["\"1\",\"k", "\"1\",\"k\",\"1.5\"", "\"1\",\"k\",\"1.5\",", "\"1\""] {
        let text = message(format!("{whole}{cut}"));
        assert!(text.contains("damaged at line 4: the file ends inside this row"), "{cut}: {text}");
    }
    Page::text(&format!("{whole}\"1\",\"k\",\"1.5\",\"2\""));
    let long = "\"ID\",\"Kernel Name\",\"Metric Name\",\"Metric Value\",\"Rule Name\"\n\"0\",\"k\",\"a__b\",\"1\",\n";
    for cut in ["\"0\",\"k\",\"c__d\"", "\"0\",\"k\",\"c__d\",\"1"] {
        let text = message(format!("{long}{cut}"));
        assert!(text.contains("line 3: the file ends inside this row"), "{cut}: {text}");
    }
    assert!(message(&WIDE[..30]).contains("page.csv"), "a cut header");
}

#[test]
fn a_header_without_rows_holds_no_events() {
    for text in [WIDE, &WIDE[..33], "\"ID\",\"Kernel Name\",\"Metric Name\",\"Metric Value\"\n"] {
        assert!(matches!(refused(text), Error::NoRows { format: "ncu_csv", .. }), "{text}");
    }
    let text = message(format!("==ERROR== out of memory\n{WIDE}"));
    assert!(text.contains("ncu failed, in line 1: out of memory"), "{text}");
}

#[test]
fn rows_that_do_not_fit_are_left_out_or_fail_the_file() {
    let good = "\"0\",\"k\",\"1\",\"2\"\n".repeat(300);
    for bad in ["\"1\",\"k\",\"1\"\n", "\"1\",\"k\",\"1\",\"2\",\"3\"\n", "\"1\",\"k\" x,\"1\",\"2\"\n"] {
        let page = Page::text(&format!("{WIDE}{good}{bad}"));
        assert_eq!((page.rows, page.issue("bad_record")), (600, ("data_loss".to_owned(), 1)), "{bad}");
        let text = message(format!("{WIDE}{bad}\"0\",\"k\",\"1\",\"2\"\n"));
        assert!(text.contains("damaged at line 3"), "{text}");
    }
    assert_eq!(Page::text(&format!("{WIDE}\"1\",\"k\",\"1\",\"2\",\"\"\n")).rows, 2, "a comma at the end is no cell");
}

#[test]
fn a_number_beyond_a_float_and_words_are_no_values() {
    let huge = "9".repeat(400);
    let good = "\"0\",\"k\",\"1\",\"2\"\n".repeat(100);
    let page = Page::text(&format!("{WIDE}{good}\"1\",\"k\",\"{huge}\",\"inf\"\n"));
    assert_eq!(page.issue("value_out_of_range"), ("data_loss".to_owned(), 1));
    assert_eq!(page.issue("no_value"), ("info".to_owned(), 1));
    let text = message(format!("{WIDE}\"1\",\"k\",\"{huge}\",\"2\"\n"));
    assert!(text.contains("line 3, a__b is") && text.contains("beyond a float's range"), "{text}");
}

#[test]
fn a_summary_is_refused_with_the_page_to_write() {
    let header = "\"Process ID\",\"Kernel Name\",\"Metric Name\",\"Metric Unit\",\"Minimum\",\"Maximum\",\"Average\"\n";
    let text = message(header);
    assert!(text.contains("minima, maxima and averages") && text.contains("without --print-summary"), "{text}");
}

#[test]
fn other_tables_are_not_claimed() {
    for text in [
        "kernel_id,kernel_name,display_name\nk,m,n\n",
        "Time,dram__bytes.sum,kernelname\n1,2,k\n",
        "label,peak_flops\nx,1\n",
        "\"Kernel Name\",\"k\",\n\"Address\",\"Source\"\n",
        "the word ==PROF== inside a line\n",
    ] {
        assert!(matches!(refused(text), Error::UnknownFormat { .. }), "{text}");
    }
}

/// A small seeded generator, so that a failure comes again.
fn random(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) as usize
}

#[test]
fn no_mutation_of_a_real_page_makes_the_importer_panic() {
    let mut state = 1;
    for file in [
        "ncu/gb200_cuda_graph_full/jaxtoolbox_cuda_graph_pdl.details.csv",
        "ncu/rtx5090_ocr_inference/kernel_0001_67bdb7e29d1bb4e0ca0aec954ef18af3__ncu.section_SpeedOfLight.csv",
        "ncu/a100_sgemm/share_tile.csv",
        "ncu/rtx5070_kernels/ncu_saxpy.csv",
    ] {
        let Some(path) = shared_data(file) else { return };
        let original = std::fs::read(path).unwrap();
        for _ in 0..200 {
            let mut bytes = original.clone();
            for _ in 0..=random(&mut state) % 8 {
                let at = random(&mut state) % bytes.len();
                match random(&mut state) % 4 {
                    0 => bytes[at] = b"\",\n=.09\xff("[random(&mut state) % 9],
                    1 => drop(bytes.remove(at)),
                    2 => bytes.insert(at, b"\",\n9"[random(&mut state) % 4]),
                    _ => bytes.truncate(at.max(100)),
                }
            }
            // Refused or taken: either is an answer.
            let _ = crate::fixture::import_bytes("page.csv", &bytes);
        }
    }
}

#[test]
fn columns_in_an_order_that_ncu_does_not_write_are_understood() {
    let header = "\"Metric Value\",\"Metric Name\",\"ID\",\"Kernel Name\",\"Metric Unit\"\n";
    let page =
        Page::text(&format!("{header}\"1.5\",\"a__b\",\"0\",\"k\",\"us\"\n\"2.5\",\"a__b\",\"1\",\"m\",\"us\"\n"));
    assert_eq!((page.get(0, "a__b"), page.get(1, "a__b")), (1500.0, 2500.0));
    assert!(message(format!("{header}\"1.5\",\"a__b\"\n")).contains("damaged at line 2"));
}

#[test]
fn exactly_the_pages_of_the_collection_are_claimed() {
    let Some(folder) = shared_data("ncu") else { return };
    let mut claimed = Vec::new();
    for group in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        for path in std::fs::read_dir(group).unwrap().map(|entry| entry.unwrap().path()) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = std::fs::read(&path).unwrap();
            let page = crate::ncu::is_page(&bytes[..bytes.len().min(1 << 18)]);
            let expected = (name.contains("__ncu.") || name.contains("_nsight") || name.starts_with("ncu_"))
                && !name.contains("_processed_res")
                && path.extension().is_some_and(|ending| ending == "csv")
                || name.starts_with("jaxtoolbox")
                || ["conv2d_roofline_result.csv", "gemm.csv", "sgemm.csv", "share_tile.csv", "profile.csv"]
                    .contains(&name.as_str());
            assert_eq!(page, expected, "{name}");
            claimed.extend(page.then_some(name));
        }
    }
    assert_eq!(claimed.len(), 58);
}
