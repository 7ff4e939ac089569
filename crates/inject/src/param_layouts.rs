//! Where the fields are that CUPTI's profiler functions and callbacks take, as byte offsets, and the size of each
//! structure; and the numbers of the driver's functions that launch kernels or capture streams.
//!
//! Written by `scripts/cupti_params.py` from the headers in NVIDIA's wheels; do not edit. The same in CUDA
//! 12.6.80, 12.8.90, 12.9.79, 13.0.85, 13.1.115, 13.2.86, 13.3.75, 13.4.92, 13.5.25.

/// `CUpti_Profiler_Host_Initialize_Params`.
#[cfg(test)]
pub(crate) const HOST_INITIALIZE: (&[usize], usize) = (&[16, 24, 32, 40], 48);

/// `CUpti_Profiler_Host_Deinitialize_Params`.
#[cfg(test)]
pub(crate) const HOST_DEINITIALIZE: (&[usize], usize) = (&[16], 24);

/// `CUpti_Profiler_Host_GetSupportedChips_Params`.
#[cfg(test)]
pub(crate) const CHIPS: (&[usize], usize) = (&[16, 24], 32);

/// `CUpti_Profiler_Host_GetBaseMetrics_Params`.
#[cfg(test)]
pub(crate) const BASE_METRICS: (&[usize], usize) = (&[16, 24, 32, 40], 48);

/// `CUpti_Profiler_Host_GetMetricProperties_Params`.
#[cfg(test)]
pub(crate) const PROPERTIES: (&[usize], usize) = (&[16, 24, 32, 40, 48, 56], 60);

/// `CUpti_Profiler_Host_ConfigAddMetrics_Params`.
#[cfg(test)]
pub(crate) const ADD_METRICS: (&[usize], usize) = (&[16, 24, 32], 40);

/// `CUpti_Profiler_Host_GetConfigImageSize_Params`.
#[cfg(test)]
pub(crate) const CONFIG_SIZE: (&[usize], usize) = (&[16, 24], 32);

/// `CUpti_Profiler_Host_GetConfigImage_Params`.
#[cfg(test)]
pub(crate) const CONFIG_IMAGE: (&[usize], usize) = (&[16, 24, 32], 40);

/// `CUpti_Profiler_Host_GetNumOfPasses_Params`.
#[cfg(test)]
pub(crate) const PASSES: (&[usize], usize) = (&[16, 24, 32], 40);

/// `CUpti_Profiler_Host_EvaluateToGpuValues_Params`.
#[cfg(test)]
pub(crate) const EVALUATE: (&[usize], usize) = (&[16, 24, 32, 40, 48, 56, 64], 72);

/// `CUpti_Device_GetChipName_Params`.
#[cfg(test)]
pub(crate) const CHIP_NAME: (&[usize], usize) = (&[16, 24], 32);

/// `CUpti_Profiler_Initialize_Params`.
#[cfg(test)]
pub(crate) const PROFILER_INITIALIZE: (&[usize], usize) = (&[8], 16);

/// `CUpti_Profiler_GetCounterAvailability_Params`.
#[cfg(test)]
pub(crate) const AVAILABILITY: (&[usize], usize) = (&[16, 24, 32], 40);

/// `CUpti_RangeProfiler_Enable_Params`.
#[cfg(test)]
pub(crate) const ENABLE: (&[usize], usize) = (&[16, 24], 32);

/// `CUpti_RangeProfiler_Disable_Params`.
#[cfg(test)]
pub(crate) const DISABLE: (&[usize], usize) = (&[16], 24);

/// `CUpti_RangeProfiler_GetCounterDataSize_Params`.
#[cfg(test)]
pub(crate) const DATA_SIZE: (&[usize], usize) = (&[16, 24, 32, 40, 48, 56], 64);

/// `CUpti_RangeProfiler_CounterDataImage_Initialize_Params`.
#[cfg(test)]
pub(crate) const DATA_INITIALIZE: (&[usize], usize) = (&[16, 24, 32], 40);

