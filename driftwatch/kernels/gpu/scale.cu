// All steps of one scale of an image flow, and the split that follows them, in one kernel.
//
// A block of threads holds ROWS pixels: whole samples, at all channels, and stays with them from step to step. A
// coupling's hidden activations (64 to a pixel) never leave the registers of the warp that computes them: what one
// product accumulates lies as the next one takes its factor. The last convolution is a product too, from a pixel's
// activations to what that pixel gives to its nine neighbours; the neighbours then add up what they are given.
//
// Factors are float16, which has the same 10 bits of fraction as TF32; sums, biases and all else are float32.
//
// Set by the host: HEIGHT, WIDTH, CHANNELS (of the squeezed image), STEPS, SPLIT (0 or 1), ROWS (pixels of a block),
// TILES (of 16 pixels, that one warp multiplies), SHARED (bytes that a block shares), BLOCKS (on a multiprocessor).

constexpr int HIDDEN = 64, TAPS = 9;
constexpr int PIXELS = HEIGHT * WIDTH, SAMPLES = ROWS / PIXELS;
constexpr int HALF = CHANNELS / 2;                     // channels that condition, and those that are moved
constexpr int FIRST_DEPTH = (TAPS * HALF + 15) / 16;   // of the first convolution, in tiles of 16
constexpr int DEPTH = HIDDEN / 16, COLUMNS = HIDDEN / 8;
constexpr int CHUNK = CHANNELS % 8 == 0 ? 8 : 4;       // outputs of the last convolution that are computed at once:
constexpr int CHUNKS = CHANNELS / CHUNK;               // half of them shifts, and the log-scales that go with them
constexpr int GIVEN = (TAPS * CHUNK + 7) / 8;          // what a pixel gives to its neighbours, in tiles of 8
constexpr int STRIDE = GIVEN * 8 + 4;                  // so that eight pixels' rows lie in different banks
constexpr int WARP_ROWS = TILES * 16;                  // pixels that one warp multiplies
constexpr int THREADS = ROWS / WARP_ROWS * 32;

// Of a step's weights, in words of 4 bytes.
constexpr int MIX = 0;
constexpr int MIX_BIAS = MIX + CHANNELS * CHANNELS;
constexpr int FIRST_BIAS = MIX_BIAS + CHANNELS;
constexpr int MIDDLE_BIAS = FIRST_BIAS + HIDDEN;
constexpr int LAST_BIAS = MIDDLE_BIAS + HIDDEN;
constexpr int FIRST = LAST_BIAS + CHANNELS;
constexpr int MIDDLE = FIRST + FIRST_DEPTH * COLUMNS * 64;
constexpr int LAST = MIDDLE + DEPTH * COLUMNS * 64;
constexpr int WEIGHTS = LAST + CHUNKS * DEPTH * GIVEN * 64;

template <int N> struct alignas(N * 4) Floats { float at[N]; };

struct Shared {
    float given[ROWS * STRIDE];
    float x[CHANNELS / 4][ROWS][4];
    unsigned kept[ROWS * HALF / 2];  // pairs of float16
    float weights[WEIGHTS];
};
static_assert(sizeof(Shared) == SHARED, "what the host gives a block");

// Which of a pixel's nine neighbours lie in the image, a bit each; none of a row that holds no pixel.
__device__ unsigned neighbours(int row) {
    if (row >= SAMPLES * PIXELS) return 0;
    const int y = row % PIXELS / WIDTH, x = row % WIDTH;
    unsigned mask = 0;
    for (int tap = 0; tap < TAPS; tap++) {
        const int down = y + tap / 3 - 1, across = x + tap % 3 - 1;
        if (down >= 0 && down < HEIGHT && across >= 0 && across < WIDTH) mask |= 1u << tap;
    }
    return mask;
}

