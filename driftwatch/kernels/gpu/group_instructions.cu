// Instructions for products by groups of four warps (`wgmma`, only on compute capability 9.0).

// Describes tiles of 8x8 float16 to the tensor cores: tiles of one depth are adjacent, the upper one of each eight
// columns before the lower one.
__device__ unsigned long long described(const float *tiles) {
    const auto place = static_cast<unsigned long long>(__cvta_generic_to_shared(tiles));
    constexpr unsigned long long LOWER = 128 >> 4, NEXT = 256 >> 4;
    return (place >> 4 & 0x3fff) | LOWER << 16 | NEXT << 32;
}

// Starts to add the product of each warp's 16x16 factors and the 16 x N weights to its 16 x N sums, or to replace the
// sums by it unless `add`.
template <int N>
__device__ void multiply(float (&sums)[N / 2], const unsigned (&factor)[4], const float *weights, bool add);

#define EIGHT(i) "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3]), \
                 "+f"(sums[i + 4]), "+f"(sums[i + 5]), "+f"(sums[i + 6]), "+f"(sums[i + 7])
#define FOUR(i) "+f"(sums[i]), "+f"(sums[i + 1]), "+f"(sums[i + 2]), "+f"(sums[i + 3])
#define FACTORS "r"(factor[0]), "r"(factor[1]), "r"(factor[2]), "r"(factor[3]), "l"(described(weights)), "r"(int(add))

template <>
__device__ void multiply<64>(float (&sums)[32], const unsigned (&factor)[4], const float *weights, bool add) {
    asm volatile("{\n .reg .pred add;\n setp.ne.b32 add, %37, 0;\n"
                 " wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, "
                 "%8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, "
                 "%24, %25, %26, %27, %28, %29, %30, %31}, "
                 "{%32, %33, %34, %35}, %36, add, 1, 1, 0;\n}"
                 : EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24)
                 : FACTORS
                 : "memory");
}

template <>
__device__ void multiply<40>(float (&sums)[20], const unsigned (&factor)[4], const float *weights, bool add) {
    asm volatile("{\n .reg .pred add;\n setp.ne.b32 add, %25, 0;\n"
                 " wgmma.mma_async.sync.aligned.m64n40k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, "
                 "%8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19}, "
                 "{%20, %21, %22, %23}, %24, add, 1, 1, 0;\n}"
                 : EIGHT(0), EIGHT(8), FOUR(16)
                 : FACTORS
                 : "memory");
}

template <>
__device__ void multiply<72>(float (&sums)[36], const unsigned (&factor)[4], const float *weights, bool add) {
    asm volatile("{\n .reg .pred add;\n setp.ne.b32 add, %41, 0;\n"
                 " wgmma.mma_async.sync.aligned.m64n72k16.f32.f16.f16 {"
                 "%0, %1, %2, %3, %4, %5, %6, %7, "
                 "%8, %9, %10, %11, %12, %13, %14, %15, "
                 "%16, %17, %18, %19, %20, %21, %22, %23, "
                 "%24, %25, %26, %27, %28, %29, %30, %31, "
                 "%32, %33, %34, %35}, "
                 "{%36, %37, %38, %39}, %40, add, 1, 1, 0;\n}"
                 : EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24), FOUR(32)
                 : FACTORS
                 : "memory");
}

#undef EIGHT
#undef FOUR
#undef FACTORS

// Ensures that factors are in registers before the following products read them.
template <int D> __device__ void settle(const unsigned (&factors)[D][4]) {
#pragma unroll
    for (int depth = 0; depth < D; depth++)
        asm volatile("" ::"r"(factors[depth][0]), "r"(factors[depth][1]), "r"(factors[depth][2]), "r"(factors[depth][3])
                     : "memory");
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

// Waits for all started products; afterwards, sums may be read.
template <int N> __device__ void wait_for_products(float (&sums)[N]) {
    asm volatile("wgmma.commit_group.sync.aligned;\n wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
    for (int i = 0; i < N; i++) asm volatile("" : "+f"(sums[i])::"memory");
}
