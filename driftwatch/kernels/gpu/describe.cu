// Descriptors of images: `driftwatch.stats.descriptors.image_descriptors`.
//
// Set by the host: CHANNELS, HEIGHT, WIDTH; SIDE (of the grid of means), KINDS (number of histograms), INTENSITIES (bins
// of a histogram), ORDERS (most orders of differences), LEVELS (most levels of details), SHARED (bytes of shared memory
// per block), THREADS (per block, a multiple of 32).

constexpr int PLANE = HEIGHT * WIDTH, SIZE = CHANNELS * PLANE;

__device__ constexpr int least(int a, int b) { return a < b ? a : b; }

constexpr int DOWN = least(ORDERS, HEIGHT - 1), ACROSS = least(ORDERS, WIDTH - 1);

__device__ constexpr int levels() {
    int found = 0;
    for (int shorter = least(HEIGHT, WIDTH); found < LEVELS && shorter >= 2; shorter /= 2) found++;
    return found;
}

constexpr int ENERGIES = 2 * (DOWN + ACROSS) + 3 * levels() + 1;

struct Shared {
    double x[SIZE];                     // in units of the noise; smoother from level to level
    double smooth[(SIZE + 3) / 4 + 1];
    double energies[ENERGIES], aside[THREADS / 32];
    unsigned counts[KINDS * INTENSITIES];
};
static_assert(sizeof(Shared) == SHARED, "must equal what the host allocates");

template <int ORDER> __device__ double difference(const double *x, int stride) {
    if constexpr (ORDER == 0) return *x;
    else return difference<ORDER - 1>(x + stride, stride) - difference<ORDER - 1>(x, stride);
}

// Mean squares and mean absolute values of differences of up to MOST orders, down or across.
template <int ORDER, int MOST, bool IS_DOWN> __device__ void differences(Shared &shared, int energy) {
    if constexpr (ORDER <= MOST) {
        constexpr int ROWS = HEIGHT - (IS_DOWN ? ORDER : 0), COLUMNS = WIDTH - (IS_DOWN ? 0 : ORDER);
        constexpr int COUNT = CHANNELS * ROWS * COLUMNS;
        double squares = 0, sizes = 0;
        for (int at = threadIdx.x; at < COUNT; at += THREADS) {
            const int place = at / (ROWS * COLUMNS) * PLANE + at / COLUMNS % ROWS * WIDTH + at % COLUMNS;
            const double found = difference<ORDER>(&shared.x[place], IS_DOWN ? WIDTH : 1);
            squares += found * found;
            sizes += fabs(found);
        }
        squares = sum_of_all<THREADS>(squares, shared.aside);
        sizes = sum_of_all<THREADS>(sizes, shared.aside);
        if (threadIdx.x == 0) {
            shared.energies[energy] = squares / COUNT;
            shared.energies[energy + 1] = sizes / COUNT;
        }
        differences<ORDER + 1, MOST, IS_DOWN>(shared, energy + 2);
    }
}

// The energies of the three details of each 2x2 pixels, and the pixels' mean in `to`.
__device__ void halve(Shared &shared, double *from, double *to, int height, int width, int energy) {
    const int rows = height / 2, columns = width / 2, count = CHANNELS * rows * columns;
    double sums[3] = {};
    for (int at = threadIdx.x; at < count; at += THREADS) {
        const int channel = at / (rows * columns), y = at / columns % rows, x = at % columns;
        const double *four = &from[(channel * height + 2 * y) * width + 2 * x];
        const double a = four[0], b = four[1], c = four[width], d = four[width + 1];
        const double details[3] = {(a - b + c - d) / 4, (a + b - c - d) / 4, (a - b - c + d) / 4};
        for (int i = 0; i < 3; i++) sums[i] += details[i] * details[i];
        to[at] = (a + b + c + d) / 4;
    }
    for (int i = 0; i < 3; i++) {
        const double sum = sum_of_all<THREADS>(sums[i], shared.aside);
        if (threadIdx.x == 0) shared.energies[energy + i] = sum / count;
    }
}

// images: (samples, CHANNELS, HEIGHT, WIDTH); outputs: (samples, K) each. One block of threads per image.
extern "C" __global__ void __launch_bounds__(THREADS)
    describe(const float *images, double *layout, double *spectrum, double *intensity, double low, double high,
             double noise, double faintest) {
    extern __shared__ __align__(16) char memory[];
    Shared &shared = *reinterpret_cast<Shared *>(memory);
    const float *image = images + static_cast<long long>(blockIdx.x) * SIZE;
    for (int i = threadIdx.x; i < KINDS * INTENSITIES; i += THREADS) shared.counts[i] = 0;
    synchronise();
    for (int at = threadIdx.x; at < SIZE; at += THREADS) {
        const double x = image[at], place = (x - low) / (high - low) * INTENSITIES;
        const int kind = KINDS > 1 ? at / PLANE : 0;
        count(&shared.counts[kind * INTENSITIES + static_cast<int>(fmin(fmax(place, 0.0), INTENSITIES - 1.0))]);
        shared.x[at] = x / noise;
    }
    for (int at = threadIdx.x; at < CHANNELS * SIDE * SIDE; at += THREADS) {
        const int channel = at / (SIDE * SIDE), down = at / SIDE % SIDE, across = at % SIDE;
        const int top = down * HEIGHT / SIDE, bottom = (down + 1) * HEIGHT / SIDE;
        const int left = across * WIDTH / SIDE, right = (across + 1) * WIDTH / SIDE;
        double sum = 0;
        for (int y = top; y < bottom; y++)
            for (int x = left; x < right; x++) {
                const double tone = (image[channel * PLANE + y * WIDTH + x] - low) / (high - low);
                sum += sqrt(fmin(fmax(tone, 0.0), 1.0));
            }
        layout[static_cast<long long>(blockIdx.x) * CHANNELS * SIDE * SIDE + at] =
            sum / ((bottom - top) * (right - left));
    }
    synchronise();
    differences<1, DOWN, true>(shared, 0);
    differences<1, ACROSS, false>(shared, 2 * DOWN);
    int energy = 2 * (DOWN + ACROSS);
    double *from = shared.x, *to = shared.smooth;
    int height = HEIGHT, width = WIDTH;
    for (int level = 0; level < levels(); level++, energy += 3) {
        halve(shared, from, to, height, width, energy);
        height /= 2, width /= 2;
        double *const smoother = to;
        to = from, from = smoother;
    }
    double sum = 0;
    for (int at = threadIdx.x; at < CHANNELS * height * width; at += THREADS) sum += from[at] * from[at];
    sum = sum_of_all<THREADS>(sum, shared.aside);
    if (threadIdx.x == 0) shared.energies[energy] = sum / (CHANNELS * height * width);
    synchronise();
    for (int i = threadIdx.x; i < ENERGIES; i += THREADS)
        spectrum[static_cast<long long>(blockIdx.x) * ENERGIES + i] = log(shared.energies[i] + faintest);
    for (int i = threadIdx.x; i < KINDS * INTENSITIES; i += THREADS)
        intensity[static_cast<long long>(blockIdx.x) * KINDS * INTENSITIES + i] =
            sqrt(shared.counts[i] / static_cast<double>(SIZE / KINDS));
}
