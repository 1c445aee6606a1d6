// A small main loop, counted by hand.

#include "sage/CostModel/LoopWork.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace sage;

namespace {

constexpr const char *source = R"(
#s = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 4:(0, 8)]>
#o = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0)]>
#row = #sage_tile.layout<lane = [4:(0, 0), 8:(1, 0)], reg = [2:(8, 0)]>
!s = !sage_tile.fragment<16x32xf32, #s>
!p = !sage_tile.fragment<16x32xf16, #s>
!o = !sage_tile.fragment<16x8xf32, #o>
!row = !sage_tile.fragment<16x1xf32, #row>
!q = !sage_tile.shared<16x16xf16>
!k = !sage_tile.shared<32x16xf16>
!v = !sage_tile.shared<8x32xf16>
gpu.module @kernels {
  sage_tile.kernel @attend(%out: memref<?x?xf32, strided<[?, 1]>>) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %zero = arith.constant 0.0 : f32
    %q = sage_tile.alloc : !q
    %k = sage_tile.alloc : !k
    %v = sage_tile.alloc : !v
    %fresh = sage_tile.splat %zero : f32 to !s
    %start = sage_tile.splat %zero : f32 to !o
    %sum = scf.for %i = %c0 to %c8 step %c1 iter_args(%total = %start) -> (!o) {
      %x = sage_tile.mma %q, %k, %fresh : !q, !k to !s
      %max = sage_tile.reduce <maximumf> %x : !s to !row
      %e = sage_tile.map ins(%x, %max : !s, !row) maps [affine_map<(r, c) -> (r, c)>, affine_map<(r, c) -> (r, 0)>] to <16x32xf32, #s> {
      ^bb0(%score: f32, %most: f32):
        %difference = arith.subf %score, %most : f32
        %power = math.exp2 %difference : f32
        sage_tile.yield %power : f32
      }
      %p = sage_tile.convert %e : !s to !p
      %next = sage_tile.mma %p, %v, %total : !p, !v to !o
      MORE
      scf.yield %next : !o
    }
    sage_tile.store %sum, %out[%c0, %c0] : !o to memref<?x?xf32, strided<[?, 1]>>
    sage_tile.return
  }
})";

struct LoopWorkTest : testing::Test {
  LoopWorkTest() {
    context.loadDialect<tile::SageTileDialect, arith::ArithDialect, gpu::GPUDialect,
                        math::MathDialect, scf::SCFDialect>();
  }

  /// The kernel with `more` at the end of its loop.
  tile::KernelOp parse(const std::string &more) {
    std::string text = source;
    text.replace(text.find("MORE"), 4, more);
    module = parseSourceString<ModuleOp>(text, &context);
    tile::KernelOp kernel;
    if (module)
      module->walk([&](tile::KernelOp op) { kernel = op; });
    return kernel;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

TEST_F(LoopWorkTest, CountsAsByHand) {
  tile::KernelOp kernel = parse("");
  ASSERT_TRUE(kernel);
  FailureOr<LoopWork> work = countMainLoop(kernel);
  ASSERT_TRUE(succeeded(work));
  EXPECT_EQ(work->warps, 1);
  EXPECT_EQ(work->elements, 16 * 32);
  // 16×32 scores of depth 16, and 16×8 outputs of depth 32.
  EXPECT_EQ(work->products.f16, 16 * 32 * 16 + 16 * 8 * 32);
  EXPECT_EQ(work->products.total(), work->products.f16);
  // Each lane holds 16 scores.
  EXPECT_EQ(work->special, 16);
  EXPECT_EQ(work->fma, 16);
  EXPECT_EQ(work->convert, 16 / 2);
  // 16 values to 2 in a lane, then two steps among four lanes for each of 2 rows.
  EXPECT_EQ(work->alu, 14 + 4);
  // K and Q, V, and what the steps exchange.
  EXPECT_EQ(work->sharedBytes, (32 + 16) * 32 + 8 * 64 + 4 * 32 * 4);
  // Products and their loads, the map, the pack, the reduction with its exchanges, the loop.
  EXPECT_EQ(work->instructions, (4 + 3) + (2 + 1) + 2 * 16 + 8 + (14 + 2 * 4) + 3);
  EXPECT_EQ(work->chains, 2);
}

TEST_F(LoopWorkTest, CountsUniformScalarsAndConditions) {
  tile::KernelOp kernel = parse(R"(
      %next_i = arith.addi %i, %c1 : index
      %narrow = arith.index_cast %next_i : index to i32
      %more = arith.cmpi slt, %next_i, %c8 : index
      scf.if %more {
        sage_tile.sync
      })");
  ASSERT_TRUE(kernel);
  FailureOr<LoopWork> work = countMainLoop(kernel);
  ASSERT_TRUE(succeeded(work));
  // An addition, a comparison, the branch around the barrier, the barrier.
  EXPECT_EQ(work->instructions, 75 + 2 + 2 + 1);
}

TEST_F(LoopWorkTest, RefusesAKernelWithoutProducts) {
  std::string diagnostic;
  ScopedDiagnosticHandler handler(&context, [&](Diagnostic &d) { diagnostic += d.str(); });
  module = parseSourceString<ModuleOp>(R"(
    sage_tile.kernel @fill() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
      sage_tile.return
    })",
                                       &context);
  ASSERT_TRUE(module);
  module->walk([&](tile::KernelOp op) { EXPECT_TRUE(failed(countMainLoop(op))); });
  EXPECT_NE(diagnostic.find("must have a loop whose matrix products"), std::string::npos);
}

} // namespace
