//===- ConcurrencyTest.cpp - threads, devices and streams on the stub -----===//
// Under ThreadSanitizer too: cmake --preset tsan.
//===----------------------------------------------------------------------===//
#include "StubFixture.h"

#include <atomic>
#include <filesystem>
#include <thread>

using namespace sage::test;

namespace {

using ConcurrencyTest = StubTest;

/// Runs body(t) on `count` threads; what they return are failures.
template <typename Body> int onThreads(int count, Body body) {
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t)
    threads.emplace_back([&, t] { failures += body(t) + sage_stub_context_depth(); });
  for (std::thread &thread : threads)
    thread.join();
  return failures;
}

int failed(sage_status *status) {
  int wrong = status != nullptr;
  sage_status_destroy(status);
  return wrong;
}

void *streamOf(int thread, int i) {
  return address(0x1000 + uint64_t(thread) * 16 + uint64_t(i % 3));
}

} // namespace

TEST_F(ConcurrencyTest, ThreadsShareAModuleOnManyStreams) {
  constexpr int threads = 8, launches = 60;
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  sage::Driver driver(SAGE_STUB_DRIVER);
  sage::Module module(driver, artifact, 0);
  auto before = stubCalls();
  EXPECT_EQ(onThreads(threads,
                      [&](int t) {
                        int wrong = 0;
                        for (int i = 0; i < launches; ++i) {
                          sage_call call = sampleCall(1, 2, 128 * (t + 1), 20);
                          wrong += failed(sage_module_launch(module.get(), &call, streamOf(t, i),
                                                             address(0x100000), 1 << 20));
                        }
                        return wrong;
                      }),
            0);
  // Nothing but launches: no allocation, no synchronization, no change of an attribute.
  auto after = stubCalls();
  constexpr int each = threads * launches;
  before["cuCtxPushCurrent_v2"] += each;
  before["cuCtxPopCurrent_v2"] += each;
  before["cuTensorMapEncodeTiled"] += each;
  before["cuLaunchKernel"] += 2 * each;
  EXPECT_EQ(after, before);
  ASSERT_EQ(sage_stub_launches(), size_t(2 * each));
  std::map<void *, int> perStream;
  for (size_t i = 0; i < sage_stub_launches(); ++i) {
    sage_stub_launch launch;
    ASSERT_TRUE(sage_stub_get_launch(i, &launch));
    ++perStream[launch.stream];
  }
  EXPECT_EQ(perStream.size(), size_t(3 * threads));
  EXPECT_EQ(perStream.count(nullptr), 0u) << "the legacy stream was used";
}

TEST_F(ConcurrencyTest, ThreadsLoadLaunchAndDestroyOnManyDevices) {
  sage_stub_set_devices(4, 9, 0);
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  sage::Driver driver(SAGE_STUB_DRIVER);
  EXPECT_EQ(onThreads(8,
                      [&](int t) {
                        int wrong = 0;
                        for (int i = 0; i < 20; ++i) {
                          sage_module *module = nullptr;
                          wrong += failed(sage_module_load(driver.get(), artifact.get(),
                                                           (t + i) % 4, nullptr, &module));
                          sage_call call = sampleCall(1, 1, 10, 10);
                          wrong += failed(sage_module_launch(module, &call, streamOf(t, i),
                                                             address(0x100000), 1 << 20));
                          sage_module_destroy(module);
                        }
                        return wrong;
                      }),
            0);
}

TEST_F(ConcurrencyTest, ThreadsOpenDriversAndParseArtifacts) {
  std::string text = sealed(sampleManifest());
  EXPECT_EQ(onThreads(8,
                      [&](int) {
                        int wrong = 0;
                        for (int i = 0; i < 5; ++i) {
                          sage_driver_options options{SAGE_STUB_DRIVER};
                          sage_driver *driver = nullptr;
                          sage_artifact *artifact = nullptr;
                          sage_program program;
                          wrong += failed(sage_driver_open(&options, &driver));
                          wrong += failed(sage_artifact_parse(text.data(), text.size(), &artifact));
                          wrong += failed(sage_program_named("sage2-8b", SAGE_WGMMA, &program));
                          wrong += !failed(sage_program_named("none", SAGE_WGMMA, &program));
                          sage_artifact_destroy(artifact);
                          sage_driver_close(driver);
                        }
                        return wrong;
                      }),
            0);
}

TEST_F(ConcurrencyTest, ThreadsShareACubinCache) {
  auto cache = std::filesystem::path(testing::TempDir()) / "sage-shared-cubin-cache";
  std::filesystem::remove_all(cache);
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  sage::Driver driver(SAGE_STUB_DRIVER);
  std::string folder = cache.string();
  EXPECT_EQ(onThreads(8,
                      [&](int) {
                        int wrong = 0;
                        for (int i = 0; i < 10; ++i) {
                          sage_module_options options{};
                          options.cache_dir = folder.c_str();
                          sage_module *module = nullptr;
                          wrong += failed(
                              sage_module_load(driver.get(), artifact.get(), 0, &options, &module));
                          sage_module_destroy(module);
                        }
                        return wrong;
                      }),
            0);
  std::filesystem::remove_all(cache);
}

TEST_F(ConcurrencyTest, AFailureStaysWithItsThread) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  sage::Driver driver(SAGE_STUB_DRIVER);
  sage::Module module(driver, artifact, 0);
  sage_stub_fail("cuLaunchKernel", 100, 719);
  std::atomic<int> refused{0};
  onThreads(4, [&](int t) {
    for (int i = 0; i < 50; ++i) {
      sage_call call = sampleCall(1, 1, 10, 10);
      refused += failed(
          sage_module_launch(module.get(), &call, streamOf(t, i), address(0x100000), 1 << 20));
    }
    return 0;
  });
  EXPECT_EQ(refused, 1);
}

TEST_F(ConcurrencyTest, ReferencesRunSideBySide) {
  sage_program program;
  ASSERT_EQ(takeMessage(sage_program_named("sage2-4b", SAGE_WGMMA, &program)), "");
  program.problem.head_dim = program.problem.value_head_dim = 16;
  std::vector<std::unique_ptr<HostCall>> calls;
  for (int t = 0; t < 4; ++t)
    calls.push_back(std::make_unique<HostCall>(program.problem, 1, 2, 1, 40, 50));
  EXPECT_EQ(onThreads(4,
                      [&](int t) {
                        sage_reference_options options{};
                        options.threads = 3;
                        return failed(sage_reference_run(&program, &calls[size_t(t)]->call,
                                                         &options, nullptr));
                      }),
            0);
  for (const auto &call : calls)
    EXPECT_EQ(call->output, calls[0]->output);
}
