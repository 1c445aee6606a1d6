//===- MgpuTest.cpp - the wrappers for programs that MLIR compiled --------===//
#include "sage_mgpu.h"
#include "sage_stub.h"

#include <cstring>
#include <gtest/gtest.h>

namespace {

class MgpuTest : public testing::Test {
protected:
  void SetUp() override {
    sage_mgpu_set_driver(SAGE_STUB_DRIVER);
    sage_stub_reset();
  }
};

constexpr char ptx[] = "//\n.visible .entry twice(\n.param .u64 x,\n.param .u32 n\n)\n{\nret;\n}\n";

TEST_F(MgpuTest, LaunchesAndKeepsAttributes) {
  void *module = mgpuModuleLoadJIT(const_cast<char *>(ptx), 3);
  void *function = mgpuModuleGetFunction(module, "twice"), *stream = mgpuStreamCreate();
  uint64_t x = 0x1234;
  uint32_t n = 7;
  void *arguments[] = {&x, &n};
  for (int shared : {2000, 1000, 2000})
    mgpuLaunchKernel(function, 5, 1, 1, 64, 1, 1, shared, stream, arguments, nullptr, 2);
  EXPECT_EQ(sage_stub_calls("cuFuncSetAttribute"), 1);
  sage_stub_launch launch;
  ASSERT_EQ(sage_stub_launches(), 3u);
  ASSERT_TRUE(sage_stub_get_launch(0, &launch));
  EXPECT_EQ(launch.grid[0], 5u);
  EXPECT_EQ(launch.block[0], 64u);
  EXPECT_EQ(launch.stream, stream);
  EXPECT_EQ(std::memcmp(launch.arguments, &x, sizeof(x)), 0);
  mgpuStreamSynchronize(stream);
  mgpuStreamDestroy(stream);
  mgpuModuleUnload(module);
  EXPECT_EQ(sage_stub_context_depth(), 0);
}

TEST_F(MgpuTest, CopiesMemory) {
  void *stream = mgpuStreamCreate();
  uint32_t there = 42, back = 0;
  void *memory = mgpuMemAlloc(sizeof(there), stream, false);
  mgpuMemcpy(memory, &there, sizeof(there), stream);
  mgpuMemcpy(&back, memory, sizeof(back), stream);
  EXPECT_EQ(back, 42u);
  mgpuMemFree(memory, stream);
  // Nothing is what an empty allocation gives, and freeing it is nothing.
  EXPECT_EQ(mgpuMemAlloc(0, stream, false), nullptr);
  mgpuMemFree(nullptr, stream);
  mgpuStreamDestroy(stream);
}

TEST_F(MgpuTest, EncodesTensorMaps) {
  alignas(64) unsigned char bytes[128];
  alignas(16) static unsigned char tensor[16];
  const int64_t extents[] = {64, 300, 2}, strides[] = {128, 38400};
  const int32_t box[] = {64, 128, 1};
  sage_encode_tensor_map(bytes, SAGE_TENSOR_MAP_BF16, 3, tensor, extents, strides, box, 128);
  sage_stub_tensor_map map;
  std::memcpy(&map, bytes, sizeof(map));
  EXPECT_EQ(map.type, 9);
  EXPECT_EQ(map.rank, 3);
  EXPECT_EQ(map.swizzle, 3);
  EXPECT_EQ(map.extents[1], 300u);
  EXPECT_EQ(map.strides[1], 38400u);
  EXPECT_EQ(map.box[1], 128);
}

TEST_F(MgpuTest, FailuresSayWhyAndAbort) {
  const int64_t extents[] = {64, 0}, strides[] = {64};
  const int32_t box[] = {64, 128};
  alignas(64) static unsigned char map[128];
  EXPECT_DEATH(sage_encode_tensor_map(map, 0, 2, map, extents, strides, box, 0),
               "sage_encode_tensor_map: a tensor map's extent must be 1 to 2\\^32, but is 0");
  EXPECT_DEATH(sage_encode_tensor_map(map, 0, 6, map, extents, strides, box, 0),
               "rank must be 1 to 5 and element 0 to 2, but got 6 and 0");
  EXPECT_DEATH(mgpuMemAlloc(16, nullptr, true), "memory that the host shares is not offered");
  EXPECT_DEATH(
      {
        sage_stub_fail("cuMemAlloc_v2", 1, 2);
        mgpuMemAlloc(16, nullptr, false);
      },
      "mgpuMemAlloc: cuMemAlloc\\(16 bytes\\) failed: .*the stub's text");
  void *module = mgpuModuleLoad(const_cast<char *>(ptx), sizeof(ptx));
  EXPECT_DEATH(mgpuModuleGetFunction(module, "thrice"), "cuModuleGetFunction\\(thrice\\) failed");
  mgpuModuleUnload(module);
}

} // namespace
