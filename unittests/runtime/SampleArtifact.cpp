//===- SampleArtifact.cpp - artifacts and tensors for the tests -----------===//
#include "SampleArtifact.h"

#include "Artifact.h"
#include "HostTensor.h"

namespace sage::test {

nlohmann::json sampleManifest() {
  return nlohmann::json::parse(R"json({
    "producer": "test", "target": {"chip": "sm_90a"},
    "problem": {"head_dim": 64, "value_head_dim": 64, "element_type": "bf16",
      "layout": "head_major", "mask": "causal_bottom_right", "scale": 0.25,
      "window_left": null, "window_right": null, "sink_tokens": null, "softcap": null,
      "bias": null, "key_lengths": false, "sinks": false, "packed": false, "lse": true, "shape": [-1, -1, -1, -1, -1]},
    "recipe": {"name": "sage2-8b", "qk": "int8", "granularity": "per_thread",
      "smooth_q": false, "smooth_k": true, "smooth_v": false, "pv": "e4m3",
      "accumulation": "two_level", "inner": "f32", "interval": 0, "row_sum": "float", "rotate": "none", "range": "full"},
    "geometry": {"query_block": 128, "key_tile": 128,
      "query_groups": ["add", ["mul", ["floordiv", "n", 16], 8], ["mod", "n", 8]],
      "key_groups": ["add", ["mul", ["floordiv", "n", 128], 4],
                     ["floordiv", ["mod", "n", 8], 2]],
      "value_order": ["add", ["mul", ["floordiv", "n", 16], 16],
        ["add", ["mul", 8, ["floordiv", ["mod", "n", 4], 2]],
         ["add", ["mul", 2, ["floordiv", ["mod", "n", 16], 4]],
          ["mod", "n", 2]]]]},
    "schedule": "none",
    "workspace": [
      {"name": "key_mean", "bytes": ["mul", ["mul", "B", "Hkv"], 256]},
      {"name": "key_int8", "bytes": ["mul", ["mul", ["mul", "B", "Hkv"], "Nk"], 64]}],
    "kernels": [
      {"name": "sage_prepare", "grid": [["ceildiv", "Nk", 128], "Hkv", "B"],
       "block": [128, 1, 1], "shared_bytes": 0, "arguments": [
         {"kind": "pointer", "buffer": "key"},
         {"kind": "pointer", "buffer": "key_mean"},
         {"kind": "pointer", "buffer": "key_int8"},
         {"kind": "i32", "value": "Nk"},
         {"kind": "i64", "value": "key_n"}, {"kind": "i64", "value": "key_h"},
         {"kind": "i64", "value": "key_b"}]},
      {"name": "sage_attend", "grid": [["ceildiv", "Nq", 128], "Hq", "B"],
       "block": [384, 1, 1], "shared_bytes": 100000, "arguments": [
         {"kind": "tensor_map", "buffer": "key_int8", "element": "u8",
          "extents": [64, ["max", "Nk", 1], ["mul", "B", "Hkv"]],
          "strides": [64, ["mul", ["max", "Nk", 1], 64]],
          "box": [64, 128, 1], "swizzle": 64},
         {"kind": "pointer", "buffer": "query"},
         {"kind": "i64", "value": "query_n"}, {"kind": "i64", "value": "query_h"},
         {"kind": "i64", "value": "query_b"},
         {"kind": "f32", "symbol": "scale", "factor": 1.4426950408889634},
         {"kind": "pointer", "buffer": "value"},
         {"kind": "pointer", "buffer": "output"},
         {"kind": "i64", "value": "output_n"}, {"kind": "i64", "value": "output_h"},
         {"kind": "i64", "value": "output_b"},
         {"kind": "pointer", "buffer": "lse"}]}]
  })json");
}

std::string samplePtx() {
  return R"(.version 8.6
.target sm_90a
.address_size 64
.visible .entry sage_prepare(.param .u64 a, .param .u64 b, .param .u64 c,
  .param .u32 d, .param .u64 e, .param .u64 f, .param .u64 g) { ret; }
.visible .entry sage_attend(.param .align 64 .b8 map[128], .param .u64 a,
  .param .u64 b, .param .u64 c, .param .u64 d, .param .f32 e, .param .u64 f,
  .param .u64 g, .param .u64 h, .param .u64 i, .param .u64 j, .param .u64 k
) { ret; }
)";
}

std::string sealedText(const std::string &manifest, const std::string &ptx) {
  std::string body;
  std::istringstream lines(manifest);
  for (std::string line; std::getline(lines, line);)
    body += "// sage-manifest: " + line + "\n";
  body += ptx;
  return "// sage-artifact: 3\n// sage-checksum: xxh3 " + runtime::contentHash(body) + "\n" + body;
}

std::string sealed(const nlohmann::json &manifest, const std::string &ptx) {
  return sealedText(manifest.dump(1), ptx);
}

std::string takeMessage(sage_status *status, sage_status_code *code) {
  std::string message = sage_status_get_message(status);
  if (code)
    *code = sage_status_get_code(status);
  sage_status_destroy(status);
  return message;
}

HostCall::HostCall(const sage_problem &problem, int64_t batch, int64_t queryHeads, int64_t keyHeads,
                   int64_t queries, int64_t keys, evaluation::InputDistribution inputs,
                   uint64_t seed)
    : problem(problem) {
  using evaluation::InputTensor;
  auto make = [&](InputTensor tensor, int64_t heads, int64_t tokens, int64_t dims) {
    return evaluation::makeInput(inputs, seed, tensor, problem.element_type, batch, heads, tokens,
                                 dims);
  };
  query = make(InputTensor::Query, queryHeads, queries, problem.head_dim);
  key = make(InputTensor::Key, keyHeads, keys, problem.head_dim);
  value = make(InputTensor::Value, keyHeads, keys, problem.value_head_dim);
  output.assign(size_t(batch * queryHeads * queries * problem.value_head_dim), 0x7fff);
  lse.assign(size_t(batch * queryHeads * queries), 12345.0f);
  auto dense = [&](std::vector<uint16_t> &data, int64_t heads, int64_t tokens, int64_t dims) {
    return sage_tensor_dense(data.data(), SAGE_HEAD_MAJOR, problem.element_type, batch, heads,
                             tokens, dims);
  };
  call = {dense(query, queryHeads, queries, problem.head_dim),
          dense(key, keyHeads, keys, problem.head_dim),
          dense(value, keyHeads, keys, problem.value_head_dim),
          dense(output, queryHeads, queries, problem.value_head_dim),
          lse.data(),
          {},
          nullptr,
          nullptr,
          nullptr,
          nullptr,
          0};
}

std::vector<double> HostCall::outputs() const {
  std::vector<double> result;
  for (uint16_t bits : output)
    result.push_back(runtime::decodeElement(problem.element_type, bits));
  return result;
}

} // namespace sage::test