__device__ void fetch(Shared &shared, const float *weights, int step) {
    const float *source = weights + step * WEIGHTS;
    for (int word = threadIdx.x * 4; word < WEIGHTS; word += THREADS * 4)
        copy_aside(&shared.weights[word], source + word);
}

// The invertible 1x1 convolution of one pixel.
__device__ void mix(Shared &shared, int row) {
    float value[CHANNELS];
#pragma unroll
    for (int c = 0; c < CHANNELS; c++) value[c] = shared.x[c / 4][row][c % 4];
#pragma unroll(CHANNELS <= 16 ? 4 : 1)
    for (int four = 0; four < CHANNELS; four += 4) {
        auto sums = *reinterpret_cast<const Floats<4> *>(&shared.weights[MIX_BIAS + four]);
#pragma unroll
        for (int k = 0; k < CHANNELS; k++)
            for (int c = 0; c < 4; c++) sums.at[c] += shared.weights[MIX + (four + c) * CHANNELS + k] * value[k];
        *reinterpret_cast<Floats<4> *>(shared.x[four / 4][row]) = sums;
    }
}

// The hidden activations of a warp's pixels, as factors of the next product: [tile of 16 pixels][of channels].
typedef unsigned Hidden[TILES][DEPTH][4];

// Two tiles of 8 channels of sums, for 16 pixels, become one of 16 channels of factors.
__device__ void rectify(Hidden &hidden, int tile, int depth, const float (&left)[4], const float (&right)[4]) {
    hidden[tile][depth][0] = rectified(left[0], left[1]);
    hidden[tile][depth][1] = rectified(left[2], left[3]);
    hidden[tile][depth][2] = rectified(right[0], right[1]);
    hidden[tile][depth][3] = rectified(right[2], right[3]);
}

// What two columns of sums begin with, for all of a warp's pixels.
__device__ void begin(float (&sums)[TILES][4], const float *bias, int column) {
    const auto two = *reinterpret_cast<const float2 *>(bias + column * 8 + threadIdx.x % 4 * 2);
    for (int tile = 0; tile < TILES; tile++) {
        sums[tile][0] = sums[tile][2] = two.x;
        sums[tile][1] = sums[tile][3] = two.y;
    }
}

// Which rows a lane holds: of each tile two.
__device__ int row_of(int start, int place) { return start + place * 8 + threadIdx.x % 32 / 4; }

// The 3x3 convolution of the channels that condition.
__device__ void first(const Shared &shared, Hidden &hidden, int start, const unsigned (&masks)[TILES * 2]) {
    const int lane = threadIdx.x % 32, pair = lane % 4;
    unsigned factors[TILES][FIRST_DEPTH][4];
#pragma unroll
    for (int depth = 0; depth < FIRST_DEPTH; depth++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int k = depth * 16 + half * 8 + pair * 2, tap = k / HALF;
            const int from = ((tap / 3 - 1) * WIDTH + tap % 3 - 1) * (HALF / 2) + k % HALF / 2;
#pragma unroll
            for (int place = 0; place < TILES * 2; place++) {
                const int row = row_of(start, place);
                const bool inside = masks[place] >> tap & 1;
                factors[place / 2][depth][half * 2 + place % 2] = inside ? shared.kept[row * (HALF / 2) + from] : 0u;
            }
        }
    const unsigned *weights = reinterpret_cast<const unsigned *>(shared.weights + FIRST) + lane * 2;
#pragma unroll
    for (int both = 0; both < DEPTH; both++) {
        float sums[2][TILES][4];
#pragma unroll
        for (int side = 0; side < 2; side++) {
            const int column = both * 2 + side;
            begin(sums[side], shared.weights + FIRST_BIAS, column);
#pragma unroll
            for (int depth = 0; depth < FIRST_DEPTH; depth++) {
                const auto weight = *reinterpret_cast<const uint2 *>(weights + (depth * COLUMNS + column) * 64);
                for (int tile = 0; tile < TILES; tile++)
                    multiply(sums[side][tile], factors[tile][depth], weight.x, weight.y);
            }
        }
        for (int tile = 0; tile < TILES; tile++) rectify(hidden, tile, both, sums[0][tile], sums[1][tile]);
    }
}

