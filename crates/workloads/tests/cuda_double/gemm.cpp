#include "gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace {

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

// Drops the lower bits, to nearest, ties to even.
float round_bits(float value, int dropped) {
  if (!std::isfinite(value)) return value;
  uint32_t bits = bits_of(value), half = (1u << (dropped - 1)) - 1;
  bits += half + ((bits >> dropped) & 1);
  return from_bits(bits >> dropped << dropped);
}

uint16_t to_bf16(float value) {
  if (std::isnan(value)) return 0x7fff;
  return static_cast<uint16_t>(bits_of(round_bits(value, 16)) >> 16);
}

float from_f16(uint16_t bits) {
  int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  float magnitude = exponent == 0    ? std::ldexp(static_cast<float>(mantissa), -24)
                    : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                     : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

uint16_t to_f16(float value) {
  uint16_t sign = bits_of(value) >> 16 & 0x8000;
  float magnitude = std::fabs(value);
  if (std::isnan(value)) return 0x7fff;
  if (magnitude >= 65520.0f) return sign | 0x7c00;
  // Below the smallest normal number the step is fixed.
  if (magnitude < 6.103515625e-5f) return sign | static_cast<uint16_t>(std::nearbyint(std::ldexp(magnitude, 24)));
  uint32_t bits = bits_of(round_bits(magnitude, 13));
  return sign | static_cast<uint16_t>((bits >> 13) - (112 << 10));
}

double load(int type, const void *data, size_t at) {
  switch (type) {
    case TYPE_F64: return static_cast<const double *>(data)[at];
    case TYPE_F32: return static_cast<const float *>(data)[at];
    case TYPE_BF16: return from_bits(static_cast<uint32_t>(static_cast<const uint16_t *>(data)[at]) << 16);
    default: return from_f16(static_cast<const uint16_t *>(data)[at]);
  }
}

void store(int type, void *data, size_t at, double value) {
  switch (type) {
    case TYPE_F64: static_cast<double *>(data)[at] = value; break;
    case TYPE_F32: static_cast<float *>(data)[at] = static_cast<float>(value); break;
    case TYPE_BF16: static_cast<uint16_t *>(data)[at] = to_bf16(static_cast<float>(value)); break;
    default: static_cast<uint16_t *>(data)[at] = to_f16(static_cast<float>(value)); break;
  }
}

// op(matrix), packed column by column: `rows` x `columns` after the transpose.
template <typename T>
std::vector<T> pack(const Matrix &matrix, const void *data, int64_t batch, bool transpose, bool tf32) {
  size_t rows = transpose ? matrix.columns : matrix.rows, columns = transpose ? matrix.rows : matrix.columns;
  std::vector<T> packed(rows * columns);
  for (size_t column = 0; column < columns; ++column)
    for (size_t row = 0; row < rows; ++row) {
      size_t at = transpose ? column + row * matrix.leading : row + column * matrix.leading;
      T value = static_cast<T>(load(matrix.type, data, at + batch * matrix.stride));
      packed[row + column * rows] = tf32 ? static_cast<T>(round_bits(static_cast<float>(value), 13)) : value;
    }
  return packed;
}

// The tanh form.
template <typename T>
T gelu(T x) {
  const T scale = static_cast<T>(0.7978845608028654), cubic = static_cast<T>(0.044715);
  return static_cast<T>(0.5) * x * (1 + std::tanh(scale * (x + cubic * x * x * x)));
}

template <typename T>
void compute_batch(const Product &product, int64_t batch) {
  const Matrix &d = product.d;
  size_t rows = d.rows, depth = product.depth();
  std::vector<T> a = pack<T>(product.a, product.a_data, batch, product.transpose_a, product.round_to_tf32);
  std::vector<T> b = pack<T>(product.b, product.b_data, batch, product.transpose_b, product.round_to_tf32);
  std::vector<T> sums(rows);
  // Rows in blocks that stay in the cache together with a column of sums.
  for (size_t column = 0; column < d.columns; ++column) {
    std::fill(sums.begin(), sums.end(), T(0));
    for (size_t k = 0; k < depth; ++k) {
      T factor = b[k + column * depth];
      const T *from = a.data() + k * rows;
      T *to = sums.data();
      for (size_t row = 0; row < rows; ++row) to[row] += from[row] * factor;
    }
    for (size_t row = 0; row < rows; ++row) {
      T value = static_cast<T>(product.alpha) * sums[row];
      if (product.beta != 0)
        value += static_cast<T>(product.beta) *
                 static_cast<T>(load(product.c.type, product.c_data,
                                     row + column * product.c.leading + batch * product.c.stride));
      if (product.bias)
        value += static_cast<T>(load(product.bias_type, product.bias, row + batch * product.bias_stride));
      if (product.gelu) value = gelu(value);
      store(d.type, product.d_data, row + column * d.leading + batch * d.stride, value);
    }
  }
}

}  // namespace

size_t type_bytes(int type) {
  switch (type) {
    case TYPE_F64: return 8;
    case TYPE_F32: return 4;
    case TYPE_F16: case TYPE_BF16: return 2;
    default: return 0;
  }
}

size_t Matrix::extent() const {
  if (!rows || !columns) return 0;
  return ((batch - 1) * stride + (columns - 1) * leading + rows) * type_bytes(type);
}

void Product::compute() const {
  for (int64_t batch = 0; batch < d.batch; ++batch) {
    if (d.type == TYPE_F64) compute_batch<double>(*this, batch);
    else compute_batch<float>(*this, batch);
  }
}
