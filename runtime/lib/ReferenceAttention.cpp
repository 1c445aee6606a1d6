//===- ReferenceAttention.cpp - Spec N7 to N13 on the CPU -----------------===//
#include "Reference.h"

#include "FloatFormats.h"
#include "HostTensor.h"
#include "ParallelFor.h"
#include "TileKernels.h"

#include <algorithm>
#include <cmath>

namespace sage::runtime {
namespace {

constexpr int64_t rowBlock = 16;
/// An f16 accumulator must be emptied before 224·4.5·keys exceeds f16's range.
constexpr int64_t float16PromotionKeys = 64;

Probability probabilityFormat(const ReferenceOperands &operands) {
  switch (operands.recipe.pv) {
  case SAGE_VALUE_E4M3:
    return Probability::E4M3;
  case SAGE_VALUE_E5M2:
    return Probability::E5M2;
  case SAGE_VALUE_F16:
    break;
  }
  return operands.problem.element_type == SAGE_F16 ? Probability::F16 : Probability::BF16;
}

Accumulator accumulatorOf(const sage_recipe &recipe, const sage_reference_options &options) {
  if (recipe.inner == SAGE_INNER_F16)
    return Accumulator::Float16;
  bool modelled = options.tensor_core_accumulator && recipe.pv != SAGE_VALUE_F16;
  return modelled ? Accumulator::TensorCore22 : Accumulator::Float32;
}

/// Running maximum and sums of one query row.
struct Row {
  float maximum = -__builtin_inff();
  float sum = 0;
  std::vector<float> total;
};

/// The rows of one query head that one task computes together: they share the
/// tile's keys and values in the cache.
class RowBlock {
public:
  RowBlock(const ReferenceOperands &operands, const sage_reference_options &options, int64_t head,
           int64_t first)
      : operands(operands), head(head), first(first), keyHead(head / operands.extents.headGroup()),
        count(std::min(rowBlock, operands.extents.queries - first)),
        accumulator(accumulatorOf(operands.recipe, options)), format(probabilityFormat(operands)),
        log2Range(std::log2(valueRange(operands.recipe).probability)), rows(size_t(count)) {
    for (Row &row : rows)
      row.total.assign(size_t(operands.valueColumns()), 0.0f);
    size_t tile = size_t(operands.geometry.keyTile);
    for (auto *buffer : {&scores, &logits, &factors, &probabilities})
      buffer->resize(tile);
    fresh.resize(size_t(operands.valueColumns()));
  }

  void run() {
    int64_t tile = operands.geometry.keyTile, keys = operands.extents.keys;
    int64_t last = operands.visibleKeys(first + count - 1);
    for (int64_t t = (last + tile - 1) / tile - 1; t >= 0; --t)
      for (int64_t r = 0; r < count; ++r) {
        int64_t end = std::min({(t + 1) * tile, keys, operands.visibleKeys(first + r)});
        if (end > t * tile)
          addTile(r, t * tile, end - t * tile);
      }
  }

  void store(const sage_call &call) const {
    for (int64_t r = 0; r < count; ++r)
      storeRow(call, r);
  }

private:
  const float *correctionOf(int64_t query, int64_t firstKey) const {
    if (!operands.recipe.smooth_q)
      return nullptr;
    int64_t block = head * operands.queryBlocks() + query / operands.geometry.queryBlock;
    return operands.scoreCorrection.data() + block * operands.extents.keys + firstKey;
  }

  void computeScores(int64_t query, int64_t firstKey, int64_t keys) {
    int64_t dims = operands.problem.head_dim, allKeys = operands.extents.keys;
    int64_t row = (head * operands.extents.queries + query) * dims;
    if (operands.integerScores())
      kernels.integerScores(operands.queryIntegers.data() + row,
                            operands.keyIntegers.data() + (keyHead * allKeys + firstKey) * dims,
                            dims, keys, scores.data());
    else
      kernels.floatScores(operands.queryFloats.data() + row,
                          operands.keyFloatsTransposed.data() + keyHead * dims * allKeys + firstKey,
                          allKeys, dims, keys, scores.data());
  }

