// All steps of one scale of an image flow, and the split that follows them, in one kernel.
//
// A block of threads holds ROWS pixels: whole samples, at all channels, and stays with them from step to step. A
// coupling's hidden activations (64 to a pixel) never leave the registers of the warp that computes them: what one
// product accumulates lies as the next one takes its factor. The last convolution is a product too, from a pixel's
// activations to what that pixel gives to its nine neighbours; the neighbours then add up what they are given.
//
// Factors are float16, which has the same 10 bits of fraction as TF32; sums, biases and all else are float32.
//
// Set by the host: HEIGHT, WIDTH, CHANNELS (of the squeezed image), STEPS, SPLIT (0 or 1), ROWS (a multiple of 32),
// SHARED (bytes that a block shares), BLOCKS (on a multiprocessor, at least).

constexpr int HIDDEN = 64, TAPS = 9;
constexpr int PIXELS = HEIGHT * WIDTH, SAMPLES = ROWS / PIXELS;
constexpr int HALF = CHANNELS / 2;                     // channels that condition, and those that are moved
constexpr int FIRST_DEPTH = (TAPS * HALF + 15) / 16;   // of the first convolution, in tiles of 16
constexpr int DEPTH = HIDDEN / 16, COLUMNS = HIDDEN / 8;
constexpr int CHUNK = CHANNELS % 8 == 0 ? 8 : 4;       // outputs of the last convolution that are computed at once:
constexpr int CHUNKS = CHANNELS / CHUNK;               // half of them shifts, and the log-scales that go with them
constexpr int GIVEN = (TAPS * CHUNK + 7) / 8;          // what a pixel gives to its neighbours, in tiles of 8
constexpr int STRIDE = GIVEN * 8 + 4;                  // so that eight pixels' rows lie in different banks

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
    for (int word = threadIdx.x * 4; word < WEIGHTS; word += ROWS * 4)
        copy_aside(&shared.weights[word], source + word);
}

// The invertible 1x1 convolution of one pixel.
__device__ void mix(Shared &shared, int row) {
    float value[CHANNELS];
    for (int c = 0; c < CHANNELS; c++) value[c] = shared.x[c / 4][row][c % 4];
    for (int c = 0; c < CHANNELS; c++) {
        float sum = shared.weights[MIX_BIAS + c];
#pragma unroll
        for (int k = 0; k < CHANNELS; k++) sum += shared.weights[MIX + c * CHANNELS + k] * value[k];
        shared.x[c / 4][row][c % 4] = sum;
    }
}

// The hidden activations of the 32 pixels of a warp, as factors of the next product: [tile of 16 pixels][of channels].
typedef unsigned Hidden[2][DEPTH][4];

// Two tiles of 8 channels of sums, for 16 pixels, become one of 16 channels of factors.
__device__ void rectify(Hidden &hidden, int tile, int depth, const float (&left)[4], const float (&right)[4]) {
    hidden[tile][depth][0] = rectified(left[0], left[1]);
    hidden[tile][depth][1] = rectified(left[2], left[3]);
    hidden[tile][depth][2] = rectified(right[0], right[1]);
    hidden[tile][depth][3] = rectified(right[2], right[3]);
}

__device__ void bias(float (&sums)[4], const float *from, int column) {
    sums[0] = sums[2] = from[column];
    sums[1] = sums[3] = from[column + 1];
}

// The 3x3 convolution of the channels that condition.
__device__ void first(const Shared &shared, Hidden &hidden, int start, const unsigned (&masks)[4]) {
    const int lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4;
    float sums[2][COLUMNS][4];
#pragma unroll
    for (int column = 0; column < COLUMNS; column++)
        for (int tile = 0; tile < 2; tile++)
            bias(sums[tile][column], shared.weights + FIRST_BIAS, column * 8 + pair * 2);
#pragma unroll
    for (int depth = 0; depth < FIRST_DEPTH; depth++) {
        unsigned factor[2][4];
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int k = depth * 16 + half * 8 + pair * 2, tap = k / HALF;
            const int from = ((tap / 3 - 1) * WIDTH + tap % 3 - 1) * (HALF / 2) + k % HALF / 2;
            for (int rows = 0; rows < 4; rows++) {
                const int row = start + rows * 8 + group;
                const bool inside = masks[rows] >> tap & 1;
                factor[rows / 2][half * 2 + rows % 2] = inside ? shared.kept[row * (HALF / 2) + from] : 0u;
            }
        }
        const unsigned *weights = reinterpret_cast<const unsigned *>(shared.weights + FIRST) + depth * COLUMNS * 64;
#pragma unroll
        for (int column = 0; column < COLUMNS; column++) {
            const uint2 weight = *reinterpret_cast<const uint2 *>(weights + column * 64 + lane * 2);
            for (int tile = 0; tile < 2; tile++) multiply(sums[tile][column], factor[tile], weight.x, weight.y);
        }
    }
#pragma unroll
    for (int depth = 0; depth < DEPTH; depth++)
        for (int tile = 0; tile < 2; tile++)
            rectify(hidden, tile, depth, sums[tile][depth * 2], sums[tile][depth * 2 + 1]);
}

