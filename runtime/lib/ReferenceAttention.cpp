//===- ReferenceAttention.cpp - Spec N7 to N15, N18 on the CPU -----------------===//
#include "ReferenceScores.h"

#include "FloatFormats.h"
#include "HostTensor.h"
#include "ParallelFor.h"
#include "TileKernels.h"

#include <algorithm>
#include <cmath>

namespace sage::runtime {
namespace {

constexpr int64_t rowBlock = 16;

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
  float sumOfKeys = 0; // without the sink, in the scale of `sum`
  VisibleKeys visible{};
  std::vector<float> total;
};

/// The rows of one query head that one task computes together: they share the
/// tile's keys and values in the cache.
class RowBlock {
public:
  RowBlock(const ReferenceOperands &operands, const sage_call &call,
           const sage_reference_options &options, int64_t head, int64_t first)
      : operands(operands), call(call), adjustment(operands, call), head(head), first(first),
        keyHead(head / operands.extents.headGroup()),
        count(std::min(rowBlock, operands.extents.queries - first)),
        accumulator(accumulatorOf(operands.recipe, options)), format(probabilityFormat(operands)),
        log2Range(std::log2(valueRange(operands.recipe).probability)) {
    size_t tile = size_t(operands.geometry.keyTile);
    for (auto *buffer : {&scores, &logits, &factors, &probabilities})
      buffer->resize(tile);
    fresh.resize(size_t(operands.valueColumns()));
  }

  void run() {
    int64_t tile = operands.geometry.keyTile, partTiles = operands.partTiles();
    int64_t last = adjustment.visibleKeys(first + count - 1).end;
    int64_t tiles = (last + tile - 1) / tile, parts = (tiles + partTiles - 1) / partTiles;
    startRows();
    std::vector<std::vector<Row>> done;
    for (int64_t part = parts - 1; part >= 0; --part) {
      for (int64_t t = std::min(tiles, (part + 1) * partTiles) - 1; t >= part * partTiles; --t)
        visitTile(t * tile);
      if (parts == 1)
        break;
      done.push_back(std::move(rows));
      startRows();
    }
    if (!done.empty())
      joinParts(done);
    if (operands.problem.sinks)
      for (int64_t r = 0; r < count; ++r)
        addSink(rows[size_t(r)], first + r);
  }

  void store(float *lse, const RowPlacement &placement) const {
    for (int64_t r = 0; r < count; ++r)
      storeRow(r, lse ? lse + placement.first + head * placement.headStride + first + r : nullptr);
  }

private:
  int64_t batch() const { return head / operands.extents.queryHeads; }
  int64_t queryHead() const { return head % operands.extents.queryHeads; }

  void startRows() {
    rows.assign(size_t(count), Row());
    for (int64_t r = 0; r < count; ++r) {
      rows[size_t(r)].visible = adjustment.visibleKeys(first + r);
      rows[size_t(r)].total.assign(size_t(operands.valueColumns()), 0.0f);
    }
  }

  void visitTile(int64_t tileFirst) {
    for (int64_t r = 0; r < count; ++r) {
      TileKeys keys = adjustment.keysOfTile(rows[size_t(r)].visible, head, first + r, tileFirst);
      if (keys.count() > 0)
        addTile(r, tileFirst, keys);
    }
  }

  /// N18: `rows` are empty, `parts` the rows of the last part and those before.
  void joinParts(std::vector<std::vector<Row>> &parts) {
    for (size_t r = 0; r < rows.size(); ++r) {
      Row &row = rows[r];
      for (const std::vector<Row> &part : parts)
        if (!std::isnan(row.maximum) && !(part[r].maximum <= row.maximum))
          row.maximum = part[r].maximum; // greater, or NaN
      if (std::isnan(row.maximum))
        row.sum = row.maximum;
      if (std::isnan(row.maximum) || row.maximum == -__builtin_inff())
        continue;
      for (std::vector<Row> &part : parts) {
        float weight = exp2Reference(part[r].maximum - row.maximum);
        row.sum = std::fma(part[r].sum, weight, row.sum);
        kernels.rescaleAndAdd(part[r].total.data(), weight, row.total.data(),
                              operands.valueColumns());
        row.total.swap(part[r].total);
      }
    }
  }

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
  void addTile(int64_t r, int64_t tileFirst, const TileKeys &tile) {
    Row &row = rows[size_t(r)];
    int64_t query = first + r, firstKey = tile.first, keys = tile.count();
    computeScores(query, firstKey, keys);
    const float *correction = correctionOf(query, firstKey);
    float rowFactor =
        operands.queryScales[size_t(head * operands.extents.queries + query)] * operands.scaleLog2e;
    float largest = kernels.logits(
        scores.data(), operands.keyScales.data() + keyHead * operands.extents.keys + firstKey,
        rowFactor, correction, operands.scaleLog2e, keys, logits.data(), factors.data());
    if (adjustment.isNeeded(tile))
      largest = adjustment.apply(head, query, tile, scores.data(), logits.data(), factors.data());
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
        kernels.probabilities(scores.data(), factors.data(), logits.data(), !adjustment.isFused(),
                              log2Range - maximum, format, keys, probabilities.data());
    row.sum = row.sum * rescale + sum;
    addValues(row, rescale, tileFirst, tile);
  }

