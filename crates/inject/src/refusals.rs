//! Why CUPTI does not count, in words that help.

use crate::host::Refusal;

/// A word for what a refusal means, and a sentence that says what to try.
pub(crate) fn told(refusal: &Refusal) -> (&'static str, String) {
    let (code, hint) = match refusal.status {
        // CUPTI_ERROR_INSUFFICIENT_PRIVILEGES, ..._VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES.
        35 | 40 => (
            "no_permission",
            "the driver lets only administrators count: run as root, give the container --cap-add SYS_ADMIN, or load the \
             kernel module with NVreg_RestrictProfilingToAdminUsers=0 (https://developer.nvidia.com/ERR_NVGPUCTRPERM)",
        ),
        // CUPTI_ERROR_HARDWARE_BUSY, CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED.
        26 | 39 => {
            ("another_profiler", "end the other profiler of this program or GPU: nsys, ncu, DCGM, a framework's own")
        }
        // CUPTI_ERROR_NOT_SUPPORTED, and of virtual, confidential, mining, partitioned, linked and WSL devices.
        27 | 33 | 41..=45 => {
            ("not_supported", "counters need a GPU from Turing on, whole and outside a virtual machine")
        }
        // CUPTI_ERROR_NOT_INITIALIZED.
        15 => (
            "not_initialized",
            "libnvperf_host.so and libnvperf_target.so of the same version must lie beside libcupti.so",
        ),
        _ => ("no_counters", "compare the versions of CUPTI and the driver, whose CUDA must not be older"),
    };
    (code, format!("{refusal} (hint: {hint})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_call_and_what_to_try() {
        let refusal = Refusal { call: "cuptiRangeProfilerEnable", status: 35, reason: "CUPTI_ERROR_X".to_owned() };
        let (code, detail) = told(&refusal);
        assert_eq!(code, "no_permission");
        assert!(detail.starts_with("cuptiRangeProfilerEnable: CUPTI_ERROR_X (hint: ") && detail.contains("SYS_ADMIN"));
    }
}
