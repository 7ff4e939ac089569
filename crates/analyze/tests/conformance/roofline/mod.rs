//! Counter pages placed on the roofline, beside what their authors computed, what ncu's own rule says, and hand
//! computation.

mod attention;
mod gb200;
mod pages;
mod placed;
mod rtx5070;
mod rule;
mod sgemm;
mod vcopy;
mod verdicts;

use std::path::Path;

use crate::page::Section;

pub(crate) fn section(shared: &Path) -> Section {
    let mut section = Section::new("roofline of counter pages", "ncu and rocprofiler-compute: the roofline");
    section.paragraph(
        "The section above compares counters; this one the metrics `roofline`, `roofline_flop`, `roofline_level` and `roofs` \
         that follow from them. Pages that do not name their device are imported with `--hardware`.",
    );
    let folder = shared.join("data/ncu");
    attention::compare(&mut section, &folder);
    rtx5070::compare(&mut section, &folder);
    verdicts::compare(&mut section, &folder);
    rule::compare(&mut section, &folder);
    gb200::compare(&mut section, &folder);
    sgemm::compare(&mut section, &folder);
    vcopy::compare(&mut section, &shared.join("data/amd"));
    vcopy::compare_mi300x(&mut section, &shared.join("data/amd"));
    section
}

#[test]
fn the_roofline_of_counter_pages_leaves_nothing_unexplained() {
    crate::with_data(|shared| {
        let section = section(shared);
        assert!(section.open.is_empty(), "neither equal nor explained:\n{}", section.open.join("\n"));
        assert!(section.tally.compared() > 300);
    });
}

/// What the document says is worth something only if an error would show.
#[test]
fn a_changed_counter_is_noticed() {
    type Compare = fn(&mut Section, &Path);
    let harms: [(Compare, &str, &str, &str, &str); 6] = [
        (
            attention::compare,
            "ncu/a100_attention_nersc_metrics",
            "bert_flashattn_nsight.csv",
            "\"957,056\"",
            "\"957,057\"",
        ),
        (rtx5070::compare, "ncu/rtx5070_kernels", "ncu_saxpy.csv", "134,221,568", "134,321,568"),
        (verdicts::compare, "ncu/rtx5090_ocr_inference", KERNEL_5, "12,532,580,352", "1,253,258,035"),
        (gb200::compare, "ncu/gb200_cuda_graph_full", "jaxtoolbox_cuda_graph_pdl.raw-base.csv", "\"6912\"", "\"6944\""),
        (sgemm::compare, "ncu/a100_sgemm", "gemm.csv", "34,359,738,368,000.00", "34,359,738,368,001.00"),
        (vcopy::compare, "amd/vcopy_MI200", "pmc_perf.csv", "131086.0", "131087.0"),
    ];
    crate::with_data(|shared| {
        for (compare, folder, file, old, new) in harms {
            let place = tempfile::tempdir().unwrap();
            let copy = place.path().join(Path::new(folder).file_name().unwrap());
            std::fs::create_dir(&copy).unwrap();
            for entry in std::fs::read_dir(shared.join("data").join(folder)).unwrap() {
                let path = entry.unwrap().path();
                std::fs::write(copy.join(path.file_name().unwrap()), std::fs::read(&path).unwrap()).unwrap();
            }
            let text = std::fs::read_to_string(copy.join(file)).unwrap();
            assert!(text.contains(old), "{file} has no {old}");
            std::fs::write(copy.join(file), text.replacen(old, new, 1)).unwrap();
            let mut section = Section::default();
            compare(&mut section, place.path());
            assert!(section.tally.unexplained > 0, "{file}: {old} as {new}");
        }
    });
}

const KERNEL_5: &str = "kernel_0005_e67789a8b6cb9adf2cb8d4d3745a9a79__ncu.details.csv";