// One tile of 8 columns of the product of hidden activations, for the 32 pixels of a warp.
__device__ void column_of(float (&sums)[2][4], const Hidden &hidden, const float *weights) {
    const unsigned *from = reinterpret_cast<const unsigned *>(weights) + threadIdx.x % 32 * 4;
#pragma unroll
    for (int depth = 0; depth < DEPTH; depth += 2) {
        const uint4 weight = *reinterpret_cast<const uint4 *>(from + depth * 64);
        for (int tile = 0; tile < 2; tile++) {
            multiply(sums[tile], hidden[tile][depth], weight.x, weight.y);
            multiply(sums[tile], hidden[tile][depth + 1], weight.z, weight.w);
        }
    }
}

// The 1x1 convolution of hidden activations.
__device__ void middle(const Shared &shared, const Hidden &from, Hidden &to) {
    const int pair = threadIdx.x % 4;
#pragma unroll
    for (int depth = 0; depth < DEPTH; depth++) {
        float sums[2][2][4];
        for (int side = 0; side < 2; side++) {
            const int column = depth * 2 + side;
            for (int tile = 0; tile < 2; tile++)
                bias(sums[side][tile], shared.weights + MIDDLE_BIAS, column * 8 + pair * 2);
            column_of(sums[side], from, shared.weights + MIDDLE + column * DEPTH * 64);
        }
        for (int tile = 0; tile < 2; tile++) rectify(to, tile, depth, sums[0][tile], sums[1][tile]);
    }
}

// What each pixel gives to its neighbours, of one chunk of outputs.
__device__ void give(Shared &shared, const Hidden &hidden, int start, int chunk) {
    const int lane = threadIdx.x % 32, group = lane / 4, pair = lane % 4;
#pragma unroll
    for (int column = 0; column < GIVEN; column++) {
        float sums[2][4] = {};
        column_of(sums, hidden, shared.weights + LAST + (chunk * GIVEN + column) * DEPTH * 64);
        for (int rows = 0; rows < 4; rows++) {
            float *to = &shared.given[(start + rows * 8 + group) * STRIDE + column * 8 + pair * 2];
            *reinterpret_cast<float2 *>(to) = {sums[rows / 2][rows % 2 * 2], sums[rows / 2][rows % 2 * 2 + 1]};
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
extern "C" __global__ void __launch_bounds__(ROWS, BLOCKS)
    scale(const float *input, const float *weights, float *leaving, float *staying, float *log_det, int samples) {
    extern __shared__ __align__(16) char memory[];
    Shared &shared = *reinterpret_cast<Shared *>(memory);
    const int row = threadIdx.x, start = row / 32 * 32, pixel = row % PIXELS;
    const int sample = blockIdx.x * SAMPLES + row / PIXELS;
    const bool real = row < SAMPLES * PIXELS && sample < samples;
    const unsigned mask = neighbours(row);
    unsigned masks[4];
    for (int rows = 0; rows < 4; rows++) masks[rows] = neighbours(start + rows * 8 + row % 32 / 4);

    fetch(shared, weights, 0);
    for (int c = 0; c < CHANNELS; c++) {
        const int y = pixel / WIDTH * 2 + c % 4 / 2, x = pixel % WIDTH * 2 + c % 2;
        const int from = ((sample * 2 * HEIGHT + y) * 2 * WIDTH + x) * (CHANNELS / 4) + c / 4;
        shared.x[c / 4][row][c % 4] = real ? input[from] : 0.0f;
    }
    float total = 0;
    for (int step = 0; step < STEPS + SPLIT; step++) {
        const bool split = step == STEPS;
        const int kept = split ? HALF : 0, moved = HALF - kept;
        wait_for_copies();
        synchronise();
        if (!split) mix(shared, row);
        for (int c = 0; c < HALF; c += 2) {
            const float *two = &shared.x[(kept + c) / 4][row][(kept + c) % 4];
            shared.kept[(row * HALF + c) / 2] = halves(two[0], two[1]);
        }
        synchronise();
        Hidden hidden, next;
        first(shared, hidden, start, masks);
        middle(shared, hidden, next);
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            if (chunk) synchronise();
            give(shared, next, start, chunk);
            float output[CHUNK];
            for (int i = 0; i < CHUNK; i++) output[i] = shared.weights[LAST_BIAS + chunk * CHUNK + i];
            synchronise();
            // All warps are done with these weights now.
            if (chunk == CHUNKS - 1 && step + 1 < STEPS + SPLIT) fetch(shared, weights, step + 1);
            receive(shared, output, row, mask);
            total += move(shared, output, row, moved + chunk * (CHUNK / 2));
        }
    }

    if (real)
        for (int c = 0; c < CHANNELS; c++) {
            const int at = sample * PIXELS + pixel;
            const float value = shared.x[c / 4][row][c % 4];
            if (!SPLIT) leaving[at * CHANNELS + c] = value;
            else if (c < HALF) leaving[at * HALF + c] = value;
            else staying[at * HALF + c - HALF] = value;
        }
    synchronise();
    float *sums = shared.given;
    sums[row] = total;
    int reach = 1;
    while (reach < PIXELS) reach *= 2;
    for (reach /= 2; reach; reach /= 2) {
        synchronise();
        if (pixel < reach && pixel + reach < PIXELS) sums[row] += sums[row + reach];
    }
    if (real && pixel == 0) log_det[sample] += sums[row];
}
