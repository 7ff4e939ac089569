// What kernels/ceiling_fma.cu and kernels/ceiling_mma.cu write as PTX: arithmetic on packed 16-bit numbers, and
// products of small matrices whose fragments lie in the registers of a warp (layouts: PTX ISA, "Matrix Fragments for
// mma").
#pragma once

namespace cuda_on_host {

inline real32 from_half(uint16_t bits16) {
    const real32 sign = bits16 & 0x8000 ? -1.0f : 1.0f;
    const int exponent = bits16 >> 10 & 31, fraction = bits16 & 1023;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexpf((real32)(1024 + fraction), exponent - 25) : ldexpf((real32)fraction, -24));
}

// To nearest, ties to even (the host's rounding).
inline uint16_t to_half(real64 x) {
    const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
    if (std::isnan(x)) return 0x7fff;
    const real64 size = std::fabs(x);
    if (size >= 65520.0) return sign | 0x7c00;
    if (size < ldexp(1.0, -14)) return sign | (uint16_t)nearbyint(ldexp(size, 24));
    int exponent;
    const real64 fraction = frexp(size, &exponent);
    // The significand is 1024 to 2048; what rounds up to 2048 carries into the exponent.
    return sign | (uint16_t)(((exponent + 14) << 10) + (int)nearbyint(ldexp(fraction, 11)) - 1024);
}

inline real32 from_bfloat16(uint16_t bits16) { return bits<real32>((uint32_t)bits16 << 16); }

inline uint16_t to_bfloat16(real64 x) {
    const real32 narrow = (real32)x;
    const uint32_t word = bits<uint32_t>(narrow);
    if (std::isnan(narrow)) return 0x7fff;
    return (uint16_t)((word + 0x7fff + (word >> 16 & 1)) >> 16);
}

// a * b + c of both halves; the product of two 16-bit numbers is exact in 64 bits.
template <real32 (*FROM)(uint16_t), uint16_t (*TO)(real64)> unsigned fma_pair(unsigned a, unsigned b, unsigned c) {
    count(FUSED, 2);
    const auto half = [&](int shift) {
        const real64 product = (real64)FROM((uint16_t)(a >> shift)) * FROM((uint16_t)(b >> shift));
        return (unsigned)TO(product + FROM((uint16_t)(c >> shift))) << shift;
    };
    return half(0) | half(16);
}

// What every lane of the warp gave.
template <typename T> void gather_warp(const T &value, T *all) {
    Thread *self = block.current;
    auto &slots = self->warp->slots[self->exchanges++ % 2];
    memcpy(slots[self->lane], &value, sizeof(T));
    wait(self->warp->barrier);
    for (unsigned lane = 0; lane < 32; ++lane) memcpy(&all[lane], slots[lane], sizeof(T));
}

struct Fragments {
    unsigned a[4], b[2];
};

// d += A B with m = 16, n = 8; PER_REGISTER numbers of K share a register.
template <int K, int PER_REGISTER, typename Number>
void mma_16x8(f32 *d, const unsigned *a, const unsigned *b, Number number) {
    Fragments own = {{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, all[32];
    gather_warp(own, all);
    const unsigned lane = block.current->lane;
    for (unsigned out = 0; out < 4; ++out) {
        const unsigned row = lane / 4 + out / 2 * 8, column = lane % 4 * 2 + out % 2;
        real32 sum = plain(d[out]);
        for (unsigned k = 0; k < K; ++k) {
            const unsigned half = k / (K / 2), within = k % (K / 2);
            const unsigned holder = within / PER_REGISTER, part = within % PER_REGISTER;
            const unsigned left = all[row % 8 * 4 + holder].a[row / 8 + half * 2];
            const unsigned right = all[column * 4 + holder].b[half];
            sum += number(left, part) * number(right, part);
        }
        d[out] = sum;
    }
    count(MATRIX, 2 * 16 * 8 * K / 32);
}

} // namespace cuda_on_host

inline unsigned fma_half2(unsigned a, unsigned b, unsigned c) {
    return cuda_on_host::fma_pair<cuda_on_host::from_half, cuda_on_host::to_half>(a, b, c);
}

inline unsigned fma_bfloat162(unsigned a, unsigned b, unsigned c) {
    return cuda_on_host::fma_pair<cuda_on_host::from_bfloat16, cuda_on_host::to_bfloat16>(a, b, c);
}

inline void mma_m16n8k16_f16(cuda_on_host::f32 *d, const unsigned *a, const unsigned *b) {
    cuda_on_host::mma_16x8<16, 2>(d, a, b, [](unsigned word, unsigned part) {
        return cuda_on_host::from_half((uint16_t)(word >> 16 * part));
    });
}

inline void mma_m16n8k16_bf16(cuda_on_host::f32 *d, const unsigned *a, const unsigned *b) {
    cuda_on_host::mma_16x8<16, 2>(d, a, b, [](unsigned word, unsigned part) {
        return cuda_on_host::from_bfloat16((uint16_t)(word >> 16 * part));
    });
}

// tf32: the low 13 bits of an f32 don't count.
inline void mma_m16n8k8_tf32(cuda_on_host::f32 *d, const unsigned *a, const unsigned *b) {
    cuda_on_host::mma_16x8<8, 1>(d, a, b, [](unsigned word, unsigned) {
        return cuda_on_host::bits<cuda_on_host::real32>(word & 0xffffe000u);
    });
}

inline void mma_m8n8k4_f64(cuda_on_host::f64 *d, cuda_on_host::f64 a, cuda_on_host::f64 b) {
    struct Pair {
        cuda_on_host::real64 a, b;
    } own = {cuda_on_host::plain(a), cuda_on_host::plain(b)}, all[32];
    cuda_on_host::gather_warp(own, all);
    const unsigned lane = cuda_on_host::block.current->lane;
    for (unsigned out = 0; out < 2; ++out) {
        const unsigned row = lane / 4, column = lane % 4 * 2 + out;
        cuda_on_host::real64 sum = cuda_on_host::plain(d[out]);
        for (unsigned k = 0; k < 4; ++k) sum += all[row * 4 + k].a * all[column * 4 + k].b;
        d[out] = sum;
    }
    cuda_on_host::count(cuda_on_host::MATRIX, 2 * 8 * 8 * 4 / 32);
}
