//===- ManifestTest.cpp - the manifest's fields ---------------------------===//
#include "SampleArtifact.h"

#include <functional>
#include <gtest/gtest.h>
#include <utility>

using namespace sage::test;
using nlohmann::json;

namespace {

std::string errorOf(const json &manifest) {
  std::string text = sealed(manifest);
  sage_artifact *artifact = nullptr;
  std::string message = takeMessage(sage_artifact_parse(text.data(), text.size(), &artifact));
  sage_artifact_destroy(artifact);
  return message;
}

/// Calls `visit` for every field of every object below `value`.
void forEachField(const json &value, const json::json_pointer &place,
                  const std::function<void(const json::json_pointer &)> &visit) {
  if (value.is_object())
    for (auto field = value.begin(); field != value.end(); ++field) {
      visit(place / field.key());
      forEachField(*field, place / field.key(), visit);
    }
  if (value.is_array())
    for (size_t i = 0; i < value.size(); ++i)
      forEachField(value[i], place / i, visit);
}

} // namespace

TEST(Manifest, EveryFieldIsRequired) {
  json manifest = sampleManifest();
  int fields = 0;
  forEachField(manifest, json::json_pointer(), [&](const auto &place) {
    ++fields;
    json without = manifest;
    without.at(place.parent_pointer()).erase(place.back());
    EXPECT_NE(errorOf(without), "") << place;
  });
  EXPECT_GT(fields, 60);
}

TEST(Manifest, EveryFieldHasAType) {
  json manifest = sampleManifest();
  for (const json &wrong :
       {json(nullptr), json(1.5), json("no such thing"), json(true), json(json::array({1})),
        json(json::object()), json(-7), json(1e300), json(18446744073709551615u)})
    forEachField(manifest, json::json_pointer(), [&](const auto &place) {
      json changed = manifest;
      std::string name = place.back();
      changed[place] = wrong;
      bool anyText =
          name == "producer" || name == "schedule" || place.to_string() == "/recipe/name";
      bool mayFit = (anyText && wrong.is_string()) ||
                    (wrong.is_boolean() && manifest[place].is_boolean()) ||
                    ((name == "window_left" || name == "window_right" || name == "sink_tokens" ||
                      name == "bias") &&
                     wrong.is_null()) ||
                    ((name == "scale" || name == "softcap") &&
                     (wrong.is_null() || wrong.is_number_float() || wrong.is_number_unsigned())) ||
                    (name == "factor" && wrong.is_number()) ||
                    ((name == "value" || name == "bytes") && wrong == json(-7));
      if (!mayFit) {
        EXPECT_NE(errorOf(changed), "") << place << " = " << wrong;
      }
    });
}

TEST(Manifest, UnknownFieldsAreRefused) {
  json manifest = sampleManifest();
  forEachField(manifest, json::json_pointer(), [&](const auto &place) {
    json changed = manifest;
    json &object = changed[place.parent_pointer()];
    object["surprise"] = 1;
    EXPECT_NE(errorOf(changed).find("unknown field 'surprise'"), std::string::npos) << place;
  });
  manifest["notes"] = {{"anything", {1, 2, 3}}};
  EXPECT_EQ(errorOf(manifest), "");
}

