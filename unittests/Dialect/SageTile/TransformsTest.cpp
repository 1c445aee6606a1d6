// The passes on tiles keep a program's meaning: interpreted before and after each of them. Planted
// faults are seen.

#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"
#include "sage/Dialect/SageTile/Transforms/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"

#include "gtest/gtest.h"

#include <cmath>
#include <random>

using namespace mlir;
using namespace sage::tile;

namespace {

constexpr int64_t headDim = 128, queryTile = 128, keyTile = 128;
/// Scores spread by about one in log2 units, so that no key dominates a row.
constexpr float scaleLog2e = 1e-5f;

/// A head's quantized inputs, padded to whole tiles, and its outputs.
struct Problem {
  int64_t queries = 200, keys = 300;
  int64_t blocks = 2, keyTiles = 3;
  std::vector<int8_t> query, key;
  std::vector<uint8_t> value;
  std::vector<float> queryScales, keyScales, valueScales, correction, lse;
  std::vector<uint16_t> output;

  Problem()
      : query(blocks * queryTile * headDim), key(keyTiles * keyTile * headDim),
        value(headDim * keyTiles * keyTile), queryScales(blocks * queryTile / 2),
        keyScales(keyTiles * 4), valueScales(headDim), correction(blocks * queryTile), lse(queries),
        output(queries * headDim) {
    std::mt19937 random(1);
    auto draw = [&](double low, double high) {
      return std::uniform_real_distribution<double>(low, high)(random);
    };
    for (auto *tensor : {&query, &key})
      for (int8_t &x : *tensor)
        x = static_cast<int8_t>(draw(-127, 127));
    // Any sign, exponents from 2^-6 to 2^3: e4m3 without NaN. Keys past the last one would be seen
    // if not masked.
    for (uint8_t &x : value)
      x = static_cast<uint8_t>(draw(8, 80)) | (draw(0, 1) < 0.5 ? 0x80 : 0);
    for (auto *scales : {&queryScales, &keyScales, &valueScales})
      for (float &x : *scales)
        x = static_cast<float>(draw(0.5, 2));
    for (float &x : correction)
      x = static_cast<float>(draw(-1, 1));
  }
};

template <typename T> DeviceBuffer getBuffer(std::vector<T> &data) {
  return {reinterpret_cast<char *>(data.data()), static_cast<int64_t>(data.size() * sizeof(T))};
}

template <typename T>
TensorMapDescription getTensorMap(std::vector<T> &data, int64_t rows, int64_t columns) {
  return {getBuffer(data), {columns, rows}, {columns}};
}

float halfToFloat(uint16_t bits) {
  int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  float value = exponent == 0    ? std::ldexp(static_cast<float>(mantissa), -24)
                : exponent == 31 ? (mantissa ? NAN : INFINITY)
                                 : std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return bits & 0x8000 ? -value : value;
}

/// Output and LSE of one run.
struct Results {
  std::vector<float> output, lse;
  bool operator==(const Results &other) const { return output == other.output && lse == other.lse; }
};

/// Sum of the differences over the sum of the magnitudes (NaN counts as different).
double getRelativeL1(const std::vector<float> &actual, const std::vector<float> &expected) {
  double difference = 0, magnitude = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::abs(double(actual[i]) - expected[i]);
    magnitude += std::abs(expected[i]);
  }
  return std::isfinite(difference) ? difference / magnitude : INFINITY;
}

double getDistance(const Results &actual, const Results &expected) {
  return std::max(getRelativeL1(actual.output, expected.output),
                  getRelativeL1(actual.lse, expected.lse));
}

class TransformsTest : public ::testing::Test {
protected:
  TransformsTest() {
    static bool registered = (registerSageTileTransformsPasses(), true);
    (void)registered;
    DialectRegistry registry;
    registerSageTileDialect(registry);
    registry.insert<gpu::GPUDialect, memref::MemRefDialect>();
    context.appendDialectRegistry(registry);
    module = parseSourceFile<ModuleOp>(
        SAGE_SOURCE_DIR "/test/Dialect/SageTile/Transforms/Inputs/attention.mlir", &context);
  }

  LogicalResult run(StringRef passes) {
    if (passes.empty())
      return success();
    PassManager manager(&context);
    std::string pipeline = ("builtin.module(gpu.module(sage_tile.kernel(" + passes + ")))").str();
    auto parsed = parsePassPipeline(pipeline);
    if (failed(parsed))
      return failure();
    static_cast<OpPassManager &>(manager) = std::move(*parsed);
    return manager.run(*module);
  }

