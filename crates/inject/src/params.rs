//! The structures that CUPTI's profiler functions take, after `cupti_profiler_host.h`, `cupti_range_profiler.h`,
//! `cupti_profiler_target.h` and `cupti_target.h` of CUDA 12.6, the first that has them. Each begins with the size that
//! the caller knows, so that later releases, which append fields, take these as well; `param_layouts.rs` has the offsets
//! of all releases, written by `scripts/cupti_params.py`.

use std::ffi::{c_char, c_void};

/// A structure as C lays it out, all zero but for its size, which is where its last field ends.
macro_rules! params {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* ; $last:ident: $last_type:ty })*) => {$(
        $(#[$doc])*
        #[repr(C)]
        pub(crate) struct $name {
            size: usize,
            private: *mut c_void,
            $(pub(crate) $field: $type,)*
            pub(crate) $last: $last_type,
        }

        impl $name {
            pub(crate) const SIZE: usize = std::mem::offset_of!($name, $last) + std::mem::size_of::<$last_type>();

            pub(crate) fn new() -> Self {
                // SAFETY: the fields are numbers and pointers, for which zero is a value.
                let mut new: Self = unsafe { std::mem::zeroed() };
                new.size = Self::SIZE;
                new
            }
        }
    )*};
}

/// An array of strings.
pub(crate) type Names = *const *const c_char;

params! {
    /// `CUpti_Profiler_Host_Initialize_Params`.
    HostInitialize { kind: u32, chip: *const c_char, availability: *const u8, ; host: *mut c_void }
    /// `CUpti_Profiler_Host_Deinitialize_Params`.
    HostDeinitialize { ; host: *mut c_void }
    /// `CUpti_Profiler_Host_GetSupportedChips_Params`.
    Chips { count: usize, ; names: Names }
    /// `CUpti_Profiler_Host_GetBaseMetrics_Params`.
    BaseMetrics { host: *mut c_void, kind: u32, names: Names, ; count: usize }
    /// `CUpti_Profiler_Host_GetMetricProperties_Params`.
    Properties {
        host: *mut c_void, name: *const c_char, description: *const c_char, hardware_unit: *const c_char,
        unit: *const c_char, ; kind: u32
    }
    /// `CUpti_Profiler_Host_ConfigAddMetrics_Params`.
    AddMetrics { host: *mut c_void, names: Names, ; count: usize }
    /// `CUpti_Profiler_Host_GetConfigImageSize_Params`.
    ConfigSize { host: *mut c_void, ; bytes: usize }
    /// `CUpti_Profiler_Host_GetConfigImage_Params`.
    ConfigImage { host: *mut c_void, bytes: usize, ; image: *mut u8 }
    /// `CUpti_Profiler_Host_GetNumOfPasses_Params`.
    Passes { bytes: usize, image: *mut u8, ; count: usize }
    /// `CUpti_Profiler_Host_EvaluateToGpuValues_Params`.
    Evaluate {
        host: *mut c_void, image: *const u8, bytes: usize, range: usize, names: Names, count: usize, ; values: *mut f64
    }
    /// `CUpti_Device_GetChipName_Params`.
    ChipName { device: usize, ; name: *const c_char }
    /// `CUpti_Profiler_Initialize_Params`, which holds nothing else.
    ProfilerInitialize { ; end: [u8; 0] }
    /// `CUpti_Profiler_GetCounterAvailability_Params`.
    Availability { context: *mut c_void, bytes: usize, ; image: *mut u8 }
    /// `CUpti_RangeProfiler_Enable_Params` of before CUDA 13.4.
    Enable { context: *mut c_void, ; object: *mut c_void }
    /// `CUpti_RangeProfiler_Enable_Params` from CUDA 13.4, which can have the caches emptied before each pass.
    EnableCaches { context: *mut c_void, object: *mut c_void, ; caches: u32 }
    /// `CUpti_RangeProfiler_Disable_Params`.
    Disable { ; object: *mut c_void }
    /// `CUpti_RangeProfiler_GetCounterDataSize_Params`.
    DataSize {
        object: *mut c_void, names: Names, count: usize, ranges: usize, nodes: u32, ; bytes: usize
    }
    /// `CUpti_RangeProfiler_CounterDataImage_Initialize_Params`.
    DataInitialize { object: *mut c_void, bytes: usize, ; image: *mut u8 }
    /// `CUpti_RangeProfiler_SetConfig_Params`.
    SetConfig {
        object: *mut c_void, config_bytes: usize, config: *const u8, image_bytes: usize, image: *mut u8, range: u32,
        replay: u32, ranges_a_pass: usize, levels: u16, first_level: u16, pass: usize, ; level: u16
    }
    /// `CUpti_RangeProfiler_Start_Params`.
    Start { ; object: *mut c_void }
    /// `CUpti_RangeProfiler_Stop_Params`.
    Stop { object: *mut c_void, pass: usize, level: usize, ; all_submitted: u8 }
    /// `CUpti_RangeProfiler_PushRange_Params`.
    Push { object: *mut c_void, ; name: *const c_char }
    /// `CUpti_RangeProfiler_PopRange_Params`.
    Pop { ; object: *mut c_void }
    /// `CUpti_RangeProfiler_DecodeData_Params`.
    Decode { object: *mut c_void, ; dropped: usize }
    /// `CUpti_RangeProfiler_GetCounterDataInfo_Params`.
    DataInfo { image: *const u8, bytes: usize, ; ranges: usize }
}

