// One decode step's attention over the prompts: for each sequence, with x the row before and K its prompt rows (keys
// and values at once, a shared latent), normalise(x + softmax(SHARPNESS / width * K x) K); `normalise` divides by the
// root of the mean square. Storage f32 or bf16, arithmetic f32. The same formula as
// crates/workloads/src/kernels/attention.rs.
//
// Launch: one block of 1024 threads a sequence, no dynamic shared memory.
// Arguments:
//   output               sequences x width, row-major; overlaps nothing that is read
//   previous             sequences x width; null at the first step, which starts from the last prompt row
//   keys                 up to 64 pointers (a struct by value), each to whole sequences: prompt_tokens x width a sequence
//   keys_start           sequences to skip, counted from the first block
//   sequences_per_block  sequences in each block of `keys`
//   prompt_tokens        1 to 1024
//   width                a multiple of 8, at most 4096
// Every pointer is a multiple of 16 bytes.
//
// The keys are read twice, once for the scores and once for the weighted sum. `bytes` counts them once: a sequence's
// keys (at most 16 MiB) come back from the L2 cache as long as the sequences in flight fit into it. `loads` counts both.
// `bytes` is stated with a `previous`; the first step reads 1 / (prompt_tokens + 2) less.
// executed_flop counts add, mul, div, exp and rsqrt as 1 and fma as 2, maxima and conversions not; `special` are the
// div, exp and rsqrt in it. `flop` leaves out what softmax, norm and the sums over threads cost, as the CPU kernel
// does.
// A token: 4 width in both products, 160 in the sum over a warp, scale, subtraction, exp. A column: 7 in the sum over
// groups, 5 after it. A thread: 10 in each of two sums over the block, 5 around them. From 128 tokens on, where
// (prompt_tokens / 128 + 7) / 8 is 1, a warp loads the row before once for four tokens.
//
// entry decode_attention_f32(sequences, prompt_tokens, width)
//   grid_x = sequences
//   block_x = 1024
//   flop = 4 * sequences * prompt_tokens * width
//   bytes = 4 * sequences * (prompt_tokens + 2) * width
//   executed_flop = sequences * (prompt_tokens * (4 * width + 163) + 12 * width + 25600)
//   special = sequences * (prompt_tokens + 4096)
//   loads = 4 * sequences * width * (3 * prompt_tokens - 3 * (prompt_tokens / 4) * ((prompt_tokens / 128 + 7) / 8) + 1)
//   stores = 4 * sequences * width
// entry decode_attention_bf16(sequences, prompt_tokens, width)
//   grid_x = sequences
//   block_x = 1024
//   flop = 4 * sequences * prompt_tokens * width
//   bytes = 2 * sequences * (prompt_tokens + 2) * width
//   executed_flop = sequences * (prompt_tokens * (4 * width + 163) + 12 * width + 25600)
//   special = sequences * (prompt_tokens + 4096)
//   loads = 2 * sequences * width * (3 * prompt_tokens - 3 * (prompt_tokens / 4) * ((prompt_tokens / 128 + 7) / 8) + 1)
//   stores = 2 * sequences * width

typedef ushort1 bf16; // ushort1 and the other vector types exist without a header

// A row with itself scores about SHARPNESS, unrelated rows about 0.
#define SHARPNESS 4.0f
#define EPSILON 1e-6f
#define THREADS 1024
#define WARPS (THREADS / 32)
// Values that a thread loads at once, and prompt rows that a warp scores at once.
#define VECTOR 8
#define ROWS 4
// The weighted sum: GROUPS threads share a column, each takes every GROUPS-th token; STRIP columns at a time.
#define GROUPS 8
#define STRIP (THREADS / GROUPS * VECTOR)
#define STRIPS 4
#define MOST_TOKENS 1024 // times 4096 columns: offsets in a sequence have 32 bits

struct KeyBlocks {
    const void *block[64];
};

static __device__ void load_vector(const float *from, float *to) {
    const float4 low = __ldg((const float4 *)from);
    const float4 high = __ldg((const float4 *)from + 1);
    to[0] = low.x, to[1] = low.y, to[2] = low.z, to[3] = low.w;
    to[4] = high.x, to[5] = high.y, to[6] = high.z, to[7] = high.w;
}

