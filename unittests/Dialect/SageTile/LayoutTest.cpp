// Layouts against the fragments that the PTX ISA documents, and their algebra.

#include "sage/Dialect/SageTile/IR/SageTile.h"

#include "mlir/IR/AffineExpr.h"
#include "gtest/gtest.h"

#include <set>

using namespace mlir;
using namespace sage::tile;

namespace {

using Position = std::pair<int64_t, int64_t>;

struct LayoutTest : testing::Test {
  LayoutTest() { context.loadDialect<SageTileDialect>(); }

  AffineMap getMap(AffineExpr row, AffineExpr column) {
    return AffineMap::get(2, 0, {row, column}, &context);
  }

  /// How often each element is held, replicas of zero strides aside.
  void expectBijection(LayoutAttr layout, int64_t rows, int64_t columns, int64_t replicas) {
    std::map<Position, int64_t> count;
    for (int64_t warp = 0; warp < layout.getNumWarps(); ++warp)
      for (int64_t lane = 0; lane < 32; ++lane)
        for (int64_t reg = 0; reg < layout.getNumRegisters(); ++reg)
          ++count[layout.getPosition(warp, lane, reg)];
    EXPECT_EQ(count.size(), static_cast<size_t>(rows * columns));
    for (auto [position, times] : count) {
      EXPECT_EQ(times, replicas);
      EXPECT_LT(position.first, rows);
      EXPECT_LT(position.second, columns);
    }
  }

  MLIRContext context;
  AffineExpr r = getAffineDimExpr(0, &context), c = getAffineDimExpr(1, &context);
  AffineExpr zero = getAffineConstantExpr(0, &context);
};

// PTX ISA, "Matrix fragments for mma.m16n8k32": accumulator c0..c3.
TEST_F(LayoutTest, AccumulatorIsPtx) {
  LayoutAttr layout = LayoutAttr::accumulator(&context, 1, 8);
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 4; ++i) {
      int64_t group = lane / 4, inGroup = lane % 4;
      Position expected(i < 2 ? group : group + 8, inGroup * 2 + (i & 1));
      EXPECT_EQ(layout.getPosition(0, lane, i), expected);
    }
}

// PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point type", A operand: a0..a7 are two
// accumulator blocks, so that halves are multiplied where they were computed.
TEST_F(LayoutTest, AccumulatorIsOperandA16) {
  LayoutAttr layout = LayoutAttr::accumulator(&context, 1, 16);
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 8; ++i) {
      int64_t group = lane / 4, inGroup = lane % 4;
      Position expected(i % 4 < 2 ? group : group + 8, inGroup * 2 + (i & 1) + (i < 4 ? 0 : 8));
      EXPECT_EQ(layout.getPosition(0, lane, i), expected);
    }
}

// PTX ISA, "Matrix fragments for mma.m16n8k64", 4-bit A operand: a0..a31, two to a byte.
TEST_F(LayoutTest, OperandA8HoldsNibbles) {
  LayoutAttr layout = LayoutAttr::operandA8(&context, 1, 32);
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 32; ++i) {
      int64_t group = lane / 4, inGroup = lane % 4;
      bool isFirstRow = i < 8 || (i >= 16 && i < 24);
      Position nibble(isFirstRow ? group : group + 8, inGroup * 8 + (i & 7) + (i < 16 ? 0 : 32));
      EXPECT_EQ(layout.getPosition(0, lane, i / 2), Position(nibble.first, nibble.second / 2));
    }
}

// PTX ISA, "Matrix fragments for mma.m16n8k32", 8-bit A operand: a0..a15.
TEST_F(LayoutTest, OperandA8IsPtx) {
  LayoutAttr layout = LayoutAttr::operandA8(&context, 1, 32);
  for (int64_t lane = 0; lane < 32; ++lane)
    for (int64_t i = 0; i < 16; ++i) {
      int64_t group = lane / 4, inGroup = lane % 4;
      bool isUpper = i < 4 || (i >= 8 && i < 12);
      Position expected(isUpper ? group : group + 8, inGroup * 4 + (i & 3) + (i >= 8 ? 16 : 0));
      EXPECT_EQ(layout.getPosition(0, lane, i), expected);
    }
}

// PTX ISA, "Register Fragments for wgmma.m64nNk32": D, d0..d(N/2-1).
TEST_F(LayoutTest, WarpgroupAccumulatorIsPtx) {
  LayoutAttr layout = LayoutAttr::accumulator(&context, 4, 128);
  for (int64_t thread = 0; thread < 128; ++thread)
    for (int64_t i = 0; i < 64; ++i) {
      Position expected(16 * (thread / 32) + thread % 32 / 4 + 8 * (i / 2 % 2),
                        8 * (i / 4) + 2 * (thread % 4) + i % 2);
      EXPECT_EQ(layout.getPosition(thread / 32, thread % 32, i), expected);
    }
}

