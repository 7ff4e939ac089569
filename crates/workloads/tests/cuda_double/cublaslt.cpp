// A double of cuBLASLt 12.4: matrix products in streams of the driver's double, without fp8, integers and complex numbers.
//
// Stricter than the library where a mistake would go unseen here: an algorithm is refused for another product than the one
// it was found for, for a workspace that is smaller than it said, and for pointers that are aligned worse than the
// preference promised.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "faults.h"
#include "gemm.h"

#define VISIBLE extern "C" __attribute__((visibility("default")))
#define API VISIBLE int
#define ENTER() \
  if (int entered_ = fault(__func__, INTERNAL_ERROR)) return entered_

namespace {

// cublasStatus_t.
enum {
  SUCCESS = 0,
  NOT_INITIALIZED = 1,
  INVALID_VALUE = 7,
  EXECUTION_FAILED = 13,
  INTERNAL_ERROR = 14,
  NOT_SUPPORTED = 15,
};

// cublasComputeType_t.
enum { COMPUTE_16F = 64, COMPUTE_32F = 68, COMPUTE_32F_PEDANTIC = 69, COMPUTE_64F = 70, COMPUTE_64F_PEDANTIC = 71,
       COMPUTE_32F_FAST_16F = 74, COMPUTE_32F_FAST_16BF = 75, COMPUTE_32F_FAST_TF32 = 77 };

// cublasLtEpilogue_t.
enum { EPILOGUE_DEFAULT = 1, EPILOGUE_BIAS = 4, EPILOGUE_GELU = 32, EPILOGUE_GELU_BIAS = 36 };

constexpr size_t WORKSPACE_BYTES = 1 << 20;

// Attributes by number: their sizes, and the values that were set.
class Attributes {
 public:
  explicit Attributes(const std::map<int, size_t> &sizes) : sizes_(&sizes) {}

  int set(int attribute, const void *value, size_t bytes) {
    auto known = sizes_->find(attribute);
    if (known == sizes_->end() || !value || bytes != known->second) return INVALID_VALUE;
    std::memcpy(&values_[attribute], value, bytes);
    return SUCCESS;
  }

  int get(int attribute, void *value, size_t bytes, size_t *written) const {
    auto known = sizes_->find(attribute);
    if (known == sizes_->end() || (!bytes && !written) || (bytes && bytes != known->second)) return INVALID_VALUE;
    if (written) *written = known->second;
    auto found = values_.find(attribute);
    uint64_t held = found == values_.end() ? 0 : found->second;
    if (bytes) std::memcpy(value, &held, bytes);
    return SUCCESS;
  }

  uint64_t number(int attribute, uint64_t otherwise) const {
    auto found = values_.find(attribute);
    return found == values_.end() ? otherwise : found->second;
  }

  // 32-bit values may be negative.
  int32_t small(int attribute, int32_t otherwise) const {
    return static_cast<int32_t>(number(attribute, static_cast<uint32_t>(otherwise)));
  }

