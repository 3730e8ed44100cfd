// All steps of one scale of an image flow, and the split that follows them, in one kernel.
//
// A block of threads holds ROWS pixels, which are whole samples with all channels, through all steps. A coupling's
// hidden activations (64 per pixel) never leave the registers of the warp that computes them: the sums of one product
// have the register layout of the next one's factors. The last convolution is a product, too, from a pixel's activations
// to its contributions to its nine neighbours, which then sum up what they get.
//
// Factors and contributions are float16, which has the same 10 fraction bits as TF32; sums, biases and everything else
// are float32.

// input: (samples, 2 HEIGHT, 2 WIDTH, CHANNELS / 4), squeezed here; leaving: sub-vectors of PATCH x PATCH pixels, with
// HALF of the channels if there is a split, otherwise all; staying: (samples, HEIGHT, WIDTH, HALF), only with a split.
// Log-determinants are added to log_det.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    scale(const float *input, const float *weights, float *leaving, float *staying, float *log_det, int samples) {
    extern __shared__ __align__(128) char memory[];
    Shared &shared = *reinterpret_cast<Shared *>(memory);
    unsigned own[OWN];
    for (int i = 0; i < OWN; i++) own[i] = neighbours(own_row(i));
    const int first = static_cast<int>(blockIdx.x) * SAMPLES;
    const int held = samples - first < SAMPLES ? samples - first : SAMPLES;
    const auto real = [&](int row) { return sample_of(row) < held; };
    // From here on, indices are relative to the block, since those of a large batch would overflow an int.
    const long long before = static_cast<long long>(first) * PIXELS;
    input += before * CHANNELS, leaving += before * (SPLIT ? HALF : CHANNELS), staying += before * HALF;
    log_det += first;

    fetch(shared.weights, weights, 0);
    for (int word = threadIdx.x; word < SAMPLES * CELLS * PAIRS; word += THREADS) shared.kept[word] = 0;
    for (int i = 0; i < OWN; i++) {
        const int row = own_row(i), top = pixel_of(row) / WIDTH * 2, left = pixel_of(row) % WIDTH * 2;
        for (int c = 0; c < CHANNELS; c++) {
            const int y = top + c % 4 / 2, x = left + c % 2;
            const int from = ((sample_of(row) * 2 * HEIGHT + y) * 2 * WIDTH + x) * (CHANNELS / 4) + c / 4;
            shared.x[c / 4][row][c % 4] = real(row) ? input[from] : 0.0f;
        }
    }
    float totals[OWN] = {};
    for (int step = 0; step < STEPS + SPLIT; step++) {
        const bool split = step == STEPS, more = step + 1 < STEPS + SPLIT;
        const int kept = split ? HALF : 0, moved = HALF - kept;
        wait_for_copies();
        synchronise();
        for (int i = 0; i < OWN; i++) {
            if (!split) mix(shared, own_row(i));
            keep(shared, own_row(i), kept);
        }
        synchronise_group<GROUP>();
        Hidden hidden[PASSES];
#pragma unroll
        for (int pass = 0; pass < PASSES; pass++) {
            activate(shared, hidden[pass], pass);
            give(shared, hidden[pass], pass, 0);
        }
        for (int chunk = 0; chunk < CHUNKS; chunk++) {
            if (chunk) {
                synchronise_group<GROUP>();
#pragma unroll
                for (int pass = 0; pass < PASSES; pass++)
                    give(shared, hidden[pass], pass, chunk);
            }
            float bias[CHUNK];
            for (int i = 0; i < CHUNK; i++) bias[i] = shared.weights[LAST_BIAS + chunk * CHUNK + i];
            if (chunk == CHUNKS - 1 && more) {
                synchronise();  // all warps are done with these weights
                fetch(shared.weights, weights, step + 1);
            } else {
                synchronise_group<GROUP>();
            }
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                float output[CHUNK];
                for (int j = 0; j < CHUNK; j++) output[j] = bias[j];
                receive(shared, output, own_row(i), own[i]);
                totals[i] += move(shared, output, own_row(i), moved + chunk * (CHUNK / 2));
            }
        }
    }

    synchronise();
    float *sums = reinterpret_cast<float *>(shared.given);
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        const int row = own_row(i);
        sums[row] = totals[i];
        if (!real(row)) continue;
        const int start = sample_of(row) * PIXELS, at = start + pixel_of(row);
        const int cut = start + place_in_patches(pixel_of(row));
        for (int c = 0; c < CHANNELS; c++) {
            const float value = shared.x[c / 4][row][c % 4];
            if (!SPLIT) leaving[cut * CHANNELS + c] = value;
            else if (c < HALF) leaving[cut * HALF + c] = value;
            else staying[at * HALF + c - HALF] = value;
        }
    }
    int reach = 1;
    while (reach < PIXELS) reach *= 2;
    for (reach /= 2; reach; reach /= 2) {
        synchronise();
        for (int i = 0; i < OWN; i++) {
            const int row = own_row(i), pixel = pixel_of(row);
            if (pixel < reach && pixel + reach < PIXELS && sample_of(row) < SAMPLES) sums[row] += sums[row + reach];
        }
    }
    for (int i = 0; i < OWN; i++)  // only the thread that added the last two
        if (real(own_row(i)) && pixel_of(own_row(i)) == 0) log_det[sample_of(own_row(i))] += sums[own_row(i)];
}
