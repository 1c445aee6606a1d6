//===- DriverTest.cpp - devices, loading, and each call failing once ------===//
#include "SampleArtifact.h"

#include "Artifact.h"
#include "sage/runtime/sage.hpp"
#include "sage_stub.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace sage::test;
namespace fs = std::filesystem;

namespace {

/// A fresh stub, a fresh folder, and no object left behind.
class DriverTest : public testing::Test {
protected:
  void SetUp() override {
    sage_stub_reset();
    folder = fs::path(testing::TempDir()) /
             testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override {
    EXPECT_EQ(sage_stub_live_objects(), 0);
    EXPECT_EQ(sage_stub_context_depth(), 0);
    fs::remove_all(folder);
  }

  std::string pathOf(const char *name) { return (folder / name).string(); }
  void write(const char *name, const std::string &bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
  }

  fs::path folder;
};

sage_status *loadOnce(const sage_artifact *artifact, const char *cacheDir) {
  sage_driver_options driverOptions{SAGE_STUB_DRIVER};
  sage_driver *driver;
  if (sage_status *status = sage_driver_open(&driverOptions, &driver))
    return status;
  sage_module_options options{};
  options.cache_dir = cacheDir;
  sage_module *module;
  sage_status *status = sage_module_load(driver, artifact, 0, &options, &module);
  EXPECT_EQ(module == nullptr, status != nullptr);
  sage_module_destroy(module);
  sage_driver_close(driver);
  return status;
}

const char stubCubin[] = "STUBCUBIN\n";

std::string sidecar(const std::string &checksum, const std::string &cubin, const char *chip) {
  nlohmann::json json = {{"artifact_xxh3", checksum},
                         {"cubin_xxh3", sage::runtime::contentHash(cubin)},
                         {"chip", chip}};
  return json.dump();
}

} // namespace

TEST_F(DriverTest, ListsDevices) {
  sage_stub_set_devices(2, 8, 9);
  sage::Driver driver(SAGE_STUB_DRIVER);
  EXPECT_EQ(driver.version(), 12080);
  auto devices = driver.devices();
  ASSERT_EQ(devices.size(), 2u);
  EXPECT_EQ(devices[1].ordinal, 1);
  EXPECT_STREQ(devices[1].name, "Stub GPU");
  EXPECT_EQ(devices[1].compute_minor, 9);
  EXPECT_GT(devices[1].memory_bytes, 0u);
  sage_device device;
  sage_status_code code;
  EXPECT_EQ(takeMessage(sage_driver_device(driver.get(), 2, &device), &code),
            "the device must be below 2, but got 2");
  EXPECT_EQ(code, SAGE_NO_DEVICE);
}

TEST_F(DriverTest, NoDriverIsAStatus) {
  try {
    sage::Driver driver("/nonexistent/libcuda.so.1");
    FAIL();
  } catch (const sage::Error &error) {
    EXPECT_EQ(error.code(), SAGE_NO_DRIVER);
    EXPECT_EQ(error.remedy(), "install NVIDIA's driver, or run on the CPU");
  }
  // A library that is no driver.
  EXPECT_THROW(sage::Driver("libdl.so.2"), sage::Error);
}

TEST_F(DriverTest, ChecksTheChip) {
  struct Case {
    const char *chip;
    int major, minor;
    bool runs;
  };
  for (const Case &c :
       {Case{"sm_90a", 9, 0, true}, Case{"sm_90a", 10, 0, false}, Case{"sm_90a", 8, 9, false},
        Case{"sm_80", 8, 0, true}, Case{"sm_80", 8, 9, true}, Case{"sm_80", 9, 0, true},
        Case{"sm_89", 8, 6, false}, Case{"sm_100f", 10, 3, true}, Case{"sm_100f", 12, 0, false},
        Case{"sm_120a", 12, 0, true}}) {
    sage_stub_set_devices(1, c.major, c.minor);
    nlohmann::json manifest = sampleManifest();
    manifest["target"]["chip"] = c.chip;
    sage::Artifact artifact = sage::Artifact::parse(sealed(manifest));
    sage_status_code code;
    std::string message = takeMessage(loadOnce(artifact.get(), nullptr), &code);
    EXPECT_EQ(code, c.runs ? SAGE_OK : SAGE_WRONG_DEVICE) << c.chip << message;
  }
}

TEST_F(DriverTest, EveryCallFailingOnceIsAStatusAndNoLeak) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  int failures = 0;
  for (bool cached : {false, true})
    for (const char *const *name = sage_stub_functions(); *name; ++name)
      for (int k = 1; k <= 8; ++k) {
        std::string cache = pathOf("cache");
        fs::remove_all(cache);
        sage_stub_reset();
        sage_stub_fail(*name, k, 719);
        sage_status_code code;
        std::string message =
            takeMessage(loadOnce(artifact.get(), cached ? cache.c_str() : nullptr), &code);
        ASSERT_EQ(sage_stub_live_objects(), 0) << *name << " call " << k;
        ASSERT_EQ(sage_stub_context_depth(), 0) << *name;
        bool reached = sage_stub_calls(*name) >= k;
        std::string text = *name;
        // Giving back cannot fail: there is nothing that a caller could do.
        bool givesBack = text == "cuModuleUnload" || text == "cuDevicePrimaryCtxRelease_v2" ||
                         text.rfind("cuGetError", 0) == 0 ||
                         ((text == "cuCtxPushCurrent_v2" || text == "cuCtxPopCurrent_v2") && k > 1);
        if (!reached || givesBack)
          continue;
        ++failures;
        EXPECT_NE(code, SAGE_OK) << *name << " call " << k;
        std::string plain = text.substr(0, text.find("_v"));
        EXPECT_NE(message.find(plain), std::string::npos) << message;
        EXPECT_NE(message.find("CUDA_ERROR_PLANNED (719), the stub's text"), std::string::npos)
            << message;
      }
  EXPECT_GT(failures, 25);
}

