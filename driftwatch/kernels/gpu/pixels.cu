// The pixels of a scale that a block of threads holds, and everything done with them except products.
//
// Set by the host: HEIGHT, WIDTH, CHANNELS (of the squeezed image), STEPS, SPLIT (0 or 1), PATCH (side of the patches
// that are sub-vectors), ROWS (pixels per block), TILES (of 16 pixels that one warp multiplies at once), PASSES (of a
// warp over its pixels), GROUP (threads that hold whole samples), SHARED (bytes of shared memory per block), BLOCKS (per
// multiprocessor).

constexpr int HIDDEN = 64, TAPS = 9;
constexpr int PIXELS = HEIGHT * WIDTH;
constexpr int HALF = CHANNELS / 2, PAIRS = HALF / 2;      // conditioning channels, and as many transformed ones
constexpr int FIRST_DEPTH = (TAPS * HALF + 2 + 15) / 16;  // of the first convolution and its biases, in tiles of 16
constexpr int DEPTH = HIDDEN / 16, COLUMNS = HIDDEN / 8;
constexpr int CHUNK = CHANNELS % 8 == 0 ? 8 : 4;          // outputs of the last convolution that are computed at once:
constexpr int CHUNKS = CHANNELS / CHUNK;                  // half of them shifts, the others their log-scales
constexpr int GIVEN = (TAPS * CHUNK + 7) / 8;             // contributions of a pixel to its neighbours, in tiles of 8
constexpr int PASS_ROWS = TILES * 16;                     // pixels that a warp multiplies at once
constexpr int WARP_ROWS = PASSES * PASS_ROWS;             // and in all passes
constexpr int THREADS = ROWS / WARP_ROWS * 32;
constexpr int GROUP_ROWS = GROUP / 32 * WARP_ROWS, GROUP_SAMPLES = GROUP_ROWS / PIXELS;
constexpr int SAMPLES = ROWS / GROUP_ROWS * GROUP_SAMPLES;
constexpr int OWN = ROWS / THREADS;                       // pixels per thread outside of products
constexpr int LINE = WIDTH + 2, CELLS = LINE * (HEIGHT + 2);  // of a sample with a border of zeros
// Whether the distance from a lane's first row to its other rows is the same in all samples.
constexpr bool REGULAR = GROUP_SAMPLES * PIXELS == GROUP_ROWS && WARP_ROWS % WIDTH == 0 &&
                         (WARP_ROWS % PIXELS == 0 || PIXELS % WARP_ROWS == 0) && (WIDTH % 8 == 0 || 8 % WIDTH == 0) &&
                         (PIXELS % 8 == 0 || 8 % PIXELS == 0);
constexpr int PLANE = ROWS * CHUNK / 2 + (CHUNK == 4 ? 16 : 0);  // padded, so that a warp writes to different banks

// Offsets in a step's weights, in 4-byte words.
constexpr int MIX = 0;
constexpr int MIX_BIAS = MIX + CHANNELS * CHANNELS;
constexpr int MIDDLE_BIAS = MIX_BIAS + CHANNELS;
constexpr int LAST_BIAS = MIDDLE_BIAS + HIDDEN;
constexpr int FIRST = LAST_BIAS + CHANNELS;
constexpr int MIDDLE = FIRST + FIRST_DEPTH * COLUMNS * 64;
constexpr int LAST = MIDDLE + DEPTH * COLUMNS * 64;
constexpr int WEIGHTS = LAST + CHUNKS * DEPTH * GIVEN * 64;

template <int N> struct alignas(N * 4) Floats { float at[N]; };
template <int N> struct alignas(N * 4) Pairs { unsigned at[N]; };  // of float16

struct Shared {
    float weights[WEIGHTS];
    float x[CHANNELS / 4][ROWS][4];
    unsigned given[TAPS][PLANE];                             // contributions to neighbours, pairs of float16
    unsigned kept[(SAMPLES * CELLS * PAIRS + 3) / 4 * 4];  // conditioning channels, pairs of float16
};
static_assert(sizeof(Shared) == SHARED, "must equal what the host allocates");
constexpr unsigned ONES = 0x3c003c00;  // two float16

// The hidden activations of a warp's pixels, as factors of the next product: [tile of 16 pixels][tile of channels].
typedef unsigned Hidden[TILES][DEPTH][4];

// The sample of a block that a row belongs to; SAMPLES if it holds no pixel.
__device__ int sample_of(int row) {
    const int within = row % GROUP_ROWS / PIXELS;
    return within < GROUP_SAMPLES ? row / GROUP_ROWS * GROUP_SAMPLES + within : SAMPLES;
}

__device__ int pixel_of(int row) { return row % GROUP_ROWS % PIXELS; }

// The index of a pixel in the order of patches.
__device__ int place_in_patches(int pixel) {
    const int y = pixel / WIDTH, x = pixel % WIDTH, patch = y / PATCH * (WIDTH / PATCH) + x / PATCH;
    return (patch * PATCH + y % PATCH) * PATCH + x % PATCH;
}

