// The rate of fused multiply-adds that no tensor core takes part in: 16 independent chains a thread, in registers only.
// Each chain goes x = multiplier * x + addend; with 0.5 and 1 it tends to 2 and meets no denormal number.
//
// Launch: blocks of 256 threads; a few a multiprocessor, as many as fit at once.
// Arguments: output (1 value), multiplier, addend, never, iterations. The result is stored only where it equals `never`
// (give a value that it can't have, such as -1; for the pairs 0xffffffff): nothing is stored, but the compiler can't
// know. Pairs (half2, bfloat162) are two packed 16-bit numbers in 32 bits; bfloat162 needs compute capability 8.0.
// A step of a chain counts 2 (pairs: 4). executed_flop adds the sum of the chains at the end.
//
// entry ceiling_fma_f32(blocks, iterations)
//   grid_x = blocks
//   block_x = 256
//   flop = 262144 * blocks * iterations
//   bytes = 0
//   executed_flop = 262144 * blocks * iterations + 3840 * blocks
//   loads = 0
//   stores = 0
// entry ceiling_fma_f64(blocks, iterations)
//   grid_x = blocks
//   block_x = 256
//   flop = 262144 * blocks * iterations
//   bytes = 0
//   executed_flop = 262144 * blocks * iterations + 3840 * blocks
//   loads = 0
//   stores = 0
// entry ceiling_fma_half2(blocks, iterations)
//   grid_x = blocks
//   block_x = 256
//   flop = 524288 * blocks * iterations
//   bytes = 0
//   loads = 0
//   stores = 0
// entry ceiling_fma_bfloat162(blocks, iterations)
//   grid_x = blocks
//   block_x = 256
//   flop = 524288 * blocks * iterations
//   bytes = 0
//   loads = 0
//   stores = 0

#define CHAINS 16
// Steps of each chain an iteration: the loop's own three instructions, which take turns with the others, are then 0.6 %
// of all, and its 8 KiB of code stay in the caches for instructions. Unrolled further by the compiler, they wouldn't.
#define STEPS 32

#ifndef CUDA_ON_HOST // there the header supplies these
static __device__ unsigned fma_half2(unsigned a, unsigned b, unsigned c) {
    unsigned result;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
}

static __device__ unsigned fma_bfloat162(unsigned a, unsigned b, unsigned c) {
    unsigned result;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    return result;
}
#endif

struct Half2 {
    static __device__ unsigned step(unsigned x, unsigned multiplier, unsigned addend) {
        return fma_half2(x, multiplier, addend);
    }
};

struct Bfloat162 {
    static __device__ unsigned step(unsigned x, unsigned multiplier, unsigned addend) {
        return fma_bfloat162(x, multiplier, addend);
    }
};

static __device__ float multiply_add(float x, float y, float z) {
    return fmaf(x, y, z);
}

static __device__ double multiply_add(double x, double y, double z) {
    return fma(x, y, z);
}

template <typename T>
static __device__ void chains(T *output, T multiplier, T addend, T never, unsigned iterations) {
    T x[CHAINS];
#pragma unroll
    for (int chain = 0; chain < CHAINS; ++chain) {
        x[chain] = (T)(threadIdx.x + chain);
    }
#pragma unroll 1
    for (unsigned iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
        for (int step = 0; step < STEPS; ++step) {
#pragma unroll
            for (int chain = 0; chain < CHAINS; ++chain) {
                x[chain] = multiply_add(x[chain], multiplier, addend);
            }
        }
    }
    T sum = x[0];
#pragma unroll
    for (int chain = 1; chain < CHAINS; ++chain) {
        sum += x[chain];
    }
    if (sum == never) {
        *output = sum;
    }
}

template <typename PAIR>
static __device__ void pair_chains(
    unsigned *output,
    unsigned multiplier,
    unsigned addend,
    unsigned never,
    unsigned iterations
) {
    unsigned x[CHAINS];
#pragma unroll
    for (int chain = 0; chain < CHAINS; ++chain) {
        // The addend with other low bits: a number near it, and no chain equals another.
        x[chain] = addend ^ ((threadIdx.x & 7) << 20 | (unsigned)chain);
    }
#pragma unroll 1
    for (unsigned iteration = 0; iteration < iterations; ++iteration) {
#pragma unroll
        for (int step = 0; step < STEPS; ++step) {
#pragma unroll
            for (int chain = 0; chain < CHAINS; ++chain) {
                x[chain] = PAIR::step(x[chain], multiplier, addend);
            }
        }
    }
    // Finite numbers have no exponent of ones only: neither has their conjunction.
    unsigned all = x[0];
#pragma unroll
    for (int chain = 1; chain < CHAINS; ++chain) {
        all &= x[chain];
    }
    if (all == never) {
        *output = all;
    }
}

extern "C" __global__ void __launch_bounds__(256) ceiling_fma_f32(
    float *output,
    float multiplier,
    float addend,
    float never,
    unsigned iterations
) {
    chains(output, multiplier, addend, never, iterations);
}

extern "C" __global__ void __launch_bounds__(256) ceiling_fma_f64(
    double *output,
    double multiplier,
    double addend,
    double never,
    unsigned iterations
) {
    chains(output, multiplier, addend, never, iterations);
}

extern "C" __global__ void __launch_bounds__(256) ceiling_fma_half2(
    unsigned *output,
    unsigned multiplier,
    unsigned addend,
    unsigned never,
    unsigned iterations
) {
    pair_chains<Half2>(output, multiplier, addend, never, iterations);
}

extern "C" __global__ void __launch_bounds__(256) ceiling_fma_bfloat162(
    unsigned *output,
    unsigned multiplier,
    unsigned addend,
    unsigned never,
    unsigned iterations
) {
    pair_chains<Bfloat162>(output, multiplier, addend, never, iterations);
}
