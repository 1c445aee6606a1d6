//===- EmbeddedAttention.cpp - attention with its artifact in the program -===//
// On top of the runtime's C API and this library's memory and streams.
//===----------------------------------------------------------------------===//
#include "sage_mgpu.h"

#include "DriverChoice.h"

#include "sage/runtime/sage.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

using namespace sage::runtime;

namespace {

/// Compiled programs have no way to take an error.
void require(const char *call, sage_status *status) {
  if (!status)
    return;
  std::fprintf(stderr, "sage_mgpu: %s: %s\n", call, sage_status_get_message(status));
  if (const char *remedy = sage_status_get_remedy(status); remedy && *remedy)
    std::fprintf(stderr, "sage_mgpu: remedy: %s\n", remedy);
  std::abort();
}

/// An artifact in the program's constants, and its module on each device.
struct Embedded {
  sage_artifact *artifact = nullptr;
  sage_program program{};
  /// Null where the artifact does not run on the device; `origins` says why.
  std::map<int32_t, sage_module *> modules;
  std::map<int32_t, std::string> origins;
};

/// Device memory that is aligned as sage_module_launch wants it; freed by hand.
struct Workspace {
  static constexpr uint64_t alignment = 1024;

  void *memory = nullptr;
  uint64_t bytes = 0;

  static Workspace allocate(uint64_t bytes, void *stream) {
    if (bytes == 0)
      return {};
    return {mgpuMemAlloc(bytes + alignment, stream, /*host_shared=*/false), bytes};
  }
  void *aligned() const {
    uintptr_t address = reinterpret_cast<uintptr_t>(memory);
    return reinterpret_cast<void *>((address + alignment - 1) / alignment * alignment);
  }
};

thread_local void *currentStream = nullptr;

/// Never destroyed, as what it holds: other libraries may call at their end.
class Attentions {
public:
  static Attentions &get() {
    static auto *attentions = new Attentions;
    return *attentions;
  }

  /// Constants of a program keep their address.
  Embedded &find(const char *call, const char *text, int64_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    std::unique_ptr<Embedded> &entry = artifacts[text];
    if (entry)
      return *entry;
    entry = std::make_unique<Embedded>();
    require(call, sage_artifact_parse(text, size_t(bytes), &entry->artifact));
    sage_artifact_program(entry->artifact, &entry->program);
    return *entry;
  }

  /// The module on this thread's device. With `mayLack`, null where there is no driver or no such
  /// device, or one of another chip.
  sage_module *load(const char *call, Embedded &embedded, bool mayLack) {
    DriverChoice choice = getDriverChoice();
    std::lock_guard<std::mutex> lock(mutex);
    auto found = embedded.modules.find(choice.device);
    if (found != embedded.modules.end() && (found->second || mayLack))
      return found->second;
    sage_module *module = nullptr;
    sage_status *status = nullptr;
    if (!driver) {
      sage_driver_options options{choice.path.empty() ? nullptr : choice.path.c_str()};
      status = sage_driver_open(&options, &driver);
    }
    if (!status)
      status = sage_module_load(driver, embedded.artifact, choice.device, nullptr, &module);
    std::string &origin = embedded.origins[choice.device];
    if (!status) {
      sage_device device{};
      require(call, sage_driver_device(driver, choice.device, &device));
      origin = device.name;
    } else {
      sage_status_code code = sage_status_get_code(status);
      bool lacks = code == SAGE_NO_DRIVER || code == SAGE_NO_DEVICE || code == SAGE_WRONG_DEVICE;
      if (!mayLack || !lacks)
        require(call, status);
      origin = std::string("CPU reference: ") + sage_status_get_message(status);
      sage_status_destroy(status);
    }
    return embedded.modules[choice.device] = module;
  }

  const char *getOrigin(const Embedded &embedded) {
    std::lock_guard<std::mutex> lock(mutex);
    return embedded.origins.at(getDriverChoice().device).c_str();
  }

  /// Of this thread's device and the stream. A larger one waits for the stream that uses the old.
  void *growWorkspace(void *stream, uint64_t bytes) {
    std::lock_guard<std::mutex> lock(mutex);
    Workspace &workspace = workspaces[{getDriverChoice().device, stream}];
    if (workspace.bytes < bytes) {
      mgpuMemFree(workspace.memory, stream);
      workspace = Workspace::allocate(bytes, stream);
    }
    return workspace.aligned();
  }

  void releaseWorkspaces() {
    std::lock_guard<std::mutex> lock(mutex);
    int32_t device = getDriverChoice().device;
    for (auto &[key, workspace] : workspaces) {
      mgpuSetDefaultDevice(key.first);
      mgpuMemFree(workspace.memory, key.second);
    }
    mgpuSetDefaultDevice(device);
    workspaces.clear();
  }

private:
  std::mutex mutex;
  sage_driver *driver = nullptr;
  std::map<const char *, std::unique_ptr<Embedded>> artifacts;
  std::map<std::pair<int32_t, void *>, Workspace> workspaces;
};

sage_tensor toTensor(const sage_mgpu_tensor &given, sage_element_type type) {
  sage_tensor tensor{};
  tensor.data = reinterpret_cast<void *>(uintptr_t(given.data));
  std::copy_n(given.extents, 4, tensor.extents);
  std::copy_n(given.strides, 4, tensor.strides);
  tensor.element_type = type;
  return tensor;
}

template <typename T> T *toPointer(int64_t address) {
  return reinterpret_cast<T *>(uintptr_t(address));
}

sage_call toCall(const sage_mgpu_attention &given, const sage_problem &problem) {
  sage_call call{};
  call.query = toTensor(given.query, problem.element_type);
  call.key = toTensor(given.key, problem.element_type);
  call.value = toTensor(given.value, problem.element_type);
  call.output = toTensor(given.output, problem.element_type);
  if (problem.has_bias)
    call.bias = toTensor(given.bias, problem.bias_type);
  call.lse = toPointer<float>(given.lse);
  call.key_lengths = toPointer<const int32_t>(given.key_lengths);
  call.sinks = toPointer<const float>(given.sinks);
  call.query_offsets = toPointer<const int32_t>(given.query_offsets);
  call.key_offsets = toPointer<const int32_t>(given.key_offsets);
  call.sequences = given.sequences;
  return call;
}

size_t elementBytes(sage_element_type type) {
  return type == SAGE_F32 ? 4 : type == SAGE_BOOL ? 1 : 2;
}

/// Device memory that holds what host memory does, as long as a call.
class Mirrors {
public:
  explicit Mirrors(void *stream) : stream(stream) {}
  ~Mirrors() {
    for (const Mirror &mirror : mirrors)
      mgpuMemFree(mirror.device, stream);
  }

