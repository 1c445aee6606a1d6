// From work to clocks, and queues.

#include "sage/CostModel/Prediction.h"
#include "sage/Schedule/ScheduleLookup.h"

#include "mlir/IR/BuiltinOps.h"
#include "sage/Dialect/Sage/IR/SageDialect.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace sage;

namespace {

struct PredictionTest : testing::Test {
  PredictionTest() { context.loadDialect<SageDialect>(); }

  RatesAttr getRates() {
    return RatesAttr::get(&context, "a chip", /*multiprocessors=*/10, /*clock_mhz=*/1000,
                          /*tensor_f16=*/1024, /*tensor_int8=*/2048, /*tensor_int4=*/0,
                          /*tensor_e4m3=*/2048, /*special=*/16, /*fma=*/128, /*alu=*/64,
                          /*convert=*/64, /*shared=*/128, /*latency=*/0,
                          /*shared_bytes=*/100000, /*threads=*/1536);
  }

  MLIRContext context;
};

/// A warpgroup's tile of 64×128 at head dim 128 whose products and exponentials take 512 clocks
/// each.
LoopWork getBalancedWork() {
  LoopWork work;
  work.elements = 64 * 128;
  work.warps = 4;
  work.products.int8 = 64.0 * 128 * 128;
  work.special = 64;
  work.instructions = 64;
  return work;
}

TEST_F(PredictionTest, BusiestPipeBounds) {
  KernelShape kernel;
  kernel.units = 1;
  kernel.threads = 128;
  kernel.sharedBytes = 60000;
  kernel.operationsPerElement = 512;
  Prediction prediction = predict(getBalancedWork(), kernel, getRates(), 0);
  EXPECT_EQ(prediction.blocks, 1);
  EXPECT_EQ(prediction.pipes[0].name, "tensor");
  EXPECT_DOUBLE_EQ(prediction.pipes[0].clocks, 1.0 / 16);
  EXPECT_DOUBLE_EQ(prediction.pipes[1].clocks, 1.0 / 16);
  // 512 operations an element, 16 elements a clock, 10 multiprocessors at 1 GHz.
  EXPECT_NEAR(prediction.boundTeraflops, 512 * 16 * 10 * 1e-3, 1e-9);
  // One unit does one after the other.
  EXPECT_NEAR(prediction.queueTeraflops, prediction.boundTeraflops / 2, 1e-9);
  EXPECT_NEAR(predict(getBalancedWork(), kernel, getRates(), 2000).boundTeraflops,
              2 * prediction.boundTeraflops, 1e-9);
}

TEST_F(PredictionTest, OccupancyIsTheLeast) {
  KernelShape kernel;
  kernel.threads = 256;
  auto blocks = [&] { return predict(getBalancedWork(), kernel, getRates(), 0).blocks; };
  EXPECT_EQ(blocks(), 6); // threads
  kernel.registers = 128;
  EXPECT_EQ(blocks(), 2);
  kernel.registers = std::nullopt;
  kernel.producerRegisters = 24;
  kernel.units = 1;
  kernel.consumerRegisters = 152;
  EXPECT_EQ(blocks(), 2);
  kernel.sharedBytes = 99000;
  EXPECT_EQ(blocks(), 1); // with what every block reserves
}

TEST_F(PredictionTest, QueuesFollowTheBalancedNetwork) {
  // Two equal stations, n customers: n / (n + 1) of the rate of one.
  for (int64_t n : {1, 2, 3, 10})
    EXPECT_NEAR(closedQueueThroughput({5.0, 5.0}, 0, n), double(n) / double(n + 1) / 5, 1e-12);
  EXPECT_NEAR(closedQueueThroughput({5.0}, 5, 1), 0.1, 1e-12);
  EXPECT_LE(closedQueueThroughput({5.0, 1.0}, 3, 100), 0.2);
}

TEST_F(PredictionTest, EveryChipHasRates) {
  for (const std::string &chip : listChips())
    EXPECT_TRUE(succeeded(lookupRates(&context, chip, [&] {
      return emitError(UnknownLoc::get(&context));
    }))) << chip;
}

} // namespace
