//===- Quantization.cpp - smoothing and quantization of Q, K, V -----------===//
#include "Quantization.h"

#include "FloatFormats.h"

#include <algorithm>
#include <cmath>

namespace sage::runtime {
namespace {

constexpr int64_t chunkTokens = 256;
constexpr int64_t partialSums = 8;

/// NaN and infinity poison the maximum: a scale that came from one would turn
/// the group's other values into numbers that look right (P1).
float poisonedMaximum(float largest, float value) {
  float magnitude = std::fabs(value);
  if (!(magnitude < __builtin_inff()) || std::isnan(largest))
    return __builtin_nanf("");
  return std::max(largest, magnitude);
}

float integerRange(sage_score_type type) {
  switch (type) {
  case SAGE_SCORE_INT8:
    return 127.0f;
  case SAGE_SCORE_INT4:
    return 7.0f;
  case SAGE_SCORE_E4M3:
  case SAGE_SCORE_F16:
    break;
  }
  return e4m3Max;
}

int8_t quantizeOne(sage_score_type type, float scaled, float range) {
  if (type == SAGE_SCORE_E4M3)
    return int8_t(floatToE4m3(scaled));
  // NaN (of a group whose scale is NaN) is stored as 0. The bounds matter only
  // where 1/absmax overflowed: groups of subnormal numbers.
  if (std::isnan(scaled))
    return 0;
  scaled = std::clamp(scaled, -range, range);
  constexpr float roundingShift = 0x1.8p23f;
  return int8_t((scaled + roundingShift) - roundingShift);
}

} // namespace

void tokenSums(const float *rows, int64_t tokens, int64_t columns, float *sums) {
  std::vector<float> partial(size_t(partialSums * columns));
  std::fill(sums, sums + columns, 0.0f);
  for (int64_t first = 0; first < tokens; first += chunkTokens) {
    std::fill(partial.begin(), partial.end(), 0.0f);
    int64_t end = std::min(tokens, first + chunkTokens);
    for (int64_t t = first; t < end; ++t) {
      float *sum = partial.data() + (t - first) % partialSums * columns;
      for (int64_t d = 0; d < columns; ++d)
        sum[d] += rows[t * columns + d];
    }
    for (int64_t width = partialSums / 2; width >= 1; width /= 2)
      for (int64_t i = 0; i < width * columns; ++i)
        partial[size_t(i)] += partial[size_t(i + width * columns)];
    for (int64_t d = 0; d < columns; ++d)
      sums[d] += partial[size_t(d)];
  }
}

void tokenMeans(const float *rows, int64_t tokens, int64_t columns, float *means) {
  tokenSums(rows, tokens, columns, means);
  for (int64_t d = 0; d < columns && tokens > 0; ++d)
    means[d] /= float(tokens);
}

void subtractFromRows(float *rows, int64_t tokens, int64_t columns, const float *means) {
  for (int64_t t = 0; t < tokens; ++t)
    for (int64_t d = 0; d < columns; ++d)
      rows[t * columns + d] -= means[d];
}

Status GroupMap::create(const Expression &map, int64_t tokens, GroupMap &result) {
  constexpr int64_t tokenLimit = 1 << 22; // work grows with its square
  if (tokens > tokenLimit)
    return failure(SAGE_UNSUPPORTED, "the CPU reference takes at most ", tokenLimit,
                   " tokens, but got ", tokens)
        .withRemedy("run shorter sequences, or a launch on a GPU");
  // A generous bound: more scales than this are a mistake in the map, and would
  // exhaust memory.
  int64_t limit = 4 * tokens + 4096;
  result.groupOf.resize(size_t(tokens));
  result.groups = 0;
  for (int64_t n = 0; n < tokens; ++n) {
    int64_t group;
    SAGE_RETURN_IF_ERROR(map.evaluateAt(n, group));
    if (group < 0 || group >= limit || group > INT32_MAX)
      return invalidArgument("the group map gives ", group, " for token ", n, "; it must be 0 to ",
                             limit - 1);
    result.groupOf[size_t(n)] = int32_t(group);
    result.groups = std::max(result.groups, group + 1);
  }
  return {};
}

ScaleAndInverse scaleOf(float largest, float range) {
  if (largest == 0)
    return {1.0f, 0.0f};
  return {largest / range, range / largest};
}

void rotateRows(float *rows, int64_t tokens, int64_t columns, Halve halve) {
  int64_t block = columns & -columns;
  int doublings = 0;
  for (int64_t distance = 1; distance < block; distance *= 2, ++doublings)
    for (int64_t first = 0; first < tokens * columns; first += 2 * distance)
      for (float *x = rows + first; x < rows + first + distance; ++x) {
        float a = x[0], b = x[distance];
        x[0] = a + b;
        x[distance] = a - b;
      }
  float factor = std::ldexp(1.0f, -(halve == Halve::Query ? (doublings + 1) / 2 : doublings / 2));
  for (int64_t i = 0; i < tokens * columns; ++i)
    rows[i] *= factor;
}

void quantizeScores(const float *rows, int64_t columns, const GroupMap &map, sage_score_type type,
                    float fraction, int8_t *values, float *scales) {
  std::vector<float> largest(size_t(map.groups), 0.0f);
  int64_t tokens = int64_t(map.groupOf.size());
  for (int64_t n = 0; n < tokens; ++n) {
    float &group = largest[size_t(map.groupOf[size_t(n)])];
    for (int64_t d = 0; d < columns; ++d)
      group = poisonedMaximum(group, rows[n * columns + d]);
  }
  float range = integerRange(type);
  std::vector<float> inverses(size_t(map.groups));
  for (int64_t g = 0; g < map.groups; ++g) {
    ScaleAndInverse both = scaleOf(largest[size_t(g)] * fraction, range);
    scales[g] = both.scale;
    inverses[size_t(g)] = both.inverse;
  }
  for (int64_t n = 0; n < tokens; ++n) {
    float inverse = inverses[size_t(map.groupOf[size_t(n)])];
    for (int64_t d = 0; d < columns; ++d)
      values[n * columns + d] = quantizeOne(type, rows[n * columns + d] * inverse, range);
  }
}

float decodeScore(sage_score_type type, int8_t value) {
  return type == SAGE_SCORE_E4M3 ? e4m3ToFloat(uint8_t(value)) : float(value);
}

ValueRange valueRange(const sage_recipe &recipe) {
  switch (recipe.pv) {
  case SAGE_VALUE_E4M3:
    // 224·4.5·64 = 64512 is the most that an f16 accumulator holds.
    if (recipe.inner == SAGE_INNER_F16)
      return {224.0f, 4.5f};
    return {e4m3Max, e4m3Max};
  case SAGE_VALUE_E5M2:
    return {e5m2Max, e5m2Max};
  case SAGE_VALUE_F16:
    break;
  }
  return {1.0f, 1.0f};
}

Status quantizeValues(const float *rows, int64_t tokens, int64_t columns, const sage_recipe &recipe,
                      sage_element_type elementType, const Expression &valueOrder, float *decoded,
                      float *scales, uint8_t *bits) {
  std::vector<float> largest(size_t(columns), 0.0f), inverses = largest;
  for (int64_t n = 0; n < tokens; ++n)
    for (int64_t d = 0; d < columns; ++d)
      largest[size_t(d)] = poisonedMaximum(largest[size_t(d)], rows[n * columns + d]);
  bool scaled = recipe.pv != SAGE_VALUE_F16;
  for (int64_t d = 0; d < columns; ++d) {
    float most = largest[size_t(d)];
    ScaleAndInverse both = scaleOf(most, valueRange(recipe).value);
    if (!scaled)
      both = {std::isnan(most) ? most : 1.0f, std::isnan(most) ? most : 1.0f};
    scales[d] = both.scale;
    inverses[size_t(d)] = both.inverse;
  }

  auto round = [&](float value) {
    switch (recipe.pv) {
    case SAGE_VALUE_E4M3:
      return roundToE4m3(value);
    case SAGE_VALUE_E5M2:
      return roundToE5m2(value);
    case SAGE_VALUE_F16:
      break;
    }
    return elementType == SAGE_F16 ? roundToF16(value) : roundToBf16(value);
  };
  for (int64_t n = 0; n < tokens; ++n)
    for (int64_t d = 0; d < columns; ++d) {
      float value = round(rows[n * columns + d] * inverses[size_t(d)]);
      decoded[n * columns + d] = std::isnan(value) ? 0.0f : value;
    }

  if (!bits || !scaled)
    return {};
  int64_t positions = (tokens + valueOrderGroup - 1) / valueOrderGroup * valueOrderGroup;
  for (int64_t p = 0; p < positions; ++p) {
    int64_t n;
    SAGE_RETURN_IF_ERROR(valueOrder.evaluateAt(p, n));
    if (n < 0 || n >= positions)
      return invalidArgument("value_order gives token ", n, " for position ", p);
    for (int64_t d = 0; d < columns; ++d) {
      float value = n < tokens ? rows[n * columns + d] * inverses[size_t(d)] : 0;
      bits[d * positions + p] =
          recipe.pv == SAGE_VALUE_E4M3 ? floatToE4m3(value) : floatToE5m2(value);
    }
  }
  return {};
}

} // namespace sage::runtime
