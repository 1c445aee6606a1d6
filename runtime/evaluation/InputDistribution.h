//===- InputDistribution.h - named random inputs ----------------*- C++ -*-===//
#ifndef SAGE_EVALUATION_INPUTDISTRIBUTION_H
#define SAGE_EVALUATION_INPUTDISTRIBUTION_H

#include "sage/runtime/sage.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sage::evaluation {

enum class InputDistribution {
  Normal,          ///< Q, K, V: N(0,1)
  Outliers,        ///< N(0,1) + N(0,100)·Bernoulli(0.001) (variance 100)
  ChannelBias,     ///< N(0,1); in Q and K each channel of a head gets, with
                   ///< probability 0.1, a constant: N(0,3²) in Q, N(0,8²) in K
  GroupMagnitudes, ///< every row of Q, K and V: N(0,1) times 2^U(-3,3)
  Position,        ///< Q, K: N(0,1); V[n,d] = +1 or -1: bit (d mod 16) of n
  Uniform          ///< U(-1,1)
};

/// "normal", "outliers", …; false if unknown.
bool parseInputDistribution(const std::string &name, InputDistribution &result);
/// All names, separated by ", ".
std::string inputDistributionNames();

enum class InputTensor : uint32_t { Query, Key, Value };

/// Dense B×H×N×D elements, head-major. Element i depends only on (distribution,
/// seed, tensor, i, the extents), not on the machine.
std::vector<uint16_t> makeInput(InputDistribution distribution, uint64_t seed, InputTensor tensor,
                                sage_element_type type, int64_t batch, int64_t heads,
                                int64_t tokens, int64_t headDim);

} // namespace sage::evaluation

#endif
