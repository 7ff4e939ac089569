"""Whether CUDA finds a device: in a process of its own, since a broken driver may crash or hang it."""

import ctypes
import json


def main():
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        print(json.dumps({"devices": 0, "reason": "libcuda.so.1 was not found"}))
        return
    status = cuda.cuInit(0)
    count = ctypes.c_int(0)
    if status == 0:
        status = cuda.cuDeviceGetCount(ctypes.byref(count))
    names = []
    for index in range(count.value if status == 0 else 0):
        handle, name = ctypes.c_int(0), ctypes.create_string_buffer(256)
        cuda.cuDeviceGet(ctypes.byref(handle), index)
        cuda.cuDeviceGetName(name, len(name), handle)
        names.append(name.value.decode(errors="replace"))
    driver = ctypes.c_int(0)
    cuda.cuDriverGetVersion(ctypes.byref(driver))
    reason = "" if names else f"cuInit or cuDeviceGetCount returned {status}, {count.value} devices"
    print(json.dumps({"devices": len(names), "names": names, "cuda_version": driver.value, "reason": reason}))


if __name__ == "__main__":
    main()