TEST_F(DriverTest, JitErrorsCarryTheLog) {
  sage::Artifact artifact =
      sage::Artifact::parse(sealed(sampleManifest(), samplePtx() + "// stub-jit-error\n"));
  for (const char *cache : {static_cast<const char *>(nullptr), "cache"}) {
    std::string dir = cache ? pathOf(cache) : "";
    sage_status_code code;
    std::string message =
        takeMessage(loadOnce(artifact.get(), cache ? dir.c_str() : nullptr), &code);
    EXPECT_EQ(code, SAGE_DRIVER_ERROR);
    EXPECT_NE(message.find("ptxas: line 7: no such instruction"), std::string::npos) << message;
  }
}

TEST_F(DriverTest, MissingKernelIsNamed) {
  sage::Artifact artifact = sage::Artifact::parse(
      sealed(sampleManifest(), "// nothing\n.visible .entry other(.param .u64 a) {}\n"));
  EXPECT_NE(takeMessage(loadOnce(artifact.get(), nullptr))
                .find("cuModuleGetFunction(sage_prepare) failed"),
            std::string::npos);
}

TEST_F(DriverTest, PrefersAMatchingCubin) {
  std::string text = sealed(sampleManifest());
  std::string cubin = stubCubin + samplePtx();
  write("a.ptx", text);
  sage::Artifact artifact = sage::Artifact::load(pathOf("a.ptx"));
  sage::Driver driver(SAGE_STUB_DRIVER);
  auto origin = [&] { return sage::Module(driver, artifact, 0).origin(); };
  EXPECT_EQ(origin(), "driver JIT (no cubin beside the artifact)");
  write("a.cubin", cubin);
  EXPECT_EQ(origin(), "driver JIT (no cubin beside the artifact)");
  write("a.cubin.json", sidecar(artifact.checksum(), cubin, "sm_90a"));
  EXPECT_EQ(origin(), "cubin beside the artifact");
  write("a.cubin.json", sidecar("0123456789abcdef", cubin, "sm_90a"));
  EXPECT_EQ(origin(), "driver JIT (the cubin beside the artifact is of other PTX)");
  write("a.cubin.json", sidecar(artifact.checksum(), cubin, "sm_80"));
  EXPECT_EQ(origin(), "driver JIT (the cubin beside the artifact is for another chip)");
  write("a.cubin.json", sidecar(artifact.checksum(), cubin + "x", "sm_90a"));
  EXPECT_EQ(origin(), "driver JIT (the cubin beside the artifact is damaged)");
  write("a.cubin.json", "{");
  EXPECT_EQ(origin(), "driver JIT (the cubin's .json does not parse)");
  // What the driver refuses is no error either.
  write("a.cubin", "garbage");
  write("a.cubin.json", sidecar(artifact.checksum(), "garbage", "sm_90a"));
  EXPECT_NE(origin().find("driver JIT (cubin beside the artifact: "
                          "cuModuleLoadDataEx(cubin) failed"),
            std::string::npos);
}