static __device__ void unpack(unsigned pair, float *to) {
    to[0] = __uint_as_float(pair << 16);
    to[1] = __uint_as_float(pair & 0xffff0000u);
}

static __device__ void load_vector(const bf16 *from, float *to) {
    const uint4 bits = __ldg((const uint4 *)from);
    unpack(bits.x, to), unpack(bits.y, to + 2), unpack(bits.z, to + 4), unpack(bits.w, to + 6);
}

static __device__ float load(const float *from) {
    return *from;
}

static __device__ float load(const bf16 *from) {
    const bf16 value = *from;
    return __uint_as_float((unsigned)value.x << 16);
}

static __device__ void store(float *to, float value) {
    *to = value;
}

// Rounds to nearest, ties to even; what is not a number stays so.
static __device__ void store(bf16 *to, float value) {
    const unsigned bits = __float_as_uint(value);
    const bool finite = (bits & 0x7fffffffu) <= 0x7f800000u;
    const unsigned rounded = finite ? (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16 : 0x7fffu;
    *to = make_ushort1((unsigned short)rounded);
}

static __device__ float warp_sum(float value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value += __shfl_xor_sync(0xffffffffu, value, distance);
    }
    return value;
}

static __device__ float warp_max(float value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2) {
        value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, distance));
    }
    return value;
}

// Puts one value a warp into `exchange`, so that each warp can reduce them all.
static __device__ float exchange_warps(float value, float *exchange) {
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        exchange[threadIdx.x / 32] = value;
    }
    __syncthreads();
    return exchange[threadIdx.x % 32];
}

// Scores of COUNT prompt rows from `first` on, by one warp.
template <int COUNT, typename T>
static __device__ void score_rows(
    const T *row,
    const T *keys,
    unsigned first,
    unsigned width,
    float scale,
    float *scores
) {
    const unsigned lane = threadIdx.x % 32;
    float sums[COUNT] = {};
    // Not unrolled further: 40 numbers in flight are what the 64 registers of a thread hold.
#pragma unroll 1
    for (unsigned column = lane * VECTOR; column < width; column += 32 * VECTOR) {
        float x[VECTOR], key[COUNT][VECTOR];
        load_vector(row + column, x);
#pragma unroll
        for (int index = 0; index < COUNT; ++index) {
            load_vector(keys + (first + index) * width + column, key[index]);
        }
#pragma unroll
        for (int index = 0; index < COUNT; ++index) {
#pragma unroll
            for (int value = 0; value < VECTOR; ++value) {
                sums[index] = fmaf(x[value], key[index][value], sums[index]);
            }
        }
    }
#pragma unroll
    for (int index = 0; index < COUNT; ++index) {
        const float sum = warp_sum(sums[index]);
        if (lane == 0) {
            scores[first + index] = sum * scale;
        }
    }
}

// This thread's share of the weighted sum of the keys in VECTOR columns from `column` on: every GROUPS-th token.
template <typename T>
static __device__ void weighted_sum(
    const T *keys,
    const float *scores,
    unsigned tokens,
    unsigned width,
    unsigned column,
    float *sums
) {
    if (column >= width) {
        return;
    }
#pragma unroll 4
    for (unsigned token = threadIdx.x / (THREADS / GROUPS); token < tokens; token += GROUPS) {
        const float weight = scores[token];
        float key[VECTOR];
        load_vector(keys + token * width + column, key);
#pragma unroll
        for (int value = 0; value < VECTOR; ++value) {
            sums[value] = fmaf(weight, key[value], sums[value]);
        }
    }
}

