// Uniform noise that depends only on each row's own values, equal to `driftwatch.flows.base.content_noise` to the bit.
//
// Set by the host: THREADS (per block, a multiple of 32).

typedef unsigned long long Word;

__device__ Word mixed(Word v) {
    v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9ull;
    v = (v ^ v >> 27) * 0x94d049bb133111ebull;
    return v ^ v >> 31 & 0x1ffffffffull;
}

// x and noise: (rows, dim), one block of threads per row.
extern "C" __global__ void __launch_bounds__(THREADS) content_noise(const float *x, float *noise, int dim) {
    extern __shared__ __align__(16) char memory[];
    const long long start = static_cast<long long>(blockIdx.x) * dim;
    const int *bits = reinterpret_cast<const int *>(x) + start;
    Word key = 0;
    for (int i = threadIdx.x; i < dim; i += THREADS)
        key += mixed(static_cast<Word>(bits[i] * 0x9e3779b1ll) + (i + 1) * 0x85ebca77ull);
    key = mixed(sum_of_all<THREADS>(key, reinterpret_cast<Word *>(memory)));
    for (int i = threadIdx.x; i < dim; i += THREADS) {
        const Word drawn = mixed(key + (i + 1) * 0x9e3779b97f4a7c1ull);
        noise[start + i] = (drawn & 0xffffff) * 0x1p-24f;
    }
}
