// The preparation kernels, interpreted, against the CPU reference: means, scales, integers and
// 8-bit floats in the workspace are equal bit by bit, and padding is zero.

#include "PreparationRun.h"

#include "FloatFormats.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace sage;
using namespace sage::test;

namespace {

void PrintTo(const PreparationCase &tested, std::ostream *stream) { *stream << tested.name; }

class Preparation : public testing::TestWithParam<PreparationCase> {
protected:
  void SetUp() override { ASSERT_TRUE(run.prepare(GetParam())); }

  /// Float32 of a slice by row and column; rows are `columns` apart.
  float getFloat(const std::string &slice, int64_t row, int64_t columns, int64_t column) {
    float value;
    std::memcpy(&value, run.find(slice).data() + (row * columns + column) * 4, 4);
    return value;
  }
  /// Equal, or both NaN.
  void expectSame(float got, float expected, const std::string &where) {
    if (!(std::isnan(got) && std::isnan(expected)))
      ASSERT_EQ(got, expected) << where;
  }
  /// Within `bound`, the same infinity, or both NaN.
  void expectNear(double got, double expected, double bound, const std::string &where) {
    if (got != expected && !(std::isnan(got) && std::isnan(expected)))
      ASSERT_NEAR(got, expected, bound) << where;
  }
  static std::string describe(int64_t head, int64_t token) {
    return "head " + std::to_string(head) + " token " + std::to_string(token);
  }
  /// `rows` rows of `columns` numbers in a slice of wider rows, zero behind them.
  void compareTable(const std::string &slice, int64_t rows, int64_t columns, int64_t paddedColumns,
                    const std::vector<float> &expected, float padding = 0) {
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t column = 0; column < paddedColumns; ++column)
        expectSame(getFloat(slice, row, paddedColumns, column),
                   column < columns ? expected[row * columns + column] : padding,
                   slice + " " + std::to_string(row) + "," + std::to_string(column));
  }
  void compareScores(const std::string &slice, int64_t heads, int64_t tokens, int64_t paddedTokens,
                     int64_t writtenTokens, const std::vector<int8_t> &expected,
                     const std::vector<uint16_t> &input);
  void compareScales(const std::string &slice, int64_t heads, int64_t groups,
                     const std::vector<float> &expected);
  void compareValues();
  void compareScoreCorrection();
  void compareLseCorrection();

  PreparationRun run;
};

/// The element at a column of a row of Q or K: an integer, or the bits of a float.
int getElement(const char *row, int64_t column, const PreparationRun &run) {
  if (run.elementBytes == 2)
    return reinterpret_cast<const uint16_t *>(row)[column];
  if (run.storesFloats)
    return int(runtime::e4m3ToFloat(uint8_t(row[column])));
  if (!run.packsNibbles)
    return int8_t(row[column]);
  int8_t byte = int8_t(row[column / 2]);
  return column % 2 ? int8_t(byte >> 4) : int8_t(int8_t(byte << 4) >> 4);
}

void Preparation::compareScores(const std::string &slice, int64_t heads, int64_t tokens,
                                int64_t paddedTokens, int64_t writtenTokens,
                                const std::vector<int8_t> &expected,
                                const std::vector<uint16_t> &input) {
  int64_t dims = GetParam().headDim, padded = run.paddedHeadDim;
  int64_t rowBytes = padded * run.elementBytes / (run.packsNibbles ? 2 : 1);
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t token = 0; token < writtenTokens; ++token) {
      const char *row = run.find(slice).data() + (head * paddedTokens + token) * rowBytes;
      for (int64_t column = 0; column < padded; ++column) {
        int wanted = 0;
        int64_t index = (head * tokens + token) * dims + column;
        if (token < tokens && column < dims)
          wanted = run.elementBytes == 2 ? int(input[index]) : int(expected[index]);
        ASSERT_EQ(getElement(row, column, run), wanted)
            << slice << " head " << head << " token " << token << " column " << column;
      }
    }
}

void Preparation::compareScales(const std::string &slice, int64_t heads, int64_t groups,
                                const std::vector<float> &expected) {
  int64_t pitch = run.find(slice).size() / 4 / heads;
  for (int64_t head = 0; head < heads; ++head)
    for (int64_t group = 0; group < groups; ++group)
      expectSame(getFloat(slice, head, pitch, group), expected[head * groups + group],
                 slice + " " + std::to_string(head) + "," + std::to_string(group));
}

