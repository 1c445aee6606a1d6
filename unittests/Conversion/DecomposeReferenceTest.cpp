// sage-decompose and the runtime's CPU reference are two readings of docs/Spec.md: on random inputs
// they agree exactly in means, scales and integers, and in O and the LSE within the stated bounds.

#include "AttentionJit.h"

#include "FloatFormats.h"
#include "InputDistribution.h"
#include "sage/runtime/sage.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace sage;
using namespace sage::test;

namespace {

struct Case {
  const char *name;
  AttentionText text;
  evaluation::InputDistribution inputs = evaluation::InputDistribution::Normal;
  /// Puts a NaN or an infinity into one token of each of Q, K and V (P1).
  bool isPoisoned = false;
  /// `key_parts` of the geometry (Spec N18), as the reference takes it; null: one part.
  const char *keyParts = nullptr;
};

void PrintTo(const Case &tested, std::ostream *stream) { *stream << tested.name; }

/// What one implementation gives. Tensors are in the case's layout.
struct Results {
  Buffer output, lse;
  Intermediates intermediates;
};

class DecomposeReference : public testing::TestWithParam<Case> {
protected:
  void SetUp() override {
    const AttentionText &text = GetParam().text;
    query = makeInput(evaluation::InputTensor::Query, text.queryHeads, text.queries, text.headDim);
    key = makeInput(evaluation::InputTensor::Key, text.keyHeads, text.keys, text.headDim);
    value = makeInput(evaluation::InputTensor::Value, text.keyHeads, text.keys, text.valueHeadDim);
  }

  Buffer makeInput(evaluation::InputTensor tensor, int64_t heads, int64_t tokens, int64_t dims) {
    const AttentionText &text = GetParam().text;
    Buffer buffer(text.orderExtents(heads, tokens, dims), 2);
    std::vector<uint16_t> elements = evaluation::makeInput(
        GetParam().inputs, /*seed=*/7, tensor, elementType(), text.batch, heads, tokens, dims);
    std::copy(elements.begin(), elements.end(), buffer.as<uint16_t>());
    constexpr uint16_t infinity = 0x7c00, notANumber = 0x7e00; // f16
    if (GetParam().isPoisoned)
      buffer.as<uint16_t>()[(tokens / 2 + 7) * dims + 5] =
          tensor == evaluation::InputTensor::Query ? notANumber : infinity;
    return buffer;
  }

  sage_element_type elementType() const { return GetParam().text.isBF16 ? SAGE_BF16 : SAGE_F16; }

  Results makeResults() const {
    const AttentionText &text = GetParam().text;
    return {Buffer(text.orderExtents(text.queryHeads, text.queries, text.valueHeadDim), 2),
            Buffer({text.batch, text.queryHeads, text.queries}, 4),
            {}};
  }

  void runReference(RecipeAttr recipe, Results &results);
  float toFloat(uint16_t bits) const {
    return elementType() == SAGE_BF16 ? runtime::bf16ToFloat(bits) : runtime::f16ToFloat(bits);
  }

