// Initialisation, devices and the names of errors.
#include <dlfcn.h>
#include <time.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"

State &state() {
  static auto *instance = new State;
  return *instance;
}

Handle next_handle() {
  static std::atomic<uintptr_t> last{0xd0b1e000};
  return reinterpret_cast<Handle>(last.fetch_add(16) + 16);
}

int64_t now_ns() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000ll + time.tv_nsec;
}

static long long number(const char *variable, long long otherwise) {
  const char *text = std::getenv(variable);
  return text && *text ? std::atoll(text) : otherwise;
}

// The devices that CUDA_VISIBLE_DEVICES lists by number, up to the first that isn't there; without it all.
static std::vector<int> visible() {
  std::vector<int> devices;
  int all = static_cast<int>(number("DOUBLE_DEVICES", 1));
  const char *text = std::getenv("CUDA_VISIBLE_DEVICES");
  for (int device = 0; !text && device < all; ++device) devices.push_back(device);
  while (text && *text) {
    char *end;
    long device = std::strtol(text, &end, 10);
    if (end == text || device < 0 || device >= all) break;
    devices.push_back(static_cast<int>(device));
    text = *end == ',' ? end + 1 : end;
  }
  return devices;
}

static const std::vector<int> &devices() {
  static const auto *all = new std::vector<int>(visible());
  return *all;
}

int device_count() { return static_cast<int>(devices().size()); }
size_t device_memory_bytes() { return number("DOUBLE_MEMORY_BYTES", 80000000000ll); }

Result enter(const char *function, bool needs_init) {
  if (int code = fault(function, UNKNOWN)) return code;
  return needs_init && !state().initialized ? NOT_INITIALIZED : SUCCESS;
}

// As the driver does: the library of CUDA_INJECTION64_PATH is loaded and told.
static void inject() {
  const char *path = std::getenv("CUDA_INJECTION64_PATH");
  void *library = path && *path ? dlopen(path, RTLD_NOW) : nullptr;
  auto begin = library ? reinterpret_cast<int (*)()>(dlsym(library, "InitializeInjection")) : nullptr;
  if (begin) begin();
}

API cuInit(unsigned flags) {
  if (Result error = enter("cuInit", false)) return error;
  if (flags) return INVALID_VALUE;
  if (device_count() < 1) return 100;
  if (!state().initialized.exchange(true)) inject();
  return SUCCESS;
}

API cuDriverGetVersion(int *version) {
  if (Result error = enter("cuDriverGetVersion", false)) return error;
  *version = static_cast<int>(number("DOUBLE_DRIVER_VERSION", 12040));
  return SUCCESS;
}

API cuDeviceGetCount(int *count) {
  ENTER();
  *count = device_count();
  return SUCCESS;
}

API cuDeviceGet(int *device, int ordinal) {
  ENTER();
  if (ordinal < 0 || ordinal >= device_count()) return INVALID_DEVICE;
  *device = ordinal;
  return SUCCESS;
}

static bool known(int device) { return device >= 0 && device < device_count(); }

API cuDeviceGetName(char *name, int length, int device) {
  ENTER();
  if (!known(device)) return INVALID_DEVICE;
  std::snprintf(name, length, "proftool test double");
  return SUCCESS;
}

API cuDeviceGetUuid_v2(Uuid *uuid, int device) {
  ENTER();
  if (!known(device)) return INVALID_DEVICE;
  std::memcpy(uuid->bytes, "proftool double", 16);
  uuid->bytes[15] = static_cast<char>(devices()[device]);
  return SUCCESS;
}

API cuDeviceGetUuid(Uuid *uuid, int device) { return cuDeviceGetUuid_v2(uuid, device); }

API cuDeviceGetPCIBusId(char *id, int length, int device) {
  ENTER();
  if (!known(device)) return INVALID_DEVICE;
  std::snprintf(id, length, "0000:%02X:00.0", 0xd0 + devices()[device]);
  return SUCCESS;
}

API cuDeviceTotalMem_v2(size_t *bytes, int device) {
  ENTER();
  if (!known(device)) return INVALID_DEVICE;
  *bytes = device_memory_bytes();
  return SUCCESS;
}

