// Random numbers that are the same on every machine, and numbers that break arithmetic.

#ifndef SAGE_TEST_FUZZ_RANDOM_H
#define SAGE_TEST_FUZZ_RANDOM_H

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>

namespace sage::fuzz {

/// SplitMix64: case `index` of seed `seed` does not depend on the cases before it.
class Random {
public:
  Random(uint64_t seed, uint64_t index) : state(seed) {
    state = next() ^ (index * 0x9e3779b97f4a7c15u);
    (void)next();
  }

  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// 0 to bound - 1; 0 for a bound of 0.
  size_t below(size_t bound) { return bound == 0 ? 0 : size_t(next() % bound); }
  bool oneIn(size_t n) { return below(n) == 0; }
  template <typename Value> Value pick(std::initializer_list<Value> choices) {
    return choices.begin()[below(choices.size())];
  }
  template <typename List> const auto &pick(const List &choices) {
    return *std::next(std::begin(choices), std::ptrdiff_t(below(std::size(choices))));
  }

private:
  uint64_t state;
};

/// Where conversions, products and sums of 32 and 64 bits go wrong, and sizes around tiles.
inline constexpr int64_t boundaryIntegers[] = {0,
                                               1,
                                               -1,
                                               2,
                                               3,
                                               7,
                                               8,
                                               15,
                                               16,
                                               17,
                                               31,
                                               32,
                                               33,
                                               63,
                                               64,
                                               65,
                                               96,
                                               127,
                                               128,
                                               129,
                                               192,
                                               255,
                                               256,
                                               257,
                                               512,
                                               1023,
                                               1024,
                                               4096,
                                               65535,
                                               65536,
                                               65537,
                                               (int64_t(1) << 24) + 1,
                                               INT32_MAX - 1,
                                               INT32_MAX,
                                               int64_t(INT32_MAX) + 1,
                                               INT32_MIN,
                                               int64_t(UINT32_MAX),
                                               int64_t(UINT32_MAX) + 1,
                                               int64_t(1) << 40,
                                               (int64_t(1) << 40) + 8,
                                               int64_t(1) << 61,
                                               int64_t(1) << 62,
                                               INT64_MAX - 1,
                                               INT64_MAX,
                                               INT64_MIN + 1,
                                               INT64_MIN};

} // namespace sage::fuzz

#endif
