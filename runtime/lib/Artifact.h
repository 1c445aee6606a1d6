//===- Artifact.h - a parsed artifact ---------------------------*- C++ -*-===//
#ifndef SAGE_RUNTIME_LIB_ARTIFACT_H
#define SAGE_RUNTIME_LIB_ARTIFACT_H

#include "Chip.h"
#include "Program.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace sage::runtime {

/// Limits that let a launch work in fixed storage on the stack.
constexpr size_t kernelLimit = 256;
constexpr size_t argumentLimit = 128;
constexpr size_t parameterBytesLimit = 4096; // CUDA's for kernel parameters
constexpr size_t sliceLimit = 64;
constexpr size_t tensorRankLimit = 5;
constexpr uint64_t workspaceAlignment = 1024;

/// What a buffer index means: first the caller's, then the workspace slices.
enum CallerBuffer : uint32_t {
  Query,
  Key,
  Value,
  Output,
  Lse,
  Bias,
  KeyLengths,
  Sinks,
  QueryOffsets,
  KeyOffsets,
  FirstSlice
};

struct TensorMapDescription {
  enum class Element : uint8_t { U8, F16, BF16 };
  Element element = Element::U8;
  uint32_t rank = 0;
  std::array<Expression, tensorRankLimit> extents;
  std::array<Expression, tensorRankLimit - 1> strides;
  std::array<uint32_t, tensorRankLimit> box{};
  uint32_t swizzleBytes = 0;

  uint32_t elementBytes() const { return element == Element::U8 ? 1 : 2; }
};

struct Argument {
  enum class Kind : uint8_t { Pointer, I32, I64, F32, TensorMap };
  Kind kind = Kind::Pointer;
  uint32_t buffer = 0; // Pointer, TensorMap
  Expression value;    // I32, I64
  double factor = 1;   // F32: times the softmax scale
  TensorMapDescription tensorMap;

  uint32_t bytes() const;
  uint32_t alignment() const { return kind == Kind::TensorMap ? 64 : bytes(); }
};

struct Kernel {
  std::string name;
  std::array<Expression, 3> grid;
  std::array<int64_t, 3> block{};
  /// Whether it may start before the kernel in front of it ends.
  bool overlaps = false;
  /// Whether blocks take further work when they are done: no more than run at once are launched.
  bool persistent = false;
  int64_t sharedBytes = 0;
  std::vector<Argument> arguments;
};

/// Consecutive kernels that are launched in turn, `repeat` times.
struct LaunchGroup {
  Expression repeat;
  size_t first = 0, count = 0;
};

struct WorkspaceSlice {
  std::string name;
  Expression bytes;
};

class Artifact {
public:
  static Status parse(std::string text, Artifact &result);
  static Status load(const std::string &path, Artifact &result);

  /// With pointers into this artifact.
  sage_program program() const;
  /// The kernel of the attention itself: behind it are only those that finish what it leaves.
  size_t attentionKernel() const;

  std::string text; // the whole file: PTX with leading comments
  std::string path; // empty when parsed from memory
  std::string checksum;
  std::string producer;
  Chip chip;
  sage_problem problem{};
  sage_recipe recipe{}; // its name is `recipeName`
  std::string recipeName;
  Geometry geometry;
  std::string queryGroupsText, keyGroupsText, valueOrderText, keyPartsText;
  std::string schedule;
  std::vector<WorkspaceSlice> workspace;
  std::vector<Kernel> kernels;
  std::vector<LaunchGroup> launches; // in order; together all kernels
  SymbolSet usedSymbols = 0;         // by kernels and workspace
};

/// XXH3-64 as 16 hexadecimal digits.
std::string contentHash(std::string_view bytes);
Status readFile(const std::string &path, std::string &bytes);

/// Fills everything from the JSON text of the manifest.
Status parseManifest(std::string_view json, Artifact &artifact);

} // namespace sage::runtime

#endif
