//===- sage.hpp - C++17 over the C API, header only -------------*- C++ -*-===//
// Owners for the handles of sage.h, and exceptions for its statuses. What the
// functions mean is said there.
//===----------------------------------------------------------------------===//
#ifndef SAGE_RUNTIME_SAGE_HPP
#define SAGE_RUNTIME_SAGE_HPP

#include "sage/runtime/sage.h"

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace sage {

/// A failed call: what() is the message, followed by the remedy.
class Error : public std::runtime_error {
public:
  Error(sage_status_code code, const std::string &message, std::string remedy)
      : std::runtime_error(remedy.empty() ? message : message + " (" + remedy + ")"),
        errorCode(code), remedyText(std::move(remedy)) {}

  sage_status_code code() const noexcept { return errorCode; }
  const std::string &remedy() const noexcept { return remedyText; }

private:
  sage_status_code errorCode;
  std::string remedyText;
};

/// Throws what `status` says, and gives it back.
inline void throwIfFailed(sage_status *status) {
  if (!status)
    return;
  std::unique_ptr<sage_status, decltype(&sage_status_destroy)> owner(status, sage_status_destroy);
  throw Error(sage_status_get_code(status), sage_status_get_message(status),
              sage_status_get_remedy(status));
}

namespace detail {
template <typename Handle, void (*destroy)(Handle *)> struct Deleter {
  void operator()(Handle *handle) const noexcept { destroy(handle); }
};
template <typename Handle, void (*destroy)(Handle *)>
using Owner = std::unique_ptr<Handle, Deleter<Handle, destroy>>;
} // namespace detail

/// Movable; const functions may be called by many threads.
class Artifact {
public:
  static Artifact parse(std::string_view text) {
    sage_artifact *handle;
    throwIfFailed(sage_artifact_parse(text.data(), text.size(), &handle));
    return Artifact(handle);
  }
  static Artifact load(const std::string &path) {
    sage_artifact *handle;
    throwIfFailed(sage_artifact_load(path.c_str(), &handle));
    return Artifact(handle);
  }

  /// Its texts live as long as the artifact.
  sage_program program() const {
    sage_program program;
    sage_artifact_program(get(), &program);
    return program;
  }
  std::string producer() const { return sage_artifact_producer(get()); }
  std::string chip() const { return sage_artifact_chip(get()); }
  std::string checksum() const { return sage_artifact_checksum(get()); }
  std::vector<sage_kernel_info> kernels() const {
    std::vector<sage_kernel_info> kernels(sage_artifact_kernel_count(get()));
    for (size_t i = 0; i < kernels.size(); ++i)
      throwIfFailed(sage_artifact_kernel(get(), i, &kernels[i]));
    return kernels;
  }
  void check(const sage_call &call) const { throwIfFailed(sage_artifact_check_call(get(), &call)); }
  uint64_t workspaceBytes(const sage_call &call) const {
    uint64_t bytes;
    throwIfFailed(sage_artifact_workspace_bytes(get(), &call, &bytes));
    return bytes;
  }
  const sage_artifact *get() const { return owner.get(); }

private:
  explicit Artifact(sage_artifact *handle) : owner(handle) {}
  detail::Owner<sage_artifact, sage_artifact_destroy> owner;
};

class Driver {
public:
  /// An empty path means libcuda.so.1.
  explicit Driver(const std::string &library = {}) {
    sage_driver_options options{library.empty() ? nullptr : library.c_str()};
    sage_driver *handle;
    throwIfFailed(sage_driver_open(&options, &handle));
    owner.reset(handle);
  }
  int32_t version() const { return sage_driver_version(get()); }
  std::vector<sage_device> devices() const {
    std::vector<sage_device> devices(size_t(sage_driver_device_count(get())));
    for (size_t i = 0; i < devices.size(); ++i)
      throwIfFailed(sage_driver_device(get(), int32_t(i), &devices[i]));
    return devices;
  }
  sage_driver *get() const { return owner.get(); }

private:
  detail::Owner<sage_driver, sage_driver_close> owner;
};

class Module {
public:
  Module(const Driver &driver, const Artifact &artifact, int32_t device,
         const std::string &cacheDir = {}) {
    sage_module_options options{};
    options.cache_dir = cacheDir.empty() ? nullptr : cacheDir.c_str();
    sage_module *handle;
    throwIfFailed(sage_module_load(driver.get(), artifact.get(), device, &options, &handle));
    owner.reset(handle);
  }
  std::string origin() const { return sage_module_origin(owner.get()); }
  /// Enqueues on `stream`; neither allocates nor waits.
  void launch(const sage_call &call, void *stream, void *workspace, uint64_t workspaceBytes) const {
    throwIfFailed(sage_module_launch(owner.get(), &call, stream, workspace, workspaceBytes));
  }
  sage_module *get() const { return owner.get(); }

private:
  detail::Owner<sage_module, sage_module_destroy> owner;
};

/// A named recipe ("sage2-8b", …), for the CPU reference.
inline sage_program programNamed(const std::string &name, sage_fragment fragment) {
  sage_program program;
  throwIfFailed(sage_program_named(name.c_str(), fragment, &program));
  return program;
}

/// A call, and the problem that it is one of.
struct Entry {
  sage_problem problem;
  sage_call call;
};

/// What a batch entry with a key length, or a packed sequence, means.
inline Entry callEntry(const sage_problem &problem, const sage_call &call, int64_t entry) {
  Entry result;
  throwIfFailed(sage_call_entry(&problem, &call, entry, &result.problem, &result.call));
  return result;
}

/// The CPU reference, on host tensors.
inline void runReference(const sage_program &program, const sage_call &call,
                         const sage_reference_options &options = {},
                         const sage_reference_intermediates &intermediates = {}) {
  throwIfFailed(sage_reference_run(&program, &call, &options, &intermediates));
}

/// Attention in float64, on host tensors.
inline void runExact(const sage_problem &problem, const sage_call &call, double *output,
                     double *lse, const sage_reference_options &options = {}) {
  throwIfFailed(sage_exact_run(&problem, &call, output, lse, &options));
}

} // namespace sage

#endif
