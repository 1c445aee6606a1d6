//===- Artifact.cpp - the container: version, checksum, manifest ----------===//
#include "Artifact.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace sage::runtime {
namespace {

constexpr std::string_view versionPrefix = "// sage-artifact: ";
constexpr std::string_view knownVersion = "3";
constexpr std::string_view checksumPrefix = "// sage-checksum: xxh3 ";
constexpr std::string_view manifestPrefix = "// sage-manifest: ";
/// Far above any real manifest; bounds what a damaged one can cost.
constexpr size_t manifestLimit = 4u << 20;

bool startsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

/// Takes the first line, without its newline, off `text`.
bool takeLine(std::string_view &text, std::string_view &line) {
  size_t end = text.find('\n');
  if (end == std::string_view::npos)
    return false;
  line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return true;
}

/// Bytes of a damaged file, fit for a message.
std::string printable(std::string_view bytes) {
  std::string result;
  for (char c : bytes.substr(0, 40))
    result += c >= ' ' && c <= '~' ? c : '?';
  return result;
}

} // namespace

std::string contentHash(std::string_view bytes) {
  XXH64_hash_t hash = XXH3_64bits(bytes.data(), bytes.size());
  std::string digits(16, '0');
  for (int i = 15; i >= 0; --i, hash >>= 4)
    digits[size_t(i)] = "0123456789abcdef"[hash & 15];
  return digits;
}

Status readFile(const std::string &path, std::string &bytes) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return failure(SAGE_IO_ERROR, "cannot open '", path, "': ", std::strerror(errno));
  std::ostringstream content;
  content << file.rdbuf();
  if (file.bad())
    return failure(SAGE_IO_ERROR, "cannot read '", path, "': ", std::strerror(errno));
  bytes = content.str();
  return {};
}

Status Artifact::parse(std::string text, Artifact &result) {
  Artifact artifact;
  artifact.text = std::move(text);
  std::string_view rest = artifact.text, line;
  if (!takeLine(rest, line) || !startsWith(line, versionPrefix))
    return invalidArtifact("the file must begin with '", versionPrefix, knownVersion,
                           "', but begins with '", printable(artifact.text), "'");
  line.remove_prefix(versionPrefix.size());
  if (line != knownVersion)
    return invalidArtifact("the artifact version must be ", knownVersion, ", but got '",
                           printable(line), "'")
        .withRemedy("use a runtime of the same release as sage-compile");

  if (!takeLine(rest, line) || !startsWith(line, checksumPrefix))
    return invalidArtifact("the second line must begin with '", checksumPrefix, "'");
  line.remove_prefix(checksumPrefix.size());
  artifact.checksum = contentHash(rest);
  if (line != artifact.checksum)
    return invalidArtifact("the checksum must be ", artifact.checksum,
                           " for this content, but the file says '", printable(line), "'")
        .withRemedy("the file was changed or cut off after it was written: "
                    "copy it again, or compile the artifact again");

  std::string json;
  while (startsWith(rest, manifestPrefix) && takeLine(rest, line)) {
    json += line.substr(manifestPrefix.size());
    if (json.size() > manifestLimit)
      return invalidArtifact("the manifest must be at most ", manifestLimit, " bytes");
  }
  if (json.empty())
    return invalidArtifact("the third line must begin with '", manifestPrefix, "'");
  SAGE_RETURN_IF_ERROR(parseManifest(json, artifact).within("manifest"));
  result = std::move(artifact);
  return {};
}

Status Artifact::load(const std::string &path, Artifact &result) {
  std::string text;
  SAGE_RETURN_IF_ERROR(readFile(path, text));
  SAGE_RETURN_IF_ERROR(parse(std::move(text), result).within(path));
  result.path = path;
  return {};
}

sage_program Artifact::program() const {
  sage_program program{problem, recipe, {}};
  program.recipe.name = recipeName.c_str();
  program.geometry = {geometry.queryBlock,     geometry.keyTile,
                      queryGroupsText.c_str(), keyGroupsText.c_str(),
                      valueOrderText.c_str(),  geometry.hasParts ? keyPartsText.c_str() : nullptr};
  return program;
}

uint32_t Argument::bytes() const {
  switch (kind) {
  case Kind::I32:
  case Kind::F32:
    return 4;
  case Kind::Pointer:
  case Kind::I64:
    return 8;
  case Kind::TensorMap:
    break;
  }
  return 128;
}

size_t Artifact::attentionKernel() const {
  size_t last = kernels.size() - 1;
  for (size_t i = 0; i < last; ++i)
    if (kernels[i].name == "attention")
      return i;
  return last;
}

} // namespace sage::runtime
