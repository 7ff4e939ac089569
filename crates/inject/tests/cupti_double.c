// A double of libcupti: hands out records that a program scripts, in the places that NVIDIA's headers give them.
// DOUBLE_VERSION its version; DOUBLE_HOLD keeps buffers until the end; DOUBLE_HANG makes the last flush never return;
// DOUBLE_REFUSE is a kind of activity that cannot be enabled.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SLOT = 256 };
// CUPTI's clock is another than the system's monotonic one.
static const uint64_t AHEAD = 1000000000000000ull;

static void (*requested)(uint8_t **, size_t *, size_t *);
static void (*completed)(void *, uint32_t, uint8_t *, size_t, size_t);
static struct { uint8_t *bytes; size_t size, used; } open_buffer, held[64];
static int held_count;
static size_t dropped;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int number(const char *name, int otherwise) { return getenv(name) ? atoi(getenv(name)) : otherwise; }

static void hand_back(uint8_t *bytes, size_t size, size_t used) {
  if (bytes) completed(NULL, 0, bytes, size, used);
}

// What a program calls: one record, copied.
void double_record(const void *record) {
  uint8_t *full = NULL;
  size_t size = 0, used = 0, most = 0;
  pthread_mutex_lock(&mutex);
  if (open_buffer.bytes && open_buffer.used + SLOT > open_buffer.size) {
    if (number("DOUBLE_HOLD", 0)) {
      held[held_count].bytes = open_buffer.bytes;
      held[held_count].size = open_buffer.size;
      held[held_count++].used = open_buffer.used;
    } else {
      full = open_buffer.bytes, size = open_buffer.size, used = open_buffer.used;
    }
    open_buffer.bytes = NULL;
  }
  if (!open_buffer.bytes) {
    requested(&open_buffer.bytes, &open_buffer.size, &most);
    open_buffer.used = 0;
  }
  if (open_buffer.bytes) {
    memcpy(open_buffer.bytes + open_buffer.used, record, SLOT);
    open_buffer.used += SLOT;
  } else {
    dropped++;
  }
  pthread_mutex_unlock(&mutex);
  hand_back(full, size, used);
}

uint64_t double_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ull + now.tv_nsec + AHEAD;
}

uint32_t cuptiGetVersion(uint32_t *version) { *version = number("DOUBLE_VERSION", 26); return 0; }

uint32_t cuptiActivityRegisterCallbacks(void *request, void *complete) {
  requested = request, completed = complete;
  return 0;
}

uint32_t cuptiActivityEnable(uint32_t kind) { return (int)kind == number("DOUBLE_REFUSE", -1) ? 14 : 0; }

uint32_t cuptiActivityFlushAll(uint32_t flag) {
  if (flag && number("DOUBLE_HANG", 0)) sleep(1000);
  if (!flag && number("DOUBLE_HOLD", 0)) return 0;
  pthread_mutex_lock(&mutex);
  uint8_t *bytes = open_buffer.bytes;
  size_t size = open_buffer.size, used = open_buffer.used;
  open_buffer.bytes = NULL;
  pthread_mutex_unlock(&mutex);
  for (int index = 0; index < held_count; index++) hand_back(held[index].bytes, held[index].size, held[index].used);
  held_count = 0;
  hand_back(bytes, size, used);
  return 0;
}

uint32_t cuptiActivityGetNextRecord(uint8_t *buffer, size_t valid, uint8_t **record) {
  uint8_t *next = *record ? *record + SLOT : buffer;
  if (next >= buffer + valid) return 12;
  uint32_t kind;
  memcpy(&kind, next, sizeof kind);
  if (kind == 0) return 21;
  *record = next;
  return 0;
}

uint32_t cuptiActivityGetNumDroppedRecords(void *context, uint32_t stream, size_t *count) {
  (void)context, (void)stream;
  *count = dropped, dropped = 0;
  return 0;
}

uint32_t cuptiGetTimestamp(uint64_t *time) { *time = double_clock(); return 0; }

uint32_t cuptiGetCallbackName(uint32_t domain, uint32_t cbid, const char **name) {
  *name = domain == 1 ? "cuLaunchKernel" : cbid == 211 ? "cudaLaunchKernel_v7000" : "cudaMemcpyAsync_v3020";
  return 0;
}

uint32_t cuptiGetResultString(uint32_t result, const char **name) {
  *name = result == 14 ? "CUPTI_ERROR_NOT_COMPATIBLE" : "CUPTI_ERROR_UNKNOWN";
  return 0;
}
