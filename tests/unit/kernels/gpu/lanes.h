// Runs a CUDA kernel of this project on a CPU: its threads in turns, each until it waits for others.
//
// Set by the test: LANES (threads of a block). What `*_instructions.cu` take from the hardware is done here by plain
// arithmetic, a matrix product of a warp included: each lane lays down its factors, and computes its own sums once all
// 32 have.

#include <setjmp.h>
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

ucontext_t inside[COUNT];             // a thread begins by them, and goes on by jumps,
jmp_buf waits_outside, waits[COUNT];  // which ask nothing of the operating system
std::vector<char> stacks[COUNT];
bool begun[COUNT], done[COUNT];
int waiting[2 * ALL + 1], passed[2 * ALL + 1];
// What lanes show each other, by turns in one of two places: who shows something anew has waited for all who were to
// read what was shown before.
struct Shown { unsigned factor[4], weight[2]; const void *bytes; uint64_t value; } places[2][COUNT];
int turns[COUNT];

void give_way() {
    if (!_setjmp(waits[threadIdx.x])) _longjmp(waits_outside, 1);
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

// Shows the other lanes of a warp what this one does, and waits until all have.
const Shown *show(const Shown &own) {
    Shown *place = places[turns[threadIdx.x]++ % 2];
    place[threadIdx.x] = own;
    wait(threadIdx.x / 32, 32);
    return place;
}

struct Numbers {
    float of[1 << 16];
    Numbers() {
        for (int i = 0; i < 1 << 16; i++) {
            const uint16_t bits = i;
            _Float16 value;
            std::memcpy(&value, &bits, 2);
            of[i] = value;
        }
    }
} const table;

float number(unsigned pair, int place) { return table.of[(place ? pair >> 16 : pair) & 0xffff]; }

unsigned bits(float value) {
    const _Float16 half = std::isnan(value) ? value : std::min(65504.0f, std::max(-65504.0f, value));
    uint16_t bits;
    std::memcpy(&bits, &half, 2);
    return bits;
}

void (*work)();

void run() {
    work();
    done[threadIdx.x] = true;
    _longjmp(waits_outside, 1);
}

void go_on(int thread) {
    threadIdx.x = thread;
    if (_setjmp(waits_outside)) return;
    if (begun[thread]) _longjmp(waits[thread], 1);
    begun[thread] = true;
    setcontext(&inside[thread]);
}

// A warp goes on as far as it can before the next one begins, which is the worst for who forgot to wait.
bool go_on_with_warp(int warp, bool backwards) {
    bool any = false;
    for (int turn = -1; turn != passed[warp];) {
        turn = passed[warp];
        for (int i = 0; i < 32; i++) {
            const int thread = warp * 32 + (backwards ? 31 - i : i);
            if (done[thread]) continue;
            any = true;
            go_on(thread);
        }
    }
    return any;
}

// All threads of one block, in every second one the last thread first.
void block(int number, void (*kernel)()) {
    blockIdx.x = number;
    work = kernel;
    std::memset(memory, 0xff, sizeof memory);  // not numbers: what is read before it is written shows
    for (int i = 0; i < COUNT; i++) {
        stacks[i].resize(STACK);
        begun[i] = done[i] = false;
        getcontext(&inside[i]);
        inside[i].uc_stack.ss_sp = stacks[i].data();
        inside[i].uc_stack.ss_size = STACK;
        inside[i].uc_link = nullptr;
        makecontext(&inside[i], run, 0);
    }
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < ALL; i++) any |= go_on_with_warp(number % 2 ? ALL - 1 - i : i, number % 2);
    }
}

}  // namespace lanes

// A lane's four sums of a 16x8 product.
static void add_up(float (&sums)[4], const lanes::Shown *warp, const unsigned (&upper)[32], const unsigned (&lower)[32]) {
    const int group = threadIdx.x % 32 / 4, pair = threadIdx.x % 4;
    for (int i = 0; i < 4; i++) {
        const int half = i / 2, column = pair * 2 + i % 2;
        double sum = sums[i];
        for (int k = 0; k < 16; k++) {
            const unsigned factor = warp[group * 4 + k % 8 / 2].factor[k / 8 * 2 + half];
            const unsigned weight = (k < 8 ? upper : lower)[column * 4 + k % 8 / 2];
            sum += double(lanes::number(factor, k % 2)) * lanes::number(weight, k % 2);
        }
        sums[i] = sum;
    }
}

static void multiply(float (&sums)[4], const unsigned (&factor)[4], unsigned upper, unsigned lower) {
    const auto *warp = lanes::show({{factor[0], factor[1], factor[2], factor[3]}, {upper, lower}}) + threadIdx.x / 32 * 32;
    unsigned weights[2][32];
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 2; i++) weights[i][lane] = warp[lane].weight[i];
    add_up(sums, warp, weights[0], weights[1]);
}

// Of each of four tiles of 8x8 a lane gets two numbers, of the row and the columns that are its own.
static uint4 four_tiles(const void *bytes) {
    const auto *warp = lanes::show({{}, {}, bytes}) + threadIdx.x / 32 * 32;
    unsigned tiles[4];
    for (int tile = 0; tile < 4; tile++)
        tiles[tile] = static_cast<const unsigned *>(warp[tile * 8 + threadIdx.x % 32 / 4].bytes)[threadIdx.x % 4];
    return {tiles[0], tiles[1], tiles[2], tiles[3]};
}

// As four warps do, each for itself: all 16xN sums of a warp. Done at once, so that nobody waits for it.
template <int N>
static void multiply(float (&sums)[N / 2], const unsigned (&factor)[4], const float *weights, bool add) {
    const auto *tiles = reinterpret_cast<const unsigned(*)[32]>(weights);
    const auto *warp = lanes::show({{factor[0], factor[1], factor[2], factor[3]}}) + threadIdx.x / 32 * 32;
    for (int column = 0; column < N / 8; column++) {
        auto &four = reinterpret_cast<float (&)[4]>(sums[column * 4]);
        if (!add) four[0] = four[1] = four[2] = four[3] = 0;
        add_up(four, warp, tiles[column * 2], tiles[column * 2 + 1]);
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
    lanes::Shown own = {};
    std::memcpy(&own.value, &value, sizeof value);
    std::memcpy(&value, &lanes::show(own)[threadIdx.x ^ apart].value, sizeof value);
    return value;
}

template <int MANY> static void synchronise_group() {
    lanes::wait(lanes::ALL + 1 + threadIdx.x / MANY, MANY);
}
static float exponential(float value) { return std::exp(value); }
static float bounded(float value) { return 2.0f - 4.0f / (std::exp(value) + 1.0f); }
