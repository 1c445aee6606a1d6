// Runs host programs that passes of MLIR compiled, on a GPU, and compares O and the LSE with the
// CPU reference. Without arguments; exit status 0 if all agree, 1 if not. --launch-only leaves the
// comparison out, for a driver that runs no kernels.

#include "Accuracy.h"
#include "FloatFormats.h"
#include "InputDistribution.h"
#include "sage/runtime/sage.h"
#include "sage_mgpu.h"

#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

namespace {

/// As MLIR's C interface passes a memref.
template <size_t rank> struct MemRef {
  void *allocated, *aligned;
  int64_t offset;
  std::array<int64_t, rank> extents, strides;
};

template <size_t rank> MemRef<rank> makeDense(void *data, std::array<int64_t, rank> extents) {
  MemRef<rank> memref{data, data, 0, extents, {}};
  int64_t stride = 1;
  for (size_t axis = rank; axis-- > 0; stride *= extents[axis])
    memref.strides[axis] = stride;
  return memref;
}

} // namespace

extern "C" {
#define SAGE_DECLARE_PROGRAM(name)                                                                 \
  void _mlir_ciface_##name(MemRef<4> *, MemRef<4> *, MemRef<4> *, MemRef<4> *, MemRef<3> *);       \
  int64_t _mlir_ciface_##name##_attention_workspace_bytes(MemRef<4> *, MemRef<4> *, MemRef<4> *,   \
                                                          MemRef<4> *, MemRef<3> *);               \
  void _mlir_ciface_##name##_attention(MemRef<4> *, MemRef<4> *, MemRef<4> *, MemRef<4> *,         \
                                       MemRef<3> *, MemRef<1> *, void *stream);
SAGE_DECLARE_PROGRAM(ada)
SAGE_DECLARE_PROGRAM(hopper)
extern const char _binary_ada_ptx_start[], _binary_ada_ptx_end[];
extern const char _binary_hopper_ptx_start[], _binary_hopper_ptx_end[];
}

namespace {

struct Program {
  const char *name, *artifactBegin, *artifactEnd;
  decltype(&_mlir_ciface_ada) callOnTensors;
  decltype(&_mlir_ciface_ada_attention_workspace_bytes) workspaceBytes;
  decltype(&_mlir_ciface_ada_attention) run;
};

constexpr Program programs[] = {
    {"ada", _binary_ada_ptx_start, _binary_ada_ptx_end, _mlir_ciface_ada,
     _mlir_ciface_ada_attention_workspace_bytes, _mlir_ciface_ada_attention},
    {"hopper", _binary_hopper_ptx_start, _binary_hopper_ptx_end, _mlir_ciface_hopper,
     _mlir_ciface_hopper_attention_workspace_bytes, _mlir_ciface_hopper_attention}};

// The kernels' P may fall on the other side of a rounding to e4m3 than the reference's, and their
// sums have 22 bits: three times the largest relative L1 that the GPU suite saw on an H100. The LSE
// as in that suite, relative where it is above 1.
constexpr double outputTolerance = 2e-3, lseTolerance = 1e-3;

using Shape = std::array<int64_t, 5>; // B, Hq, Hkv, Nq, Nk
constexpr int64_t headDim = 128;

/// Device memory for the elements of `host`, which come back with `get`.
template <typename T> class DeviceArray {
public:
  DeviceArray(const std::vector<T> &host, void *stream)
      : bytes(host.size() * sizeof(T)), stream(stream), memory(mgpuMemAlloc(bytes, stream, false)) {
    mgpuMemcpy(memory, const_cast<T *>(host.data()), bytes, stream);
  }
  ~DeviceArray() { mgpuMemFree(memory, stream); }
  DeviceArray(const DeviceArray &) = delete;
  void *data() const { return memory; }
  std::vector<T> get() const {
    std::vector<T> host(bytes / sizeof(T));
    mgpuMemcpy(host.data(), memory, bytes, stream);
    mgpuStreamSynchronize(stream);
    return host;
  }

private:
  size_t bytes;
  void *stream, *memory;
};

struct Case {
  Shape shape;
  std::vector<uint16_t> query, key, value, output;
  std::vector<float> lse;

  explicit Case(Shape shape) : shape(shape) {
    auto make = [&](sage::evaluation::InputTensor tensor, int64_t heads, int64_t tokens) {
      return sage::evaluation::makeInput(sage::evaluation::InputDistribution::ChannelBias,
                                         /*seed=*/5, tensor, SAGE_F16, shape[0], heads, tokens,
                                         headDim);
    };
    query = make(sage::evaluation::InputTensor::Query, shape[1], shape[3]);
    key = make(sage::evaluation::InputTensor::Key, shape[2], shape[4]);
    value = make(sage::evaluation::InputTensor::Value, shape[2], shape[4]);
    poison();
  }

