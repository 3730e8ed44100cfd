// Rational-quadratic splines, one thread per value: `driftwatch.flows.spline.rational_quadratic_spline`.

// x, mapped and log_slopes: (count,); parameters: (count, PARAMETERS).
extern "C" __global__ void __launch_bounds__(THREADS)
    spline(const float *x, const float *parameters, float *mapped, float *log_slopes, int count) {
    extern __shared__ __align__(16) char memory[];
    float *aside = reinterpret_cast<float *>(memory);
    const int first = blockIdx.x * THREADS, here = count - first < THREADS ? count - first : THREADS;
    copy(aside, parameters + static_cast<long long>(first) * PARAMETERS, here * PARAMETERS);
    synchronise();
    if (threadIdx.x >= here) return;
    const float value = x[first + threadIdx.x];
    float y = value, log_slope = 0;
    if (fabsf(value) < BOUND) {
        const float *own = aside + threadIdx.x * PARAMETERS;
        const Bin bin = bin_of(value, own, own + BINS, own + 2 * BINS);
        const float secant = bin.height / bin.width;
        const float share = fminf(fmaxf((value - bin.left) / bin.width, 0.0f), 1.0f), rest = 1 - share;
        const float denominator = secant + (bin.slope + bin.next_slope - 2 * secant) * share * rest;
        y = bin.low + bin.height * (secant * share * share + bin.slope * share * rest) / denominator;
        const float numerator = bin.next_slope * share * share + 2 * secant * share * rest + bin.slope * rest * rest;
        log_slope = 2 * logf(secant) + logf(numerator) - 2 * logf(denominator);
    }
    mapped[first + threadIdx.x] = y;
    log_slopes[first + threadIdx.x] = log_slope;
}
