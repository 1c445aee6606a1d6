// sage-fuzz-runtime: random calls of the CPU reference on tiny shapes. A call is refused with a
// status that says why, or writes its outputs and nothing else, the same bits for every stride.

#include "Campaign.h"
#include "HostileCall.h"
#include "RandomProgram.h"

#include <cstring>
#include <memory>
#include <vector>

namespace sage::fuzz {
namespace {

constexpr uint16_t canary = 0x5ca7;

/// Storage of exactly a tensor's span, on the heap, so that a sanitizer sees the first byte
/// outside.
class Storage {
public:
  explicit Storage(sage_tensor &tensor)
      : elements(size_t(spanOf(tensor))), data(new uint16_t[elements]) {
    std::fill_n(data.get(), elements, canary);
    tensor.data = elements ? data.get() : nullptr;
  }
  size_t elements;
  std::unique_ptr<uint16_t[]> data;
};

/// A copy on the heap of exactly its size.
template <typename T> std::unique_ptr<T[]> exactCopy(const std::vector<T> &elements) {
  std::unique_ptr<T[]> copy(new T[elements.size()]);
  std::copy(elements.begin(), elements.end(), copy.get());
  return copy;
}

/// What a call has besides tensors of 16-bit elements. Any bits are a bias, NaN and infinities too.
class MaskStorage {
public:
  MaskStorage(Random &random, const sage_problem &problem, sage_call &call) {
    constexpr int64_t limit = 1000;
    // A hostile problem has any number in the enumeration.
    int biasType;
    static_assert(sizeof(biasType) == sizeof(problem.bias_type));
    std::memcpy(&biasType, &problem.bias_type, sizeof(biasType));
    int64_t batch = call.query.extents[0], heads = call.query.extents[1];
    if (problem.has_bias && spanOf(call.bias) >= 0) {
      size_t elementBytes = biasType == SAGE_F32    ? 4
                            : biasType == SAGE_BOOL ? 1
                                                    : 2,
             bytes = size_t(spanOf(call.bias)) * elementBytes;
      bias.reset(new uint8_t[bytes]);
      for (size_t i = 0; i < bytes; ++i)
        bias[i] = uint8_t(random.next() & (biasType == SAGE_BOOL ? 1 : 0xff));
      call.bias.data = bytes ? bias.get() : nullptr;
    }
    if (problem.key_lengths && batch >= 0 && batch < limit)
      call.key_lengths = keep(lengths, randomLengths(random, batch, call.key.extents[2]));
    if (problem.packed && call.sequences >= 0 && call.sequences < limit) {
      call.query_offsets =
          keep(queryOffsets, randomOffsets(random, call.sequences, call.query.extents[2]));
      call.key_offsets =
          keep(keyOffsets, randomOffsets(random, call.sequences, call.key.extents[2]));
    }
    if (problem.sinks && heads < limit) {
      std::vector<float> values;
      for (int64_t h = 0; h < heads; ++h)
        values.push_back(
            random.pick({0.0f, 1.0f, -3.0f, 1e30f, -__builtin_inff(), __builtin_nanf("")}));
      call.sinks = keep(sinks, values);
    }
  }

private:
  template <typename T>
  static const T *keep(std::unique_ptr<T[]> &storage, const std::vector<T> &elements) {
    storage = exactCopy(elements);
    return storage.get();
  }

  std::unique_ptr<uint8_t[]> bias;
  std::unique_ptr<int32_t[]> lengths, queryOffsets, keyOffsets;
  std::unique_ptr<float[]> sinks;
};

size_t offsetOf(const sage_tensor &tensor, size_t element) {
  size_t offset = 0;
  for (int axis = 3; axis >= 0; --axis) {
    size_t extent = size_t(tensor.extents[axis]);
    offset += element % extent * size_t(tensor.strides[axis]);
    element /= extent;
  }
  return offset;
}

size_t elementsOf(const sage_tensor &tensor) {
  size_t count = 1;
  for (int64_t extent : tensor.extents)
    count *= size_t(extent);
  return count;
}

/// Finite numbers of both signs, in either format.
uint16_t randomElement(Random &random) { return uint16_t(random.next() & 0x8fff) | 0x3000; }

class RuntimeTarget : public Target {
public:
  RuntimeTarget() { counters = {"ran", "refused", "too large to run"}; }

