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

/// Rows of bytes in a slice: `groups` of equal size, each with `count` rows that are
/// compared and what pads the group.
struct RowGrid {
  int64_t groups, count;
  int64_t rowBytes;     ///< compared
  int64_t pitch;        ///< from row to row; the rest of a row is zero
  int64_t zeroRows = 0; ///< rows after the last that must be zero too
};

class Comparer {
public:
  Comparer(const Slices &slices, std::string &difference)
      : slices(slices), difference(difference) {}

  int64_t sizeOf(const char *name) const {
    int64_t size = 0;
    slices.find(name, size);
    return size;
  }

  /// `expected` has the grid's rows densely.
  void rows(const char *name, const RowGrid &grid, const uint8_t *expected) {
    channels(name, grid, grid.pitch, expected);
  }

  /// Of each row only the first `readBytes` are looked at.
  void channels(const char *name, const RowGrid &grid, int64_t readBytes, const uint8_t *expected) {
    int64_t size = 0;
    const uint8_t *slice = slices.find(name, size);
    if (!slice)
      return report(name, "is missing");
    int64_t groupBytes = size / grid.groups;
    if (size % grid.groups != 0 || groupBytes < (grid.count + grid.zeroRows) * grid.pitch)
      return report(name, text("has ", size, " bytes for ", grid.groups, " groups of ",
                               grid.count + grid.zeroRows, " rows of ", grid.pitch));
    for (int64_t group = 0; group < grid.groups; ++group)
      for (int64_t row = 0; row < grid.count + grid.zeroRows; ++row) {
        const uint8_t *got = slice + group * groupBytes + row * grid.pitch;
        const uint8_t *wanted = expected + (group * grid.count + row) * grid.rowBytes;
        int64_t compared = row < grid.count ? grid.rowBytes : 0;
        for (int64_t i = 0; i < readBytes; ++i) {
          int value = i < compared ? wanted[i] : 0;
          if (got[i] != value)
            return report(name,
                          text("differs in group ", group, ", row ", row, ", byte ", i, ": ",
                               int(got[i]), ", not ", value, i < compared ? "" : " (padding)"));
        }
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

/// Two integers of 4 bits a byte, the even channel in the low half.
std::vector<uint8_t> packNibbles(const std::vector<int8_t> &values) {
  std::vector<uint8_t> packed(values.size() / 2);
  for (size_t i = 0; i < packed.size(); ++i)
    packed[i] = uint8_t((values[2 * i] & 15) | (values[2 * i + 1] & 15) << 4);
  return packed;
}

template <typename Element> std::vector<uint8_t> toBytes(const std::vector<Element> &values) {
  const uint8_t *data = reinterpret_cast<const uint8_t *>(values.data());
  return std::vector<uint8_t>(data, data + values.size() * sizeof(Element));
}

/// The head dim that the workspace has room for.
int64_t padHeadDim(int64_t dims) {
  for (int64_t padded : {64, 128, 192})
    if (dims <= padded)
      return padded;
  return 256;
}

/// V as the kernels read it: channel-major, for 16-bit V in the order of the tokens.
std::vector<uint8_t> storedValues(const HostInputs &inputs, const ReferenceResults &reference,
                                  bool isQuantized, int64_t positions) {
  if (isQuantized)
    return reference.value;
  int64_t heads = inputs.shape.batch * inputs.shape.keyHeads, dims = inputs.valueHeadDim;
  std::vector<uint16_t> transposed(size_t(heads * dims * positions));
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t n = 0; n < inputs.shape.keys; ++n)
      for (int64_t d = 0; d < dims; ++d)
        transposed[size_t((head * dims + d) * positions + n)] =
            inputs.value[size_t((head * inputs.shape.keys + n) * dims + d)];
  return toBytes(transposed);
}

} // namespace

Status compareIntermediates(const LoadedArtifact &artifact, const DeviceTensors &tensors,
                            const HostInputs &inputs, const ReferenceResults &reference,
                            std::string &difference) {
  const Shape &shape = inputs.shape;
  const sage_program &program = artifact.program;
  const sage_recipe &recipe = program.recipe;
  // Entries with lengths have slots of their own in the workspace; their outputs are compared.
  if (shape.batch * shape.queryHeads * shape.queries * shape.keys == 0 ||
      hasEntries(program.problem))
    return {};
  Slices slices;
  SAGE_RETURN_IF_ERROR(slices.read(artifact, tensors));
  Comparer compare(slices, difference);
  int64_t dims = inputs.headDim, valueDims = inputs.valueHeadDim;
  int64_t tile = program.geometry.key_tile;
  int64_t queryHeads = shape.batch * shape.queryHeads;
  int64_t keyHeads = shape.batch * shape.keyHeads;
  int64_t tileKeys = (shape.keys + tile - 1) / tile * tile;
  auto columns = [](const std::vector<float> &values, int64_t rows) {
    return int64_t(values.size()) / rows;
  };
  bool quantizesScores = recipe.qk != SAGE_SCORE_F16, quantizesValues = recipe.pv != SAGE_VALUE_F16;
  if (recipe.smooth_k)
    compare.floats("key_mean", keyHeads, dims, reference.keyMean);
  if (quantizesValues)
    compare.floats("value_scales", keyHeads, valueDims, reference.valueScales);
  if (quantizesScores) {
    compare.floats("query_scales", queryHeads, columns(reference.queryScales, queryHeads),
                   reference.queryScales);
    compare.floats("key_scales", keyHeads, columns(reference.keyScales, keyHeads),
                   reference.keyScales);
  }

  // V's slice tells how many keys are padded to, and so what a row of K takes.
  int64_t valueBytes = quantizesValues ? 1 : 2, valueRows = padHeadDim(valueDims);
  int64_t paddedKeys = compare.sizeOf("value_quantized") / (keyHeads * valueRows * valueBytes);
  int64_t rowBytes = paddedKeys ? compare.sizeOf("key_quantized") / (keyHeads * paddedKeys) : 0;
  bool isPacked = recipe.qk == SAGE_SCORE_INT4 && rowBytes == padHeadDim(dims) / 2;
  auto stored = [&](const std::vector<int8_t> &quantized, const std::vector<uint16_t> &original) {
    if (!quantizesScores)
      return toBytes(original);
    return isPacked ? packNibbles(quantized) : toBytes(quantized);
  };
  int64_t usedBytes = !quantizesScores ? dims * 2 : isPacked ? dims / 2 : dims;
  // What a NaN scale leaves in integers is not specified: P1 speaks of the outputs.
  if (!hasNan(reference.queryScales)) {
    constexpr int64_t warpRows = 16;
    int64_t padded = (shape.queries + warpRows - 1) / warpRows * warpRows;
    compare.rows("query_quantized",
                 {queryHeads, shape.queries, usedBytes, rowBytes, padded - shape.queries},
                 stored(reference.query, inputs.query).data());
  }
  if (!hasNan(reference.keyScales))
    compare.rows("key_quantized",
                 {keyHeads, shape.keys, usedBytes, rowBytes, tileKeys - shape.keys},
                 stored(reference.key, inputs.key).data());
  if (!hasNan(reference.valueScales)) {
    int64_t positions = (shape.keys + 15) / 16 * 16;
    // Behind the last tile a row is never read: only its tiles are compared.
    std::vector<uint8_t> wanted = storedValues(inputs, reference, quantizesValues, positions);
    compare.channels("value_quantized",
                     {keyHeads, valueDims, positions * valueBytes, paddedKeys * valueBytes,
                      valueRows - valueDims},
                     tileKeys * valueBytes, wanted.data());
  }
  return {};
}

} // namespace sage::gpu