TEST_F(DriverTest, TakesACubinFromMemory) {
  std::string text = sealed(sampleManifest()), cubin = stubCubin + samplePtx();
  sage::Artifact artifact = sage::Artifact::parse(text);
  sage::Driver driver(SAGE_STUB_DRIVER);
  auto origin = [&](const std::string &bytes, const char *json) -> std::string {
    sage_module_options options{};
    options.cubin = bytes.data();
    options.cubin_bytes = bytes.size();
    options.cubin_json = json;
    sage_module *module;
    std::string message =
        takeMessage(sage_module_load(driver.get(), artifact.get(), 0, &options, &module));
    if (!message.empty())
      return message;
    std::string found = sage_module_origin(module);
    sage_module_destroy(module);
    return found;
  };
  std::string json = sidecar(artifact.checksum(), cubin, "sm_90a");
  EXPECT_EQ(origin(cubin, json.c_str()), "cubin from memory");
  EXPECT_EQ(origin(cubin + "x", json.c_str()), "driver JIT (the cubin from memory is damaged)");
  EXPECT_EQ(origin(cubin, nullptr), "driver JIT (the cubin's .json does not parse)");
  EXPECT_EQ(origin(cubin, sidecar("0123456789abcdef", cubin, "sm_90a").c_str()),
            "driver JIT (the cubin from memory is of other PTX)");
  EXPECT_EQ(origin(cubin, sidecar(artifact.checksum(), cubin, "sm_80").c_str()),
            "driver JIT (the cubin from memory is for another chip)");
  EXPECT_EQ(origin("garbage", sidecar(artifact.checksum(), "garbage", "sm_90a").c_str())
                .rfind("driver JIT (cubin from memory: cuModuleLoadDataEx(cubin) failed", 0),
            0u);
  // It takes the place of the one beside the file.
  write("a.ptx", text);
  write("a.cubin", cubin);
  write("a.cubin.json", json);
  artifact = sage::Artifact::load(pathOf("a.ptx"));
  EXPECT_EQ(origin(cubin, json.c_str()), "cubin from memory");
  EXPECT_EQ(origin(cubin, "{"), "driver JIT (the cubin's .json does not parse)");
}

TEST_F(DriverTest, CachesAssembledCode) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  std::string cache = pathOf("cache/of/cubins");
  sage::Driver driver(SAGE_STUB_DRIVER);
  auto origin = [&] { return sage::Module(driver, artifact, 0, cache).origin(); };
  EXPECT_NE(origin().find("driver JIT (the artifact came from memory; not in the "
                          "cubin cache; now stored"),
            std::string::npos);
  EXPECT_EQ(origin().rfind("cubin cache", 0), 0u);
  EXPECT_EQ(sage_stub_calls("cuLinkComplete"), 1);
  // Another device is another file; so is other PTX.
  sage::Artifact other = sage::Artifact::parse(sealed(sampleManifest(), samplePtx() + "\n"));
  EXPECT_EQ(sage::Module(driver, other, 0, cache).origin().rfind("driver JIT", 0), 0u);
  // Damage in the header or the code: assembled again.
  fs::path file;
  for (const auto &entry : fs::directory_iterator(cache))
    if (entry.path().string().find(artifact.checksum()) != std::string::npos)
      file = entry.path();
  std::string bytes;
  ASSERT_TRUE(sage::runtime::readFile(file.string(), bytes).ok());
  for (size_t i = 0; i < bytes.size(); i += i < 24 ? 6 : bytes.size() / 5) {
    std::string damaged = bytes;
    damaged[i] = char(damaged[i] ^ 0x40);
    std::ofstream(file, std::ios::binary) << damaged;
    EXPECT_NE(origin().find("is damaged"), std::string::npos) << i;
  }
  EXPECT_EQ(origin().rfind("cubin cache", 0), 0u);
}

// The driver's linker would ignore setmaxnreg and serialize wgmma.
TEST_F(DriverTest, WarpSpecializedCodeIsNotLinked) {
  for (const char *instruction : {"setmaxnreg.inc", "wgmma.fence"}) {
    sage::Artifact artifact =
        sage::Artifact::parse(sealed(sampleManifest(), samplePtx() + "// " + instruction + "\n"));
    sage::Driver driver(SAGE_STUB_DRIVER);
    sage::Module module(driver, artifact, 0, pathOf("cache"));
    EXPECT_NE(module.origin().find("driver JIT (the artifact came from memory; "
                                   "not cached: the driver's linker"),
              std::string::npos);
    EXPECT_EQ(sage_stub_calls("cuLinkCreate_v2"), 0);
  }
}

TEST_F(DriverTest, UnwritableCacheIsNoError) {
  sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
  write("file", "");
  sage::Driver driver(SAGE_STUB_DRIVER);
  sage::Module module(driver, artifact, 0, pathOf("file") + "/cache");
  EXPECT_NE(module.origin().find("cannot write to the cubin cache"), std::string::npos);
}

TEST_F(DriverTest, ModulesOutliveTheirArtifactAndDriver) {
  std::unique_ptr<sage::Module> module;
  {
    sage::Artifact artifact = sage::Artifact::parse(sealed(sampleManifest()));
    sage::Driver driver(SAGE_STUB_DRIVER);
    module = std::make_unique<sage::Module>(driver, artifact, 0);
  }
  EXPECT_EQ(sage_stub_live_objects(), 2); // the module and the context
  module.reset();
}

TEST_F(DriverTest, SharedMemoryIsChecked) {
  nlohmann::json manifest = sampleManifest();
  manifest["kernels"][1]["shared_bytes"] = 232449;
  sage::Artifact artifact = sage::Artifact::parse(sealed(manifest));
  sage_status_code code;
  EXPECT_NE(takeMessage(loadOnce(artifact.get(), nullptr), &code)
                .find("needs 232449 bytes of shared memory, but the device has "
                      "232448"),
            std::string::npos);
  EXPECT_EQ(code, SAGE_WRONG_DEVICE);
}
