#!/usr/bin/env python3
"""Writes crates/inject/src/param_layouts.rs: where the fields are that CUPTI's profiler functions and callbacks take.

    scripts/cupti_params.py > crates/inject/src/param_layouts.rs
    scripts/cupti_params.py --headers FOLDER       headers that are already there, in FOLDER/VERSION/

As scripts/cupti_layouts.py, of the releases from CUDA 12.6 on, the first with these functions. Structures grow at their
end from release to release; the recorder states the size of those of CUDA 12.6, and this script fails when a field of
them moves.
"""
import os
import re
import subprocess
import sys
import tempfile

from cupti_layouts import CUDA_H, WHEELS, fail, fetch

OLDEST = (12, 6)

# Constant -> (structure, fields); a structure's size is where its last field ends.
STRUCTURES = {
    "HOST_INITIALIZE": ("CUpti_Profiler_Host_Initialize_Params", ["profilerType", "pChipName", "pCounterAvailabilityImage", "pHostObject"]),
    "HOST_DEINITIALIZE": ("CUpti_Profiler_Host_Deinitialize_Params", ["pHostObject"]),
    "CHIPS": ("CUpti_Profiler_Host_GetSupportedChips_Params", ["numChips", "ppChipNames"]),
    "BASE_METRICS": ("CUpti_Profiler_Host_GetBaseMetrics_Params", ["pHostObject", "metricType", "ppMetricNames", "numMetrics"]),
    "PROPERTIES": ("CUpti_Profiler_Host_GetMetricProperties_Params", ["pHostObject", "pMetricName", "pDescription", "pHwUnit", "pDimUnit", "metricType"]),
    "ADD_METRICS": ("CUpti_Profiler_Host_ConfigAddMetrics_Params", ["pHostObject", "ppMetricNames", "numMetrics"]),
    "CONFIG_SIZE": ("CUpti_Profiler_Host_GetConfigImageSize_Params", ["pHostObject", "configImageSize"]),
    "CONFIG_IMAGE": ("CUpti_Profiler_Host_GetConfigImage_Params", ["pHostObject", "configImageSize", "pConfigImage"]),
    "PASSES": ("CUpti_Profiler_Host_GetNumOfPasses_Params", ["configImageSize", "pConfigImage", "numOfPasses"]),
    "EVALUATE": ("CUpti_Profiler_Host_EvaluateToGpuValues_Params", ["pHostObject", "pCounterDataImage", "counterDataImageSize", "rangeIndex", "ppMetricNames", "numMetrics", "pMetricValues"]),
    "CHIP_NAME": ("CUpti_Device_GetChipName_Params", ["deviceIndex", "pChipName"]),
    "PROFILER_INITIALIZE": ("CUpti_Profiler_Initialize_Params", ["pPriv"]),
    "AVAILABILITY": ("CUpti_Profiler_GetCounterAvailability_Params", ["ctx", "counterAvailabilityImageSize", "pCounterAvailabilityImage"]),
    "ENABLE": ("CUpti_RangeProfiler_Enable_Params", ["ctx", "pRangeProfilerObject"]),
    "DISABLE": ("CUpti_RangeProfiler_Disable_Params", ["pRangeProfilerObject"]),
    "DATA_SIZE": ("CUpti_RangeProfiler_GetCounterDataSize_Params", ["pRangeProfilerObject", "pMetricNames", "numMetrics", "maxNumOfRanges", "maxNumRangeTreeNodes", "counterDataSize"]),
    "DATA_INITIALIZE": ("CUpti_RangeProfiler_CounterDataImage_Initialize_Params", ["pRangeProfilerObject", "counterDataSize", "pCounterData"]),
    "SET_CONFIG": ("CUpti_RangeProfiler_SetConfig_Params", ["pRangeProfilerObject", "configSize", "pConfig", "counterDataImageSize", "pCounterDataImage", "range", "replayMode", "maxRangesPerPass", "numNestingLevels", "minNestingLevel", "passIndex", "targetNestingLevel"]),
    "START": ("CUpti_RangeProfiler_Start_Params", ["pRangeProfilerObject"]),
    "STOP": ("CUpti_RangeProfiler_Stop_Params", ["pRangeProfilerObject", "passIndex", "targetNestingLevel", "isAllPassSubmitted"]),
    "PUSH": ("CUpti_RangeProfiler_PushRange_Params", ["pRangeProfilerObject", "pRangeName"]),
    "POP": ("CUpti_RangeProfiler_PopRange_Params", ["pRangeProfilerObject"]),
    "DECODE": ("CUpti_RangeProfiler_DecodeData_Params", ["pRangeProfilerObject", "numOfRangeDropped"]),
    "DATA_INFO": ("CUpti_RangeProfiler_GetCounterDataInfo_Params", ["pCounterDataImage", "counterDataImageSize", "numTotalRanges"]),
}
# Of CUDA 13.4 and later.
LATER = {"ENABLE_CACHES": ("CUpti_RangeProfiler_Enable_Params", ["ctx", "pRangeProfilerObject", "cacheControlMode"])}
# Offsets alone.
PLAIN = {
    "CALLBACK_DATA": ("CUpti_CallbackData", ["callbackSite", "functionName", "functionParams", "functionReturnValue", "symbolName", "context", "contextUid", "correlationData", "correlationId"]),
    "RESOURCE_DATA": ("CUpti_ResourceData", ["context"]),
    "LAUNCH_KERNEL": ("cuLaunchKernel_params", ["f", "gridDimX"]),
    "LAUNCH_KERNEL_EX": ("cuLaunchKernelEx_params", ["config"]),
}
# The driver's functions that launch kernels or capture streams; their numbers never change.
CALLBACKS = ["cuLaunch", "cuLaunchGrid", "cuLaunchGridAsync", "cuLaunchKernel", "cuLaunchKernel_ptsz", "cuLaunchKernelEx",
             "cuLaunchKernelEx_ptsz", "cuLaunchCooperativeKernel", "cuLaunchCooperativeKernel_ptsz",
             "cuLaunchCooperativeKernelMultiDevice", "cuGraphLaunch", "cuGraphLaunch_ptsz", "cuStreamBeginCapture",
             "cuStreamBeginCapture_ptsz", "cuStreamBeginCapture_v2", "cuStreamBeginCapture_v2_ptsz",
             "cuStreamBeginCaptureToGraph", "cuStreamBeginCaptureToGraph_ptsz", "cuStreamEndCapture", "cuStreamEndCapture_ptsz"]


