// What -DCOUNT counts: arithmetic by kind, and bytes loaded from and stored to registered (global) memory.
#pragma once

namespace cuda_on_host {

using real32 = float;
using real64 = double;

// Kinds of arithmetic; launch.h gives them to C in this order, then bytes. MATRIX counts FLOP, the others operations.
enum Kind { ADD, MULTIPLY, FUSED, DIVIDE, EXPONENTIAL, ROOT, MATRIX, KINDS };

struct Counters {
    unsigned long long operations[KINDS], loaded, stored;
};

// Registered memory, and for each byte whether it was loaded (1) or stored (2).
struct Region {
    uintptr_t first;
    std::vector<unsigned char> touched;
};

inline thread_local Counters counters;
inline thread_local std::vector<Region> regions;

// Notes an access of `bytes` where `place` is registered.
inline void access(const void *place, size_t bytes, unsigned char how, unsigned long long &total) {
    for (Region &region : regions) {
        const uintptr_t offset = (uintptr_t)place - region.first;
        if (offset >= region.touched.size()) continue;
        total += bytes;
        for (size_t byte = offset; byte < offset + bytes; ++byte) region.touched[byte] |= how;
        return;
    }
}

#ifdef COUNT

inline void count(Kind kind, unsigned long long operations = 1) { counters.operations[kind] += operations; }

// A value whose accesses count. Registers are the host's stack, shared memory is thread-local: neither is registered,
// so that only an access to global memory counts.
template <typename T> struct Accessed {
    T value;

    Accessed() = default;
    Accessed(T other) : value(other) {}
    Accessed(const Accessed &other) : value(other.read()) {}
    Accessed &operator=(const Accessed &other) {
        value = other.read();
        access(this, sizeof(T), 2, counters.stored);
        return *this;
    }
    const T &read() const {
        access(this, sizeof(T), 1, counters.loaded);
        return value;
    }
};

// A word of a vector type: an integer, whose arithmetic is not counted.
template <typename T> struct Word : Accessed<T> {
    Word() = default;
    Word(T other) : Accessed<T>(other) {}
    operator T() const { return this->read(); }
};

// A floating-point number, whose arithmetic is counted; comparisons, maxima and conversions are not.
template <typename T> struct Counted : Accessed<T> {
    Counted() = default;
    template <typename U, typename = std::enable_if_t<std::is_arithmetic<U>::value>>
    Counted(U other) : Accessed<T>((T)other) {}
    template <typename U, typename = std::enable_if_t<!std::is_same<U, T>::value>>
    explicit Counted(const Counted<U> &other) : Accessed<T>((T)other.read()) {}
    template <typename U, typename = std::enable_if_t<std::is_arithmetic<U>::value>>
    explicit operator U() const { return (U)this->read(); }

    Counted operator-() const { return -this->read(); }
    Counted &operator+=(const Counted &other) { return *this = *this + other; }
    Counted &operator-=(const Counted &other) { return *this = *this - other; }
    Counted &operator*=(const Counted &other) { return *this = *this * other; }
    Counted &operator/=(const Counted &other) { return *this = *this / other; }

    friend Counted operator+(const Counted &a, const Counted &b) { return count(ADD), a.read() + b.read(); }
    friend Counted operator-(const Counted &a, const Counted &b) { return count(ADD), a.read() - b.read(); }
    friend Counted operator*(const Counted &a, const Counted &b) { return count(MULTIPLY), a.read() * b.read(); }
    friend Counted operator/(const Counted &a, const Counted &b) { return count(DIVIDE), a.read() / b.read(); }
    friend bool operator==(const Counted &a, const Counted &b) { return a.read() == b.read(); }
    friend bool operator!=(const Counted &a, const Counted &b) { return a.read() != b.read(); }
    friend bool operator<(const Counted &a, const Counted &b) { return a.read() < b.read(); }
    friend bool operator>(const Counted &a, const Counted &b) { return a.read() > b.read(); }
    friend bool operator<=(const Counted &a, const Counted &b) { return a.read() <= b.read(); }
    friend bool operator>=(const Counted &a, const Counted &b) { return a.read() >= b.read(); }
};

template <typename T> using Real = Counted<T>;
template <typename T> using Integer = Word<T>;
template <typename T> T plain(const Accessed<T> &number) { return number.read(); }

#else

inline void count(Kind, unsigned long long = 1) {}
template <typename T> using Real = T;
template <typename T> using Integer = T;
template <typename T> T plain(T number) { return number; }

#endif

} // namespace cuda_on_host
