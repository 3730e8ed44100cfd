// The divergence of windows from the reference in one block of the latent: the sum of the parts of
// `driftwatch.stats.decomposition.decompose`.
//
// Set by the host: LENGTH (dimensions of a sub-vector), THREADS (per block of threads, a multiple of 32), SHARED (bytes
// of shared memory per block).

struct Shared {
    double rest[LENGTH][LENGTH];  // of the matrix during elimination
    double mean[LENGTH], aside[THREADS / 32];
};
static_assert(sizeof(Shared) == SHARED, "must equal what the host allocates");

// summaries: (windows, size); total: (windows,), holding the sum over earlier blocks if `others`. One block of threads
// per window.
extern "C" __global__ void __launch_bounds__(THREADS)
    divergence(const double *summaries, double *total, int size, int vectors, int first, int second, int others) {
    extern __shared__ __align__(16) char memory[];
    auto &[rest, mean, aside] = *reinterpret_cast<Shared *>(memory);
    const double *summary = summaries + static_cast<long long>(blockIdx.x) * size;
    const double count = summary[0] * vectors, shrinkage = LENGTH / (LENGTH + count);
    for (int i = threadIdx.x; i < LENGTH; i += THREADS) mean[i] = summary[first + i] / count;
    synchronise();
    for (int at = threadIdx.x; at < LENGTH * LENGTH; at += THREADS) {
        const int i = at / LENGTH, j = at % LENGTH;
        const double covariance = count > 1 ? summary[second + at] / count - mean[i] * mean[j] : 0;
        rest[i][j] = (1 - shrinkage) * covariance + (i == j ? shrinkage : 0);
    }
    synchronise();
    double sum = 0, log_ratio = 0;
    for (int i = threadIdx.x; i < LENGTH; i += THREADS) {
        const double variance = fmax(rest[i][i], 1e-12), log_variance = log(variance);
        sum += mean[i] * mean[i] + variance - 1 - log_variance;
        log_ratio += log_variance;
    }
    for (int k = 0; k + 1 < LENGTH; k++) {
        synchronise();
        const int left = LENGTH - 1 - k;
        for (int at = threadIdx.x; at < left * left; at += THREADS) {
            const int i = k + 1 + at / left, j = k + 1 + at % left;
            rest[i][j] -= rest[i][k] * (rest[k][j] / rest[k][k]);
        }
    }
    synchronise();
    for (int i = threadIdx.x; i < LENGTH; i += THREADS) log_ratio -= log(rest[i][i]);
    sum = sum_of_all<THREADS>(sum, aside);
    const double dependence = fmax(sum_of_all<THREADS>(log_ratio, aside), 0.0);
    if (threadIdx.x == 0) total[blockIdx.x] = (others ? total[blockIdx.x] : 0) + 0.5 * (sum + dependence) * vectors;
}
