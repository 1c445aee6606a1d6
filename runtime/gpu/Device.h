//===- Device.h - one GPU, its memory and its streams -----------*- C++ -*-===//
#ifndef SAGE_GPU_DEVICE_H
#define SAGE_GPU_DEVICE_H

#include "Driver.h"

#include <string>
#include <vector>

namespace sage::gpu {

using runtime::DriverApi;
using runtime::Status;
namespace cuda = runtime::cuda;

using Graph = struct GraphTag *;
using GraphExec = struct GraphExecTag *;
using GraphNode = struct GraphNodeTag *;

/// Driver calls that the runtime does not need. Null members: not in this driver.
struct GraphApi {
  cuda::Result (*beginCapture)(cuda::Stream, int mode) = nullptr;
  cuda::Result (*endCapture)(cuda::Stream, Graph *) = nullptr;
  cuda::Result (*instantiate)(GraphExec *, Graph, unsigned long long) = nullptr;
  cuda::Result (*launch)(GraphExec, cuda::Stream) = nullptr;
  cuda::Result (*nodes)(Graph, GraphNode *, size_t *) = nullptr;
  cuda::Result (*destroyGraph)(Graph) = nullptr;
  cuda::Result (*destroyExec)(GraphExec) = nullptr;

  bool available() const {
    return beginCapture && endCapture && instantiate && launch && nodes && destroyGraph &&
           destroyExec;
  }
};

/// A device whose primary context is retained. `isStub`: kernels do not run.
class Device {
public:
  Status open(const char *library, int32_t ordinal, bool isStub);

  const DriverApi &api() const { return primary.api(); }
  /// Makes the context current on the calling thread, for good.
  Status enterThread() const;
  /// Waits for copies and fills, which the driver may end later than their call.
  Status synchronize() const;
  std::string pciBusId() const;

  std::shared_ptr<runtime::Driver> driver;
  runtime::PrimaryContext primary;
  sage_device info{};
  GraphApi graphs;
  bool isStub = false;
};

/// Device memory between two guard zones of poison. On the stub, whose kernels
/// never run, an address without memory behind it.
class Buffer {
public:
  explicit Buffer(const Device &device) : device(device) {}
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() { release(); }

  /// Aligned to 1024 bytes; everything, the guards too, becomes poison.
  Status allocate(size_t bytes);
  Status poison();
  Status upload(const void *from, size_t bytes, size_t offset = 0);
  Status download(void *to, size_t bytes, size_t offset = 0) const;
  /// Whether nothing wrote outside.
  Status checkGuards(bool &intact) const;

  void *data() const { return reinterpret_cast<void *>(uintptr_t(begin)); }
  size_t bytes() const { return size; }

  /// All bits set: NaN in f16, bf16 and f32.
  static constexpr uint8_t poisonByte = 0xff;

private:
  static constexpr size_t guardBytes = 1024;
  void release();

  const Device &device;
  cuda::DevicePointer base = 0, begin = 0;
  size_t size = 0;
};

class Stream {
public:
  explicit Stream(const Device &device) : device(device) {}
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;
  ~Stream();
  /// Does not wait for the legacy default stream.
  Status create();
  Status synchronize() const;

  cuda::Stream handle = nullptr;

private:
  const Device &device;
};

/// A graph that can be launched again and again.
class ReplayGraph {
public:
  explicit ReplayGraph(const Device &device) : device(device) {}
  ReplayGraph(const ReplayGraph &) = delete;
  ReplayGraph &operator=(const ReplayGraph &) = delete;
  ~ReplayGraph();

  /// Captures what `enqueue` puts on the stream.
  template <typename Enqueue> Status capture(const Stream &stream, Enqueue enqueue) {
    constexpr int threadLocal = 1;
    SAGE_RETURN_IF_ERROR(device.api().check(device.graphs.beginCapture(stream.handle, threadLocal),
                                            "cuStreamBeginCapture"));
    Status status = enqueue();
    Status ended =
        device.api().check(device.graphs.endCapture(stream.handle, &graph), "cuStreamEndCapture");
    SAGE_RETURN_IF_ERROR(std::move(status));
    SAGE_RETURN_IF_ERROR(std::move(ended));
    return instantiate();
  }
  Status launch(const Stream &stream) const;
  size_t nodeCount = 0;

private:
  Status instantiate();

  const Device &device;
  Graph graph = nullptr;
  GraphExec exec = nullptr;
};

} // namespace sage::gpu

#endif
