//! What the version of ncu and the compute capability change.

use super::page::Page;

/// The year in a version such as `2025.3.0.0 (build 1)`.
pub(super) fn year(version: Option<&str>) -> Option<u32> {
    let digits: String = version?.trim().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|year| (2018..2100).contains(year))
}

/// The year of CUPTI's metrics: those of the Nsight Compute that its CUDA release has (12.6 has 2024.3, 12.8 has 2025.1).
pub(super) fn cupti_year(version: Option<&str>) -> Option<u32> {
    let (major, minor) = version?.split_once('.')?;
    let release: (u32, u32) = (major.parse().ok()?, minor.split('.').next()?.parse().ok()?);
    (release >= (12, 6)).then_some(if release >= (12, 8) { 2025 } else { 2024 })
}

/// The compute capability in `sm_90a`, as 90.
pub(super) fn capability(arch: Option<&str>) -> Option<u32> {
    let digits = arch?.strip_prefix("sm_")?.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    digits.parse().ok().filter(|number| (30..1000).contains(number))
}

/// Whether half-precision instructions count as pairs, and how that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Half {
    pub(super) packed: bool,
    why: &'static str,
}

impl Half {
    pub(super) fn reason(self, fma: f64) -> String {
        format!("a half-precision FMA of a thread counts as {fma} FLOP: {}", self.why)
    }
}

/// The factor of the page's own products, else of the version's sections, else of the recipe that the page follows.
pub(super) fn half(page: &Page<'_>, year: Option<u32>) -> Half {
    let derived = |ending: &str| page.names().any(|name| name.starts_with("derived__") && name.ends_with(ending));
    let (packed, why) = if derived("hfma_pred_on_x4") || derived("hadd_pred_on_x2") {
        (true, "so do the page's own products")
    } else if derived("hfma_pred_on_x2") {
        (false, "so do the page's own products")
    } else {
        match year {
            Some(..2023) => (false, "so do the sections of that version"),
            Some(2025..) => (true, "so do the sections of that version"),
            Some(_) => (true, "as the sections of 2025 do; those of that version were not checked"),
            // NERSC's recipe and the sections of 2022 count tensor instructions; later sections count operations.
            None if counts_tensor_instructions(page) => {
                (false, "the page counts tensor instructions, the recipe of 2022 and before")
            }
            None => (true, "as the sections of 2025 do; the page does not tell its version"),
        }
    };
    Half { packed, why }
}

fn counts_tensor_instructions(page: &Page<'_>) -> bool {
    let any = |part: &str| page.names().any(|name| name.contains(part));
    any("__inst_executed_pipe_tensor") && !any("__ops_path_tensor")
}

#[cfg(test)]
mod tests {
    use super::super::Def;
    use super::*;

    #[test]
    fn cupti_has_the_metrics_of_the_nsight_compute_of_its_cuda_release() {
        let years = ["12.5", "12.6", "12.8.1", "13.5", "x"].map(|version| cupti_year(Some(version)));
        assert_eq!(years, [None, Some(2024), Some(2025), Some(2025), None]);
    }

    #[test]
    fn versions_and_capabilities_are_read_from_their_texts() {
        assert_eq!((year(Some("2025.3.0.0")), year(Some("26.1")), year(None)), (Some(2025), None, None));
        assert_eq!((capability(Some("sm_90")), capability(Some("sm_100a"))), (Some(90), Some(100)));
        assert_eq!((capability(Some("gfx90a")), capability(Some("sm_"))), (None, None));
    }

    #[test]
    fn the_pages_own_products_decide_before_the_version_and_the_recipe() {
        let packed = |names: &[&str], year| {
            let defs: Vec<_> =
                names.iter().zip(0..).map(|(metric, def)| Def { def, metric, ..Def::default() }).collect();
            half(&Page::new(&defs), year).packed
        };
        assert!(packed(&["derived__smsp__sass_thread_inst_executed_op_hfma_pred_on_x4"], Some(2022)));
        assert!(!packed(&["derived__smsp__sass_thread_inst_executed_op_hfma_pred_on_x2"], Some(2025)));
        assert!(packed(&[], Some(2025)) && !packed(&[], Some(2022)) && packed(&[], None));
        assert!(!packed(&["sm__inst_executed_pipe_tensor.sum"], None));
        assert!(packed(&["sm__inst_executed_pipe_tensor.sum", "sm__ops_path_tensor_src_fp64.sum"], None));
    }
}
