//===- DriverFailureTest.cpp - a driver that fails, at every call ---------===//
#include "StubFixture.h"

#include "Artifact.h"

#include <filesystem>
#include <fstream>
#include <functional>

using namespace sage::test;
namespace fs = std::filesystem;

namespace {

constexpr const char *plannedText = "CUDA_ERROR_PLANNED (719), the stub's text";

class DriverFailureTest : public StubTest {
protected:
  void SetUp() override {
    StubTest::SetUp();
    folder = fs::path(testing::TempDir()) /
             testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override {
    StubTest::TearDown();
    fs::remove_all(folder);
  }

  std::string cache() const { return (folder / "cache").string(); }

  /// The sample with a matching cubin beside it.
  sage::Artifact artifactWithCubin() {
    std::string cubin = "STUBCUBIN\n" + samplePtx(), text = sealed(sampleManifest());
    std::string path = (folder / "a.ptx").string();
    sage::Artifact artifact = sage::Artifact::parse(text);
    std::ofstream(path, std::ios::binary) << text;
    std::ofstream(folder / "a.cubin", std::ios::binary) << cubin;
    nlohmann::json sidecar = {{"artifact_xxh3", artifact.checksum()},
                              {"cubin_xxh3", sage::runtime::contentHash(cubin)},
                              {"chip", "sm_90a"}};
    std::ofstream(folder / "a.cubin.json") << sidecar.dump();
    return sage::Artifact::load(path);
  }

  fs::path folder;
};

/// What came of a life, and where its code came from.
struct Life {
  sage_status_code code = SAGE_OK;
  std::string message, remedy, origin;
};

Life ended(sage_status *status, std::string origin = {}) {
  Life life{sage_status_get_code(status), sage_status_get_message(status),
            sage_status_get_remedy(status), std::move(origin)};
  sage_status_destroy(status);
  return life;
}

/// Open, load, two launches, destroy, close.
Life live(const sage_artifact *artifact, const char *cacheDir) {
  sage_driver_options driverOptions{SAGE_STUB_DRIVER};
  sage_driver *driver = nullptr;
  if (sage_status *status = sage_driver_open(&driverOptions, &driver)) {
    EXPECT_EQ(driver, nullptr);
    return ended(status);
  }
  sage_module_options options{};
  options.cache_dir = cacheDir;
  sage_module *module = nullptr;
  sage_status *status = sage_module_load(driver, artifact, 0, &options, &module);
  EXPECT_EQ(module == nullptr, status != nullptr);
  std::string origin = module ? sage_module_origin(module) : "";
  sage_call call = sampleCall(1, 2, 10, 20);
  for (int i = 0; i < 2 && !status; ++i)
    status = sage_module_launch(module, &call, nullptr, address(0x100000), 1 << 20);
  sage_module_destroy(module);
  sage_driver_close(driver);
  return ended(status, origin);
}

/// Giving back cannot fail: there is nothing that a caller could do.
bool givesBack(const std::string &function) {
  return function == "cuModuleUnload" || function == "cuDevicePrimaryCtxRelease_v2" ||
         function.rfind("cuGetError", 0) == 0;
}

/// Every call of a life fails once: each time a status that says which and why, or code from
/// elsewhere, and no leak.
int failEveryCall(const sage_artifact *artifact, const char *cacheDir, bool cubinBeside,
                  const std::function<void()> &prepare) {
  prepare();
  sage_stub_reset();
  EXPECT_EQ(live(artifact, cacheDir).code, SAGE_OK);
  std::map<std::string, int> calls = stubCalls();
  int failures = 0;
  for (const auto &[function, count] : calls)
    for (int k = 1; k <= count; ++k) {
      prepare();
      sage_stub_reset();
      sage_stub_fail(function.c_str(), k, 719);
      Life life = live(artifact, cacheDir);
      std::string place = function + ", call " + std::to_string(k) + ": " + life.message;
      EXPECT_EQ(sage_stub_live_objects(), 0) << place;
      EXPECT_EQ(sage_stub_context_depth(), 0) << place;
      bool atTheEnd = (function == "cuCtxPushCurrent_v2" || function == "cuCtxPopCurrent_v2") &&
                      k == count; // sage_module_destroy
      if (givesBack(function) || atTheEnd) {
        EXPECT_EQ(life.code, SAGE_OK) << place;
        continue;
      }
      ++failures;
      std::string plain = function.substr(0, function.find("_v"));
      // The PTX serves where a cubin does not.
      bool replaced = life.code == SAGE_OK && life.origin.rfind("driver JIT", 0) == 0;
      std::string text = replaced ? life.origin : life.message;
      EXPECT_TRUE(replaced ? cubinBeside || cacheDir != nullptr : life.code != SAGE_OK) << place;
      EXPECT_NE(text.find(plain), std::string::npos) << place;
      EXPECT_NE(text.find(plannedText), std::string::npos) << place;
      EXPECT_TRUE(replaced || !life.remedy.empty()) << place;
    }
  sage_stub_reset();
  EXPECT_EQ(live(artifact, cacheDir).code, SAGE_OK);
  return failures;
}

std::string readAll(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A copy of the stub in which a lookup of `function` finds nothing.
void writeStubWithout(const std::string &function, const std::string &path) {
  std::string bytes = readAll(SAGE_STUB_DRIVER), name = '\0' + function + '\0';
  for (size_t at = bytes.find(name); at != std::string::npos; at = bytes.find(name, at + 1))
    bytes[at + 1] = 'x';
  std::ofstream(path, std::ios::binary) << bytes;
}

} // namespace

TEST_F(DriverFailureTest, EveryCallOfALifeFailsOnce) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  EXPECT_GT(failEveryCall(artifact.get(), nullptr, false, [] {}), 25);
}

TEST_F(DriverFailureTest, EveryCallFailsOnceWithAnEmptyCache) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  EXPECT_GT(failEveryCall(artifact.get(), cache().c_str(), false, [&] { fs::remove_all(cache()); }),
            28);
}

