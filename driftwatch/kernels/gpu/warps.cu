// Products of a coupling's convolutions, with each warp by itself.

// One tile of 8 columns of the product of hidden activations, for all of a warp's pixels. The upper and the lower 8x8 of
// a 16x8 tile of weights are adjacent, and so are tiles of one depth.
template <int WIDE> __device__ void column_of(float (&sums)[TILES][4], const Hidden &hidden, const float *weights) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int depth = 0; depth < DEPTH; depth += 2) {
        const auto weight = four_tiles(weights + (depth + lane / 16) * WIDE * 64 + lane % 16 * 4);
        for (int tile = 0; tile < TILES; tile++) multiply(sums[tile], hidden[tile][depth], weight.x, weight.y);
        for (int tile = 0; tile < TILES; tile++) multiply(sums[tile], hidden[tile][depth + 1], weight.z, weight.w);
    }
}

// Converts two tiles of 8 channels of sums, for 16 pixels, to one of 16 channels of factors.
__device__ void rectify(unsigned (&hidden)[4], const float (&left)[4], const float (&right)[4]) {
    hidden[0] = rectified(left[0], left[1]);
    hidden[1] = rectified(left[2], left[3]);
    hidden[2] = rectified(right[0], right[1]);
    hidden[3] = rectified(right[2], right[3]);
}

// The hidden activations of a warp's pixels: a 3x3 convolution of the conditioning channels, then a 1x1 convolution.
__device__ void activate(const Shared &shared, Hidden &hidden, int pass) {
    unsigned factors[TILES][FIRST_DEPTH][4];
    for (int tile = 0; tile < TILES; tile++) gather(shared, factors[tile], pass * TILES + tile);
    Hidden between;
#pragma unroll
    for (int both = 0; both < DEPTH; both++) {
        float sums[2][TILES][4] = {};
#pragma unroll
        for (int depth = 0; depth < FIRST_DEPTH; depth++) {
            const float *tiles = shared.weights + FIRST + (depth * COLUMNS + both * 2) * 64;
            const auto weight = four_tiles(tiles + threadIdx.x % 32 * 4);
            for (int tile = 0; tile < TILES; tile++) {
                multiply(sums[0][tile], factors[tile][depth], weight.x, weight.y);
                multiply(sums[1][tile], factors[tile][depth], weight.z, weight.w);
            }
        }
        for (int tile = 0; tile < TILES; tile++) rectify(between[tile][both], sums[0][tile], sums[1][tile]);
    }
#pragma unroll
    for (int both = 0; both < DEPTH; both++) {
        float sums[2][TILES][4];
        for (int side = 0; side < 2; side++) {
            const int column = both * 2 + side;
            const float *bias = &shared.weights[MIDDLE_BIAS + column * 8 + threadIdx.x % 4 * 2];
            const auto two = *reinterpret_cast<const float2 *>(bias);
            for (int tile = 0; tile < TILES; tile++) {
                sums[side][tile][0] = sums[side][tile][2] = two.x;
                sums[side][tile][1] = sums[side][tile][3] = two.y;
            }
            column_of<COLUMNS>(sums[side], between, shared.weights + MIDDLE + column * 64);
        }
        for (int tile = 0; tile < TILES; tile++) rectify(hidden[tile][both], sums[0][tile], sums[1][tile]);
    }
}

// Contributions of each pixel to its neighbours, for one chunk of outputs.
__device__ void give(Shared &shared, const Hidden &hidden, int pass, int chunk) {
#pragma unroll
    for (int column = 0; column < GIVEN; column++) {
        float sums[TILES][4] = {};
        column_of<GIVEN>(sums, hidden, shared.weights + LAST + (chunk * DEPTH * GIVEN + column) * 64);
        for (int tile = 0; tile < TILES; tile++) lay(shared, sums[tile], column, pass * TILES + tile);
    }
}
