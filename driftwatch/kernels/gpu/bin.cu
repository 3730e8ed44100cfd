// The bin of a rational-quadratic spline that contains a value: `driftwatch.flows.spline`.
//
// Set by the host: BINS, THREADS (per block, one per value), SHARED (bytes of shared memory per block).

constexpr int PARAMETERS = 3 * BINS - 1;
constexpr float BOUND = 5, MIN_BIN = 1e-3f, MIN_SLOPE = 1e-3f;
constexpr float UNIT_SLOPE = 0.539742417236952f;  // log(exp(1 - MIN_SLOPE) - 1)
static_assert(SHARED == THREADS * PARAMETERS * sizeof(float), "must equal what the host allocates");

// Copies a block's numbers between global and shared memory, neighbouring threads neighbouring numbers.
__device__ void copy(float *to, const float *from, int count) {
    for (int i = threadIdx.x; i < count; i += THREADS) to[i] = from[i];
}

// The largest of one thread's numbers, and the sum of their exponentials relative to it.
struct Softmax { float largest, sum; };

__device__ Softmax softmax_of(const float *raw) {
    Softmax found = {raw[0], 0};
    for (int k = 1; k < BINS; k++) found.largest = fmaxf(found.largest, raw[k]);
    for (int k = 0; k < BINS; k++) found.sum += expf(raw[k] - found.largest);
    return found;
}

__device__ float share_of(float raw, const Softmax &all) { return expf(raw - all.largest) / all.sum; }

// The size of a bin as a share of the span.
__device__ float size_of(float raw, const Softmax &all) { return MIN_BIN + (1 - MIN_BIN * BINS) * share_of(raw, all); }

__device__ float softplus(float x) { return x > 20 ? x : log1pf(expf(x)); }

// The slope at a knot, of which `raw` has the inner ones.
__device__ float slope_at(int knot, const float *raw) {
    return knot == 0 || knot == BINS ? 1 : MIN_SLOPE + softplus(raw[knot - 1] + UNIT_SLOPE);
}

struct Bin {
    int which;
    float left, width, low, height, slope, next_slope;
};

// value: at most BOUND from 0; widths, heights, slopes: unconstrained.
__device__ Bin bin_of(float value, const float *widths, const float *heights, const float *slopes) {
    const Softmax across = softmax_of(widths), up = softmax_of(heights);
    float left = -BOUND, low = -BOUND, shares = 0, levels = 0;
    Bin bin = {};
    for (int k = 0; k < BINS; k++) {
        shares += size_of(widths[k], across);
        levels += size_of(heights[k], up);
        const float right = k + 1 < BINS ? 2 * BOUND * shares - BOUND : BOUND;
        const float high = k + 1 < BINS ? 2 * BOUND * levels - BOUND : BOUND;
        if (k == 0 || value >= left) bin = {k, left, right - left, low, high - low, 0, 0};
        left = right, low = high;
    }
    bin.slope = slope_at(bin.which, slopes), bin.next_slope = slope_at(bin.which + 1, slopes);
    return bin;
}
