// The vector types that CUDA C++ has without a header.
#pragma once

namespace cuda_on_host {
using f32 = Real<real32>;
using f64 = Real<real64>;
using u16 = Integer<uint16_t>;
using i32 = Integer<int32_t>;
using u32 = Integer<uint32_t>;
using u64 = Integer<unsigned long long>;
} // namespace cuda_on_host

#define CUDA_ON_HOST_VECTOR1(NAME, T)                                                                                      \
    struct NAME##1 { T x; };                                                                                               \
    inline NAME##1 make_##NAME##1(T x) { return {x}; }
#define CUDA_ON_HOST_VECTOR2(NAME, T)                                                                                      \
    struct alignas(2 * sizeof(T)) NAME##2 { T x, y; };                                                                     \
    inline NAME##2 make_##NAME##2(T x, T y) { return {x, y}; }
#define CUDA_ON_HOST_VECTOR4(NAME, T)                                                                                      \
    struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) NAME##4 { T x, y, z, w; };                                     \
    inline NAME##4 make_##NAME##4(T x, T y, T z, T w) { return {x, y, z, w}; }

CUDA_ON_HOST_VECTOR1(ushort, cuda_on_host::u16)
CUDA_ON_HOST_VECTOR2(ushort, cuda_on_host::u16)
CUDA_ON_HOST_VECTOR4(ushort, cuda_on_host::u16)
CUDA_ON_HOST_VECTOR2(int, cuda_on_host::i32)
CUDA_ON_HOST_VECTOR4(int, cuda_on_host::i32)
CUDA_ON_HOST_VECTOR2(uint, cuda_on_host::u32)
CUDA_ON_HOST_VECTOR4(uint, cuda_on_host::u32)
CUDA_ON_HOST_VECTOR2(ulonglong, cuda_on_host::u64)
CUDA_ON_HOST_VECTOR1(float, cuda_on_host::f32)
CUDA_ON_HOST_VECTOR2(float, cuda_on_host::f32)
CUDA_ON_HOST_VECTOR4(float, cuda_on_host::f32)
CUDA_ON_HOST_VECTOR2(double, cuda_on_host::f64)
