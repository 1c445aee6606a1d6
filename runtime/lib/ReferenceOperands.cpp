//===- ReferenceOperands.cpp - Spec N1 to N6 on the CPU -------------------===//
#include "Reference.h"

#include "FloatFormats.h"
#include "HostTensor.h"
#include "ParallelFor.h"

#include <algorithm>
#include <cmath>
#include <mutex>

namespace sage::runtime {
namespace {

template <typename Element> void copyOut(const std::vector<Element> &from, Element *to) {
  if (to)
    std::copy(from.begin(), from.end(), to);
}

/// Where one head of a dense B×H×size tensor begins, or null.
template <typename Element> Element *headOf(Element *tensor, int64_t head, int64_t size) {
  return tensor ? tensor + head * size : nullptr;
}

/// Quantizes the heads of Q or of K, and widens the result to what the score
/// loops read.
struct ScoreOperand {
  const GroupMap &map;
  const sage_recipe &recipe;
  Halve side;
  sage_element_type elementType;
  int64_t columns;
  bool transpose;
  std::vector<int16_t> &integers;
  std::vector<float> &floats;
  std::vector<float> &scales;
  int8_t *valuesOut;
  float *scalesOut;

  int64_t tokens() const { return int64_t(map.groupOf.size()); }
  float fraction() const {
    if (recipe.range == SAGE_RANGE_FULL)
      return 1.0f;
    return side == Halve::Query ? 0.9375f : 0.75f;
  }

  void allocate(int64_t heads) {
    sage_score_type type = recipe.qk;
    bool asIntegers = type == SAGE_SCORE_INT8 || type == SAGE_SCORE_INT4;
    size_t size = size_t(heads * tokens() * columns);
    asIntegers ? integers.resize(size) : floats.resize(size);
    scales.resize(size_t(heads * tokens()));
  }

