// sage-fuzz-artifact: damaged and hostile artifacts through the parser, and calls with hostile
// extents, strides and addresses through the checks and through launches on the stub driver.

#include "Campaign.h"
#include "HostileCall.h"
#include "JsonMutator.h"
#include "SampleArtifact.h"

#include "Artifact.h"
#include "sage_stub.h"

#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

namespace sage::fuzz {
namespace {

std::string corpusFiles = SAGE_FUZZ_ARTIFACT;

struct Sample {
  nlohmann::json manifest;
  std::string ptx;
};

/// The artifact's parts; its JSON is that of its manifest lines.
Sample split(const std::string &text) {
  static const std::string prefix = "// sage-manifest: ";
  std::istringstream lines(text);
  std::string json, ptx, line;
  while (std::getline(lines, line)) {
    if (line.rfind(prefix, 0) == 0)
      json += line.substr(prefix.size());
    else if (line.rfind("// sage-", 0) != 0)
      ptx += line + "\n";
  }
  return {nlohmann::json::parse(json), ptx};
}

/// An input is a line with the calls' seed, then the artifact.
class ArtifactTarget : public Target {
public:
  ArtifactTarget() {
    counters = {"parsed", "refused artifacts", "accepted calls", "refused calls", "launched"};
    samples.push_back({test::sampleManifest(), test::samplePtx()});
    std::istringstream paths(corpusFiles);
    for (std::string path; std::getline(paths, path, ',');) {
      std::ifstream file(path, std::ios::binary);
      std::ostringstream content;
      content << file.rdbuf();
      samples.push_back(split(content.str()));
    }
    sage_stub_reset();
    sage_driver_options options{SAGE_STUB_DRIVER};
    sage_status_destroy(sage_driver_open(&options, &driver));
  }
  ~ArtifactTarget() override { sage_driver_close(driver); }

  std::string generate(uint64_t seed, uint64_t index) override;
  std::string run(const std::string &input) override;

private:
  std::string damage(Random &random, std::string text) const;
  std::string callAll(Random &random, const sage_artifact *artifact);
  std::string launch(Random &random, const sage_artifact *artifact, sage_module *module);

