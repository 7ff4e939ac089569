// Copies and sets.
#include <cstring>

#include "driver.h"

bool is_pinned(const void *pointer, size_t bytes);

namespace {

const void *host(DevicePtr address) { return reinterpret_cast<const void *>(address); }
void *host_mut(DevicePtr address) { return reinterpret_cast<void *>(address); }

// A copy in one stream; ranges on the device are checked now and when it runs. A copy engine reaches every device.
Result copy(const StreamRef &stream, void *to, bool to_device, const void *from, bool from_device, size_t bytes) {
  auto check = [=]() -> Result {
    if (to_device)
      if (Result error = check_range_locked(reinterpret_cast<DevicePtr>(to), bytes, nullptr)) return error;
    return from_device ? check_range_locked(reinterpret_cast<DevicePtr>(from), bytes, nullptr) : SUCCESS;
  };
  if (!bytes) return SUCCESS;
  if (!to || !from) return INVALID_VALUE;
  if (to_device && check_range_locked(reinterpret_cast<DevicePtr>(to), bytes, nullptr)) return ILLEGAL_ADDRESS;
  if (from_device && check_range_locked(reinterpret_cast<DevicePtr>(from), bytes, nullptr)) return ILLEGAL_ADDRESS;
  // Pageable memory is staged: the caller may use it again at once.
  std::shared_ptr<std::vector<char>> staged;
  if (!from_device && !stream->capture && !is_pinned(from, bytes)) {
    auto first = static_cast<const char *>(from);
    staged = std::make_shared<std::vector<char>>(first, first + bytes);
  }
  return enqueue(stream, NODE_COPY, [=]() -> Result {
    {
      Guard inner(state().mutex);
      if (Result error = check()) return error;
    }
    std::memmove(to, staged ? staged->data() : from, bytes);
    return SUCCESS;
  });
}

// To pageable memory a copy ends before the call does.
Result finish_pageable(Guard &guard, const StreamRef &stream, const void *to, size_t bytes) {
  if (stream->capture || is_pinned(to, bytes) || !stream->tail) return SUCCESS;
  return wait_for(guard, stream->tail, stream->context);
}

// The first byte of a side and whether it is device memory (of any device: addresses are unified).
struct Place {
  char *first = nullptr;
  bool device = false;
};

Result locate(const Side2D &side, const Copy2D &shape, Place &place) {
  if (side.type == MEMORY_ARRAY) return NOT_SUPPORTED;
  if (side.type < MEMORY_HOST || side.type > MEMORY_UNIFIED) return INVALID_VALUE;
  size_t pitch = side.pitch ? side.pitch : shape.width_bytes;
  if (pitch < shape.width_bytes + side.x_bytes || pitch > 2147483647) return INVALID_VALUE;
  DevicePtr base = side.type == MEMORY_HOST ? reinterpret_cast<DevicePtr>(side.host) : side.device;
  if (!base) return INVALID_VALUE;
  place.first = static_cast<char *>(host_mut(base + side.y * pitch + side.x_bytes));
  place.device = side.type == MEMORY_DEVICE ||
                 (side.type == MEMORY_UNIFIED && !is_pinned(place.first, 1));
  return SUCCESS;
}

size_t extent(const Side2D &side, const Copy2D &shape) {
  return (shape.height - 1) * (side.pitch ? side.pitch : shape.width_bytes) + shape.width_bytes;
}

Result check_places(const Place &from, const Place &to, const Copy2D &shape) {
  for (auto [place, side] : {std::pair(&from, &shape.from), std::pair(&to, &shape.to)})
    if (place->device && check_range_locked(reinterpret_cast<DevicePtr>(place->first), extent(*side, shape), nullptr))
      return ILLEGAL_ADDRESS;
  return SUCCESS;
}

// Rows of a pitch. Host memory is read and written when the copy runs, pinned or not.
Result copy_rows(const StreamRef &stream, const Copy2D &shape) {
  if (!shape.width_bytes || !shape.height) return SUCCESS;
  Place from, to;
  if (Result error = locate(shape.from, shape, from)) return error;
  if (Result error = locate(shape.to, shape, to)) return error;
  if (Result error = check_places(from, to, shape)) return error;
  return enqueue(stream, NODE_COPY, [=]() -> Result {
    {
      Guard inner(state().mutex);
      if (Result error = check_places(from, to, shape)) return error;
    }
    size_t step_from = shape.from.pitch ? shape.from.pitch : shape.width_bytes;
    size_t step_to = shape.to.pitch ? shape.to.pitch : shape.width_bytes;
    for (size_t row = 0; row < shape.height; ++row)
      std::memmove(to.first + row * step_to, from.first + row * step_from, shape.width_bytes);
    return SUCCESS;
  });
}

template <typename T>
Result set(const StreamRef &stream, DevicePtr to, T value, size_t count) {
  if (!count) return SUCCESS;
  size_t bytes = count * sizeof(T);
  if (to % sizeof(T)) return INVALID_VALUE;
  if (check_range_locked(to, bytes, nullptr)) return ILLEGAL_ADDRESS;
  return enqueue(stream, NODE_SET, [=]() -> Result {
    if (Result error = check_range(to, bytes, nullptr)) return error;
    T *first = static_cast<T *>(host_mut(to));
    for (size_t at = 0; at < count; ++at) first[at] = value;
    return SUCCESS;
  });
}

}  // namespace

