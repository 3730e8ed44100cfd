// `scale.cu` as a function that a test calls.

#include "lanes.h"

#include "threads.cu"

#include "pixels.cu"

#ifdef BY_GROUPS
#include "groups.cu"
#else
#include "warps.cu"
#endif

#include "scale.cu"

static struct {
    const float *input, *weights;
    float *leaving, *staying, *log_det;
    int samples;
} given;

static void kernel() {
    scale(given.input, given.weights, given.leaving, given.staying, given.log_det, given.samples);
}

extern "C" void run(const float *input, const float *weights, float *leaving, float *staying, float *log_det,
                    int samples) {
    given = {input, weights, leaving, staying, log_det, samples};
    for (int block = 0; block * SAMPLES < samples; block++) lanes::block(block, kernel);
}
