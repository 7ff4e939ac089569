// Stream capture and graphs.
#include <algorithm>
#include <atomic>

#include "driver.h"

namespace {

struct Executable {
  std::vector<NodeRef> nodes;
  // The last launch: the next one of the same graph follows it.
  PointRef last;
};
using ExecutableRef = std::shared_ptr<Executable>;

Registry<Graph> &graphs() {
  static auto *all = new Registry<Graph>;
  return *all;
}

Registry<Executable> &executables() {
  static auto *all = new Registry<Executable>;
  return *all;
}

thread_local int interaction = CAPTURE_GLOBAL;

// All nodes that these follow, and themselves.
std::set<NodeRef> ancestors(const std::set<NodeRef> &last) {
  std::set<NodeRef> seen;
  std::vector<NodeRef> open(last.begin(), last.end());
  while (!open.empty()) {
    NodeRef node = open.back();
    open.pop_back();
    if (!seen.insert(node).second) continue;
    open.insert(open.end(), node->after.begin(), node->after.end());
  }
  return seen;
}

// Whether the last nodes of every stream of the capture come before the end of its first stream.
bool joined(const CaptureRef &capture, const StreamRef &origin) {
  std::set<NodeRef> reached = ancestors(origin->last);
  for (auto &[handle, stream] : state().streams.all()) {
    if (stream->capture != capture) continue;
    for (const NodeRef &node : stream->last)
      if (!reached.count(node)) return false;
  }
  return true;
}

void close(const CaptureRef &capture) {
  for (auto &[handle, stream] : state().streams.all()) {
    if (stream->capture != capture) continue;
    stream->capture = nullptr;
    stream->last.clear();
  }
  auto &open = state().captures;
  open.erase(std::remove(open.begin(), open.end(), capture), open.end());
}

// One launch: the events that it records, and those that it waits for, as they were then.
struct Launch {
  std::vector<NodeRef> nodes;
  std::vector<PointRef> points;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<size_t> missing;
  std::vector<std::vector<size_t>> next;
  std::vector<size_t> ready;
  size_t left = 0;

  // A launch that never ran, after an error of the device, still reaches the events that it records.
  ~Launch() {
    Guard guard(state().mutex);
    for (size_t at = 0; at < nodes.size(); ++at)
      if (nodes[at]->kind == NODE_RECORD_EVENT && points[at]) points[at]->done = true;
    state().changed.notify_all();
  }

  void prepare() {
    std::map<Node *, size_t> index;
    for (size_t at = 0; at < nodes.size(); ++at) index[nodes[at].get()] = at;
    missing.resize(nodes.size());
    next.resize(nodes.size());
    left = nodes.size();
    for (size_t at = 0; at < nodes.size(); ++at) {
      missing[at] = nodes[at]->after.size();
      for (const NodeRef &before : nodes[at]->after) next[index[before.get()]].push_back(at);
      if (!missing[at]) ready.push_back(at);
    }
  }

  void perform(size_t at) {
    const Node &node = *nodes[at];
    if (node.kind == NODE_RECORD_EVENT || node.kind == NODE_WAIT_EVENT) {
      Guard guard(state().mutex);
      const PointRef &point = points[at];
      if (point && node.kind == NODE_WAIT_EVENT) state().changed.wait(guard, [&] { return point->done; });
      if (node.kind == NODE_WAIT_EVENT) return;
      point->at_ns = now_ns();
      point->done = true;
      state().changed.notify_all();
      return;
    }
    run(node.work, node.context);
  }

  void work() {
    std::unique_lock<std::mutex> guard(mutex);
    while (left) {
      changed.wait(guard, [&] { return !left || !ready.empty(); });
      if (!left) return;
      size_t at = ready.back();
      ready.pop_back();
      guard.unlock();
      perform(at);
      guard.lock();
      --left;
      for (size_t after : next[at])
        if (--missing[after] == 0) ready.push_back(after);
      changed.notify_all();
    }
  }

