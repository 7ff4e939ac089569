// Converts between f32 and bf16: to bf16 rounded to nearest, ties to even; what is not a number stays so.
//
// Launch: any number of blocks of 256 threads; (count / 2048, rounded up), at most some 8 a multiprocessor, is plenty.
// Arguments: output, input (multiples of 16 bytes, no overlap), count (any number of elements, 64 bits).
//
// entry convert_f32_to_bf16(count)
//   grid_x = (count + 2047) / 2048
//   block_x = 256
//   flop = 0
//   bytes = 6 * count
//   loads = 4 * count
//   stores = 2 * count
// entry convert_bf16_to_f32(count)
//   grid_x = (count + 2047) / 2048
//   block_x = 256
//   flop = 0
//   bytes = 6 * count
//   loads = 2 * count
//   stores = 4 * count

typedef ushort1 bf16; // ushort1 and the other vector types exist without a header

// The upper half of the result is the bf16.
static __device__ unsigned rounded(float value) {
    const unsigned bits = __float_as_uint(value);
    const bool finite = (bits & 0x7fffffffu) <= 0x7f800000u;
    return finite ? bits + 0x7fffu + ((bits >> 16) & 1u) : 0x7fff0000u;
}

static __device__ unsigned pack(float low, float high) {
    return rounded(low) >> 16 | (rounded(high) & 0xffff0000u);
}

static __device__ float4 unpack(unsigned first, unsigned second) {
    return make_float4(
        __uint_as_float(first << 16),
        __uint_as_float(first & 0xffff0000u),
        __uint_as_float(second << 16),
        __uint_as_float(second & 0xffff0000u)
    );
}

extern "C" __global__ void __launch_bounds__(256) convert_f32_to_bf16(
    bf16 *output,
    const float *input,
    unsigned long long count
) {
    const unsigned long long thread = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned long long threads = (unsigned long long)gridDim.x * blockDim.x, vectors = count / 8;
    for (unsigned long long index = thread; index < vectors; index += threads) {
        const float4 low = __ldg((const float4 *)input + 2 * index);
        const float4 high = __ldg((const float4 *)input + 2 * index + 1);
        const unsigned first = pack(low.x, low.y), second = pack(low.z, low.w);
        *((uint4 *)output + index) = make_uint4(first, second, pack(high.x, high.y), pack(high.z, high.w));
    }
    for (unsigned long long index = vectors * 8 + thread; index < count; index += threads) {
        output[index] = make_ushort1((unsigned short)(rounded(input[index]) >> 16));
    }
}

extern "C" __global__ void __launch_bounds__(256) convert_bf16_to_f32(
    float *output,
    const bf16 *input,
    unsigned long long count
) {
    const unsigned long long thread = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned long long threads = (unsigned long long)gridDim.x * blockDim.x, vectors = count / 8;
    for (unsigned long long index = thread; index < vectors; index += threads) {
        const uint4 bits = __ldg((const uint4 *)input + index);
        *((float4 *)output + 2 * index) = unpack(bits.x, bits.y);
        *((float4 *)output + 2 * index + 1) = unpack(bits.z, bits.w);
    }
    for (unsigned long long index = vectors * 8 + thread; index < count; index += threads) {
        const bf16 value = input[index];
        output[index] = __uint_as_float((unsigned)value.x << 16);
    }
}
