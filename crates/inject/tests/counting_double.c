// The profilers of the double of libcupti, for chip DOUBLE1. A kernel's values are its number times 1000 plus the place of
// the metric; a metric that begins with "no__" is refused, "nan__" has no value. One pass for every two metrics.
// DOUBLE_REFUSE_CALL=NAME:STATUS has a function fail; DOUBLE_SURROUND=needed|refused|harmful; DOUBLE_ROOM: ranges that a
// configuration may ask for; DOUBLE_DROP: ranges that an image really holds. DOUBLE_VALUES=A,B,...: of the metrics of the
// first kernel, of which the others have multiples. DOUBLE_HANG: the kernels after which counting never stops. A capture
// forbids to stop.
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BAD = 1, INVALID_OPERATION = 7, MOST = 4096, BEGIN_CAPTURE = 539, END_CAPTURE = 497 };
typedef struct { uint64_t capacity, count, kernels[]; } image;

static int refused(const char *name) {
  const char *wanted = getenv("DOUBLE_REFUSE_CALL");
  size_t length = strlen(name);
  return wanted && !strncmp(wanted, name, length) && wanted[length] == ':' ? atoi(wanted + length + 1) : 0;
}

static int setting(const char *name, int otherwise) { return getenv(name) ? atoi(getenv(name)) : otherwise; }
static int surround(const char *word) { const char *is = getenv("DOUBLE_SURROUND"); return is && !strcmp(is, word); }

