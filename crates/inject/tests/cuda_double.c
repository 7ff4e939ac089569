// A double of libcuda: contexts 64 and 128 of devices 0 and 1, as far as counting asks for them.
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void *stack[8];
static int depth = 1, ended;

void double_cuda_context(void *context) { stack[0] = context; }
void double_cuda_end(void) { ended = 1; }

uint32_t cuCtxPushCurrent_v2(void *context) {
  if (ended) return 4;
  stack[depth++] = context;
  return 0;
}

uint32_t cuCtxPopCurrent_v2(void **context) {
  *context = stack[--depth];
  return 0;
}

uint32_t cuCtxGetDevice(int *device) {
  if (!stack[depth - 1]) return 201;
  *device = stack[depth - 1] == (void *)128 ? 1 : 0;
  return 0;
}

uint32_t cuDeviceGetName(char *name, int bytes, int device) {
  (void)device;
  const char *stated = getenv("DOUBLE_NAME");
  strncpy(name, stated ? stated : "Double H100", bytes);
  return 0;
}

uint32_t cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 9 : attribute == 16 ? 132 : attribute == 13 ? 1980000 : 0;
  return 0;
}

uint32_t cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device, *bytes = 80ull << 30; return 0; }

uint32_t cuDeviceGetUuid(uint8_t *uuid, int device) {
  for (int index = 0; index < 16; index++) uuid[index] = index + 1 + device;
  return 0;
}
