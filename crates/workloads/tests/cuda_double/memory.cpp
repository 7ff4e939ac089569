// Device memory (host memory behind guard pages), pinned host memory, pools.
#include <sys/mman.h>

#include <cstring>

#include "driver.h"

namespace {

struct Allocation {
  size_t bytes;
  int device;
  ContextRef context;
  void *pages;
  size_t page_bytes;
};

// By first address.
std::map<DevicePtr, Allocation> &allocations() {
  static auto *all = new std::map<DevicePtr, Allocation>;
  return *all;
}

std::map<uintptr_t, size_t> &host_allocations() {
  static auto *all = new std::map<uintptr_t, size_t>;
  return *all;
}

std::map<int, size_t> &used() {
  static auto *all = new std::map<int, size_t>;
  return *all;
}

constexpr size_t PAGE = 4096, ALIGNMENT = 256, POISONED = 64 << 20;

// The memory ends at a page that faults, to the alignment that CUDA promises; its bytes are NaN in every type.
Result allocate(DevicePtr *address, size_t bytes, const ContextRef &context) {
  int device = context->device;
  if (!address || !bytes) return INVALID_VALUE;
  size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (rounded < bytes || used()[device] + rounded > device_memory_bytes()) return OUT_OF_MEMORY;
  size_t inside = (rounded + PAGE - 1) / PAGE * PAGE;
  void *pages = mmap(nullptr, inside + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return OUT_OF_MEMORY;
  char *end = static_cast<char *>(pages) + inside;
  mprotect(end, PAGE, PROT_NONE);
  char *first = end - rounded;
  if (bytes <= POISONED) std::memset(first, 0xff, rounded);
  *address = reinterpret_cast<DevicePtr>(first);
  allocations()[*address] = {bytes, device, context, pages, inside + PAGE};
  used()[device] += rounded;
  return SUCCESS;
}

Result release(DevicePtr address) {
  auto found = allocations().find(address);
  if (found == allocations().end()) return INVALID_VALUE;
  const Allocation &allocation = found->second;
  used()[allocation.device] -= (allocation.bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  munmap(allocation.pages, allocation.page_bytes);
  allocations().erase(found);
  return SUCCESS;
}

// The entry that an address lies in or behind.
template <typename Map, typename Key>
auto before(Map &map, Key address) {
  auto after = map.upper_bound(address);
  return after == map.begin() ? map.end() : std::prev(after);
}

}  // namespace

bool is_pinned(const void *pointer, size_t bytes) {
  auto address = reinterpret_cast<uintptr_t>(pointer);
  auto found = before(host_allocations(), address);
  return found != host_allocations().end() && address + bytes <= found->first + found->second;
}

size_t used_bytes(int device) { return used()[device]; }

void release_all(const ContextRef &context) {
  std::vector<DevicePtr> owned;
  for (auto &[address, allocation] : allocations())
    if (allocation.context == context) owned.push_back(address);
  for (DevicePtr address : owned) release(address);
}

Result check_range_locked(DevicePtr address, size_t bytes, const ContextRef &context) {
  auto found = before(allocations(), address);
  if (found == allocations().end() || address + bytes > found->first + found->second.bytes ||
      address + bytes < address)
    return is_pinned(reinterpret_cast<void *>(address), bytes) ? SUCCESS : ILLEGAL_ADDRESS;
  int device = found->second.device;
  return !context || device == context->device || context->peers.count(device) ? SUCCESS : ILLEGAL_ADDRESS;
}

Result check_range(DevicePtr address, size_t bytes, const ContextRef &context) {
  Guard guard(state().mutex);
  return check_range_locked(address, bytes, context);
}

API cuMemGetInfo_v2(size_t *free, size_t *total) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  *total = device_memory_bytes();
  *free = *total - used_bytes(context->device);
  return SUCCESS;
}

API cuMemAlloc_v2(DevicePtr *address, size_t bytes) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (Result error = unsafe_while_capturing()) return error;
  return allocate(address, bytes, context);
}

API cuMemAllocManaged(DevicePtr *address, size_t bytes, unsigned) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (Result error = unsafe_while_capturing()) return error;
  return allocate(address, bytes, context);
}

// Waits for the device's work, as cuMemFree does.
API cuMemFree_v2(DevicePtr address) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (Result error = unsafe_while_capturing()) return error;
  if (!address) return SUCCESS;
  auto found = allocations().find(address);
  if (found == allocations().end()) return INVALID_VALUE;
  ContextRef owner = found->second.context;
  if (Result error = drain(guard, owner)) return error;
  return release(address);
}

// Stricter than CUDA, where this would become a node: the project's graphs allocate nothing.
static Result refuse_in_capture(const StreamRef &stream) {
  if (!stream->capture) return SUCCESS;
  invalidate(stream->capture);
  return STREAM_CAPTURE_UNSUPPORTED;
}

