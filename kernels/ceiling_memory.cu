// The rate at which memory or the L2 cache is read, written or copied: 16 bytes an access, four accesses of a thread in
// flight. Reads leave the L1 cache out, so that with repeats over a small buffer the L2 cache answers.
//
// Launch: any number of blocks of 512 threads; a few a multiprocessor, as many as fit at once.
// Arguments: output, input (multiples of 16 bytes; only the one that the kernel has), vectors (of 16 bytes, 64 bits
// wide), repeats (over the whole buffer). ceiling_read stores its result, an exclusive or of all words, only where it
// equals `never`; `output` then has room for 4 bytes.
// `bytes` counts what the program moves: from DRAM where the buffer is much larger than the L2 cache.
//
// entry ceiling_read(blocks, vectors, repeats)
//   grid_x = blocks
//   block_x = 512
//   flop = 0
//   bytes = 16 * vectors * repeats
//   loads = 16 * vectors * repeats
//   stores = 0
// entry ceiling_write(blocks, vectors, repeats)
//   grid_x = blocks
//   block_x = 512
//   flop = 0
//   bytes = 16 * vectors * repeats
//   loads = 0
//   stores = 16 * vectors * repeats
// entry ceiling_copy(blocks, vectors, repeats)
//   grid_x = blocks
//   block_x = 512
//   flop = 0
//   bytes = 32 * vectors * repeats
//   loads = 16 * vectors * repeats
//   stores = 16 * vectors * repeats

#define IN_FLIGHT 4

extern "C" __global__ void __launch_bounds__(512) ceiling_read(
    unsigned *output,
    const uint4 *__restrict__ input,
    unsigned long long vectors,
    unsigned repeats,
    unsigned never
) {
    const unsigned long long thread = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned long long threads = (unsigned long long)gridDim.x * blockDim.x;
    unsigned all = 0;
    for (unsigned repeat = 0; repeat < repeats; ++repeat) {
        for (unsigned long long index = thread; index < vectors; index += IN_FLIGHT * threads) {
            uint4 value[IN_FLIGHT] = {};
#pragma unroll
            for (int k = 0; k < IN_FLIGHT; ++k) {
                if (index + k * threads < vectors) {
                    value[k] = __ldcg(input + index + k * threads);
                }
            }
#pragma unroll
            for (int k = 0; k < IN_FLIGHT; ++k) {
                all ^= value[k].x ^ value[k].y ^ value[k].z ^ value[k].w;
            }
        }
        // Another value each time, so that an even number of repeats doesn't cancel out.
        all += repeat;
    }
    if (all == never) {
        *output = all;
    }
}

extern "C" __global__ void __launch_bounds__(512) ceiling_write(
    uint4 *__restrict__ output,
    unsigned long long vectors,
    unsigned repeats
) {
    const unsigned long long thread = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned long long threads = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned repeat = 0; repeat < repeats; ++repeat) {
        const uint4 value = make_uint4((unsigned)thread, repeat, (unsigned)thread, repeat);
#pragma unroll 4
        for (unsigned long long index = thread; index < vectors; index += threads) {
            output[index] = value;
        }
    }
}

extern "C" __global__ void __launch_bounds__(512) ceiling_copy(
    uint4 *__restrict__ output,
    const uint4 *__restrict__ input,
    unsigned long long vectors,
    unsigned repeats
) {
    const unsigned long long thread = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned long long threads = (unsigned long long)gridDim.x * blockDim.x;
    for (unsigned repeat = 0; repeat < repeats; ++repeat) {
        for (unsigned long long index = thread; index < vectors; index += IN_FLIGHT * threads) {
            uint4 value[IN_FLIGHT];
#pragma unroll
            for (int k = 0; k < IN_FLIGHT; ++k) {
                if (index + k * threads < vectors) {
                    value[k] = __ldcg(input + index + k * threads);
                }
            }
#pragma unroll
            for (int k = 0; k < IN_FLIGHT; ++k) {
                if (index + k * threads < vectors) {
                    output[index + k * threads] = value[k];
                }
            }
        }
    }
}