 private:
  const std::map<int, size_t> *sizes_;
  std::map<int, uint64_t> values_;
};

const std::map<int, size_t> LAYOUT_SIZES = {{0, 4}, {1, 4}, {2, 8}, {3, 8}, {4, 8}, {5, 4}, {6, 8}, {7, 8}};
const std::map<int, size_t> DESCRIPTION_SIZES = {
    {0, 4},  {1, 4},  {2, 4},  {3, 4},  {4, 4},  {5, 4},  {6, 4},  {7, 4},  {8, 8},  {10, 8}, {11, 8}, {12, 8}, {13, 8},
    {14, 8}, {15, 4}, {17, 8}, {18, 8}, {19, 8}, {20, 8}, {21, 8}, {22, 4}, {23, 8}, {24, 8}, {25, 1}, {26, 4}};
const std::map<int, size_t> PREFERENCE_SIZES = {{0, 4}, {1, 8}, {3, 4}, {5, 4}, {6, 4}, {7, 4}, {8, 4}, {9, 4}, {12, 8}};

struct Layout : Attributes {
  Layout() : Attributes(LAYOUT_SIZES) {}
  Matrix matrix() const {
    Matrix made;
    made.type = small(0, 0);
    made.order = small(1, 0);
    made.rows = number(2, 0);
    made.columns = number(3, 0);
    made.leading = static_cast<int64_t>(number(4, 0));
    made.batch = small(5, 1);
    made.stride = static_cast<int64_t>(number(6, 0));
    return made;
  }
};

struct Description : Attributes {
  Description() : Attributes(DESCRIPTION_SIZES) {}
};

struct Preference : Attributes {
  Preference() : Attributes(PREFERENCE_SIZES) {}
};

// cublasLtMatmulAlgo_t: what of it is used.
struct Algorithm {
  uint64_t magic, product, workspace_bytes, alignments[4], unused;
};
static_assert(sizeof(Algorithm) == 64, "eight words");
constexpr uint64_t MAGIC = 0x70726f66746f6f6c;

struct HeuristicResult {
  Algorithm algorithm;
  size_t workspace_bytes;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(HeuristicResult) == 96, "as in cublasLt.h");

bool known_types(const Product &product, int compute, int scale) {
  int a = product.a.type, c = product.c.type;
  if (product.b.type != a || product.d.type != c) return false;
  switch (compute) {
    case COMPUTE_64F: case COMPUTE_64F_PEDANTIC: return scale == TYPE_F64 && a == TYPE_F64 && c == TYPE_F64;
    case COMPUTE_16F: return scale == TYPE_F16 && a == TYPE_F16 && c == TYPE_F16;
    case COMPUTE_32F_FAST_16F: case COMPUTE_32F_FAST_16BF: case COMPUTE_32F_FAST_TF32:
      return scale == TYPE_F32 && a == TYPE_F32 && c == TYPE_F32;
    case COMPUTE_32F: case COMPUTE_32F_PEDANTIC:
      if (scale != TYPE_F32) return false;
      if (a == TYPE_F32) return c == TYPE_F32;
      return (a == TYPE_F16 || a == TYPE_BF16) && (c == a || c == TYPE_F32);
    default: return false;
  }
}

bool fits(const Matrix &matrix) {
  return matrix.rows && matrix.columns && matrix.leading >= static_cast<int64_t>(matrix.rows) && matrix.batch >= 1;
}

// The product that is described, or why it can't be computed.
int describe(const Description *description, const Layout *a, const Layout *b, const Layout *c, const Layout *d,
             Product &product) {
  if (!description || !a || !b || !c || !d) return INVALID_VALUE;
  product.a = a->matrix(), product.b = b->matrix(), product.c = c->matrix(), product.d = d->matrix();
  int compute = description->small(0, COMPUTE_32F), scale = description->small(1, TYPE_F32);
  int transpose_a = description->small(3, 0), transpose_b = description->small(4, 0);
  if (!known_types(product, compute, scale)) return NOT_SUPPORTED;
  if (transpose_a > 1 || transpose_b > 1 || description->small(5, 0) || description->small(2, 0)) return NOT_SUPPORTED;
  for (const Matrix *matrix : {&product.a, &product.b, &product.c, &product.d})
    if (matrix->order != 0) return NOT_SUPPORTED;
  product.transpose_a = transpose_a, product.transpose_b = transpose_b;
  // As if inputs were rounded once; for the 16-bit modes that is closer than what a device may do.
  product.round_to_tf32 = compute >= COMPUTE_32F_FAST_16F;
  uint64_t m = product.d.rows, n = product.d.columns, k = product.depth();
  auto shaped = [](const Matrix &matrix, bool transposed, uint64_t rows, uint64_t columns) {
    return (transposed ? matrix.columns : matrix.rows) == rows && (transposed ? matrix.rows : matrix.columns) == columns;
  };
  bool agree = shaped(product.a, transpose_a, m, k) && shaped(product.b, transpose_b, k, n) &&
               shaped(product.c, false, m, n);
  for (const Matrix *matrix : {&product.a, &product.b, &product.c, &product.d})
    agree = agree && fits(*matrix) && matrix->batch == product.d.batch;
  if (!agree) return INVALID_VALUE;
  int epilogue = description->small(7, EPILOGUE_DEFAULT);
  if (epilogue != EPILOGUE_DEFAULT && epilogue != EPILOGUE_BIAS && epilogue != EPILOGUE_GELU &&
      epilogue != EPILOGUE_GELU_BIAS)
    return NOT_SUPPORTED;
  product.gelu = epilogue & EPILOGUE_GELU;
  product.bias = nullptr;
  product.bias_type = description->small(26, -1) == -1 ? product.d.type : description->small(26, -1);
  if (epilogue & EPILOGUE_BIAS) {
    if (product.bias_type != product.d.type) return NOT_SUPPORTED;
    product.bias = reinterpret_cast<const void *>(description->number(8, 0));
    product.bias_stride = static_cast<int64_t>(description->number(10, 0));
  }
  return SUCCESS;
}

uint64_t key(const Product &product, const Description &description) {
  uint64_t hash = 0xcbf29ce484222325;
  auto add = [&](uint64_t value) { hash = (hash ^ value) * 0x100000001b3 + (hash >> 29); };
  for (const Matrix *matrix : {&product.a, &product.b, &product.c, &product.d}) {
    add(matrix->type), add(matrix->rows), add(matrix->columns), add(matrix->leading);
    add(matrix->batch), add(matrix->stride);
  }
  for (int attribute : {0, 1, 3, 4, 7, 26}) add(description.number(attribute, ~0ull));
  return hash;
}

struct Range {
  unsigned long long address;
  size_t bytes;
};
using Enqueue = int (*)(void *, const Range *, size_t, int (*)(void *), void *, void (*)(void *));

// The driver's double is beside this one.
Enqueue enqueue() {
  static Enqueue found = [] {
    Dl_info self;
    dladdr(reinterpret_cast<const void *>(&LAYOUT_SIZES), &self);
    std::string path = self.dli_fname;
    path = path.substr(0, path.rfind('/') + 1) + "libcuda.so.1";
    void *driver = dlopen(path.c_str(), RTLD_NOW);
    return driver ? reinterpret_cast<Enqueue>(dlsym(driver, "double_enqueue")) : nullptr;
  }();
  return found;
}

int run(void *product) {
  static_cast<Product *>(product)->compute();
  return 0;
}

double scalar(const void *value, int scale, double otherwise) {
  if (!value) return otherwise;
  if (scale == TYPE_F64) return *static_cast<const double *>(value);
  if (scale == TYPE_F32) return *static_cast<const float *>(value);
  // 1 and 0 in f16, which is all that the project uses.
  return *static_cast<const uint16_t *>(value) == 0x3c00 ? 1.0 : 0.0;
}

template <typename T>
int destroy(T *object) {
  delete object;
  return SUCCESS;
}

}  // namespace

