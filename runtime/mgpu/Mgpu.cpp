//===- Mgpu.cpp - what MLIR's gpu-to-llvm calls ---------------------------===//
// Names and signatures are those of MLIR's CUDA runtime wrappers.
//===----------------------------------------------------------------------===//
#include "sage_mgpu.h"

#include "DriverChoice.h"

#include "Driver.h"
#include "TensorMap.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>

using namespace sage::runtime;

namespace {

/// Callers have no way to take an error.
void require(const char *call, const Status &status) {
  if (status.ok())
    return;
  std::fprintf(stderr, "sage_mgpu: %s: %s\n", call, status.message().c_str());
  if (!status.remedy().empty())
    std::fprintf(stderr, "sage_mgpu: remedy: %s\n", status.remedy().c_str());
  std::abort();
}

thread_local int32_t defaultDevice = 0;

/// Executables unload their modules after everything else of the process has ended, the driver's
/// own state perhaps too.
std::atomic<bool> isEnding{false};

class Library {
public:
  /// Never destroyed: modules are unloaded by the destructors of other libraries.
  static Library &get() {
    static auto *library = [] {
      std::atexit([] { isEnding = true; });
      return new Library;
    }();
    return *library;
  }

  DriverChoice getChoice() {
    std::lock_guard<std::mutex> lock(mutex);
    return {path, defaultDevice};
  }

  void setDriver(const char *from) {
    std::lock_guard<std::mutex> lock(mutex);
    path = from ? from : "";
  }

  Status find(PrimaryContext *&context) {
    std::lock_guard<std::mutex> lock(mutex);
    if (!driver)
      SAGE_RETURN_IF_ERROR(Driver::open(path.empty() ? nullptr : path.c_str(), driver));
    std::unique_ptr<PrimaryContext> &entry = contexts[defaultDevice];
    if (!entry) {
      auto retained = std::make_unique<PrimaryContext>();
      SAGE_RETURN_IF_ERROR(retained->retain(driver, defaultDevice));
      entry = std::move(retained);
    }
    context = entry.get();
    return {};
  }

  /// Once for a function and a size, since a launch that is being captured must not change
  /// attributes.
  Status allowSharedBytes(const DriverApi &api, cuda::Function function, int bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    int &allowed = sharedBytes[function];
    if (bytes <= allowed)
      return {};
    SAGE_RETURN_IF_ERROR(
        api.check(api.funcSetAttribute(function, cuda::MaxDynamicSharedSizeBytes, bytes),
                  text("cuFuncSetAttribute(", bytes, " bytes of shared memory)")));
    allowed = bytes;
    return {};
  }

  /// Another module's functions may come to lie where those of this one were.
  void forgetFunctions() {
    std::lock_guard<std::mutex> lock(mutex);
    sharedBytes.clear();
  }

private:
  std::mutex mutex;
  std::string path;
  std::shared_ptr<Driver> driver;
  std::map<int32_t, std::unique_ptr<PrimaryContext>> contexts;
  std::map<cuda::Function, int> sharedBytes;
};

/// Runs `body`, which takes the driver and returns a Status, in the device's context.
template <typename Body> void run(const char *call, Body body) {
  PrimaryContext *context = nullptr;
  require(call, Library::get().find(context));
  require(call, withContext(*context, [&]() -> Status { return body(context->api()); }));
}

cuda::DevicePointer toDevice(const void *pointer) {
  return cuda::DevicePointer(reinterpret_cast<uintptr_t>(pointer));
}

void *loadModule(const char *call, const void *data) {
  cuda::Module module = nullptr;
  run(call, [&](const DriverApi &api) -> Status {
    char log[8192] = "";
    // The driver takes the size as the pointer's value.
    cuda::JitOption options[] = {cuda::JitErrorLogBuffer, cuda::JitErrorLogBufferSizeBytes};
    void *values[] = {log, reinterpret_cast<void *>(uintptr_t(sizeof(log) - 1))};
    Status status =
        api.check(api.moduleLoadDataEx(&module, data, 2, options, values), "cuModuleLoadDataEx");
    return log[0] == '\0' ? std::move(status)
                          : std::move(status).within(text("the assembler says: ", log));
  });
  return module;
}

} // namespace

DriverChoice sage::runtime::getDriverChoice() { return Library::get().getChoice(); }

void sage_mgpu_set_driver(const char *path) { Library::get().setDriver(path); }

void mgpuSetDefaultDevice(int32_t device) { defaultDevice = device; }

void *mgpuModuleLoad(void *data, size_t) { return loadModule("mgpuModuleLoad", data); }

void *mgpuModuleLoadJIT(void *data, int32_t) { return loadModule("mgpuModuleLoadJIT", data); }

void mgpuModuleUnload(void *module) {
  PrimaryContext *context = nullptr;
  if (isEnding || !Library::get().find(context).ok())
    return;
  Library::get().forgetFunctions();
  (void)withContext(*context, [&]() -> Status {
    (void)context->api().moduleUnload(static_cast<cuda::Module>(module));
    return {};
  });
}

