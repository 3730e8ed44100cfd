// Synchronization and sums within a block of threads.

__device__ void synchronise() { __syncthreads(); }

__device__ void count(unsigned *place) { atomicAdd(place, 1u); }

// The sum of a value over the lanes of a warp, for all lanes.
template <typename T> __device__ T sum_of_warp(T value) {
    for (int reach = 16; reach; reach /= 2) value += __shfl_xor_sync(0xffffffff, value, reach);
    return value;
}

// The sum of a value over MANY threads, for all threads; `aside` has room for one value per warp.
template <int MANY, typename T> __device__ T sum_of_all(T value, T *aside) {
    value = sum_of_warp(value);
    synchronise();
    if (threadIdx.x % 32 == 0) aside[threadIdx.x / 32] = value;
    synchronise();
    value = 0;
    for (int warp = 0; warp < MANY / 32; warp++) value += aside[warp];
    return value;
}