// Limits of compute capability 9.0; the counts are small, so that no grid made from them takes long on a host.
static const std::map<int, int> &attributes() {
  static const auto *values = new std::map<int, int>{
      {1, 1024},         // MAX_THREADS_PER_BLOCK
      {2, 1024},         // MAX_BLOCK_DIM_X
      {3, 1024},         // MAX_BLOCK_DIM_Y
      {4, 64},           // MAX_BLOCK_DIM_Z
      {5, 2147483647},   // MAX_GRID_DIM_X
      {6, 65535},        // MAX_GRID_DIM_Y
      {7, 65535},        // MAX_GRID_DIM_Z
      {8, 49152},        // MAX_SHARED_MEMORY_PER_BLOCK
      {9, 65536},        // TOTAL_CONSTANT_MEMORY
      {10, 32},          // WARP_SIZE
      {11, 2147483647},  // MAX_PITCH
      {12, 65536},       // MAX_REGISTERS_PER_BLOCK
      {13, 1000000},     // CLOCK_RATE, kHz
      {15, 1},           // GPU_OVERLAP
      {16, 4},           // MULTIPROCESSOR_COUNT
      {17, 0},           // KERNEL_EXEC_TIMEOUT
      {18, 0},           // INTEGRATED
      {19, 1},           // CAN_MAP_HOST_MEMORY
      {20, 0},           // COMPUTE_MODE
      {31, 1},           // CONCURRENT_KERNELS
      {32, 0},           // ECC_ENABLED
      {34, 0},           // PCI_DEVICE_ID
      {35, 0},           // TCC_DRIVER
      {36, 1000000},     // MEMORY_CLOCK_RATE, kHz
      {37, 64},          // GLOBAL_MEMORY_BUS_WIDTH, bits
      {38, 1048576},     // L2_CACHE_SIZE
      {39, 2048},        // MAX_THREADS_PER_MULTIPROCESSOR
      {40, 3},           // ASYNC_ENGINE_COUNT
      {41, 1},           // UNIFIED_ADDRESSING
      {50, 0},           // PCI_DOMAIN_ID
      {75, 9},           // COMPUTE_CAPABILITY_MAJOR
      {76, 0},           // COMPUTE_CAPABILITY_MINOR
      {78, 1},           // STREAM_PRIORITIES_SUPPORTED
      {81, 233472},      // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
      {82, 65536},       // MAX_REGISTERS_PER_MULTIPROCESSOR
      {83, 1},           // MANAGED_MEMORY
      {84, 0},           // MULTI_GPU_BOARD
      {88, 0},           // PAGEABLE_MEMORY_ACCESS
      {89, 0},           // CONCURRENT_MANAGED_ACCESS
      {95, 1},           // COOPERATIVE_LAUNCH
      {97, 232448},      // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
      {106, 32},         // MAX_BLOCKS_PER_MULTIPROCESSOR
      {111, 1024},       // RESERVED_SHARED_MEMORY_PER_BLOCK
      {115, 1},          // MEMORY_POOLS_SUPPORTED
      {120, 1},          // CLUSTER_LAUNCH
  };
  return *values;
}

API cuDeviceGetAttribute(int *value, int attribute, int device) {
  ENTER();
  if (!known(device)) return INVALID_DEVICE;
  if (attribute == 33) {  // PCI_BUS_ID
    *value = 0xd0 + devices()[device];
    return SUCCESS;
  }
  auto found = attributes().find(attribute);
  if (found == attributes().end()) return INVALID_VALUE;
  *value = found->second;
  return SUCCESS;
}

struct ErrorText {
  Result code;
  const char *name, *text;
};

static const ErrorText ERRORS[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {UNSUPPORTED_LIMIT, "CUDA_ERROR_UNSUPPORTED_LIMIT", "limit is not supported on this architecture"},
    {PEER_ACCESS_UNSUPPORTED, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED", "peer access is not supported between these two devices"},
    {FILE_NOT_FOUND, "CUDA_ERROR_FILE_NOT_FOUND", "file not found"},
    {SHARED_OBJECT_INIT_FAILED, "CUDA_ERROR_SHARED_OBJECT_INIT_FAILED", "shared object initialization failed"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {PEER_ACCESS_ALREADY_ENABLED, "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "peer access is already enabled"},
    {PEER_ACCESS_NOT_ENABLED, "CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "peer access has not been enabled"},
    {CONTEXT_IS_DESTROYED, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {STREAM_CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {STREAM_CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {STREAM_CAPTURE_MERGE, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would result in a merge of separate capture sequences"},
    {STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "capture was not ended in the same stream as it began"},
    {STREAM_CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work"},
    {STREAM_CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
    {STREAM_CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "operation would make the legacy stream depend on a capturing blocking stream"},
    {CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {STREAM_CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "attempt to terminate a thread-local capture sequence from another thread"},
    {GRAPH_EXEC_UPDATE_FAILURE, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "the graph update was not performed"},
    {UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static const ErrorText *described(Result code) {
  for (const ErrorText &error : ERRORS)
    if (error.code == code) return &error;
  return nullptr;
}

API cuGetErrorName(Result code, const char **name) {
  const ErrorText *error = described(code);
  *name = error ? error->name : nullptr;
  return error ? SUCCESS : INVALID_VALUE;
}

API cuGetErrorString(Result code, const char **text) {
  const ErrorText *error = described(code);
  *text = error ? error->text : nullptr;
  return error ? SUCCESS : INVALID_VALUE;
}

// The newest variant of a name, as the real function gives for a new enough version.
API cuGetProcAddress_v2(const char *symbol, void **address, int, unsigned long long, int *found) {
  std::string name = symbol;
  *address = nullptr;
  Dl_info self;
  dladdr(reinterpret_cast<void *>(&cuInit), &self);
  void *library = dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  for (const char *suffix : {"_v2", ""})
    if (!*address && library) *address = dlsym(library, (name + suffix).c_str());
  if (found) *found = *address ? 0 : 1;
  return *address ? SUCCESS : NOT_FOUND;
}

API cuGetProcAddress(const char *symbol, void **address, int version, unsigned long long flags) {
  return cuGetProcAddress_v2(symbol, address, version, flags, nullptr);
}
