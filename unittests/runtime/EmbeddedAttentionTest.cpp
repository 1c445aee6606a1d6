//===- EmbeddedAttentionTest.cpp - attention with its artifact in the program ===//
#include "SampleArtifact.h"
#include "sage_mgpu.h"
#include "sage_stub.h"

#include "sage/runtime/sage.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <vector>

namespace {

/// bf16, 1×2×N×64, the log-sum-exp; as sage-to-runtime-calls describes it.
struct Tensors {
  explicit Tensors(int64_t tokens)
      : query(elements(tokens)), key(query.size()), value(query.size()), output(query.size()),
        lse(size_t(2 * tokens), -1.0f) {
    for (size_t i = 0; i < query.size(); ++i) {
      query[i] = toBrain(float(int(i * 7 % 13) - 6) / 6);
      key[i] = toBrain(float(int(i * 5 % 11) - 5) / 5);
      value[i] = toBrain(float(int(i * 3 % 17) - 8) / 8);
    }
    attention.query = describe(query.data(), tokens);
    attention.key = describe(key.data(), tokens);
    attention.value = describe(value.data(), tokens);
    attention.output = describe(output.data(), tokens);
    attention.lse = int64_t(reinterpret_cast<intptr_t>(lse.data()));
  }
  static size_t elements(int64_t tokens) { return size_t(2 * tokens * 64); }
  static uint16_t toBrain(float x) {
    uint32_t bits;
    static_assert(sizeof(bits) == sizeof(x));
    std::memcpy(&bits, &x, sizeof(bits));
    return uint16_t(bits >> 16);
  }
  static sage_mgpu_tensor describe(uint16_t *data, int64_t tokens) {
    return {int64_t(reinterpret_cast<intptr_t>(data)),
            {1, 2, tokens, 64},
            {2 * tokens * 64, tokens * 64, 64, 1}};
  }

  std::vector<uint16_t> query, key, value, output;
  std::vector<float> lse;
  sage_mgpu_attention attention{};
};

class EmbeddedAttentionTest : public testing::Test {
protected:
  void SetUp() override {
    sage_mgpu_set_driver(SAGE_STUB_DRIVER);
    sage_stub_reset();
    sage_mgpu_set_stream(nullptr);
  }
  void TearDown() override {
    sage_mgpu_release_workspaces();
    EXPECT_EQ(sage_stub_context_depth(), 0);
  }
  /// A constant of a program: each test has its own, at an address of its own.
  const std::string &artifact = *new std::string(sage::test::sealed(sage::test::sampleManifest()));
  int64_t size = int64_t(artifact.size());
};

TEST_F(EmbeddedAttentionTest, ComputesOnTheCpuWithoutAFittingDevice) {
  sage_stub_set_devices(1, 8, 0);
  Tensors tensors(70);
  EXPECT_NE(std::string(sage_mgpu_attend_origin(artifact.data(), size)).find("CPU reference: "),
            std::string::npos);
  sage_mgpu_attend_host(artifact.data(), size, &tensors.attention);
  EXPECT_EQ(sage_stub_launches(), 0u);

  sage_artifact *parsed = nullptr;
  ASSERT_EQ(sage_artifact_parse(artifact.data(), artifact.size(), &parsed), nullptr);
  sage_program program;
  sage_artifact_program(parsed, &program);
  Tensors expected(70);
  sage_call call{};
  auto dense = [](std::vector<uint16_t> &data) {
    return sage_tensor_dense(data.data(), SAGE_HEAD_MAJOR, SAGE_BF16, 1, 2, 70, 64);
  };
  call.query = dense(expected.query);
  call.key = dense(expected.key);
  call.value = dense(expected.value);
  call.output = dense(expected.output);
  call.lse = expected.lse.data();
  ASSERT_EQ(sage_reference_run(&program, &call, nullptr, nullptr), nullptr);
  EXPECT_EQ(tensors.output, expected.output);
  EXPECT_EQ(tensors.lse, expected.lse);
  EXPECT_TRUE(std::isfinite(tensors.lse[0]));
  sage_artifact_destroy(parsed);
}

TEST_F(EmbeddedAttentionTest, CopiesHostTensorsThroughTheDevice) {
  EXPECT_STREQ(sage_mgpu_attend_origin(artifact.data(), size), "Stub GPU");
  // The first call retains the device's context for good.
  mgpuStreamDestroy(mgpuStreamCreate());
  int before = sage_stub_live_objects();
  Tensors tensors(70);
  tensors.output.assign(tensors.output.size(), 0x3f80);
  sage_mgpu_attend_host(artifact.data(), size, &tensors.attention);
  // The stub runs no kernel: what comes back is what went there.
  EXPECT_EQ(tensors.output, std::vector<uint16_t>(tensors.output.size(), 0x3f80));
  EXPECT_EQ(tensors.lse, std::vector<float>(tensors.lse.size(), -1.0f));
  EXPECT_GT(sage_stub_launches(), 0u);
  EXPECT_EQ(sage_stub_live_objects(), before);
}

TEST_F(EmbeddedAttentionTest, LaunchesOnTheThreadsStreamAndKeepsItsWorkspace) {
  Tensors tensors(128);
  void *stream = mgpuStreamCreate();
  sage_mgpu_set_stream(stream);
  sage_mgpu_attend_device(artifact.data(), size, &tensors.attention);
  int allocations = sage_stub_calls("cuMemAlloc_v2");
  size_t launches = sage_stub_launches();
  sage_stub_launch launch;
  ASSERT_TRUE(sage_stub_get_launch(0, &launch));
  EXPECT_EQ(launch.stream, stream);
  sage_mgpu_attend_device(artifact.data(), size, &tensors.attention);
  EXPECT_EQ(sage_stub_calls("cuMemAlloc_v2"), allocations);
  EXPECT_EQ(sage_stub_launches(), 2 * launches);
  // It does not wait.
  EXPECT_EQ(sage_stub_calls("cuStreamSynchronize"), 0);
  int before = sage_stub_live_objects();
  sage_mgpu_release_workspaces();
  EXPECT_EQ(sage_stub_live_objects(), before - 1);
  mgpuStreamDestroy(stream);
}

TEST_F(EmbeddedAttentionTest, SaysWhatIsWrongAndEnds) {
  Tensors tensors(8);
  EXPECT_DEATH(sage_mgpu_attend_host("no artifact", 11, &tensors.attention),
               "sage_mgpu_attend_host: .*");
  tensors.attention.key.extents[1] = 3;
  sage_stub_set_devices(1, 8, 0);
  EXPECT_DEATH(sage_mgpu_attend_host(artifact.data(), size, &tensors.attention), "heads");
  sage_stub_set_devices(1, 8, 0);
  EXPECT_DEATH(sage_mgpu_attend_device(artifact.data(), size, &tensors.attention), "remedy");
}

} // namespace
