//===- MaskOperandsTest.cpp - biases, lengths and views at a launch -------===//
#include "SampleArtifact.h"

#include "sage/runtime/sage.hpp"
#include "sage_stub.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace sage::test;
using nlohmann::json;

namespace {

void *address(uint64_t value) { return reinterpret_cast<void *>(uintptr_t(value)); }
template <typename Element> Element *vectorAt(uint64_t value) {
  return static_cast<Element *>(address(value));
}

sage_tensor dense(uint64_t data, int64_t batch, int64_t heads, int64_t tokens) {
  return sage_tensor_dense(address(data), SAGE_HEAD_MAJOR, SAGE_BF16, batch, heads, tokens, 64);
}

sage_call callOf(int64_t batch, int64_t queryHeads, int64_t keyHeads, int64_t queries,
                 int64_t keys) {
  sage_call call{};
  call.query = dense(0x10000, batch, queryHeads, queries);
  call.key = dense(0x20000, batch, keyHeads, keys);
  call.value = dense(0x30000, batch, keyHeads, keys);
  call.output = dense(0x40000, batch, queryHeads, queries);
  call.lse = vectorAt<float>(0x50000);
  return call;
}

/// PTX whose first entry has `more` parameters behind its own.
std::string ptxWith(size_t more) {
  std::string ptx = samplePtx(), end = ".param .u64 g) { ret; }";
  std::string parameters = ".param .u64 g";
  for (size_t i = 0; i < more; ++i)
    parameters += ", .param .u64 more" + std::to_string(i);
  return ptx.replace(ptx.find(end), end.size(), parameters + ") { ret; }");
}

/// The first kernel also takes what `arguments` lists, 8 bytes each.
sage::Artifact artifactOf(const json &problem, const std::vector<json> &arguments = {}) {
  json manifest = sampleManifest();
  for (auto field = problem.begin(); field != problem.end(); ++field)
    manifest["problem"][field.key()] = *field;
  for (const json &argument : arguments)
    manifest["kernels"][0]["arguments"].push_back(argument);
  return sage::Artifact::parse(sealed(manifest, ptxWith(arguments.size())));
}

std::string errorOf(const sage::Artifact &artifact, const sage_call &call) {
  return takeMessage(sage_artifact_check_call(artifact.get(), &call));
}

json integer(const char *symbol) { return {{"kind", "i64"}, {"value", symbol}}; }
json pointer(const char *buffer) { return {{"kind", "pointer"}, {"buffer", buffer}}; }

/// What the stub saw of the first kernel's arguments from `first` on.
std::vector<int64_t> launchedIntegers(const sage::Artifact &artifact, const sage_call &call,
                                      size_t first) {
  sage_stub_reset();
  sage::Driver driver(SAGE_STUB_DRIVER);
  sage::Module module(driver, artifact, 0);
  EXPECT_EQ(
      takeMessage(sage_module_launch(module.get(), &call, nullptr, address(0x100000), 1 << 30)),
      "");
  std::vector<int64_t> values;
  sage_stub_launch launch{};
  EXPECT_TRUE(sage_stub_get_launch(0, &launch));
  for (size_t i = first; i < launch.argument_count; ++i) {
    values.emplace_back();
    std::memcpy(&values.back(), launch.arguments + launch.argument_offsets[i], 8);
  }
  return values;
}

sage_tensor biasOf(std::array<int64_t, 4> extents, sage_element_type type,
                   uint64_t data = 0x60000) {
  sage_tensor bias{address(data), {}, {}, type};
  int64_t stride = 1;
  for (size_t axis = 4; axis-- > 0; stride *= extents[axis]) {
    bias.extents[axis] = extents[axis];
    bias.strides[axis] = stride;
  }
  return bias;
}

} // namespace

TEST(MaskOperands, AreGivenExactlyIfTheProblemHasThem) {
  sage::Artifact plain = artifactOf(json::object());
  sage::Artifact full = artifactOf({{"bias", "f32"}, {"key_lengths", true}, {"sinks", true}});
  sage::Artifact packed = artifactOf({{"packed", true}});
  auto expect = [](const sage::Artifact &artifact, const char *wanted, auto change) {
    sage_call call = callOf(1, 4, 2, 10, 12);
    change(call);
    EXPECT_NE(errorOf(artifact, call).find(wanted), std::string::npos)
        << "wanted: " << wanted << "\ngot: " << errorOf(artifact, call);
  };
  expect(plain, "bias.data must be NULL: the problem has no bias",
         [](sage_call &c) { c.bias = biasOf({1, 1, 10, 12}, SAGE_F32); });
  expect(plain, "key_lengths must be NULL: the problem has none",
         [](sage_call &c) { c.key_lengths = vectorAt<int32_t>(0x70000); });
  expect(plain, "sinks must be NULL", [](sage_call &c) { c.sinks = vectorAt<float>(0x70000); });
  expect(plain, "query_offsets must be NULL",
         [](sage_call &c) { c.query_offsets = vectorAt<int32_t>(0x70000); });
  expect(plain, "key_offsets must be NULL",
         [](sage_call &c) { c.key_offsets = vectorAt<int32_t>(0x70000); });
  expect(plain, "sequences must be 0: the problem is not packed, but got 3",
         [](sage_call &c) { c.sequences = 3; });
  auto withBias = [](sage_tensor bias) {
    return [=](sage_call &c) {
      c.bias = bias;
      c.key_lengths = vectorAt<int32_t>(0x70000);
      c.sinks = vectorAt<float>(0x80000);
    };
  };
  expect(full, "bias.element_type must be f32, as problem.bias_type is, but got bool",
         withBias(biasOf({1, 1, 10, 12}, SAGE_BOOL)));
  expect(full, "bias.extents: heads must be 1 or 4, but got 2",
         withBias(biasOf({1, 2, 10, 12}, SAGE_F32)));
  expect(full, "bias.data must not be NULL", withBias(biasOf({1, 1, 1, 12}, SAGE_F32, 0)));
  expect(full, "bias.data must be aligned to 4 bytes",
         withBias(biasOf({1, 1, 1, 12}, SAGE_F32, 0x60002)));
  sage_tensor backwards = biasOf({1, 1, 10, 12}, SAGE_F32);
  backwards.strides[3] = -1;
  expect(full, "bias: the keys stride must be ≥ 0, but got -1", withBias(backwards));
  expect(full, "key_lengths must not be NULL: the problem has them", [](sage_call &c) {
    c.bias = biasOf({1, 1, 10, 12}, SAGE_F32);
    c.sinks = vectorAt<float>(0x80000);
  });
  expect(full, "sinks must be aligned to 4 bytes", [](sage_call &c) {
    c.bias = biasOf({1, 1, 10, 12}, SAGE_F32);
    c.key_lengths = vectorAt<int32_t>(0x70000);
    c.sinks = vectorAt<float>(0x80001);
  });
  expect(packed, "query_offsets must not be NULL", [](sage_call &c) { c.sequences = 1; });
  expect(packed, "sequences must be 0 to 2147483646, but got -1",
         [](sage_call &c) { c.sequences = -1; });
  expect(packed, "batch must be 1 with packed sequences, but got 2",
         [](sage_call &c) { c = callOf(2, 4, 2, 10, 12); });
  // Without sequences there are no offsets to give.
  EXPECT_EQ(errorOf(packed, callOf(1, 4, 2, 10, 12)), "");
}

