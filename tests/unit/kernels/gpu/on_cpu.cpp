// Runs blocks of the kernel KERNEL, whose source and `lanes.h` were included before.

#include <utility>

static void **given;

template <typename... A, size_t... I> static void call(void (*kernel)(A...), std::index_sequence<I...>) {
    kernel(*static_cast<A *>(given[I])...);
}

template <typename... A> static void call(void (*kernel)(A...)) { call(kernel, std::index_sequence_for<A...>()); }

static void work() { call(KERNEL); }

// `arguments`: where each of them lies.
extern "C" void run(int first, int blocks, void **arguments) {
    given = arguments;
    for (int block = first; block < first + blocks; block++) lanes::block(block, work);
}