void Preparation::compareValues() {
  const PreparationCase &c = GetParam();
  int64_t bytes = run.valueBytes, tile = run.keyTile;
  int64_t written = (c.keys + tile - 1) / tile * tile;
  int64_t positions = (c.keys + 15) / 16 * 16;
  for (int64_t head = 0; head < c.batch * c.keyHeads; ++head)
    for (int64_t channel = 0; channel < run.paddedValueHeadDim; ++channel) {
      // What a NaN scale leaves in V is not specified: P1 speaks of the outputs.
      if (bytes == 1 && channel < c.valueHeadDim &&
          std::isnan(run.reference.valueScales[head * c.valueHeadDim + channel]))
        continue;
      const char *row = run.find("value_quantized").data() +
                        (head * run.paddedValueHeadDim + channel) * run.paddedKeys * bytes;
      for (int64_t position = 0; position < written; ++position) {
        int wanted = 0;
        if (channel < c.valueHeadDim && bytes == 1 && position < positions)
          wanted = run.reference.values[(head * c.valueHeadDim + channel) * positions + position];
        if (channel < c.valueHeadDim && bytes == 2 && position < c.keys)
          wanted = run.value[(head * c.keys + position) * c.valueHeadDim + channel];
        int got = bytes == 1 ? int(uint8_t(row[position]))
                             : int(reinterpret_cast<const uint16_t *>(row)[position]);
        ASSERT_EQ(got, wanted) << "value_quantized head " << head << " channel " << channel
                               << " position " << position;
      }
    }
}

/// Sums of products, whose order the specification leaves open (Spec N2), in log2 units (N8).
void Preparation::compareScoreCorrection() {
  const PreparationCase &c = GetParam();
  int64_t blocks = run.queryBlocks, group = c.queryHeads / c.keyHeads;
  int64_t paddedBlocks = run.paddedQueries / run.queryBlock;
  float scaleLog2e = float(double(float(1 / std::sqrt(double(c.headDim)))) * 1.4426950408889634);
  for (int64_t head = 0; head < c.batch * c.queryHeads; ++head)
    for (int64_t block = 0; block < blocks; ++block)
      for (int64_t token = 0; token < c.keys; ++token) {
        const float *mean = &run.reference.queryMean[(head * blocks + block) * c.headDim];
        float magnitude = 0;
        for (int64_t d = 0; d < c.headDim; ++d)
          magnitude += std::fabs(mean[d] * run.getCentredKey(head / group, token, d));
        float wanted =
            scaleLog2e * run.reference.scoreCorrection[(head * blocks + block) * c.keys + token];
        float got =
            getFloat("score_correction", head * paddedBlocks + block, run.paddedKeys, token);
        expectNear(got, wanted, scaleLog2e * magnitude * (c.headDim + 1) * 0x1p-23f,
                   describe(head, token) + " block " + std::to_string(block));
      }
}

void Preparation::compareLseCorrection() {
  const PreparationCase &c = GetParam();
  int64_t group = c.queryHeads / c.keyHeads;
  for (int64_t head = 0; head < c.batch * c.queryHeads; ++head)
    for (int64_t token = 0; token < c.queries; ++token) {
      double sum = 0, magnitude = 0;
      for (int64_t d = 0; d < c.headDim; ++d) {
        double product =
            double(run.toFloat(run.query[(head * c.queries + token) * c.headDim + d])) *
            run.reference.keyMean[head / group * c.headDim + d];
        sum += product;
        magnitude += std::fabs(product);
      }
      double scale = float(1 / std::sqrt(double(c.headDim)));
      expectNear(getFloat("lse_correction", head, run.paddedQueries, token), scale * sum,
                 scale * magnitude * c.headDim * 0x1p-23, describe(head, token));
    }
}

TEST_P(Preparation, AgreesWithTheReference) {
  const PreparationCase &c = GetParam();
  const ReferenceResult &reference = run.reference;
  int64_t queryHeads = c.batch * c.queryHeads, keyHeads = c.batch * c.keyHeads;
  int64_t tile = run.keyTile;
  compareScores("query_quantized", queryHeads, c.queries, run.paddedQueries, run.paddedQueries,
                reference.query, run.query);
  compareScores("key_quantized", keyHeads, c.keys, run.paddedKeys,
                (c.keys + tile - 1) / tile * tile, reference.key, run.key);
  if (run.recipe.quantizesScores()) {
    compareScales("query_scales", queryHeads, reference.queryGroups, reference.queryScales);
    compareScales("key_scales", keyHeads, reference.keyGroups, reference.keyScales);
  }
  if (run.recipe.smoothsKey())
    compareTable("key_mean", keyHeads, c.headDim, run.paddedHeadDim, reference.keyMean);
  if (run.recipe.smoothsQuery())
    for (int64_t head = 0; head < queryHeads; ++head)
      for (int64_t block = 0; block < run.queryBlocks; ++block)
        for (int64_t d = 0; d < run.paddedHeadDim; ++d)
          expectSame(getFloat("query_mean", head * run.paddedQueries / run.queryBlock + block,
                              run.paddedHeadDim, d),
                     d < c.headDim
                         ? reference.queryMean[(head * run.queryBlocks + block) * c.headDim + d]
                         : 0,
                     "query_mean");
  if (run.recipe.quantizesValue())
    compareTable("value_scales", keyHeads, c.valueHeadDim, run.paddedValueHeadDim,
                 reference.valueScales, /*padding=*/1);
  if (run.recipe.smoothsValue())
    compareTable("value_mean", keyHeads, c.valueHeadDim, run.paddedValueHeadDim,
                 reference.valueMean);
  compareValues();
  if (run.recipe.smoothsQuery())
    compareScoreCorrection();
  if (run.recipe.smoothsKey())
    compareLseCorrection();
}