def launches(folder):
    """The parameters of the launch functions, without the rest of a header that needs all of cuda.h."""
    text = open(os.path.join(folder, "generated_cuda_meta.h")).read()
    return "\n".join(re.search(rf"typedef struct {name}_st \{{.*?\}} {name};", text, re.S).group(0) for name in ("cuLaunchKernel_params", "cuLaunchKernelEx_params"))


def program(folder):
    later = re.search(r"cacheControlMode;", open(os.path.join(folder, "cupti_range_profiler.h")).read())
    lines = []
    for name, (structure, fields) in (STRUCTURES | (LATER if later else {}) | PLAIN).items():
        places = ", ".join(f"offsetof({structure}, {field})" for field in fields)
        end = f"offsetof({structure}, {fields[-1]}) + sizeof((({structure} *)0)->{fields[-1]})"
        formats = " %zu" * (len(fields) + 1)
        lines.append(f'printf("{name}{formats}\\n", {places}, {end});')
    lines += [f'printf("{name} %d\\n", CUPTI_DRIVER_TRACE_CBID_{name});' for name in CALLBACKS]
    headers = ["stdio.h", "stddef.h", "stdbool.h", "cuda.h", "cupti_version.h", "cupti_callbacks.h", "cupti_driver_cbid.h", "cupti_target.h", "cupti_profiler_host.h", "cupti_range_profiler.h"]
    includes = "".join(f"#include <{header}>\n" for header in headers)
    body = "\n  ".join(lines)
    return f"{includes}typedef void CUlaunchConfig;\n{launches(folder)}\nint main(void) {{\n  {body}\n  return 0;\n}}\n"


def layout(folder):
    """{constant: numbers}."""
    with tempfile.TemporaryDirectory() as place:
        # A header of 12.6 includes one of C++ that it does not need.
        for name, text in {"cuda.h": CUDA_H, "builtin_types.h": "", "string": "", "main.c": program(folder)}.items():
            with open(os.path.join(place, name), "w") as file:
                file.write(text)
        binary = os.path.join(place, "main")
        subprocess.run(["cc", "-w", "-I", folder, "-I", place, "-o", binary, os.path.join(place, "main.c")], check=True)
        rows = subprocess.run([binary], check=True, capture_output=True, text=True).stdout.splitlines()
    return {name: [int(number) for number in numbers] for name, *numbers in (row.split() for row in rows)}


def numbers(values):
    return ", ".join(str(value) for value in values)


def render(releases, found):
    out = ["//! Where the fields are that CUPTI's profiler functions and callbacks take, as byte offsets, and the size of each",
           "//! structure; and the numbers of the driver's functions that launch kernels or capture streams.", "//!",
           "//! Written by `scripts/cupti_params.py` from the headers in NVIDIA's wheels; do not edit. The same in CUDA",
           "//! " + ", ".join(releases) + "."]
    for name, (structure, _) in (STRUCTURES | LATER).items():
        *offsets, size = found[name]
        out += ["", f"/// `{structure}`" + (" from CUDA 13.4." if name in LATER else "."), "#[cfg(test)]",
                f"pub(crate) const {name}: (&[usize], usize) = (&[{numbers(offsets)}], {size});"]
    for name, (structure, fields) in PLAIN.items():
        out += ["", f"/// `{structure}`.", "#[cfg(test)]", f"pub(crate) const {name}: [usize; {len(fields)}] = [{numbers(found[name][:-1])}];"]
    out += ["", "/// `CUPTI_DRIVER_TRACE_CBID_*`.", "pub(crate) mod cbid {"]
    for name in CALLBACKS:
        constant = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name[2:]).upper()
        out.append(f"    pub(crate) const {constant}: u32 = {found[name][0]};")
    return "\n".join(out + ["}", ""])


def main():
    folder = sys.argv[2] if sys.argv[1:2] == ["--headers"] and len(sys.argv) == 3 else None
    if sys.argv[1:] and not folder:
        fail("usage: cupti_params.py [--headers FOLDER]")
    number = lambda name: [int(part) for part in name.split(".")]
    with tempfile.TemporaryDirectory() as place:
        if not folder:
            folder = place
            fetch(folder, {package: [v for v in versions if tuple(number(v)[:2]) >= OLDEST] for package, versions in WHEELS.items()})
        found, releases = {}, []
        for release in sorted(os.listdir(folder), key=number):
            for name, values in layout(os.path.join(folder, release)).items():
                if found.setdefault(name, values) != values:
                    fail(f"CUDA {release}: {name} has changed since CUDA {releases[-1]}: {found[name]} is now {values}")
            releases.append(release)
    print(render(releases, found), end="")


if __name__ == "__main__":
    main()