TEST(Manifest, NamesTheRule) {
  // Changes, as {"place": value}, and what the error must say.
  const std::pair<const char *, const char *> cases[] = {
      {R"({"/target/chip": "sm_9"})", "must look like sm_89"},
      {R"({"/target/chip": "gfx90a"})", "must look like sm_89"},
      {R"({"/problem/scale": 0})", "scale must be positive"},
      {R"({"/problem/scale": -1})", "scale must be positive"},
      {R"({"/problem/head_dim": 0})", "head dims must be 1 to"},
      {R"({"/problem/shape": [1, 2, 3]})", "must have 5 elements"},
      {R"({"/problem/shape": [1, 3, 2, -1, -1]})", "multiple of Hkv"},
      {R"({"/problem/mask": "causal"})",
       "one of none, causal_top_left, causal_bottom_right, window_top_left, "
       "window_bottom_right, but got 'causal'"},
      {R"({"/problem/window_left": -1})", "window_left must be 0 to 1073741824, but got -1"},
      {R"({"/problem/mask": "window_top_left"})", "must come with window_left or window_right"},
      {R"({"/problem/window_right": 0})", "window_right must come with a window mask"},
      {R"({"/problem/mask": "none", "/problem/window_left": 3})", "window_left must come with"},
      {R"({"/problem/sink_tokens": 4})", "sink_tokens must come with window_left"},
      {R"({"/problem/softcap": 1e30})", "softcap must be 2^-64 to 2^64"},
      {R"({"/problem/bias": "f64"})", "one of f16, bf16, f32, bool, but got 'f64'"},
      {R"({"/problem/packed": true, "/problem/key_lengths": true})", "come without key_lengths"},
      {R"({"/problem/packed": true, "/problem/shape": [2, -1, -1, -1, -1]})", "B must be 1"},
      {R"({"/problem/lse": false})", "buffer 'lse' is named"},
      {R"({"/kernels/0/arguments/0/buffer": "bias"})", "buffer 'bias' is named"},
      {R"({"/kernels/0/arguments/0/buffer": "key_offsets"})", "buffer 'key_offsets' is named"},
      {R"({"/recipe/inner": "f16", "/recipe/pv": "e5m2"})", "inner f16 needs"},
      {R"({"/recipe/inner": "f16", "/recipe/interval": 96})", "an interval of 32 or 64"},
      {R"({"/recipe/interval": 48})", "a positive multiple of 32, but got 48"},
      {R"({"/recipe/interval": 64, "/recipe/accumulation": "single"})", "two_level accumulation"},
      {R"({"/geometry/key_tile": 0})", "must be 1 to"},
      {R"({"/geometry/value_order": 0})", "bijection on positions 0"},
      {R"({"/geometry/value_order": ["mod", "n", 16]})", "bijection on positions 16"},
      {R"({"/geometry/query_groups": "Nq"})", "unknown symbol 'Nq'"},
      {R"({"/geometry/key_groups": ["sub", "n", 100]})", "key_groups must be at least 0"},
      {R"({"/geometry/key_parts": "n"})", "unknown symbol 'n'; accepted here: B, Hq, Hkv, Nq, Nk"},
      {R"({"/geometry/key_parts": "query_b"})", "unknown symbol 'query_b'"},
      {R"({"/workspace/0/name": "query"})", "empty or taken"},
      {R"({"/workspace/0/name": "key_int8"})", "empty or taken"},
      {R"({"/kernels/0/name": "a b"})", "PTX identifier"},
      {R"({"/kernels/0/block": [1024, 2, 1]})", "at most 1024 threads"},
      {R"({"/kernels/0/arguments/0/buffer": "keys"})", "kernels[0]: arguments[0]: buffer must be"},
      {R"({"/kernels/0/arguments/0/kind": "u8"})", "one of pointer, i32, i64, f32, tensor_map"},
      {R"({"/kernels/1/arguments/0/swizzle": 48})", "swizzle must be"},
      {R"({"/kernels/1/arguments/0/box": [64, 257, 1]})", "box must be 1 to 256"},
      {R"({"/kernels/1/arguments/0/box": [128, 128, 1]})", "at most the swizzle"},
      {R"({"/kernels/1/arguments/0/strides": [64]})", "must have 2 elements"},
      {R"({"/kernels": []})", "must have 1 to 256"},
      {R"({"/kernels/0/grid": ["step", 1, 1]})", "unknown symbol 'step'"},
      {R"({"/workspace/0/bytes": "key_align"})", "unknown symbol 'key_align'"},
      {R"({"/kernels/0": {"repeat": "step", "kernels": [1]}})", "unknown symbol 'step'"},
      {R"({"/kernels/0": {"repeat": 2, "kernels": []}})", "must have 1 to 256 elements"},
      {R"({"/kernels/0": {"repeat": 2, "kernels": [1], "x": 1}})", "unknown field 'x'"},
      {R"({"/kernels/0": {"repeat": 2, "kernels": [{"repeat": 2, "kernels": []}]}})",
       "kernels[0]: kernels[0]: kernels[0].name is missing"},
  };
  for (const auto &[text, expected] : cases) {
    json manifest = sampleManifest(), changes = json::parse(text);
    for (auto change = changes.begin(); change != changes.end(); ++change)
      manifest[json::json_pointer(change.key())] = *change;
    EXPECT_NE(errorOf(manifest).find(expected), std::string::npos)
        << "wanted: " << expected << "\ngot: " << errorOf(manifest);
  }
}

TEST(Manifest, BoundsTheParameters) {
  json manifest = sampleManifest();
  json &arguments = manifest["kernels"][1]["arguments"];
  json map = arguments[0];
  for (int i = 0; i < 40; ++i)
    arguments.push_back(map);
  EXPECT_NE(errorOf(manifest).find("at most 4096 bytes"), std::string::npos);
}