// The position of a row's conditioning channels.
__device__ int cell_of(int row) {
    const int pixel = pixel_of(row), sample = sample_of(row);
    const int cell = (pixel / WIDTH + 1) * LINE + pixel % WIDTH + 1;
    return sample < SAMPLES ? (sample * CELLS + cell) * PAIRS : LINE * PAIRS + PAIRS;
}

// A bit mask of the nine neighbours of a pixel that lie within the image; 0 for a row without a pixel.
__device__ unsigned neighbours(int row) {
    if (sample_of(row) == SAMPLES) return 0;
    const int y = pixel_of(row) / WIDTH, x = pixel_of(row) % WIDTH;
    unsigned mask = 0;
    for (int tap = 0; tap < TAPS; tap++) {
        const int down = y + tap / 3 - 1, across = x + tap % 3 - 1;
        if (down >= 0 && down < HEIGHT && across >= 0 && across < WIDTH) mask |= 1u << tap;
    }
    return mask;
}

// The i-th pixel of this thread outside of products.
__device__ int own_row(int i) { return threadIdx.x / GROUP * GROUP_ROWS + threadIdx.x % GROUP + i * GROUP; }

// The first row of this lane; each tile has two of its rows, eight apart.
__device__ int lane_row() { return threadIdx.x / 32 * WARP_ROWS + threadIdx.x % 32 / 4; }

__device__ void fetch(float *to, const float *weights, int step) {
    const float *source = weights + step * WEIGHTS;
    for (int word = threadIdx.x * 4; word < WEIGHTS; word += THREADS * 4) copy_aside(&to[word], source + word);
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

// Stores the conditioning channels, which start at `channel`.
__device__ void keep(Shared &shared, int row, int channel) {
    if (sample_of(row) == SAMPLES) return;
    for (int c = 0; c < HALF; c += 2) {
        const auto two = *reinterpret_cast<const float2 *>(&shared.x[(channel + c) / 4][row][(channel + c) % 4]);
        shared.kept[cell_of(row) + c / 2] = halves(two.x, two.y);
    }
}

// The position of the conditioning channels of a lane's row, `rows` after its first one.
__device__ int cell_after(int first, int rows) {
    if constexpr (REGULAR)
        return cell_of(first) + (rows / PIXELS * CELLS + rows % PIXELS / WIDTH * LINE + rows % WIDTH) * PAIRS;
    else
        return cell_of(first + rows);
}

// The factors of the first convolution for a tile of 16 pixels. Biases are weights of two factors of one.
__device__ void gather(const Shared &shared, unsigned (&factors)[FIRST_DEPTH][4], int tile) {
    const int pair = threadIdx.x % 4;
#pragma unroll
    for (int depth = 0; depth < FIRST_DEPTH; depth++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int k = depth * 16 + half * 8, last = k + 6;
            const int own = k + pair * 2, tap = own < TAPS * HALF ? own / HALF : 0;
            const int from = ((tap / 3 - 1) * LINE + tap % 3 - 1) * PAIRS + own % HALF / 2;
#pragma unroll
            for (int place = 0; place < 2; place++) {
                unsigned &factor = factors[depth][half * 2 + place];
                factor = ONES;  // or any finite number where the weight is zero
                if (k >= TAPS * HALF) continue;
                const unsigned kept = shared.kept[cell_after(lane_row(), tile * 16 + place * 8) + from];
                if (last < TAPS * HALF || own < TAPS * HALF) factor = kept;
            }
        }
}

// Stores contributions of pixels to their neighbours: two of eight outputs per lane, for two rows of a tile.
__device__ void lay(Shared &shared, const float (&sums)[4], int column, int tile) {
    const int n = column * 8 + threadIdx.x % 4 * 2, tap = n / CHUNK;
    if (column * 8 + 8 > TAPS * CHUNK && tap >= TAPS) return;
    unsigned *to = &shared.given[tap][(lane_row() * CHUNK + n % CHUNK) / 2];
    for (int place = 0; place < 2; place++)
        to[(tile * 16 + place * 8) * (CHUNK / 2)] = halves(sums[place * 2], sums[place * 2 + 1]);
}

// Sums the contributions to a pixel.
__device__ void receive(const Shared &shared, float (&output)[CHUNK], int row, unsigned mask) {
#pragma unroll
    for (int tap = 0; tap < TAPS; tap++) {
        const int from = row + (tap / 3 - 1) * WIDTH + tap % 3 - 1;
        typedef Pairs<CHUNK / 2> All;
        All given = {};
        if (mask >> tap & 1) given = *reinterpret_cast<const All *>(&shared.given[tap][from * (CHUNK / 2)]);
#pragma unroll
        for (int i = 0; i < CHUNK / 2; i++) {
            const float2 two = numbers(given.at[i]);
            output[2 * i] += two.x;
            output[2 * i + 1] += two.y;
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
