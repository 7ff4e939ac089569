// Contexts: primary ones, those that a program makes, the one that is current; limits and peers.
#include <cstdlib>

#include "driver.h"

static thread_local Handle current_context = nullptr;

Handle current_handle() { return current_context; }
ContextRef current() { return state().contexts.find(current_context); }

Result usable(ContextRef &context) {
  if (!current_context) return INVALID_CONTEXT;
  context = current();
  if (!context || !context->alive) return CONTEXT_IS_DESTROYED;
  return context->error;
}

// A context and its default stream. With the lock.
static Handle create(int device, bool primary, unsigned flags) {
  auto context = std::make_shared<Context>();
  context->device = device;
  context->primary = primary;
  context->flags = flags;
  Handle handle = state().contexts.add(context);
  auto stream = std::make_shared<Stream>();
  stream->context = context;
  context->null_stream = stream->handle = state().streams.add(stream);
  start(stream);
  return handle;
}

static Result destroy(Guard &guard, Handle handle) {
  ContextRef context = state().contexts.find(handle);
  if (!context) return INVALID_CONTEXT;
  Result error = drain(guard, context);
  context->alive = false;
  std::vector<Handle> streams;
  for (auto &[stream_handle, stream] : state().streams.all())
    if (stream->context == context) streams.push_back(stream_handle);
  for (Handle stream : streams) {
    state().streams.find(stream)->closing = true;
    state().streams.remove(stream);
  }
  state().changed.notify_all();
  release_all(context);
  return error;
}

API cuDevicePrimaryCtxRetain(Handle *context, int device) {
  ENTER();
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  Handle &handle = state().primary[device];
  if (!handle) handle = create(device, true, 0);
  ++state().contexts.find(handle)->retained;
  *context = handle;
  return SUCCESS;
}

API cuDevicePrimaryCtxRelease_v2(int device) {
  ENTER();
  Handle &handle = state().primary[device];
  if (!handle) return INVALID_CONTEXT;
  if (--state().contexts.find(handle)->retained > 0) return SUCCESS;
  Handle last = handle;
  handle = nullptr;
  return destroy(guard, last);
}

API cuDevicePrimaryCtxRelease(int device) { return cuDevicePrimaryCtxRelease_v2(device); }

API cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
  ENTER();
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  Handle handle = state().primary[device];
  *active = handle != nullptr;
  *flags = handle ? state().contexts.find(handle)->flags : 0;
  return SUCCESS;
}

API cuDevicePrimaryCtxSetFlags_v2(int device, unsigned flags) {
  ENTER();
  if (Handle handle = state().primary[device]) state().contexts.find(handle)->flags = flags;
  return SUCCESS;
}

API cuCtxCreate_v2(Handle *context, unsigned flags, int device) {
  ENTER();
  if (device < 0 || device >= device_count()) return INVALID_DEVICE;
  *context = current_context = create(device, false, flags);
  return SUCCESS;
}

API cuCtxCreate_v3(Handle *context, void *, int, unsigned flags, int device) {
  return cuCtxCreate_v2(context, flags, device);
}

API cuCtxDestroy_v2(Handle context) {
  ENTER();
  ContextRef found = state().contexts.find(context);
  if (!found || found->primary || !found->alive) return INVALID_CONTEXT;
  if (current_context == context) current_context = nullptr;
  return destroy(guard, context);
}

API cuCtxSetCurrent(Handle context) {
  ENTER();
  ContextRef found = state().contexts.find(context);
  if (context && !found) return INVALID_CONTEXT;
  if (found && !found->alive) return CONTEXT_IS_DESTROYED;
  current_context = context;
  return SUCCESS;
}

API cuCtxGetCurrent(Handle *context) {
  ENTER();
  *context = current_context;
  return SUCCESS;
}

API cuCtxPushCurrent_v2(Handle context) { return cuCtxSetCurrent(context); }

API cuCtxPopCurrent_v2(Handle *context) {
  ENTER();
  if (!current_context) return INVALID_CONTEXT;
  if (context) *context = current_context;
  current_context = nullptr;
  return SUCCESS;
}

API cuCtxGetDevice(int *device) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  *device = context->device;
  return SUCCESS;
}

API cuCtxGetApiVersion(Handle, unsigned *version) {
  ENTER();
  *version = 3020;
  return SUCCESS;
}

API cuCtxGetFlags(unsigned *flags) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  *flags = context->flags;
  return SUCCESS;
}

API cuCtxSetFlags(unsigned flags) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  context->flags = flags;
  return SUCCESS;
}

API cuCtxSynchronize() {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  for (auto &[handle, stream] : state().streams.all()) {
    if (stream->context != context || !stream->capture) continue;
    invalidate(stream->capture);
    return STREAM_CAPTURE_UNSUPPORTED;
  }
  return drain(guard, context);
}

API cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  ENTER();
  if (least) *least = 0;
  if (greatest) *greatest = -5;
  return SUCCESS;
}

API cuCtxGetLimit(size_t *value, int limit) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (limit < 0 || limit > 2) return UNSUPPORTED_LIMIT;
  *value = limit == 0 ? 1024 : limit == 1 ? 1 << 20 : 8 << 20;
  return SUCCESS;
}

API cuCtxSetLimit(int limit, size_t) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  return limit < 0 || limit > 2 ? UNSUPPORTED_LIMIT : SUCCESS;
}

API cuCtxGetCacheConfig(int *config) {
  ENTER();
  *config = 0;
  return SUCCESS;
}

API cuCtxSetCacheConfig(int) {
  ENTER();
  return SUCCESS;
}

API cuDeviceCanAccessPeer(int *can, int device, int peer) {
  ENTER();
  int count = device_count();
  if (device < 0 || peer < 0 || device >= count || peer >= count) return INVALID_DEVICE;
  *can = device != peer && !std::getenv("DOUBLE_NO_PEERS");
  return SUCCESS;
}

// CU_DEVICE_P2P_ATTRIBUTE_*: rank, access, native atomics, CUDA arrays.
API cuDeviceGetP2PAttribute(int *value, int attribute, int device, int peer) {
  ENTER();
  int count = device_count();
  if (device < 0 || peer < 0 || device >= count || peer >= count) return INVALID_DEVICE;
  if (device == peer || attribute < 1 || attribute > 4) return INVALID_VALUE;
  bool reachable = !std::getenv("DOUBLE_NO_PEERS");
  *value = attribute == 2 ? reachable : 0;
  return SUCCESS;
}

API cuCtxEnablePeerAccess(Handle peer, unsigned flags) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  ContextRef other = state().contexts.find(peer);
  if (!other || !other->alive || other == context) return INVALID_CONTEXT;
  if (flags) return INVALID_VALUE;
  if (std::getenv("DOUBLE_NO_PEERS")) return PEER_ACCESS_UNSUPPORTED;
  return context->peers.insert(other->device).second ? SUCCESS : PEER_ACCESS_ALREADY_ENABLED;
}

API cuCtxDisablePeerAccess(Handle peer) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  ContextRef other = state().contexts.find(peer);
  if (!other) return INVALID_CONTEXT;
  return context->peers.erase(other->device) ? SUCCESS : PEER_ACCESS_NOT_ENABLED;
}

API cuProfilerStart() {
  ENTER();
  return SUCCESS;
}

API cuProfilerStop() {
  ENTER();
  return SUCCESS;
}