TEST_F(DriverFailureTest, EveryCallFailsOnceWithAFilledCache) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  EXPECT_EQ(live(artifact.get(), cache().c_str()).code, SAGE_OK);
  EXPECT_GT(failEveryCall(artifact.get(), cache().c_str(), false, [] {}), 25);
}

TEST_F(DriverFailureTest, EveryCallFailsOnceWithACubinBeside) {
  sage::Artifact artifact = artifactWithCubin();
  EXPECT_GT(failEveryCall(artifact.get(), nullptr, true, [] {}), 25);
}

TEST_F(DriverFailureTest, OutOfMemoryHasItsRemedy) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  for (const char *function :
       {"cuDevicePrimaryCtxRetain", "cuModuleLoadDataEx", "cuLaunchKernel"}) {
    sage_stub_reset();
    sage_stub_fail(function, 1, 2);
    Life life = live(artifact.get(), nullptr);
    EXPECT_EQ(life.code, SAGE_DRIVER_ERROR) << function;
    EXPECT_EQ(life.remedy, "free device memory, or use smaller shapes") << function;
  }
}

TEST_F(DriverFailureTest, ADriverTooOldForThePtxHasItsRemedy) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  sage_stub_fail("cuModuleLoadDataEx", 1, 222);
  Life life = live(artifact.get(), nullptr);
  EXPECT_EQ(life.code, SAGE_DRIVER_ERROR);
  EXPECT_NE(life.remedy.find("update the CUDA driver"), std::string::npos) << life.remedy;
}

TEST_F(DriverFailureTest, EverySymbolMayBeMissing) {
  int required = 0;
  for (const char *const *name = sage_stub_functions(); *name; ++name) {
    std::string function = *name, path = (folder / (function + ".so")).string();
    writeStubWithout(function, path);
    sage_driver_options options{path.c_str()};
    sage_driver *driver = nullptr;
    Life life = ended(sage_driver_open(&options, &driver));
    bool optional = function == "cuTensorMapEncodeTiled" || function == "cuFuncGetParamInfo" ||
                    function == "cuLaunchKernelEx";
    EXPECT_EQ(life.code, optional ? SAGE_OK : SAGE_NO_DRIVER) << function << life.message;
    if (!optional) {
      ++required;
      EXPECT_NE(life.message.find("lacks " + function), std::string::npos) << life.message;
      EXPECT_NE(life.remedy.find("update the driver"), std::string::npos) << life.remedy;
      EXPECT_EQ(driver, nullptr);
    }
    if (function == "cuTensorMapEncodeTiled") {
      sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
      sage_module *module = nullptr;
      ASSERT_EQ(takeMessage(sage_module_load(driver, artifact.get(), 0, nullptr, &module)), "");
      sage_call call = sampleCall(1, 2, 10, 20);
      EXPECT_NE(takeMessage(sage_module_launch(module, &call, nullptr, address(0x100000), 1 << 20))
                    .find("kernel sage_attend: the CUDA driver lacks cuTensorMapEncodeTiled"),
                std::string::npos);
      sage_module_destroy(module);
    }
    sage_driver_close(driver);
  }
  EXPECT_GT(required, 30);
}

TEST_F(DriverFailureTest, CodeWithOtherParametersIsRefused) {
  auto load = [&](const std::string &from, const std::string &to) {
    std::string ptx = samplePtx();
    ptx.replace(ptx.find(from), from.size(), to);
    sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest(), ptx));
    return live(artifact.get(), nullptr);
  };
  Life life = load(".param .u32 d, ", "");
  EXPECT_EQ(life.code, SAGE_INVALID_ARTIFACT);
  EXPECT_EQ(life.message, "kernel sage_prepare: parameter 3 must have 4 bytes, as the manifest "
                          "says, but has 8");
  EXPECT_NE(load(".param .u64 g)", ".param .u64 g, .param .u64 x)")
                .message.find("parameter 7 must have 0 bytes"),
            std::string::npos);
  EXPECT_NE(load("map[128]", "map[64]").message.find("parameter 0 must have 128 bytes"),
            std::string::npos);
}
