// Events, and the order between streams that they make.
#include "driver.h"

namespace {

constexpr unsigned KNOWN_FLAGS = EVENT_BLOCKING_SYNC | EVENT_DISABLE_TIMING;

// An event whose last record was captured has no time and can't be waited for by the host.
Result refuse_captured(const EventRef &event) {
  if (!event->capture) return SUCCESS;
  invalidate(event->capture);
  return CAPTURED_EVENT;
}

Result record(Handle event_handle, Handle stream_handle, unsigned flags) {
  EventRef event = state().events.find(event_handle);
  if (!event) return INVALID_HANDLE;
  StreamRef stream;
  if (Result error = find_stream(stream_handle, stream)) return error;
  if (event->context != stream->context) return INVALID_HANDLE;
  if (flags > EVENT_EXTERNAL) return INVALID_VALUE;
  bool external = flags & EVENT_EXTERNAL;
  if (stream->capture) {
    if (stream->capture->status != CAPTURE_ACTIVE) return STREAM_CAPTURE_INVALIDATED;
    if (external) return enqueue(stream, NODE_RECORD_EVENT, nullptr, nullptr, {}, event);
    event->capture = stream->capture;
    event->last = stream->last;
    return SUCCESS;
  }
  if (external) return INVALID_VALUE;
  auto point = std::make_shared<Point>();
  if (Result error = enqueue(stream, NODE_RECORD_EVENT, nullptr, point)) return error;
  event->point = point;
  event->capture = nullptr;
  event->last.clear();
  return SUCCESS;
}

// A stream that is captured waits for an event: of the same capture only.
Result wait_captured(const StreamRef &stream, const EventRef &event, bool external) {
  if (stream->capture->status != CAPTURE_ACTIVE) return STREAM_CAPTURE_INVALIDATED;
  if (external) return enqueue(stream, NODE_WAIT_EVENT, nullptr, nullptr, {}, event);
  if (event->capture == stream->capture) {
    stream->last.insert(event->last.begin(), event->last.end());
    return SUCCESS;
  }
  // Never recorded: nothing to wait for.
  if (!event->capture && !event->point) return SUCCESS;
  bool merge = event->capture && event->capture->status == CAPTURE_ACTIVE;
  if (merge) invalidate(event->capture);
  invalidate(stream->capture);
  return merge ? STREAM_CAPTURE_MERGE : STREAM_CAPTURE_ISOLATION;
}

// A stream that is not captured waits for a captured event: it joins that capture.
Result join_capture(const StreamRef &stream, const EventRef &event) {
  if (event->capture->status == CAPTURE_INVALIDATED) return STREAM_CAPTURE_INVALIDATED;
  if (event->capture->status == CAPTURE_NONE) return CAPTURED_EVENT;
  if (stream->handle == stream->context->null_stream) {
    invalidate(event->capture);
    return STREAM_CAPTURE_IMPLICIT;
  }
  stream->capture = event->capture;
  stream->last = event->last;
  return SUCCESS;
}

}  // namespace

API cuEventCreate(Handle *handle, unsigned flags) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (flags & ~KNOWN_FLAGS) return INVALID_VALUE;
  auto event = std::make_shared<Event>();
  event->context = context;
  event->flags = flags;
  *handle = state().events.add(event);
  return SUCCESS;
}

API cuEventDestroy_v2(Handle handle) {
  ENTER();
  return state().events.remove(handle) ? SUCCESS : INVALID_HANDLE;
}

API cuEventRecord(Handle event, Handle stream) {
  ENTER();
  return record(event, stream, 0);
}

API cuEventRecordWithFlags(Handle event, Handle stream, unsigned flags) {
  ENTER();
  return record(event, stream, flags);
}

API cuEventQuery(Handle handle) {
  ENTER();
  EventRef event = state().events.find(handle);
  if (!event) return INVALID_HANDLE;
  if (Result error = refuse_captured(event)) return error;
  if (Result error = unsafe_while_capturing()) return error;
  if (event->context->error) return event->context->error;
  return event->point && !event->point->done ? NOT_READY : SUCCESS;
}

API cuEventSynchronize(Handle handle) {
  ENTER();
  EventRef event = state().events.find(handle);
  if (!event) return INVALID_HANDLE;
  if (Result error = refuse_captured(event)) return error;
  if (Result error = unsafe_while_capturing()) return error;
  if (event->point) wait_for(guard, event->point, event->context);
  return event->context->error;
}

API cuEventElapsedTime(float *milliseconds, Handle start, Handle end) {
  ENTER();
  if (!milliseconds) return INVALID_VALUE;
  EventRef first = state().events.find(start), last = state().events.find(end);
  if (!first || !last || first->context->device != last->context->device) return INVALID_HANDLE;
  if (Result error = first->context->error) return error;
  for (const EventRef &event : {first, last}) {
    if (Result error = refuse_captured(event)) return error;
    if (!event->point || (event->flags & EVENT_DISABLE_TIMING)) return INVALID_HANDLE;
  }
  if (!first->point->done || !last->point->done) return NOT_READY;
  *milliseconds = static_cast<float>(static_cast<double>(last->point->at_ns - first->point->at_ns) / 1e6);
  return SUCCESS;
}

API cuStreamWaitEvent(Handle stream_handle, Handle event_handle, unsigned flags) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(stream_handle, stream)) return error;
  EventRef event = state().events.find(event_handle);
  if (!event) return INVALID_HANDLE;
  if (flags > EVENT_EXTERNAL) return INVALID_VALUE;
  bool external = flags & EVENT_EXTERNAL;
  if (stream->capture) return wait_captured(stream, event, external);
  if (external) return INVALID_VALUE;
  if (event->capture) return join_capture(stream, event);
  if (!event->point || event->point->done) return SUCCESS;
  return enqueue(stream, NODE_WAIT_EVENT, nullptr, nullptr, {event->point});
}