  /// N10; quantized row sums (N11) are one more column.
  void addValues(Row &row, float rescale, int64_t tileFirst, const TileKeys &tile) {
    int64_t columns = operands.valueColumns(), keys = tile.count();
    const float *values =
        operands.values.data() + (keyHead * operands.extents.keys + tile.first) * columns;
    if (operands.recipe.accumulation == SAGE_SINGLE_LEVEL) {
      for (float &total : row.total)
        total *= rescale;
      kernels.accumulate(accumulator, probabilities.data(), values, columns, keys, columns,
                         row.total.data());
      return;
    }
    int64_t interval =
        operands.recipe.interval ? operands.recipe.interval : operands.geometry.keyTile;
    int64_t skipped = tile.first - tileFirst; // of the tile, before the first key
    std::fill(fresh.begin(), fresh.end(), 0.0f);
    if (skipped >= interval) {
      kernels.rescaleAndAdd(row.total.data(), rescale, fresh.data(), columns);
      rescale = 1;
    }
    for (int64_t j = 0; j < keys;) {
      int64_t panel = std::min(interval - (skipped + j) % interval, keys - j);
      std::fill(fresh.begin(), fresh.end(), 0.0f);
      kernels.accumulate(accumulator, probabilities.data() + j, values + j * columns, columns,
                         panel, columns, fresh.data());
      kernels.rescaleAndAdd(row.total.data(), rescale, fresh.data(), columns);
      rescale = 1;
      j += panel;
    }
  }

  float &sumOf(Row &row) const {
    return operands.sumsColumn() && !std::isnan(row.sum) ? row.total.back() : row.sum;
  }

  /// N15.
  void addSink(Row &row, int64_t query) const {
    float sink = adjustment.sinkOf(head, query);
    float maximum = std::max(row.maximum, sink);
    if (std::isnan(sink) || std::isnan(row.maximum) || maximum == __builtin_inff()) {
      row.maximum = row.sum = __builtin_nanf("");
      return;
    }
    if (maximum == -__builtin_inff())
      return;
    float rescale = exp2Reference(row.maximum - maximum);
    row.maximum = maximum;
    row.sum *= rescale;
    for (float &total : row.total)
      total *= rescale;
    float &sum = sumOf(row);
    row.sumOfKeys = sum;
    sum += exp2Reference(sink + (log2Range - maximum));
  }

  /// N12.
  void storeRow(int64_t r, float *lse) const {
    const Row &row = rows[size_t(r)];
    int64_t dims = operands.problem.value_head_dim, query = first + r;
    float sum = operands.sumsColumn() && !std::isnan(row.sum) ? row.total[size_t(dims)] : row.sum;
    float inverse = 1.0f / sum;
    float keyShare = operands.problem.sinks ? row.sumOfKeys * inverse : 1.0f;
    uint16_t *output = tokenAt(call.output, batch(), queryHead(), query);
    for (int64_t d = 0; d < dims; ++d) {
      size_t channel = size_t(keyHead * dims + d);
      float value = 0;
      if (sum != 0) {
        value = row.total[size_t(d)] * inverse * operands.valueScales[channel];
        if (operands.recipe.smooth_v)
          value += operands.valueMeans[channel] * keyShare;
      }
      output[d] = encodeElement(operands.problem.element_type, value);
    }
    if (!lse)
      return;
    constexpr float ln2 = 0.693147180559945309417f;
    *lse = -__builtin_inff();
    if (sum != 0) {
      *lse = ln2 * ((row.maximum + std::log2(sum)) - log2Range);
      if (operands.recipe.smooth_k && !operands.completesScores())
        *lse += operands.lseCorrectionOf(head, query);
    }
  }

  const ReferenceOperands &operands;
  const sage_call &call;
  ScoreAdjustment adjustment;
  const TileKernels &kernels = tileKernels();
  int64_t head, first, keyHead, count;
  Accumulator accumulator;
  Probability format;
  float log2Range;
  std::vector<Row> rows;
  std::vector<float> scores, logits, factors, probabilities, fresh;
};

} // namespace

void attend(const ReferenceOperands &operands, const sage_call &call, float *lse,
            const RowPlacement &rows, const sage_reference_options &options) {
  const Extents &extents = operands.extents;
  int64_t blocks = (extents.queries + rowBlock - 1) / rowBlock;
  int64_t tasks = extents.batch * extents.queryHeads * blocks;
  parallelFor(
      tasks, options.threads,
      [&](int64_t task) {
        RowBlock block(operands, call, options, task / blocks, task % blocks * rowBlock);
        block.run();
        block.store(lse, rows);
      },
      progressOf(options, tasks));
}

} // namespace sage::runtime
