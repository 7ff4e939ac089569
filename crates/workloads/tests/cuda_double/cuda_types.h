// The names of CUDA's driver API that the double uses, with the values of cuda.h 12.4. Handles are opaque.
#pragma once
#include <cstddef>
#include <cstdint>

using Result = int;
using DevicePtr = unsigned long long;
using Handle = void *;

enum {
  SUCCESS = 0,
  INVALID_VALUE = 1,
  OUT_OF_MEMORY = 2,
  NOT_INITIALIZED = 3,
  INVALID_DEVICE = 101,
  INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201,
  NO_BINARY_FOR_GPU = 209,
  UNSUPPORTED_LIMIT = 215,
  PEER_ACCESS_UNSUPPORTED = 217,
  FILE_NOT_FOUND = 301,
  SHARED_OBJECT_INIT_FAILED = 303,
  INVALID_HANDLE = 400,
  ILLEGAL_STATE = 401,
  NOT_FOUND = 500,
  NOT_READY = 600,
  ILLEGAL_ADDRESS = 700,
  PEER_ACCESS_ALREADY_ENABLED = 704,
  PEER_ACCESS_NOT_ENABLED = 705,
  CONTEXT_IS_DESTROYED = 709,
  LAUNCH_FAILED = 719,
  NOT_SUPPORTED = 801,
  STREAM_CAPTURE_UNSUPPORTED = 900,
  STREAM_CAPTURE_INVALIDATED = 901,
  STREAM_CAPTURE_MERGE = 902,
  STREAM_CAPTURE_UNMATCHED = 903,
  STREAM_CAPTURE_UNJOINED = 904,
  STREAM_CAPTURE_ISOLATION = 905,
  STREAM_CAPTURE_IMPLICIT = 906,
  CAPTURED_EVENT = 907,
  STREAM_CAPTURE_WRONG_THREAD = 908,
  GRAPH_EXEC_UPDATE_FAILURE = 910,
  UNKNOWN = 999,
};

// Flags.
enum { STREAM_NON_BLOCKING = 1 };
enum { EVENT_BLOCKING_SYNC = 1, EVENT_DISABLE_TIMING = 2, EVENT_EXTERNAL = 1 };
enum { CAPTURE_GLOBAL = 0, CAPTURE_THREAD_LOCAL = 1, CAPTURE_RELAXED = 2 };
enum { CAPTURE_NONE = 0, CAPTURE_ACTIVE = 1, CAPTURE_INVALIDATED = 2 };

// CUgraphNodeType.
enum NodeKind { NODE_KERNEL = 0, NODE_COPY = 1, NODE_SET = 2, NODE_HOST = 3, NODE_WAIT_EVENT = 6, NODE_RECORD_EVENT = 7 };

struct Uuid {
  char bytes[16];
};

struct LaunchConfig {
  unsigned grid[3], block[3], shared_bytes;
  Handle stream;
  void *attributes;
  unsigned attribute_count;
};

// CUDA_MEMCPY2D: one side of it, and both.
enum { MEMORY_HOST = 1, MEMORY_DEVICE = 2, MEMORY_ARRAY = 3, MEMORY_UNIFIED = 4 };

struct Side2D {
  size_t x_bytes, y;
  unsigned type;
  void *host;
  DevicePtr device;
  Handle array;
  size_t pitch;
};

struct Copy2D {
  Side2D from, to;
  size_t width_bytes, height;
};
static_assert(sizeof(Copy2D) == 128, "as in cuda.h");