  /// Nothing, with diagnostics, if the program deadlocks or races.
  std::optional<Results> interpret(uint64_t seed = 0) {
    Problem problem;
    std::vector<LaunchArgument> arguments{
        LaunchArgument::get(getTensorMap(problem.query, problem.blocks * queryTile, headDim)),
        LaunchArgument::get(getTensorMap(problem.key, problem.keyTiles * keyTile, headDim)),
        LaunchArgument::get(getTensorMap(problem.value, headDim, problem.keyTiles * keyTile)),
        LaunchArgument::get(getBuffer(problem.queryScales)),
        LaunchArgument::get(getBuffer(problem.keyScales)),
        LaunchArgument::get(getBuffer(problem.valueScales)),
        LaunchArgument::get(getBuffer(problem.output)),
        LaunchArgument::get(getBuffer(problem.lse)),
        LaunchArgument::get(getBuffer(problem.correction)),
        LaunchArgument::get(problem.queries),
        LaunchArgument::get(problem.keys),
        LaunchArgument::get(scaleLog2e)};
    KernelOp kernel;
    module->walk([&](KernelOp op) { kernel = op; });
    InterpreterOptions options;
    options.scheduleSeed = seed;
    if (failed(interpretKernel(kernel, arguments, problem.blocks, options)))
      return std::nullopt;
    Results results;
    for (uint16_t bits : problem.output)
      results.output.push_back(halfToFloat(bits));
    results.lse = problem.lse;
    return results;
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

constexpr const char *arithmeticPasses = "sage-tile-two-level-accumulation{value-chunks=2},sage-"
                                         "tile-fold-score-conversion{conversion=magic}";
constexpr const char *specializingPasses =
    "sage-tile-issue-mma-async,sage-tile-specialize-warps,sage-tile-pipeline-copies{stages=2}";

TEST_F(TransformsTest, TwoLevelAccumulationAndIntegerMaximaAreNearlyExact) {
  std::optional<Results> sequential = interpret();
  ASSERT_TRUE(sequential);
  ASSERT_TRUE(std::all_of(sequential->output.begin(), sequential->output.end(),
                          [](float x) { return std::isfinite(x); }));
  ASSERT_TRUE(succeeded(run("sage-tile-two-level-accumulation{value-chunks=2}")));
  std::optional<Results> twoLevel = interpret();
  ASSERT_TRUE(twoLevel);
  EXPECT_LT(getDistance(*twoLevel, *sequential), 1e-4);

  ASSERT_TRUE(succeeded(run("sage-tile-fold-score-conversion{conversion=convert}")));
  std::optional<Results> converted = interpret();
  ASSERT_TRUE(converted);
  EXPECT_TRUE(*converted == *twoLevel);
}

TEST_F(TransformsTest, MagicStartValueIsNearlyExact) {
  std::optional<Results> sequential = interpret();
  ASSERT_TRUE(succeeded(run(arithmeticPasses)));
  std::optional<Results> folded = interpret();
  ASSERT_TRUE(sequential && folded);
  EXPECT_LT(getDistance(*folded, *sequential), 2e-3);
}

TEST_F(TransformsTest, SchedulingPassesAreExact) {
  ASSERT_TRUE(succeeded(run(arithmeticPasses)));
  std::optional<Results> expected = interpret();
  ASSERT_TRUE(expected);
  for (const char *pass :
       {"sage-tile-issue-mma-async", "sage-tile-specialize-warps",
        "sage-tile-pipeline-copies{stages=3}", "sage-tile-peel-masks{drop-guards=true}",
        "sage-tile-interleave-exponentials{chunks=8}"}) {
    ASSERT_TRUE(succeeded(run(pass))) << pass;
    for (uint64_t seed : {0, 1, 2}) {
      std::optional<Results> actual = interpret(seed);
      ASSERT_TRUE(actual) << pass;
      EXPECT_TRUE(*actual == *expected) << pass;
    }
  }
}

/// Two units that add the products of `tiles` key tiles; 32 of a tile's 40 rows are copied, the
/// rest holds ones.
constexpr const char *groupKernel = R"(
#acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)], reg = [2:(0, 1), 2:(8, 0), 5:(0, 8)]>
!query = !sage_tile.shared<16x32xi8, swizzle = 32>
!key = !sage_tile.shared<40x32xi8, swizzle = 32>
!copied = !sage_tile.shared<32x32xi8, swizzle = 32>
!scores = !sage_tile.fragment<16x40xi32, #acc>
gpu.module @kernels {
sage_tile.kernel @groups(%q: memref<?x32xi8>, %k: memref<?x32xi8>, %out: memref<?x40xi32>, %n: i32)
    attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c32 = arith.constant 32 : index
  %zero = arith.constant 0 : i32
  %tiles = arith.index_cast %n : i32 to index
  %query_tile = sage_tile.alloc : !sage_tile.shared<32x32xi8, swizzle = 32>
  %key_tile = sage_tile.alloc : !key
  %rest = sage_tile.subtile %key_tile[%c32] : !key to !sage_tile.shared<8x32xi8, swizzle = 32>
  sage_tile.fill %rest with 1 : i8 : !sage_tile.shared<8x32xi8, swizzle = 32>
  sage_tile.copy %q[%c0, %c0] to %query_tile : memref<?x32xi8> to !sage_tile.shared<32x32xi8, swizzle = 32>
  %unit = sage_tile.unit_id
  %unit_row = arith.muli %unit, %c16 : index
  %query = sage_tile.subtile %query_tile[%unit_row] : !sage_tile.shared<32x32xi8, swizzle = 32> to !query
  %fresh = sage_tile.splat %zero : i32 to !scores
  %sum = scf.for %i = %c0 to %tiles step %c1 iter_args(%s = %fresh) -> (!scores) {
    %row = arith.muli %i, %c32 : index
    %target = sage_tile.subtile %key_tile[%c0] : !key to !copied
    sage_tile.copy %k[%row, %c0] to %target : memref<?x32xi8> to !copied
    %next = sage_tile.mma %query, %key_tile, %s : !query, !key to !scores
    scf.yield %next : !scores
  }
  sage_tile.store %sum, %out[%unit_row, %c0] : !scores to memref<?x40xi32>
  sage_tile.return
}
}
)";