/// What the driver's launch functions are called with (`generated_cuda_meta.h`), as far as it is read: a function, then
/// six numbers; `cuLaunchKernelEx` points at the numbers instead (`CUlaunchConfig`).
#[repr(C)]
pub(crate) struct LaunchKernel {
    pub(crate) function: *mut c_void,
    pub(crate) dimensions: [u32; 6],
}

/// `cuLaunchKernelEx_params`, as far as it is read.
#[repr(C)]
pub(crate) struct LaunchKernelEx {
    pub(crate) dimensions: *const [u32; 6],
}

/// `CUpti_CallbackData`.
#[repr(C)]
pub(crate) struct CallbackData {
    /// 0 before the call, 1 after it.
    pub(crate) site: u32,
    pub(crate) function: *const c_char,
    pub(crate) parameters: *const c_void,
    pub(crate) returned: *const u32,
    /// Of launches: the kernel.
    pub(crate) symbol: *const c_char,
    pub(crate) context: *mut c_void,
    pub(crate) context_number: u32,
    pub(crate) shared: *mut u64,
    pub(crate) correlation: u32,
}

/// `CUpti_ResourceData`, as far as it is read.
#[repr(C)]
pub(crate) struct ResourceData {
    pub(crate) context: *mut c_void,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::param_layouts as layout;

    /// Offsets of every field after the two that all structures begin with, then the size.
    macro_rules! offsets {
        ($name:ident: $($field:ident),*) => {
            (&[$(std::mem::offset_of!($name, $field)),*][..], $name::SIZE)
        };
    }

    #[test]
    fn the_fields_are_where_the_headers_of_every_release_have_them() {
        let cases = [
            (offsets!(HostInitialize: kind, chip, availability, host), layout::HOST_INITIALIZE),
            (offsets!(HostDeinitialize: host), layout::HOST_DEINITIALIZE),
            (offsets!(Chips: count, names), layout::CHIPS),
            (offsets!(BaseMetrics: host, kind, names, count), layout::BASE_METRICS),
            (offsets!(Properties: host, name, description, hardware_unit, unit, kind), layout::PROPERTIES),
            (offsets!(AddMetrics: host, names, count), layout::ADD_METRICS),
            (offsets!(ConfigSize: host, bytes), layout::CONFIG_SIZE),
            (offsets!(ConfigImage: host, bytes, image), layout::CONFIG_IMAGE),
            (offsets!(Passes: bytes, image, count), layout::PASSES),
            (offsets!(Evaluate: host, image, bytes, range, names, count, values), layout::EVALUATE),
            (offsets!(ChipName: device, name), layout::CHIP_NAME),
            (offsets!(Availability: context, bytes, image), layout::AVAILABILITY),
            (offsets!(Enable: context, object), layout::ENABLE),
            (offsets!(Disable: object), layout::DISABLE),
            (offsets!(DataSize: object, names, count, ranges, nodes, bytes), layout::DATA_SIZE),
            (offsets!(DataInitialize: object, bytes, image), layout::DATA_INITIALIZE),
            (
                offsets!(SetConfig: object, config_bytes, config, image_bytes, image, range, replay, ranges_a_pass,
                         levels, first_level, pass, level),
                layout::SET_CONFIG,
            ),
            (offsets!(Start: object), layout::START),
            (offsets!(Stop: object, pass, level, all_submitted), layout::STOP),
            (offsets!(Push: object, name), layout::PUSH),
            (offsets!(Pop: object), layout::POP),
            (offsets!(Decode: object, dropped), layout::DECODE),
            (offsets!(DataInfo: image, bytes, ranges), layout::DATA_INFO),
        ];
        for (number, ((fields, size), (known, known_size))) in cases.into_iter().enumerate() {
            assert_eq!((fields, size), (known, known_size), "structure {number}");
        }
        assert_eq!(ProfilerInitialize::SIZE, layout::PROFILER_INITIALIZE.1);
        let caches = offsets!(EnableCaches: context, object, caches);
        assert_eq!(caches, layout::ENABLE_CACHES);
    }

    #[test]
    fn what_callbacks_are_given_is_where_the_headers_have_it() {
        use std::mem::offset_of;
        let data = [
            offset_of!(CallbackData, site),
            offset_of!(CallbackData, function),
            offset_of!(CallbackData, parameters),
            offset_of!(CallbackData, returned),
            offset_of!(CallbackData, symbol),
            offset_of!(CallbackData, context),
            offset_of!(CallbackData, context_number),
            offset_of!(CallbackData, shared),
            offset_of!(CallbackData, correlation),
        ];
        assert_eq!(data, layout::CALLBACK_DATA);
        assert_eq!([offset_of!(ResourceData, context)], layout::RESOURCE_DATA);
        assert_eq!([offset_of!(LaunchKernel, function), offset_of!(LaunchKernel, dimensions)], layout::LAUNCH_KERNEL);
        assert_eq!([offset_of!(LaunchKernelEx, dimensions)], layout::LAUNCH_KERNEL_EX);
    }
}