API cublasLtCreate(void **handle) {
  ENTER();
  if (!handle) return INVALID_VALUE;
  *handle = new int(0);
  return enqueue() ? SUCCESS : NOT_INITIALIZED;
}

API cublasLtDestroy(void *handle) {
  ENTER();
  return destroy(static_cast<int *>(handle));
}

VISIBLE size_t cublasLtGetVersion() { return 120405; }
VISIBLE size_t cublasLtGetCudartVersion() { return 12040; }

API cublasLtGetProperty(int property, int *value) {
  ENTER();
  const int version[] = {12, 4, 5};
  if (property < 0 || property > 2) return INVALID_VALUE;
  *value = version[property];
  return SUCCESS;
}

VISIBLE const char *cublasLtGetStatusName(int status) {
  switch (status) {
    case SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
    case INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case 8: return "CUBLAS_STATUS_ARCH_MISMATCH";
    case 11: return "CUBLAS_STATUS_MAPPING_ERROR";
    case EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case INTERNAL_ERROR: return "CUBLAS_STATUS_INTERNAL_ERROR";
    case NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    default: return "CUBLAS_STATUS_UNKNOWN";
  }
}

VISIBLE const char *cublasLtGetStatusString(int status) { return cublasLtGetStatusName(status); }

API cublasLtMatrixLayoutCreate(Layout **layout, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  ENTER();
  *layout = new Layout;
  (*layout)->set(0, &type, 4);
  (*layout)->set(2, &rows, 8);
  (*layout)->set(3, &columns, 8);
  (*layout)->set(4, &leading, 8);
  return SUCCESS;
}

API cublasLtMatmulDescCreate(Description **description, int compute, int scale) {
  ENTER();
  *description = new Description;
  (*description)->set(0, &compute, 4);
  (*description)->set(1, &scale, 4);
  return SUCCESS;
}

API cublasLtMatmulPreferenceCreate(Preference **preference) {
  ENTER();
  *preference = new Preference;
  return SUCCESS;
}

