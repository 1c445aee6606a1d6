// Arithmetic on token maps: repetition, number of groups, permutations.

#include "sage/Dialect/Sage/IR/TokenGroups.h"

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/MLIRContext.h"
#include "gtest/gtest.h"

#include <algorithm>

using namespace mlir;
using namespace sage;

namespace {
struct TokenGroupsTest : ::testing::Test {
  MLIRContext context;
  AffineExpr n = getAffineDimExpr(0, &context);

  AffineMap map(AffineExpr expr) { return AffineMap::get(1, 0, expr); }
};
} // namespace

TEST_F(TokenGroupsTest, FindsPeriodIncrementAndSpan) {
  struct Case {
    AffineExpr expr;
    int64_t period, increment, span;
  };
  const Case cases[] = {
      {getAffineConstantExpr(0, &context), 1, 0, 1},
      {n, 1, 1, 1},
      {n.floorDiv(128), 128, 1, 1},
      {n % 4, 4, 0, 4},
      {n.floorDiv(16) * 8 + n % 8, 16, 8, 8},
      {n.floorDiv(64) * 4 + (n % 8).floorDiv(2), 64, 4, 4},
      {n.floorDiv(4).floorDiv(2), 8, 1, 1},
  };
  for (const Case &c : cases) {
    FailureOr<TokenGroups> groups = TokenGroups::analyze(map(c.expr));
    ASSERT_TRUE(succeeded(groups));
    EXPECT_EQ(groups->period, c.period);
    EXPECT_EQ(groups->increment, c.increment);
    EXPECT_EQ(groups->span, c.span);
  }
}

TEST_F(TokenGroupsTest, CountCoversEveryTokenAndMatchesItsMap) {
  const AffineExpr exprs[] = {getAffineConstantExpr(0, &context), n, n.floorDiv(128),
                              n.floorDiv(16) * 8 + n % 8, n.floorDiv(64) * 4 + (n % 8).floorDiv(2)};
  for (AffineExpr expr : exprs) {
    FailureOr<TokenGroups> groups = TokenGroups::analyze(map(expr));
    ASSERT_TRUE(succeeded(groups));
    int64_t largest = -1;
    for (int64_t tokens = 0; tokens < 300; ++tokens) {
      EXPECT_GT(groups->count(tokens), largest) << tokens;
      // Whole periods count: never more than one period's groups beyond the last token's.
      EXPECT_LE(groups->count(tokens), largest + 1 + groups->span) << tokens;
      EXPECT_EQ(evaluateTokenMap(groups->getCountMap(&context), tokens), groups->count(tokens));
      largest = std::max(largest, evaluateTokenMap(map(expr), tokens));
    }
  }
}

TEST_F(TokenGroupsTest, CountOfUnknownTokensIsUnknown) {
  EXPECT_EQ(TokenGroups::analyze(map(n))->count(ShapedType::kDynamic), ShapedType::kDynamic);
}

TEST_F(TokenGroupsTest, RefusesGapsNegativesAndForeignForms) {
  for (AffineExpr expr : {n * 2, n - 1, n + 1, -n, n.floorDiv(100000), (n % 3) * (n % 5)})
    EXPECT_TRUE(failed(TokenGroups::analyze(map(expr))));
  // Values that leave 64 bits on the way are refused, not computed.
  AffineExpr huge = n + (int64_t(1) << 38);
  for (int i = 0; i < 4; ++i)
    huge = huge * 65536 + 1;
  EXPECT_TRUE(failed(TokenGroups::analyze(map(huge % 2))));
  // So are maps that would take long to look at.
  AffineExpr longMap = n;
  for (int i = 0; i < 40; ++i)
    longMap = longMap.floorDiv(2) + n % (i + 2);
  EXPECT_TRUE(failed(TokenGroups::analyze(map(longMap))));
  EXPECT_FALSE(permutesSixteen(map(longMap)));
  EXPECT_TRUE(failed(TokenGroups::analyze(AffineMap::get(2, 0, n))));
  EXPECT_TRUE(failed(TokenGroups::analyze(AffineMap::get(1, 0, {n, n}, &context))));
  EXPECT_TRUE(failed(TokenGroups::analyze(AffineMap::get(1, 1, n))));
}

TEST_F(TokenGroupsTest, RecognizesPermutationsOfSixteen) {
  EXPECT_TRUE(permutesSixteen(map(n)));
  // Reversal inside 16; exchange of neighbours written in two ways.
  EXPECT_TRUE(permutesSixteen(map(n.floorDiv(16) * 16 + 15 - n % 16)));
  EXPECT_TRUE(permutesSixteen(map(n + 1 - (n % 2) * 2)));
  EXPECT_FALSE(permutesSixteen(map(n + 16)));
  EXPECT_FALSE(permutesSixteen(map(n.floorDiv(2))));
  EXPECT_FALSE(permutesSixteen(map(n.floorDiv(32) * 32 + 31 - n % 32)));
  EXPECT_FALSE(permutesSixteen(map(n % 16)));
}
