//===- LaunchTest.cpp - arguments, checks and threads on the stub ---------===//
#include "SampleArtifact.h"

#include "sage/runtime/sage.hpp"
#include "sage_stub.h"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <new>
#include <thread>

using namespace sage::test;

namespace {

std::atomic<int64_t> allocations{0};

void *address(uint64_t value) { return reinterpret_cast<void *>(uintptr_t(value)); }

class LaunchTest : public testing::Test {
protected:
  void SetUp() override {
    sage_stub_reset();
    artifact = std::make_unique<sage::Artifact>(sage::Artifact::parse(sealed(sampleManifest())));
    sage::Driver driver(SAGE_STUB_DRIVER);
    module = std::make_unique<sage::Module>(driver, *artifact, 0);
  }
  void TearDown() override {
    module.reset();
    EXPECT_EQ(sage_stub_live_objects(), 0);
    EXPECT_EQ(sage_stub_context_depth(), 0);
  }

  /// Addresses that are never read.
  static sage_call callOf(int64_t batch, int64_t queryHeads, int64_t keyHeads, int64_t queries,
                          int64_t keys) {
    auto dense = [&](uint64_t data, int64_t heads, int64_t tokens) {
      return sage_tensor_dense(address(data), SAGE_HEAD_MAJOR, SAGE_BF16, batch, heads, tokens, 64);
    };
    return {dense(0x10000, queryHeads, queries),
            dense(0x20000, keyHeads, keys),
            dense(0x30000, keyHeads, keys),
            dense(0x40000, queryHeads, queries),
            static_cast<float *>(address(0x50000)),
            {},
            nullptr,
            nullptr,
            nullptr,
            nullptr,
            0,
            0};
  }

  std::string launchError(const sage_call &call, uint64_t bytes = 1 << 30,
                          void *workspace = address(0x100000), void *stream = nullptr) {
    return takeMessage(sage_module_launch(module->get(), &call, stream, workspace, bytes));
  }

  static sage_stub_launch launched(size_t index) {
    sage_stub_launch launch{};
    EXPECT_TRUE(sage_stub_get_launch(index, &launch));
    return launch;
  }

  template <typename Value> static Value argument(const sage_stub_launch &launch, unsigned index) {
    Value value;
    EXPECT_EQ(launch.argument_bytes[index], sizeof(Value));
    std::memcpy(&value, launch.arguments + launch.argument_offsets[index], sizeof(Value));
    return value;
  }

  std::unique_ptr<sage::Artifact> artifact;
  std::unique_ptr<sage::Module> module;
};

} // namespace