  Buffer query, key, value;
};

sage_program makeProgram(const AttentionText &text, RecipeAttr recipe) {
  sage_fragment fragment = text.family == "wgmma" ? SAGE_WGMMA : SAGE_MMA_SYNC_16;
  sage_program program;
  EXPECT_EQ(sage_program_named("f16", fragment, &program), nullptr);
  // The enumerations agree in order.
  auto granularity = sage_granularity(recipe.getGranularity());
  EXPECT_EQ(sage_program_set_granularity(&program, granularity, fragment), nullptr);
  program.recipe = {"custom",
                    sage_score_type(recipe.getQk()),
                    granularity,
                    recipe.smoothsQuery(),
                    recipe.smoothsKey(),
                    recipe.smoothsValue(),
                    sage_value_type(recipe.getPv()),
                    sage_accumulation(recipe.getAccumulation()),
                    sage_inner(recipe.getInner()),
                    sage_row_sum(recipe.getRowSum()),
                    recipe.getInterval(),
                    sage_rotation(recipe.getRotate()),
                    sage_score_range(recipe.getRange())};
  program.problem.head_dim = text.headDim;
  program.problem.value_head_dim = text.valueHeadDim;
  program.problem.element_type = text.isBF16 ? SAGE_BF16 : SAGE_F16;
  program.problem.layout = text.isTokenMajor ? SAGE_TOKEN_MAJOR : SAGE_HEAD_MAJOR;
  program.problem.mask = text.mask == "none"              ? SAGE_MASK_NONE
                         : text.mask == "causal_top_left" ? SAGE_MASK_CAUSAL_TOP_LEFT
                                                          : SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
  program.problem.scale = float(1.0 / std::sqrt(double(text.headDim)));
  return program;
}

void DecomposeReference::runReference(RecipeAttr recipe, Results &results) {
  const AttentionText &text = GetParam().text;
  sage_program program = makeProgram(text, recipe);
  program.geometry.key_parts = GetParam().keyParts;
  auto dense = [&](Buffer &buffer, int64_t heads, int64_t tokens, int64_t dims) {
    return sage_tensor_dense(buffer.bytes.data(), program.problem.layout, elementType(), text.batch,
                             heads, tokens, dims);
  };
  sage_call call{};
  call.query = dense(query, text.queryHeads, text.queries, text.headDim);
  call.key = dense(key, text.keyHeads, text.keys, text.headDim);
  call.value = dense(value, text.keyHeads, text.keys, text.valueHeadDim);
  call.output = dense(results.output, text.queryHeads, text.queries, text.valueHeadDim);
  call.lse = results.lse.as<float>();
  sage_reference_sizes sizes;
  ASSERT_EQ(sage_reference_get_sizes(&program, &call, &sizes), nullptr);
  int64_t b = text.batch, hq = text.queryHeads, hk = text.keyHeads;
  auto make = [&](const char *name, std::vector<int64_t> extents, size_t bytes) -> Buffer & {
    return results.intermediates[name] = Buffer(std::move(extents), bytes);
  };
  sage_reference_intermediates intermediates;
  intermediates.query_mean =
      make("query_mean", {b, hq, sizes.query_blocks, text.headDim}, 4).as<float>();
  intermediates.key_mean = make("key_mean", {b, hk, 1, text.headDim}, 4).as<float>();
  intermediates.value_mean = make("value_mean", {b, hk, 1, text.valueHeadDim}, 4).as<float>();
  intermediates.query_values = make("query", {b, hq, text.queries, text.headDim}, 1).as<int8_t>();
  intermediates.query_scales = make("query_scales", {b, hq, sizes.query_groups}, 4).as<float>();
  intermediates.key_values = make("key", {b, hk, text.keys, text.headDim}, 1).as<int8_t>();
  intermediates.key_scales = make("key_scales", {b, hk, sizes.key_groups}, 4).as<float>();
  intermediates.value_values =
      make("value", {b, hk, text.valueHeadDim, sizes.value_positions}, 1).as<uint8_t>();
  intermediates.value_scales = make("value_scales", {b, hk, text.valueHeadDim}, 4).as<float>();
  intermediates.score_correction =
      make("score_correction", {b, hq, sizes.query_blocks, text.keys}, 4).as<float>();
  ASSERT_EQ(sage_reference_run(&program, &call, nullptr, &intermediates), nullptr);
}

/// INT4 pairs, the even channel in the low half.
Buffer unpack(const Buffer &packed) {
  std::vector<int64_t> extents = packed.extents;
  extents.back() *= 2;
  Buffer result(extents, 1);
  for (size_t i = 0; i < result.bytes.size(); ++i) {
    int8_t byte = int8_t(packed.bytes[i / 2]);
    result.as<int8_t>()[i] = i % 2 ? int8_t(byte >> 4) : int8_t(int8_t(byte << 4) >> 4);
  }
  return result;
}

/// The first `count` of every row of the last dimension: the reference has no scales of unused
/// groups.
Buffer takeColumns(const Buffer &from, int64_t count, size_t elementBytes) {
  std::vector<int64_t> extents = from.extents;
  int64_t width = extents.back(), rows = width ? from.elements() / width : 0;
  extents.back() = count;
  Buffer result(extents, elementBytes);
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(from.bytes.begin() + r * width * elementBytes, count * elementBytes,
                result.bytes.begin() + r * count * elementBytes);
  return result;
}

/// Positions that differ, of elements of `elementBytes`. All NaN float32 are one.
int64_t countDifferences(const Buffer &a, const Buffer &b, size_t elementBytes) {
  int64_t differences = 0;
  for (size_t i = 0; i < a.bytes.size() / elementBytes; ++i) {
    auto first = a.bytes.begin() + i * elementBytes;
    bool same = std::equal(first, first + elementBytes, b.bytes.begin() + i * elementBytes);
    bool bothNaN =
        elementBytes == 4 && std::isnan(a.as<float>()[i]) && std::isnan(b.as<float>()[i]);
    differences += !same && !bothNaN;
  }
  return differences;
}

void expectSameIntermediates(Intermediates actual, const Intermediates &expected) {
  for (auto &[name, buffer] : actual) {
    const Buffer &reference = expected.at(name);
    size_t elementBytes = name == "query" || name == "key" || name == "value" ? 1 : 4;
    if (elementBytes == 1 && buffer.extents.back() * 2 == reference.extents.back())
      buffer = unpack(buffer);
    if (name == "query_scales" || name == "key_scales")
      buffer = takeColumns(buffer, reference.extents.back(), elementBytes);
    ASSERT_EQ(buffer.extents, reference.extents) << name;
    if (name != "score_correction") {
      EXPECT_EQ(countDifferences(buffer, reference, elementBytes), 0) << name;
      continue;
    }
    // A sum of products, whose order the specification leaves open.
    for (int64_t i = 0; i < buffer.elements(); ++i)
      ASSERT_NEAR(buffer.as<float>()[i], reference.as<float>()[i],
                  1e-5 * std::max(1.0f, std::fabs(reference.as<float>()[i])));
  }
}

/// Half a unit of E's last place at either rounding, and what the order of sums changes. The
/// decomposition does not model the f16 sums of `inner = f16`: they round products up to the range
/// of P and V.
struct Bound {
  float ofLargest, ofValue;
};

Bound getBound(RecipeAttr recipe, bool isBF16) {
  return {recipe.getInner() == InnerType::F16 ? 0x1p-10f : 2e-5f, isBF16 ? 0x1p-7f : 0x1p-10f};
}

TEST_P(DecomposeReference, Agrees) {
  const Case &tested = GetParam();
  Results expected = makeResults(), actual = makeResults();
  AttentionJit jit(tested.text);
  ASSERT_TRUE(jit.isValid());
  runReference(jit.getRecipe(), expected);
  jit.run(query, key, value, actual.output, actual.lse, actual.intermediates);
  expectSameIntermediates(actual.intermediates, expected.intermediates);

  Bound bound = getBound(jit.getRecipe(), tested.text.isBF16);
  float largest = 0;
  for (int64_t i = 0; i < expected.output.elements(); ++i)
    largest = std::fmax(largest, std::fabs(toFloat(expected.output.as<uint16_t>()[i])));
  for (int64_t i = 0; i < expected.output.elements(); ++i) {
    float reference = toFloat(expected.output.as<uint16_t>()[i]);
    float computed = toFloat(actual.output.as<uint16_t>()[i]);
    if (std::isnan(reference))
      ASSERT_TRUE(std::isnan(computed)) << "O at " << i;
    else
      ASSERT_NEAR(computed, reference,
                  bound.ofLargest * largest + bound.ofValue * std::fabs(reference))
          << "O at " << i;
  }
  for (int64_t i = 0; i < expected.lse.elements(); ++i) {
    float reference = expected.lse.as<float>()[i], computed = actual.lse.as<float>()[i];
    if (std::isnan(reference))
      ASSERT_TRUE(std::isnan(computed)) << "LSE at " << i;
    else if (std::isinf(reference))
      ASSERT_EQ(computed, reference) << "LSE at " << i;
    else
      ASSERT_NEAR(computed, reference, 1e-5f * std::max(1.0f, std::fabs(reference)))
          << "LSE at " << i;
  }
}

AttentionText text(const char *recipe, std::array<int64_t, 7> e, const char *mask = "none",
                   const char *family = "mma_sync") {
  return {e[0], e[1], e[2], e[3], e[4], e[5], e[6], recipe, mask, family};
}

template <typename Change> AttentionText with(AttentionText text, Change change) {
  change(text);
  return text;
}

/// With parts of the keys.
AttentionText inParts(AttentionText text, const char *parts) {
  constexpr const char *map = "affine_map<(n) -> (n)>";
  text.attributes =
      std::string(", geometry = #sage.geometry<query_block = 128, key_tile = 64, query_groups = ") +
      map + ", key_groups = " + map + ", value_order = " + map + ", key_parts = affine_map<" +
      parts + ">>";
  return text;
}

using evaluation::InputDistribution;

// Extents: B, Hq, Hkv, Nq, Nk, D, Dv.
const Case cases[] = {
    {"Int8", text("\"sage2-8b\"", {1, 2, 2, 192, 192, 64, 64})},
    {"Int8CausalGroupedQueries",
     text("\"sage2-8b\"", {2, 4, 2, 130, 200, 64, 64}, "causal_bottom_right")},
    {"Int8TopLeftDynamic", with(text("\"sage2-8b\"", {1, 4, 1, 70, 50, 64, 64}, "causal_top_left"),
                                [](AttentionText &t) { t.isDynamic = true; })},
    {"Int8BottomRightHidesRows",
     text("\"sage2-8b\"", {1, 2, 1, 150, 65, 64, 64}, "causal_bottom_right", "wgmma")},
    {"Int8WgmmaLong", text("\"sage2-8b\"", {1, 1, 1, 64, 777, 128, 128}, "none", "wgmma"),
     InputDistribution::ChannelBias},
    {"Int8Rotated", text("\"sage-8b\"", {1, 2, 2, 130, 192, 64, 64}), InputDistribution::Outliers},
    {"Int8RotatedBlocks",
     text("\"sage-8b\", smooth = none", {1, 1, 1, 70, 100, 96, 64}, "none", "wgmma")},
    {"Int4RotatedClipped",
     with(text("\"sage-4b\"", {1, 2, 1, 200, 190, 128, 128}, "causal_bottom_right"),
          [](AttentionText &t) { t.isTokenMajor = true; })},
    {"Int8FloatRowSum", text("\"sage2-8b\", row_sum = float", {1, 2, 1, 128, 190, 64, 64})},
    {"Int8SingleLevel",
     text("\"sage2-8b\", row_sum = float, accumulation = single", {1, 2, 1, 128, 190, 64, 32})},
    {"Int8SmoothValueTokenMajor",
     with(text("\"sage2-8b\", smooth = k|v", {2, 4, 2, 100, 333, 64, 64}, "causal_bottom_right"),
          [](AttentionText &t) { t.isTokenMajor = true; }),
     InputDistribution::Outliers},
    {"Int8Unsmoothed", text("\"sage2-8b\", smooth = none", {1, 1, 1, 40, 140, 64, 64}),
     InputDistribution::GroupMagnitudes},
    {"Int8E5M2", text("\"sage2-8b\", pv = e5m2", {1, 2, 2, 96, 160, 64, 64})},
    {"Int4", text("\"sage2-4b\"", {1, 4, 2, 300, 260, 64, 64}, "causal_bottom_right")},
    // The compiler's default query blocks are the reference's: 192 tokens.
    {"Int4Wgmma", text("\"sage2-4b\"", {1, 2, 1, 300, 260, 64, 64}, "none", "wgmma")},
    {"PerBlockWgmma", text("\"sage1\"", {1, 2, 1, 300, 260, 64, 64}, "none", "wgmma")},
    {"Int4PackedBF16",
     with(text("\"sage2-4b\"", {1, 2, 1, 200, 150, 128, 128}),
          [](AttentionText &t) { t.isPacked = t.isBF16 = t.isDynamic = true; }),
     InputDistribution::ChannelBias},
    {"Int8PerBlockFloat16Value", text("\"sage1\"", {1, 2, 1, 160, 150, 64, 64}, "causal_top_left")},
    {"Int8PerBlockBFloat16Value", with(text("\"sage1\"", {1, 2, 1, 64, 150, 64, 64}),
                                       [](AttentionText &t) { t.isBF16 = true; })},
    {"Float16Accumulator", text("\"sage2pp\"", {1, 2, 1, 128, 256, 64, 64})},
    {"SixteenBit", with(text("\"f16\"", {1, 4, 2, 100, 150, 64, 64}, "causal_bottom_right"),
                        [](AttentionText &t) { t.isTokenMajor = true; })},
    {"E4M3Scores", text("\"sage2-8b\", qk = e4m3", {1, 2, 1, 96, 160, 64, 64})},
    {"NoKeys", with(text("\"sage2-4b\"", {1, 2, 1, 20, 0, 64, 64}),
                    [](AttentionText &t) { t.isDynamic = true; })},
    {"NoQueries", text("\"sage2-8b\"", {1, 2, 1, 0, 64, 64, 64})},
    {"NoHeads", with(text("\"sage2-8b\"", {1, 0, 0, 16, 16, 64, 64}),
                     [](AttentionText &t) { t.isDynamic = true; })},
    {"NoKeysStatic", text("\"sage2-4b\"", {1, 2, 1, 20, 0, 64, 64})},
    {"NotFinite",
     text("\"sage2-8b\", smooth = none", {1, 1, 1, 120, 120, 64, 64}, "causal_top_left"),
     InputDistribution::Normal, /*isPoisoned=*/true},
    {"NotFiniteSixteenBit", text("\"f16\"", {1, 1, 1, 120, 120, 64, 64}, "causal_top_left"),
     InputDistribution::Normal, /*isPoisoned=*/true},
    {"Parts", inParts(text("\"sage2-8b\"", {2, 2, 1, 40, 300, 64, 64}), "() -> (3)"),
     InputDistribution::Outliers, /*isPoisoned=*/false, "3"},
    {"PartsCausalFloatRowSum",
     inParts(
         text("\"sage2-8b\", row_sum = float", {1, 2, 1, 150, 333, 64, 64}, "causal_bottom_right"),
         "() -> (4)"),
     InputDistribution::Normal, /*isPoisoned=*/false, "4"},
    {"PartsWithoutKeysToSee",
     inParts(text("\"sage2-4b\"", {1, 2, 1, 70, 260, 64, 64}, "causal_top_left"), "() -> (5)"),
     InputDistribution::Normal, /*isPoisoned=*/false, "5"},
    {"PartsDynamic",
     inParts(with(text("\"sage2-8b\"", {1, 4, 2, 100, 300, 64, 32}, "causal_bottom_right"),
                  [](AttentionText &t) { t.isDynamic = true; }),
             "()[b, hq, hkv, nq, nk] -> (132 floordiv (b * hq * (nq ceildiv 32)), nk floordiv 90)"),
     InputDistribution::ChannelBias, /*isPoisoned=*/false,
     R"(["min",["floordiv",132,["mul",["mul","B","Hq"],["ceildiv","Nq",32]]],["floordiv","Nk",90]])"},
    {"PartsNoKeysDynamic",
     inParts(with(text("\"sage2-8b\"", {1, 4, 2, 100, 0, 64, 64}),
                  [](AttentionText &t) { t.isDynamic = true; }),
             "()[b, hq, hkv, nq, nk] -> (132 floordiv nk)"),
     InputDistribution::Normal, /*isPoisoned=*/false, R"(["floordiv",132,"Nk"])"},
    {"PartsSixteenBit",
     inParts(with(text("\"f16\"", {1, 4, 2, 30, 200, 64, 64}, "causal_bottom_right"),
                  [](AttentionText &t) { t.isTokenMajor = true; }),
             "() -> (3)"),
     InputDistribution::Normal, /*isPoisoned=*/false, "3"},
    {"PartsNotFinite", inParts(text("\"f16\"", {1, 1, 1, 120, 200, 64, 64}), "() -> (2)"),
     InputDistribution::Normal, /*isPoisoned=*/true, "2"},
    {"OneKey", text("\"sage2-8b\"", {1, 1, 1, 3, 1, 64, 64}, "causal_top_left")},
};

INSTANTIATE_TEST_SUITE_P(Recipes, DecomposeReference, testing::ValuesIn(cases),
                         [](const auto &info) { return std::string(info.param.name); });

} // namespace
