//===- Intermediates.cpp - the workspace against the reference ------------===//
// The slices that convert-sage-to-sage-tile writes (docs/Artifact.md): heads one after
// the other, tokens padded to whole slots, in which a packed sequence begins. A slice's
// size gives the padding. Padding inside the last tile must be 0; what lies behind it
// is never read, and still poison.
//===----------------------------------------------------------------------===//
#include "FloatFormats.h"
#include "WorkspaceSlices.h"

#include <algorithm>
#include <cstdlib>

namespace sage::gpu {
namespace {

using namespace sage::runtime;

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

/// Integers as E4M3 numbers.
std::vector<uint8_t> toFloats(const std::vector<int8_t> &values) {
  std::vector<uint8_t> floats(values.size());
  for (size_t i = 0; i < floats.size(); ++i)
    floats[i] = floatToE4m3(values[i]);
  return floats;
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
std::vector<uint8_t> storedValues(const EntryIntermediates &entry, int64_t heads, int64_t dims,
                                  bool isQuantized, int64_t positions) {
  if (isQuantized)
    return entry.value;
  std::vector<uint16_t> transposed(size_t(heads * dims * positions));
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t n = 0; n < entry.keys; ++n)
      for (int64_t d = 0; d < dims; ++d)
        transposed[size_t((head * dims + d) * positions + n)] =
            entry.originalValue[size_t((head * entry.keys + n) * dims + d)];
  return toBytes(transposed);
}

/// The number behind `key` in the text of a schedule; 0 if there is none.
int64_t readNumber(const std::string &schedule, const std::string &key) {
  size_t at = schedule.find(key + " = ");
  return at == std::string::npos ? 0 : std::atoll(schedule.c_str() + at + key.size() + 3);
}

/// What all entries of one launch share.
class WorkspaceComparison {
public:
  WorkspaceComparison(const LoadedArtifact &artifact, const HostInputs &inputs,
                      const Slices &slices, std::string &difference)
      : program(artifact.program), recipe(program.recipe), inputs(inputs), slices(slices),
        difference(difference) {
    const Shape &shape = inputs.shape;
    isPacked = program.problem.packed != 0;
    entries = isPacked ? int64_t(inputs.operands.queryOffsets.size()) - 1 : shape.batch;
    queryHeads = shape.batch * shape.queryHeads;
    keyHeads = shape.batch * shape.keyHeads;
    quantizesScores = recipe.qk != SAGE_SCORE_F16;
    valueBytes = recipe.pv != SAGE_VALUE_F16 ? 1 : 2;
    // V's slice tells how many keys are padded to, and so what a row of K and of Q takes.
    int64_t valueRows = padHeadDim(inputs.valueHeadDim);
    paddedKeys = slices.sizeOf("value_quantized") / (keyHeads * valueRows * valueBytes);
    rowBytes = paddedKeys ? slices.sizeOf("key_quantized") / (keyHeads * paddedKeys) : 0;
    paddedQueries = rowBytes ? slices.sizeOf("query_quantized") / (queryHeads * rowBytes) : 0;
    std::string schedule = sage_artifact_schedule(artifact.artifact);
    storesFloats =
        recipe.qk == SAGE_SCORE_INT4 && schedule.find("family = wgmma") != std::string::npos;
    // Spec S13.
    leavesQuery = schedule.find("quantizes_query = true") == std::string::npos ||
                  !quantizesScores || recipe.smooth_q || recipe.granularity == SAGE_PER_TENSOR ||
                  recipe.granularity == SAGE_PER_BLOCK;
    querySlot = readNumber(schedule, "units") * readNumber(schedule, "rows_per_unit");
    if (recipe.smooth_q || recipe.granularity == SAGE_PER_BLOCK)
      querySlot = std::max(querySlot, program.geometry.query_block);
  }

