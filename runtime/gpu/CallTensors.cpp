//===- CallTensors.cpp - inputs and outputs of one launch -----------------===//
#include "CallTensors.h"

#include "HostTensor.h"
#include "LoadedArtifact.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace sage::gpu {
namespace {

using namespace sage::runtime;

constexpr uint16_t poisonElement = 0xffff;
constexpr uint32_t poisonFloat = 0xffffffff;

/// Makes tokens `first` to the last of a batch entry NaN.
void poisonTokens(const Shape &shape, int64_t batch, int64_t first, int64_t dims,
                  std::vector<uint16_t> &tensor) {
  for (int64_t head = batch * shape.keyHeads; head < (batch + 1) * shape.keyHeads; ++head)
    std::fill(tensor.begin() + (head * shape.keys + first) * dims,
              tensor.begin() + (head + 1) * shape.keys * dims, poisonElement);
}

void poisonPadding(HostInputs &inputs) {
  const evaluation::MaskInputs &operands = inputs.operands;
  for (auto [tensor, dims] :
       {std::pair(&inputs.key, inputs.headDim), std::pair(&inputs.value, inputs.valueHeadDim)}) {
    for (size_t b = 0; b < operands.keyLengths.size(); ++b)
      poisonTokens(inputs.shape, int64_t(b), operands.keyLengths[b], dims, *tensor);
    if (!operands.keyOffsets.empty())
      poisonTokens(inputs.shape, 0, operands.keyOffsets.back(), dims, *tensor);
  }
}

} // namespace

std::string Shape::text() const {
  return "B" + std::to_string(batch) + " H" + std::to_string(queryHeads) + "/" +
         std::to_string(keyHeads) + " " + std::to_string(queries) + "x" + std::to_string(keys);
}

sage_call HostInputs::call(uint16_t *output, float *lse) const {
  auto dense = [&](const uint16_t *data, int64_t heads, int64_t tokens, int64_t dims) {
    return sage_tensor_dense(const_cast<uint16_t *>(data), SAGE_HEAD_MAJOR, type, shape.batch,
                             heads, tokens, dims);
  };
  sage_call call{};
  call.query = dense(query.data(), shape.queryHeads, shape.queries, headDim);
  call.key = dense(key.data(), shape.keyHeads, shape.keys, headDim);
  call.value = dense(value.data(), shape.keyHeads, shape.keys, valueHeadDim);
  call.output = dense(output, shape.queryHeads, shape.queries, valueHeadDim);
  call.lse = lse;
  operands.addTo(call);
  return call;
}

int64_t HostInputs::unownedRows() const {
  if (operands.queryOffsets.empty())
    return 0;
  int64_t owned = operands.queryOffsets.back() - operands.queryOffsets.front();
  return shape.queryHeads * (shape.queries - owned);
}

std::string makeInputs(const sage_problem &problem, const Shape &shape, const InputChoice &choice,
                       HostInputs &inputs) {
  inputs = {shape, problem.head_dim, problem.value_head_dim, problem.element_type, {}, {}, {}, {}};
  auto draw = [&](evaluation::InputTensor tensor, int64_t heads, int64_t tokens, int64_t dims) {
    return evaluation::makeInput(choice.distribution, choice.seed, tensor, problem.element_type,
                                 shape.batch, heads, tokens, dims);
  };
  using evaluation::InputTensor;
  inputs.query = draw(InputTensor::Query, shape.queryHeads, shape.queries, problem.head_dim);
  inputs.key = draw(InputTensor::Key, shape.keyHeads, shape.keys, problem.head_dim);
  inputs.value = draw(InputTensor::Value, shape.keyHeads, shape.keys, problem.value_head_dim);
  std::string wrong = evaluation::makeMaskInputs(
      problem, {shape.batch, shape.queryHeads, shape.keyHeads, shape.queries, shape.keys},
      choice.operands, choice.seed, inputs.operands);
  if (wrong.empty())
    poisonPadding(inputs);
  return wrong;
}