  /// NaN where nobody writes.
  void poison() {
    output.assign(size_t(shape[0] * shape[1] * shape[3] * headDim), 0xffff);
    lse.assign(size_t(shape[0] * shape[1] * shape[3]), std::nanf(""));
  }
};

/// The reference's results, in `tested`'s outputs; false with a message if it fails.
bool runReference(Case &tested, const Program &of) {
  sage_artifact *artifact = nullptr;
  sage_status *status =
      sage_artifact_parse(of.artifactBegin, size_t(of.artifactEnd - of.artifactBegin), &artifact);
  sage_program program{};
  if (!status)
    sage_artifact_program(artifact, &program);
  auto dense = [&](std::vector<uint16_t> &data, int64_t heads, int64_t tokens) {
    return sage_tensor_dense(data.data(), SAGE_HEAD_MAJOR, SAGE_F16, tested.shape[0], heads, tokens,
                             headDim);
  };
  sage_call call{};
  call.query = dense(tested.query, tested.shape[1], tested.shape[3]);
  call.key = dense(tested.key, tested.shape[2], tested.shape[4]);
  call.value = dense(tested.value, tested.shape[2], tested.shape[4]);
  call.output = dense(tested.output, tested.shape[1], tested.shape[3]);
  call.lse = tested.lse.data();
  if (!status)
    status = sage_reference_run(&program, &call, nullptr, nullptr);
  sage_artifact_destroy(artifact);
  if (!status)
    return true;
  std::printf("FAIL the reference: %s\n", sage_status_get_message(status));
  sage_status_destroy(status);
  return false;
}

/// On the caller's stream and workspace, or, `onTensors`, through the function that had the
/// attention.
void runProgram(const Program &program, Case &tested, bool onTensors) {
  const Shape &s = tested.shape;
  void *stream = mgpuStreamCreate();
  {
    DeviceArray<uint16_t> query(tested.query, stream), key(tested.key, stream),
        value(tested.value, stream), output(tested.output, stream);
    DeviceArray<float> lse(tested.lse, stream);
    MemRef<4> q = makeDense<4>(query.data(), {s[0], s[1], s[3], headDim});
    MemRef<4> k = makeDense<4>(key.data(), {s[0], s[2], s[4], headDim});
    MemRef<4> v = makeDense<4>(value.data(), {s[0], s[2], s[4], headDim});
    MemRef<4> o = makeDense<4>(output.data(), {s[0], s[1], s[3], headDim});
    MemRef<3> l = makeDense<3>(lse.data(), {s[0], s[1], s[3]});
    // The function uses a stream of its own.
    mgpuStreamSynchronize(stream);
    if (onTensors) {
      program.callOnTensors(&q, &k, &v, &o, &l);
    } else {
      int64_t bytes = program.workspaceBytes(&q, &k, &v, &o, &l);
      DeviceArray<uint8_t> workspace(std::vector<uint8_t>(size_t(bytes), 0xff), stream);
      MemRef<1> w = makeDense<1>(workspace.data(), {bytes});
      program.run(&q, &k, &v, &o, &l, &w, stream);
      mgpuStreamSynchronize(stream);
    }
    tested.output = output.get();
    tested.lse = lse.get();
  }
  mgpuStreamDestroy(stream);
}

bool agree(const Case &tested, const Case &reference) {
  auto toDouble = [](const std::vector<uint16_t> &bits) {
    std::vector<double> values;
    for (uint16_t each : bits)
      values.push_back(sage::runtime::f16ToFloat(each));
    return values;
  };
  sage::evaluation::Accuracy output =
      sage::evaluation::compare(toDouble(tested.output), toDouble(reference.output));
  double lse = 0;
  for (size_t i = 0; i < tested.lse.size(); ++i) {
    double value = tested.lse[i], expected = reference.lse[i];
    // Infinities are equal where no key is visible.
    double error =
        value == expected ? 0 : std::fabs(value - expected) / std::fmax(1, std::fabs(expected));
    if (std::isnan(error) || error > lse)
      lse = error;
    if (std::isnan(lse))
      break;
  }
  std::printf(" O relative L1 %.2e maximum %.2e mismatches %lld LSE %.2e", output.relativeL1,
              output.maximum, static_cast<long long>(output.mismatches), lse);
  return output.mismatches == 0 && output.relativeL1 <= outputTolerance && lse <= lseTolerance;
}

} // namespace

int main(int argc, char **argv) {
  bool compares = argc != 2 || std::strcmp(argv[1], "--launch-only") != 0;
  if (argc > 2 || (argc == 2 && compares)) {
    std::fprintf(stderr, "usage: host-program-test [--launch-only]\n");
    return 2;
  }
  constexpr Shape shapes[] = {{1, 2, 1, 70, 150},  {2, 4, 2, 300, 1000}, {1, 3, 3, 1, 4097},
                              {1, 2, 2, 513, 129}, {1, 2, 1, 65, 0},     {1, 2, 1, 0, 65},
                              {3, 1, 1, 1, 1}};
  int passed = 0, failed = 0;
  for (const Program &program : programs)
    for (const Shape &shape : shapes) {
      Case tested(shape), reference(shape);
      bool hasReference = !compares || runReference(reference, program);
      for (bool onTensors : {false, true}) {
        tested.poison();
        runProgram(program, tested, onTensors);
        std::printf("%s %s B %lld Hq %lld Hkv %lld Nq %lld Nk %lld:", program.name,
                    onTensors ? "by a function on tensors" : "on a stream", (long long)shape[0],
                    (long long)shape[1], (long long)shape[2], (long long)shape[3],
                    (long long)shape[4]);
        bool ok = hasReference && (!compares || agree(tested, reference));
        std::printf(" %s\n", ok ? "ok" : "FAIL");
        ++(ok ? passed : failed);
      }
    }
  std::printf("host-program-test: %d passed, %d failed\n", passed, failed);
  return failed ? 1 : 0;
}
