//===- InputDistribution.cpp - named random inputs ------------------------===//
#include "InputDistribution.h"

#include "../lib/Exp2.h"
#include "../lib/HostTensor.h"
#include "../lib/ParallelFor.h"
#include "Random.h"

#include <array>
#include <string_view>

namespace sage::evaluation {
namespace {

constexpr std::array<std::string_view, 6> names = {"normal",           "outliers", "channel-bias",
                                                   "group-magnitudes", "position", "uniform"};

/// Streams of one seed: per tensor, what is drawn.
enum class Draw : uint32_t { Element, Chosen, Size };

Random randomFor(uint64_t seed, InputTensor tensor, Draw draw) {
  return Random(seed, uint32_t(tensor) * 16 + uint32_t(draw));
}

class Generator {
public:
  Generator(InputDistribution distribution, uint64_t seed, InputTensor tensor)
      : distribution(distribution), tensor(tensor), element(randomFor(seed, tensor, Draw::Element)),
        chosen(randomFor(seed, tensor, Draw::Chosen)), size(randomFor(seed, tensor, Draw::Size)) {}

  /// `slice` counts heads over the batches, `row` tokens over the slices.
  double value(int64_t slice, int64_t row, int64_t token, int64_t channel, int64_t headDim) const {
    uint64_t index = uint64_t(row * headDim + channel);
    switch (distribution) {
    case InputDistribution::Normal:
      break;
    case InputDistribution::Outliers:
      if (chosen.uniform(index) < 0.001)
        return element.normal(index) + 10 * size.normal(index);
      break;
    case InputDistribution::ChannelBias:
      return element.normal(index) + channelBias(uint64_t(slice * headDim + channel));
    case InputDistribution::GroupMagnitudes:
      return element.normal(index) * runtime::exp2Double(6 * size.uniform(uint64_t(row)) - 3);
    case InputDistribution::Position:
      if (tensor == InputTensor::Value)
        return (token >> (channel % 16)) & 1 ? 1 : -1;
      break;
    case InputDistribution::Uniform:
      return 2 * element.uniform(index) - 1;
    }
    return element.normal(index);
  }

private:
  double channelBias(uint64_t index) const {
    if (tensor == InputTensor::Value || chosen.uniform(index) >= 0.1)
      return 0;
    return (tensor == InputTensor::Query ? 3 : 8) * size.normal(index);
  }

  InputDistribution distribution;
  InputTensor tensor;
  Random element, chosen, size;
};

} // namespace

bool parseInputDistribution(const std::string &name, InputDistribution &result) {
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) {
      result = InputDistribution(i);
      return true;
    }
  return false;
}

std::string inputDistributionNames() {
  std::string all;
  for (std::string_view name : names)
    all += (all.empty() ? "" : ", ") + std::string(name);
  return all;
}

std::vector<uint16_t> makeInput(InputDistribution distribution, uint64_t seed, InputTensor tensor,
                                sage_element_type type, int64_t batch, int64_t heads,
                                int64_t tokens, int64_t headDim) {
  std::vector<uint16_t> elements(size_t(batch * heads * tokens * headDim));
  Generator generator(distribution, seed, tensor);
  constexpr int64_t chunk = 256;
  int64_t rows = batch * heads * tokens;
  runtime::parallelFor((rows + chunk - 1) / chunk, 0, [&](int64_t task) {
    for (int64_t row = task * chunk; row < rows && row < (task + 1) * chunk; ++row)
      for (int64_t d = 0; d < headDim; ++d)
        elements[size_t(row * headDim + d)] = runtime::encodeElement(
            type, float(generator.value(row / tokens, row, row % tokens, d, headDim)));
  });
  return elements;
}

} // namespace sage::evaluation