#define STREAM(handle)  \
  StreamRef stream;     \
  if (Result error = find_stream(handle, stream)) return error

API cuMemcpyHtoDAsync_v2(DevicePtr to, const void *from, size_t bytes, Handle handle) {
  ENTER();
  STREAM(handle);
  return copy(stream, host_mut(to), true, from, false, bytes);
}

API cuMemcpyDtoHAsync_v2(void *to, DevicePtr from, size_t bytes, Handle handle) {
  ENTER();
  STREAM(handle);
  if (Result error = copy(stream, to, false, host(from), true, bytes)) return error;
  return finish_pageable(guard, stream, to, bytes);
}

API cuMemcpyDtoDAsync_v2(DevicePtr to, DevicePtr from, size_t bytes, Handle handle) {
  ENTER();
  STREAM(handle);
  return copy(stream, host_mut(to), true, host(from), true, bytes);
}

API cuMemcpyPeerAsync(DevicePtr to, Handle to_context, DevicePtr from, Handle from_context, size_t bytes, Handle handle) {
  ENTER();
  STREAM(handle);
  if (!state().contexts.find(to_context) || !state().contexts.find(from_context)) return INVALID_CONTEXT;
  return copy(stream, host_mut(to), true, host(from), true, bytes);
}

API cuMemcpyAsync(DevicePtr to, DevicePtr from, size_t bytes, Handle handle) {
  ENTER();
  STREAM(handle);
  bool to_device = !check_range_locked(to, 1, nullptr), from_device = !check_range_locked(from, 1, nullptr);
  return copy(stream, host_mut(to), to_device, host(from), from_device, bytes);
}

// The calls without a stream use the default stream; those with host memory end when the copy does.
API cuMemcpyHtoD_v2(DevicePtr to, const void *from, size_t bytes) {
  ENTER();
  STREAM(nullptr);
  if (Result error = copy(stream, host_mut(to), true, from, false, bytes)) return error;
  return stream->tail ? wait_for(guard, stream->tail, stream->context) : SUCCESS;
}

API cuMemcpyDtoH_v2(void *to, DevicePtr from, size_t bytes) {
  ENTER();
  STREAM(nullptr);
  if (Result error = copy(stream, to, false, host(from), true, bytes)) return error;
  return stream->tail ? wait_for(guard, stream->tail, stream->context) : SUCCESS;
}

API cuMemcpyDtoD_v2(DevicePtr to, DevicePtr from, size_t bytes) {
  ENTER();
  STREAM(nullptr);
  return copy(stream, host_mut(to), true, host(from), true, bytes);
}

API cuMemcpyPeer(DevicePtr to, Handle to_context, DevicePtr from, Handle from_context, size_t bytes) {
  ENTER();
  STREAM(nullptr);
  if (!state().contexts.find(to_context) || !state().contexts.find(from_context)) return INVALID_CONTEXT;
  return copy(stream, host_mut(to), true, host(from), true, bytes);
}

API cuMemcpy(DevicePtr to, DevicePtr from, size_t bytes) {
  ENTER();
  STREAM(nullptr);
  bool to_device = !check_range_locked(to, 1, nullptr), from_device = !check_range_locked(from, 1, nullptr);
  if (Result error = copy(stream, host_mut(to), to_device, host(from), from_device, bytes)) return error;
  return stream->tail ? wait_for(guard, stream->tail, stream->context) : SUCCESS;
}

API cuMemcpy2DAsync_v2(const Copy2D *shape, Handle handle) {
  ENTER();
  STREAM(handle);
  return shape ? copy_rows(stream, *shape) : INVALID_VALUE;
}

// Ends when the copy does where host memory takes part.
API cuMemcpy2D_v2(const Copy2D *shape) {
  ENTER();
  STREAM(nullptr);
  if (!shape) return INVALID_VALUE;
  if (Result error = copy_rows(stream, *shape)) return error;
  bool device = shape->from.type == MEMORY_DEVICE && shape->to.type == MEMORY_DEVICE;
  return device || !stream->tail ? SUCCESS : wait_for(guard, stream->tail, stream->context);
}

#define SETS(width, type)                                                                     \
  API cuMemsetD##width##Async(DevicePtr to, type value, size_t count, Handle handle) {        \
    ENTER();                                                                                  \
    STREAM(handle);                                                                           \
    return set(stream, to, value, count);                                                     \
  }                                                                                           \
  API cuMemsetD##width##_v2(DevicePtr to, type value, size_t count) {                         \
    ENTER();                                                                                  \
    STREAM(nullptr);                                                                          \
    return set(stream, to, value, count);                                                     \
  }

SETS(8, unsigned char)
SETS(16, unsigned short)
SETS(32, unsigned)