// Counts what the program allocates, to show that a launch does not. GCC takes
// free() in a replaced operator delete for a mistake.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void *operator new(size_t bytes) {
  ++allocations;
  if (void *memory = std::malloc(bytes ? bytes : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

TEST_F(LaunchTest, MarshalsArguments) {
  sage_call call = callOf(2, 6, 3, 500, 700);
  EXPECT_EQ(artifact->workspaceBytes(call), 2048u + 2 * 3 * 700 * 64 + 512);
  void *stream = address(0x777);
  ASSERT_EQ(launchError(call, 1 << 30, address(0x100000), stream), "");
  ASSERT_EQ(sage_stub_launches(), 2u);

  sage_stub_launch prepare = launched(0);
  EXPECT_STREQ(prepare.kernel, "sage_prepare");
  EXPECT_EQ(prepare.stream, stream);
  EXPECT_EQ(prepare.grid[0], 6u);
  EXPECT_EQ(prepare.grid[1], 3u);
  EXPECT_EQ(prepare.grid[2], 2u);
  EXPECT_EQ(prepare.block[0], 128u);
  ASSERT_EQ(prepare.argument_count, 7u);
  EXPECT_EQ(argument<uint64_t>(prepare, 0), 0x20000u);
  EXPECT_EQ(argument<uint64_t>(prepare, 1), 0x100000u);
  EXPECT_EQ(argument<uint64_t>(prepare, 2), 0x100000u + 2048);
  EXPECT_EQ(argument<int32_t>(prepare, 3), 700);
  EXPECT_EQ(argument<int64_t>(prepare, 4), 64);
  EXPECT_EQ(argument<int64_t>(prepare, 5), 700 * 64);
  EXPECT_EQ(argument<int64_t>(prepare, 6), 3 * 700 * 64);

  sage_stub_launch attend = launched(1);
  EXPECT_STREQ(attend.kernel, "sage_attend");
  EXPECT_EQ(attend.shared_bytes, 100000u);
  EXPECT_EQ(attend.block[0], 384u);
  ASSERT_EQ(attend.argument_count, 12u);
  auto map = argument<sage_stub_tensor_map>(attend, 0);
  EXPECT_EQ(map.address, 0x100000u + 2048);
  EXPECT_EQ(map.type, 0);
  EXPECT_EQ(map.rank, 3);
  EXPECT_EQ(map.swizzle, 2);
  EXPECT_EQ(map.l2_promotion, 3);
  EXPECT_EQ(map.extents[0], 64u);
  EXPECT_EQ(map.extents[1], 700u);
  EXPECT_EQ(map.extents[2], 6u);
  EXPECT_EQ(map.strides[0], 64u);
  EXPECT_EQ(map.strides[1], 700u * 64);
  EXPECT_EQ(map.box[1], 128);
  EXPECT_EQ(argument<uint64_t>(attend, 1), 0x10000u);
  EXPECT_EQ(argument<float>(attend, 5), float(1.4426950408889634 * 0.25));
  EXPECT_EQ(argument<uint64_t>(attend, 11), 0x50000u);
}

TEST_F(LaunchTest, TakesTheCallsScale) {
  sage_call call = callOf(1, 2, 2, 10, 20);
  call.scale = 0.7;
  ASSERT_EQ(launchError(call), "");
  // A float32 number before it is multiplied (Spec N8).
  EXPECT_EQ(argument<float>(launched(1), 5), float(1.4426950408889634 * double(float(0.7))));
  for (double scale : {-0.7, 1e-60, 1e60, double(INFINITY), double(NAN)}) {
    call.scale = scale;
    EXPECT_NE(launchError(call).find("scale must be finite and positive as a float32 number, or 0 "
                                     "for the problem's, but got "),
              std::string::npos)
        << scale;
  }
  EXPECT_EQ(sage_stub_launches(), 2u);
}

TEST_F(LaunchTest, TakesStrides) {
  sage_call call = callOf(1, 2, 2, 10, 20);
  call.query.strides[2] = 200;              // a view, padded
  call.query.strides[1] = int64_t(1) << 40; // 64-bit offsets
  call.output.strides[2] = 2 * 64;          // token-major
  call.output.strides[1] = 64;
  ASSERT_EQ(launchError(call), "");
  sage_stub_launch attend = launched(1);
  EXPECT_EQ(argument<int64_t>(attend, 2), 200);
  EXPECT_EQ(argument<int64_t>(attend, 3), int64_t(1) << 40);
  EXPECT_EQ(argument<int64_t>(attend, 8), 128);
  EXPECT_EQ(argument<int64_t>(attend, 9), 64);
  // No kernel reads value_n: only dense values are right.
  call.value.strides[2] = 128;
  EXPECT_NE(launchError(call).find("value_n must be 64 (the artifact takes dense "
                                   "tensors), but got 128"),
            std::string::npos);
}

TEST_F(LaunchTest, EmptyGridsAreNotLaunched) {
  sage_call empty = callOf(1, 2, 2, 0, 0);
  ASSERT_EQ(launchError(empty), "");
  empty.lse = nullptr;
  ASSERT_EQ(launchError(empty), "");
  EXPECT_EQ(sage_stub_launches(), 0u);
  // No keys: the second kernel still writes O and the LSE.
  sage_call call = callOf(1, 2, 2, 5, 0);
  call.key.data = call.value.data = nullptr;
  ASSERT_EQ(launchError(call), "");
  ASSERT_EQ(sage_stub_launches(), 1u);
  EXPECT_EQ(argument<sage_stub_tensor_map>(launched(0), 0).extents[1], 1u);
}

TEST_F(LaunchTest, ChecksTheCall) {
  auto expect = [&](const char *wanted, auto change) {
    sage_call call = callOf(1, 4, 2, 10, 12);
    change(call);
    EXPECT_NE(launchError(call).find(wanted), std::string::npos) << launchError(call);
    EXPECT_EQ(takeMessage(sage_artifact_check_call(artifact->get(), &call)), launchError(call));
    EXPECT_EQ(sage_stub_launches(), 0u);
  };
  expect("query.data must be aligned to 16 bytes (the artifact takes no other), but is 2 bytes "
         "past that",
         [](sage_call &c) { c.query.data = address(0x10002); });
  expect("key: the token stride must be a multiple of 8 elements (16 bytes; the artifact takes no "
         "other), but got 65",
         [](sage_call &c) { c.key.strides[2] = 65; });
  for (int64_t stride : {INT64_MAX, INT64_MAX - 1, int64_t(1) << 62}) {
    sage_call call = callOf(1, 4, 2, 10, 12);
    call.query.strides[1] = stride;
    EXPECT_NE(launchError(call), "") << stride;
  }
  expect("lse must not be NULL", [](sage_call &c) { c.lse = nullptr; });
  expect("lse must be aligned to 4",
         [](sage_call &c) { c.lse = static_cast<float *>(address(0x50002)); });
  expect("query.element_type must be bf16", [](sage_call &c) { c.query.element_type = SAGE_F16; });
  expect("output.extents: heads must be 4, but got 2",
         [](sage_call &c) { c.output.extents[1] = 2; });
}

TEST_F(LaunchTest, ChecksTheWorkspaceAndTheGrid) {
  sage_call call = callOf(1, 2, 2, 10, 20);
  EXPECT_NE(launchError(call, 4095)
                .find("the workspace must have 4096 bytes for this call, but has 4095"),
            std::string::npos);
  EXPECT_NE(launchError(call, 1 << 20, nullptr).find("but has 0"), std::string::npos);
  EXPECT_NE(launchError(call, 1 << 20, address(0x100100))
                .find("aligned to 1024 bytes, but is 256 bytes past that"),
            std::string::npos);
  EXPECT_EQ(launchError(call, 4096), "");
  EXPECT_NE(
      launchError(callOf(70000, 1, 1, 1, 1)).find("grid axis 2 must be 0 to 65535, but is 70000"),
      std::string::npos);
  EXPECT_NE(launchError(callOf(1, 1, 1, 1, int64_t(1) << 33), uint64_t(1) << 50)
                .find("32-bit argument would be 8589934592"),
            std::string::npos);
  EXPECT_NE(launchError(callOf(1, 1, 1, 1, int64_t(1) << 48)).find("workspace"), std::string::npos);
}

TEST_F(LaunchTest, EveryCallFailingOnceIsAStatus) {
  sage_call call = callOf(1, 2, 2, 10, 20);
  for (const char *name :
       {"cuCtxPushCurrent_v2", "cuCtxPopCurrent_v2", "cuLaunchKernel", "cuTensorMapEncodeTiled"})
    for (int k = 1; k <= (std::string(name) == "cuLaunchKernel" ? 2 : 1); ++k) {
      sage_stub_fail(name, k, 1);
      std::string message = launchError(call);
      EXPECT_NE(message.find(std::string(name).substr(0, std::string(name).find("_v"))),
                std::string::npos)
          << message;
      EXPECT_EQ(sage_stub_context_depth(), 0);
    }
  EXPECT_EQ(launchError(call), "");
}

TEST_F(LaunchTest, NeitherAllocatesNorSynchronizes) {
  sage_call call = callOf(1, 2, 2, 10, 20);
  ASSERT_EQ(sage_module_launch(module->get(), &call, nullptr, address(0x100000), 1 << 20), nullptr);
  sage_stub_set_quiet(1); // its records would allocate
  int64_t before = allocations;
  sage_status *status =
      sage_module_launch(module->get(), &call, nullptr, address(0x100000), 1 << 20);
  EXPECT_EQ(allocations - before, 0);
  EXPECT_EQ(takeMessage(status), "");
  for (const char *name :
       {"cuMemAlloc_v2", "cuStreamSynchronize", "cuFuncSetAttribute", "cuEventRecord"}) {
    sage_stub_reset();
    EXPECT_EQ(launchError(call), "");
    EXPECT_EQ(sage_stub_calls(name), 0) << name;
  }
}

TEST_F(LaunchTest, ThreadsShareAModule) {
  constexpr int threads = 8, launches = 200;
  std::atomic<int> failures{0};
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      for (int i = 0; i < launches; ++i) {
        sage_call call = callOf(1, 2, 2, 128 * (t + 1), 20);
        sage_status *status = sage_module_launch(module->get(), &call, address(uint64_t(t + 1)),
                                                 address(0x100000 * uint64_t(t + 1)), 1 << 20);
        failures += status != nullptr;
        sage_status_destroy(status);
      }
      failures += sage_stub_context_depth();
    });
  for (std::thread &thread : pool)
    thread.join();
  EXPECT_EQ(failures, 0);
  ASSERT_EQ(sage_stub_launches(), size_t(2 * threads * launches));
  // Every launch is of one piece: stream, grid and workspace agree.
  for (size_t i = 0; i < sage_stub_launches(); ++i) {
    sage_stub_launch launch = launched(i);
    uint64_t t = uint64_t(reinterpret_cast<uintptr_t>(launch.stream));
    if (launch.kernel == std::string("sage_attend")) {
      EXPECT_EQ(launch.grid[0], t);
      EXPECT_EQ(argument<sage_stub_tensor_map>(launch, 0).address, 0x100000 * t + 1024);
    } else {
      EXPECT_EQ(argument<uint64_t>(launch, 1), 0x100000 * t);
    }
  }
}