  // As many threads as there can be branches, four at most.
  Result execute() {
    prepare();
    size_t ends = std::count_if(next.begin(), next.end(), [](auto &after) { return after.empty(); });
    size_t branches = std::max(ready.size(), ends);
    for (const auto &after : next) branches = std::max(branches, after.size());
    std::vector<std::thread> others;
    for (size_t more = 1; more < std::min<size_t>(branches, 4); ++more) others.emplace_back([this] { work(); });
    work();
    for (std::thread &other : others) other.join();
    return SUCCESS;
  }
};

Result instantiate(Handle *executable, Handle handle, unsigned long long flags) {
  std::shared_ptr<Graph> graph = graphs().find(handle);
  if (!graph || !executable) return INVALID_VALUE;
  bool on_device = flags & 4;
  if (flags > 15 || (on_device && (flags & 1))) return INVALID_VALUE;
  if (on_device) return NOT_SUPPORTED;
  auto made = std::make_shared<Executable>();
  made->nodes = graph->nodes;
  *executable = executables().add(made);
  return SUCCESS;
}

}  // namespace

void invalidate(const CaptureRef &capture) {
  if (capture->status == CAPTURE_ACTIVE) capture->status = CAPTURE_INVALIDATED;
}

Result unsafe_while_capturing() {
  if (interaction == CAPTURE_RELAXED) return SUCCESS;
  Result error = SUCCESS;
  for (const CaptureRef &capture : state().captures) {
    bool own = capture->thread == std::this_thread::get_id() && capture->mode != CAPTURE_RELAXED;
    bool other = interaction == CAPTURE_GLOBAL && capture->mode == CAPTURE_GLOBAL;
    if (!own && !other) continue;
    invalidate(capture);
    error = STREAM_CAPTURE_UNSUPPORTED;
  }
  return error;
}

API cuThreadExchangeStreamCaptureMode(int *mode) {
  ENTER();
  if (*mode < 0 || *mode > CAPTURE_RELAXED) return INVALID_VALUE;
  std::swap(*mode, interaction);
  return SUCCESS;
}

API cuStreamBeginCapture_v2(Handle handle, int mode) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  if (mode < 0 || mode > CAPTURE_RELAXED) return INVALID_VALUE;
  if (stream->handle == stream->context->null_stream) return STREAM_CAPTURE_UNSUPPORTED;
  if (stream->capture) return ILLEGAL_STATE;
  static unsigned long long captures = 0;
  auto capture = std::make_shared<Capture>();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->origin = stream->handle;
  capture->id = ++captures;
  stream->capture = capture;
  stream->last.clear();
  state().captures.push_back(capture);
  return SUCCESS;
}

API cuStreamEndCapture(Handle handle, Handle *graph) {
  ENTER();
  *graph = nullptr;
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  CaptureRef capture = stream->capture;
  if (!capture) return ILLEGAL_STATE;
  if (capture->origin != stream->handle) {
    invalidate(capture);
    return STREAM_CAPTURE_UNMATCHED;
  }
  if (capture->mode != CAPTURE_RELAXED && capture->thread != std::this_thread::get_id())
    return STREAM_CAPTURE_WRONG_THREAD;
  bool all_joined = joined(capture, stream);
  close(capture);
  if (capture->status == CAPTURE_INVALIDATED) return STREAM_CAPTURE_INVALIDATED;
  capture->status = CAPTURE_NONE;
  if (!all_joined) return STREAM_CAPTURE_UNJOINED;
  *graph = graphs().add(capture->graph);
  return SUCCESS;
}

API cuStreamIsCapturing(Handle handle, int *status) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  *status = stream->capture ? stream->capture->status : CAPTURE_NONE;
  return SUCCESS;
}

API cuStreamGetCaptureInfo_v2(Handle handle, int *status, unsigned long long *id, Handle *graph, const Handle **after,
                              size_t *count) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(handle, stream)) return error;
  *status = stream->capture ? stream->capture->status : CAPTURE_NONE;
  if (id && stream->capture) *id = stream->capture->id;
  // The graph under construction is not given out.
  if (graph) *graph = nullptr;
  if (after) *after = nullptr;
  if (count) *count = stream->last.size();
  return SUCCESS;
}

