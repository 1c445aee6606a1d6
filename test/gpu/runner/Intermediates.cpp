//===- Intermediates.cpp - the workspace against the reference ------------===//
// The slices that convert-sage-to-sage-tile writes: heads one after the other, tokens
// padded to whole tiles. A slice's size gives the padding. Padding inside the last
// tile must be 0; what lies behind it is never read, and still poison.
//===----------------------------------------------------------------------===//
#include "ArtifactHandle.h"
#include "CallCheck.h"
#include "Session.h"
#include "Workspace.h"

#include <cstring>

namespace sage::gpu {
namespace {

using namespace sage::runtime;

/// The workspace after a launch, with its slices by name.
class Slices {
public:
  Status read(const LoadedArtifact &loaded, const DeviceTensors &tensors) {
    artifact = loaded.artifact->artifact.get();
    SymbolValues symbols;
    SAGE_RETURN_IF_ERROR(
        checkCallOfArtifact(*artifact, tensors.deviceCall(), CallUse::Launch, symbols));
    SAGE_RETURN_IF_ERROR(WorkspaceLayout::create(*artifact, symbols, layout));
    for (const WorkspaceSlice &slice : artifact->workspace) {
      int64_t size;
      SAGE_RETURN_IF_ERROR(slice.bytes.evaluate(symbols, size));
      sizes.push_back(size);
    }
    bytes.resize(tensors.workspaceBytes());
    return tensors.workspaceBuffer().download(bytes.data(), bytes.size());
  }

  /// Null if the program has no such slice.
  const uint8_t *find(const char *name, int64_t &size) const {
    for (size_t i = 0; i < sizes.size(); ++i)
      if (artifact->workspace[i].name == name) {
        size = sizes[i];
        return bytes.data() + layout.offsets[i];
      }
    return nullptr;
  }

private:
  const Artifact *artifact = nullptr;
  WorkspaceLayout layout;
  std::vector<int64_t> sizes;
  std::vector<uint8_t> bytes;
};

/// Compares rows of `rowBytes`; a slice may hold more bytes a row than that.
class Comparer {
public:
  Comparer(const Slices &slices, std::string &difference)
      : slices(slices), difference(difference) {}

  /// `rows` rows in `name`, of equal distance; `expected` has them densely. After
  /// each row, `zeroBytes` more must be 0.
  void rows(const char *name, int64_t rows, int64_t rowBytes, const void *expected,
            int64_t zeroBytes = 0) {
    if (rows == 0)
      return;
    int64_t size = 0;
    const uint8_t *slice = slices.find(name, size);
    if (!slice)
      return report(name, "is missing");
    int64_t pitch = size / rows;
    if (size % rows != 0 || pitch < rowBytes + zeroBytes)
      return report(name,
                    text("has ", size, " bytes for ", rows, " rows of ", rowBytes + zeroBytes));
    const uint8_t *wanted = static_cast<const uint8_t *>(expected);
    for (int64_t row = 0; row < rows; ++row) {
      const uint8_t *got = slice + row * pitch;
      for (int64_t i = 0; i < rowBytes; ++i)
        if (got[i] != wanted[row * rowBytes + i])
          return report(name, text("differs in row ", row, ", byte ", i, ": ", int(got[i]),
                                   ", not ", int(wanted[row * rowBytes + i])));
      for (int64_t i = rowBytes; i < rowBytes + zeroBytes; ++i)
        if (got[i] != 0)
          return report(name, text("is not 0 in row ", row, ", byte ", i, " of the padding"));
    }
  }

  /// Float32, any NaN equal to any.
  void floats(const char *name, int64_t rows, int64_t columns, const std::vector<float> &expected) {
    if (rows == 0 || columns == 0)
      return;
    int64_t size = 0;
    const uint8_t *slice = slices.find(name, size);
    if (!slice)
      return report(name, "is missing");
    int64_t pitch = size / rows;
    if (size % rows != 0 || pitch < columns * 4)
      return report(name, text("has ", size, " bytes for ", rows, "x", columns, " floats"));
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < columns; ++i) {
        float got, wanted = expected[size_t(row * columns + i)];
        std::memcpy(&got, slice + row * pitch + i * 4, 4);
        bool bothNan = got != got && wanted != wanted;
        if (!bothNan && std::memcmp(&got, &wanted, 4) != 0)
          return report(name, text("differs at ", row, ",", i, ": ", got, ", not ", wanted));
      }
  }

private:
  void report(const char *name, const std::string &what) {
    difference += (difference.empty() ? "" : "; ") + std::string(name) + " " + what;
  }

  const Slices &slices;
  std::string &difference;
};

bool hasNan(const std::vector<float> &values) {
  for (float value : values)
    if (value != value)
      return true;
  return false;
}

} // namespace

Status compareIntermediates(const LoadedArtifact &artifact, const DeviceTensors &tensors,
                            const HostInputs &inputs, const ReferenceResults &reference,
                            std::string &difference) {
  const Shape &shape = inputs.shape;
  const sage_program &program = artifact.program;
  bool integers = program.recipe.qk == SAGE_SCORE_INT8;
  if (!integers || program.recipe.pv != SAGE_VALUE_E4M3 ||
      shape.batch * shape.queryHeads * shape.queries * shape.keys == 0)
    return {};
  Slices slices;
  SAGE_RETURN_IF_ERROR(slices.read(artifact, tensors));
  Comparer compare(slices, difference);
  int64_t dims = inputs.headDim, tile = program.geometry.key_tile;
  int64_t queryHeads = shape.batch * shape.queryHeads;
  int64_t keyHeads = shape.batch * shape.keyHeads;
  int64_t paddedKeys = (shape.keys + tile - 1) / tile * tile;
  auto columns = [](const std::vector<float> &values, int64_t rows) {
    return int64_t(values.size()) / rows;
  };
  if (program.recipe.smooth_k)
    compare.floats("key_mean", keyHeads, dims, reference.keyMean);
  compare.floats("value_scales", keyHeads, dims, reference.valueScales);
  compare.floats("query_scales", queryHeads, columns(reference.queryScales, queryHeads),
                 reference.queryScales);
  compare.floats("key_scales", keyHeads, columns(reference.keyScales, keyHeads),
                 reference.keyScales);
  // What a NaN scale leaves in integers is not specified: P1 speaks of the outputs.
  if (!hasNan(reference.queryScales)) {
    constexpr int64_t warpRows = 16;
    int64_t padded = (shape.queries + warpRows - 1) / warpRows * warpRows;
    compare.rows("query_quantized", queryHeads, shape.queries * dims, reference.query.data(),
                 (padded - shape.queries) * dims);
  }
  if (!hasNan(reference.keyScales))
    compare.rows("key_quantized", keyHeads, shape.keys * dims, reference.key.data(),
                 (paddedKeys - shape.keys) * dims);
  if (!hasNan(reference.valueScales)) {
    int64_t positions = (shape.keys + 15) / 16 * 16;
    compare.rows("value_quantized", keyHeads * dims, positions, reference.value.data(),
                 paddedKeys - positions);
  }
  return {};
}

} // namespace sage::gpu
