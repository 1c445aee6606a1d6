// Key lengths and packed sequences: every batch entry leaves in the workspace what a call on its
// slices alone would.

#include "PreparationRun.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace sage;
using namespace sage::test;

namespace {

void PrintTo(const PreparationCase &tested, std::ostream *stream) { *stream << tested.name; }

/// The tokens of one entry, in the whole tensors.
struct Entry {
  int64_t index, batch, firstQuery, queries, firstKey, keys;
};

std::vector<Entry> getEntries(const PreparationCase &c) {
  std::vector<Entry> entries;
  for (size_t i = 0; i < c.keyLengths.size(); ++i)
    entries.push_back({int64_t(i), int64_t(i), 0, c.queries, 0, c.keyLengths[i]});
  for (size_t i = 0; i + 1 < c.queryOffsets.size(); ++i)
    entries.push_back({int64_t(i), 0, c.queryOffsets[i], c.queryOffsets[i + 1] - c.queryOffsets[i],
                       c.keyOffsets[i], c.keyOffsets[i + 1] - c.keyOffsets[i]});
  return entries;
}

/// Tokens [first, first + count) of every head of one batch entry.
std::vector<uint16_t> slice(const std::vector<uint16_t> &tensor, int64_t batch, int64_t heads,
                            int64_t tokens, int64_t dims, int64_t first, int64_t count) {
  std::vector<uint16_t> result;
  for (int64_t head = 0; head < heads; ++head) {
    auto begin = tensor.begin() + ((batch * heads + head) * tokens + first) * dims;
    result.insert(result.end(), begin, begin + count * dims);
  }
  return result;
}

class RaggedPreparation : public testing::TestWithParam<PreparationCase> {
protected:
  void compareEntry(const Entry &entry);
  /// `bytes` bytes of a slice of both runs.
  void compare(const std::string &name, int64_t wholeByte, int64_t entryByte, int64_t bytes) {
    const std::vector<char> &a = whole.find(name), &b = alone.find(name);
    ASSERT_LE(wholeByte + bytes, int64_t(a.size())) << name;
    ASSERT_LE(entryByte + bytes, int64_t(b.size())) << name;
    for (int64_t i = 0; i < bytes; ++i)
      ASSERT_EQ(a[wholeByte + i], b[entryByte + i]) << name << " byte " << i;
  }
  /// Rows of one head of a table whose heads have `wholeRows` (`aloneRows`) rows.
  void compareRows(const std::string &name, int64_t wholeRow, int64_t aloneRow, int64_t rows,
                   int64_t wholeTotal, int64_t aloneTotal) {
    int64_t rowBytes = whole.find(name).size() / wholeTotal;
    ASSERT_EQ(rowBytes, int64_t(alone.find(name).size() / aloneTotal)) << name;
    compare(name, wholeRow * rowBytes, aloneRow * rowBytes, rows * rowBytes);
  }
  void compareQueries(const Entry &entry, int64_t head);
  void compareKeys(const Entry &entry, int64_t head);
  void compareValues(const Entry &entry, int64_t head);
  void compareCorrection(const Entry &entry, int64_t head);