/// `CUpti_RangeProfiler_SetConfig_Params`.
#[cfg(test)]
pub(crate) const SET_CONFIG: (&[usize], usize) = (&[16, 24, 32, 40, 48, 56, 60, 64, 72, 74, 80, 88], 90);

/// `CUpti_RangeProfiler_Start_Params`.
#[cfg(test)]
pub(crate) const START: (&[usize], usize) = (&[16], 24);

/// `CUpti_RangeProfiler_Stop_Params`.
#[cfg(test)]
pub(crate) const STOP: (&[usize], usize) = (&[16, 24, 32, 40], 41);

/// `CUpti_RangeProfiler_PushRange_Params`.
#[cfg(test)]
pub(crate) const PUSH: (&[usize], usize) = (&[16, 24], 32);

/// `CUpti_RangeProfiler_PopRange_Params`.
#[cfg(test)]
pub(crate) const POP: (&[usize], usize) = (&[16], 24);

/// `CUpti_RangeProfiler_DecodeData_Params`.
#[cfg(test)]
pub(crate) const DECODE: (&[usize], usize) = (&[16, 24], 32);

/// `CUpti_RangeProfiler_GetCounterDataInfo_Params`.
#[cfg(test)]
pub(crate) const DATA_INFO: (&[usize], usize) = (&[16, 24, 32], 40);

/// `CUpti_RangeProfiler_Enable_Params` from CUDA 13.4.
#[cfg(test)]
pub(crate) const ENABLE_CACHES: (&[usize], usize) = (&[16, 24, 32], 36);

/// `CUpti_CallbackData`.
#[cfg(test)]
pub(crate) const CALLBACK_DATA: [usize; 9] = [0, 8, 16, 24, 32, 40, 48, 56, 64];

/// `CUpti_ResourceData`.
#[cfg(test)]
pub(crate) const RESOURCE_DATA: [usize; 1] = [0];

/// `cuLaunchKernel_params`.
#[cfg(test)]
pub(crate) const LAUNCH_KERNEL: [usize; 2] = [0, 8];

/// `cuLaunchKernelEx_params`.
#[cfg(test)]
pub(crate) const LAUNCH_KERNEL_EX: [usize; 1] = [0];

/// `CUPTI_DRIVER_TRACE_CBID_*`.
pub(crate) mod cbid {
    pub(crate) const LAUNCH: u32 = 115;
    pub(crate) const LAUNCH_GRID: u32 = 116;
    pub(crate) const LAUNCH_GRID_ASYNC: u32 = 117;
    pub(crate) const LAUNCH_KERNEL: u32 = 307;
    pub(crate) const LAUNCH_KERNEL_PTSZ: u32 = 442;
    pub(crate) const LAUNCH_KERNEL_EX: u32 = 652;
    pub(crate) const LAUNCH_KERNEL_EX_PTSZ: u32 = 653;
    pub(crate) const LAUNCH_COOPERATIVE_KERNEL: u32 = 477;
    pub(crate) const LAUNCH_COOPERATIVE_KERNEL_PTSZ: u32 = 478;
    pub(crate) const LAUNCH_COOPERATIVE_KERNEL_MULTI_DEVICE: u32 = 480;
    pub(crate) const GRAPH_LAUNCH: u32 = 514;
    pub(crate) const GRAPH_LAUNCH_PTSZ: u32 = 515;
    pub(crate) const STREAM_BEGIN_CAPTURE: u32 = 495;
    pub(crate) const STREAM_BEGIN_CAPTURE_PTSZ: u32 = 496;
    pub(crate) const STREAM_BEGIN_CAPTURE_V2: u32 = 539;
    pub(crate) const STREAM_BEGIN_CAPTURE_V2_PTSZ: u32 = 540;
    pub(crate) const STREAM_BEGIN_CAPTURE_TO_GRAPH: u32 = 720;
    pub(crate) const STREAM_BEGIN_CAPTURE_TO_GRAPH_PTSZ: u32 = 721;
    pub(crate) const STREAM_END_CAPTURE: u32 = 497;
    pub(crate) const STREAM_END_CAPTURE_PTSZ: u32 = 498;
}
