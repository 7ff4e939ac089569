// Modules (libraries that the double of NVRTC makes), kernels and their launches.
#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>

#include "driver.h"
#include "guarded.h"
#include "image.h"

namespace {

constexpr int MOST_PARAMETERS = 64, DEFAULT_SHARED_BYTES = 49152, MOST_SHARED_BYTES = 232448;

using LaunchOnHost = int (*)(const char *, const unsigned *, const unsigned *, unsigned, void **);
using ParametersOnHost = int (*)(const char *, unsigned *, unsigned *, int);

struct Module {
  ContextRef context;
  LaunchOnHost launch;
  ParametersOnHost parameters;
  std::map<std::string, Handle> functions;
};

struct Function {
  ContextRef context;
  LaunchOnHost launch;
  std::string name;
  std::vector<unsigned> sizes, pointers;
  unsigned dynamic_shared_bytes = DEFAULT_SHARED_BYTES;
};
using FunctionRef = std::shared_ptr<Function>;

Registry<Module> &modules() {
  static auto *all = new Registry<Module>;
  return *all;
}

Registry<Function> &functions() {
  static auto *all = new Registry<Function>;
  return *all;
}

// Of compute capability 9.0: binaries of exactly that, PTX of any before it.
Result fits(const Image &image) {
  bool exact = image.architecture == "90" || image.architecture == "90a";
  if (!image.virtual_architecture) return exact ? SUCCESS : NO_BINARY_FOR_GPU;
  bool older = std::atoi(image.architecture.c_str()) <= 90 && !std::strpbrk(image.architecture.c_str(), "af");
  return exact || older ? SUCCESS : NO_BINARY_FOR_GPU;
}

Result load(Handle *module, const void *data) {
  ContextRef context;
  if (Result error = usable(context)) return error;
  if (Result error = unsafe_while_capturing()) return error;
  if (!module || !data) return INVALID_VALUE;
  Image image;
  if (!image.read(static_cast<const char *>(data))) return INVALID_IMAGE;
  if (Result error = fits(image)) return error;
  void *library = dlopen(image.path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) return SHARED_OBJECT_INIT_FAILED;
  auto made = std::make_shared<Module>();
  made->context = context;
  made->launch = reinterpret_cast<LaunchOnHost>(dlsym(library, "launch_on_host"));
  made->parameters = reinterpret_cast<ParametersOnHost>(dlsym(library, "parameters_on_host"));
  if (!made->launch || !made->parameters) return INVALID_IMAGE;
  *module = modules().add(made);
  return SUCCESS;
}

// A launch with its parameters as they were at the call.
struct Call {
  FunctionRef function;
  unsigned grid[3], block[3], shared_bytes;
  std::vector<std::vector<char>> values;
  std::vector<void *> pointers;
  int failed = 0;

  // Pointers may be null; others are to be in live memory.
  Result check() const {
    for (size_t at = 0; at < values.size(); ++at) {
      if (!function->pointers[at]) continue;
      DevicePtr address;
      std::memcpy(&address, values[at].data(), sizeof(address));
      if (!address) continue;
      if (Result error = check_range(address, 1, function->context)) return error;
    }
    return SUCCESS;
  }

  Result perform() {
    if (int error = fault("kernel", LAUNCH_FAILED)) return error;
    if (Result error = check()) return error;
    pointers.clear();
    for (std::vector<char> &value : values) pointers.push_back(value.data());
    if (!run_guarded(execute, this)) return ILLEGAL_ADDRESS;
    return failed ? LAUNCH_FAILED : SUCCESS;
  }

  static void execute(void *data) {
    auto *call = static_cast<Call *>(data);
    const char *name = call->function->name.c_str();
    call->failed = call->function->launch(name, call->grid, call->block, call->shared_bytes, call->pointers.data());
  }
};

bool launchable(const unsigned *grid, const unsigned *block) {
  const unsigned long long most_grid[] = {2147483647, 65535, 65535}, most_block[] = {1024, 1024, 64};
  for (int axis = 0; axis < 3; ++axis)
    if (!grid[axis] || !block[axis] || grid[axis] > most_grid[axis] || block[axis] > most_block[axis]) return false;
  return static_cast<unsigned long long>(block[0]) * block[1] * block[2] <= 1024;
}

Result launch(Handle handle, const unsigned *grid, const unsigned *block, unsigned shared_bytes, Handle stream_handle,
              void **parameters, void **extra) {
  StreamRef stream;
  if (Result error = find_stream(stream_handle, stream)) return error;
  FunctionRef function = functions().find(handle);
  if (!function || function->context != stream->context) return INVALID_HANDLE;
  if (extra || (!parameters && !function->sizes.empty())) return INVALID_VALUE;
  if (!launchable(grid, block) || shared_bytes > function->dynamic_shared_bytes) return INVALID_VALUE;
  auto call = std::make_shared<Call>();
  call->function = function;
  std::copy(grid, grid + 3, call->grid);
  std::copy(block, block + 3, call->block);
  call->shared_bytes = shared_bytes;
  for (size_t at = 0; at < function->sizes.size(); ++at) {
    auto first = static_cast<const char *>(parameters[at]);
    call->values.emplace_back(first, first + function->sizes[at]);
  }
  return enqueue(stream, NODE_KERNEL, [call] { return call->perform(); });
}

Result resident_blocks(int *blocks, Handle handle, int threads, size_t shared_bytes) {
  if (!functions().find(handle)) return INVALID_HANDLE;
  if (threads < 1 || threads > 1024) return INVALID_VALUE;
  size_t by_shared = 233472 / (shared_bytes + 1024);
  *blocks = static_cast<int>(std::min<size_t>({2048u / ((threads + 31) / 32 * 32), by_shared, 32}));
  return SUCCESS;
}

}  // namespace

