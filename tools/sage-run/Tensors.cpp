//===- Tensors.cpp - inputs and outputs of one run ------------------------===//
#include "Tensors.h"

#include "FloatFormats.h"
#include "HostTensor.h"
#include "Npy.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace sage::run {
namespace {

/// Between head-major and the problem's layout, B×H×N×D both ways.
std::vector<uint16_t> permuted(const std::vector<uint16_t> &from, sage_layout layout, bool toLayout,
                               int64_t batch, int64_t heads, int64_t tokens, int64_t dims) {
  if (layout == SAGE_HEAD_MAJOR)
    return from;
  std::vector<uint16_t> to(from.size());
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t n = 0; n < tokens; ++n) {
        int64_t headMajor = ((b * heads + h) * tokens + n) * dims;
        int64_t tokenMajor = ((b * tokens + n) * heads + h) * dims;
        int64_t source = toLayout ? headMajor : tokenMajor;
        int64_t target = toLayout ? tokenMajor : headMajor;
        std::copy_n(from.begin() + source, dims, to.begin() + target);
      }
  return to;
}

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

std::string readTensors(const Options &options, Tensors &tensors) {
  evaluation::NpyArray query, key, value;
  const sage_problem &problem = tensors.problem;
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
  tensors.batch = query.shape[0];
  tensors.queryHeads = query.shape[1];
  tensors.queries = query.shape[2];
  tensors.keyHeads = key.shape[1];
  tensors.keys = key.shape[2];
  return {};
}

void makeRandom(const Options &options, Tensors &tensors) {
  const sage_problem &problem = tensors.problem;
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
  tensors.batch = shape[0];
  tensors.queryHeads = shape[1];
  tensors.keyHeads = shape[2];
  tensors.queries = shape[3];
  tensors.keys = shape[4];
  auto make = [&](evaluation::InputTensor tensor, int64_t heads, int64_t tokens, int64_t dims) {
    return evaluation::makeInput(options.inputs, options.seed, tensor, problem.element_type,
                                 shape[0], heads, tokens, dims);
  };
  using evaluation::InputTensor;
  tensors.query = make(InputTensor::Query, shape[1], shape[3], problem.head_dim);
  tensors.key = make(InputTensor::Key, shape[2], shape[4], problem.head_dim);
  tensors.value = make(InputTensor::Value, shape[2], shape[4], problem.value_head_dim);
}

} // namespace

sage_call Tensors::callOn(void *queryData, void *keyData, void *valueData, void *outputData,
                          float *lse) const {
  auto dense = [&](void *data, int64_t heads, int64_t tokens, int64_t dims) {
    return sage_tensor_dense(data, problem.layout, problem.element_type, batch, heads, tokens,
                             dims);
  };
  sage_call call{};
  call.query = dense(queryData, queryHeads, queries, problem.head_dim);
  call.key = dense(keyData, keyHeads, keys, problem.head_dim);
  call.value = dense(valueData, keyHeads, keys, problem.value_head_dim);
  call.output = dense(outputData, queryHeads, queries, problem.value_head_dim);
  call.lse = lse;
  operands.addTo(call);
  return call;
}

std::string makeTensors(const sage_problem &problem, const Options &options, Tensors &tensors) {
  tensors.problem = problem;
  if (options.query.empty()) {
    makeRandom(options, tensors);
  } else {
    std::string wrong = readTensors(options, tensors);
    if (!wrong.empty())
      return wrong;
  }
  auto arrange = [&](std::vector<uint16_t> &elements, int64_t heads, int64_t tokens, int64_t dims) {
    elements = permuted(elements, problem.layout, true, tensors.batch, heads, tokens, dims);
  };
  arrange(tensors.query, tensors.queryHeads, tensors.queries, problem.head_dim);
  arrange(tensors.key, tensors.keyHeads, tensors.keys, problem.head_dim);
  arrange(tensors.value, tensors.keyHeads, tensors.keys, problem.value_head_dim);
  return evaluation::makeMaskInputs(
      problem, {tensors.batch, tensors.queryHeads, tensors.keyHeads, tensors.queries, tensors.keys},
      options.operands, options.seed, tensors.operands);
}

static std::vector<uint16_t> headMajorOutput(const Tensors &tensors,
                                             const std::vector<uint16_t> &output) {
  return permuted(output, tensors.problem.layout, false, tensors.batch, tensors.queryHeads,
                  tensors.queries, tensors.problem.value_head_dim);
}

std::vector<double> outputAsDouble(const Tensors &tensors, const std::vector<uint16_t> &output) {
  std::vector<double> result;
  result.reserve(output.size());
  for (uint16_t bits : headMajorOutput(tensors, output))
    result.push_back(runtime::decodeElement(tensors.problem.element_type, bits));
  return result;
}

std::string writeResults(const Tensors &tensors, const Options &options,
                         const std::vector<uint16_t> &output, const std::vector<float> &lse) {
  auto bytesOf = [](const auto &elements) {
    return std::string(reinterpret_cast<const char *>(elements.data()),
                       elements.size() * sizeof(elements[0]));
  };
  std::vector<int64_t> shape = {tensors.batch, tensors.queryHeads, tensors.queries};
  if (!options.lse.empty()) {
    std::string wrong = evaluation::writeNpy(options.lse, {"<f4", shape, bytesOf(lse)});
    if (!wrong.empty())
      return wrong;
  }
  if (options.output.empty())
    return {};
  shape.push_back(tensors.problem.value_head_dim);
  const char *type = tensors.problem.element_type == SAGE_F16 ? "<f2" : "<u2";
  return evaluation::writeNpy(options.output,
                              {type, shape, bytesOf(headMajorOutput(tensors, output))});
}

} // namespace sage::run
