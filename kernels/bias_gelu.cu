// Adds a bias to each row and applies GELU in its tanh form, in place: x * sigmoid(2 * sqrt(2 / pi) * (x + 0.044715
// x^3)) with x = value + bias. What a linear layer without a fused epilogue needs. Storage f32 or bf16, arithmetic f32.
// The same formula as crates/workloads/src/kernels/elementwise.rs.
//
// Launch: (width / 1024, rounded up) x (rows / 8, rounded up) blocks of 128 threads: a thread takes 8 columns of 8
// rows.
// Arguments:
//   values  rows x width, row-major, read and written
//   bias    width
//   rows    1 to 524280
//   width   a multiple of 8
// Every pointer is a multiple of 16 bytes.
//
// executed: bias 1, square 1, fma 2, mul 1, exp 1, add 1, div 1; `special` are the exp and the div.
//
// entry bias_gelu_f32(rows, width)
//   grid_x = (width + 1023) / 1024
//   grid_y = (rows + 7) / 8
//   block_x = 128
//   flop = 8 * rows * width
//   bytes = 8 * rows * width + 4 * width
//   special = 2 * rows * width
//   loads = 4 * width * (rows + (rows + 7) / 8)
//   stores = 4 * rows * width
// entry bias_gelu_bf16(rows, width)
//   grid_x = (width + 1023) / 1024
//   grid_y = (rows + 7) / 8
//   block_x = 128
//   flop = 8 * rows * width
//   bytes = 4 * rows * width + 2 * width
//   special = 2 * rows * width
//   loads = 2 * width * (rows + (rows + 7) / 8)
//   stores = 2 * rows * width

typedef ushort1 bf16; // ushort1 and the other vector types exist without a header

#define VECTOR 8
#define ROWS 8

static __device__ void load_vector(const float *from, float *to) {
    const float4 low = *(const float4 *)from, high = *((const float4 *)from + 1);
    to[0] = low.x, to[1] = low.y, to[2] = low.z, to[3] = low.w;
    to[4] = high.x, to[5] = high.y, to[6] = high.z, to[7] = high.w;
}

static __device__ void store_vector(float *to, const float *from) {
    *(float4 *)to = make_float4(from[0], from[1], from[2], from[3]);
    *((float4 *)to + 1) = make_float4(from[4], from[5], from[6], from[7]);
}

static __device__ void unpack(unsigned pair, float *to) {
    to[0] = __uint_as_float(pair << 16);
    to[1] = __uint_as_float(pair & 0xffff0000u);
}

static __device__ void load_vector(const bf16 *from, float *to) {
    const uint4 bits = *(const uint4 *)from;
    unpack(bits.x, to), unpack(bits.y, to + 2), unpack(bits.z, to + 4), unpack(bits.w, to + 6);
}

// The upper half of the result is the bf16: rounded to nearest, ties to even; what is not a number stays so.
static __device__ unsigned rounded(float value) {
    const unsigned bits = __float_as_uint(value);
    const bool finite = (bits & 0x7fffffffu) <= 0x7f800000u;
    return finite ? bits + 0x7fffu + ((bits >> 16) & 1u) : 0x7fff0000u;
}

static __device__ unsigned pack(const float *from) {
    return rounded(from[0]) >> 16 | (rounded(from[1]) & 0xffff0000u);
}

static __device__ void store_vector(bf16 *to, const float *from) {
    *(uint4 *)to = make_uint4(pack(from), pack(from + 2), pack(from + 4), pack(from + 6));
}

static __device__ float gelu(float x) {
    // -2 * sqrt(2 / pi), and the same times 0.044715.
    const float linear = -1.595769f, cubic = -0.071354814f;
    return x / (1.0f + expf(x * fmaf(cubic, x * x, linear)));
}

template <typename T>
static __device__ void bias_gelu(T *values, const T *bias, unsigned rows, unsigned width) {
    const unsigned column = (blockIdx.x * blockDim.x + threadIdx.x) * VECTOR;
    if (column >= width) {
        return;
    }
    float add[VECTOR];
    load_vector(bias + column, add);
#pragma unroll 4
    for (unsigned index = 0; index < ROWS; ++index) {
        const unsigned row = blockIdx.y * ROWS + index;
        if (row < rows) {
            T *place = values + (size_t)row * width + column;
            float x[VECTOR];
            load_vector(place, x);
#pragma unroll
            for (int value = 0; value < VECTOR; ++value) {
                x[value] = gelu(x[value] + add[value]);
            }
            store_vector(place, x);
        }
    }
}

extern "C" __global__ void __launch_bounds__(128) bias_gelu_f32(
    float *values,
    const float *bias,
    unsigned rows,
    unsigned width
) {
    bias_gelu(values, bias, rows, width);
}

extern "C" __global__ void __launch_bounds__(128) bias_gelu_bf16(
    bf16 *values,
    const bf16 *bias,
    unsigned rows,
    unsigned width
) {
    bias_gelu(values, bias, rows, width);
}
