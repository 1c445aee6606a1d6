//===- DefectTest.cpp - defects of other libraries, each excluded ---------===//
// docs/Robustness.md lists them by number.
//===----------------------------------------------------------------------===//
#include "StubFixture.h"

#include "HostTensor.h"

#include <cmath>
#include <sys/mman.h>

using namespace sage::test;

namespace {

using Defect = StubTest;

sage_program named(const char *recipe, int64_t headDim = 32) {
  sage_program program{};
  EXPECT_EQ(takeMessage(sage_program_named(recipe, SAGE_WGMMA, &program)), "");
  program.problem.head_dim = program.problem.value_head_dim = headDim;
  return program;
}

void run(const sage_program &program, const sage_call &call) {
  ASSERT_EQ(takeMessage(sage_reference_run(&program, &call, nullptr, nullptr)), "");
}

/// Address space without memory behind it, until it is written: for tensors that reach beyond 32
/// bits.
class SparseMemory {
public:
  explicit SparseMemory(size_t bytes) : bytes(bytes) {
    memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  }
  ~SparseMemory() {
    if (valid())
      munmap(memory, bytes);
  }
  SparseMemory(const SparseMemory &) = delete;
  bool valid() const { return memory != MAP_FAILED; }
  uint16_t *elements() const { return static_cast<uint16_t *>(memory); }

private:
  size_t bytes;
  void *memory;
};

constexpr const char *recipes[] = {"sage2-8b", "sage2-4b", "sage1", "sage2pp",
                                   "sage-8b",  "sage-4b",  "f16"};

} // namespace

TEST_F(Defect, D01_LaunchesUseTheCallersStreamAndNeitherAllocateNorSynchronize) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  sage::Driver driver(SAGE_STUB_DRIVER);
  sage::Module module(driver, artifact, 0);
  for (void *stream : {address(0x777), static_cast<void *>(nullptr)}) {
    sage_stub_reset();
    module.launch(sampleCall(1, 2, 10, 20), stream, address(0x100000), 1 << 20);
    const std::map<std::string, int> expected = {{"cuCtxPopCurrent_v2", 1},
                                                 {"cuCtxPushCurrent_v2", 1},
                                                 {"cuLaunchKernel", 2},
                                                 {"cuTensorMapEncodeTiled", 1}};
    EXPECT_EQ(stubCalls(), expected);
    for (size_t i = 0; i < sage_stub_launches(); ++i) {
      sage_stub_launch launch;
      ASSERT_TRUE(sage_stub_get_launch(i, &launch));
      EXPECT_EQ(launch.stream, stream);
    }
  }
}

TEST_F(Defect, D02_CausalAlignmentIsSpelled) {
  sage_program program = named("f16");
  // V[j] = j in every channel, and equal scores: O is the mean of the visible indices.
  auto meanOfVisible = [&](sage_mask mask, int64_t query) {
    program.problem.mask = mask;
    HostCall host(program.problem, 1, 1, 1, 4, 10);
    std::fill(host.key.begin(), host.key.end(), uint16_t(0));
    for (size_t j = 0; j < 10; ++j)
      for (size_t d = 0; d < 32; ++d)
        host.value[j * 32 + d] = sage::runtime::encodeElement(SAGE_F16, float(j));
    run(program, host.call);
    return host.outputs()[size_t(query) * 32];
  };
  for (int64_t query = 0; query < 4; ++query) {
    EXPECT_NEAR(meanOfVisible(SAGE_MASK_CAUSAL_TOP_LEFT, query), double(query) / 2, 0.01);
    EXPECT_NEAR(meanOfVisible(SAGE_MASK_CAUSAL_BOTTOM_RIGHT, query), double(query + 6) / 2, 0.01);
    EXPECT_NEAR(meanOfVisible(SAGE_MASK_NONE, query), 4.5, 0.01);
  }
}

TEST_F(Defect, D03_OffsetsHave64Bits) {
  constexpr int64_t stride =
      (int64_t(1) << 31) + 8; // elements; 32 bits hold neither it nor its bytes
  sage_program program = named("sage2-8b");
  HostCall host(program.problem, 1, 2, 2, 5, 6);
  run(program, host.call);
  SparseMemory key(size_t(stride) * 4), output(size_t(stride) * 4);
  if (!key.valid() || !output.valid())
    GTEST_SKIP() << "no address space";
  sage_call call = host.call;
  std::copy_n(host.key.data(), 6 * 32, key.elements());
  std::copy_n(host.key.data() + 6 * 32, 6 * 32, key.elements() + stride);
  call.key.data = key.elements();
  call.output.data = output.elements();
  call.key.strides[1] = call.output.strides[1] = stride;
  run(program, call);
  for (size_t i = 0; i < 5 * 32; ++i) {
    ASSERT_EQ(output.elements()[i], host.output[i]);
    ASSERT_EQ(output.elements()[size_t(stride) + i], host.output[5 * 32 + i]);
  }
  // Launches pass such strides on as 64-bit arguments: LaunchTest.TakesStrides.
}

TEST_F(Defect, D04_ZerosInChannelsAndGroupsAreNoNaN) {
  for (const char *recipe : recipes) {
    sage_program program = named(recipe);
    HostCall host(program.problem, 1, 1, 1, 20, 30);
    for (size_t n = 0; n < 30; ++n)
      host.value[n * 32 + 3] = 0; // a channel of V
    std::fill_n(host.query.begin(), 8 * 32, uint16_t(0));
    std::fill_n(host.key.begin(), 8 * 32, uint16_t(0));
    run(program, host.call);
    auto output = host.outputs();
    for (size_t i = 0; i < output.size(); ++i)
      ASSERT_TRUE(std::isfinite(output[i]) && (i % 32 != 3 || output[i] == 0)) << recipe << i;
  }
}