#define CALL(name, ...)                              \
  typedef struct { size_t size; void *priv; __VA_ARGS__ } name##_t; \
  uint32_t name(name##_t *p)
#define CHECK(name, size_of)            \
  if (p->size != (size_of)) return BAD; \
  if (refused(#name)) return refused(#name)

// The host.
static size_t added;

CALL(cuptiProfilerHostGetSupportedChips, size_t count; const char *const *names;) {
  static const char *const chips[] = {"DOUBLE1"};
  CHECK(cuptiProfilerHostGetSupportedChips, 32);
  p->count = 1, p->names = chips;
  return 0;
}

CALL(cuptiDeviceGetChipName, size_t device; const char *name;) {
  CHECK(cuptiDeviceGetChipName, 32);
  p->name = "DOUBLE1";
  return 0;
}

CALL(cuptiProfilerHostInitialize, int kind; const char *chip; const uint8_t *available; void *host;) {
  CHECK(cuptiProfilerHostInitialize, 48);
  if (strcmp(p->chip, "DOUBLE1")) return 27;
  p->host = &added, added = 0;
  return 0;
}

CALL(cuptiProfilerHostDeinitialize, void *host;) { CHECK(cuptiProfilerHostDeinitialize, 24); return 0; }

CALL(cuptiProfilerHostGetBaseMetrics, void *host; int kind; const char **names; size_t count;) {
  static const char *names[] = {"gpu__time_duration", "dram__bytes"};
  CHECK(cuptiProfilerHostGetBaseMetrics, 48);
  p->names = names, p->count = p->kind ? 0 : 2;
  return 0;
}

CALL(cuptiProfilerHostGetMetricProperties, void *host; const char *name, *description, *hardware, *unit; int kind;) {
  CHECK(cuptiProfilerHostGetMetricProperties, 60);
  p->unit = strstr(p->name, "time") ? "nanosecond" : "byte";
  return 0;
}

CALL(cuptiProfilerHostConfigAddMetrics, void *host; const char **names; size_t count;) {
  CHECK(cuptiProfilerHostConfigAddMetrics, 40);
  for (size_t index = 0; index < p->count; index++)
    if (!strncmp(p->names[index], "no__", 4)) return BAD;
  added += p->count;
  return 0;
}

CALL(cuptiProfilerHostGetConfigImageSize, void *host; size_t bytes;) {
  CHECK(cuptiProfilerHostGetConfigImageSize, 32);
  p->bytes = sizeof added;
  return 0;
}

CALL(cuptiProfilerHostGetConfigImage, void *host; size_t bytes; uint8_t *image;) {
  CHECK(cuptiProfilerHostGetConfigImage, 40);
  memcpy(p->image, &added, sizeof added);
  return 0;
}

CALL(cuptiProfilerHostGetNumOfPasses, size_t bytes; uint8_t *image; size_t count;) {
  CHECK(cuptiProfilerHostGetNumOfPasses, 40);
  size_t metrics;
  memcpy(&metrics, p->image, sizeof metrics);
  p->count = (metrics + 1) / 2;
  return 0;
}

CALL(cuptiProfilerHostEvaluateToGpuValues, void *host; const uint8_t *image; size_t bytes, range; const char **names; size_t count; double *values;) {
  CHECK(cuptiProfilerHostEvaluateToGpuValues, 72);
  const image *data = (const image *)p->image;
  if (p->range >= data->count) return BAD;
  const char *stated = getenv("DOUBLE_VALUES");
  for (size_t index = 0; index < p->count; index++) {
    p->values[index] = strncmp(p->names[index], "nan__", 5) ? data->kernels[p->range] * 1000.0 + index : NAN;
    if (!stated) continue;
    p->values[index] = data->kernels[p->range] * strtod(stated, NULL);
    stated = strchr(stated, ',') ? strchr(stated, ',') + 1 : NULL;
  }
  return 0;
}

// A context.
static struct { int enabled, started, inside; image *data; size_t passes, count; uint64_t kernels[MOST]; } profiler;
static uint64_t kernel;
static int capturing;

CALL(cuptiProfilerInitialize) { CHECK(cuptiProfilerInitialize, 16); return 0; }

CALL(cuptiProfilerGetCounterAvailability, void *context; size_t bytes; uint8_t *image;) {
  CHECK(cuptiProfilerGetCounterAvailability, 40);
  p->bytes = 8;
  return 0;
}

CALL(cuptiRangeProfilerEnable, void *context; void *object; int caches;) {
  if (refused("cuptiRangeProfilerEnable")) return refused("cuptiRangeProfilerEnable");
  int later = setting("DOUBLE_VERSION", 26) >= 130400;
  if (p->size != (later ? 36 : 32)) return BAD;
  p->object = &profiler, profiler.enabled = 1;
  return 0;
}

CALL(cuptiRangeProfilerDisable, void *object;) {
  CHECK(cuptiRangeProfilerDisable, 24);
  memset(&profiler, 0, sizeof profiler);
  return 0;
}

CALL(cuptiRangeProfilerGetCounterDataSize, void *object; const char **names; size_t count, ranges; uint32_t nodes; size_t bytes;) {
  CHECK(cuptiRangeProfilerGetCounterDataSize, 64);
  if (p->nodes < p->ranges) return BAD;
  p->bytes = sizeof(image) + 8 * p->ranges;
  return 0;
}

CALL(cuptiRangeProfilerCounterDataImageInitialize, void *object; size_t bytes; uint8_t *data;) {
  CHECK(cuptiRangeProfilerCounterDataImageInitialize, 40);
  *(image *)p->data = (image){(p->bytes - sizeof(image)) / 8, 0};
  return 0;
}

CALL(cuptiRangeProfilerSetConfig, void *object; size_t config_bytes; const uint8_t *config; size_t bytes; uint8_t *data; int range, replay; size_t ranges; uint16_t levels, first; size_t pass; uint16_t level;) {
  CHECK(cuptiRangeProfilerSetConfig, 90);
  if (p->range != 1 || p->replay != 2 || p->levels != 1) return BAD;
  if ((int)p->ranges > setting("DOUBLE_ROOM", MOST)) return INVALID_OPERATION;
  profiler.data = (image *)p->data;
  memcpy(&profiler.passes, p->config, sizeof profiler.passes);
  return 0;
}

CALL(cuptiRangeProfilerStart, void *object;) {
  CHECK(cuptiRangeProfilerStart, 24);
  if (profiler.started || !profiler.data || profiler.data->count) return INVALID_OPERATION;
  profiler.started = 1, profiler.count = 0;
  return 0;
}

CALL(cuptiRangeProfilerPushRange, void *object; const char *name;) {
  CHECK(cuptiRangeProfilerPushRange, 32);
  if (surround("refused")) return INVALID_OPERATION;
  profiler.inside = 1;
  return 0;
}

CALL(cuptiRangeProfilerPopRange, void *object;) {
  CHECK(cuptiRangeProfilerPopRange, 24);
  if (!profiler.inside) return INVALID_OPERATION;
  profiler.inside = 0;
  return 0;
}

CALL(cuptiRangeProfilerStop, void *object; size_t pass, level; uint8_t all;) {
  CHECK(cuptiRangeProfilerStop, 41);
  if (!profiler.started || profiler.inside || capturing) return INVALID_OPERATION;
  while ((int)profiler.count == setting("DOUBLE_HANG", -1)) pause();
  profiler.started = 0, p->all = 1;
  return 0;
}

CALL(cuptiRangeProfilerDecodeData, void *object; size_t dropped;) {
  CHECK(cuptiRangeProfilerDecodeData, 32);
  for (size_t index = 0; index < profiler.count; index++) {
    int full = profiler.data->count >= profiler.data->capacity || (int)profiler.data->count >= setting("DOUBLE_DROP", MOST);
    if (full) p->dropped++;
    else profiler.data->kernels[profiler.data->count++] = profiler.kernels[index];
  }
  return 0;
}

CALL(cuptiRangeProfilerGetCounterDataInfo, const uint8_t *data; size_t bytes, ranges;) {
  CHECK(cuptiRangeProfilerGetCounterDataInfo, 40);
  p->ranges = ((const image *)p->data)->count;
  return 0;
}

// Callbacks, and what a program calls.
typedef struct {
  uint32_t site;
  const char *function;
  const void *parameters;
  void *returned;
  const char *symbol;
  void *context;
  uint32_t number;
  uint64_t *shared;
  uint32_t correlation;
} call_data;
static void (*callback)(void *, uint32_t, uint32_t, const void *);
static char enabled[4][1024];

uint32_t cuptiSubscribe(void **subscriber, void *function, void *user) {
  (void)user;
  if (refused("cuptiSubscribe")) return refused("cuptiSubscribe");
  *subscriber = &callback, callback = (void (*)(void *, uint32_t, uint32_t, const void *))function;
  return 0;
}

uint32_t cuptiEnableCallback(uint32_t enable, void *subscriber, uint32_t domain, uint32_t number) {
  (void)subscriber;
  enabled[domain][number] = enable;
  return 0;
}

static void tell(uint32_t number, call_data *data) {
  if (callback && enabled[1][number]) callback(NULL, 1, number, data);
}

void double_enter(uint32_t number, void *context, const char *name, uint32_t correlation) {
  struct { void *function; uint32_t dimensions[6]; } parameters = {NULL, {4, 5, 6, 128, 2, 1}};
  call_data data = {.parameters = &parameters, .symbol = name, .context = context, .number = (uint32_t)(size_t)context / 64, .correlation = correlation};
  tell(number, &data);
}

void double_leave(uint32_t number, void *context, uint32_t correlation, uint32_t result) {
  capturing += (number == BEGIN_CAPTURE) - (number == END_CAPTURE);
  call_data data = {.site = 1, .returned = &result, .context = context, .number = (uint32_t)(size_t)context / 64, .correlation = correlation};
  tell(number, &data);
}

// A kernel runs.
void double_run(void) {
  kernel++;
  int counts = profiler.started && !surround(profiler.inside ? "harmful" : "needed");
  if (counts && profiler.count < MOST) profiler.kernels[profiler.count++] = kernel;
}

void double_context_ends(void *context) {
  struct { void *context, *stream, *more; } data = {context, NULL, NULL};
  if (callback && enabled[3][2]) callback(NULL, 3, 2, &data);
}