TEST_F(LayoutTest, BuildersHoldEveryElement) {
  expectBijection(LayoutAttr::accumulator(&context, 4, 136), 64, 136, 1);
  expectBijection(LayoutAttr::operandA8(&context, 4, 128), 64, 128, 1);
  expectBijection(LayoutAttr::accumulatorRow(&context, 4), 64, 1, 4);
  expectBijection(LayoutAttr::accumulatorQuad(&context, 1), 16, 4, 1);
  expectBijection(LayoutAttr::quad(&context, 4), 1, 4, 32);
  expectBijection(LayoutAttr::accumulatorColumn(&context, 4, 128), 1, 128, 32);
  expectBijection(LayoutAttr::rowMajor(&context, 16, 128, 8), 16, 128, 1);
  expectBijection(LayoutAttr::rowMajor(&context, 8, 1024, 8), 8, 1024, 1);
  expectBijection(LayoutAttr::rowMajor(&context, 1, 64, 8), 1, 64, 4);
}

TEST_F(LayoutTest, RowMajorVectorsAreNeighbours) {
  LayoutAttr layout = LayoutAttr::rowMajor(&context, 16, 128, 8);
  for (int64_t reg = 0; reg < 8; ++reg)
    EXPECT_EQ(layout.getPosition(0, 17, reg), Position(1, 8 + reg));
  EXPECT_EQ(layout.getPosition(0, 0, 8), Position(2, 0));
}

TEST_F(LayoutTest, DroppedDimensionsAreTheReducedLayouts) {
  LayoutAttr layout = LayoutAttr::accumulator(&context, 4, 128);
  EXPECT_EQ(layout.dropColumns(), LayoutAttr::accumulatorRow(&context, 4));
  EXPECT_EQ(layout.dropRows(), LayoutAttr::accumulatorColumn(&context, 4, 128));
}

TEST_F(LayoutTest, ProjectionMergesModes) {
  LayoutAttr layout = LayoutAttr::accumulator(&context, 4, 128);
  EXPECT_EQ(layout.project(getMap(zero, (c % 8).floorDiv(2))), LayoutAttr::quad(&context, 4));
  EXPECT_EQ(layout.project(getMap(r, (c % 8).floorDiv(2))),
            LayoutAttr::accumulatorQuad(&context, 4));
  EXPECT_EQ(layout.project(getMap(r, c)), layout);
}

TEST_F(LayoutTest, ProjectionSplitsModes) {
  LayoutMode lane{32, 0, 1}, even{16, 0, 1}, ignored{2, 0, 0};
  auto layout = LayoutAttr::get(&context, ArrayRef<LayoutMode>(), lane, ArrayRef<LayoutMode>());
  auto expected = LayoutAttr::get(&context, ArrayRef<LayoutMode>(),
                                  ArrayRef<LayoutMode>({ignored, even}), ArrayRef<LayoutMode>());
  EXPECT_EQ(layout.project(getMap(r, c.floorDiv(2))), expected);
}

TEST_F(LayoutTest, ProjectionsThatAreNoLayoutAreNull) {
  LayoutAttr layout = LayoutAttr::accumulator(&context, 1, 8);
  EXPECT_FALSE(layout.project(getMap(zero, (r + c).floorDiv(2))));
  EXPECT_FALSE(layout.project(getMap(zero, -c + 7)));
}

TEST_F(LayoutTest, LaneLocality) {
  Type f32 = Float32Type::get(&context);
  auto accumulator =
      FragmentType::get(&context, {16, 32}, f32, LayoutAttr::accumulator(&context, 1, 32));
  auto operand = FragmentType::get(&context, {16, 32}, f32, LayoutAttr::operandA8(&context, 1, 32));
  AffineMap identity = getMap(r, c);
  // The storage order of V (Spec N6) is what makes the accumulator's lanes hold the operand.
  AffineExpr order =
      c.floorDiv(16) * 16 + (c % 4).floorDiv(2) * 8 + (c % 16).floorDiv(4) * 2 + c % 2;
  EXPECT_TRUE(isLaneLocal(accumulator, identity, accumulator));
  EXPECT_FALSE(isLaneLocal(operand, identity, accumulator));
  EXPECT_TRUE(isLaneLocal(operand, getMap(r, order), accumulator));
}

TEST_F(LayoutTest, Evaluation) {
  AffineExpr n = getAffineSymbolExpr(0, &context);
  EXPECT_EQ(evaluate(n.ceilDiv(4) * 4 - 1, {}, {9}), 11);
  EXPECT_EQ(evaluate((n - 10).floorDiv(4), {}, {9}), -1);
  EXPECT_EQ(evaluate((n - 10) % 4, {}, {9}), 3);
  EXPECT_EQ(evaluate(n.floorDiv(getAffineSymbolExpr(1, &context)), {}, {9, 0}), std::nullopt);
}

} // namespace
