// The rate of the tensor cores through mma.sync, registers only: 8 independent accumulators a warp. Dense; f16, bf16
// and tf32 accumulate in f32, f64 in f64. On compute capability 9.0 and 10.x other instructions (wgmma, tcgen05)
// are faster, and only a library such as cuBLASLt shows the peak: there this is the roof of code that uses mma.sync.
//
// Launch: blocks of 256 threads (8 warps); a few a multiprocessor, as many as fit at once.
// Arguments: output (1 value), a, b (what the fragments are filled with: two packed 16-bit numbers, or the bits of an
// f32 for tf32, or an f64; the low bits vary with the lane), never, iterations. The result is stored only where it
// equals `never` (give a value that it can't have).
// Small fragments such as 0.001 keep the sums finite; all-zero ones would draw less power than real data.
// Needs compute capability 8.0. executed_flop adds the sum of the accumulators at the end.
//
// entry ceiling_mma_f16(blocks, iterations)
//   grid_x = blocks
//   block_x = 256
//   flop = 8 * 8 * 4 * 4096 * blocks * iterations
//   bytes = 0
//   executed_flop = 1048576 * blocks * iterations + 256 * 31 * blocks
//   loads = 0
//   stores = 0
// entry ceiling_mma_bf16(blocks, iterations)
//   grid_x = blocks
//   block_x = 256
//   flop = 8 * 8 * 4 * 4096 * blocks * iterations
//   bytes = 0
//   executed_flop = 1048576 * blocks * iterations + 256 * 31 * blocks
//   loads = 0
//   stores = 0
// entry ceiling_mma_tf32(blocks, iterations)
//   grid_x = blocks
//   block_x = 256
//   flop = 8 * 8 * 4 * 2048 * blocks * iterations
//   bytes = 0
//   executed_flop = 524288 * blocks * iterations + 256 * 31 * blocks
//   loads = 0
//   stores = 0
// entry ceiling_mma_f64(blocks, iterations)
//   grid_x = blocks
//   block_x = 256
//   flop = 8 * 8 * 4 * 512 * blocks * iterations
//   bytes = 0
//   executed_flop = 131072 * blocks * iterations + 256 * 15 * blocks
//   loads = 0
//   stores = 0

#define ACCUMULATORS 8
// Steps of each accumulator an iteration. FLOP = warps * ACCUMULATORS * STEPS * 2 m n k.
#define STEPS 4

#ifndef CUDA_ON_HOST // there the header supplies these; `d` is the accumulator
static __device__ void mma_m16n8k16_f16(float *d, const unsigned *a, const unsigned *b) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

static __device__ void mma_m16n8k16_bf16(float *d, const unsigned *a, const unsigned *b) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

static __device__ void mma_m16n8k8_tf32(float *d, const unsigned *a, const unsigned *b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

static __device__ void mma_m8n8k4_f64(double *d, double a, double b) {
    asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+d"(d[0]), "+d"(d[1])
        : "d"(a), "d"(b));
}
#endif

struct F16 {
    static __device__ void step(float *d, const unsigned *a, const unsigned *b) {
        mma_m16n8k16_f16(d, a, b);
    }
};

struct Bf16 {
    static __device__ void step(float *d, const unsigned *a, const unsigned *b) {
        mma_m16n8k16_bf16(d, a, b);
    }
};

struct Tf32 {
    static __device__ void step(float *d, const unsigned *a, const unsigned *b) {
        mma_m16n8k8_tf32(d, a, b);
    }
};

// Stores the sum of `count` accumulators where it is what it can't be.
template <typename T, int COUNT>
static __device__ void finish(T *output, const T *values, T never) {
    T sum = values[0];
#pragma unroll
    for (int index = 1; index < COUNT; ++index) {
        sum += values[index];
    }
    if (sum == never) {
        *output = sum;
    }
}

template <typename SHAPE>
static __device__ void accumulate(float *output, unsigned a, unsigned b, float never, unsigned iterations) {
    unsigned left[4], right[2];
#pragma unroll
    for (int index = 0; index < 4; ++index) {
        left[index] = a ^ ((threadIdx.x + index) & 7);
    }
    right[0] = b ^ (threadIdx.x & 7), right[1] = b ^ ((threadIdx.x + 1) & 7);
    float sums[4 * ACCUMULATORS];
#pragma unroll
    for (int index = 0; index < 4 * ACCUMULATORS; ++index) {
        sums[index] = (float)(index / 4);
    }
#pragma unroll 1
    for (unsigned iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
        for (int step = 0; step < STEPS; ++step) {
#pragma unroll
            for (int index = 0; index < ACCUMULATORS; ++index) {
                SHAPE::step(sums + 4 * index, left, right);
            }
        }
    }
    finish<float, 4 * ACCUMULATORS>(output, sums, never);
}

extern "C" __global__ void __launch_bounds__(256) ceiling_mma_f16(
    float *output,
    unsigned a,
    unsigned b,
    float never,
    unsigned iterations
) {
    accumulate<F16>(output, a, b, never, iterations);
}

extern "C" __global__ void __launch_bounds__(256) ceiling_mma_bf16(
    float *output,
    unsigned a,
    unsigned b,
    float never,
    unsigned iterations
) {
    accumulate<Bf16>(output, a, b, never, iterations);
}

extern "C" __global__ void __launch_bounds__(256) ceiling_mma_tf32(
    float *output,
    unsigned a,
    unsigned b,
    float never,
    unsigned iterations
) {
    accumulate<Tf32>(output, a, b, never, iterations);
}

extern "C" __global__ void __launch_bounds__(256) ceiling_mma_f64(
    double *output,
    double a,
    double b,
    double never,
    unsigned iterations
) {
    double sums[2 * ACCUMULATORS];
#pragma unroll
    for (int index = 0; index < 2 * ACCUMULATORS; ++index) {
        sums[index] = (double)(index / 2);
    }
#pragma unroll 1
    for (unsigned iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
        for (int step = 0; step < STEPS; ++step) {
#pragma unroll
            for (int index = 0; index < ACCUMULATORS; ++index) {
                mma_m8n8k4_f64(sums + 2 * index, a, b);
            }
        }
    }
    finish<double, 2 * ACCUMULATORS>(output, sums, never);
}
