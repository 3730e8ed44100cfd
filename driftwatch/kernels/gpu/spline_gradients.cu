// Gradients of `spline.cu`, one thread per value; what that computed is computed again.

// The gradients of numbers from those of their softmax: first, those of sizes left of a bin, then of the bin's own.
__device__ void through_sizes(float *raw, int bin, float before, float own) {
    const Softmax all = softmax_of(raw);
    constexpr float SCALE = 2 * BOUND * (1 - MIN_BIN * BINS);
    float mean = 0;
    for (int k = 0; k < BINS; k++) mean += share_of(raw[k], all) * (k < bin ? before : k == bin ? own : 0);
    for (int k = 0; k < BINS; k++)
        raw[k] = SCALE * share_of(raw[k], all) * ((k < bin ? before : k == bin ? own : 0) - mean);
}

// The gradient of a value within the bounds, from those of what it is mapped to and of its log-slope; replaces a
// spline's parameters by their gradients.
__device__ float differentiate(float value, float of_y, float of_log_slope, float *own) {
    float *slopes = own + 2 * BINS;
    const Bin bin = bin_of(value, own, own + BINS, slopes);
    const float secant = bin.height / bin.width, share = (value - bin.left) / bin.width, rest = 1 - share;
    const float both = share * rest, bend = bin.slope + bin.next_slope - 2 * secant;
    const float denominator = secant + bend * both, rise = secant * share * share + bin.slope * both;
    const float numerator = bin.next_slope * share * share + 2 * secant * both + bin.slope * rest * rest;

    const float of_rise = of_y * bin.height / denominator, of_numerator = of_log_slope / numerator;
    const float of_denominator = -(of_rise * rise + 2 * of_log_slope) / denominator;
    const float of_secant = 2 * of_log_slope / secant + of_denominator * (1 - 2 * both) + of_rise * share * share +
                            of_numerator * 2 * both;
    const float of_both = of_denominator * bend + of_rise * bin.slope + of_numerator * 2 * secant;
    const float of_share = of_both * (1 - 2 * share) + of_rise * 2 * secant * share +
                           of_numerator * 2 * (bin.next_slope * share - bin.slope * rest);
    const float of_slope = (of_denominator + of_rise) * both + of_numerator * rest * rest;
    const float of_next_slope = of_denominator * both + of_numerator * share * share;
    const float of_height = of_y * rise / denominator + of_secant / bin.width;
    const float of_width = -(of_secant * secant + of_share * share) / bin.width;
    const float of_value = of_share / bin.width;

    // The bin's ends are sums of sizes: those before move both, its own moves only the second. Outermost ends are fixed.
    const bool begins = bin.which > 0, ends = bin.which + 1 < BINS;
    const float of_right = ends ? of_width : 0, of_left = begins ? -of_value - of_width : 0;
    const float of_high = ends ? of_height : 0, of_low = begins ? of_y - of_height : 0;
    through_sizes(own, bin.which, of_left + of_right, of_right);
    through_sizes(own + BINS, bin.which, of_low + of_high, of_high);
    for (int k = 0; k < BINS - 1; k++) {
        const float of_this = k + 1 == bin.which ? of_slope : k == bin.which ? of_next_slope : 0;
        slopes[k] = of_this / (1 + expf(-slopes[k] - UNIT_SLOPE));
    }
    return of_value;
}

// of_mapped and of_log_slopes: the loss's gradients, (count,), like x and of_x; parameters and of_parameters: (count,
// PARAMETERS).
extern "C" __global__ void __launch_bounds__(THREADS)
    spline_gradients(const float *x, const float *parameters, const float *of_mapped, const float *of_log_slopes,
                     float *of_x, float *of_parameters, int count) {
    extern __shared__ __align__(16) char memory[];
    float *aside = reinterpret_cast<float *>(memory);
    const int first = blockIdx.x * THREADS, here = count - first < THREADS ? count - first : THREADS;
    const long long start = static_cast<long long>(first) * PARAMETERS;
    copy(aside, parameters + start, here * PARAMETERS);
    synchronise();
    if (threadIdx.x < here) {
        const float value = x[first + threadIdx.x], of_y = of_mapped[first + threadIdx.x];
        float *own = aside + threadIdx.x * PARAMETERS;
        if (fabsf(value) < BOUND)
            of_x[first + threadIdx.x] = differentiate(value, of_y, of_log_slopes[first + threadIdx.x], own);
        else {
            of_x[first + threadIdx.x] = of_y;
            for (int k = 0; k < PARAMETERS; k++) own[k] = 0;
        }
    }
    synchronise();
    copy(of_parameters + start, aside, here * PARAMETERS);
}
