// Runs a CUDA kernel of this project on a CPU: its threads in turns, each until it waits for others.
//
// Set by the test: LANES (threads of a block). What `*_instructions.cu` take from the hardware is done here by plain arithmetic, a matrix product of a warp included:
// each lane lays down its factors, and computes its own sums once all 32 have.

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#define __device__ static
#define __global__
#define __shared__
#define __align__(bytes)
#define __launch_bounds__(...)

struct uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };

static struct { int x; } threadIdx, blockIdx;
alignas(16) char memory[1 << 20];

namespace lanes {

constexpr int COUNT = LANES, ALL = COUNT / 32, STACK = 1 << 17;

ucontext_t outside, inside[COUNT];
std::vector<char> stacks[COUNT];
bool done[COUNT];
int waiting[2 * ALL + 1], passed[2 * ALL + 1];
struct { unsigned factor[4], weight[2]; } laid[COUNT];
const void *shown[COUNT];
uint64_t shuffled[COUNT];

void give_way() {
    const int own = threadIdx.x;
    swapcontext(&inside[own], &outside);
}

// Waits for `count` threads: those of a warp, all, or those of a group of warps.
void wait(int which, int count) {
    const int turn = passed[which];
    if (++waiting[which] == count) {
        waiting[which] = 0;
        passed[which]++;
    }
    while (passed[which] == turn) give_way();
}

float number(unsigned pair, int place) {
    const uint16_t bits = place ? pair >> 16 : pair;
    _Float16 value;
    std::memcpy(&value, &bits, 2);
    return value;
}

unsigned bits(float value) {
    const _Float16 half = std::min(65504.0f, std::max(-65504.0f, value));
    uint16_t bits;
    std::memcpy(&bits, &half, 2);
    return bits;
}

void (*work)();

void run() {
    work();
    done[threadIdx.x] = true;
    give_way();
}

// All threads of one block.
void block(int number, void (*kernel)()) {
    blockIdx.x = number;
    work = kernel;
    std::memset(memory, 0xff, sizeof memory);  // not numbers: what is read before it is written shows
    for (int i = 0; i < COUNT; i++) {
        stacks[i].resize(STACK);
        done[i] = false;
        getcontext(&inside[i]);
        inside[i].uc_stack.ss_sp = stacks[i].data();
        inside[i].uc_stack.ss_size = STACK;
        inside[i].uc_link = nullptr;
        makecontext(&inside[i], run, 0);
    }
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < COUNT; i++)
            if (!done[i]) {
                any = true;
                threadIdx.x = i;
                swapcontext(&outside, &inside[i]);
            }
    }
}

}  // namespace lanes

static void multiply(float (&sums)[4], const unsigned (&factor)[4], unsigned upper, unsigned lower) {
    using namespace lanes;
    const int own = threadIdx.x, warp = own / 32, first = warp * 32, group = own % 32 / 4, pair = own % 4;
    std::memcpy(laid[own].factor, factor, sizeof factor);
    laid[own].weight[0] = upper;
    laid[own].weight[1] = lower;
    wait(warp, 32);
    for (int i = 0; i < 4; i++) {
        const int row = group + i / 2 * 8, column = pair * 2 + i % 2;
        double sum = sums[i];
        for (int k = 0; k < 16; k++) {
            const auto &left = laid[first + row % 8 * 4 + k % 8 / 2], &right = laid[first + column * 4 + k % 8 / 2];
            sum += double(number(left.factor[k / 8 * 2 + row / 8], k % 2)) * number(right.weight[k / 8], k % 2);
        }
        sums[i] = sum;
    }
    wait(warp, 32);
}

// Of each of four tiles of 8x8 a lane gets two numbers, of the row and the columns that are its own.
static uint4 four_tiles(const void *bytes) {
    using namespace lanes;
    const int own = threadIdx.x, warp = own / 32;
    shown[own] = bytes;
    wait(warp, 32);
    unsigned tiles[4];
    for (int tile = 0; tile < 4; tile++)
        tiles[tile] = static_cast<const unsigned *>(shown[warp * 32 + tile * 8 + own % 32 / 4])[own % 4];
    wait(warp, 32);
    return {tiles[0], tiles[1], tiles[2], tiles[3]};
}

// As four warps do, each for itself: all 16xN sums of a warp. Done at once, so that nobody waits for it.
template <int N>
static void multiply(float (&sums)[N / 2], const unsigned (&factor)[4], const float *weights, bool add) {
    const auto *tiles = reinterpret_cast<const unsigned *>(weights);
    const int lane = threadIdx.x % 32;
    for (int column = 0; column < N / 8; column++) {
        auto &four = reinterpret_cast<float (&)[4]>(sums[column * 4]);
        if (!add) four[0] = four[1] = four[2] = four[3] = 0;
        multiply(four, factor, tiles[column * 64 + lane], tiles[column * 64 + 32 + lane]);
    }
}

template <int D> static void settle(const unsigned (&)[D][4]) {}
template <int N> static void wait_for_products(float (&)[N]) {}

static float2 numbers(unsigned pair) { return {lanes::number(pair, 0), lanes::number(pair, 1)}; }
static unsigned halves(float left, float right) { return lanes::bits(left) | lanes::bits(right) << 16; }
static unsigned rectified(float left, float right) { return halves(std::max(left, 0.0f), std::max(right, 0.0f)); }
static void copy_aside(float *to, const float *from) { std::memcpy(to, from, 16); }
static void wait_for_copies() {}
static void __syncthreads() { lanes::wait(lanes::ALL, lanes::COUNT); }
static void atomicAdd(unsigned *place, unsigned more) { *place += more; }

template <typename T> static T __shfl_xor_sync(unsigned, T value, int apart) {
    using namespace lanes;
    const int own = threadIdx.x;
    std::memcpy(&shuffled[own], &value, sizeof value);
    wait(own / 32, 32);
    std::memcpy(&value, &shuffled[own ^ apart], sizeof value);
    wait(own / 32, 32);
    return value;
}

template <int MANY> static void synchronise_group() {
    lanes::wait(lanes::ALL + 1 + threadIdx.x / MANY, MANY);
}
static float exponential(float value) { return std::exp(value); }
static float bounded(float value) { return 2.0f - 4.0f / (std::exp(value) + 1.0f); }
