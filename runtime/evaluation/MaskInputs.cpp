//===- MaskInputs.cpp - biases, lengths, sinks and sequences --------------===//
#include "MaskInputs.h"

#include "HostTensor.h"
#include "Npy.h"
#include "Random.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <sstream>

namespace sage::evaluation {
namespace {

/// One stream of random numbers for each operand, apart from those of Q, K and V.
enum Stream : uint32_t { biasStream = 100, lengthStream, sinkStream, sequenceStream };

constexpr const char *typeNames[] = {"<f2", "<u2", "<f4", "|b1"};

std::vector<std::string> split(const std::string &text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, ',');)
    parts.push_back(part);
  return parts;
}

bool parseLength(const std::string &text, int64_t &length) {
  char *end;
  errno = 0;
  length = std::strtoll(text.c_str(), &end, 10);
  return !text.empty() && !*end && !errno && length >= 0 && length <= INT32_MAX;
}

std::array<int64_t, 4> biasExtentsOf(const CallShape &shape, const std::string &axes) {
  const int64_t full[] = {shape[0], shape[1], shape[3], shape[4]};
  std::array<int64_t, 4> extents{};
  for (size_t axis = 0; axis < 4; ++axis)
    extents[axis] = axes.find("bhqk"[axis]) != std::string::npos ? full[axis] : 1;
  return extents;
}

std::string readBias(const std::string &path, const CallShape &shape, MaskInputs &inputs) {
  NpyArray array;
  std::string wrong = readNpy(path, array);
  if (!wrong.empty())
    return wrong;
  const std::array<int64_t, 4> full = biasExtentsOf(shape, "bhqk");
  bool fits = array.shape.size() == 4 && array.type == typeNames[inputs.biasType];
  for (size_t axis = 0; fits && axis < 4; ++axis)
    fits = array.shape[axis] == 1 || array.shape[axis] == full[axis];
  if (!fits)
    return "'" + path + "' must hold a bias of type " + typeNames[inputs.biasType] +
           " with extents 1 or " + std::to_string(full[0]) + "×" + std::to_string(full[1]) + "×" +
           std::to_string(full[2]) + "×" + std::to_string(full[3]);
  std::copy(array.shape.begin(), array.shape.end(), inputs.biasExtents.begin());
  inputs.bias.assign(array.bytes.begin(), array.bytes.end());
  return {};
}

void drawBias(uint64_t seed, MaskInputs &inputs) {
  Random random(seed, biasStream);
  int64_t count = std::accumulate(inputs.biasExtents.begin(), inputs.biasExtents.end(), int64_t(1),
                                  std::multiplies<>());
  size_t bytes = getElementBytes(inputs.biasType);
  inputs.bias.resize(size_t(count) * bytes);
  for (int64_t i = 0; i < count; ++i) {
    uint8_t *place = inputs.bias.data() + size_t(i) * bytes;
    if (inputs.biasType == SAGE_BOOL) {
      *place = random.uniform(uint64_t(i)) >= 0.125;
      continue;
    }
    float value = float(random.normal(uint64_t(i)));
    if (inputs.biasType == SAGE_F32) {
      std::memcpy(place, &value, 4);
    } else {
      uint16_t bits = runtime::encodeElement(inputs.biasType, value);
      std::memcpy(place, &bits, 2);
    }
  }
}

std::string makeKeyLengths(const CallShape &shape, const MaskChoice &choice, uint64_t seed,
                           MaskInputs &inputs) {
  Random random(seed, lengthStream);
  for (int64_t b = 0; b < shape[0] && !choice.keyLengths; ++b)
    inputs.keyLengths.push_back(int32_t(random.uniform(uint64_t(b)) * double(shape[4] + 1)));
  if (!choice.keyLengths)
    return {};
  if (int64_t(choice.keyLengths->size()) != shape[0])
    return "there must be " + std::to_string(shape[0]) +
           " key lengths, one for each batch entry, "
           "but got " +
           std::to_string(choice.keyLengths->size());
  for (int64_t length : *choice.keyLengths) {
    if (length > shape[4])
      return "key lengths must be at most " + std::to_string(shape[4]) + ", but got " +
             std::to_string(length);
    inputs.keyLengths.push_back(int32_t(length));
  }
  return {};
}

/// Offsets 0 ≤ … ≤ total of `parts` random sequences.
std::vector<int32_t> drawOffsets(uint64_t seed, uint64_t first, int64_t parts, int64_t total) {
  Random random(seed, sequenceStream);
  std::vector<int32_t> offsets = {0};
  if (parts > 0)
    offsets.push_back(int32_t(total));
  for (int64_t i = 1; i < parts; ++i)
    offsets.push_back(int32_t(random.uniform(first + uint64_t(i)) * double(total + 1)));
  std::sort(offsets.begin(), offsets.end());
  return offsets;
}

