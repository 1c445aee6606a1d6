#include "Tensors.h"

#include "Npy.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"

#include <algorithm>

namespace sage::interpret {

/// Head-major to the problem's layout and back.
static std::vector<uint16_t> permute(const std::vector<uint16_t> &from, sage_layout layout,
                                     bool toLayout, int64_t batch, int64_t heads, int64_t tokens,
                                     int64_t dims) {
  if (layout == SAGE_HEAD_MAJOR)
    return from;
  std::vector<uint16_t> to(from.size());
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t h = 0; h < heads; ++h)
      for (int64_t n = 0; n < tokens; ++n) {
        int64_t headMajor = ((b * heads + h) * tokens + n) * dims;
        int64_t tokenMajor = ((b * tokens + n) * heads + h) * dims;
        std::copy_n(from.begin() + (toLayout ? headMajor : tokenMajor), dims,
                    to.begin() + (toLayout ? tokenMajor : headMajor));
      }
  return to;
}

void Tensors::makeRandom(evaluation::InputDistribution distribution, uint64_t seed) {
  auto make = [&](evaluation::InputTensor tensor, int64_t heads, int64_t tokens, int64_t dims) {
    std::vector<uint16_t> elements = evaluation::makeInput(
        distribution, seed, tensor, problem.element_type, shape[0], heads, tokens, dims);
    return permute(elements, problem.layout, true, shape[0], heads, tokens, dims);
  };
  using evaluation::InputTensor;
  query = make(InputTensor::Query, shape[1], shape[3], problem.head_dim);
  key = make(InputTensor::Key, shape[2], shape[4], problem.head_dim);
  value = make(InputTensor::Value, shape[2], shape[4], problem.value_head_dim);
}

std::string Tensors::read(const std::string &queryPath, const std::string &keyPath,
                          const std::string &valuePath) {
  const std::string *paths[] = {&queryPath, &keyPath, &valuePath};
  std::vector<uint16_t> *targets[] = {&query, &key, &value};
  evaluation::NpyArray arrays[3];
  const char *type = problem.element_type == SAGE_F16 ? "<f2" : "<u2";
  for (int i = 0; i < 3; ++i) {
    std::string wrong = evaluation::readNpy(*paths[i], arrays[i]);
    if (!wrong.empty())
      return wrong;
    int64_t dims = i == 2 ? problem.value_head_dim : problem.head_dim;
    const std::vector<int64_t> &extents = arrays[i].shape;
    if (arrays[i].type != type || extents.size() != 4 || extents[3] != dims)
      return "'" + *paths[i] + "' must hold B×H×N×" + std::to_string(dims) + " elements of type " +
             type;
    std::vector<uint16_t> elements(arrays[i].elements());
    std::copy_n(arrays[i].bytes.data(), arrays[i].bytes.size(),
                reinterpret_cast<char *>(elements.data()));
    *targets[i] = permute(elements, problem.layout, true, extents[0], extents[1], extents[2], dims);
  }
  const std::vector<int64_t> &q = arrays[0].shape, &k = arrays[1].shape, &v = arrays[2].shape;
  if (k[0] != q[0] || !std::equal(k.begin(), k.begin() + 3, v.begin()))
    return "the shapes of query, key and value do not fit together";
  shape = {q[0], q[1], k[1], q[2], k[2]};
  return {};
}

void Tensors::poisonOutputs() {
  output.assign(shape[0] * shape[1] * shape[3] * problem.value_head_dim, poison);
  lse.assign(shape[0] * shape[1] * shape[3], lsePoison);
}

template <typename T>
static std::string writeArray(const std::string &path, const char *type, std::vector<int64_t> shape,
                              const std::vector<T> &elements) {
  if (path.empty())
    return {};
  evaluation::NpyArray array{type, std::move(shape), {}};
  array.bytes.assign(reinterpret_cast<const char *>(elements.data()), elements.size() * sizeof(T));
  return evaluation::writeNpy(path, array);
}

std::string Tensors::write(const std::string &outputPath, const std::string &lsePath) const {
  std::string wrong = writeArray(
      outputPath, problem.element_type == SAGE_F16 ? "<f2" : "<u2",
      {shape[0], shape[1], shape[3], problem.value_head_dim},
      permute(output, problem.layout, false, shape[0], shape[1], shape[3], problem.value_head_dim));
  if (!wrong.empty())
    return wrong;
  return writeArray(lsePath, "<f4", {shape[0], shape[1], shape[3]}, lse);
}

sage_call Tensors::getCall(void *outputData, float *lseData) {
  auto dense = [&](void *data, int64_t heads, int64_t tokens, int64_t dims) {
    return sage_tensor_dense(data, problem.layout, problem.element_type, shape[0], heads, tokens,
                             dims);
  };
  sage_call call{};
  call.query = dense(query.data(), shape[1], shape[3], problem.head_dim);
  call.key = dense(key.data(), shape[2], shape[4], problem.head_dim);
  call.value = dense(value.data(), shape[2], shape[4], problem.value_head_dim);
  call.output = dense(outputData, shape[1], shape[3], problem.value_head_dim);
  call.lse = lseData;
  operands.addTo(call);
  return call;
}

llvm::StringMap<tile::DeviceBuffer> Tensors::getBuffers() {
  llvm::StringMap<tile::DeviceBuffer> buffers;
  auto add = [&](llvm::StringRef name, auto &elements) {
    buffers[name] = {reinterpret_cast<char *>(elements.data()),
                     static_cast<int64_t>(elements.size() * sizeof(elements[0]))};
  };
  add("query", query);
  add("key", key);
  add("value", value);
  add("output", output);
  add("lse", lse);
  add("bias", operands.bias);
  add("key_lengths", operands.keyLengths);
  add("sinks", operands.sinks);
  add("query_offsets", operands.queryOffsets);
  add("key_offsets", operands.keyOffsets);
  return buffers;
}

tile::ProblemInstance Tensors::getInstance(mlir::DictionaryAttr description) {
  tile::ProblemInstance instance =
      tile::ProblemInstance::getContiguous(shape, problem.head_dim, problem.value_head_dim,
                                           problem.layout == SAGE_TOKEN_MAJOR, problem.scale);
  auto set = [&](llvm::StringRef name, int64_t value) {
    llvm::ArrayRef<llvm::StringLiteral> names = tile::ProgramOp::getSymbolNames();
    instance.symbols[llvm::find(names, name) - names.begin()] = value;
  };
  sage_call call = getCall(nullptr, nullptr);
  set("S", call.sequences);
  constexpr llvm::StringLiteral strides[] = {"bias_b", "bias_h", "bias_q", "bias_k"};
  for (auto [axis, name] : llvm::enumerate(strides))
    set(name, call.bias.extents[axis] > 1 ? call.bias.strides[axis] : 0);
  // Spec N18; an expression that divides by zero is reported where the program names it.
  auto geometry = description.getAs<GeometryAttr>("geometry");
  if (geometry && !problem.packed)
    set("parts", geometry.countKeyParts(shape).value_or(0));
  return instance;
}

} // namespace sage::interpret