  void compare(const EntryIntermediates &entry) {
    int64_t slots = isPacked && querySlot ? inputs.shape.queries / querySlot + entries : 0;
    SliceComparer comparer(slices, isPacked ? text(" of sequence ", entry.index) : "", difference);
    bool hasQuery = slices.sizeOf("query_quantized") != 0;
    if (hasQuery && !leavesQuery)
      return comparer.report("query_quantized",
                             "is there, though the attention kernel quantizes Q");
    if (!hasQuery && leavesQuery && entry.queries > 0)
      return comparer.report("query_quantized", "is missing");
    if (hasQuery && isPacked && paddedQueries != slots * querySlot)
      return comparer.report("query_quantized",
                             text("has ", paddedQueries, " rows a head for slots of ", querySlot));
    if (hasQuery && entry.queries > 0)
      compareQueries(entry, comparer);
    if (entry.keys > 0)
      compareKeys(entry, comparer);
  }

private:
  /// Of heads that lie one after the other, and of tables with a row for each head of each entry.
  Groups headsOf(const EntryIntermediates &entry, int64_t heads) const {
    return {inputs.shape.batch * heads, entry.batch * heads, entry.batches * heads};
  }
  Groups tableOf(const EntryIntermediates &entry, int64_t heads) const {
    int64_t first = isPacked ? entry.index : entry.batch;
    return {entries * heads, first * heads, entry.batches * heads};
  }
  /// The padded token where a packed entry begins.
  int64_t placeOf(const EntryIntermediates &entry, int64_t firstToken, int64_t slot) const {
    return isPacked ? (firstToken / slot + entry.index) * slot : 0;
  }
  std::vector<uint8_t> stored(const std::vector<int8_t> &quantized,
                              const std::vector<uint16_t> &original) const {
    if (!quantizesScores)
      return toBytes(original);
    if (storesFloats)
      return toFloats(quantized);
    return packsNibbles() ? packNibbles(quantized) : toBytes(quantized);
  }
  bool packsNibbles() const {
    return recipe.qk == SAGE_SCORE_INT4 && rowBytes == padHeadDim(inputs.headDim) / 2;
  }
  int64_t usedBytes() const {
    return inputs.headDim * (quantizesScores ? 1 : 2) / (packsNibbles() ? 2 : 1);
  }
  void compareScales(const char *name, const EntryIntermediates &entry, int64_t heads,
                     int64_t place, int64_t padded, const std::vector<float> &scales,
                     SliceComparer &comparer) {
    if (recipe.granularity == SAGE_PER_TENSOR)
      return comparer.floats(name, tableOf(entry, heads), 0, scales);
    int64_t ofHead = slices.sizeOf(name) / 4 / (inputs.shape.batch * heads);
    comparer.floats(name, headsOf(entry, heads), padded ? place * ofHead / padded : 0, scales);
  }

  void compareQueries(const EntryIntermediates &entry, SliceComparer &comparer) {
    int64_t place = placeOf(entry, entry.firstQuery, querySlot), heads = inputs.shape.queryHeads;
    if (quantizesScores)
      compareScales("query_scales", entry, heads, place, paddedQueries, entry.queryScales,
                    comparer);
    // What a NaN scale leaves in integers is not specified: P1 speaks of the outputs.
    if (hasNan(entry.queryScales))
      return;
    constexpr int64_t warpRows = 16;
    int64_t padded = (entry.queries + warpRows - 1) / warpRows * warpRows;
    comparer.rows("query_quantized",
                  {headsOf(entry, heads), place, entry.queries, 0, usedBytes(), rowBytes, rowBytes,
                   padded - entry.queries},
                  stored(entry.query, entry.originalQuery));
  }

  void compareKeys(const EntryIntermediates &entry, SliceComparer &comparer) {
    int64_t tile = program.geometry.key_tile, heads = inputs.shape.keyHeads;
    int64_t place = placeOf(entry, entry.firstKey, tile);
    int64_t tileKeys = (entry.keys + tile - 1) / tile * tile;
    if (recipe.smooth_k)
      comparer.floats("key_mean", tableOf(entry, heads), 0, entry.keyMean);
    if (recipe.pv != SAGE_VALUE_F16)
      comparer.floats("value_scales", tableOf(entry, heads), 0, entry.valueScales);
    if (quantizesScores)
      compareScales("key_scales", entry, heads, place, paddedKeys, entry.keyScales, comparer);
    if (!hasNan(entry.keyScales))
      comparer.rows("key_quantized",
                    {headsOf(entry, heads), place, entry.keys, 0, usedBytes(), rowBytes, rowBytes,
                     tileKeys - entry.keys},
                    stored(entry.key, entry.originalKey));
    if (hasNan(entry.valueScales))
      return;
    // Behind the last tile a row is never read: only its tiles are compared.
    int64_t positions = (entry.keys + 15) / 16 * 16, dims = inputs.valueHeadDim;
    comparer.rows("value_quantized",
                  {headsOf(entry, heads), 0, dims, place * valueBytes, positions * valueBytes,
                   tileKeys * valueBytes, paddedKeys * valueBytes, padHeadDim(dims) - dims},
                  storedValues(entry, entry.batches * heads, dims, valueBytes == 1, positions));
  }

  const sage_program &program;
  const sage_recipe &recipe;
  const HostInputs &inputs;
  const Slices &slices;
  std::string &difference;
  bool isPacked, quantizesScores, storesFloats;
  /// Whether the preparation quantizes or copies Q; else the attention kernel does.
  bool leavesQuery;
  int64_t entries, queryHeads, keyHeads, valueBytes, paddedKeys, paddedQueries, rowBytes, querySlot;
};

} // namespace

Status compareIntermediates(const LoadedArtifact &artifact, const DeviceTensors &tensors,
                            const HostInputs &inputs, const ReferenceResults &reference,
                            std::string &difference) {
  const Shape &shape = inputs.shape;
  if (shape.batch * shape.queryHeads * shape.queries * shape.keys == 0)
    return {};
  Slices slices;
  SAGE_RETURN_IF_ERROR(slices.read(artifact, tensors));
  WorkspaceComparison comparison(artifact, inputs, slices, difference);
  for (const EntryIntermediates &entry : reference.entries)
    comparison.compare(entry);
  return {};
}

} // namespace sage::gpu