API cuGraphInstantiateWithFlags(Handle *executable, Handle graph, unsigned long long flags) {
  ENTER();
  return instantiate(executable, graph, flags);
}

API cuGraphInstantiate_v2(Handle *executable, Handle graph, Handle *, char *, size_t) {
  ENTER();
  return instantiate(executable, graph, 0);
}

API cuGraphGetNodes(Handle handle, Handle *nodes, size_t *count) {
  ENTER();
  std::shared_ptr<Graph> graph = graphs().find(handle);
  if (!graph || !count) return INVALID_VALUE;
  size_t room = nodes ? *count : 0;
  for (size_t at = 0; at < room; ++at) nodes[at] = at < graph->nodes.size() ? graph->nodes[at].get() : nullptr;
  if (!nodes || *count > graph->nodes.size()) *count = graph->nodes.size();
  return SUCCESS;
}

// CUgraphNodeType of a node that cuGraphGetNodes gave.
API cuGraphNodeGetType(Handle node, int *type) {
  ENTER();
  *type = static_cast<Node *>(node)->kind;
  return SUCCESS;
}

API cuGraphUpload(Handle handle, Handle stream_handle) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(stream_handle, stream)) return error;
  return executables().find(handle) ? SUCCESS : INVALID_VALUE;
}

API cuGraphLaunch(Handle handle, Handle stream_handle) {
  ENTER();
  StreamRef stream;
  if (Result error = find_stream(stream_handle, stream)) return error;
  ExecutableRef executable = executables().find(handle);
  if (!executable) return INVALID_VALUE;
  // CUDA makes a child graph of this; the project has none.
  if (stream->capture) {
    invalidate(stream->capture);
    return STREAM_CAPTURE_UNSUPPORTED;
  }
  auto launch = std::make_shared<Launch>();
  launch->nodes = executable->nodes;
  for (const NodeRef &node : launch->nodes) {
    bool records = node->kind == NODE_RECORD_EVENT && node->event;
    launch->points.push_back(records ? std::make_shared<Point>() : node->event ? node->event->point : nullptr);
  }
  auto point = std::make_shared<Point>();
  std::vector<PointRef> waits;
  if (executable->last && !executable->last->done) waits.push_back(executable->last);
  Result error = enqueue(stream, NODE_KERNEL, [launch] { return launch->execute(); }, point, std::move(waits));
  if (error) {
    // What the launch holds is freed without the lock.
    guard.unlock();
    return error;
  }
  executable->last = point;
  for (size_t at = 0; at < launch->nodes.size(); ++at) {
    if (launch->nodes[at]->kind != NODE_RECORD_EVENT) continue;
    launch->nodes[at]->event->point = launch->points[at];
    launch->nodes[at]->event->capture = nullptr;
  }
  guard.unlock();
  return SUCCESS;
}

API cuGraphExecUpdate_v2(Handle handle, Handle graph_handle, int *info) {
  ENTER();
  ExecutableRef executable = executables().find(handle);
  std::shared_ptr<Graph> graph = graphs().find(graph_handle);
  if (!executable || !graph) return INVALID_VALUE;
  bool same = executable->nodes.size() == graph->nodes.size();
  for (size_t at = 0; same && at < graph->nodes.size(); ++at)
    same = executable->nodes[at]->kind == graph->nodes[at]->kind;
  // CUgraphExecUpdateResultInfo begins with the result: 0, or 2 for another topology.
  if (info) *info = same ? 0 : 2;
  if (!same) return GRAPH_EXEC_UPDATE_FAILURE;
  executable->nodes = graph->nodes;
  return SUCCESS;
}

API cuGraphExecDestroy(Handle handle) {
  ENTER();
  return executables().remove(handle) ? SUCCESS : INVALID_VALUE;
}

API cuGraphDestroy(Handle handle) {
  ENTER();
  return graphs().remove(handle) ? SUCCESS : INVALID_VALUE;
}
