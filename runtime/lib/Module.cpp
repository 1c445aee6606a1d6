//===- Module.cpp - loading an artifact onto a device ---------------------===//
#include "Module.h"

#include "ApiBoundary.h"
#include "ArtifactHandle.h"
#include "CubinStore.h"

#include <array>

namespace sage::runtime {
namespace {

/// Receives the assembler's complaints during one driver call.
class JitLog {
public:
  JitLog() {
    values[0] = buffer.data();
    // The driver takes the size as the pointer's value.
    values[1] = reinterpret_cast<void *>(uintptr_t(buffer.size() - 1));
  }
  unsigned count() const { return unsigned(options.size()); }

  /// `status` with the log at its end.
  Status addTo(Status status) const {
    if (status.ok() || buffer[0] == '\0')
      return status;
    return Status(status.code(), status.message() + "; the assembler says: " + buffer.data(),
                  status.remedy());
  }

  std::array<cuda::JitOption, 2> options = {cuda::JitErrorLogBuffer,
                                            cuda::JitErrorLogBufferSizeBytes};
  std::array<void *, 2> values{};

private:
  std::array<char, 8192> buffer{};
};

/// The driver gives a cubin out only through its linker, which compiles for
/// linking with other code. Measured on an H100 (driver 580): it then ignores
/// setmaxnreg (C7504), serializes wgmma (C7509) and spills, which loading the
/// PTX directly does not. The driver keeps a cache of its own for that.
bool linkingCostsSpeed(const std::string &ptx) {
  return ptx.find("setmaxnreg") != std::string::npos || ptx.find("wgmma.") != std::string::npos;
}

} // namespace

Module::~Module() {
  if (!code)
    return;
  (void)withContext(primary, [&]() -> Status {
    unload();
    return {};
  });
  // Where the context could not be made current: better tried than leaked.
  unload();
}

void Module::unload() {
  if (code)
    (void)primary.api().moduleUnload(code);
  code = nullptr;
  functions.clear();
}

Status Module::load(std::shared_ptr<Driver> driver, std::shared_ptr<const Artifact> from,
                    int32_t ordinal, const sage_module_options &options) {
  artifact = std::move(from);
  sage_device device;
  SAGE_RETURN_IF_ERROR(driver->device(ordinal, device));
  SAGE_RETURN_IF_ERROR(artifact->chip.checkRunsOn({device.compute_major, device.compute_minor}));
  multiprocessors = unsigned(device.multiprocessors);
  for (const Kernel &kernel : artifact->kernels)
    if (kernel.sharedBytes > device.shared_bytes_per_block)
      return failure(SAGE_WRONG_DEVICE, "kernel ", kernel.name, " needs ", kernel.sharedBytes,
                     " bytes of shared memory, but the "
                     "device has ",
                     device.shared_bytes_per_block, " for a block")
          .withRemedy("compile for this device's chip");
  SAGE_RETURN_IF_ERROR(primary.retain(std::move(driver), ordinal));
  return withContext(primary, [&]() -> Status { return loadCode(options, device); });
}

/// The caller's own, or the one beside the artifact. Empty if it matches.
std::string Module::findCubin(const sage_module_options &options, ComputeCapability device,
                              const char *name, std::string &cubin) const {
  if (!options.cubin)
    return findCubinBeside(*artifact, device, cubin);
  cubin.assign(static_cast<const char *>(options.cubin), options.cubin_bytes);
  return checkCubin(*artifact, device, options.cubin_json ? options.cubin_json : "", cubin, name);
}

Status Module::loadCode(const sage_module_options &options, const sage_device &device) {
  ComputeCapability capability = {device.compute_major, device.compute_minor};
  std::string cubin, reasons;
  auto because = [&](const std::string &reason) {
    reasons += (reasons.empty() ? " (" : "; ") + reason;
  };
  // Code that the driver does not take, from either store, is no error: PTX is
  // the artifact's truth.
  auto take = [&](const char *source) {
    Status status = loadCubin(cubin);
    if (!status.ok())
      because(text(source, ": ", status.message()));
    return status.ok();
  };
  const char *source = options.cubin ? "cubin from memory" : "cubin beside the artifact";
  if (options.cubin || !options.ignore_cubin) {
    Reason reason = findCubin(options, capability, source, cubin);
    if (!reason.empty()) {
      because(reason);
    } else if (take(source)) {
      origin = source;
      return {};
    }
  }
  if (!options.cache_dir) {
    SAGE_RETURN_IF_ERROR(loadPtx());
    origin = "driver JIT" + (reasons.empty() ? "" : reasons + ")");
    return {};
  }
  if (linkingCostsSpeed(artifact->text)) {
    because("not cached: the driver's linker would slow this code down");
    SAGE_RETURN_IF_ERROR(loadPtx());
    origin = "driver JIT" + reasons + ")";
    return {};
  }
  CubinCache cache(options.cache_dir, *artifact, capability, primary.driver->version);
  Reason reason = cache.find(cubin);
  if (!reason.empty()) {
    because(reason);
  } else if (take("cubin cache")) {
    origin = "cubin cache" + (reasons.empty() ? "" : reasons + ")");
    return {};
  }
  SAGE_RETURN_IF_ERROR(assemble(cubin));
  SAGE_RETURN_IF_ERROR(loadCubin(cubin));
  reason = cache.store(cubin);
  because(reason.empty() ? "now stored in the cubin cache" : reason);
  origin = "driver JIT" + reasons + ")";
  return {};
}

Status Module::loadCubin(const std::string &cubin) {
  SAGE_RETURN_IF_ERROR(
      primary.api().check(primary.api().moduleLoadDataEx(&code, cubin.data(), 0, nullptr, nullptr),
                          "cuModuleLoadDataEx(cubin)"));
  return findKernels();
}

Status Module::loadPtx() {
  JitLog log;
  SAGE_RETURN_IF_ERROR(log.addTo(
      primary.api().check(primary.api().moduleLoadDataEx(&code, artifact->text.c_str(), log.count(),
                                                         log.options.data(), log.values.data()),
                          "cuModuleLoadDataEx(PTX)")));
  return findKernels();
}

Status Module::assemble(std::string &cubin) const {
  const DriverApi &api = primary.api();
  JitLog log;
  cuda::LinkState state = nullptr;
  SAGE_RETURN_IF_ERROR(api.check(
      api.linkCreate(log.count(), log.options.data(), log.values.data(), &state), "cuLinkCreate"));
  void *image = nullptr;
  size_t bytes = 0;
  // The driver's size includes the terminating NUL.
  Status status = log.addTo(api.check(
      api.linkAddData(state, cuda::JitInputPtx, const_cast<char *>(artifact->text.c_str()),
                      artifact->text.size() + 1, "artifact.ptx", 0, nullptr, nullptr),
      "cuLinkAddData"));
  if (status.ok())
    status = log.addTo(api.check(api.linkComplete(state, &image, &bytes), "cuLinkComplete"));
  if (status.ok())
    cubin.assign(static_cast<const char *>(image), bytes);
  Status destroyed = api.check(api.linkDestroy(state), "cuLinkDestroy");
  return status.ok() ? std::move(destroyed) : std::move(status);
}

/// A launch whose code has other parameters would read past the arguments.
Status Module::checkParameters(const Kernel &kernel, cuda::Function function) const {
  const DriverApi &api = primary.api();
  if (!api.funcGetParamInfo)
    return {};
  size_t count = kernel.arguments.size();
  for (size_t i = 0; i <= count; ++i) {
    size_t offset = 0, bytes = 0;
    cuda::Result result = api.funcGetParamInfo(function, i, &offset, &bytes);
    if (result == cuda::ErrorInvalidValue) // the code has no such parameter
      bytes = 0;
    else
      SAGE_RETURN_IF_ERROR(api.check(result, text("cuFuncGetParamInfo(", kernel.name, ")")));
    size_t wanted = i < count ? kernel.arguments[i].bytes() : 0;
    if (bytes != wanted)
      return invalidArtifact("kernel ", kernel.name, ": parameter ", i, " must have ", wanted,
                             " bytes, as the manifest says, but has ", bytes);
  }
  return {};
}

Status Module::findKernels() {
  const DriverApi &api = primary.api();
  auto find = [&]() -> Status {
    for (const Kernel &kernel : artifact->kernels) {
      cuda::Function function;
      SAGE_RETURN_IF_ERROR(api.check(api.moduleGetFunction(&function, code, kernel.name.c_str()),
                                     text("cuModuleGetFunction(", kernel.name, ")")));
      SAGE_RETURN_IF_ERROR(checkParameters(kernel, function));
      // Now, since a launch that is being captured must not change attributes.
      if (kernel.sharedBytes > 0)
        SAGE_RETURN_IF_ERROR(
            api.check(api.funcSetAttribute(function, cuda::MaxDynamicSharedSizeBytes,
                                           int(kernel.sharedBytes)),
                      text("cuFuncSetAttribute(", kernel.name, ", ", kernel.sharedBytes,
                           " bytes of shared memory)")));
      functions.push_back(function);
    }
    return {};
  };
  Status status = find();
  if (!status.ok())
    unload();
  return status;
}

} // namespace sage::runtime

using namespace sage::runtime;

extern "C" sage_status *sage_module_load(sage_driver *driver, const sage_artifact *artifact,
                                         int32_t device, const sage_module_options *options,
                                         sage_module **module) {
  *module = nullptr;
  return guarded([&]() -> Status {
    auto loaded = std::make_unique<sage_module>();
    SAGE_RETURN_IF_ERROR(loaded->module.load(driver->driver, artifact->artifact, device,
                                             options ? *options : sage_module_options{}));
    *module = loaded.release();
    return {};
  });
}

extern "C" void sage_module_destroy(sage_module *module) { delete module; }

extern "C" const char *sage_module_origin(const sage_module *module) {
  return module->module.origin.c_str();
}

extern "C" sage_status *sage_module_launch(const sage_module *module, const sage_call *call,
                                           void *stream, void *workspace,
                                           uint64_t workspace_bytes) {
  return guarded(
      [&]() -> Status { return module->module.launch(*call, stream, workspace, workspace_bytes); });
}