  void *add(const void *host, size_t bytes, bool comesBack) {
    if (!host || bytes == 0)
      return nullptr;
    void *device = mgpuMemAlloc(bytes, stream, /*host_shared=*/false);
    // Gaps between rows, and rows in no sequence, keep what they hold.
    mgpuMemcpy(device, const_cast<void *>(host), bytes, stream);
    mirrors.push_back({const_cast<void *>(host), device, bytes, comesBack});
    return device;
  }

  template <typename T> void add(const T *&pointer, int64_t count) {
    pointer = static_cast<const T *>(add(pointer, size_t(count) * sizeof(T), false));
  }

  void add(sage_tensor &tensor, bool comesBack = false) {
    int64_t last = 0;
    for (int i = 0; i < 4; ++i) {
      if (tensor.extents[i] == 0)
        return;
      last += (tensor.extents[i] - 1) * tensor.strides[i];
    }
    tensor.data = add(tensor.data, size_t(last + 1) * elementBytes(tensor.element_type), comesBack);
  }

  void copyBack() {
    for (const Mirror &mirror : mirrors)
      if (mirror.comesBack)
        mgpuMemcpy(mirror.host, mirror.device, mirror.bytes, stream);
    mgpuStreamSynchronize(stream);
  }

private:
  struct Mirror {
    void *host, *device;
    size_t bytes;
    bool comesBack;
  };
  void *stream;
  std::vector<Mirror> mirrors;
};

/// Through copies in device memory, on a stream of its own.
void runOnDevice(const char *name, const Embedded &embedded, const sage_module *module,
                 sage_call call) {
  require(name, sage_artifact_check_call(embedded.artifact, &call));
  uint64_t bytes = 0;
  require(name, sage_artifact_workspace_bytes(embedded.artifact, &call, &bytes));
  void *stream = mgpuStreamCreate();
  {
    Mirrors mirrors(stream);
    const int64_t *extents = call.query.extents;
    mirrors.add(call.query);
    mirrors.add(call.key);
    mirrors.add(call.value);
    mirrors.add(call.output, /*comesBack=*/true);
    if (embedded.program.problem.has_bias)
      mirrors.add(call.bias);
    int64_t rows = extents[0] * extents[1] * extents[2];
    call.lse = static_cast<float *>(mirrors.add(call.lse, size_t(rows) * sizeof(float), true));
    mirrors.add(call.key_lengths, extents[0]);
    mirrors.add(call.sinks, extents[1]);
    mirrors.add(call.query_offsets, call.sequences + 1);
    mirrors.add(call.key_offsets, call.sequences + 1);
    Workspace workspace = Workspace::allocate(bytes, stream);
    require(name, sage_module_launch(module, &call, stream, workspace.aligned(), bytes));
    mirrors.copyBack();
    mgpuMemFree(workspace.memory, stream);
  }
  mgpuStreamDestroy(stream);
}

} // namespace

void sage_mgpu_attend_host(const char *artifact, int64_t bytes,
                           const sage_mgpu_attention *attention) {
  constexpr const char *name = "sage_mgpu_attend_host";
  Embedded &embedded = Attentions::get().find(name, artifact, bytes);
  sage_call call = toCall(*attention, embedded.program.problem);
  if (sage_module *module = Attentions::get().load(name, embedded, /*mayLack=*/true))
    return runOnDevice(name, embedded, module, call);
  require(name, sage_reference_run(&embedded.program, &call, nullptr, nullptr));
}

void sage_mgpu_attend_device(const char *artifact, int64_t bytes,
                             const sage_mgpu_attention *attention) {
  constexpr const char *name = "sage_mgpu_attend_device";
  Embedded &embedded = Attentions::get().find(name, artifact, bytes);
  sage_call call = toCall(*attention, embedded.program.problem);
  sage_module *module = Attentions::get().load(name, embedded, /*mayLack=*/false);
  uint64_t workspaceBytes = 0;
  require(name, sage_artifact_check_call(embedded.artifact, &call));
  require(name, sage_artifact_workspace_bytes(embedded.artifact, &call, &workspaceBytes));
  void *workspace = Attentions::get().growWorkspace(currentStream, workspaceBytes);
  require(name, sage_module_launch(module, &call, currentStream, workspace, workspaceBytes));
}

void sage_mgpu_set_stream(void *stream) { currentStream = stream; }

void sage_mgpu_release_workspaces(void) { Attentions::get().releaseWorkspaces(); }

const char *sage_mgpu_attend_origin(const char *artifact, int64_t bytes) {
  constexpr const char *name = "sage_mgpu_attend_origin";
  Embedded &embedded = Attentions::get().find(name, artifact, bytes);
  (void)Attentions::get().load(name, embedded, /*mayLack=*/true);
  return Attentions::get().getOrigin(embedded);
}