  std::string generate(uint64_t seed, uint64_t index) override {
    Random random(seed, index);
    return std::to_string(random.next()) + "\n";
  }
  std::string run(const std::string &input) override;

private:
  std::string runBoth(Random &random, const sage_program &program, const sage_call &call);
};

/// Empty if the status is success or a refusal that says why.
std::string checkStatus(sage_status *status, bool &ok) {
  ok = !status;
  std::string wrong;
  sage_status_code code = sage_status_get_code(status);
  if (status && *sage_status_get_message(status) == '\0')
    wrong = "a status without a message";
  if (status && code != SAGE_INVALID_ARGUMENT && code != SAGE_INVALID_ARTIFACT &&
      code != SAGE_UNSUPPORTED)
    wrong = "status code " + std::to_string(code) + ": " + sage_status_get_message(status);
  sage_status_destroy(status);
  return wrong;
}

std::string RuntimeTarget::run(const std::string &input) {
  Random random(std::strtoull(input.c_str(), nullptr, 10), 0);
  sage_program program = randomProgram(random);
  sage_call call = plausibleCall(random, program.problem);
  if (random.oneIn(3))
    makeHostile(random, program);
  if (random.oneIn(3))
    makeHostile(random, call);
  MaskStorage masks(random, program.problem, call);
  bool ok = true;
  sage_reference_sizes sizes;
  // Problems with lengths have no sizes; their entries do.
  if (!program.problem.key_lengths && !program.problem.packed)
    if (std::string wrong = checkStatus(sage_reference_get_sizes(&program, &call, &sizes), ok);
        !wrong.empty())
      return wrong;
  bool small = true;
  for (const sage_tensor *tensor : {&call.query, &call.key, &call.value, &call.output, &call.bias})
    small &= spanOf(*tensor) >= 0;
  int64_t rows = 1;
  for (size_t axis = 0; axis < 3 && small; ++axis)
    small &=
        call.query.extents[axis] <= (1 << 16) && (rows *= call.query.extents[axis]) <= (1 << 16);
  if (!ok || !small) {
    count(ok ? 2 : 1);
    return "";
  }
  return runBoth(random, program, call);
}

std::string RuntimeTarget::runBoth(Random &random, const sage_program &program,
                                   const sage_call &given) {
  sage_call call = given, dense = given;
  std::vector<Storage> storage;
  storage.reserve(8);
  sage_tensor *tensors[] = {&call.query, &call.key, &call.value, &call.output};
  sage_tensor *denseTensors[] = {&dense.query, &dense.key, &dense.value, &dense.output};
  for (size_t i = 0; i < 4; ++i) {
    sage_tensor &from = *tensors[i], &to = *denseTensors[i];
    to = from; // with an element type that may be any number
    for (size_t axis = 4, stride = 1; axis-- > 0; stride *= size_t(from.extents[axis]))
      to.strides[axis] = int64_t(stride);
    storage.emplace_back(from);
    storage.emplace_back(to);
    if (i == 3 || storage.back().elements == 0)
      continue;
    for (size_t e = 0; e < storage[2 * i].elements; ++e)
      storage[2 * i].data[e] = randomElement(random);
    for (size_t e = 0; e < elementsOf(from); ++e)
      storage[2 * i + 1].data[e] = storage[2 * i].data[offsetOf(from, e)];
  }
  size_t rows = size_t(given.query.extents[0] * given.query.extents[1] * given.query.extents[2]);
  auto lse = std::make_unique<float[]>(rows), denseLse = std::make_unique<float[]>(rows);
  call.lse = random.oneIn(4) ? nullptr : lse.get();
  dense.lse = denseLse.get();
  sage_reference_options options{};
  options.threads = 1;
  options.tensor_core_accumulator = int32_t(random.below(2));
  bool ok, denseOk;
  std::string wrong = checkStatus(sage_reference_run(&program, &call, &options, nullptr), ok);
  count(ok ? 0 : 1);
  if (!ok || !wrong.empty())
    return wrong;
  wrong = checkStatus(sage_reference_run(&program, &dense, &options, nullptr), denseOk);
  if (!denseOk)
    return "refused when dense";
  Storage &output = storage[6], &denseOutput = storage[7];
  std::vector<bool> written(output.elements);
  for (size_t e = 0; output.elements && e < elementsOf(given.output); ++e) {
    size_t at = offsetOf(given.output, e);
    written[at] = true;
    if (output.data[at] != denseOutput.data[e])
      return "the output depends on strides";
  }
  for (size_t e = 0; e < output.elements; ++e)
    if (!written[e] && output.data[e] != canary)
      return "written outside the output";
  if (call.lse && std::memcmp(lse.get(), denseLse.get(), rows * sizeof(float)) != 0)
    return "the log-sum-exp depends on strides";
  return wrong;
}

Target *makeTarget() { return new RuntimeTarget; }

} // namespace
} // namespace sage::fuzz

int main(int argc, char **argv) {
  return sage::fuzz::runCampaign(argc, argv, "sage-fuzz-runtime", ".txt", {},
                                 sage::fuzz::makeTarget);
}
