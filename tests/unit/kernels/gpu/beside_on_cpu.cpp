// A kernel of what is done beside the flow, as a function that a test calls.

#include "lanes.h"

#include "threads.cu"

#if defined CONTENT_NOISE
#include "content_noise.cu"
static struct { const float *x; float *noise; int dim; } given;
static void kernel() { content_noise(given.x, given.noise, given.dim); }
extern "C" void run(int blocks, const float *x, float *noise, int dim) {
    given = {x, noise, dim};
#elif defined SHORTEN
#include "shorten.cu"
static struct { const double *vectors; double *shorter; int count, length; double limit; const double *place; } given;
static void kernel() {
    shorten(given.vectors, given.shorter, given.count, given.length, given.limit, given.place);
}
extern "C" void run(int blocks, const double *vectors, double *shorter, int count, int length, double limit,
                    const double *place) {
    given = {vectors, shorter, count, length, limit, place};
#elif defined DIVERGENCE
#include "divergence.cu"
static struct { const double *summaries; double *total; int size, vectors, first, second, others; } given;
static void kernel() {
    divergence(given.summaries, given.total, given.size, given.vectors, given.first, given.second, given.others);
}
extern "C" void run(int blocks, const double *summaries, double *total, int size, int vectors, int first, int second,
                    int others) {
    given = {summaries, total, size, vectors, first, second, others};
#elif defined DESCRIBE
#include "describe.cu"
static struct { const float *images; double *layout, *spectrum, *intensity; double measured[4]; } given;
static void kernel() {
    const double(&of)[4] = given.measured;
    describe(given.images, given.layout, given.spectrum, given.intensity, of[0], of[1], of[2], of[3]);
}
extern "C" void run(int blocks, const float *images, double *layout, double *spectrum, double *intensity, double low,
                    double high, double noise, double faintest) {
    given = {images, layout, spectrum, intensity, {low, high, noise, faintest}};
#endif
    for (int block = 0; block < blocks; block++) lanes::block(block, kernel);
}
