// Instructions used by the stages of an image flow (compute capability 8.0 and later).

// Adds the product of a 16x16 and a 16x8 tile of float16 to a 16x8 tile of float32 sums, over the lanes of a warp.
__device__ void multiply(float (&sums)[4], const unsigned (&factor)[4], unsigned upper, unsigned lower) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(factor[0]), "r"(factor[1]), "r"(factor[2]), "r"(factor[3]), "r"(upper), "r"(lower));
}

// Loads four tiles of 8x8 float16 as factors of products; each lane points to 16 bytes of them.
__device__ uint4 four_tiles(const void *bytes) {
    const unsigned place = static_cast<unsigned>(__cvta_generic_to_shared(bytes));
    uint4 tiles;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(tiles.x), "=r"(tiles.y), "=r"(tiles.z), "=r"(tiles.w)
                 : "r"(place)
                 : "memory");
    return tiles;
}

// Converts two numbers to float16, with larger ones clamped to the largest finite number.
__device__ unsigned halves(float left, float right) {
    unsigned both;
    asm("cvt.rn.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(right), "f"(left));
    return both;
}

__device__ unsigned rectified(float left, float right) {
    unsigned both;
    asm("cvt.rn.relu.satfinite.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(right), "f"(left));
    return both;
}

// The two numbers of a pair of float16.
__device__ float2 numbers(unsigned pair) {
    float2 two;
    asm("{\n .reg .b16 left, right;\n mov.b32 {left, right}, %2;\n cvt.f32.f16 %0, left;\n cvt.f32.f16 %1, right;\n}"
        : "=f"(two.x), "=f"(two.y)
        : "r"(pair));
    return two;
}

// Starts to copy 16 bytes into shared memory.
__device__ void copy_aside(float *to, const float *from) {
    const unsigned place = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(place), "l"(from) : "memory");
}

// Waits for copies, so that threads and Hopper's tensor cores see them after synchronizing.
__device__ void wait_for_copies() {
    asm volatile("cp.async.commit_group;\n cp.async.wait_group 0;" ::: "memory");
#if __CUDA_ARCH__ >= 900
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

// Like `synchronise`, but only among this thread's group of MANY threads.
template <int MANY> __device__ void synchronise_group() {
    asm volatile("bar.sync %0, %1;" ::"r"(1 + threadIdx.x / MANY), "n"(MANY) : "memory");
}

__device__ float power_of_two(float value) {
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(value));
    return power;
}

__device__ float exponential(float value) { return power_of_two(value * 1.442695041f); }

// 2 tanh(value / 2), for a log-scale between -2 and 2.
__device__ float bounded(float value) {
    float inverse;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(exponential(value) + 1.0f));
    return 2.0f - 4.0f * inverse;
}