TEST_F(Defect, D05_ShortLengthsReadNothingElse) {
  constexpr uint16_t nan = 0x7e00;
  for (const char *recipe : recipes)
    for (int64_t keys : {0, 1, 5, 63, 65})
      for (int64_t queries : {0, 1, 17}) {
        sage_program program = named(recipe);
        HostCall host(program.problem, 1, 1, 1, queries, keys);
        run(program, host.call);
        // The same tensors in the middle of NaNs.
        std::vector<uint16_t> key(size_t(keys + 200) * 32, nan), value = key;
        std::copy(host.key.begin(), host.key.end(), key.begin() + 100 * 32);
        std::copy(host.value.begin(), host.value.end(), value.begin() + 100 * 32);
        std::vector<uint16_t> expected = host.output;
        sage_call call = host.call;
        call.key.data = key.data() + 100 * 32;
        call.value.data = value.data() + 100 * 32;
        run(program, call);
        EXPECT_EQ(host.output, expected) << recipe << keys;
        for (size_t i = 0; keys == 0 && i < host.lse.size(); ++i) {
          EXPECT_EQ(host.lse[i], -INFINITY);
          EXPECT_EQ(host.output[i * 32], 0);
        }
      }
}

TEST_F(Defect, D06_UnknownOptionsAreNamed) {
  sage_program program;
  EXPECT_EQ(takeMessage(sage_program_named("sage9", SAGE_WGMMA, &program)),
            "recipe must be one of sage2-8b, sage2-4b, sage1, sage2pp, sage-8b, sage-4b, f16, but "
            "got 'sage9'");
  nlohmann::json manifest = sampleManifest();
  manifest["recipe"]["accumulate"] = "f16";
  std::string text = sealed(manifest);
  sage_artifact *artifact;
  EXPECT_NE(takeMessage(sage_artifact_parse(text.data(), text.size(), &artifact))
                .find("unknown field 'accumulate'"),
            std::string::npos);
}

TEST_F(Defect, D07_FullyMaskedRowsAreZero) {
  for (const char *recipe : recipes) {
    sage_program program = named(recipe);
    program.problem.mask = SAGE_MASK_CAUSAL_BOTTOM_RIGHT;
    HostCall host(program.problem, 1, 1, 1, 20, 5);
    run(program, host.call);
    for (size_t i = 0; i < 20; ++i)
      for (size_t d = 0; d < 32; ++d) {
        EXPECT_EQ(host.lse[i] == -INFINITY, i < 15) << recipe;
        if (i < 15) {
          EXPECT_EQ(host.output[i * 32 + d], 0) << recipe;
        }
      }
  }
}

TEST_F(Defect, D08_GridsBeyondTheLimitsAreRefused) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  sage::Driver driver(SAGE_STUB_DRIVER);
  sage::Module module(driver, artifact, 0);
  sage_call call = sampleCall(65536, 1, 1, 1);
  sage_status *status =
      sage_module_launch(module.get(), &call, nullptr, address(0x100000), uint64_t(1) << 40);
  EXPECT_STREQ(sage_status_get_remedy(status), "split the call by batches or heads");
  EXPECT_NE(takeMessage(status).find("grid axis 2 must be 0 to 65535, but is 65536"),
            std::string::npos);
  EXPECT_EQ(sage_stub_launches(), 0u);
  // Driver calls that fail: DriverFailureTest.
}

TEST_F(Defect, D09_TheLogSumExpIsCorrectedInFloat32) {
  for (const char *recipe : {"sage2-8b", "sage2-4b"}) {
    sage_program program = named(recipe);
    HostCall host(program.problem, 1, 1, 1, 20, 30);
    // All keys are equal: K' = 0, and the correction is the whole score, about 1800. f16 would be
    // off by 0.5.
    for (size_t i = 0; i < host.key.size(); ++i)
      host.key[i] = sage::runtime::encodeElement(SAGE_F16, 100.0f + float(i % 32));
    for (uint16_t &bits : host.query)
      bits = sage::runtime::encodeElement(SAGE_F16, 2.7f);
    run(program, host.call);
    std::vector<double> exact(host.output.size()), lse(host.lse.size());
    sage::runExact(program.problem, host.call, exact.data(), lse.data());
    EXPECT_GT(lse[0], 1700);
    for (size_t i = 0; i < lse.size(); ++i)
      EXPECT_NEAR(host.lse[i], lse[i], 3e-6 * lse[i]) << recipe;
  }
}

TEST_F(Defect, D10_RandomInputsHaveFiniteOutputs) {
  using sage::evaluation::InputDistribution;
  for (InputDistribution inputs :
       {InputDistribution::Normal, InputDistribution::Outliers, InputDistribution::ChannelBias,
        InputDistribution::GroupMagnitudes, InputDistribution::Position,
        InputDistribution::Uniform})
    for (const char *recipe : recipes) {
      sage_program program = named(recipe);
      HostCall host(program.problem, 1, 2, 1, 40, 70, inputs);
      run(program, host.call);
      for (double value : host.outputs())
        ASSERT_TRUE(std::isfinite(value)) << recipe;
    }
  // What is timed is checked in the same run: `sage-run --check`, and the timing suite of test/gpu.
}