  void quantizeHead(int64_t head, const float *rows) {
    int64_t size = tokens() * columns;
    sage_score_type type = recipe.qk;
    std::vector<float> rotated;
    if (recipe.rotate == SAGE_ROTATE_HADAMARD) {
      rotated.assign(rows, rows + size);
      rotateRows(rotated.data(), tokens(), columns, side);
      rows = rotated.data();
    }
    std::vector<int8_t> values(size_t(type == SAGE_SCORE_F16 ? 0 : size));
    std::vector<float> groupScales(size_t(map.groups), 1.0f);
    if (type != SAGE_SCORE_F16)
      quantizeScores(rows, columns, map, type, fraction(), values.data(), groupScales.data());
    for (int64_t n = 0; n < tokens(); ++n)
      scales[size_t(head * tokens() + n)] = groupScales[size_t(map.groupOf[size_t(n)])];
    if (!integers.empty())
      std::copy(values.begin(), values.end(), integers.begin() + head * size);
    else
      widen(head, rows, values);
    if (int8_t *out = headOf(valuesOut, head, size))
      std::copy(values.begin(), values.end(), out);
    if (float *out = headOf(scalesOut, head, map.groups))
      std::copy(groupScales.begin(), groupScales.end(), out);
  }

private:
  void widen(int64_t head, const float *rows, const std::vector<int8_t> &values) {
    float *out = floats.data() + head * tokens() * columns;
    for (int64_t n = 0; n < tokens(); ++n)
      for (int64_t d = 0; d < columns; ++d) {
        int64_t i = n * columns + d;
        float value = recipe.qk == SAGE_SCORE_E4M3 ? decodeScore(recipe.qk, values[size_t(i)])
                      : elementType == SAGE_F16    ? roundToF16(rows[i])
                                                   : roundToBf16(rows[i]);
        out[transpose ? d * tokens() + n : i] = value;
      }
  }
};

void correctLse(ReferenceOperands &operands, const std::vector<float> &query,
                const std::vector<float> &keyMeans, int32_t threads) {
  const Extents &extents = operands.extents;
  int64_t dims = operands.problem.head_dim;
  operands.lseCorrection.assign(size_t(extents.batch * extents.queryHeads * extents.queries), 0.0f);
  parallelFor(extents.batch * extents.queryHeads, threads, [&](int64_t head) {
    const float *mean = keyMeans.data() + head / extents.headGroup() * dims;
    for (int64_t i = 0; i < extents.queries; ++i) {
      int64_t row = head * extents.queries + i;
      float sum = 0;
      for (int64_t d = 0; d < dims; ++d)
        sum += query[size_t(row * dims + d)] * mean[d];
      operands.lseCorrection[size_t(row)] = operands.scale * sum;
    }
  });
}

/// dS of smooth Q: one row of scores a query block.
void correctScores(ReferenceOperands &operands, const std::vector<float> &queryMeans,
                   const std::vector<float> &keys, int32_t threads) {
  const Extents &extents = operands.extents;
  int64_t dims = operands.problem.head_dim, blocks = operands.queryBlocks();
  operands.scoreCorrection.resize(
      size_t(extents.batch * extents.queryHeads * blocks * extents.keys));
  parallelFor(extents.batch * extents.queryHeads * blocks, threads, [&](int64_t block) {
    const float *mean = queryMeans.data() + block * dims;
    const float *head = keys.data() + block / blocks / extents.headGroup() * extents.keys * dims;
    for (int64_t j = 0; j < extents.keys; ++j) {
      float sum = 0;
      for (int64_t d = 0; d < dims; ++d)
        sum += mean[d] * head[j * dims + d];
      operands.scoreCorrection[size_t(block * extents.keys + j)] = sum;
    }
  });
}

int64_t positionsOf(const Extents &extents) {
  return (extents.keys + valueOrderGroup - 1) / valueOrderGroup * valueOrderGroup;
}

/// Spec N2, N5 and N6 for one head; `rows` is centred in place.
Status quantizeValueHead(int64_t head, float *rows, uint8_t *bits, ReferenceOperands &operands) {
  int64_t keys = operands.extents.keys, columns = operands.valueColumns();
  int64_t dims = operands.problem.value_head_dim;
  if (operands.recipe.smooth_v) {
    float *mean = operands.valueMeans.data() + head * dims;
    tokenMeans(rows, keys, dims, mean);
    subtractFromRows(rows, keys, dims, mean);
  }
  std::vector<float> decoded(size_t(keys * dims));
  SAGE_RETURN_IF_ERROR(quantizeValues(rows, keys, dims, operands.recipe,
                                      operands.problem.element_type, operands.geometry.valueOrder,
                                      decoded.data(), operands.valueScales.data() + head * dims,
                                      headOf(bits, head, dims * positionsOf(operands.extents))));
  float *out = operands.values.data() + head * keys * columns;
  std::fill(out, out + keys * columns, 1.0f);
  for (int64_t n = 0; n < keys; ++n)
    std::copy_n(decoded.data() + n * dims, dims, out + n * columns);
  return {};
}

/// `key` and `value` are centred in place.
Status quantizeKeysAndValues(std::vector<float> &key, std::vector<float> &value, int32_t threads,
                             const sage_reference_intermediates &intermediates,
                             std::vector<float> &keyMeans, ReferenceOperands &operands) {
  const Extents &extents = operands.extents;
  int64_t heads = extents.batch * extents.keyHeads;
  int64_t dims = operands.problem.head_dim;
  int64_t valueDims = operands.problem.value_head_dim;
  keyMeans.resize(size_t(heads * dims));
  operands.valueMeans.resize(size_t(heads * valueDims));
  operands.valueScales.resize(size_t(heads * valueDims));
  operands.values.resize(size_t(heads * extents.keys * operands.valueColumns()));
  ScoreOperand keys{operands.keyMap,
                    operands.recipe,
                    Halve::Key,
                    operands.problem.element_type,
                    dims,
                    /*transpose=*/true,
                    operands.keyIntegers,
                    operands.keyFloatsTransposed,
                    operands.keyScales,
                    intermediates.key_values,
                    intermediates.key_scales};
  keys.allocate(heads);
  std::mutex mutex;
  Status status;
  parallelFor(heads, threads, [&](int64_t head) {
    float *rows = key.data() + head * extents.keys * dims;
    if (operands.recipe.smooth_k) {
      float *mean = keyMeans.data() + head * dims;
      tokenMeans(rows, extents.keys, dims, mean);
      subtractFromRows(rows, extents.keys, dims, mean);
    }
    keys.quantizeHead(head, rows);
    Status quantized = quantizeValueHead(head, value.data() + head * extents.keys * valueDims,
                                         intermediates.value_values, operands);
    std::lock_guard<std::mutex> lock(mutex);
    if (status.ok())
      status = std::move(quantized);
  });
  return status;
}

/// `query` is centred in place, block by block.
void quantizeQueries(std::vector<float> &query, int32_t threads,
                     const sage_reference_intermediates &intermediates,
                     std::vector<float> &queryMeans, ReferenceOperands &operands) {
  const Extents &extents = operands.extents;
  int64_t heads = extents.batch * extents.queryHeads;
  int64_t dims = operands.problem.head_dim, blocks = operands.queryBlocks();
  queryMeans.resize(size_t(heads * blocks * dims));
  ScoreOperand queries{operands.queryMap,
                       operands.recipe,
                       Halve::Query,
                       operands.problem.element_type,
                       dims,
                       /*transpose=*/false,
                       operands.queryIntegers,
                       operands.queryFloats,
                       operands.queryScales,
                       intermediates.query_values,
                       intermediates.query_scales};
  queries.allocate(heads);
  parallelFor(heads, threads, [&](int64_t head) {
    float *rows = query.data() + head * extents.queries * dims;
    for (int64_t block = 0; operands.recipe.smooth_q && block < blocks; ++block) {
      int64_t first = block * operands.geometry.queryBlock;
      int64_t tokens = std::min(operands.geometry.queryBlock, extents.queries - first);
      float *mean = queryMeans.data() + (head * blocks + block) * dims;
      tokenMeans(rows + first * dims, tokens, dims, mean);
      subtractFromRows(rows + first * dims, tokens, dims, mean);
    }
    queries.quantizeHead(head, rows);
  });
}

Status countKeyParts(const sage_problem &problem, const Geometry &geometry, const Extents &extents,
                     int64_t &parts) {
  SymbolValues symbols{extents.batch, extents.queryHeads, extents.keyHeads, extents.queries,
                       extents.keys};
  return geometry.countKeyParts(problem, symbols, parts);
}

} // namespace

Status countKeyParts(const sage_program &program, const sage_call &call, int64_t &parts) {
  Geometry geometry;
  Extents extents;
  SAGE_RETURN_IF_ERROR(Geometry::create(program.geometry, geometry));
  SAGE_RETURN_IF_ERROR(checkCall(program.problem, call, CallUse::Shapes, extents));
  return countKeyParts(program.problem, geometry, extents, parts);
}

Status prepareReference(const sage_program &program, const sage_call &call, CallUse use,
                        ReferenceOperands &operands) {
  SAGE_RETURN_IF_ERROR(checkProblem(program.problem));
  SAGE_RETURN_IF_ERROR(checkRecipe(program.recipe));
  SAGE_RETURN_IF_ERROR(Geometry::create(program.geometry, operands.geometry));
  SAGE_RETURN_IF_ERROR(checkCall(program.problem, call, use, operands.extents));
  operands.problem = program.problem;
  operands.recipe = program.recipe;
  SAGE_RETURN_IF_ERROR(
      GroupMap::create(operands.geometry.queryGroups, operands.extents.queries, operands.queryMap)
          .within("geometry.query_groups"));
  SAGE_RETURN_IF_ERROR(
      GroupMap::create(operands.geometry.keyGroups, operands.extents.keys, operands.keyMap)
          .within("geometry.key_groups"));
  SAGE_RETURN_IF_ERROR(
      countKeyParts(operands.problem, operands.geometry, operands.extents, operands.keyParts));
  constexpr double log2e = 1.44269504088896340736;
  // Spec N8: the scale is a float32 number.
  double scale = static_cast<float>(resolvedScale(program.problem, call));
  operands.scale = float(scale);
  operands.scaleLog2e = float(scale * log2e);
  return {};
}

Status quantizeOperands(const sage_call &call, int32_t threads,
                        const sage_reference_intermediates &intermediates,
                        ReferenceOperands &operands) {
  const sage_recipe &recipe = operands.recipe;
  std::vector<float> query = loadTensor(call.query, threads);
  std::vector<float> key = loadTensor(call.key, threads);
  std::vector<float> value = loadTensor(call.value, threads);
  std::vector<float> queryMeans, keyMeans;
  SAGE_RETURN_IF_ERROR(
      quantizeKeysAndValues(key, value, threads, intermediates, keyMeans, operands));
  if (recipe.smooth_k) // while the queries are still whole
    correctLse(operands, query, keyMeans, threads);
  quantizeQueries(query, threads, intermediates, queryMeans, operands);
  if (recipe.smooth_q)
    correctScores(operands, queryMeans, key, threads);

  copyOut(queryMeans, intermediates.query_mean);
  copyOut(keyMeans, intermediates.key_mean);
  copyOut(operands.valueMeans, intermediates.value_mean);
  copyOut(operands.valueScales, intermediates.value_scales);
  if (recipe.smooth_q)
    copyOut(operands.scoreCorrection, intermediates.score_correction);
  else if (intermediates.score_correction)
    std::fill_n(intermediates.score_correction,
                operands.extents.batch * operands.extents.queryHeads * operands.queryBlocks() *
                    operands.extents.keys,
                0.0f);
  return {};
}

} // namespace sage::runtime
