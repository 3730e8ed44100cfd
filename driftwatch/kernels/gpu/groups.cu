// Products of a coupling's convolutions by groups of four warps, with one tile per warp at a time. Tensor cores compute
// them while the warps of other groups do something else (only on compute capability 9.0).

static_assert(TILES == 1, "other groups hide the latency, not other tiles");

// Starts the product of factors and weights, and waits for its result.
template <int N, int D>
__device__ void multiply_all(float (&sums)[N / 2], const unsigned (&factors)[D][4], const float *weights) {
    settle(factors);
#pragma unroll
    for (int depth = 0; depth < D; depth++) multiply<N>(sums, factors[depth], weights + depth * N * 8, depth > 0);
    wait_for_products(sums);
}

// Converts pairs of tiles of 8 channels of sums, for 16 pixels, to tiles of 16 channels of factors.
__device__ void rectify(unsigned (&hidden)[DEPTH][4], const float (&sums)[COLUMNS * 4]) {
#pragma unroll
    for (int two = 0; two < COLUMNS * 2; two++)
        hidden[two / 4][two % 4] = rectified(sums[two * 2], sums[two * 2 + 1]);
}

// The hidden activations of a group's pixels: a 3x3 convolution of the conditioning channels, then a 1x1 convolution.
__device__ void activate(const Shared &shared, Hidden &hidden, int pass) {
    float sums[COLUMNS * 4];
    unsigned factors[FIRST_DEPTH][4], between[DEPTH][4];
    gather(shared, factors, pass);
    multiply_all<HIDDEN>(sums, factors, shared.weights + FIRST);
    rectify(between, sums);
    multiply_all<HIDDEN>(sums, between, shared.weights + MIDDLE);
#pragma unroll
    for (int column = 0; column < COLUMNS; column++) {
        const float *bias = &shared.weights[MIDDLE_BIAS + column * 8 + threadIdx.x % 4 * 2];
        const auto two = *reinterpret_cast<const float2 *>(bias);
        for (int i = 0; i < 4; i++) sums[column * 4 + i] += i % 2 ? two.y : two.x;
    }
    rectify(hidden[0], sums);
}

// Contributions of each pixel to its neighbours, for one chunk of outputs.
__device__ void give(Shared &shared, const Hidden &hidden, int pass, int chunk) {
    float sums[GIVEN * 4];
    multiply_all<GIVEN * 8>(sums, hidden[0], shared.weights + LAST + chunk * DEPTH * GIVEN * 64);
#pragma unroll
    for (int column = 0; column < GIVEN; column++)
        lay(shared, reinterpret_cast<const float (&)[4]>(sums[column * 4]), column, pass);
}
