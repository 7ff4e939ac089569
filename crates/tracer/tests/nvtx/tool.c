/* A tool for the tests: says what the program tells it, one line an event, in the file that NVTX_TEST_LOG names.
 * NVTX_TEST_TOOL chooses what it fills: all (default), ranges (push and pop only), none; refuse = fills all and says no;
 * silent = fills all, says nothing. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*function)(void);
typedef const void *(*export_table)(uint32_t);

struct callbacks {
    size_t size;
    int (*module)(unsigned, function ***, unsigned *);
};

struct version {
    size_t size;
    uint32_t version, reserved;
    void (*set_tool_version)(uint32_t);
};

struct attributes {
    uint16_t version, size;
    uint32_t category;
    int32_t color_type;
    uint32_t color;
    int32_t payload_type, reserved;
    union { uint64_t u; int64_t i; double d; } payload;
    int32_t message_type;
    const char *message;
};

static FILE *out;
static int silent;
static uint64_t ranges;

static const char *name(const void *domain) { return domain ? domain : "default"; }

static void event(const char *what, const void *domain, const struct attributes *a) {
    if (silent) return;
    fprintf(out, "%s %s v%u/%u category=%u", what, name(domain), a->version, a->size, a->category);
    if (a->color_type) fprintf(out, " color=%d:%08x", a->color_type, a->color);
    if (a->payload_type == 1) fprintf(out, " u=%" PRIu64, a->payload.u);
    if (a->payload_type == 2) fprintf(out, " i=%" PRId64, a->payload.i);
    if (a->payload_type == 3) fprintf(out, " d=%g", a->payload.d);
    fprintf(out, " %s=%s\n", a->message_type == 3 ? "registered" : a->message_type == 1 ? "ascii" : "?", a->message);
}

static void *create(const char *text) { fprintf(out, "create %s\n", text); return strdup(text); }
static void *register_string(void *domain, const char *text) {
    fprintf(out, "register %s %s\n", name(domain), text);
    return strdup(text);
}
static void category(void *domain, uint32_t number, const char *text) { fprintf(out, "category %s %u %s\n", name(domain), number, text); }
static int push(void *domain, const struct attributes *a) { event("push", domain, a); return 0; }
static int pop(void *domain) { if (!silent) fprintf(out, "pop %s\n", name(domain)); return 0; }
static uint64_t start(void *domain, const struct attributes *a) { event("start", domain, a); return ++ranges; }
static void end(void *domain, uint64_t id) { fprintf(out, "end %s %" PRIu64 "\n", name(domain), id); }
static void mark(void *domain, const struct attributes *a) { event("mark", domain, a); }
static void thread(uint32_t id, const char *text) { fprintf(out, "thread %s %s\n", id ? "id" : "0", text); }

int InitializeInjectionNvtx2(export_table get) {
    const struct callbacks *callbacks = get(1);
    const struct version *version = get(3);
    const char *mode = getenv("NVTX_TEST_TOOL"), *log = getenv("NVTX_TEST_LOG");
    function **core, **core2;
    unsigned core_size, core2_size;
    out = log ? fopen(log, "w") : stderr;
    if (!out || callbacks->size < sizeof *callbacks || get(2)) return 0;
    version->set_tool_version(3);
    if (!callbacks->module(1, &core, &core_size) || !callbacks->module(5, &core2, &core2_size)) return 0;
    fprintf(out, "version %u, %u and %u functions\n", version->version, core_size - 1, core2_size - 1);
    if (!mode) mode = "all";
    silent = !strcmp(mode, "silent");
    if (strcmp(mode, "none")) {
        *core2[4] = (function)push;
        *core2[5] = (function)pop;
    }
    if (strcmp(mode, "none") && strcmp(mode, "ranges")) {
        *core[14] = (function)thread;
        *core2[1] = (function)mark;
        *core2[2] = (function)start;
        *core2[3] = (function)end;
        *core2[8] = (function)category;
        *core2[10] = (function)register_string;
        *core2[12] = (function)create;
    }
    return strcmp(mode, "refuse") != 0;
}

/* Where a program looks whose environment names no tool. */
int (*InitializeInjectionNvtx2_fnptr)(export_table) = InitializeInjectionNvtx2;
