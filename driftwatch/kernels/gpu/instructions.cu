// What the stages of an image flow take from the hardware (compute capability 8.0 and later).

// Adds to a 16x8 tile of float32 sums the product of a 16x16 and a 16x8 tile of float16, over the lanes of a warp.
__device__ void multiply(float (&sums)[4], const unsigned (&factor)[4], unsigned upper, unsigned lower) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(factor[0]), "r"(factor[1]), "r"(factor[2]), "r"(factor[3]), "r"(upper), "r"(lower));
}

// Two numbers as float16, the largest finite ones in place of larger ones.
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

// Starts to copy 16 bytes into the memory that a block shares.
__device__ void copy_aside(float *to, const float *from) {
    const unsigned place = static_cast<unsigned>(__cvta_generic_to_shared(to));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(place), "l"(from) : "memory");
}

__device__ void wait_for_copies() {
    asm volatile("cp.async.commit_group;\n cp.async.wait_group 0;" ::: "memory");
}

__device__ void synchronise() { __syncthreads(); }

__device__ float exponential(float value) { return __expf(value); }

// 2 tanh(value / 2), for a log-scale between -2 and 2.
__device__ float bounded(float value) { return 2.0f - 4.0f / (__expf(value) + 1.0f); }
