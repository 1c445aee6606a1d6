#include "Execution.h"

#include "mlir/Pass/PassManager.h"
#include "sage/Pipelines/Pipelines.h"
#include "sage/Target/Artifact.h"
#include "sage_mgpu.h"

#include <memory>

using namespace mlir;

namespace sage::check {
namespace {

struct Destroy {
  void operator()(sage_artifact *artifact) const { sage_artifact_destroy(artifact); }
  void operator()(sage_driver *driver) const { sage_driver_close(driver); }
  void operator()(sage_module *module) const { sage_module_destroy(module); }
};
template <typename T> using Owned = std::unique_ptr<T, Destroy>;

/// The message of `status`, which is destroyed; empty for success.
std::string take(sage_status *status) {
  std::string message = sage_status_get_message(status);
  sage_status_destroy(status);
  return message;
}

/// Copies of host memory on the device, brought back by `get`.
class DeviceCopy {
public:
  DeviceCopy(const void *host, size_t bytes) : bytes(bytes) {
    memory = mgpuMemAlloc(bytes, nullptr, false);
    if (bytes)
      mgpuMemcpy(memory, const_cast<void *>(host), bytes, nullptr);
  }
  ~DeviceCopy() { mgpuMemFree(memory, nullptr); }
  DeviceCopy(const DeviceCopy &) = delete;
  void *data() const { return memory; }
  void get(void *host) const {
    if (bytes)
      mgpuMemcpy(host, memory, bytes, nullptr);
    mgpuStreamSynchronize(nullptr);
  }

private:
  size_t bytes;
  void *memory;
};

template <typename T> DeviceCopy copy(const std::vector<T> &elements) {
  return DeviceCopy(elements.data(), elements.size() * sizeof(T));
}

std::string launch(sage_module *module, sage_artifact *artifact, interpret::Tensors &tensors) {
  DeviceCopy query = copy(tensors.query), key = copy(tensors.key), value = copy(tensors.value),
             output = copy(tensors.output), lse = copy(tensors.lse);
  const evaluation::MaskInputs &masks = tensors.operands;
  DeviceCopy bias = copy(masks.bias), keyLengths = copy(masks.keyLengths),
             sinks = copy(masks.sinks), queryOffsets = copy(masks.queryOffsets),
             keyOffsets = copy(masks.keyOffsets);
  sage_call call = tensors.getCall(
      output.data(), tensors.problem.lse ? static_cast<float *>(lse.data()) : nullptr);
  // An operand that the problem has not must be null.
  auto at = [](const DeviceCopy &copy, const auto &elements) {
    return elements.empty() ? nullptr : copy.data();
  };
  masks.addTo(call, {at(bias, masks.bias), at(keyLengths, masks.keyLengths), at(sinks, masks.sinks),
                     at(queryOffsets, masks.queryOffsets), at(keyOffsets, masks.keyOffsets)});
  call.query.data = query.data();
  call.key.data = key.data();
  call.value.data = value.data();
  uint64_t bytes = 0;
  if (std::string wrong = take(sage_artifact_workspace_bytes(artifact, &call, &bytes));
      !wrong.empty())
    return wrong;
  DeviceCopy workspace = copy(std::vector<uint8_t>(bytes + 1024, 0xff));
  uintptr_t start = reinterpret_cast<uintptr_t>(workspace.data());
  void *aligned = reinterpret_cast<void *>((start + 1023) / 1024 * 1024);
  if (std::string wrong = take(sage_module_launch(module, &call, nullptr, aligned, bytes));
      !wrong.empty())
    return wrong;
  output.get(tensors.output.data());
  lse.get(tensors.lse.data());
  return {};
}

} // namespace

std::string executeArtifact(ModuleOp module, interpret::Tensors &tensors, int32_t device,
                            const std::string &driverPath) {
  tensors.poisonOutputs();
  PassManager manager(module.getContext());
  buildTileToNVVMPipeline(manager);
  if (failed(manager.run(module)))
    return "it is not lowered to PTX";
  FailureOr<tile::ProgramOp> program = findProgram(module);
  if (failed(program))
    return "it has no host program";
  FailureOr<std::string> text = emitArtifact(*program);
  if (failed(text))
    return "it is not printed as an artifact";

  const char *path = driverPath.empty() ? nullptr : driverPath.c_str();
  sage_mgpu_set_driver(path);
  mgpuSetDefaultDevice(device);
  sage_artifact *artifact = nullptr;
  std::string wrong = take(sage_artifact_parse(text->data(), text->size(), &artifact));
  Owned<sage_artifact> ownedArtifact(artifact);
  if (!wrong.empty())
    return wrong;
  sage_driver_options options{path};
  sage_driver *driver = nullptr;
  wrong = take(sage_driver_open(&options, &driver));
  Owned<sage_driver> ownedDriver(driver);
  if (!wrong.empty())
    return wrong;
  sage_module *loaded = nullptr;
  wrong = take(sage_module_load(driver, artifact, device, nullptr, &loaded));
  Owned<sage_module> ownedModule(loaded);
  return wrong.empty() ? launch(loaded, artifact, tensors) : wrong;
}

} // namespace sage::check
