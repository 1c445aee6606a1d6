//===- CubinStore.cpp - assembled code in files ---------------------------===//
#include "CubinStore.h"

#include "JsonText.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace sage::runtime {
namespace {

namespace fs = std::filesystem;

/// First in a cache file; the cubin's hash follows, then the cubin.
constexpr std::string_view cacheMagic = "sagecub1";
constexpr size_t hashDigits = 16;

/// The text field of a sidecar, or "".
std::string fieldOf(const nlohmann::json &json, const char *name) {
  if (!json.is_object() || !json.contains(name) || !json[name].is_string())
    return {};
  return json[name].get<std::string>();
}

} // namespace

Reason checkCubin(const Artifact &artifact, ComputeCapability device, std::string_view description,
                  std::string_view cubin, const char *name) {
  nlohmann::json fields;
  if (!parseJson(description, fields).ok())
    return "the cubin's .json does not parse";
  if (fieldOf(fields, "artifact_xxh3") != artifact.checksum)
    return text("the ", name, " is of other PTX");
  if (fieldOf(fields, "cubin_xxh3") != contentHash(cubin))
    return text("the ", name, " is damaged");
  Chip chip;
  if (!Chip::parse(fieldOf(fields, "chip"), chip).ok() || !chip.cubinRunsOn(device))
    return text("the ", name, " is for another chip");
  return {};
}

Reason findCubinBeside(const Artifact &artifact, ComputeCapability device, std::string &cubin) {
  if (artifact.path.empty())
    return "the artifact came from memory";
  fs::path path = fs::path(artifact.path).replace_extension(".cubin");
  std::string description, bytes;
  if (!readFile(path.string() + ".json", description).ok() || !readFile(path.string(), bytes).ok())
    return "no cubin beside the artifact";
  Reason reason = checkCubin(artifact, device, description, bytes, "cubin beside the artifact");
  if (reason.empty())
    cubin = std::move(bytes);
  return reason;
}

CubinCache::CubinCache(std::string folderPath, const Artifact &artifact, ComputeCapability device,
                       int driverVersion)
    : folder(std::move(folderPath)) {
  path = (fs::path(folder) / text(artifact.checksum, "-", artifact.chip.name, "-cc", device.major,
                                  device.minor, "-driver", driverVersion, ".cubin"))
             .string();
}

Reason CubinCache::find(std::string &cubin) const {
  std::string bytes;
  if (!readFile(path, bytes).ok())
    return "not in the cubin cache";
  size_t header = cacheMagic.size() + hashDigits;
  if (bytes.size() < header || bytes.compare(0, cacheMagic.size(), cacheMagic))
    return "the file in the cubin cache is damaged";
  std::string content = bytes.substr(header);
  if (bytes.compare(cacheMagic.size(), hashDigits, contentHash(content)) != 0)
    return "the file in the cubin cache is damaged";
  cubin = std::move(content);
  return {};
}

Reason CubinCache::store(const std::string &cubin) const {
  std::error_code error;
  fs::create_directories(folder, error);
  // Threads and processes may store the same file at once.
  std::string temporary = text(path, ".", getpid(), ".", static_cast<const void *>(&cubin));
  {
    std::ofstream file(temporary, std::ios::binary);
    file << cacheMagic << contentHash(cubin) << cubin;
    file.close();
    if (!file) {
      fs::remove(temporary, error);
      return text("cannot write to the cubin cache '", folder, "'");
    }
  }
  fs::rename(temporary, path, error);
  if (!error)
    return {};
  fs::remove(temporary, error);
  return text("cannot write to the cubin cache '", folder, "'");
}

} // namespace sage::runtime
