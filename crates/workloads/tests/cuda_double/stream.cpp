// Streams: each is a thread that takes its tasks in order.
#include "driver.h"

namespace {

void serve(StreamRef stream) {
  State &all = state();
  Guard guard(all.mutex);
  for (;;) {
    all.changed.wait(guard, [&] { return stream->closing || !stream->tasks.empty(); });
    if (stream->tasks.empty()) return;
    Task &task = stream->tasks.front();
    for (const PointRef &point : task.waits) all.changed.wait(guard, [&] { return point->done; });
    guard.unlock();
    run(task.work, stream->context);
    int64_t reached = now_ns();
    guard.lock();
    task.point->at_ns = reached;
    task.point->done = true;
    // What the work holds may be freed by code that takes the lock.
    Task ended = std::move(task);
    stream->tasks.pop_front();
    --stream->context->outstanding;
    all.changed.notify_all();
    guard.unlock();
    ended = Task();
    guard.lock();
  }
}

bool is_legacy(const StreamRef &stream) { return stream->handle == stream->context->null_stream; }

// What the default stream and blocking ones wait for of each other.
Result order(const StreamRef &stream, std::vector<PointRef> &waits) {
  if (!stream->blocking) return SUCCESS;
  for (auto &[handle, other] : state().streams.all()) {
    if (other == stream || other->context != stream->context || !other->blocking) continue;
    if (!is_legacy(stream) && !is_legacy(other)) continue;
    if (other->capture) {
      invalidate(other->capture);
      return STREAM_CAPTURE_IMPLICIT;
    }
    if (other->tail && !other->tail->done) waits.push_back(other->tail);
  }
  return SUCCESS;
}

// CU_STREAM_PER_THREAD, made when it is first used.
StreamRef per_thread(const ContextRef &context) {
  static thread_local std::map<Handle, Handle> streams;
  Handle &handle = streams[current_handle()];
  if (StreamRef found = state().streams.find(handle)) return found;
  auto stream = std::make_shared<Stream>();
  stream->context = context;
  handle = stream->handle = state().streams.add(stream);
  start(stream);
  return stream;
}

Result create(Handle *handle, unsigned flags, int priority) {
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (flags > STREAM_NON_BLOCKING) return INVALID_VALUE;
  auto stream = std::make_shared<Stream>();
  stream->context = context;
  stream->blocking = !(flags & STREAM_NON_BLOCKING);
  stream->priority = priority;
  *handle = stream->handle = state().streams.add(stream);
  start(stream);
  return SUCCESS;
}

}  // namespace

void start(const StreamRef &stream) { std::thread(serve, stream).detach(); }

void run(const Work &work, const ContextRef &context) {
  {
    Guard guard(state().mutex);
    if (context->error) return;
  }
  Result error = work ? work() : SUCCESS;
  if (!error) return;
  Guard guard(state().mutex);
  if (!context->error) context->error = error;
}

Result find_stream(Handle handle, StreamRef &stream) {
  auto value = reinterpret_cast<uintptr_t>(handle);
  if (value > 2) {
    stream = state().streams.find(handle);
    if (!stream) return INVALID_HANDLE;
    return stream->context->error;
  }
  ContextRef context;
  if (Result error = usable(context)) return error;
  stream = value == 2 ? per_thread(context) : state().streams.find(context->null_stream);
  return SUCCESS;
}

Result enqueue(const StreamRef &stream, NodeKind kind, Work work, PointRef point, std::vector<PointRef> waits,
               EventRef event) {
  if (stream->capture) {
    if (stream->capture->status != CAPTURE_ACTIVE) return STREAM_CAPTURE_INVALIDATED;
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->work = std::move(work);
    node->event = std::move(event);
    node->context = stream->context;
    node->after.assign(stream->last.begin(), stream->last.end());
    stream->capture->graph->nodes.push_back(node);
    stream->last = {node};
    return SUCCESS;
  }
  if (Result error = order(stream, waits)) return error;
  if (!point) point = std::make_shared<Point>();
  stream->tail = point;
  stream->tasks.push_back({std::move(work), point, std::move(waits)});
  ++stream->context->outstanding;
  state().changed.notify_all();
  return SUCCESS;
}

