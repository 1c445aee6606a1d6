//===- MaskInputs.h - biases, lengths, sinks and sequences ------*- C++ -*-===//
#ifndef SAGE_EVALUATION_MASKINPUTS_H
#define SAGE_EVALUATION_MASKINPUTS_H

#include "sage/runtime/sage.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace sage::evaluation {

/// Queries and keys of one packed sequence.
struct SequenceLengths {
  int64_t queries = 0, keys = 0;
};

/// What is wanted of the operands that a problem has; the rest is drawn.
struct MaskChoice {
  std::optional<std::vector<int64_t>> keyLengths;
  std::optional<std::vector<SequenceLengths>> sequences;
  int64_t drawnSequences = 4; ///< where `sequences` are not given
  std::optional<std::vector<float>> sinks;
  /// Which extents of the bias are not 1: some of the letters b, h, q and k.
  std::string biasAxes = "qk";
  std::string biasFile; ///< .npy; empty: random
};

/// B, Hq, Hkv, Nq, Nk.
using CallShape = std::array<int64_t, 5>;

/// The operands of a call besides Q, K and V, in host memory; empty where the
/// problem has none.
struct MaskInputs {
  std::vector<uint8_t> bias; ///< dense, row-major
  std::array<int64_t, 4> biasExtents{};
  sage_element_type biasType = SAGE_F16;
  std::vector<int32_t> keyLengths, queryOffsets, keyOffsets;
  std::vector<float> sinks;

  /// Where they are, if not here: on a device.
  struct Addresses {
    const void *bias, *keyLengths, *sinks, *queryOffsets, *keyOffsets;
  };
  Addresses here() const;
  void addTo(sage_call &call, const Addresses &at) const;
  void addTo(sage_call &call) const { addTo(call, here()); }
};

/// Returns an empty text, or what is wrong with the choice. Without one, biases
/// and sinks are N(0, 1) (a boolean one hides an eighth), lengths uniform, and
/// the tokens sequences of random lengths.
std::string makeMaskInputs(const sage_problem &problem, const CallShape &shape,
                           const MaskChoice &choice, uint64_t seed, MaskInputs &inputs);

size_t getElementBytes(sage_element_type type);

/// Texts of options. An empty result is success.
std::string parseLengths(const std::string &text, std::vector<int64_t> &lengths);
/// `Q:K,Q:K,…`; `N` stands for `N:N`.
std::string parseSequences(const std::string &text, std::vector<SequenceLengths> &sequences);
std::string parseSinks(const std::string &text, std::vector<float> &sinks);
std::string parseBiasAxes(const std::string &text, std::string &axes);

} // namespace sage::evaluation

#endif
