// What the threads of a warp do together: each waits for all lanes of its warp that have not ended. The mask is not
// looked at; a shuffle in a branch that some lanes don't take ends as a deadlock with a message.
#pragma once

template <typename T> T __shfl_sync(unsigned, T value, int lane, int width = 32) {
    const unsigned own = cuda_on_host::block.current->lane;
    return cuda_on_host::exchange(value, own / width * width + (unsigned)lane % width);
}

template <typename T> T __shfl_xor_sync(unsigned, T value, int mask, int width = 32) {
    const unsigned own = cuda_on_host::block.current->lane, from = own ^ (unsigned)mask;
    return cuda_on_host::exchange(value, from / width == own / width ? from : own);
}

template <typename T> T __shfl_down_sync(unsigned, T value, unsigned distance, int width = 32) {
    const unsigned own = cuda_on_host::block.current->lane, from = own + distance;
    return cuda_on_host::exchange(value, from / width == own / width ? from : own);
}

template <typename T> T __shfl_up_sync(unsigned, T value, unsigned distance, int width = 32) {
    const unsigned own = cuda_on_host::block.current->lane;
    return cuda_on_host::exchange(value, own % width >= distance ? own - distance : own);
}