PreparationCase make(const char *name, const char *recipe, std::array<int64_t, 7> e,
                     const char *chip = "sm_89") {
  return {name, recipe, chip, e[0], e[1], e[2], e[3], e[4], e[5], e[6]};
}

template <typename Change> PreparationCase with(PreparationCase c, Change change) {
  change(c);
  return c;
}

using evaluation::InputDistribution;

// Extents: B, Hq, Hkv, Nq, Nk, D, Dv.
const PreparationCase cases[] = {
    make("Int8", "\"sage2-8b\"", {2, 4, 2, 150, 330, 128, 128}),
    make("Int8Wgmma", "\"sage2-8b\"", {1, 2, 1, 150, 330, 128, 64}, "sm_90a"),
    make("Int8Padded", "\"sage2-8b\"", {1, 2, 1, 70, 130, 72, 40}),
    make("Int8Small", "\"sage2-8b\"", {1, 1, 1, 20, 30, 8, 16}),
    make("Int8HeadDim192", "\"sage2-8b\"", {1, 1, 1, 40, 70, 192, 128}),
    make("Int8HeadDim176", "\"sage2-8b\"", {1, 1, 1, 40, 70, 176, 136}),
    make("Int8HeadDim256", "\"sage2-8b\"", {1, 1, 1, 40, 300, 256, 256}, "sm_90a"),
    make("Int8PerWarp", "\"sage2-8b\", granularity = per_warp", {1, 2, 1, 50, 100, 64, 64}),
    make("Int8PerBlock", "\"sage2-8b\", granularity = per_block", {1, 2, 1, 150, 200, 128, 64}),
    make("Int8PerToken", "\"sage2-8b\", granularity = per_token", {1, 2, 1, 50, 100, 96, 64}),
    make("Int8PerTensor", "\"sage2-8b\", granularity = per_tensor", {1, 2, 1, 300, 600, 64, 64}),
    with(make("Int8PerTensorBias", "\"sage2-8b\", granularity = per_tensor, smooth = q|k|v",
              {2, 2, 1, 300, 600, 72, 64}),
         [](auto &c) { c.inputs = InputDistribution::ChannelBias; }),
    make("Int8PerTensorUnsmoothed", "\"sage2-8b\", granularity = per_tensor, smooth = none",
         {1, 2, 1, 300, 600, 192, 64}),
    make("Int4", "\"sage2-4b\"", {1, 4, 2, 300, 260, 64, 64}, "sm_90a"),
    make("Int4Packed", "\"sage2-4b\"", {1, 2, 1, 200, 150, 128, 64}),
    make("Int4PackedHeadDim192", "\"sage2-4b\"", {1, 2, 1, 100, 90, 192, 192}, "sm_80"),
    with(make("Int4Bias", "\"sage2-4b\", granularity = per_block", {1, 2, 1, 200, 520, 80, 64}),
         [](auto &c) { c.inputs = InputDistribution::ChannelBias; }),
    make("Rotated", "\"sage-8b\"", {1, 4, 2, 150, 330, 128, 128}),
    make("RotatedWgmma", "\"sage-8b\"", {1, 2, 1, 150, 330, 64, 64}, "sm_90a"),
    make("RotatedHeadDim40", "\"sage-8b\"", {1, 2, 1, 70, 130, 40, 40}),
    make("RotatedHeadDim192", "\"sage-8b\"", {1, 1, 1, 40, 70, 192, 128}, "sm_90a"),
    make("RotatedHeadDim256", "\"sage-8b\"", {1, 1, 1, 40, 70, 256, 64}, "sm_80"),
    make("RotatedPerBlock", "\"sage-8b\", granularity = per_block", {1, 2, 1, 150, 200, 128, 64}),
    make("RotatedPerToken", "\"sage-8b\", granularity = per_token", {1, 2, 1, 50, 100, 96, 64}),
    make("RotatedE4M3", "\"sage-8b\", qk = e4m3, smooth = none", {1, 2, 1, 96, 160, 64, 64}),
    make("Int4RotatedClipped", "\"sage-4b\"", {1, 4, 2, 300, 260, 64, 64}, "sm_90a"),
    with(make("Int4RotatedClippedPacked", "\"sage-4b\"", {1, 2, 1, 200, 150, 128, 64}),
         [](auto &c) { c.inputs = InputDistribution::Outliers; }),
    with(make("RotatedNotFinite", "\"sage-4b\", smooth = none", {1, 1, 1, 120, 120, 64, 64}),
         [](auto &c) { c.isPoisoned = true; }),
    make("E4M3Scores", "\"sage2-8b\", qk = e4m3", {1, 2, 1, 96, 160, 64, 64}),
    make("SixteenBit", "\"f16\"", {1, 2, 1, 100, 150, 72, 136}, "sm_80"),
    with(make("SixteenBitBF16", "\"f16\"", {1, 2, 1, 100, 150, 256, 256}, "sm_90a"),
         [](auto &c) { c.isBF16 = true; }),
    make("Sage1", "\"sage1\"", {1, 2, 1, 160, 150, 64, 64}, "sm_80"),
    make("Sage1Wgmma", "\"sage1\"", {1, 2, 1, 160, 150, 128, 128}, "sm_90a"),
    make("Float16Accumulator", "\"sage2pp\"", {1, 2, 1, 128, 256, 64, 64}),
    make("E5M2", "\"sage2-8b\", pv = e5m2", {1, 2, 2, 96, 160, 64, 64}),
    with(make("SmoothValue", "\"sage2-8b\", smooth = k|v", {1, 4, 2, 100, 333, 64, 72}),
         [](auto &c) { c.inputs = InputDistribution::ChannelBias; }),
    with(make("TokenMajorBF16", "\"sage2-4b\"", {2, 4, 2, 100, 333, 128, 64}),
         [](auto &c) {
           c.isTokenMajor = c.isBF16 = true;
           c.inputs = InputDistribution::Outliers;
         }),
    with(make("Unaligned", "\"sage2-8b\"", {1, 2, 1, 40, 70, 72, 64}),
         [](auto &c) { c.rowPadding = 3; }),
    with(make("LongBlocks", "\"sage2-4b\"", {1, 1, 1, 700, 70, 64, 64}),
         [](auto &c) { c.queryBlock = 512; }),
    with(make("KeyTile192", "\"sage2-8b\"", {1, 1, 1, 70, 400, 64, 64}, "sm_90a"),
         [](auto &c) { c.keyTile = 192; }),
    with(make("KeyTile96", "\"sage2-8b\"", {1, 1, 1, 70, 300, 64, 64}),
         [](auto &c) { c.keyTile = 96; }),
    with(make("NotFinite", "\"sage2-8b\", smooth = none", {1, 1, 1, 120, 120, 64, 64}),
         [](auto &c) { c.isPoisoned = true; }),
    // A mean that is no number, extremes that are infinite, and warps without a token.
    with(make("CentredNotFinite", "\"sage2-8b\"", {1, 2, 1, 120, 130, 64, 64}),
         [](auto &c) { c.isPoisoned = true; }),
    with(make("CentredNotFiniteBF16", "\"sage2-8b\"", {1, 2, 1, 120, 130, 128, 64}, "sm_90a"),
         [](auto &c) { c.isPoisoned = c.isBF16 = true; }),
    with(make("Int4NotFinite", "\"sage2-4b\"", {1, 2, 1, 200, 130, 64, 64}),
         [](auto &c) { c.isPoisoned = true; }),
    with(make("PerBlockNotFinite", "\"sage2-8b\", granularity = per_block, smooth = q|k",
              {1, 2, 1, 200, 130, 128, 64}),
         [](auto &c) { c.isPoisoned = true; }),
    // Padding, which is 0, is far from the mean of every token.
    with(make("CentredBias", "\"sage2-8b\"", {1, 2, 1, 70, 130, 128, 64}, "sm_90a"),
         [](auto &c) { c.inputs = InputDistribution::ChannelBias; }),
    with(make("SmoothQueryBias", "\"sage2-4b\"", {1, 2, 1, 200, 130, 128, 64}, "sm_90a"),
         [](auto &c) {
           c.isBF16 = true;
           c.inputs = InputDistribution::ChannelBias;
         }),
    make("OneKey", "\"sage2-4b\"", {1, 1, 1, 3, 1, 64, 64}),
    make("NoKeys", "\"sage2-4b\"", {1, 2, 1, 20, 0, 64, 64}),
    make("NoQueries", "\"sage2-4b\"", {1, 2, 1, 0, 64, 64, 64}),
};

INSTANTIATE_TEST_SUITE_P(Recipes, Preparation, testing::ValuesIn(cases),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
