// How fast the multiprocessors' clock runs: one thread does dependent multiply-adds and reads the cycle counter of its
// multiprocessor and the device's nanosecond timer (which ticks every 32 ns to 1 us, by device) before and after.
//
// Launch: any number of blocks of 32 threads; each block's first thread stores.
// Arguments: output (2 numbers of 64 bits a block: cycles, nanoseconds), addend (any finite number, such as 1),
// iterations (of 64 dependent multiply-adds, some 256 cycles each).
//
// entry clock_rate(blocks, iterations)
//   grid_x = blocks
//   block_x = 32
//   flop = 4096 * blocks * iterations
//   bytes = 16 * blocks
//   loads = 0
//   stores = 16 * blocks

#ifndef CUDA_ON_HOST // there the header supplies it
static __device__ unsigned long long nanoseconds() {
    unsigned long long now;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
    return now;
}
#endif

extern "C" __global__ void __launch_bounds__(32) clock_rate(ulonglong2 *output, float addend, unsigned iterations) {
    float x = (float)threadIdx.x; // a number that all lanes share would be another unit's work
    const unsigned long long first_ns = nanoseconds();
    const unsigned long long first = (unsigned long long)clock64();
#pragma unroll 1
    for (unsigned iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
        for (int step = 0; step < 64; ++step) {
            x = fmaf(x, 0.5f, addend);
        }
    }
    // The result is used, or the compiler would drop the work; what isn't a number never comes out of finite ones.
    const unsigned long long wait = (__float_as_uint(x) & 0x7fffffffu) > 0x7f800000u ? 1 : 0;
    const unsigned long long last = (unsigned long long)clock64() + wait;
    const unsigned long long last_ns = nanoseconds() + wait;
    if (threadIdx.x == 0) {
        output[blockIdx.x] = make_ulonglong2(last - first, last_ns - first_ns);
    }
}
