// The threads of a block as coroutines of one host thread.
#pragma once

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
struct uint3 {
    unsigned x, y, z;
};

inline thread_local uint3 threadIdx, blockIdx;
inline thread_local dim3 blockDim, gridDim;
static const int warpSize = 32;

namespace cuda_on_host {

// Calls the kernel with the parameters of the launch.
struct Kernel {
    void (*call)(void *function, void **params);
    void *function;
    void **params;
};

// A barrier of `expected` threads; a thread that has ended is expected no more.
struct Barrier {
    unsigned expected = 0, arrived = 0, generation = 0;

    void pass_if_full() {
        if (arrived > 0 && arrived >= expected) {
            arrived = 0;
            ++generation;
        }
    }
    void leave() {
        --expected;
        pass_if_full();
    }
};

// What the lanes of a warp hand each other. Two sets of slots in turn: a lane that is ahead by one exchange does not
// overwrite what another has still to read.
struct Warp {
    Barrier barrier;
    alignas(16) unsigned char slots[2][32][64];
};

struct Thread {
    ucontext_t context;
    jmp_buf jump;
    void *stack = nullptr;
    bool started = false, ended = false;
    const unsigned *waits_on = nullptr;
    unsigned waits_for = 0, exchanges = 0;
    uint3 index;
    Warp *warp = nullptr;
    unsigned lane = 0;
};

const size_t STACK_BYTES = 256 * 1024;

struct Block {
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::vector<void *> stacks;
    Barrier barrier;
    Thread *current = nullptr;
    jmp_buf scheduler;
    const Kernel *kernel = nullptr;
    unsigned char *dynamic_shared = nullptr;
    size_t dynamic_bytes = 0;

    ~Block() {
        for (void *stack : stacks) munmap(stack, STACK_BYTES);
        free(dynamic_shared);
    }
};

inline thread_local Block block;

[[noreturn]] inline void give_up(const char *what) {
    fprintf(stderr, "cuda_on_host: %s\n", what);
    abort();
}

// Lets the other threads run until `barrier` has been passed.
__attribute__((noinline)) inline void wait(Barrier &barrier) {
    Thread *self = block.current;
    self->waits_on = &barrier.generation;
    self->waits_for = barrier.generation + 1;
    ++barrier.arrived;
    barrier.pass_if_full();
    if (barrier.generation == self->waits_for) return;
    // setjmp and longjmp switch without a system call, unlike swapcontext.
    if (_setjmp(self->jump) == 0) _longjmp(block.scheduler, 1);
}

inline void run_thread() {
    Thread *self = block.current;
    block.kernel->call(block.kernel->function, block.kernel->params);
    self->ended = true;
    self->warp->barrier.leave();
    block.barrier.leave();
    _longjmp(block.scheduler, 1);
}

inline void start(Thread &thread) {
    thread.started = true;
    getcontext(&thread.context);
    thread.context.uc_stack.ss_sp = thread.stack;
    thread.context.uc_stack.ss_size = STACK_BYTES;
    thread.context.uc_link = nullptr;
    makecontext(&thread.context, run_thread, 0);
    setcontext(&thread.context);
}

// Runs one thread until it waits or ends. Not inlined: what `_setjmp` comes back to must not sit in the caller's
// registers.
__attribute__((noinline)) inline void resume(Thread &thread) {
    block.current = &thread;
    threadIdx = thread.index;
    if (_setjmp(block.scheduler) != 0) return;
    if (thread.started) _longjmp(thread.jump, 1);
    start(thread);
}

inline void *new_stack() {
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *stack = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (stack == MAP_FAILED) give_up("no memory for the stack of a thread");
    return stack;
}

// Sets up the threads of a block of `blockDim`.
inline void prepare_block() {
    const unsigned count = blockDim.x * blockDim.y * blockDim.z;
    while (block.stacks.size() < count) block.stacks.push_back(new_stack());
    block.threads.assign(count, Thread());
    block.warps.assign((count + 31) / 32, Warp());
    block.barrier = Barrier();
    block.barrier.expected = count;
    for (unsigned number = 0; number < count; ++number) {
        Thread &thread = block.threads[number];
        thread.stack = block.stacks[number];
        thread.index = {number % blockDim.x, number / blockDim.x % blockDim.y, number / blockDim.x / blockDim.y};
        thread.warp = &block.warps[number / 32];
        thread.lane = number % 32;
        ++thread.warp->barrier.expected;
    }
}

// Runs the threads from `first` on, up to a warp, as far as they come without the others: whether there was progress. A
// warp that is ahead of the others meets what a missing barrier leaves unprotected.
inline bool run_warp(size_t first, size_t &left) {
    const size_t end = first + 32 < block.threads.size() ? first + 32 : block.threads.size();
    bool ever = false;
    for (bool progress = true; progress;) {
        progress = false;
        for (size_t number = first; number < end; ++number) {
            Thread &thread = block.threads[number];
            if (thread.ended || (thread.waits_on && *thread.waits_on != thread.waits_for)) continue;
            thread.waits_on = nullptr;
            resume(thread);
            progress = ever = true;
            left -= thread.ended;
        }
    }
    return ever;
}

inline void run_block() {
    prepare_block();
    size_t left = block.threads.size();
    const size_t warps = block.warps.size();
    // The last warp first in every second pass, so that each is ahead of some other once.
    for (bool backwards = false; left > 0; backwards = !backwards) {
        bool progress = false;
        for (size_t number = 0; number < warps; ++number) {
            progress |= run_warp((backwards ? warps - 1 - number : number) * 32, left);
        }
        if (!progress) give_up("deadlock: a barrier or shuffle that not every thread reaches");
    }
}

// Writes `value` to this lane's slot, waits for the warp, and gives lane `from`'s.
template <typename T> T exchange(const T &value, unsigned from) {
    static_assert(sizeof(T) <= 64, "too large to hand over");
    Thread *self = block.current;
    auto &slots = self->warp->slots[self->exchanges++ % 2];
    memcpy(slots[self->lane], &value, sizeof(T));
    wait(self->warp->barrier);
    T result;
    memcpy(&result, slots[from % 32], sizeof(T));
    return result;
}

} // namespace cuda_on_host

inline void __syncthreads() {
    cuda_on_host::wait(cuda_on_host::block.barrier);
}

inline void __syncwarp(unsigned = 0xffffffffu) {
    cuda_on_host::wait(cuda_on_host::block.current->warp->barrier);
}