// One tile of 8 columns of the product of hidden activations, for all of a warp's pixels.
__device__ void column_of(float (&sums)[TILES][4], const Hidden &hidden, const float *weights) {
    const unsigned *from = reinterpret_cast<const unsigned *>(weights) + threadIdx.x % 32 * 4;
#pragma unroll
    for (int depth = 0; depth < DEPTH; depth += 2) {
        const auto weight = *reinterpret_cast<const uint4 *>(from + depth * 64);
        for (int tile = 0; tile < TILES; tile++) multiply(sums[tile], hidden[tile][depth], weight.x, weight.y);
        for (int tile = 0; tile < TILES; tile++) multiply(sums[tile], hidden[tile][depth + 1], weight.z, weight.w);
    }
}

// The 1x1 convolution of hidden activations.
__device__ void middle(const Shared &shared, const Hidden &from, Hidden &to) {
#pragma unroll
    for (int both = 0; both < DEPTH; both++) {
        float sums[2][TILES][4];
        for (int side = 0; side < 2; side++) {
            const int column = both * 2 + side;
            begin(sums[side], shared.weights + MIDDLE_BIAS, column);
            column_of(sums[side], from, shared.weights + MIDDLE + column * DEPTH * 64);
        }
        for (int tile = 0; tile < TILES; tile++) rectify(to, tile, both, sums[0][tile], sums[1][tile]);
    }
}

// What each pixel gives to its neighbours, of one chunk of outputs.
__device__ void give(Shared &shared, const Hidden &hidden, int start, int chunk) {
    const int pair = threadIdx.x % 4;
#pragma unroll
    for (int column = 0; column < GIVEN; column++) {
        float sums[TILES][4] = {};
        column_of(sums, hidden, shared.weights + LAST + (chunk * GIVEN + column) * DEPTH * 64);
        for (int place = 0; place < TILES * 2; place++) {
            float *to = &shared.given[row_of(start, place) * STRIDE + column * 8 + pair * 2];
            const float *two = &sums[place / 2][place % 2 * 2];
            *reinterpret_cast<float2 *>(to) = {two[0], two[1]};
        }
    }
}

// Adds up what a pixel is given.
__device__ void receive(const Shared &shared, float (&output)[CHUNK], int row, unsigned mask) {
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
        if (!(mask >> tap & 1)) continue;
        const int from = row + (tap / 3 - 1) * WIDTH + tap % 3 - 1;
        for (int four = 0; four < CHUNK; four += 4) {
            const auto given = *reinterpret_cast<const Floats<4> *>(&shared.given[from * STRIDE + tap * CHUNK + four]);
            for (int i = 0; i < 4; i++) output[four + i] += given.at[i];
        }
    }
}

// Shifts and scales the channels of one chunk; returns the sum of their log-scales.
__device__ float move(Shared &shared, const float (&output)[CHUNK], int row, int channel) {
    auto *place = reinterpret_cast<Floats<CHUNK / 2> *>(&shared.x[channel / 4][row][channel % 4]);
    auto value = *place;
    float sum = 0;
    for (int i = 0; i < CHUNK / 2; i++) {
        const float log_scale = bounded(output[CHUNK / 2 + i]);
        value.at[i] = (value.at[i] + output[i]) * exponential(log_scale);
        sum += log_scale;
    }
    *place = value;
    return sum;
}

