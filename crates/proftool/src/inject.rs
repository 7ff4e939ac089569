//! The injected recorder inside this executable (`build.rs` builds it).

/// `libproftool_inject.so`; empty where it could not be built.
static LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libproftool_inject.so"));

/// Lets the profiler `cupti` use it.
pub(crate) fn offer() {
    if !LIBRARY.is_empty() {
        proftool_capture::profilers::cupti::embed(LIBRARY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_recorder_is_inside_and_has_the_function_that_the_driver_calls() {
        assert!(LIBRARY.starts_with(b"\x7fELF"), "built without it: see the warnings of the build");
        let name = b"InitializeInjection\0";
        assert!(LIBRARY.windows(name.len()).any(|window| window == name));
    }
}