std::string TensorView::create(const std::string &name, const Shape &shape, bool isQuery,
                               int64_t headDim, TensorView &view) {
  int64_t heads = isQuery ? shape.queryHeads : shape.keyHeads;
  int64_t tokens = isQuery ? shape.queries : shape.keys;
  sage_tensor dense =
      sage_tensor_dense(nullptr, name == "token_major" ? SAGE_TOKEN_MAJOR : SAGE_HEAD_MAJOR,
                        SAGE_F16, shape.batch, heads, tokens, headDim);
  std::copy_n(dense.extents, 4, view.extents);
  std::copy_n(dense.strides, 4, view.strides);
  if (name == "padded") {
    view.strides[2] = headDim + 8;
    view.strides[1] = tokens * view.strides[2] + 24;
    view.strides[0] = heads * view.strides[1] + 40;
  } else if (name == "odd") {
    view.strides[2] = headDim + 1;
    view.strides[1] = tokens * view.strides[2] + 3;
    view.strides[0] = heads * view.strides[1] + 5;
    view.first = 1;
  } else if (name == "far") {
    // Heads lie beside each other inside a token.
    view.strides[2] = int64_t(1) << 24;
    view.strides[1] = headDim;
    view.strides[0] = heads * headDim;
  } else if (name != "head_major" && name != "token_major") {
    return "unknown view '" + name + "'";
  }
  bool isEmpty = view.rows() == 0;
  view.span = isEmpty ? 0 : view.first + headDim;
  for (int axis = 0; axis < 3 && !isEmpty; ++axis)
    view.span += (view.extents[axis] - 1) * view.strides[axis];
  return "";
}

sage_tensor TensorView::on(void *data, sage_element_type type) const {
  sage_tensor tensor{data ? static_cast<uint16_t *>(data) + first : nullptr, {}, {}, type};
  std::copy_n(extents, 4, tensor.extents);
  std::copy_n(strides, 4, tensor.strides);
  return tensor;
}

int64_t TensorView::rowOffset(int64_t row) const {
  int64_t token = row % extents[2], head = row / extents[2] % extents[1];
  int64_t batch = row / extents[2] / extents[1];
  return first + batch * strides[0] + head * strides[1] + token * strides[2];
}

Status DeviceTensors::uploadTensor(Buffer &buffer, const TensorView &view,
                                   const std::vector<uint16_t> &dense) {
  if (device.isStub)
    return {};
  int64_t dims = view.extents[3];
  size_t rowBytes = size_t(dims) * 2;
  if (view.isSparse()) {
    for (int64_t row = 0; row < view.rows(); ++row)
      SAGE_RETURN_IF_ERROR(
          buffer.upload(dense.data() + row * dims, rowBytes, size_t(view.rowOffset(row)) * 2));
    return {};
  }
  if (view.span == int64_t(dense.size()) && view.strides[1] >= view.strides[2])
    return buffer.upload(dense.data(), dense.size() * 2);
  // NaN in the gaps: a kernel that reads them shows.
  std::vector<uint16_t> image(size_t(view.span), poisonElement);
  for (int64_t row = 0; row < view.rows(); ++row)
    std::copy_n(dense.begin() + row * dims, dims, image.begin() + view.rowOffset(row));
  return buffer.upload(image.data(), image.size() * 2);
}

Status DeviceTensors::create(const sage_artifact *artifact, const HostInputs &inputs,
                             const std::string &view, bool withLse) {
  hasLse = withLse;
  for (auto [isQuery, dims, result] :
       {std::tuple(true, inputs.headDim, &queryView), std::tuple(false, inputs.headDim, &keyView),
        std::tuple(false, inputs.valueHeadDim, &valueView),
        std::tuple(true, inputs.valueHeadDim, &outputView)})
    if (std::string wrong = TensorView::create(view, inputs.shape, isQuery, dims, *result);
        !wrong.empty())
      return invalidArgument(wrong);
  for (auto [buffer, tensor] : {std::pair(&query, &queryView), std::pair(&key, &keyView),
                                std::pair(&value, &valueView), std::pair(&output, &outputView)})
    SAGE_RETURN_IF_ERROR(buffer->allocate(size_t(tensor->span) * 2));
  SAGE_RETURN_IF_ERROR(lse.allocate(size_t(inputs.rows()) * 4));
  call = {};
  call.query = queryView.on(query.data(), inputs.type);
  call.key = keyView.on(key.data(), inputs.type);
  call.value = valueView.on(value.data(), inputs.type);
  call.output = outputView.on(output.data(), inputs.type);
  call.lse = hasLse ? static_cast<float *>(lse.data()) : nullptr;
  SAGE_RETURN_IF_ERROR(uploadOperands(inputs.operands));
  SAGE_RETURN_IF_ERROR(fromApi(sage_artifact_workspace_bytes(artifact, &call, &bytes)));
  SAGE_RETURN_IF_ERROR(workspace.allocate(size_t(bytes)));
  SAGE_RETURN_IF_ERROR(uploadInputs(inputs));
  return device.synchronize();
}

