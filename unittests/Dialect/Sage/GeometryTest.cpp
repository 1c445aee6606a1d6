// The default geometries against what a lane holds of an accumulator fragment.

#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/Dialect/Sage/IR/SageDialect.h"
#include "sage/Dialect/Sage/IR/TokenGroups.h"

#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace sage;

namespace {
struct GeometryTest : ::testing::Test {
  MLIRContext context;
  GeometryTest() { context.loadDialect<SageDialect>(); }

  RecipeAttr recipe(StringRef name) { return RecipeAttr::getNamed(&context, name); }
};
} // namespace

TEST_F(GeometryTest, PerThreadGroupsAreThoseOfOneLane) {
  for (Family family : {Family::MmaSync, Family::Wgmma}) {
    GeometryAttr geometry = GeometryAttr::getDefault(recipe("sage2-8b"), family);
    int64_t tile = geometry.getKeyTile();
    EXPECT_EQ(tile, family == Family::Wgmma ? 128 : 64);
    // Rows t and t + 8 of every 16 are lane 4t + c's.
    for (int64_t row = 0; row < 256; ++row)
      EXPECT_EQ(evaluateTokenMap(geometry.getQueryGroupMap(), row), row / 16 * 8 + row % 8);
    // Columns 8i + 2c and 8i + 2c + 1 of every tile are lane 4t + c's.
    for (int64_t i = 0; i < 2 * tile / 8; ++i)
      for (int64_t c = 0; c < 4; ++c)
        for (int64_t e = 0; e < 2; ++e)
          EXPECT_EQ(evaluateTokenMap(geometry.getKeyGroupMap(), 8 * i + 2 * c + e),
                    8 * i / tile * 4 + c);
  }
}

TEST_F(GeometryTest, CoarserAndFinerGroups) {
  struct Case {
    Granularity granularity;
    int64_t query, key;
  };
  // Numbers of groups of 256 tokens at query block 128 and key tile 64.
  for (auto [granularity, query, key] :
       {Case{Granularity::PerTensor, 1, 1}, Case{Granularity::PerBlock, 2, 4},
        Case{Granularity::PerWarp, 16, 4}, Case{Granularity::PerThread, 128, 16},
        Case{Granularity::PerToken, 256, 256}}) {
    RecipeAttr base = recipe("sage1");
    RecipeAttr changed = RecipeAttr::get(
        &context, base.getQk(), granularity, base.getSmooth(), base.getPv(), base.getAccumulation(),
        base.getInner(), base.getInterval(), base.getRowSum(), base.getRotate(), base.getRange());
    GeometryAttr geometry = GeometryAttr::getDefault(changed, Family::MmaSync);
    EXPECT_EQ(TokenGroups::analyze(geometry.getQueryGroupMap())->count(256), query);
    EXPECT_EQ(TokenGroups::analyze(geometry.getKeyGroupMap())->count(256), key);
  }
}

TEST_F(GeometryTest, ValueOrderIsTheSpecificationsAndPermutes) {
  AffineMap order = GeometryAttr::getDefault(recipe("sage2-8b"), Family::Wgmma).getValueOrderMap();
  EXPECT_TRUE(permutesSixteen(order));
  const int64_t expected[16] = {0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15};
  for (int64_t p = 0; p < 64; ++p)
    EXPECT_EQ(evaluateTokenMap(order, p), p / 16 * 16 + expected[p % 16]);
}

TEST_F(GeometryTest, SixteenBitValuesStayInOrder) {
  AffineMap order = GeometryAttr::getDefault(recipe("sage1"), Family::MmaSync).getValueOrderMap();
  EXPECT_TRUE(order.isIdentity());
}