  PreparationRun whole, alone;
};

int64_t roundUp(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

void RaggedPreparation::compareQueries(const Entry &entry, int64_t head) {
  const PreparationCase &c = GetParam();
  int64_t slot = whole.querySlot, first = 0, headRow = entry.batch * c.queryHeads + head;
  if (c.isPacked())
    first = (entry.firstQuery / slot + entry.index) * slot;
  int64_t wholeRow = headRow * whole.paddedQueries + first, aloneRow = head * alone.paddedQueries;
  int64_t wholeTotal = c.batch * c.queryHeads * whole.paddedQueries;
  int64_t aloneTotal = c.queryHeads * alone.paddedQueries, rows = roundUp(entry.queries, slot);
  if (rows == 0)
    return;
  compareRows("query_quantized", wholeRow, aloneRow, rows, wholeTotal, aloneTotal);
  if (whole.recipe.smoothsKey())
    compareRows("lse_correction", wholeRow, aloneRow, entry.queries, wholeTotal, aloneTotal);
  if (whole.recipe.smoothsQuery()) {
    int64_t block = whole.queryBlock, rowBytes = whole.paddedHeadDim * 4;
    compare("query_mean", wholeRow / block * rowBytes, aloneRow / block * rowBytes,
            rows / block * rowBytes);
  }
  if (!whole.recipe.quantizesScores())
    return;
  if (whole.recipe.getGranularity() == Granularity::PerTensor)
    compare("query_scales", (entry.index * c.queryHeads + head) * 4, head * 4, 4);
  else
    compareRows("query_scales", wholeRow / slot, aloneRow / slot, rows / slot, wholeTotal / slot,
                aloneTotal / slot);
}

void RaggedPreparation::compareKeys(const Entry &entry, int64_t head) {
  const PreparationCase &c = GetParam();
  int64_t tile = whole.keyTile, first = 0, headRow = entry.batch * c.keyHeads + head;
  if (c.isPacked())
    first = (entry.firstKey / tile + entry.index) * tile;
  int64_t entryHead = entry.index * c.keyHeads + head;
  int64_t wholeRow = headRow * whole.paddedKeys + first, aloneRow = head * alone.paddedKeys;
  int64_t wholeTotal = c.batch * c.keyHeads * whole.paddedKeys;
  int64_t aloneTotal = c.keyHeads * alone.paddedKeys, rows = roundUp(entry.keys, tile);
  if (whole.recipe.smoothsKey())
    compare("key_mean", entryHead * whole.paddedHeadDim * 4, head * whole.paddedHeadDim * 4,
            whole.paddedHeadDim * 4);
  if (rows == 0)
    return;
  compareRows("key_quantized", wholeRow, aloneRow, rows, wholeTotal, aloneTotal);
  if (!whole.recipe.quantizesScores())
    return;
  if (whole.recipe.getGranularity() == Granularity::PerTensor)
    compare("key_scales", entryHead * 4, head * 4, 4);
  else
    compareRows("key_scales", wholeRow / tile, aloneRow / tile, rows / tile, wholeTotal / tile,
                aloneTotal / tile);
}

void RaggedPreparation::compareValues(const Entry &entry, int64_t head) {
  const PreparationCase &c = GetParam();
  int64_t tile = whole.keyTile, first = 0, headRow = entry.batch * c.keyHeads + head;
  if (c.isPacked())
    first = (entry.firstKey / tile + entry.index) * tile;
  int64_t entryHead = entry.index * c.keyHeads + head, rowBytes = whole.paddedValueHeadDim * 4;
  if (whole.recipe.smoothsValue())
    compare("value_mean", entryHead * rowBytes, head * rowBytes, rowBytes);
  if (whole.recipe.quantizesValue())
    compare("value_scales", entryHead * rowBytes, head * rowBytes, rowBytes);
  for (int64_t channel = 0; channel < whole.paddedValueHeadDim; ++channel) {
    int64_t bytes = whole.valueBytes;
    int64_t row = headRow * whole.paddedValueHeadDim + channel;
    int64_t rowAlone = head * whole.paddedValueHeadDim + channel;
    compare("value_quantized", (row * whole.paddedKeys + first) * bytes,
            rowAlone * alone.paddedKeys * bytes, roundUp(entry.keys, tile) * bytes);
  }
}

void RaggedPreparation::compareCorrection(const Entry &entry, int64_t head) {
  const PreparationCase &c = GetParam();
  int64_t slot = whole.querySlot, tile = whole.keyTile, block = whole.queryBlock;
  int64_t firstRow = (entry.batch * c.queryHeads + head) * whole.paddedQueries, firstKey = 0;
  if (c.isPacked()) {
    firstRow += (entry.firstQuery / slot + entry.index) * slot;
    firstKey = (entry.firstKey / tile + entry.index) * tile;
  }
  for (int64_t i = 0; i < roundUp(entry.queries, block) / block; ++i)
    compare("score_correction", ((firstRow / block + i) * whole.paddedKeys + firstKey) * 4,
            (head * alone.paddedQueries / block + i) * alone.paddedKeys * 4, entry.keys * 4);
}

void RaggedPreparation::compareEntry(const Entry &entry) {
  PreparationCase c = GetParam();
  c.batch = 1;
  c.queries = entry.queries;
  c.keys = entry.keys;
  c.keyLengths.clear();
  c.queryOffsets.clear();
  c.keyOffsets.clear();
  const PreparationCase &all = GetParam();
  ASSERT_TRUE(alone.prepare(
      c,
      slice(whole.query, entry.batch, c.queryHeads, all.queries, c.headDim, entry.firstQuery,
            entry.queries),
      slice(whole.key, entry.batch, c.keyHeads, all.keys, c.headDim, entry.firstKey, entry.keys),
      slice(whole.value, entry.batch, c.keyHeads, all.keys, c.valueHeadDim, entry.firstKey,
            entry.keys)));
  for (int64_t head = 0; head < c.queryHeads; ++head)
    compareQueries(entry, head);
  for (int64_t head = 0; head < c.keyHeads; ++head) {
    compareKeys(entry, head);
    compareValues(entry, head);
  }
  for (int64_t head = 0; whole.recipe.smoothsQuery() && head < c.queryHeads; ++head)
    compareCorrection(entry, head);
}

TEST_P(RaggedPreparation, EveryEntryIsAsAlone) {
  ASSERT_TRUE(whole.prepare(GetParam()));
  for (const Entry &entry : getEntries(GetParam())) {
    SCOPED_TRACE("entry " + std::to_string(entry.index));
    compareEntry(entry);
  }
}

PreparationCase withLengths(const char *name, const char *recipe, const char *chip,
                            std::vector<int32_t> lengths, int64_t keys) {
  PreparationCase c{name, recipe, chip, int64_t(lengths.size()), 4, 2, 150, keys, 72, 64};
  c.inputs = evaluation::InputDistribution::ChannelBias;
  c.keyLengths = std::move(lengths);
  return c;
}

PreparationCase pack(const char *name, const char *recipe, const char *chip,
                     std::vector<int32_t> queryOffsets, std::vector<int32_t> keyOffsets) {
  PreparationCase c{name, recipe, chip, 1, 4, 2, queryOffsets.back(), keyOffsets.back(), 64, 72};
  c.inputs = evaluation::InputDistribution::ChannelBias;
  c.isTokenMajor = true;
  c.queryOffsets = std::move(queryOffsets);
  c.keyOffsets = std::move(keyOffsets);
  return c;
}

const PreparationCase cases[] = {
    withLengths("LengthsInt8", "\"sage2-8b\", smooth = k|v", "sm_89", {300, 17, 0, 256}, 300),
    withLengths("LengthsInt4", "\"sage2-4b\"", "sm_90a", {65, 300}, 300),
    withLengths("LengthsPerTensor", "\"sage2-8b\", granularity = per_tensor, smooth = q|k|v",
                "sm_89", {130, 290, 64}, 300),
    withLengths("LengthsSixteenBit", "\"f16\"", "sm_80", {130, 1}, 200),
    pack("PackedInt8", "\"sage2-8b\", smooth = k|v", "sm_89", {0, 70, 70, 71, 300},
         {0, 200, 210, 210, 530}),
    pack("PackedInt4", "\"sage2-4b\"", "sm_90a", {0, 130, 128 + 130, 700}, {0, 128, 500, 501}),
    pack("PackedPerTensor", "\"sage2-8b\", granularity = per_tensor, smooth = q|k|v", "sm_89",
         {0, 300, 430}, {0, 64, 700}),
    pack("PackedPerBlock", "\"sage1\", smooth = q|k", "sm_80", {0, 33, 430}, {0, 164, 300}),
    pack("PackedOne", "\"sage2-8b\"", "sm_90a", {0, 100}, {0, 300}),
};

INSTANTIATE_TEST_SUITE_P(Recipes, RaggedPreparation, testing::ValuesIn(cases),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