API cuModuleLoadData(Handle *module, const void *image) {
  ENTER();
  return load(module, image);
}

API cuModuleLoadDataEx(Handle *module, const void *image, unsigned, int *, void **) {
  ENTER();
  return load(module, image);
}

API cuModuleLoadFatBinary(Handle *module, const void *image) {
  ENTER();
  return load(module, image);
}

API cuModuleLoad(Handle *module, const char *path) {
  ENTER();
  std::ifstream file(path, std::ios::binary);
  if (!file) return FILE_NOT_FOUND;
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return load(module, text.c_str());
}

// Its kernels can't be launched any more.
API cuModuleUnload(Handle handle) {
  ENTER();
  if (Result error = unsafe_while_capturing()) return error;
  std::shared_ptr<Module> module = modules().find(handle);
  if (!module) return INVALID_HANDLE;
  if (Result error = drain(guard, module->context)) return error;
  for (auto &[name, function] : module->functions) functions().remove(function);
  modules().remove(handle);
  return SUCCESS;
}

API cuModuleGetFunction(Handle *handle, Handle module_handle, const char *name) {
  ENTER();
  ContextRef context;
  if (Result error = usable(context)) return error;
  std::shared_ptr<Module> module = modules().find(module_handle);
  if (!module) return INVALID_HANDLE;
  auto known = module->functions.find(name);
  if (known != module->functions.end()) {
    *handle = known->second;
    return SUCCESS;
  }
  unsigned sizes[MOST_PARAMETERS], pointers[MOST_PARAMETERS];
  int count = module->parameters(name, sizes, pointers, MOST_PARAMETERS);
  if (count < 0 || count > MOST_PARAMETERS) return NOT_FOUND;
  auto function = std::make_shared<Function>();
  function->context = module->context;
  function->launch = module->launch;
  function->name = name;
  function->sizes.assign(sizes, sizes + count);
  function->pointers.assign(pointers, pointers + count);
  *handle = module->functions[name] = functions().add(function);
  return SUCCESS;
}

// The project's kernels have no globals.
API cuModuleGetGlobal_v2(DevicePtr *, size_t *, Handle module, const char *) {
  ENTER();
  return modules().find(module) ? NOT_FOUND : INVALID_HANDLE;
}

API cuFuncGetAttribute(int *value, int attribute, Handle handle) {
  ENTER();
  FunctionRef function = functions().find(handle);
  if (!function) return INVALID_HANDLE;
  switch (attribute) {
    case 0: *value = 1024; break;  // MAX_THREADS_PER_BLOCK
    case 1: case 2: case 3: *value = 0; break;  // static shared, constant, local bytes: not known here
    case 4: *value = 32; break;  // NUM_REGS
    case 5: case 6: *value = 90; break;  // PTX_VERSION, BINARY_VERSION
    case 7: *value = 0; break;  // CACHE_MODE_CA
    case 8: *value = static_cast<int>(function->dynamic_shared_bytes); break;
    case 9: *value = -1; break;  // PREFERRED_SHARED_MEMORY_CARVEOUT
    default: return INVALID_VALUE;
  }
  return SUCCESS;
}

API cuFuncSetAttribute(Handle handle, int attribute, int value) {
  ENTER();
  FunctionRef function = functions().find(handle);
  if (!function) return INVALID_HANDLE;
  if (attribute == 9) return value < -1 || value > 100 ? INVALID_VALUE : SUCCESS;
  if (attribute != 8 || value < 0 || value > MOST_SHARED_BYTES) return INVALID_VALUE;
  function->dynamic_shared_bytes = value;
  return SUCCESS;
}

API cuFuncSetCacheConfig(Handle handle, int) {
  ENTER();
  return functions().find(handle) ? SUCCESS : INVALID_HANDLE;
}

API cuLaunchKernel(Handle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared_bytes, Handle stream, void **parameters,
                   void **extra) {
  ENTER();
  const unsigned grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
  return launch(function, grid, block, shared_bytes, stream, parameters, extra);
}

API cuLaunchKernelEx(const LaunchConfig *config, Handle function, void **parameters, void **extra) {
  ENTER();
  if (config->attribute_count) return NOT_SUPPORTED;
  return launch(function, config->grid, config->block, config->shared_bytes, config->stream, parameters, extra);
}

API cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, Handle function, int threads, size_t shared_bytes) {
  ENTER();
  return resident_blocks(blocks, function, threads, shared_bytes);
}

API cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, Handle function, int threads,
                                                         size_t shared_bytes, unsigned) {
  ENTER();
  return resident_blocks(blocks, function, threads, shared_bytes);
}

API cuOccupancyMaxPotentialBlockSize(int *grid, int *block, Handle function, size_t (*)(int), size_t shared_bytes,
                                     int most) {
  ENTER();
  *block = most > 0 && most < 256 ? most : 256;
  int blocks = 0;
  if (Result error = resident_blocks(&blocks, function, *block, shared_bytes)) return error;
  *grid = blocks * 4;
  return SUCCESS;
}

API cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, Handle function, int blocks, int) {
  ENTER();
  if (!functions().find(function)) return INVALID_HANDLE;
  if (blocks < 1) return INVALID_VALUE;
  *bytes = std::min(static_cast<size_t>(MOST_SHARED_BYTES), static_cast<size_t>(233472 / blocks - 1024));
  return SUCCESS;
}
