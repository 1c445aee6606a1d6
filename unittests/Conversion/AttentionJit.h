// Compiles a sage.attention for the CPU and runs it, together with what it computes on its way.

#ifndef SAGE_UNITTESTS_CONVERSION_ATTENTIONJIT_H
#define SAGE_UNITTESTS_CONVERSION_ATTENTIONJIT_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "sage/Dialect/Sage/IR/SageAttributes.h"
#include "sage/ExecutionEngine/CpuJit.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sage::test {

using Buffer = HostBuffer;

/// An operand besides Q, K and V: `name` in the op's text, and the extents and element type of its
/// tensor.
struct ExtraOperand {
  std::string name;
  std::vector<int64_t> extents;
  std::string element;
};

/// One attention: extents, -1 in the types where `isDynamic`, and the text of its attributes.
struct AttentionText {
  int64_t batch, queryHeads, keyHeads, queries, keys, headDim, valueHeadDim;
  std::string recipe, mask, family;
  bool isDynamic = false, isTokenMajor = false, isBF16 = false, isPacked = false;
  /// In the order of the op's operands.
  std::vector<ExtraOperand> extras = {};
  /// More attributes, each with a comma in front.
  std::string attributes = {};

  /// The extents of a 16-bit tensor in memory order.
  std::vector<int64_t> orderExtents(int64_t heads, int64_t tokens, int64_t dims) const;
  bool hasLengths() const;
  /// A function @run of memrefs Q, K, V, O, LSE and the extra operands.
  std::string print() const;
};

/// The operands of the quantized attention, by name: "query", "query_scales", "key_mean", ….
using Intermediates = std::map<std::string, Buffer>;

class AttentionJit {
public:
  /// Reports what went wrong through GoogleTest; isValid() is false then.
  explicit AttentionJit(const AttentionText &text);
  ~AttentionJit();

  bool isValid() const { return jit != nullptr; }
  /// The recipe that the text names.
  RecipeAttr getRecipe() const { return recipe; }
  /// Runs @run; the intermediates are those of the recipe, and none where there are lengths.
  void run(Buffer &query, Buffer &key, Buffer &value, Buffer &output, Buffer &lse,
           Intermediates &intermediates, std::vector<Buffer> extras = {});

private:
  struct Sink {
    std::string name;
    mlir::RankedTensorType type;
  };

  bool lower(mlir::ModuleOp module);
  void addSinks(mlir::ModuleOp module);

  AttentionText text;
  RecipeAttr recipe;
  std::unique_ptr<mlir::MLIRContext> context;
  std::unique_ptr<CpuJit> jit;
  std::vector<Sink> sinks;
};

} // namespace sage::test

#endif // SAGE_UNITTESTS_CONVERSION_ATTENTIONJIT_H