Status DeviceTensors::uploadOperands(const evaluation::MaskInputs &operands) {
  auto place = [&](Buffer &buffer, const auto &elements) -> Status {
    size_t bytes = elements.size() * sizeof(elements[0]);
    SAGE_RETURN_IF_ERROR(buffer.allocate(bytes));
    return device.isStub || bytes == 0 ? Status() : buffer.upload(elements.data(), bytes);
  };
  SAGE_RETURN_IF_ERROR(place(bias, operands.bias));
  SAGE_RETURN_IF_ERROR(place(keyLengths, operands.keyLengths));
  SAGE_RETURN_IF_ERROR(place(sinks, operands.sinks));
  SAGE_RETURN_IF_ERROR(place(queryOffsets, operands.queryOffsets));
  SAGE_RETURN_IF_ERROR(place(keyOffsets, operands.keyOffsets));
  auto addressOf = [](const Buffer &buffer, bool present) -> const void * {
    return present ? buffer.data() : nullptr;
  };
  operands.addTo(call, {addressOf(bias, !operands.bias.empty()),
                        addressOf(keyLengths, !operands.keyLengths.empty()),
                        addressOf(sinks, !operands.sinks.empty()),
                        addressOf(queryOffsets, !operands.queryOffsets.empty()),
                        addressOf(keyOffsets, !operands.keyOffsets.empty())});
  return {};
}

Status DeviceTensors::uploadInputs(const HostInputs &inputs) {
  SAGE_RETURN_IF_ERROR(uploadTensor(query, queryView, inputs.query));
  SAGE_RETURN_IF_ERROR(uploadTensor(key, keyView, inputs.key));
  SAGE_RETURN_IF_ERROR(uploadTensor(value, valueView, inputs.value));
  return device.synchronize();
}

Status DeviceTensors::poison() {
  for (Buffer *buffer : {&output, &lse, &workspace})
    SAGE_RETURN_IF_ERROR(buffer->poison());
  return device.synchronize();
}

Status DeviceTensors::launch(const sage_module *module, cuda::Stream stream,
                             const runtime::KernelSelection *only) const {
  return module->module.launch(call, stream, bytes ? workspace.data() : nullptr, bytes, only);
}

Status DeviceTensors::downloadOutput(Results &results) const {
  int64_t dims = outputView.extents[3];
  results.output.assign(size_t(outputView.rows() * dims), 0);
  if (outputView.isSparse()) {
    for (int64_t row = 0; row < outputView.rows(); ++row)
      SAGE_RETURN_IF_ERROR(output.download(results.output.data() + row * dims, size_t(dims) * 2,
                                           size_t(outputView.rowOffset(row)) * 2));
    return {};
  }
  std::vector<uint16_t> image(size_t(outputView.span));
  SAGE_RETURN_IF_ERROR(output.download(image.data(), image.size() * 2));
  for (int64_t row = 0; row < outputView.rows(); ++row) {
    auto from = image.begin() + outputView.rowOffset(row);
    std::copy_n(from, dims, results.output.begin() + row * dims);
    std::fill_n(from, dims, poisonElement);
  }
  results.gapsIntact &=
      std::all_of(image.begin(), image.end(), [](uint16_t bits) { return bits == poisonElement; });
  return {};
}

Status DeviceTensors::download(Results &results) const {
  results.unwritten = 0;
  results.gapsIntact = true;
  SAGE_RETURN_IF_ERROR(downloadOutput(results));
  results.lse.assign(hasLse ? lse.bytes() / 4 : 0, 0.0f);
  SAGE_RETURN_IF_ERROR(lse.download(results.lse.data(), results.lse.size() * 4));
  for (const Buffer *buffer : {&output, &lse, &workspace}) {
    bool intact;
    SAGE_RETURN_IF_ERROR(buffer->checkGuards(intact));
    results.gapsIntact &= intact;
  }
  results.unwritten += std::count(results.output.begin(), results.output.end(), poisonElement);
  for (float value : results.lse) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    results.unwritten += bits == poisonFloat;
  }
  return {};
}

} // namespace sage::gpu