namespace {

/// Which launches of a call overlapped with the one before.
std::vector<int> overlapsOf(const nlohmann::json &manifest, const sage_call &call) {
  sage_stub_reset();
  sage::Artifact artifact = sage::Artifact::parse(sealed(manifest));
  sage::Module module(sage::Driver(SAGE_STUB_DRIVER), artifact, 0);
  EXPECT_EQ(
      takeMessage(sage_module_launch(module.get(), &call, nullptr, address(0x100000), 1 << 30)),
      "");
  std::vector<int> overlaps;
  for (size_t i = 0; i < sage_stub_launches(); ++i) {
    sage_stub_launch launch{};
    EXPECT_TRUE(sage_stub_get_launch(i, &launch));
    overlaps.push_back(launch.overlaps);
  }
  return overlaps;
}

} // namespace

TEST_F(LaunchTest, OverlapsWithTheLaunchBeforeInTheCall) {
  nlohmann::json manifest = sampleManifest();
  EXPECT_EQ(overlapsOf(manifest, callOf(1, 2, 1, 64, 64)), (std::vector<int>{0, 0}));
  for (auto &kernel : manifest["kernels"])
    kernel["overlaps"] = true;
  // The first launch of a call follows whatever the caller's stream holds.
  EXPECT_EQ(overlapsOf(manifest, callOf(1, 2, 1, 64, 64)), (std::vector<int>{0, 1}));
  manifest["kernels"][0]["grid"] = {0, 1, 1};
  EXPECT_EQ(overlapsOf(manifest, callOf(1, 2, 1, 64, 64)), (std::vector<int>{0}));
  sage_stub_reset();
  EXPECT_EQ(launchError(callOf(1, 2, 1, 64, 64)), "");
  manifest["kernels"][1]["overlaps"] = 1;
  EXPECT_THROW(sage::Artifact::parse(sealed(manifest)), sage::Error);
}