template <typename T>
static __device__ void attend(T *output, const T *row, const T *keys, unsigned tokens, unsigned width) {
    __shared__ float scores[MOST_TOKENS];
    __shared__ float partial[GROUPS][STRIP];
    __shared__ float exchange[WARPS];
    const float scale = SHARPNESS / (float)width;
    // A few tokens keep more warps busy one by one.
    const unsigned together = tokens < WARPS * ROWS ? 1 : ROWS;
    for (unsigned first = threadIdx.x / 32 * together; first < tokens; first += WARPS * together) {
        if (together == ROWS && first + ROWS <= tokens) {
            score_rows<ROWS>(row, keys, first, width, scale, scores);
        } else {
            for (unsigned token = first; token < min(first + together, tokens); ++token) {
                score_rows<1>(row, keys, token, width, scale, scores);
            }
        }
    }
    __syncthreads();

    // One score a thread. The weights stay undivided; the sum divides the result.
    const bool has_token = threadIdx.x < tokens;
    const float score = has_token ? scores[threadIdx.x] : -3.402823466e38f;
    const float largest = warp_max(exchange_warps(warp_max(score), exchange));
    float weight = 0.0f;
    if (has_token) {
        weight = expf(score - largest);
        scores[threadIdx.x] = weight;
    }
    const float inverse = 1.0f / warp_sum(exchange_warps(warp_sum(weight), exchange));

    float y[STRIPS], square = 0.0f;
#pragma unroll
    for (int strip = 0; strip < STRIPS; ++strip) {
        const unsigned own = strip * STRIP + threadIdx.x;
        y[strip] = 0.0f;
        if (strip * STRIP < width) {
            const unsigned group = threadIdx.x / (THREADS / GROUPS), member = threadIdx.x % (THREADS / GROUPS);
            float sums[VECTOR] = {};
            weighted_sum(keys, scores, tokens, width, strip * STRIP + member * VECTOR, sums);
#pragma unroll
            for (int value = 0; value < VECTOR; ++value) {
                partial[group][member * VECTOR + value] = sums[value];
            }
            __syncthreads();
            if (own < width) {
                float total = partial[0][threadIdx.x];
#pragma unroll
                for (int other = 1; other < GROUPS; ++other) {
                    total += partial[other][threadIdx.x];
                }
                y[strip] = fmaf(total, inverse, load(row + own));
                square = fmaf(y[strip], y[strip], square);
            }
            __syncthreads();
        }
    }
    const float mean = warp_sum(exchange_warps(warp_sum(square), exchange)) / (float)width;
    const float norm = rsqrtf(mean + EPSILON);
#pragma unroll
    for (int strip = 0; strip < STRIPS; ++strip) {
        const unsigned own = strip * STRIP + threadIdx.x;
        if (own < width) {
            store(output + own, y[strip] * norm);
        }
    }
}

template <typename T>
static __device__ void attend_sequence(
    void *output,
    const void *previous,
    const void *block,
    unsigned sequence_in_block,
    unsigned tokens,
    unsigned width
) {
    const T *keys = (const T *)block + (size_t)sequence_in_block * tokens * width;
    const size_t own = (size_t)blockIdx.x * width;
    const T *row = previous != nullptr ? (const T *)previous + own : keys + (size_t)(tokens - 1) * width;
    attend((T *)output + own, row, keys, tokens, width);
}

extern "C" __global__ void __launch_bounds__(THREADS) decode_attention_f32(
    float *output,
    const float *previous,
    const __grid_constant__ KeyBlocks keys,
    unsigned keys_start,
    unsigned sequences_per_block,
    unsigned prompt_tokens,
    unsigned width
) {
    const unsigned sequence = keys_start + blockIdx.x;
    const void *block = keys.block[sequence / sequences_per_block];
    attend_sequence<float>(output, previous, block, sequence % sequences_per_block, prompt_tokens, width);
}

extern "C" __global__ void __launch_bounds__(THREADS) decode_attention_bf16(
    bf16 *output,
    const bf16 *previous,
    const __grid_constant__ KeyBlocks keys,
    unsigned keys_start,
    unsigned sequences_per_block,
    unsigned prompt_tokens,
    unsigned width
) {
    const unsigned sequence = keys_start + blockIdx.x;
    const void *block = keys.block[sequence / sequences_per_block];
    attend_sequence<bf16>(output, previous, block, sequence % sequences_per_block, prompt_tokens, width);
}