// input: (samples, 2 HEIGHT, 2 WIDTH, CHANNELS / 4), squeezed here; leaving: (samples, HEIGHT, WIDTH, HALF) with a
// split, all channels without; staying: the other half, with a split. log_det is added to.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    scale(const float *input, const float *weights, float *leaving, float *staying, float *log_det, int samples) {
    extern __shared__ __align__(16) char memory[];
    Shared &shared = *reinterpret_cast<Shared *>(memory);
    constexpr int OWN = ROWS / THREADS;  // pixels of a thread, where no products are made
    const int start = threadIdx.x / 32 * WARP_ROWS;
    unsigned masks[TILES * 2], own[OWN];
    for (int place = 0; place < TILES * 2; place++) masks[place] = neighbours(row_of(start, place));
    for (int i = 0; i < OWN; i++) own[i] = neighbours(threadIdx.x + i * THREADS);
    const auto sample_of = [&](int row) { return static_cast<int>(blockIdx.x) * SAMPLES + row / PIXELS; };
    const auto real = [&](int row) { return row < SAMPLES * PIXELS && sample_of(row) < samples; };

    fetch(shared, weights, 0);
    for (int row = threadIdx.x; row < ROWS; row += THREADS)
        for (int c = 0; c < CHANNELS; c++) {
            const int pixel = row % PIXELS, y = pixel / WIDTH * 2 + c % 4 / 2, x = pixel % WIDTH * 2 + c % 2;
            const int from = ((sample_of(row) * 2 * HEIGHT + y) * 2 * WIDTH + x) * (CHANNELS / 4) + c / 4;
            shared.x[c / 4][row][c % 4] = real(row) ? input[from] : 0.0f;
        }
    float totals[OWN] = {};
    for (int step = 0; step < STEPS + SPLIT; step++) {
        const bool split = step == STEPS;
        const int kept = split ? HALF : 0, moved = HALF - kept;
        wait_for_copies();
        synchronise();
        for (int row = threadIdx.x; row < ROWS; row += THREADS) {
            if (!split) mix(shared, row);
            for (int c = 0; c < HALF; c += 2) {
                const auto two = *reinterpret_cast<const float2 *>(&shared.x[(kept + c) / 4][row][(kept + c) % 4]);
                shared.kept[(row * HALF + c) / 2] = halves(two.x, two.y);
            }
        }
        synchronise();
        Hidden hidden, next;
        first(shared, hidden, start, masks);
        middle(shared, hidden, next);
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            if (chunk) synchronise();
            give(shared, next, start, chunk);
            float bias[CHUNK];
            for (int i = 0; i < CHUNK; i++) bias[i] = shared.weights[LAST_BIAS + chunk * CHUNK + i];
            synchronise();
            // All warps are done with these weights now.
            if (chunk == CHUNKS - 1 && step + 1 < STEPS + SPLIT) fetch(shared, weights, step + 1);
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                const int row = threadIdx.x + i * THREADS;
                float output[CHUNK];
                for (int j = 0; j < CHUNK; j++) output[j] = bias[j];
                receive(shared, output, row, own[i]);
                totals[i] += move(shared, output, row, moved + chunk * (CHUNK / 2));
            }
        }
    }

    synchronise();
    float *sums = shared.given;
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        const int row = threadIdx.x + i * THREADS;
        sums[row] = totals[i];
        if (!real(row)) continue;
        const int at = sample_of(row) * PIXELS + row % PIXELS;
        for (int c = 0; c < CHANNELS; c++) {
            const float value = shared.x[c / 4][row][c % 4];
            if (!SPLIT) leaving[at * CHANNELS + c] = value;
            else if (c < HALF) leaving[at * HALF + c] = value;
            else staying[at * HALF + c - HALF] = value;
        }
    }
    int reach = 1;
    while (reach < PIXELS) reach *= 2;
    for (reach /= 2; reach; reach /= 2) {
        synchronise();
        for (int row = threadIdx.x; row < ROWS; row += THREADS)
            if (row % PIXELS < reach && row % PIXELS + reach < PIXELS) sums[row] += sums[row + reach];
    }
    synchronise();
    for (int row = threadIdx.x; row < ROWS; row += THREADS)
        if (real(row) && row % PIXELS == 0) log_det[sample_of(row)] += sums[row];
}
