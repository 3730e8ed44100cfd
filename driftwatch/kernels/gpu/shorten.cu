// Shortens vectors to a limit: `driftwatch.stats.moments.shorten`.
//
// Set by the host: THREADS (per block).

constexpr int WARPS = THREADS / 32;

// vectors and shorter: (count, length), one warp per vector; the limit is at `place` if that is given, else `limit`.
extern "C" __global__ void __launch_bounds__(THREADS)
    shorten(const double *vectors, double *shorter, int count, int length, double limit, const double *place) {
    const int which = blockIdx.x * WARPS + threadIdx.x / 32;
    if (which >= count) return;
    const long long start = static_cast<long long>(which) * length;
    double sum = 0;
    for (int i = threadIdx.x % 32; i < length; i += 32) sum += vectors[start + i] * vectors[start + i];
    const double factor = fmin((place ? *place : limit) / fmax(sqrt(sum_of_warp(sum)), 1e-300), 1.0);
    for (int i = threadIdx.x % 32; i < length; i += 32) shorter[start + i] = vectors[start + i] * factor;
}