TEST(MaskOperands, ReachTheKernels) {
  sage::Artifact artifact = artifactOf({{"bias", "bool"}, {"sinks", true}, {"packed", true}},
                                       {pointer("bias"), pointer("sinks"), pointer("query_offsets"),
                                        pointer("key_offsets"), integer("S"), integer("bias_b"),
                                        integer("bias_h"), integer("bias_q"), integer("bias_k")});
  sage_call call = callOf(1, 4, 2, 10, 12);
  call.bias = biasOf({1, 4, 1, 12}, SAGE_BOOL);
  call.sinks = vectorAt<float>(0x70000);
  call.query_offsets = vectorAt<int32_t>(0x80000);
  call.key_offsets = vectorAt<int32_t>(0x90000);
  call.sequences = 7;
  EXPECT_EQ(launchedIntegers(artifact, call, 7),
            (std::vector<int64_t>{0x60000, 0x70000, 0x80000, 0x90000, 7, 0, 12, 0, 1}));
}

TEST(MaskOperands, ProgramsThatAskForTheAlignmentTakeAnyView) {
  std::vector<json> arguments = {
      integer("query_align"), integer("key_align"), integer("value_align"), integer("output_align"),
      integer("value_n"),     integer("value_h"),   integer("value_b")};
  sage::Artifact asks = artifactOf(json::object(), arguments), plain = artifactOf(json::object());
  sage_call call = callOf(2, 4, 2, 10, 12);
  EXPECT_EQ(launchedIntegers(asks, call, 7), (std::vector<int64_t>{16, 16, 16, 16, 64, 768, 1536}));
  call.query.data = address(0x10004);
  call.key.strides[2] = 65;
  call.value.strides[1] = 12 * 64 + 4;
  call.output.data = address(0x40008);
  EXPECT_EQ(launchedIntegers(asks, call, 7), (std::vector<int64_t>{4, 2, 8, 8, 64, 772, 1536}));
  EXPECT_NE(errorOf(plain, call)
                .find("query.data must be aligned to 16 bytes (the artifact takes "
                      "no other), but is 4 bytes past that"),
            std::string::npos);
  // One head: its stride does not matter.
  call = callOf(1, 1, 1, 10, 12);
  call.query.strides[0] = call.query.strides[1] = 7;
  EXPECT_EQ(launchedIntegers(asks, call, 7)[0], 16);
  EXPECT_EQ(errorOf(plain, call), "");
  call.query.data = address(0x10001);
  EXPECT_NE(errorOf(asks, call).find("query.data must be aligned to 2 bytes"), std::string::npos);
}

TEST(MaskOperands, Repetitions) {
  json manifest = sampleManifest();
  json kernel = manifest["kernels"][0];
  kernel["arguments"].push_back(integer("step"));
  manifest["kernels"][0] = {{"repeat", {"mul", "B", "Hkv"}}, {"kernels", {kernel, kernel}}};
  sage::Artifact artifact = sage::Artifact::parse(sealed(manifest, ptxWith(1)));
  EXPECT_EQ(artifact.kernels().size(), 3u);
  sage_stub_reset();
  sage::Driver driver(SAGE_STUB_DRIVER);
  sage::Module module(driver, artifact, 0);
  sage_call call = callOf(2, 4, 2, 10, 12);
  module.launch(call, nullptr, address(0x100000), 1 << 30);
  ASSERT_EQ(sage_stub_launches(), 9u);
  for (size_t i = 0; i < 8; ++i) {
    sage_stub_launch launch{};
    ASSERT_TRUE(sage_stub_get_launch(i, &launch));
    int64_t step;
    std::memcpy(&step, launch.arguments + launch.argument_offsets[7], 8);
    EXPECT_EQ(step, int64_t(i / 2));
  }
  call.sequences = 0;
  call = callOf(1 << 19, 4, 4, 1, 1);
  EXPECT_NE(takeMessage(sage_module_launch(module.get(), &call, nullptr, address(0x100000),
                                           uint64_t(1) << 40))
                .find("kernels would be repeated 2097152 times"),
            std::string::npos);
}
