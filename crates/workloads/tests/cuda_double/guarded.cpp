#include "guarded.h"

#include <setjmp.h>
#include <signal.h>

#include <mutex>

namespace {

thread_local sigjmp_buf *way_out = nullptr;
struct sigaction earlier_segv, earlier_bus;

// Outside of a kernel it is what it was: the next try of the same access meets the earlier handler.
void handle(int signal, siginfo_t *, void *) {
  if (way_out) siglongjmp(*way_out, 1);
  sigaction(signal, signal == SIGSEGV ? &earlier_segv : &earlier_bus, nullptr);
}

void install() {
  struct sigaction action = {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &earlier_segv);
  sigaction(SIGBUS, &action, &earlier_bus);
}

}  // namespace

bool run_guarded(void (*function)(void *), void *data) {
  static std::once_flag once;
  std::call_once(once, install);
  sigjmp_buf buffer;
  if (sigsetjmp(buffer, 1)) {
    way_out = nullptr;
    return false;
  }
  way_out = &buffer;
  function(data);
  way_out = nullptr;
  return true;
}