void *mgpuModuleGetFunction(void *module, const char *name) {
  cuda::Function function = nullptr;
  run("mgpuModuleGetFunction", [&](const DriverApi &api) {
    return api.check(api.moduleGetFunction(&function, static_cast<cuda::Module>(module), name),
                     text("cuModuleGetFunction(", name, ")"));
  });
  return function;
}

void mgpuLaunchKernel(void *function, intptr_t gridX, intptr_t gridY, intptr_t gridZ,
                      intptr_t blockX, intptr_t blockY, intptr_t blockZ, int32_t sharedBytes,
                      void *stream, void **arguments, void **extra, size_t) {
  auto kernel = static_cast<cuda::Function>(function);
  run("mgpuLaunchKernel", [&](const DriverApi &api) -> Status {
    SAGE_RETURN_IF_ERROR(Library::get().allowSharedBytes(api, kernel, sharedBytes));
    return api.check(api.launchKernel(kernel, unsigned(gridX), unsigned(gridY), unsigned(gridZ),
                                      unsigned(blockX), unsigned(blockY), unsigned(blockZ),
                                      unsigned(sharedBytes), static_cast<cuda::Stream>(stream),
                                      arguments, extra),
                     "cuLaunchKernel");
  });
}

void *mgpuStreamCreate() {
  cuda::Stream stream = nullptr;
  run("mgpuStreamCreate", [&](const DriverApi &api) {
    return api.check(api.streamCreate(&stream, 0), "cuStreamCreate");
  });
  return stream;
}

void mgpuStreamSynchronize(void *stream) {
  run("mgpuStreamSynchronize", [&](const DriverApi &api) {
    return api.check(api.streamSynchronize(static_cast<cuda::Stream>(stream)),
                     "cuStreamSynchronize");
  });
}

void mgpuStreamDestroy(void *stream) {
  run("mgpuStreamDestroy", [&](const DriverApi &api) {
    return api.check(api.streamDestroy(static_cast<cuda::Stream>(stream)), "cuStreamDestroy");
  });
}

void *mgpuMemAlloc(uint64_t bytes, void *, bool hostShared) {
  if (hostShared)
    require("mgpuMemAlloc",
            failure(SAGE_UNSUPPORTED, "memory that the host shares is not offered")
                .withRemedy("leave host_shared out of gpu.alloc, and copy with gpu.memcpy"));
  cuda::DevicePointer memory = 0;
  // The driver refuses empty allocations.
  if (bytes != 0)
    run("mgpuMemAlloc", [&](const DriverApi &api) {
      return api.check(api.memAlloc(&memory, bytes), text("cuMemAlloc(", bytes, " bytes)"));
    });
  return reinterpret_cast<void *>(uintptr_t(memory));
}

void mgpuMemFree(void *memory, void *stream) {
  if (!memory)
    return;
  run("mgpuMemFree", [&](const DriverApi &api) -> Status {
    SAGE_RETURN_IF_ERROR(
        api.check(api.streamSynchronize(static_cast<cuda::Stream>(stream)), "cuStreamSynchronize"));
    return api.check(api.memFree(toDevice(memory)), "cuMemFree");
  });
}

void mgpuMemcpy(void *to, void *from, size_t bytes, void *stream) {
  run("mgpuMemcpy", [&](const DriverApi &api) {
    return api.check(
        api.memcpyAsync(toDevice(to), toDevice(from), bytes, static_cast<cuda::Stream>(stream)),
        text("cuMemcpyAsync(", bytes, " bytes)"));
  });
}

void sage_encode_tensor_map(void *map, int32_t element, int32_t rank, void *address,
                            const int64_t *extents, const int64_t *strides, const int32_t *box,
                            int32_t swizzleBytes) {
  constexpr const char *call = "sage_encode_tensor_map";
  if (rank < 1 || size_t(rank) > tensorRankLimit || element < SAGE_TENSOR_MAP_U8 ||
      element > SAGE_TENSOR_MAP_BF16)
    require(call, invalidArgument("rank must be 1 to ", tensorRankLimit,
                                  " and element 0 to 2, but got ", rank, " and ", element));
  TensorMapDescription description;
  description.element = static_cast<TensorMapDescription::Element>(element);
  description.rank = uint32_t(rank);
  description.swizzleBytes = uint32_t(swizzleBytes);
  for (int32_t i = 0; i < rank; ++i) {
    description.extents[size_t(i)] = Expression(extents[i]);
    description.box[size_t(i)] = uint32_t(box[i]);
    if (i + 1 < rank)
      description.strides[size_t(i)] = Expression(strides[i]);
  }
  run(call, [&](const DriverApi &api) {
    return encodeTensorMap(api, description, SymbolValues{}, toDevice(address),
                           *static_cast<cuda::TensorMap *>(map));
  });
}
