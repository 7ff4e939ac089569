// Functions of CUDA C++ that one thread calls alone.
#pragma once

// Names that the host's mathematics may have, too.
#define rsqrtf cuda_on_host::reciprocal_root
#define __expf expf
#define __fdividef cuda_on_host::quotient

namespace cuda_on_host {

inline f32 reciprocal_root(f32 x) {
    count(ROOT);
    return 1.0f / sqrtf(plain(x));
}

inline f32 quotient(f32 a, f32 b) { return a / b; }

template <typename To, typename From> To bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "the same bits");
    To result;
    memcpy(&result, &value, sizeof(To));
    return result;
}

} // namespace cuda_on_host

#ifdef COUNT
// The plain ones are the host's.
#define CUDA_ON_HOST_CALL1(NAME, KIND, T)                                                                                  \
    inline cuda_on_host::Counted<T> NAME(cuda_on_host::Counted<T> x) {                                                     \
        cuda_on_host::count(cuda_on_host::KIND);                                                                           \
        return NAME(x.read());                                                                                             \
    }
CUDA_ON_HOST_CALL1(expf, EXPONENTIAL, cuda_on_host::real32)
CUDA_ON_HOST_CALL1(exp2f, EXPONENTIAL, cuda_on_host::real32)
CUDA_ON_HOST_CALL1(tanhf, EXPONENTIAL, cuda_on_host::real32)
CUDA_ON_HOST_CALL1(sqrtf, ROOT, cuda_on_host::real32)
CUDA_ON_HOST_CALL1(exp, EXPONENTIAL, cuda_on_host::real64)
CUDA_ON_HOST_CALL1(sqrt, ROOT, cuda_on_host::real64)

inline cuda_on_host::f32 fmaf(cuda_on_host::f32 x, cuda_on_host::f32 y, cuda_on_host::f32 z) {
    cuda_on_host::count(cuda_on_host::FUSED);
    return ::fmaf(x.read(), y.read(), z.read());
}
inline cuda_on_host::f64 fma(cuda_on_host::f64 x, cuda_on_host::f64 y, cuda_on_host::f64 z) {
    cuda_on_host::count(cuda_on_host::FUSED);
    return ::fma(x.read(), y.read(), z.read());
}
inline cuda_on_host::f32 fmaxf(cuda_on_host::f32 x, cuda_on_host::f32 y) { return ::fmaxf(x.read(), y.read()); }
inline cuda_on_host::f32 fminf(cuda_on_host::f32 x, cuda_on_host::f32 y) { return ::fminf(x.read(), y.read()); }
inline cuda_on_host::f32 fabsf(cuda_on_host::f32 x) { return ::fabsf(x.read()); }
#endif

inline unsigned __float_as_uint(cuda_on_host::f32 x) { return cuda_on_host::bits<unsigned>(cuda_on_host::plain(x)); }
inline int __float_as_int(cuda_on_host::f32 x) { return cuda_on_host::bits<int>(cuda_on_host::plain(x)); }
inline cuda_on_host::f32 __uint_as_float(unsigned x) { return cuda_on_host::bits<cuda_on_host::real32>(x); }
inline cuda_on_host::f32 __int_as_float(int x) { return cuda_on_host::bits<cuda_on_host::real32>(x); }

// Loads and stores with a hint for the caches.
template <typename T> T __ldg(const T *place) { return *place; }
template <typename T> T __ldcg(const T *place) { return *place; }
template <typename T> T __ldcs(const T *place) { return *place; }
template <typename T> void __stcg(T *place, T value) { *place = value; }
template <typename T> void __stcs(T *place, T value) { *place = value; }

// Blocks run one after another, but launches of other streams at the same time.
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
template <typename T> T atomicAdd(T *place, T value) { return __atomic_fetch_add(place, value, __ATOMIC_RELAXED); }

inline int min(int a, int b) { return a < b ? a : b; }
inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }

inline unsigned long long nanoseconds() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * 1000000000ull + (unsigned long long)now.tv_nsec;
}
// A clock of 1 GHz.
inline long long clock64() { return (long long)nanoseconds(); }
