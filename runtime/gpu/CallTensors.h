//===- CallTensors.h - inputs and outputs of one launch ---------*- C++ -*-===//
#ifndef SAGE_GPU_CALLTENSORS_H
#define SAGE_GPU_CALLTENSORS_H

#include "Device.h"
#include "InputDistribution.h"
#include "MaskInputs.h"
#include "Module.h"

namespace sage::gpu {

using evaluation::InputDistribution;

struct Shape {
  int64_t batch = 0, queryHeads = 0, keyHeads = 0, queries = 0, keys = 0;
  std::string text() const;
};

/// Dense B×H×N×D on the host.
struct HostInputs {
  Shape shape;
  int64_t headDim = 0, valueHeadDim = 0;
  sage_element_type type = SAGE_F16;
  std::vector<uint16_t> query, key, value;
  evaluation::MaskInputs operands;

  /// A call on these, head-major, with this output; for the reference.
  sage_call call(uint16_t *output, float *lse) const;
  /// Rows of O in no sequence, which nobody writes.
  int64_t unownedRows() const;
  int64_t rows() const { return shape.batch * shape.queryHeads * shape.queries; }
};

/// What is drawn; `operands` of those that the problem has.
struct InputChoice {
  InputDistribution distribution = InputDistribution::Normal;
  uint64_t seed = 0;
  evaluation::MaskChoice operands;
};

/// Keys and values behind a length, or in no sequence, are NaN: nobody may read them.
/// Returns an empty text, or what is wrong.
std::string makeInputs(const sage_problem &problem, const Shape &shape, const InputChoice &choice,
                       HostInputs &inputs);

/// How a logical B×H×N×D tensor lies in memory.
struct TensorView {
  int64_t extents[4] = {}, strides[4] = {};
  int64_t first = 0; ///< elements before the first one, which misalign it
  int64_t span = 0;  ///< elements from there on to the last

  /// `head_major`, `token_major`; `padded`: head-major, with gaps after tokens, heads
  /// and batches; `odd`: such gaps, but addresses and strides are multiples of one
  /// element only; `far`: tokens so far apart that offsets exceed 2^31 elements.
  static std::string create(const std::string &name, const Shape &shape, bool isQuery,
                            int64_t headDim, TensorView &view);
  sage_tensor on(void *data, sage_element_type type) const;
  int64_t rowOffset(int64_t row) const; ///< of a row in B×H×N order
  int64_t rows() const { return extents[0] * extents[1] * extents[2]; }
  /// Too large for an image on the host: rows are copied one by one.
  bool isSparse() const { return span > int64_t(1) << 30; }
};

/// The tensors of one launch in device memory. Every byte that no kernel has to write
/// is poison, and stays so.
class DeviceTensors {
public:
  DeviceTensors(const Device &device)
      : device(device), query(device), key(device), value(device), output(device), lse(device),
        workspace(device), bias(device), keyLengths(device), sinks(device), queryOffsets(device),
        keyOffsets(device) {}

  /// `view` as in TensorView.
  Status create(const sage_artifact *artifact, const HostInputs &inputs, const std::string &view,
                bool hasLse);
  /// Output, LSE and workspace become poison again.
  Status poison();
  Status uploadInputs(const HostInputs &inputs);
  /// Of the program's kernels those that `only` names, or all.
  Status launch(const sage_module *module, cuda::Stream stream,
                const runtime::KernelSelection *only = nullptr) const;

  struct Results {
    std::vector<uint16_t> output; ///< dense B×H×N×D
    std::vector<float> lse;
    int64_t unwritten = 0;  ///< elements of O and LSE that are still poison
    bool gapsIntact = true; ///< nothing was written around the outputs
  };
  Status download(Results &results) const;
  uint64_t workspaceBytes() const { return bytes; }
  const Buffer &workspaceBuffer() const { return workspace; }
  const sage_call &deviceCall() const { return call; }

private:
  Status uploadOperands(const evaluation::MaskInputs &operands);
  Status uploadTensor(Buffer &buffer, const TensorView &view, const std::vector<uint16_t> &dense);
  Status downloadOutput(Results &results) const;

  const Device &device;
  TensorView queryView, keyView, valueView, outputView;
  Buffer query, key, value, output, lse, workspace;
  Buffer bias, keyLengths, sinks, queryOffsets, keyOffsets;
  sage_call call{};
  uint64_t bytes = 0;
  bool hasLse = false;
};

} // namespace sage::gpu

#endif
