//===- Tensors.cpp - inputs and outputs of one run ------------------------===//
#include "Tensors.h"

#include "FloatFormats.h"
#include "HostTensor.h"
#include "Npy.h"

#include <cstring>
#include <tuple>

namespace sage::run {
namespace {

std::string readTensor(const std::string &path, sage_element_type type, int64_t headDim,
                       evaluation::NpyArray &array, std::vector<uint16_t> &elements) {
  std::string wrong = evaluation::readNpy(path, array);
  if (!wrong.empty())
    return wrong;
  if (array.shape.size() != 4 || array.shape[3] != headDim)
    return "'" + path + "' must have shape B×H×N×" + std::to_string(headDim);
  auto load = [&](auto zero, int64_t i) {
    std::memcpy(&zero, array.bytes.data() + size_t(i) * sizeof(zero), sizeof(zero));
    return zero;
  };
  if (array.type == "|b1")
    return "'" + path + "' must hold floats, but holds booleans";
  elements.resize(size_t(array.elements()));
  for (int64_t i = 0; i < array.elements(); ++i) {
    float value = array.type == "<f4"   ? load(0.0f, i)
                  : array.type == "<f8" ? float(load(0.0, i))
                  : array.type == "<f2" ? runtime::f16ToFloat(load(uint16_t(0), i))
                                        : runtime::bf16ToFloat(load(uint16_t(0), i));
    elements[size_t(i)] = runtime::encodeElement(type, value);
  }
  return {};
}

std::string readTensors(const sage_problem &problem, const Options &options,
                        gpu::HostInputs &tensors) {
  evaluation::NpyArray query, key, value;
  for (auto [path, dims, array, elements] :
       {std::tuple(&options.query, problem.head_dim, &query, &tensors.query),
        std::tuple(&options.key, problem.head_dim, &key, &tensors.key),
        std::tuple(&options.value, problem.value_head_dim, &value, &tensors.value)}) {
    std::string wrong = readTensor(*path, problem.element_type, dims, *array, *elements);
    if (!wrong.empty())
      return wrong;
  }
  bool fits = key.shape[0] == query.shape[0];
  for (size_t axis = 0; axis < 3; ++axis)
    fits &= value.shape[axis] == key.shape[axis];
  if (!fits)
    return "the shapes of query, key and value do not fit together";
  tensors.shape = {query.shape[0], query.shape[1], key.shape[1], query.shape[2], key.shape[2]};
  return {};
}

gpu::Shape chooseShape(const sage_problem &problem, const Options &options) {
  std::array<int64_t, 5> shape = {1, 8, 8, 1024, 1024};
  for (size_t i = 0; i < 5; ++i)
    if (problem.shape[i] >= 0)
      shape[i] = problem.shape[i];
  if (options.shape)
    shape = *options.shape;
  // Without a shape, the sequences say how many tokens there are.
  if (!options.shape && options.operands.sequences) {
    shape[3] = shape[4] = 0;
    for (const evaluation::SequenceLengths &sequence : *options.operands.sequences) {
      shape[3] += sequence.queries;
      shape[4] += sequence.keys;
    }
  }
  if (!options.shape && options.operands.keyLengths && problem.shape[0] < 0)
    shape[0] = int64_t(options.operands.keyLengths->size());
  return {shape[0], shape[1], shape[2], shape[3], shape[4]};
}

} // namespace

std::string makeTensors(const sage_problem &problem, const Options &options,
                        gpu::HostInputs &tensors) {
  if (options.query.empty())
    return gpu::makeInputs(problem, chooseShape(problem, options),
                           {options.inputs, options.seed, options.operands}, tensors);
  tensors = {{}, problem.head_dim, problem.value_head_dim, problem.element_type, {}, {}, {}, {}};
  if (std::string wrong = readTensors(problem, options, tensors); !wrong.empty())
    return wrong;
  const gpu::Shape &shape = tensors.shape;
  return evaluation::makeMaskInputs(
      problem, {shape.batch, shape.queryHeads, shape.keyHeads, shape.queries, shape.keys},
      options.operands, options.seed, tensors.operands);
}

std::vector<double> outputAsDouble(const gpu::HostInputs &tensors,
                                   const std::vector<uint16_t> &output) {
  std::vector<double> result;
  result.reserve(output.size());
  for (uint16_t bits : output)
    result.push_back(runtime::decodeElement(tensors.type, bits));
  return result;
}

std::string writeResults(const gpu::HostInputs &tensors, const Options &options,
                         const std::vector<uint16_t> &output, const std::vector<float> &lse) {
  auto bytesOf = [](const auto &elements) {
    return std::string(reinterpret_cast<const char *>(elements.data()),
                       elements.size() * sizeof(elements[0]));
  };
  std::vector<int64_t> shape = {tensors.shape.batch, tensors.shape.queryHeads,
                                tensors.shape.queries};
  if (!options.lse.empty()) {
    std::string wrong = evaluation::writeNpy(options.lse, {"<f4", shape, bytesOf(lse)});
    if (!wrong.empty())
      return wrong;
  }
  if (options.output.empty())
    return {};
  shape.push_back(tensors.valueHeadDim);
  const char *type = tensors.type == SAGE_F16 ? "<f2" : "<u2";
  return evaluation::writeNpy(options.output, {type, shape, bytesOf(output)});
}

} // namespace sage::run
