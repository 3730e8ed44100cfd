// How the threads of a block wait for each other, and count together.

__device__ void synchronise() { __syncthreads(); }

__device__ void count(unsigned *place) { atomicAdd(place, 1u); }

// The sum of a value of each lane of a warp, which all of them get.
__device__ double sum_of_warp(double value) {
    for (int reach = 16; reach; reach /= 2) value += __shfl_xor_sync(0xffffffff, value, reach);
    return value;
}

// The sum of a value of each thread, which all of them get; `aside` holds as many as there are threads, a power of two.
template <typename T> __device__ T sum_of_all(T value, T *aside, int threads) {
    synchronise();
    aside[threadIdx.x] = value;
    for (int reach = threads / 2; reach; reach /= 2) {
        synchronise();
        if (threadIdx.x < reach) aside[threadIdx.x] += aside[threadIdx.x + reach];
    }
    synchronise();
    return aside[0];
}
