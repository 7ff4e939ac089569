// The C functions of a library of kernels.
#pragma once

namespace cuda_on_host {

struct Entry {
    const char *name;
    Kernel kernel;
    int count;
    const unsigned *sizes, *pointers;
};

inline std::vector<Entry> &entries() {
    static std::vector<Entry> all;
    return all;
}

inline const Entry *find(const char *name) {
    for (const Entry &entry : entries()) {
        if (strcmp(entry.name, name) == 0) return &entry;
    }
    return nullptr;
}

template <typename... A, size_t... I> void call_with(void (*function)(A...), void **params, std::index_sequence<I...>) {
    function(*(std::remove_const_t<A> *)params[I]...);
}

template <typename... A> void call(void *function, void **params) {
    call_with((void (*)(A...))function, params, std::index_sequence_for<A...>());
}

template <typename... A> int add(const char *name, void (*function)(A...)) {
    // One more, so that none is empty.
    static const unsigned sizes[] = {sizeof(A)..., 0}, pointers[] = {std::is_pointer<A>::value..., 0};
    entries().push_back({name, {call<A...>, (void *)function, nullptr}, (int)sizeof...(A), sizes, pointers});
    return 0;
}

inline void *dynamic_shared() { return block.dynamic_shared; }

inline void reserve_shared(unsigned bytes) {
    if (block.dynamic_bytes >= bytes) return;
    free(block.dynamic_shared);
    block.dynamic_bytes = (bytes + 63) / 64 * 64;
    block.dynamic_shared = (unsigned char *)aligned_alloc(64, block.dynamic_bytes);
    if (!block.dynamic_shared) give_up("no memory for dynamic shared memory");
}

inline bool launchable(const unsigned *grid, const unsigned *threads) {
    const unsigned long long count = (unsigned long long)threads[0] * threads[1] * threads[2];
    return grid[0] && grid[1] && grid[2] && grid[1] <= 65535 && grid[2] <= 65535 && count > 0 && count <= 1024;
}

} // namespace cuda_on_host

// build.sh appends one of these for each kernel.
#define HOST_ENTRY(NAME) static const int entry_on_host_##NAME = cuda_on_host::add(#NAME, NAME);

extern "C" {

// Runs a kernel to its end: 0, or 1 where there is no such entry, 2 where a GPU would refuse the launch. `params` as
// for cuLaunchKernel.
__attribute__((visibility("default"), used)) inline int launch_on_host(
    const char *name, const unsigned grid[3], const unsigned threads[3], unsigned shared_bytes, void **params
) {
    using namespace cuda_on_host;
    const Entry *entry = find(name);
    if (!entry) return 1;
    if (!launchable(grid, threads)) return 2;
    Kernel kernel = entry->kernel;
    kernel.params = params;
    block.kernel = &kernel;
    reserve_shared(shared_bytes);
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads[0], threads[1], threads[2]};
    for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x) run_block();
    return 0;
}

// The number of parameters of a kernel, -1 where there is no such entry; the first `most` sizes in bytes, and 1 for a
// pointer, else 0.
__attribute__((visibility("default"), used)) inline int parameters_on_host(
    const char *name, unsigned *sizes, unsigned *is_pointer, int most
) {
    const cuda_on_host::Entry *entry = cuda_on_host::find(name);
    if (!entry) return -1;
    for (int index = 0; index < entry->count && index < most; ++index) {
        sizes[index] = entry->sizes[index];
        is_pointer[index] = entry->pointers[index];
    }
    return entry->count;
}

// Registers global memory of this host thread, whose accesses count from now on.
__attribute__((visibility("default"), used)) inline void count_region_on_host(const void *first, size_t bytes) {
    cuda_on_host::regions.push_back({(uintptr_t)first, std::vector<unsigned char>(bytes)});
}

// Gives this host thread's counts (operations in the order of Kind, bytes loaded, bytes stored, different bytes loaded,
// different bytes stored) and begins anew, without regions.
__attribute__((visibility("default"), used)) inline void take_counts_on_host(unsigned long long counts[11]) {
    using namespace cuda_on_host;
    memset(counts, 0, 11 * sizeof(*counts));
    memcpy(counts, counters.operations, sizeof(counters.operations));
    counts[KINDS] = counters.loaded;
    counts[KINDS + 1] = counters.stored;
    for (const Region &region : regions) {
        for (unsigned char how : region.touched) {
            counts[KINDS + 2] += how & 1;
            counts[KINDS + 3] += how >> 1;
        }
    }
    counters = Counters();
    regions.clear();
}

}
