// The caller's tensors of one run: files or random numbers, in the problem's layout.

#ifndef SAGE_INTERPRET_TENSORS_H
#define SAGE_INTERPRET_TENSORS_H

#include "InputDistribution.h"
#include "MaskInputs.h"
#include "sage/Dialect/SageTile/Interpreter/Interpreter.h"
#include "sage/runtime/sage.h"

#include <array>
#include <limits>
#include <string>
#include <vector>

namespace sage::interpret {

struct Tensors {
  /// NaN in either format, and in float32.
  static constexpr uint16_t poison = 0xFFFF;
  static constexpr float lsePoison = std::numeric_limits<float>::quiet_NaN();

  sage_problem problem{};
  std::array<int64_t, 5> shape{}; ///< B, Hq, Hkv, Nq, Nk
  std::vector<uint16_t> query, key, value, output;
  std::vector<float> lse;
  evaluation::MaskInputs operands;

  /// Random inputs of `shape`.
  void makeRandom(evaluation::InputDistribution distribution, uint64_t seed);
  /// Reads B×H×N×D files and takes the shape from them. Returns an empty text or an error.
  std::string read(const std::string &queryPath, const std::string &keyPath,
                   const std::string &valuePath);
  /// Fills the outputs with NaN, so that elements that nobody writes are seen.
  void poisonOutputs();
  /// B×H×N×D and B×H×N; an empty path is skipped. Returns an empty text or an error.
  std::string write(const std::string &outputPath, const std::string &lsePath) const;

  sage_call getCall(void *outputData, float *lseData);
  /// What a program's launches may name, as the interpreter takes it.
  llvm::StringMap<tile::DeviceBuffer> getBuffers();
  /// The symbols of the expressions of a program with that description, for tensors without gaps.
  tile::ProblemInstance getInstance(mlir::DictionaryAttr description);
};

} // namespace sage::interpret

#endif // SAGE_INTERPRET_TENSORS_H
