// A double of NVRTC 12.4: compiles a source for the host with g++ (cuda_on_host/build.sh).
//
// DOUBLE_NVRTC_MAX_ARCH   the newest architecture that it knows (90): an older NVRTC than the device
// DOUBLE_NVRTC_VERSION    its version, 12.4
#include <dlfcn.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "faults.h"
#include "image.h"

#define API extern "C" __attribute__((visibility("default"))) int
#define ENTER() \
  if (int entered_ = fault(__func__, INTERNAL_ERROR)) return entered_

extern char **environ;

namespace {

// nvrtcResult.
enum {
  SUCCESS = 0,
  PROGRAM_CREATION_FAILURE = 2,
  INVALID_INPUT = 3,
  INVALID_PROGRAM = 4,
  INVALID_OPTION = 5,
  COMPILATION = 6,
  NO_LOWERED_NAMES_BEFORE_COMPILATION = 9,
  NAME_EXPRESSION_NOT_VALID = 10,
  INTERNAL_ERROR = 11,
};

struct Program {
  std::string source, name, log;
  Image image;
  bool compiled = false;
  std::vector<std::string> expressions;
};

std::mutex &mutex() {
  static auto *one = new std::mutex;
  return *one;
}

std::map<void *, std::shared_ptr<Program>> &programs() {
  static auto *all = new std::map<void *, std::shared_ptr<Program>>;
  return *all;
}

std::shared_ptr<Program> find(void *handle) {
  std::lock_guard<std::mutex> guard(mutex());
  auto found = programs().find(handle);
  return found == programs().end() ? nullptr : found->second;
}

std::string contents(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

uint64_t fnv1a(const std::string &text, uint64_t hash = 0xcbf29ce484222325) {
  for (unsigned char byte : text) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

// The folder of this library, and in it the compiled kernels.
std::string cache() {
  Dl_info self;
  dladdr(reinterpret_cast<void *>(&fnv1a), &self);
  std::string path = self.dli_fname;
  std::string folder = path.substr(0, path.rfind('/') + 1) + "kernels";
  mkdir(folder.c_str(), 0777);
  char *whole = realpath(folder.c_str(), nullptr);
  if (whole) folder = whole;
  std::free(whole);
  return folder;
}

// Runs a program with its output in a file; its exit status, -1 where it did not run.
int execute(const std::vector<std::string> &words, const std::string &output) {
  std::vector<char *> arguments;
  for (const std::string &word : words) arguments.push_back(const_cast<char *>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, output.c_str(), 0x241 /* write, create, truncate */, 0666);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t child;
  int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status;
  if (failed || waitpid(child, &status, 0) < 0) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A library for this source: from the cache, or compiled; in `log` what the compiler said.
int build(const Program &program, const std::vector<std::string> &flags, std::string &library, std::string &log) {
  uint64_t key = fnv1a(program.source);
  for (const std::string &flag : flags) key = fnv1a("\n" + flag, key);
  std::set<std::string> parts;
  for (const auto &entry : std::filesystem::directory_iterator(ON_HOST)) parts.insert(entry.path());
  for (const std::string &part : parts) key = fnv1a(contents(part), key);
  char name[17];
  std::snprintf(name, sizeof(name), "%016llx", static_cast<unsigned long long>(key));
  std::string folder = cache();
  library = folder + "/" + name + ".so";
  if (access(library.c_str(), R_OK) == 0) return SUCCESS;
  static std::atomic<int> builds{0};
  std::string stem = folder + "/" + name + "-" + std::to_string(getpid()) + "-" + std::to_string(++builds);
  std::string source = stem + ".cu", object = stem + ".so", output = stem + ".log";
  std::ofstream(source) << "#line 1 \"" << program.name << "\"\n" << program.source << "\n";
  std::vector<std::string> words = {"sh", std::string(ON_HOST) + "/build.sh", source, object};
  words.insert(words.end(), flags.begin(), flags.end());
  int status = execute(words, output);
  log = contents(output);
  unlink(source.c_str());
  unlink(output.c_str());
  if (status < 0) return INTERNAL_ERROR;
  if (status || rename(object.c_str(), library.c_str())) {
    unlink(object.c_str());
    return COMPILATION;
  }
  return SUCCESS;
}

bool begins(const std::string &text, const char *prefix) { return text.compare(0, std::strlen(prefix), prefix) == 0; }

int newest() {
  const char *stated = std::getenv("DOUBLE_NVRTC_MAX_ARCH");
  return stated ? std::atoi(stated) : 90;
}

// "sm_90a" and "compute_90" of this NVRTC or an older one.
bool set_architecture(Image &image, const std::string &value) {
  size_t underscore = value.find('_');
  std::string kind = value.substr(0, underscore == std::string::npos ? 0 : underscore);
  if (kind != "sm" && kind != "compute") return false;
  image.virtual_architecture = kind == "compute";
  image.architecture = value.substr(underscore + 1);
  int number = std::atoi(image.architecture.c_str());
  char suffix = image.architecture.back();
  return number >= 50 && number <= newest() && (suffix != 'a' || number >= 90) && suffix != 'f';
}

// Options that change what a kernel computes here; the others of NVRTC are known and do nothing.
bool read_option(const std::string &option, Image &image, std::vector<std::string> &flags) {
  for (const char *key : {"--gpu-architecture=", "-arch="})
    if (begins(option, key)) return set_architecture(image, option.substr(std::strlen(key)));
  if (begins(option, "--define-macro=")) {
    flags.push_back("-D" + option.substr(15));
    return true;
  }
  if (begins(option, "-D") || begins(option, "-I")) {
    flags.push_back(option);
    return true;
  }
  if (begins(option, "--include-path=")) {
    flags.push_back("-I" + option.substr(15));
    return true;
  }
  for (const char *known :
       {"--std=", "-std=", "--fmad=", "-fmad=", "--ftz=", "-ftz=", "--prec-sqrt=", "-prec-sqrt=", "--prec-div=",
        "-prec-div=", "--use_fast_math", "-use_fast_math", "--maxrregcount=", "-maxrregcount=", "--ptxas-options",
        "-Xptxas", "--generate-line-info", "-lineinfo", "--device-debug", "-G", "--restrict", "-restrict",
        "--default-device", "-default-device", "--disable-warnings", "-w", "--extra-device-vectorization", "--dopt=",
        "-dopt=", "--diag-", "--minimal", "-minimal", "--device-int128"})
    if (begins(option, known)) return true;
  return false;
}

}  // namespace

API nvrtcVersion(int *major, int *minor) {
  ENTER();
  const char *stated = std::getenv("DOUBLE_NVRTC_VERSION");
  if (!stated || std::sscanf(stated, "%d.%d", major, minor) != 2) *major = 12, *minor = 4;
  return SUCCESS;
}

static const int ARCHITECTURES[] = {50, 52, 53, 60, 61, 62, 70, 72, 75, 80, 86, 87, 89, 90};

API nvrtcGetNumSupportedArchs(int *count) {
  ENTER();
  *count = 0;
  for (int architecture : ARCHITECTURES) *count += architecture <= newest();
  return SUCCESS;
}

API nvrtcGetSupportedArchs(int *architectures) {
  ENTER();
  for (int architecture : ARCHITECTURES)
    if (architecture <= newest()) *architectures++ = architecture;
  return SUCCESS;
}

extern "C" __attribute__((visibility("default"))) const char *nvrtcGetErrorString(int code) {
  static const char *const NAMES[] = {
      "NVRTC_SUCCESS",
      "NVRTC_ERROR_OUT_OF_MEMORY",
      "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
      "NVRTC_ERROR_INVALID_INPUT",
      "NVRTC_ERROR_INVALID_PROGRAM",
      "NVRTC_ERROR_INVALID_OPTION",
      "NVRTC_ERROR_COMPILATION",
      "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE",
      "NVRTC_ERROR_NO_NAME_EXPRESSIONS_AFTER_COMPILATION",
      "NVRTC_ERROR_NO_LOWERED_NAMES_BEFORE_COMPILATION",
      "NVRTC_ERROR_NAME_EXPRESSION_NOT_VALID",
      "NVRTC_ERROR_INTERNAL_ERROR",
      "NVRTC_ERROR_TIME_FILE_WRITE_FAILED",
  };
  return code >= 0 && code <= 12 ? NAMES[code] : "NVRTC_ERROR unknown";
}

API nvrtcCreateProgram(void **handle, const char *source, const char *name, int headers, const char *const *,
                       const char *const *) {
  ENTER();
  if (!handle || !source) return INVALID_INPUT;
  // Headers in memory are not supported: the project's kernels include nothing.
  if (headers) return PROGRAM_CREATION_FAILURE;
  auto program = std::make_shared<Program>();
  program->source = source;
  program->name = name && *name ? name : "default_program";
  std::lock_guard<std::mutex> guard(mutex());
  *handle = program.get();
  programs()[*handle] = program;
  return SUCCESS;
}

API nvrtcDestroyProgram(void **handle) {
  ENTER();
  std::lock_guard<std::mutex> guard(mutex());
  if (!handle || !programs().erase(*handle)) return INVALID_PROGRAM;
  *handle = nullptr;
  return SUCCESS;
}

API nvrtcCompileProgram(void *handle, int count, const char *const *options) {
  ENTER();
  std::shared_ptr<Program> program = find(handle);
  if (!program) return INVALID_PROGRAM;
  // NVRTC's own default.
  program->image.architecture = "52";
  program->image.virtual_architecture = true;
  std::vector<std::string> flags;
  for (int at = 0; at < count; ++at) {
    if (read_option(options[at], program->image, flags)) continue;
    program->log = std::string("nvrtc: error: invalid value or unknown option: ") + options[at] + "\n";
    return INVALID_OPTION;
  }
  int result = build(*program, flags, program->image.path, program->log);
  program->compiled = result == SUCCESS;
  return result;
}

#define SIZED(NAME, TEXT)                                     \
  API nvrtcGet##NAME##Size(void *handle, size_t *bytes) {     \
    ENTER();                                                  \
    std::shared_ptr<Program> program = find(handle);          \
    if (!program) return INVALID_PROGRAM;                     \
    std::string text;                                         \
    if (int error = TEXT(*program, text)) return error;       \
    *bytes = text.size();                                     \
    return SUCCESS;                                           \
  }                                                           \
  API nvrtcGet##NAME(void *handle, char *bytes) {             \
    ENTER();                                                  \
    std::shared_ptr<Program> program = find(handle);          \
    if (!program) return INVALID_PROGRAM;                     \
    std::string text;                                         \
    if (int error = TEXT(*program, text)) return error;       \
    std::memcpy(bytes, text.data(), text.size());             \
    return SUCCESS;                                           \
  }

// Both with the zero at the end, which sizes count.
static int log_text(const Program &program, std::string &text) {
  text = program.log + '\0';
  return SUCCESS;
}

static int ptx_text(const Program &program, std::string &text) {
  if (!program.compiled) return INVALID_PROGRAM;
  Image image = program.image;
  image.virtual_architecture = true;
  text = image.write() + '\0';
  return SUCCESS;
}

// Nothing for a virtual architecture.
static int cubin_text(const Program &program, std::string &text) {
  if (!program.compiled) return INVALID_PROGRAM;
  text = program.image.virtual_architecture ? "" : program.image.write() + '\0';
  return SUCCESS;
}

SIZED(ProgramLog, log_text)
SIZED(PTX, ptx_text)
SIZED(CUBIN, cubin_text)

API nvrtcAddNameExpression(void *handle, const char *expression) {
  ENTER();
  std::shared_ptr<Program> program = find(handle);
  if (!program) return INVALID_PROGRAM;
  program->expressions.emplace_back(expression);
  return SUCCESS;
}

// Kernels with C linkage only: their names stay.
API nvrtcGetLoweredName(void *handle, const char *expression, const char **name) {
  ENTER();
  std::shared_ptr<Program> program = find(handle);
  if (!program) return INVALID_PROGRAM;
  if (!program->compiled) return NO_LOWERED_NAMES_BEFORE_COMPILATION;
  for (const std::string &known : program->expressions) {
    if (known != expression) continue;
    *name = known.c_str() + std::strspn(known.c_str(), "& ");
    return SUCCESS;
  }
  return NAME_EXPRESSION_NOT_VALID;
}
