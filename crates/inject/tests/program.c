// A program that the driver would load the recorder into: program RECORDER DOUBLE MODE [COUNT].
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void (*record)(const void *);
static uint64_t (*clock_ns)(void);
static unsigned char slot[256];

static void put(int at, uint64_t value, int bytes) { memcpy(slot + at, &value, bytes); }
static void text(int at, const char *value) { memcpy(slot + at, &value, sizeof value); }
static void begin(uint32_t kind) { memset(slot, 0, sizeof slot); put(0, kind, 4); }

// CUpti_ActivityKernel9.
static void kernel(const char *name, uint64_t start, uint64_t end, uint32_t correlation) {
  begin(10);
  put(6, 40, 2), put(16, start, 8), put(24, end, 8), put(40, 1, 4), put(44, 2, 4), put(48, 7, 4);
  put(52, 4, 4), put(56, 5, 4), put(60, 6, 4), put(64, 128, 4), put(68, 2, 4), put(72, 1, 4);
  put(76, 1000, 4), put(80, 24, 4), put(92, correlation, 4), text(104, name);
  record(slot);
}

// CUpti_ActivityAPI.
static void call(uint32_t kind, uint32_t cbid, uint64_t start, uint64_t end, uint32_t correlation) {
  begin(kind);
  put(4, cbid, 4), put(8, start, 8), put(16, end, 8), put(24, getpid(), 4), put(28, getpid(), 4), put(32, correlation, 4);
  record(slot);
}

// CUpti_ActivityMarker2.
static void marker(uint32_t id, uint32_t flags, uint64_t time, const char *name) {
  begin(12);
  put(4, flags, 4), put(8, time, 8), put(16, id, 4), put(20, 2, 4), put(24, getpid(), 4), put(28, getpid(), 4);
  text(40, name), text(48, name ? "vllm" : NULL);
  record(slot);
}

static void script(void) {
  uint64_t now = clock_ns();
  printf("base %llu\n", (unsigned long long)(now - 1000000000000000ull));
  fflush(stdout);
  begin(8);  // CUpti_ActivityDevice5
  put(16, 80ull << 30, 8), put(36, 1980000, 4), put(44, 132, 4), put(104, 9, 4), put(108, 0, 4), put(112, 1, 4);
  put(120, 0x0807060504030201ull, 8), text(136, "Double H100");
  record(slot);
  begin(37);  // CUpti_ActivityStream
  put(4, 2, 4), put(8, 7, 4), put(12, (uint32_t)-3, 4);
  record(slot);
  marker(1, 2, now + 100, "step");
  call(5, 211, now + 200, now + 400, 11);
  kernel("_Z4gemmPf", now + 1000, now + 3000, 11);
  begin(1);  // CUpti_ActivityMemcpy6
  put(4, 1, 1), put(5, 2, 1), put(6, 3, 1), put(8, 4096, 8), put(16, now + 3100, 8), put(24, now + 3600, 8);
  put(32, 1, 4), put(36, 2, 4), put(40, 7, 4), put(44, 12, 4);
  record(slot);
  begin(2);  // CUpti_ActivityMemset4
  put(4, 255, 4), put(8, 512, 8), put(16, now + 3700, 8), put(24, now + 3800, 8), put(32, 1, 4), put(36, 2, 4);
  put(40, 7, 4), put(44, 13, 4), put(50, 3, 2), put(64, 99, 8), put(72, 5, 4);
  record(slot);
  begin(38);  // CUpti_ActivitySynchronization2
  put(4, 3, 4), put(8, now + 3000, 8), put(16, now + 4000, 8), put(24, 14, 4), put(28, 2, 4), put(32, 7, 4);
  put(36, 0xffffffff, 4);
  record(slot);
  marker(1, 4, now + 5000, NULL);
}

int main(int count, char **values) {
  if (count < 4) return 2;
  void *recorder = dlopen(values[1], RTLD_NOW), *twin = dlopen(values[2], RTLD_NOW | RTLD_GLOBAL);
  if (!recorder || !twin) return fprintf(stderr, "%s\n", dlerror()), 2;
  int (*start)(void) = (int (*)(void))dlsym(recorder, "InitializeInjection");
  record = (void (*)(const void *))dlsym(twin, "double_record");
  clock_ns = (uint64_t (*)(void))dlsym(twin, "double_clock");
  if (!start || start() != 1) return 3;
  const char *mode = values[3];
  if (!strcmp(mode, "nothing")) return 7;
  script();
  if (!strcmp(mode, "kernels"))
    for (int index = 0; index < atoi(values[4]); index++) kernel("many", clock_ns(), clock_ns() + 10, index);
  if (!strcmp(mode, "unknown")) {
    begin(777), record(slot), kernel("after", clock_ns(), clock_ns() + 10, 15);
    begin(0), record(slot);
  }
  if (!strcmp(mode, "untimed")) kernel("untimed", 0, 0, 16);
  if (!strcmp(mode, "crash")) usleep(600000), abort();
  if (!strcmp(mode, "wait")) usleep(600000), puts("ready"), fflush(stdout), sleep(60);
  if (!strcmp(mode, "fork") || !strcmp(mode, "idle_fork")) {
    // Until the recorder has the open buffer back: what a child adds to a buffer of its parent is not its own.
    usleep(300000);
    pid_t child = fork();
    if (child == 0 && !strcmp(mode, "fork")) kernel("of_the_child", clock_ns(), clock_ns() + 10, 1);
    if (child == 0) return 0;
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  }
  return 5;
}