TEST_F(TransformsTest, CopyGroupsAreExactForAnyNumberOfStages) {
  for (int64_t tiles : {0, 1, 2, 7}) {
    std::vector<int8_t> query(32 * 32), key(std::max<int64_t>(1, tiles) * 32 * 32);
    std::mt19937 random(2);
    for (auto *tensor : {&query, &key})
      for (int8_t &x : *tensor)
        x = static_cast<int8_t>(static_cast<int>(random() % 255) - 127);
    std::vector<int32_t> expected;
    for (const char *passes :
         {"", "sage-tile-pipeline-copies{stages=1}", "sage-tile-pipeline-copies{stages=2}",
          "sage-tile-pipeline-copies{stages=4}"}) {
      module = parseSourceString<ModuleOp>(groupKernel, &context);
      ASSERT_TRUE(module && succeeded(run(passes)));
      std::vector<int32_t> output(32 * 40, -1);
      KernelOp kernel;
      module->walk([&](KernelOp op) { kernel = op; });
      for (uint64_t seed : {0, 1, 2}) {
        InterpreterOptions options;
        options.scheduleSeed = seed;
        ASSERT_TRUE(succeeded(interpretKernel(
            kernel,
            {LaunchArgument::get(getBuffer(query)), LaunchArgument::get(getBuffer(key)),
             LaunchArgument::get(getBuffer(output)), LaunchArgument::get(tiles)},
            1, options)))
            << passes;
        if (expected.empty())
          expected = output;
        EXPECT_EQ(output, expected) << passes;
      }
    }
  }
}

class FaultTest : public TransformsTest, public ::testing::WithParamInterface<const char *> {};

TEST_P(FaultTest, IsSeen) {
  ASSERT_TRUE(succeeded(run(arithmeticPasses)));
  std::optional<Results> expected = interpret();
  ASSERT_TRUE(expected);
  ASSERT_TRUE(succeeded(run(specializingPasses)));
  ASSERT_TRUE(succeeded(run(std::string("sage-tile-inject-fault{kind=") + GetParam() + "}")));
  ScopedDiagnosticHandler silence(&context, [](Diagnostic &) { return success(); });
  std::optional<Results> actual = interpret(1);
  EXPECT_TRUE(!actual || getDistance(*actual, *expected) > 5e-3);
}

INSTANTIATE_TEST_SUITE_P(Kinds, FaultTest,
                         ::testing::Values("wrong-scale-index", "missing-rescale",
                                           "mask-off-by-one", "swapped-value-order",
                                           "dropped-lse-correction", "missing-value-scale",
                                           "wrong-tile-order", "unmasked-tail", "stale-stage",
                                           "missing-full-wait", "missing-empty-wait"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

} // namespace
