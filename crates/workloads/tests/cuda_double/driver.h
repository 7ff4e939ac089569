// What the parts of the driver's double share. One mutex guards all of it; work runs outside that.
#pragma once
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cuda_types.h"
#include "faults.h"

#define API extern "C" __attribute__((visibility("default"))) Result

// A place in a stream's work: reached, and when, on the system's monotonic clock.
struct Point {
  bool done = false;
  int64_t at_ns = 0;
};
using PointRef = std::shared_ptr<Point>;
using Work = std::function<Result()>;

struct Context {
  int device = 0;
  bool primary = false, alive = true;
  int retained = 0;
  unsigned flags = 0;
  // An error of work on the device: it stays, as on a device.
  Result error = SUCCESS;
  // Tasks that were put into its streams and have not ended.
  long outstanding = 0;
  std::set<int> peers;
  Handle null_stream = nullptr;
};
using ContextRef = std::shared_ptr<Context>;

struct Event;
using EventRef = std::shared_ptr<Event>;

struct Node {
  NodeKind kind;
  Work work;
  EventRef event;
  ContextRef context;
  std::vector<std::shared_ptr<Node>> after;
};
using NodeRef = std::shared_ptr<Node>;

struct Graph {
  std::vector<NodeRef> nodes;
};

struct Capture {
  int mode = CAPTURE_GLOBAL, status = CAPTURE_ACTIVE;
  std::thread::id thread;
  Handle origin = nullptr;
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  unsigned long long id = 0;
};
using CaptureRef = std::shared_ptr<Capture>;

struct Task {
  Work work;
  PointRef point;
  std::vector<PointRef> waits;
};

struct Stream {
  ContextRef context;
  Handle handle = nullptr;
  bool blocking = true, closing = false;
  int priority = 0;
  std::deque<Task> tasks;
  PointRef tail;
  // While it is being captured: the nodes that the next one follows.
  CaptureRef capture;
  std::set<NodeRef> last;
};
using StreamRef = std::shared_ptr<Stream>;

struct Event {
  ContextRef context;
  unsigned flags = 0;
  PointRef point;
  // Set while its last record was in a captured stream.
  CaptureRef capture;
  std::set<NodeRef> last;
};

// Handles are never given twice, so one that was destroyed stays invalid.
template <typename T>
class Registry {
 public:
  Handle add(std::shared_ptr<T> object);
  std::shared_ptr<T> find(Handle handle) const {
    auto found = objects_.find(handle);
    return found == objects_.end() ? nullptr : found->second;
  }
  bool remove(Handle handle) { return objects_.erase(handle) == 1; }
  const std::unordered_map<Handle, std::shared_ptr<T>> &all() const { return objects_; }

 private:
  std::unordered_map<Handle, std::shared_ptr<T>> objects_;
};

Handle next_handle();

template <typename T>
Handle Registry<T>::add(std::shared_ptr<T> object) {
  Handle handle = next_handle();
  objects_[handle] = std::move(object);
  return handle;
}

struct State {
  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> initialized{false};
  std::map<int, Handle> primary;
  Registry<Context> contexts;
  Registry<Stream> streams;
  Registry<Event> events;
  std::vector<CaptureRef> captures;
};

// Never freed: threads of streams outlive main.
State &state();
// The thread of a new stream.
void start(const StreamRef &stream);
using Guard = std::unique_lock<std::mutex>;

int64_t now_ns();
int device_count();
size_t device_memory_bytes();

// The beginning of every entry point: errors on demand, cuInit.
Result enter(const char *function, bool needs_init = true);
#define ENTER()                                     \
  if (Result entered_ = enter(__func__)) return entered_; \
  Guard guard(state().mutex)

// The current context of the thread; null without one. `usable` adds the error that it may hold.
ContextRef current();
Handle current_handle();
Result usable(ContextRef &context);

// Calls that may not be made while this thread, or with the global mode any, captures.
Result unsafe_while_capturing();
void invalidate(const CaptureRef &capture);

// The stream of a handle (null: the current context's default stream).
Result find_stream(Handle handle, StreamRef &stream);
// Puts work into a stream, or, where it is captured, a node into the graph.
Result enqueue(const StreamRef &stream, NodeKind kind, Work work, PointRef point = nullptr,
               std::vector<PointRef> waits = {}, EventRef event = nullptr);
// Waits; the context's error.
Result wait_for(Guard &guard, PointRef point, const ContextRef &context);
Result drain(Guard &guard, const ContextRef &context);
// Runs work as a device does: nothing after an error, which stays.
void run(const Work &work, const ContextRef &context);

// SUCCESS where the range is in one live allocation that this device reaches. Takes the lock.
Result check_range(DevicePtr address, size_t bytes, const ContextRef &context);
Result check_range_locked(DevicePtr address, size_t bytes, const ContextRef &context);
size_t used_bytes(int device);
// The memory of a context that ends. With the lock.
void release_all(const ContextRef &context);
