// The interpreter's C++ interface: arguments, buffers, diagnostics.

#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Parser/Parser.h"
#include "gtest/gtest.h"

#include <numeric>

using namespace mlir;
using namespace sage::tile;

namespace {

// Block b copies row b of a tensor with a dynamic row stride, times a factor.
constexpr const char *scaleKernel = R"mlir(
#lanes = #sage_tile.layout<lane = [32:(0, 1)], reg = []>
sage_tile.kernel @scale(%x: memref<?x32xf32, strided<[?, 1]>>, %y: memref<?x32xf32>, %factor: f32)
    attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %b = sage_tile.block_id
  %0 = sage_tile.load %x[%b, %c0] : memref<?x32xf32, strided<[?, 1]>> to !sage_tile.fragment<1x32xf32, #lanes>
  %1 = sage_tile.map ins(%0 : !sage_tile.fragment<1x32xf32, #lanes>) to !sage_tile.fragment<1x32xf32, #lanes> {
  ^bb0(%e: f32):
    %2 = arith.mulf %e, %factor : f32
    sage_tile.yield %2 : f32
  }
  sage_tile.store %1, %y[%b, %c0] : !sage_tile.fragment<1x32xf32, #lanes> to memref<?x32xf32>
  sage_tile.return
}
)mlir";

struct InterpreterTest : testing::Test {
  InterpreterTest() {
    context.loadDialect<SageTileDialect, arith::ArithDialect, gpu::GPUDialect>();
    context.printOpOnDiagnostic(false);
    context.getDiagEngine().registerHandler([&](Diagnostic &diagnostic) {
      messages.push_back(diagnostic.str());
      return success();
    });
    module = parseSourceString<ModuleOp>(scaleKernel, &context);
    std::iota(x.begin(), x.end(), 0.0f);
  }

  KernelOp getKernel() { return *module->getOps<KernelOp>().begin(); }
  template <typename T> static DeviceBuffer getBuffer(std::vector<T> &elements) {
    return {reinterpret_cast<char *>(elements.data()),
            static_cast<int64_t>(elements.size() * sizeof(T))};
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  std::vector<std::string> messages;
  std::vector<float> x = std::vector<float>(3 * 40), y = std::vector<float>(3 * 32);
};

TEST_F(InterpreterTest, RunsBlocksWithStridesAndScalars) {
  LaunchArgument arguments[] = {LaunchArgument::get(getBuffer(x)), LaunchArgument::get(int64_t(40)),
                                LaunchArgument::get(getBuffer(y)), LaunchArgument::get(2.0f)};
  ASSERT_TRUE(succeeded(interpretKernel(getKernel(), arguments, 3)));
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 32; ++column)
      EXPECT_EQ(y[row * 32 + column], 2.0f * (row * 40 + column));
}

TEST_F(InterpreterTest, ChecksArguments) {
  LaunchArgument noStride[] = {LaunchArgument::get(getBuffer(x)), LaunchArgument::get(getBuffer(y)),
                               LaunchArgument::get(2.0f)};
  EXPECT_TRUE(failed(interpretKernel(getKernel(), noStride, 1)));
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_NE(messages[0].find("launch argument #1 must be an integer: a dynamic stride"),
            std::string::npos);
}

TEST_F(InterpreterTest, ReportsTheFirstFailingBlock) {
  LaunchArgument arguments[] = {LaunchArgument::get(getBuffer(x)), LaunchArgument::get(int64_t(40)),
                                LaunchArgument::get(getBuffer(y)), LaunchArgument::get(2.0f)};
  InterpreterOptions options;
  options.threads = 4;
  EXPECT_TRUE(failed(interpretKernel(getKernel(), arguments, 50, options)));
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_NE(messages[0].find("element must be inside the buffer's 480 bytes, but got byte 480"),
            std::string::npos);
}

TEST_F(InterpreterTest, ContiguousStrides) {
  ProblemInstance headMajor =
      ProblemInstance::getContiguous({2, 4, 2, 10, 20}, 64, 64, false, 0.125);
  ProblemInstance tokenMajor =
      ProblemInstance::getContiguous({2, 4, 2, 10, 20}, 64, 64, true, 0.125);
  EXPECT_EQ(headMajor.symbols[5], 4 * 10 * 64); // query_b
  EXPECT_EQ(headMajor.symbols[9], 20 * 64);     // key_h
  EXPECT_EQ(tokenMajor.symbols[9], 64);
  EXPECT_EQ(tokenMajor.symbols[10], 2 * 64); // key_n
}

} // namespace
