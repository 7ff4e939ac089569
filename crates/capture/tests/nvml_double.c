/* A stand-in for libnvidia-ml.so.1, compiled by nvml.rs beside this file and never shipped: the functions that the sampler
 * calls, with values that follow a script.
 *
 * Each device draws 200 W, then 300 W from SWITCH_MS after the library was started, and counts its energy accordingly.
 * Not supported: the memory's clock. Set by -D:
 *   DEVICES          how many there are
 *   LOST_DEVICE      a device that is lost once its power has been read LOST_AFTER times; -1: none
 *   HANG_DEVICE      a device whose power takes HANG_MS from HANG_FROM_MS on, and as long once more each time; -1: none
 *   NO_NVLINK        leaves out nvmlDeviceGetFieldValues, as an old library does
 */
#include <string.h>
#include <time.h>

#ifndef DEVICES
#define DEVICES 1
#endif
#ifndef SWITCH_MS
#define SWITCH_MS 500
#endif
#ifndef LOST_DEVICE
#define LOST_DEVICE (-1)
#endif
#ifndef LOST_AFTER
#define LOST_AFTER 5
#endif
#ifndef HANG_DEVICE
#define HANG_DEVICE (-1)
#endif
#ifndef HANG_FROM_MS
#define HANG_FROM_MS 200
#endif
#ifndef HANG_MS
#define HANG_MS 1000
#endif

/* nvmlReturn_t of nvml.h. */
enum { SUCCESS = 0, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, GPU_IS_LOST = 15 };

struct device {
    int index;
    int power_reads;
};

static struct device devices[DEVICES];
static long long start_ns;

static long long now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void sleep_ms(long long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, 0);
}

static double elapsed_ms(void) { return (now_ns() - start_ns) / 1e6; }

static int is_lost(struct device *device)
{
    return device->index == LOST_DEVICE && device->power_reads >= LOST_AFTER;
}

static int text(char *buffer, unsigned length, const char *value)
{
    strncpy(buffer, value, length - 1);
    buffer[length - 1] = 0;
    return SUCCESS;
}

int nvmlInit_v2(void)
{
    start_ns = now_ns();
    for (int index = 0; index < DEVICES; index++)
        devices[index].index = index;
    return SUCCESS;
}

int nvmlShutdown(void) { return SUCCESS; }

int nvmlSystemGetDriverVersion(char *version, unsigned length) { return text(version, length, "550.0"); }

int nvmlSystemGetNVMLVersion(char *version, unsigned length) { return text(version, length, "12.550.0"); }

int nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = DEVICES;
    return SUCCESS;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, struct device **device)
{
    if (index >= DEVICES)
        return INVALID_ARGUMENT;
    *device = &devices[index];
    return SUCCESS;
}

int nvmlDeviceGetName(struct device *device, char *name, unsigned length)
{
    (void)device;
    return text(name, length, "NVIDIA H100 80GB HBM3");
}

int nvmlDeviceGetUUID(struct device *device, char *uuid, unsigned length)
{
    text(uuid, length, "GPU-00000000-0000-0000-0000-000000000000");
    uuid[4] = (char)('0' + device->index);
    return SUCCESS;
}

struct pci {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
};

int nvmlDeviceGetPciInfo_v3(struct device *device, struct pci *pci)
{
    memset(pci, 0, sizeof *pci);
    text(pci->bus_id, sizeof pci->bus_id, "00000000:01:00.0");
    pci->bus_id[10] = (char)('1' + device->index);
    return SUCCESS;
}

int nvmlDeviceGetCudaComputeCapability(struct device *device, int *major, int *minor)
{
    (void)device;
    *major = 9;
    *minor = 0;
    return SUCCESS;
}

int nvmlDeviceGetMaxClockInfo(struct device *device, int clock, unsigned *megahertz)
{
    (void)device, (void)clock;
    *megahertz = 1980;
    return SUCCESS;
}

int nvmlDeviceGetEnforcedPowerLimit(struct device *device, unsigned *milliwatts)
{
    (void)device;
    *milliwatts = 700000;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(struct device *device, unsigned *milliwatts)
{
    if (is_lost(device))
        return GPU_IS_LOST;
    device->power_reads++;
    if (device->index == HANG_DEVICE && elapsed_ms() > HANG_FROM_MS)
        sleep_ms(HANG_MS);
    *milliwatts = elapsed_ms() < SWITCH_MS ? 200000 : 300000;
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(struct device *device, unsigned long long *millijoules)
{
    if (is_lost(device))
        return GPU_IS_LOST;
    double ms = elapsed_ms();
    double joules = ms < SWITCH_MS ? 0.2 * ms : 0.2 * SWITCH_MS + 0.3 * (ms - SWITCH_MS);
    *millijoules = 5000000 + (unsigned long long)(joules * 1000);
    return SUCCESS;
}

int nvmlDeviceGetClockInfo(struct device *device, int clock, unsigned *megahertz)
{
    if (is_lost(device))
        return GPU_IS_LOST;
    if (clock == 2) /* NVML_CLOCK_MEM */
        return NOT_SUPPORTED;
    *megahertz = elapsed_ms() < SWITCH_MS ? 1200 : 1980;
    return SUCCESS;
}

int nvmlDeviceGetCurrentClocksThrottleReasons(struct device *device, unsigned long long *reasons)
{
    (void)device;
    *reasons = elapsed_ms() < SWITCH_MS ? 0x1 : 0x4;
    return SUCCESS;
}

struct utilization {
    unsigned gpu, memory;
};

int nvmlDeviceGetUtilizationRates(struct device *device, struct utilization *percent)
{
    (void)device;
    percent->gpu = 87;
    percent->memory = 25;
    return SUCCESS;
}

struct memory {
    unsigned version;
    unsigned long long total, reserved, free, used;
};

int nvmlDeviceGetMemoryInfo_v2(struct device *device, struct memory *memory)
{
    (void)device;
    memory->total = 80ULL << 30;
    memory->reserved = 1ULL << 30;
    memory->used = 20ULL << 30;
    memory->free = 59ULL << 30;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(struct device *device, int sensor, unsigned *celsius)
{
    (void)device, (void)sensor;
    *celsius = 61;
    return SUCCESS;
}

int nvmlDeviceGetPcieThroughput(struct device *device, int counter, unsigned *kilobytes_per_s)
{
    if (is_lost(device))
        return GPU_IS_LOST;
    sleep_ms(20);
    *kilobytes_per_s = counter == 0 ? 1500 : 2500;
    return SUCCESS;
}

#ifndef NO_NVLINK
struct field {
    unsigned id, scope;
    long long timestamp, latency;
    int type, result;
    union {
        double d;
        unsigned u;
        unsigned long long ull;
    } value;
};

int nvmlDeviceGetFieldValues(struct device *device, int count, struct field *fields)
{
    (void)device;
    for (int at = 0; at < count; at++) {
        struct field *field = &fields[at];
        field->result = SUCCESS;
        if (field->id == 186) { /* NVML_FI_DEV_POWER_INSTANT */
            field->type = 1;    /* unsigned int */
            field->value.u = elapsed_ms() < SWITCH_MS ? 201000 : 301000;
        } else if ((field->id == 138 || field->id == 139) && field->scope == ~0u) { /* .._THROUGHPUT_DATA_TX, _RX */
            field->type = 3;                                                         /* unsigned long long */
            field->value.ull = field->id == 138 ? 4096 : 8192;
        } else {
            field->result = NOT_SUPPORTED;
        }
    }
    return SUCCESS;
}
#endif
