// Named recipes and the numbers that follow from them.

#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/Dialect/Sage/IR/SageDialect.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace sage;

TEST(RecipeTest, NamesRoundTrip) {
  MLIRContext context;
  context.loadDialect<SageDialect>();
  SmallVector<StringRef> names;
  std::string list = RecipeAttr::listNames();
  StringRef(list).split(names, ", ");
  EXPECT_EQ(names.size(), 7u);
  for (StringRef name : names) {
    RecipeAttr recipe = RecipeAttr::getNamed(&context, name);
    ASSERT_TRUE(recipe) << name.str();
    EXPECT_EQ(recipe.getName(), name);
  }
  EXPECT_FALSE(RecipeAttr::getNamed(&context, "sage3"));
}

TEST(RecipeTest, RangesKeepTheInnerAccumulatorFinite) {
  MLIRContext context;
  context.loadDialect<SageDialect>();
  RecipeAttr sage2pp = RecipeAttr::getNamed(&context, "sage2pp");
  // 65504 is the largest f16.
  EXPECT_LT(sage2pp.getProbabilityRange() * sage2pp.getValueRange() * sage2pp.getInterval(), 65504);
  RecipeAttr sage2 = RecipeAttr::getNamed(&context, "sage2-4b");
  EXPECT_EQ(sage2.getScoreRange(), 7.0f);
  EXPECT_EQ(sage2.getProbabilityRange(), 448.0f);
  EXPECT_EQ(RecipeAttr::getNamed(&context, "sage1").getProbabilityRange(), 1.0f);
}
