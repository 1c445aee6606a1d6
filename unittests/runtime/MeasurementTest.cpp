//===- MeasurementTest.cpp - times, work and sampled rows -----------------===//
#include "StubFixture.h"

#include "ArtifactHandle.h"
#include "LaunchTimes.h"
#include "LoadedArtifact.h"
#include "SampledRows.h"
#include "Workload.h"

#include <algorithm>
#include <memory>

using namespace sage::test;
using namespace sage::gpu;

namespace {

sage_program programOf(const char *recipe, void (*edit)(sage_problem &)) {
  sage_program program;
  EXPECT_EQ(takeMessage(sage_program_named(recipe, SAGE_WGMMA, &program)), "");
  program.problem.head_dim = program.problem.value_head_dim = 64;
  edit(program.problem);
  return program;
}

/// What the CPU reference computes, compared with float64 on some rows.
sage::evaluation::Accuracy sample(const sage_program &program, const Shape &shape, bool isWrong) {
  HostInputs inputs;
  EXPECT_EQ(makeInputs(program.problem, shape, {}, inputs), "");
  std::vector<uint16_t> output(size_t(inputs.rows() * inputs.valueHeadDim));
  sage_call call = inputs.call(output.data(), nullptr);
  EXPECT_EQ(takeMessage(sage_reference_run(&program, &call, nullptr, nullptr)), "");
  if (isWrong) // every row is the next one's
    std::rotate(output.begin(), output.begin() + inputs.valueHeadDim, output.end());
  sage::evaluation::Accuracy accuracy;
  EXPECT_TRUE(compareSampledRows(program.problem, inputs, output, 24, accuracy).ok());
  return accuracy;
}

TEST(SampledRows, AgreeUnderEveryMask) {
  struct {
    const char *what;
    void (*edit)(sage_problem &);
    Shape shape;
  } cases[] = {
      {"none", [](sage_problem &) {}, {2, 4, 2, 70, 90}},
      {"causal",
       [](sage_problem &p) { p.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT; },
       {1, 2, 1, 60, 99}},
      {"bias", [](sage_problem &p) { p.has_bias = 1, p.bias_type = SAGE_F32; }, {1, 2, 1, 40, 50}},
      {"hiding bias and sinks",
       [](sage_problem &p) { p.has_bias = p.sinks = 1, p.bias_type = SAGE_BOOL; },
       {1, 2, 2, 40, 50}},
      {"lengths", [](sage_problem &p) { p.key_lengths = 1; }, {3, 2, 1, 30, 80}},
      {"sequences", [](sage_problem &p) { p.packed = 1; }, {1, 2, 1, 90, 90}},
  };
  for (const auto &entry : cases) {
    SCOPED_TRACE(entry.what);
    for (const char *recipe : {"sage2-8b", "f16", "sage2-4b"}) {
      sage_program program = programOf(recipe, entry.edit);
      sage::evaluation::Accuracy right = sample(program, entry.shape, false);
      EXPECT_EQ(right.mismatches, 0);
      EXPECT_LE(right.relativeL1, sampledL1Limit(program.recipe, SAGE_F16));
      EXPECT_GT(sample(program, entry.shape, true).relativeL1,
                sampledL1Limit(program.recipe, SAGE_F16));
    }
  }
}

TEST(Workload, CountsPairs) {
  auto count = [](void (*edit)(sage_problem &), const Shape &shape) {
    sage_program program = programOf("f16", edit);
    HostInputs inputs;
    EXPECT_EQ(makeInputs(program.problem, shape, {}, inputs), "");
    return countOperations(program.problem, inputs.call(nullptr, nullptr)) / (4 * 64);
  };
  EXPECT_EQ(count([](sage_problem &) {}, {2, 4, 2, 10, 20}), 2 * 4 * 10 * 20);
  auto causal = [](sage_problem &p) { p.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT; };
  EXPECT_EQ(count(causal, {1, 2, 2, 10, 10}), 2 * 10 * 10 / 2);
  EXPECT_EQ(count(causal, {1, 1, 1, 2, 10}), 9 + 10);
  auto window = [](sage_problem &p) {
    p.mask = SAGE_MASK_WINDOW_TOP_LEFT, p.has_window_left = p.has_window_right = 1;
    p.window_left = p.window_right = 1;
  };
  EXPECT_EQ(count(window, {1, 1, 1, 4, 4}), 2 + 3 + 3 + 2);
}

/// The sample artifact on the stub, without a context left behind.
class MeasurementTest : public StubTest {
protected:
  void SetUp() override {
    StubTest::SetUp();
    ASSERT_TRUE(device->open(SAGE_STUB_DRIVER, 0, /*stub=*/true).ok());
    std::string text = sealed(sampleManifest());
    ASSERT_EQ(takeMessage(sage_artifact_parse(text.data(), text.size(), &artifact)), "");
    sage_driver driver{device->driver};
    ASSERT_EQ(takeMessage(sage_module_load(&driver, artifact, 0, nullptr, &module)), "");
  }
  void TearDown() override {
    sage_module_destroy(module);
    sage_artifact_destroy(artifact);
    sage::runtime::cuda::Context context;
    (void)device->api().ctxPopCurrent(&context);
    device.reset();
    StubTest::TearDown();
  }

