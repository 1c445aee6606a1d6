//===- CaseInputs.cpp - inputs of a case, edited by hand ------------------===//
#include "Bundle.h"

#include "HostTensor.h"
#include "Npy.h"

#include <algorithm>
#include <cstring>

namespace sage::gpu {
namespace {

using namespace sage::runtime;

void fillTokens(std::vector<uint16_t> &tensor, int64_t heads, int64_t tokens, int64_t dims,
                int64_t count, uint16_t bits) {
  for (int64_t head = 0; head < heads; ++head)
    std::fill_n(tensor.begin() + head * tokens * dims, std::min(count, tokens) * dims, bits);
}

std::string editInputs(const std::string &edit, HostInputs &inputs) {
  const Shape &shape = inputs.shape;
  int64_t dims = inputs.headDim;
  bool isF16 = inputs.type == SAGE_F16;
  if (edit.empty())
    return "";
  if (edit == "zero-channel") {
    for (size_t i = 5; i < inputs.value.size(); i += size_t(inputs.valueHeadDim))
      inputs.value[i] = 0;
  } else if (edit == "zero-groups") {
    fillTokens(inputs.query, shape.batch * shape.queryHeads, shape.queries, dims, 16, 0);
    fillTokens(inputs.key, shape.batch * shape.keyHeads, shape.keys, dims, 256, 0);
  } else if (edit == "nan-key" && !inputs.key.empty()) {
    inputs.key[7] = isF16 ? 0x7e00 : 0x7fc0;
  } else if (edit == "inf-query" && !inputs.query.empty()) {
    inputs.query[9] = isF16 ? 0x7c00 : 0x7f80;
  } else if (edit == "large-value") {
    for (uint16_t &bits : inputs.value)
      bits = encodeElement(inputs.type, 1024 * decodeElement(inputs.type, bits));
  } else {
    return "unknown edit '" + edit + "'";
  }
  return "";
}

std::string readFile(const std::string &path, sage_element_type type, int64_t dims,
                     std::vector<uint16_t> &elements) {
  evaluation::NpyArray array;
  if (std::string wrong = evaluation::readNpy(path, array); !wrong.empty())
    return wrong;
  if (type != SAGE_F16 || array.shape.back() != dims)
    return "'" + path + "' is for float16 of head dim " + std::to_string(array.shape.back()) +
           ", but the artifact is not; leave it out by --filter";
  if (size_t(array.elements()) != elements.size())
    return "'" + path + "' has changed";
  std::memcpy(elements.data(), array.bytes.data(), elements.size() * sizeof(uint16_t));
  return "";
}

std::string readInputs(const std::string &prefix, const sage_problem &problem, HostInputs &inputs) {
  if (problem.key_lengths || problem.packed)
    return "'" + prefix +
           "' has one length, but the artifact takes several; leave it out by "
           "--filter";
  std::string wrong =
      readFile(prefix + "-q.npy", problem.element_type, problem.head_dim, inputs.query);
  if (wrong.empty())
    wrong = readFile(prefix + "-k.npy", problem.element_type, problem.head_dim, inputs.key);
  if (wrong.empty())
    wrong = readFile(prefix + "-v.npy", problem.element_type, problem.value_head_dim, inputs.value);
  return wrong;
}

} // namespace

std::string makeInputs(const Case &from, const sage_problem &problem, uint64_t seed,
                       HostInputs &inputs) {
  std::string wrong =
      makeInputs(problem, from.shape, {from.distribution, seed, from.operands}, inputs);
  if (wrong.empty() && !from.files.empty())
    wrong = readInputs(from.files, problem, inputs);
  return wrong.empty() ? editInputs(from.edit, inputs) : wrong;
}

} // namespace sage::gpu