TEST_F(LaunchTest, PersistentKernelsGetNoMoreBlocksThanMultiprocessors) {
  nlohmann::json manifest = sampleManifest();
  auto blocksOf = [&](int64_t grid) {
    manifest["kernels"][1]["grid"] = {grid, 1, 1};
    sage_call call = callOf(1, 2, 1, 64, 64);
    (void)overlapsOf(manifest, call);
    sage_stub_launch launch{};
    EXPECT_TRUE(sage_stub_get_launch(1, &launch));
    return launch.grid[0];
  };
  sage::Driver driver(SAGE_STUB_DRIVER);
  sage_device device;
  ASSERT_EQ(takeMessage(sage_driver_device(driver.get(), 0, &device)), "");
  unsigned multiprocessors = unsigned(device.multiprocessors);
  EXPECT_EQ(blocksOf(multiprocessors + 5), multiprocessors + 5);
  manifest["kernels"][1]["persistent"] = true;
  EXPECT_EQ(blocksOf(multiprocessors + 5), multiprocessors);
  EXPECT_EQ(blocksOf(3), 3u);
}

TEST_F(LaunchTest, AFailedOverlappingLaunchSaysSo) {
  nlohmann::json manifest = sampleManifest();
  manifest["kernels"][1]["overlaps"] = true;
  sage::Artifact overlapping = sage::Artifact::parse(sealed(manifest));
  sage::Module loaded(sage::Driver(SAGE_STUB_DRIVER), overlapping, 0);
  sage_stub_fail("cuLaunchKernelEx", 1, 719);
  sage_call call = callOf(1, 2, 1, 64, 64);
  std::string message =
      takeMessage(sage_module_launch(loaded.get(), &call, nullptr, address(0x100000), 1 << 30));
  EXPECT_NE(message.find("kernel sage_attend: cuLaunchKernelEx failed"), std::string::npos)
      << message;
}
