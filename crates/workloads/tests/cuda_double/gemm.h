// The arithmetic of a matrix product, without cuBLASLt's interface.
#pragma once
#include <cstddef>
#include <cstdint>

// cudaDataType.
enum Type { TYPE_F32 = 0, TYPE_F64 = 1, TYPE_F16 = 2, TYPE_BF16 = 14 };

size_t type_bytes(int type);  // 0: not supported

struct Matrix {
  int type = TYPE_F32, order = 0, batch = 1;
  uint64_t rows = 0, columns = 0;
  // Elements from one column to the next, and from one matrix of a batch to the next.
  int64_t leading = 0, stride = 0;

  // Bytes from its first element to behind its last one.
  size_t extent() const;
};

// D = epilogue(alpha op(A) op(B) + beta C), column-major; the bias is one value a row.
struct Product {
  Matrix a, b, c, d;
  bool transpose_a = false, transpose_b = false, round_to_tf32 = false, gelu = false;
  double alpha = 1, beta = 0;
  const void *a_data = nullptr, *b_data = nullptr, *c_data = nullptr, *bias = nullptr;
  int bias_type = TYPE_F32;
  int64_t bias_stride = 0;
  void *d_data = nullptr;

  uint64_t depth() const { return transpose_a ? a.rows : a.columns; }
  // Sums in f64 for f64, in f32 for all others; each result is rounded once to the type of D.
  void compute() const;
};
