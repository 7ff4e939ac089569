// A program whose kernels are counted: program RECORDER CUPTI CUDA MODE [COUNT].
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LAUNCH = 307, GRAPH = 514, BEGIN_CAPTURE = 539, END_CAPTURE = 497 };
static void (*enter)(uint32_t, void *, const char *, uint32_t);
static void (*leave)(uint32_t, void *, uint32_t, uint32_t);
static void (*run)(void), (*context_ends)(void *), (*make_current)(void *), (*cuda_ends)(void);
static void *const FIRST = (void *)64, *const SECOND = (void *)128;
static uint32_t correlation;

static void launch(void *context, const char *name) {
  make_current(context);
  enter(LAUNCH, context, name, ++correlation);
  run();
  leave(LAUNCH, context, correlation, 0);
}

static void many(int count) {
  for (int index = 0; index < count; index++) launch(FIRST, index % 2 ? "_Z4copyPf" : "_Z4gemmPf");
}

static void graph(int kernels) {
  enter(GRAPH, FIRST, NULL, ++correlation);
  for (int index = 0; index < kernels; index++) run();
  leave(GRAPH, FIRST, correlation, 0);
}

static void capture(void) {
  enter(BEGIN_CAPTURE, FIRST, NULL, ++correlation);
  leave(BEGIN_CAPTURE, FIRST, correlation, 0);
  enter(LAUNCH, FIRST, "captured", ++correlation);
  leave(LAUNCH, FIRST, correlation, 0);
  enter(END_CAPTURE, FIRST, NULL, ++correlation);
  leave(END_CAPTURE, FIRST, correlation, 0);
}

static void at_once(void) {
  enter(LAUNCH, FIRST, "one", 1001), enter(LAUNCH, FIRST, "two", 1002);
  run(), run();
  leave(LAUNCH, FIRST, 1001, 0), leave(LAUNCH, FIRST, 1002, 0);
}

// Two captures, the first of which begins while a kernel is being launched.
static void captures(void) {
  enter(LAUNCH, FIRST, "before", 1001);
  enter(BEGIN_CAPTURE, FIRST, NULL, 1002), leave(BEGIN_CAPTURE, FIRST, 1002, 0);
  run(), leave(LAUNCH, FIRST, 1001, 0);
  capture();
  enter(END_CAPTURE, FIRST, NULL, 1003), leave(END_CAPTURE, FIRST, 1003, 0);
}

static void last(void) { launch(FIRST, "late"); }

int main(int count, char **values) {
  if (count < 5) return 2;
  void *cuda = dlopen(values[3], RTLD_NOW), *twin = dlopen(values[2], RTLD_NOW | RTLD_GLOBAL);
  void *recorder = dlopen(values[1], RTLD_NOW);
  if (!recorder || !twin || !cuda) return fprintf(stderr, "%s\n", dlerror()), 2;
  enter = dlsym(twin, "double_enter"), leave = dlsym(twin, "double_leave"), run = dlsym(twin, "double_run");
  context_ends = dlsym(twin, "double_context_ends");
  make_current = dlsym(cuda, "double_cuda_context"), cuda_ends = dlsym(cuda, "double_cuda_end");
  make_current(FIRST);
  const char *mode = values[4];
  // Before the recorder's own, so that it is called after it; the alarm ends a program that does not.
  if (!strcmp(mode, "stuck")) atexit(last), alarm(20);
  int (*start)(void) = (int (*)(void))dlsym(recorder, "InitializeInjection");
  if (!start || start() != 1) return 3;
  int kernels = count > 5 ? atoi(values[5]) : 3;
  if (strcmp(mode, "none")) many(kernels);
  if (!strcmp(mode, "crash")) abort();
  if (!strcmp(mode, "graph")) graph(3), many(1);
  if (!strcmp(mode, "capture")) capture(), many(1);
  if (!strcmp(mode, "captures")) captures(), many(1);
  if (!strcmp(mode, "open")) enter(LAUNCH, FIRST, "open", 1001);
  if (!strcmp(mode, "at_once")) at_once(), many(1);
  if (!strcmp(mode, "failing")) enter(LAUNCH, FIRST, "failed", 999), leave(LAUNCH, FIRST, 999, 701), many(1);
  if (!strcmp(mode, "contexts")) context_ends(FIRST), launch(SECOND, "_Z4gemmPf");
  if (!strcmp(mode, "late")) cuda_ends();
  return 5;
}
