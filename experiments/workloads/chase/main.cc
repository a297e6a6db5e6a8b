// chase: follows pointers through memory in an order without a pattern, each load's address the result of the
// one before. Nothing hides what translating an address costs: each step is to a page that the TLBs most
// likely do not hold.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "experiments/workloads/mmlat/measure.h"
#include "experiments/workloads/mmlat/memory.h"

namespace {

constexpr const char* kUsage =
    "usage: chase [--mib N] [--spacing BYTES] [--steps N]\n"
    "  --mib      memory to go through, 1 to 65536 (default 64)\n"
    "  --spacing  one pointer in so many bytes, 64 to 4096, a power of two (default 64: in each cache line)\n"
    "  --steps    loads to count, 1 to 2^32 - 1 (default 1000000)\n"
    "Prints 'row chase ops STEPS instructions TOTAL'.\n";

constexpr uint64_t kSeed = 42;
constexpr size_t kLeastSpacing = 64;

struct Options {
  uint64_t mib = 64;
  uint64_t spacing = kLeastSpacing;
  uint64_t steps = 1'000'000;
};

[[noreturn]] void usage_error(const char* what) {
  std::fprintf(stderr, "chase: %s\n%s", what, kUsage);
  std::exit(2);
}

uint64_t number(const char* text, uint64_t least, uint64_t most, const char* what) {
  char* end = nullptr;
  const unsigned long long value = std::strtoull(text, &end, 10);
  if (end == text || *end != '\0' || value < least || value > most) usage_error(what);
  return value;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) usage_error("no value after the last option");
    if (std::strcmp(argv[i], "--mib") == 0) {
      options.mib = number(argv[i + 1], 1, 65536, "--mib takes 1 to 65536");
    } else if (std::strcmp(argv[i], "--spacing") == 0) {
      options.spacing = number(argv[i + 1], kLeastSpacing, mmlat::kPage, "--spacing takes 64 to 4096");
      if ((options.spacing & (options.spacing - 1)) != 0) usage_error("--spacing takes a power of two");
    } else if (std::strcmp(argv[i], "--steps") == 0) {
      options.steps = number(argv[i + 1], 1, UINT32_MAX, "--steps takes 1 to 2^32 - 1");
    } else {
      usage_error("unknown option");
    }
  }
  return options;
}

using Node = void*;

// One cycle through all nodes (Sattolo's shuffle): the nodes are permuted in place, each holds the address of
// the next.
Node* link(uint8_t* memory, uint64_t nodes, uint64_t spacing) {
  const auto node = [&](uint64_t index) { return reinterpret_cast<Node*>(memory + index * spacing); };
  for (uint64_t i = 0; i < nodes; ++i) *node(i) = node(i);
  mmlat::Random random(kSeed);
  for (uint64_t left = nodes - 1; left > 0; --left) std::swap(*node(left), *node(random.below(left)));
  return node(0);
}

Node* follow(Node* at, uint64_t steps) {
  for (uint64_t step = 0; step < steps; ++step) at = static_cast<Node*>(*static_cast<Node volatile*>(at));
  return at;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  mmlat::open_marks();
  mmlat::measure_empty_span(mmlat::Print::kYes);
  mmlat::set_row("chase");
  const size_t bytes = options.mib * mmlat::kMiB;
  auto* memory = static_cast<uint8_t*>(mmlat::plain(mmlat::map_anonymous(bytes)));
  const uint64_t nodes = bytes / options.spacing;
  Node* const first = link(memory, nodes, options.spacing);
  Node* const warm = follow(first, nodes < options.steps ? nodes : options.steps);
  mmlat::begin_span("chase");
  Node* const last = follow(warm, options.steps);
  mmlat::end_span(options.steps);
  mmlat::expect(last >= first && last < first + bytes / sizeof(Node), "the chase left its memory");
  return 0;
}