Result wait_for(Guard &guard, PointRef point, const ContextRef &context) {
  state().changed.wait(guard, [&] { return point->done; });
  return context->error;
}

Result drain(Guard &guard, const ContextRef &context) {
  state().changed.wait(guard, [&] { return context->outstanding == 0; });
  return context->error;
}

API cuStreamCreate(Handle *stream, unsigned flags) {
  ENTER();
  return create(stream, flags, 0);
}

API cuStreamCreateWithPriority(Handle *stream, unsigned flags, int priority) {
  ENTER();
  return create(stream, flags, priority > 0 ? 0 : priority < -5 ? -5 : priority);
}

API cuStreamDestroy_v2(Handle handle) {
  ENTER();
  StreamRef stream = state().streams.find(handle);
  if (!stream || is_legacy(stream)) return INVALID_HANDLE;
  if (stream->capture) {
    invalidate(stream->capture);
    return STREAM_CAPTURE_UNSUPPORTED;
  }
  stream->closing = true;
  state().streams.remove(handle);
  state().changed.notify_all();
  return SUCCESS;
}

// Neither may be asked of a stream that is captured, nor of the default one beside a blocking one that is.
static Result refuse_captured(const StreamRef &stream) {
  if (stream->capture) {
    invalidate(stream->capture);
    return STREAM_CAPTURE_UNSUPPORTED;
  }
  std::vector<PointRef> ignored;
  return is_legacy(stream) ? order(stream, ignored) : SUCCESS;
}

API cuStreamSynchronize(Handle handle) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  if (Result error = refuse_captured(stream)) return error;
  std::vector<PointRef> points;
  // The default stream ends when the blocking ones have.
  if (is_legacy(stream)) order(stream, points);
  if (stream->tail) points.push_back(stream->tail);
  for (const PointRef &point : points) wait_for(guard, point, stream->context);
  return stream->context->error;
}

API cuStreamQuery(Handle handle) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  if (Result error = refuse_captured(stream)) return error;
  return stream->tail && !stream->tail->done ? NOT_READY : SUCCESS;
}

API cuStreamGetFlags(Handle handle, unsigned *flags) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  *flags = stream->blocking ? 0 : STREAM_NON_BLOCKING;
  return SUCCESS;
}

API cuStreamGetPriority(Handle handle, int *priority) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  *priority = stream->priority;
  return SUCCESS;
}

API cuStreamGetId(Handle handle, unsigned long long *id) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  *id = reinterpret_cast<uintptr_t>(stream->handle);
  return SUCCESS;
}

API cuStreamGetCtx(Handle handle, Handle *context) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  for (auto &[found, other] : state().contexts.all())
    if (other == stream->context) *context = found;
  return SUCCESS;
}

API cuLaunchHostFunc(Handle handle, void (*function)(void *), void *data) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  if (!function) return INVALID_VALUE;
  return enqueue(stream, NODE_HOST, [=]() -> Result {
    function(data);
    return SUCCESS;
  });
}

API cuStreamAddCallback(Handle handle, void (*function)(Handle, Result, void *), void *data, unsigned) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  if (Result error = refuse_captured(stream)) return error;
  return enqueue(stream, NODE_HOST, [=]() -> Result {
    function(handle, SUCCESS, data);
    return SUCCESS;
  });
}

struct Range {
  DevicePtr address;
  size_t bytes;
};

// For the other doubles: work of theirs in a stream, with the device memory that it touches. `release` frees `data`.
API double_enqueue(Handle handle, const Range *ranges, size_t count, Result (*work)(void *), void *data,
                   void (*release)(void *)) {
  std::shared_ptr<void> owned(data, release);
  if (Result error = enter("double_enqueue")) return error;
  Guard guard(state().mutex);
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  std::vector<Range> touched(ranges, ranges + count);
  ContextRef context = stream->context;
  return enqueue(stream, NODE_KERNEL, [=]() -> Result {
    for (const Range &range : touched)
      if (Result error = check_range(range.address, range.bytes, context)) return error;
    return work(owned.get());
  });
}