  std::vector<Sample> samples;
  sage_driver *driver = nullptr;
};

/// Valid masks, and a kernel that takes their operands.
void addMasks(Random &random, nlohmann::json &manifest) {
  nlohmann::json &problem = manifest["problem"];
  if (random.oneIn(2)) {
    problem["mask"] = random.pick<const char *>({"window_top_left", "window_bottom_right"});
    problem["window_left"] = random.below(1000);
    if (random.oneIn(2))
      problem["sink_tokens"] = random.below(10);
  }
  if (random.oneIn(3))
    problem["softcap"] = 30;
  nlohmann::json &arguments = manifest["kernels"][0]["arguments"];
  auto addPointer = [&](const char *buffer) {
    arguments.push_back({{"kind", "pointer"}, {"buffer", buffer}});
  };
  if (random.oneIn(2)) {
    problem["bias"] = random.pick<const char *>({"f16", "bf16", "f32", "bool"});
    addPointer("bias");
    arguments.push_back({{"kind", "i64"}, {"value", "bias_h"}});
  }
  if (random.oneIn(3)) {
    problem["sinks"] = true;
    addPointer("sinks");
  }
  if (random.oneIn(3)) {
    problem["packed"] = true;
    addPointer("query_offsets");
    addPointer("key_offsets");
    arguments.push_back({{"kind", "i64"}, {"value", "S"}});
  } else if (random.oneIn(3)) {
    problem["key_lengths"] = true;
    addPointer("key_lengths");
  }
}

std::string ArtifactTarget::generate(uint64_t seed, uint64_t index) {
  Random random(seed, index);
  std::string head = std::to_string(random.next()) + "\n";
  const Sample &sample = random.pick(samples);
  if (random.oneIn(5))
    return head + damage(random, test::sealed(sample.manifest, sample.ptx));
  nlohmann::json manifest = sample.manifest;
  if (random.oneIn(2))
    addMasks(random, manifest);
  if (!random.oneIn(4))
    mutateJson(random, manifest);
  std::string text = manifest.dump(1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string ptx = sample.ptx;
  if (random.oneIn(8))
    text = damage(random, text);
  if (random.oneIn(8))
    ptx = damage(random, ptx);
  return head + test::sealedText(text, ptx);
}

/// Bytes changed, cut off, taken out or doubled.
std::string ArtifactTarget::damage(Random &random, std::string text) const {
  size_t at = random.below(text.size()), length = 1 + random.below(30);
  switch (random.below(5)) {
  case 0:
    return text.substr(0, at);
  case 1:
    return text.erase(at, length);
  case 2:
    return text.insert(at, text.substr(random.below(text.size()), length));
  case 3:
    return text.insert(at,
                       std::string(1 + random.below(100000), random.pick({'[', '{', '0', '"'})));
  default:
    text[at] = char(random.next());
    return text;
  }
}

std::string messageOf(sage_status *status, sage_status_code &code) {
  code = sage_status_get_code(status);
  std::string message = sage_status_get_message(status);
  sage_status_destroy(status);
  return message;
}

std::string ArtifactTarget::run(const std::string &input) {
  Random random(std::strtoull(input.c_str(), nullptr, 10), 0);
  std::string text = input.substr(std::min(input.find('\n'), input.size() - 1) + 1);
  sage_artifact *artifact = nullptr;
  sage_status_code code;
  std::string message = messageOf(sage_artifact_parse(text.data(), text.size(), &artifact), code);
  if (!artifact) {
    count(1);
    if (code != SAGE_INVALID_ARTIFACT && code != SAGE_INVALID_ARGUMENT)
      return "refused with code " + std::to_string(code) + ": " + message;
    return message.empty() ? "refused without a message" : "";
  }
  count(0);
  std::string wrong = callAll(random, artifact);
  sage_artifact_destroy(artifact);
  if (wrong.empty() && (sage_stub_live_objects() != 0 || sage_stub_context_depth() != 0))
    wrong = "a leak: " + std::to_string(sage_stub_live_objects()) + " objects of the driver";
  return wrong;
}

std::string ArtifactTarget::callAll(Random &random, const sage_artifact *artifact) {
  for (size_t i = 0; i <= sage_artifact_kernel_count(artifact); ++i) {
    sage_kernel_info kernel;
    sage_status_destroy(sage_artifact_kernel(artifact, i, &kernel));
  }
  sage_module *module = nullptr;
  sage_stub_reset();
  sage_stub_set_devices(1, std::atoi(sage_artifact_chip(artifact) + 3) / 10,
                        std::atoi(sage_artifact_chip(artifact) + 3) % 10);
  sage_status_code code;
  std::string message = messageOf(sage_module_load(driver, artifact, 0, nullptr, &module), code);
  if (!module && message.empty())
    return "a load fails without a message";
  std::string wrong;
  for (int i = 0; i < 8 && wrong.empty(); ++i)
    wrong = launch(random, artifact, module);
  sage_module_destroy(module);
  return wrong;
}

std::string ArtifactTarget::launch(Random &random, const sage_artifact *artifact,
                                   sage_module *module) {
  sage_program program;
  sage_artifact_program(artifact, &program);
  sage_call call = plausibleCall(random, program.problem);
  // Addresses are never read.
  auto address = [&] {
    return reinterpret_cast<void *>(uintptr_t(0x10000 + 16 * random.below(4096)));
  };
  for (sage_tensor *tensor : {&call.query, &call.key, &call.value, &call.output})
    tensor->data = random.oneIn(30) ? nullptr : address();
  if (program.problem.lse)
    call.lse = static_cast<float *>(address());
  const sage_problem &problem = program.problem;
  auto given = [&](int32_t wanted) { return (wanted != 0) != random.oneIn(30); };
  if (given(problem.has_bias))
    call.bias.data = address();
  if (given(problem.key_lengths))
    call.key_lengths = static_cast<int32_t *>(address());
  if (given(problem.sinks))
    call.sinks = static_cast<float *>(address());
  if (given(problem.packed))
    call.query_offsets = static_cast<int32_t *>(address());
  if (given(problem.packed))
    call.key_offsets = static_cast<int32_t *>(address());
  if (random.oneIn(2))
    makeHostile(random, call);
  uint64_t bytes = 0;
  sage_status_code checked, sized, launched = SAGE_OK;
  std::string check = messageOf(sage_artifact_check_call(artifact, &call), checked);
  std::string size = messageOf(sage_artifact_workspace_bytes(artifact, &call, &bytes), sized);
  if ((checked && check.empty()) || (sized && size.empty()))
    return "refused without a message";
  count(checked ? 3 : 2);
  if (bytes > uint64_t(1) << 50)
    return "a workspace of " + std::to_string(bytes) + " bytes";
  if (!module)
    return "";
  void *workspace = reinterpret_cast<void *>(uintptr_t(random.oneIn(20) ? 0x100010 : 0x100000));
  std::string message =
      messageOf(sage_module_launch(module, &call, nullptr, workspace, bytes), launched);
  if (launched && message.empty())
    return "a launch fails without a message";
  if (checked && !launched)
    return "launched although the check says: " + check;
  if (!launched)
    count(4);
  return "";
}

Target *makeTarget() { return new ArtifactTarget; }

} // namespace
} // namespace sage::fuzz

int main(int argc, char **argv) {
  using namespace sage::fuzz;
  return runCampaign(argc, argv, "sage-fuzz-artifact", ".ptx",
                     {{"--corpus", "FILE[,FILE...]: artifacts to start from", &corpusFiles}},
                     makeTarget);
}