API cuMemAllocAsync(DevicePtr *address, size_t bytes, Handle handle) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  if (Result error = refuse_in_capture(stream)) return error;
  return allocate(address, bytes, stream->context);
}

API cuMemAllocFromPoolAsync(DevicePtr *address, size_t bytes, Handle, Handle stream) {
  return cuMemAllocAsync(address, bytes, stream);
}

API cuMemFreeAsync(DevicePtr address, Handle handle) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  if (Result error = refuse_in_capture(stream)) return error;
  if (!allocations().count(address)) return INVALID_VALUE;
  return enqueue(stream, NODE_HOST, [address]() -> Result {
    Guard inner(state().mutex);
    return release(address) ? ILLEGAL_ADDRESS : SUCCESS;
  });
}

API cuMemGetAddressRange_v2(DevicePtr *base, size_t *bytes, DevicePtr address) {
  ENTER();
  auto found = before(allocations(), address);
  if (found == allocations().end() || address >= found->first + found->second.bytes) return NOT_FOUND;
  if (base) *base = found->first;
  if (bytes) *bytes = found->second.bytes;
  return SUCCESS;
}

// Memory type (2): 1 host, 2 device; device ordinal (9). Others are not supported.
API cuPointerGetAttribute(void *data, int attribute, DevicePtr address) {
  ENTER();
  auto found = before(allocations(), address);
  bool device = found != allocations().end() && address < found->first + found->second.bytes;
  if (!device && !is_pinned(reinterpret_cast<void *>(address), 1)) return INVALID_VALUE;
  if (attribute == 2) *static_cast<unsigned *>(data) = device ? 2 : 1;
  if (attribute == 9) *static_cast<int *>(data) = device ? found->second.device : 0;
  return attribute == 2 || attribute == 9 ? SUCCESS : INVALID_VALUE;
}

API cuMemHostAlloc(void **pointer, size_t bytes, unsigned) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (Result error = unsafe_while_capturing()) return error;
  if (!bytes) return INVALID_VALUE;
  size_t rounded = (bytes + PAGE - 1) / PAGE * PAGE;
  *pointer = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (*pointer == MAP_FAILED) return OUT_OF_MEMORY;
  host_allocations()[reinterpret_cast<uintptr_t>(*pointer)] = bytes;
  return SUCCESS;
}

API cuMemAllocHost_v2(void **pointer, size_t bytes) { return cuMemHostAlloc(pointer, bytes, 0); }

API cuMemFreeHost(void *pointer) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (Result error = unsafe_while_capturing()) return error;
  auto found = host_allocations().find(reinterpret_cast<uintptr_t>(pointer));
  if (found == host_allocations().end()) return INVALID_VALUE;
  if (Result error = drain(guard, context)) return error;
  munmap(pointer, (found->second + PAGE - 1) / PAGE * PAGE);
  host_allocations().erase(found);
  return SUCCESS;
}

API cuMemHostGetDevicePointer_v2(DevicePtr *address, void *pointer, unsigned) {
  ENTER();
  if (!is_pinned(pointer, 1)) return INVALID_VALUE;
  *address = reinterpret_cast<DevicePtr>(pointer);
  return SUCCESS;
}

API cuMemHostRegister_v2(void *pointer, size_t bytes, unsigned) {
  ENTER();
  if (!pointer || !bytes) return INVALID_VALUE;
  if (is_pinned(pointer, 1)) return 712;  // HOST_MEMORY_ALREADY_REGISTERED
  host_allocations()[reinterpret_cast<uintptr_t>(pointer)] = bytes;
  return SUCCESS;
}

API cuMemHostUnregister(void *pointer) {
  ENTER();
  return host_allocations().erase(reinterpret_cast<uintptr_t>(pointer)) ? SUCCESS : 713;
}

// One pool a device, whose attributes are kept by nobody.
API cuDeviceGetDefaultMemPool(Handle *pool, int device) {
  ENTER();
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  *pool = reinterpret_cast<Handle>(static_cast<uintptr_t>(0xd0b10001 + device));
  return SUCCESS;
}

API cuDeviceGetMemPool(Handle *pool, int device) { return cuDeviceGetDefaultMemPool(pool, device); }

API cuDeviceSetMemPool(int, Handle) {
  ENTER();
  return SUCCESS;
}

API cuMemPoolSetAttribute(Handle, int, void *) {
  ENTER();
  return SUCCESS;
}

API cuMemPoolGetAttribute(Handle, int attribute, void *value) {
  ENTER();
  // 1 to 3: int switches; 4: release threshold; 5 to 8: bytes reserved and used.
  if (attribute < 1 || attribute > 8) return INVALID_VALUE;
  if (attribute <= 3) *static_cast<int *>(value) = 1;
  if (attribute == 4) *static_cast<uint64_t *>(value) = 0;
  if (attribute > 4) *static_cast<uint64_t *>(value) = used_bytes(0);
  return SUCCESS;
}

API cuMemPoolTrimTo(Handle, size_t) {
  ENTER();
  return SUCCESS;
}