#define ATTRIBUTES(NAME, TYPE)                                                                              \
  API cublasLt##NAME##SetAttribute(TYPE *object, int attribute, const void *value, size_t bytes) {          \
    ENTER();                                                                                                \
    return object ? object->set(attribute, value, bytes) : INVALID_VALUE;                                   \
  }                                                                                                         \
  API cublasLt##NAME##GetAttribute(TYPE *object, int attribute, void *value, size_t bytes, size_t *written) { \
    ENTER();                                                                                                \
    return object ? object->get(attribute, value, bytes, written) : INVALID_VALUE;                          \
  }                                                                                                         \
  API cublasLt##NAME##Destroy(TYPE *object) {                                                               \
    ENTER();                                                                                                \
    return destroy(object);                                                                                 \
  }

ATTRIBUTES(MatrixLayout, Layout)
ATTRIBUTES(MatmulDesc, Description)
ATTRIBUTES(MatmulPreference, Preference)

// One algorithm; with a workspace where the preference allows one.
API cublasLtMatmulAlgoGetHeuristic(void *handle, Description *description, Layout *a, Layout *b, Layout *c, Layout *d,
                                   Preference *preference, int most, HeuristicResult *results, int *count) {
  ENTER();
  if (!handle) return NOT_INITIALIZED;
  if (most < 1 || !results || !count || !preference) return INVALID_VALUE;
  *count = 0;
  Product product;
  if (int error = describe(description, a, b, c, d, product)) return error;
  *results = HeuristicResult();
  Algorithm &algorithm = results->algorithm;
  algorithm.magic = MAGIC;
  algorithm.product = key(product, *description);
  algorithm.workspace_bytes = preference->number(1, 0) >= WORKSPACE_BYTES ? WORKSPACE_BYTES : 0;
  for (int at = 0; at < 4; ++at) algorithm.alignments[at] = preference->number(5 + at, 256);
  results->workspace_bytes = algorithm.workspace_bytes;
  results->waves = 1.0f;
  *count = 1;
  return SUCCESS;
}

API cublasLtMatmul(void *handle, Description *description, const void *alpha, const void *a, Layout *a_layout,
                   const void *b, Layout *b_layout, const void *beta, const void *c, Layout *c_layout, void *d,
                   Layout *d_layout, const Algorithm *algorithm, void *workspace, size_t workspace_bytes,
                   void *stream) {
  ENTER();
  if (!handle) return NOT_INITIALIZED;
  Product product;
  if (int error = describe(description, a_layout, b_layout, c_layout, d_layout, product)) return error;
  if (!a || !b || !d || !alpha || !beta) return INVALID_VALUE;
  int scale = description->small(1, TYPE_F32);
  product.alpha = scalar(alpha, scale, 1), product.beta = scalar(beta, scale, 0);
  product.a_data = a, product.b_data = b, product.c_data = c, product.d_data = d;
  bool biased = description->small(7, EPILOGUE_DEFAULT) & EPILOGUE_BIAS;
  if ((product.beta != 0 && !c) || (biased && !product.bias)) return INVALID_VALUE;
  auto address = [](const void *pointer) { return reinterpret_cast<unsigned long long>(pointer); };
  std::vector<Range> ranges = {
      {address(a), product.a.extent()}, {address(b), product.b.extent()}, {address(d), product.d.extent()}};
  if (product.beta != 0) ranges.push_back({address(c), product.c.extent()});
  if (biased) {
    size_t values = (product.d.batch - 1) * product.bias_stride + product.d.rows;
    ranges.push_back({address(product.bias), values * type_bytes(product.bias_type)});
  }
  if (algorithm) {
    if (algorithm->magic != MAGIC || algorithm->product != key(product, *description)) return INVALID_VALUE;
    const void *pointers[] = {a, b, product.beta != 0 ? c : d, d};
    for (int at = 0; at < 4; ++at)
      if (address(pointers[at]) % algorithm->alignments[at]) return INVALID_VALUE;
    if (workspace_bytes < algorithm->workspace_bytes || (algorithm->workspace_bytes && !workspace)) return INVALID_VALUE;
    if (address(workspace) % 16) return INVALID_VALUE;
    if (algorithm->workspace_bytes) ranges.push_back({address(workspace), workspace_bytes});
  }
  auto release = [](void *data) { delete static_cast<Product *>(data); };
  int error = enqueue()(stream, ranges.data(), ranges.size(), run, new Product(product), release);
  return error ? EXECUTION_FAILED : SUCCESS;
}