  std::unique_ptr<Device> device = std::make_unique<Device>();
  sage_artifact *artifact = nullptr;
  sage_module *module = nullptr;
};

TEST_F(MeasurementTest, LaunchesOnlyWhatIsSelected) {
  sage_call call = sampleCall(1, 2, 64, 128);
  sage::runtime::KernelSelection only;
  only.set(1);
  void *workspace = address(0x100000);
  EXPECT_TRUE(module->module.launch(call, nullptr, workspace, 1 << 30, &only).ok());
  ASSERT_EQ(sage_stub_launches(), 1u);
  sage_stub_launch launch;
  ASSERT_TRUE(sage_stub_get_launch(0, &launch));
  EXPECT_STREQ(launch.kernel, "sage_attend");
}

TEST_F(MeasurementTest, CountsBytesOfBuffers) {
  sage_call call = sampleCall(1, 2, 64, 128);
  for (size_t kernel : {0, 1}) {
    std::optional<uint64_t> bytes;
    ASSERT_TRUE(countBytes(*artifact->artifact, call, kernel, bytes).ok());
    ASSERT_TRUE(bytes.has_value());
    EXPECT_GE(*bytes, 2u * 64 * 64 * 2);
  }
}

TEST_F(MeasurementTest, TimesEveryLaunchOfEverySet) {
  Stream stream(*device);
  ASSERT_TRUE(stream.create().ok());
  LaunchPlan plan;
  plan.inputSets = 3;
  plan.warmUps = 2;
  plan.launches = 7;
  plan.leastMilliseconds = 0;
  std::vector<int> counts(3);
  LaunchTimes times;
  for (int pass = 0; pass < 2; ++pass)
    ASSERT_TRUE(timeLaunches(
                    *device, stream, plan,
                    [&](size_t set) {
                      ++counts[set];
                      return Status();
                    },
                    times)
                    .ok());
  EXPECT_EQ(times.milliseconds.size(), 14u);
  EXPECT_EQ(counts, (std::vector<int>{8, 6, 4}));
  EXPECT_EQ(times.median(), 1.0); // the stub's answer
}

TEST(LaunchTimes, HasQuantiles) {
  LaunchTimes times{{5, 1, 4, 2, 3}, {1700, 1800}};
  EXPECT_EQ(times.median(), 3);
  EXPECT_EQ(times.quantile(0), 1);
  EXPECT_NEAR(times.quantile(0.9), 4.6, 1e-9);
  EXPECT_EQ(times.medianMegahertz(), 1750);
  EXPECT_EQ(LaunchTimes().median(), 0);
}

} // namespace
