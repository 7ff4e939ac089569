// Puts up to 16 row-major pieces side by side: output = [piece 0 | piece 1 | ...], row by row.
//
// Launch: (vectors of a row / 128, rounded up) x min(rows, 65535) blocks of 128 threads; a vector is 16 bytes.
// Arguments:
//   output  rows x width, row-major; overlaps no piece
//   pieces  a struct by value: 16 pointers, then 17 ends in elements: piece k has the columns from end[k] to end[k + 1]
//           of the output, end[0] = 0, end[k] = width from the number of pieces on
//   rows    at least 1
//   width   columns of the output
// Every pointer is a multiple of 16 bytes; ends and width are multiples of 4 (f32) or 8 (bf16).
//
// entry gather_columns_f32(rows, width)
//   grid_x = (width / 4 + 127) / 128
//   grid_y = rows
//   block_x = 128
//   flop = 0
//   bytes = 8 * rows * width
//   loads = 4 * rows * width
//   stores = 4 * rows * width
// entry gather_columns_bf16(rows, width)
//   grid_x = (width / 8 + 127) / 128
//   grid_y = rows
//   block_x = 128
//   flop = 0
//   bytes = 4 * rows * width
//   loads = 2 * rows * width
//   stores = 2 * rows * width

#define PIECES 16

struct Pieces {
    const uint4 *piece[PIECES];
    unsigned end[PIECES + 1];
};

// PER_VECTOR: elements in 16 bytes.
template <unsigned PER_VECTOR>
static __device__ void gather(uint4 *output, const Pieces &pieces, unsigned rows, unsigned width) {
    const unsigned vector = blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned column = vector * PER_VECTOR;
    if (column >= width) {
        return;
    }
    const uint4 *from = pieces.piece[0];
    unsigned first = 0, last = pieces.end[1];
#pragma unroll
    for (int index = 1; index < PIECES; ++index) {
        if (column >= pieces.end[index]) {
            from = pieces.piece[index];
            first = pieces.end[index];
            last = pieces.end[index + 1];
        }
    }
    const unsigned stride = (last - first) / PER_VECTOR, offset = (column - first) / PER_VECTOR;
    for (size_t row = blockIdx.y; row < rows; row += gridDim.y) {
        output[row * (width / PER_VECTOR) + vector] = __ldg(from + row * stride + offset);
    }
}

extern "C" __global__ void __launch_bounds__(128) gather_columns_f32(
    uint4 *output,
    const __grid_constant__ Pieces pieces,
    unsigned rows,
    unsigned width
) {
    gather<4>(output, pieces, rows, width);
}

extern "C" __global__ void __launch_bounds__(128) gather_columns_bf16(
    uint4 *output,
    const __grid_constant__ Pieces pieces,
    unsigned rows,
    unsigned width
) {
    gather<8>(output, pieces, rows, width);
}