  /// N8 to N11 for one row and one key tile.
  void addTile(int64_t r, int64_t firstKey, int64_t keys) {
    Row &row = rows[size_t(r)];
    int64_t query = first + r;
    computeScores(query, firstKey, keys);
    const float *correction = correctionOf(query, firstKey);
    float rowFactor =
        operands.queryScales[size_t(head * operands.extents.queries + query)] * operands.scaleLog2e;
    float largest = kernels.logits(
        scores.data(), operands.keyScales.data() + keyHead * operands.extents.keys + firstKey,
        rowFactor, correction, operands.scaleLog2e, keys, logits.data(), factors.data());
    float maximum = largest > row.maximum ? largest : row.maximum;
    // A row that saw a NaN, or whose scores overflowed, stays NaN (P1).
    if (std::isnan(largest) || maximum == __builtin_inff() || std::isnan(row.maximum)) {
      row.maximum = row.sum = __builtin_nanf("");
      return;
    }
    if (maximum == -__builtin_inff())
      return;
    float rescale = exp2Reference(row.maximum - maximum);
    row.maximum = maximum;
    float sum =
        kernels.probabilities(scores.data(), factors.data(), logits.data(), correction != nullptr,
                              log2Range - maximum, format, keys, probabilities.data());
    row.sum = row.sum * rescale + sum;
    addValues(row, rescale, firstKey, keys);
  }

  /// N10; quantized row sums (N11) are one more column.
  void addValues(Row &row, float rescale, int64_t firstKey, int64_t keys) {
    int64_t columns = operands.valueColumns();
    const float *values =
        operands.values.data() + (keyHead * operands.extents.keys + firstKey) * columns;
    if (operands.recipe.accumulation == SAGE_SINGLE_LEVEL) {
      for (float &total : row.total)
        total *= rescale;
      kernels.accumulate(accumulator, probabilities.data(), values, columns, keys, columns,
                         row.total.data());
      return;
    }
    int64_t interval = accumulator == Accumulator::Float16 ? float16PromotionKeys : keys;
    for (int64_t j = 0; j < keys; j += interval) {
      std::fill(fresh.begin(), fresh.end(), 0.0f);
      kernels.accumulate(accumulator, probabilities.data() + j, values + j * columns, columns,
                         std::min(interval, keys - j), columns, fresh.data());
      kernels.rescaleAndAdd(row.total.data(), j == 0 ? rescale : 1.0f, fresh.data(), columns);
    }
  }

  /// N12.
  void storeRow(const sage_call &call, int64_t r) const {
    const Row &row = rows[size_t(r)];
    const Extents &extents = operands.extents;
    int64_t dims = operands.problem.value_head_dim, query = first + r;
    float sum = operands.sumsColumn() && !std::isnan(row.sum) ? row.total[size_t(dims)] : row.sum;
    float inverse = 1.0f / sum;
    uint16_t *output =
        tokenAt(call.output, head / extents.queryHeads, head % extents.queryHeads, query);
    for (int64_t d = 0; d < dims; ++d) {
      size_t channel = size_t(keyHead * dims + d);
      float value = 0;
      if (sum != 0) {
        value = row.total[size_t(d)] * inverse * operands.valueScales[channel];
        if (operands.recipe.smooth_v)
          value += operands.valueMeans[channel];
      }
      output[d] = encodeElement(operands.problem.element_type, value);
    }
    if (!call.lse)
      return;
    int64_t index = head * extents.queries + query;
    constexpr float ln2 = 0.693147180559945309417f;
    float lse = -__builtin_inff();
    if (sum != 0) {
      lse = ln2 * ((row.maximum + std::log2(sum)) - log2Range);
      if (operands.recipe.smooth_k)
        lse += operands.lseCorrection[size_t(index)];
    }
    call.lse[index] = lse;
  }

  const ReferenceOperands &operands;
  const TileKernels &kernels = tileKernels();
  int64_t head, first, keyHead, count;
  Accumulator accumulator;
  Probability format;
  float log2Range;
  std::vector<Row> rows;
  std::vector<float> scores, logits, factors, probabilities, fresh;
};

} // namespace

void attend(const ReferenceOperands &operands, const sage_call &call,
            const sage_reference_options &options) {
  const Extents &extents = operands.extents;
  int64_t blocks = (extents.queries + rowBlock - 1) / rowBlock;
  int64_t tasks = extents.batch * extents.queryHeads * blocks;
  parallelFor(
      tasks, options.threads,
      [&](int64_t task) {
        RowBlock block(operands, options, task / blocks, task % blocks * rowBlock);
        block.run();
        block.store(call);
      },
      progressOf(options, tasks));
}

} // namespace sage::runtime