std::string makeSequences(const CallShape &shape, const MaskChoice &choice, uint64_t seed,
                          MaskInputs &inputs) {
  if (shape[0] != 1)
    return "the batch must be 1 with packed sequences, but got " + std::to_string(shape[0]);
  if (!choice.sequences) {
    int64_t parts = choice.drawnSequences;
    inputs.queryOffsets = drawOffsets(seed, 0, parts, shape[3]);
    inputs.keyOffsets = drawOffsets(seed, uint64_t(parts), parts, shape[4]);
    return {};
  }
  int64_t queries = 0, keys = 0;
  inputs.queryOffsets = inputs.keyOffsets = {0};
  for (const SequenceLengths &sequence : *choice.sequences) {
    inputs.queryOffsets.push_back(int32_t(queries += sequence.queries));
    inputs.keyOffsets.push_back(int32_t(keys += sequence.keys));
  }
  if (queries > shape[3] || keys > shape[4])
    return "sequences must have at most " + std::to_string(shape[3]) + " queries and " +
           std::to_string(shape[4]) + " keys together, but have " + std::to_string(queries) +
           " and " + std::to_string(keys);
  return {};
}

std::string makeSinks(const CallShape &shape, const MaskChoice &choice, uint64_t seed,
                      MaskInputs &inputs) {
  if (choice.sinks) {
    inputs.sinks = *choice.sinks;
    if (int64_t(inputs.sinks.size()) != shape[1])
      return "there must be " + std::to_string(shape[1]) +
             " sinks, one for each query head, but "
             "got " +
             std::to_string(inputs.sinks.size());
    return {};
  }
  Random random(seed, sinkStream);
  for (int64_t h = 0; h < shape[1]; ++h)
    inputs.sinks.push_back(float(random.normal(uint64_t(h))));
  return {};
}

} // namespace

size_t getElementBytes(sage_element_type type) {
  return type == SAGE_BOOL ? 1 : type == SAGE_F32 ? 4 : 2;
}

MaskInputs::Addresses MaskInputs::here() const {
  auto of = [](const auto &elements) -> const void * {
    return elements.empty() ? nullptr : elements.data();
  };
  return {of(bias), of(keyLengths), of(sinks), of(queryOffsets), of(keyOffsets)};
}

void MaskInputs::addTo(sage_call &call, const Addresses &at) const {
  if (biasExtents[0] + biasExtents[1] + biasExtents[2] + biasExtents[3] != 0) {
    call.bias = {const_cast<void *>(at.bias), {}, {}, biasType};
    int64_t stride = 1;
    for (size_t axis = 4; axis-- > 0; stride *= biasExtents[axis]) {
      call.bias.extents[axis] = biasExtents[axis];
      call.bias.strides[axis] = stride;
    }
  }
  call.key_lengths = static_cast<const int32_t *>(at.keyLengths);
  call.sinks = static_cast<const float *>(at.sinks);
  call.query_offsets = static_cast<const int32_t *>(at.queryOffsets);
  call.key_offsets = static_cast<const int32_t *>(at.keyOffsets);
  call.sequences = queryOffsets.empty() ? 0 : int64_t(queryOffsets.size()) - 1;
}

std::string makeMaskInputs(const sage_problem &problem, const CallShape &shape,
                           const MaskChoice &choice, uint64_t seed, MaskInputs &inputs) {
  inputs = {};
  std::string wrong;
  if (problem.has_bias) {
    inputs.biasType = problem.bias_type;
    inputs.biasExtents = biasExtentsOf(shape, choice.biasAxes);
    if (choice.biasFile.empty())
      drawBias(seed, inputs);
    else
      wrong = readBias(choice.biasFile, shape, inputs);
  }
  if (wrong.empty() && problem.key_lengths)
    wrong = makeKeyLengths(shape, choice, seed, inputs);
  if (wrong.empty() && problem.packed)
    wrong = makeSequences(shape, choice, seed, inputs);
  if (wrong.empty() && problem.sinks)
    wrong = makeSinks(shape, choice, seed, inputs);
  return wrong;
}

std::string parseLengths(const std::string &text, std::vector<int64_t> &lengths) {
  lengths.clear();
  for (const std::string &part : split(text)) {
    lengths.emplace_back();
    if (!parseLength(part, lengths.back()))
      return "integers of at least 0, separated by commas";
  }
  return lengths.empty() ? "integers of at least 0, separated by commas" : "";
}

std::string parseSequences(const std::string &text, std::vector<SequenceLengths> &sequences) {
  const std::string wanted = "QUERIES:KEYS or TOKENS for each sequence, separated by commas";
  sequences.clear();
  for (const std::string &part : split(text)) {
    size_t colon = part.find(':');
    SequenceLengths lengths;
    if (!parseLength(part.substr(0, colon), lengths.queries))
      return wanted;
    lengths.keys = lengths.queries;
    if (colon != std::string::npos && !parseLength(part.substr(colon + 1), lengths.keys))
      return wanted;
    sequences.push_back(lengths);
  }
  return sequences.empty() ? wanted : "";
}

std::string parseSinks(const std::string &text, std::vector<float> &sinks) {
  sinks.clear();
  for (const std::string &part : split(text)) {
    char *end;
    sinks.push_back(std::strtof(part.c_str(), &end));
    if (part.empty() || *end)
      return "numbers, separated by commas";
  }
  return sinks.empty() ? "numbers, separated by commas" : "";
}

std::string parseBiasAxes(const std::string &text, std::string &axes) {
  axes = text == "none" ? "" : text;
  bool known = !text.empty() && axes.find_first_not_of("bhqk") == std::string::npos;
  return known ? "" : "none, or some of the letters b, h, q and k";
}

} // namespace sage::evaluation
