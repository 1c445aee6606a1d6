//===- DeviceTest.cpp - the hand-written artifact on a real GPU -----------===//
// Skipped, visibly, where there is no CUDA driver or no device.
//===----------------------------------------------------------------------===//
#include "Accuracy.h"
#include "Driver.h"
#include "SampleArtifact.h"
#include "sage/runtime/sage.hpp"

#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace sage::test;
using namespace sage::runtime;

namespace {

/// Entry points that only this test needs.
struct GraphApi {
  using Graph = struct GraphTag *;
  using Executable = struct ExecutableTag *;
  int (*begin)(cuda::Stream, int);
  int (*end)(cuda::Stream, Graph *);
  int (*instantiate)(Executable *, Graph, unsigned long long);
  int (*launch)(Executable, cuda::Stream);
  int (*nodes)(Graph, void **, size_t *);
  int (*current)(cuda::Context *);

  explicit GraphApi(void *library) {
    auto find = [&](auto &member, const char *name) {
      member = reinterpret_cast<std::decay_t<decltype(member)>>(dlsym(library, name));
    };
    find(begin, "cuStreamBeginCapture_v2");
    find(end, "cuStreamEndCapture");
    find(instantiate, "cuGraphInstantiateWithFlags");
    find(launch, "cuGraphLaunch");
    find(nodes, "cuGraphGetNodes");
    find(current, "cuCtxGetCurrent");
  }
};

class DeviceTest : public testing::Test {
protected:
  void SetUp() override {
    Status status = Driver::open(nullptr, driver);
    if (!status.ok() || driver->deviceCount == 0)
      GTEST_SKIP() << "no GPU: " << status.message();
    ASSERT_TRUE(primary.retain(driver, 0).ok());
  }
  const DriverApi &api() { return driver->api; }

  template <typename Element> void *upload(const std::vector<Element> &host) {
    cuda::DevicePointer pointer = 0;
    EXPECT_EQ(api().memAlloc(&pointer, host.size() * sizeof(Element) + 1), 0);
    EXPECT_EQ(api().memcpyHtoD(pointer, host.data(), host.size() * sizeof(Element)), 0);
    allocations.push_back(pointer);
    return reinterpret_cast<void *>(uintptr_t(pointer));
  }
  template <typename Element> void download(std::vector<Element> &host, void *pointer) {
    EXPECT_EQ(api().memcpyDtoH(host.data(), uint64_t(reinterpret_cast<uintptr_t>(pointer)),
                               host.size() * sizeof(Element)),
              0);
  }
  void TearDown() override {
    for (cuda::DevicePointer pointer : allocations)
      (void)api().memFree(pointer);
  }

  std::shared_ptr<Driver> driver;
  PrimaryContext primary;
  std::vector<cuda::DevicePointer> allocations;
};

} // namespace

TEST_F(DeviceTest, LaunchesAreCapturedIntoAGraph) {
  GraphApi graphs(dlopen("libcuda.so.1", RTLD_LAZY));
  sage::Artifact artifact = sage::Artifact::load(std::string(SAGE_TEST_DATA) + "/sample.ptx");
  sage::Driver handle;
  sage::Module module(handle, artifact, 0);
  cuda::Context current = nullptr;
  ASSERT_EQ(graphs.current(&current), 0);
  EXPECT_EQ(current, nullptr) << "loading left its context behind";

  sage_program program = artifact.program();
  HostCall host(program.problem, 2, 4, 2, 100, 77);
  ASSERT_EQ(api().ctxPushCurrent(primary.context), 0);
  sage_call call = host.call;
  call.query.data = upload(host.query);
  call.key.data = upload(host.key);
  call.value.data = upload(host.value);
  call.output.data = upload(host.output);
  call.lse = static_cast<float *>(upload(host.lse));

  cuda::Stream stream;
  ASSERT_EQ(api().streamCreate(&stream, 1), 0);
  constexpr int globalMode = 0; // any forbidden call anywhere ends the capture
  ASSERT_EQ(graphs.begin(stream, globalMode), 0);
  module.launch(call, stream, nullptr, 0);
  GraphApi::Graph graph;
  ASSERT_EQ(graphs.end(stream, &graph), 0);
  size_t nodes = 0;
  ASSERT_EQ(graphs.nodes(graph, nullptr, &nodes), 0);
  EXPECT_EQ(nodes, 1u);
  std::vector<uint16_t> before = host.output;
  download(host.output, call.output.data);
  EXPECT_EQ(host.output, before) << "capturing must not run anything";

  GraphApi::Executable executable;
  ASSERT_EQ(graphs.instantiate(&executable, graph, 0), 0);
  ASSERT_EQ(graphs.launch(executable, stream), 0);
  ASSERT_EQ(api().streamSynchronize(stream), 0);
  download(host.output, call.output.data);
  download(host.lse, call.lse);
  std::vector<double> exact(host.output.size()), lse(host.lse.size());
  sage::runExact(program.problem, host.call, exact.data(), lse.data());
  EXPECT_LT(sage::evaluation::compare(host.outputs(), exact).relativeL1, 1e-3);
  EXPECT_LT(sage::evaluation::compare(host.lses(), lse).maximum, 1e-4);

  cuda::Context popped;
  ASSERT_EQ(graphs.current(&current), 0);
  EXPECT_EQ(current, primary.context) << "the caller's context changed";
  TearDown();
  allocations.clear();
  ASSERT_EQ(api().streamDestroy(stream), 0);
  ASSERT_EQ(api().ctxPopCurrent(&popped), 0);
}
