// Runs CUDA kernels on the host: enough of CUDA C++ for kernels/*.cu, no header of CUDA. README.md beside it says how.
//
// The threads of a block are coroutines of one host thread, so that barriers and shuffles mean what they mean; blocks
// run one after another. All state is thread_local: several host threads can launch at once. With -DCOUNT every float
// and double counts its arithmetic, and what is loaded from or stored to registered memory is counted in bytes.
#pragma once

#define CUDA_ON_HOST 1
// Its check of longjmp knows no coroutines.
#undef _FORTIFY_SOURCE

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <type_traits>
#include <utility>
#include <vector>

#include "counting.h"
#include "block.h"
#include "vectors.h"
#include "intrinsics.h"
#include "warp.h"
#include "packed.h"
#include "launch.h"

#define __global__
#define __device__
#define __host__
#define __constant__
// thread_local in a block is static, too: shared by the coroutines, of which one block's run at a time.
#define __shared__ thread_local
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __grid_constant__

#ifdef COUNT
// From here on: the kernel.
#define float cuda_on_host::Counted<cuda_on_host::real32>
#define double cuda_on_host::Counted<cuda_on_host::real64>
// A kernel may use the name.
#undef COUNT
#endif
