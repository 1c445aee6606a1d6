#include "Reference.h"

#include "Accuracy.h"
#include "FloatFormats.h"
#include "sage/Dialect/Sage/IR/SageOps.h"
#include "sage/Target/Artifact.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;

namespace sage::interpret {

std::optional<sage_problem> getProblem(DictionaryAttr description) {
  auto headDim = description.getAs<IntegerAttr>("head_dim");
  auto elementType = description.getAs<TypeAttr>("element_type");
  auto layout = description.getAs<LayoutAttr>("layout");
  auto mask = description.getAs<MaskAttr>("mask");
  if (!headDim || !elementType || !layout || !mask)
    return std::nullopt;
  sage_problem problem{};
  problem.head_dim = problem.value_head_dim = headDim.getInt();
  if (auto valueHeadDim = description.getAs<IntegerAttr>("value_head_dim"))
    problem.value_head_dim = valueHeadDim.getInt();
  problem.element_type = elementType.getValue().isF16() ? SAGE_F16 : SAGE_BF16;
  // The enumerations of both sides list the same cases in the same order.
  problem.layout = static_cast<sage_layout>(layout.getValue());
  problem.mask = static_cast<sage_mask>(mask.getValue());
  auto setBound = [&](StringRef name, int32_t &present, int64_t &value) {
    if (auto bound = description.getAs<IntegerAttr>(name)) {
      present = 1;
      value = bound.getInt();
    }
  };
  int32_t hasSinkTokens = 0;
  setBound("window_left", problem.has_window_left, problem.window_left);
  setBound("window_right", problem.has_window_right, problem.window_right);
  setBound("sink_tokens", hasSinkTokens, problem.sink_tokens);
  if (auto softcap = description.getAs<FloatAttr>("softcap"))
    problem.softcap = softcap.getValueAsDouble();
  if (auto bias = description.getAs<TypeAttr>("bias")) {
    Type type = bias.getValue();
    problem.has_bias = 1;
    problem.bias_type = type.isF16()    ? SAGE_F16
                        : type.isBF16() ? SAGE_BF16
                        : type.isF32()  ? SAGE_F32
                                        : SAGE_BOOL;
  }
  problem.key_lengths = description.contains("key_lengths");
  problem.sinks = description.contains("sinks");
  problem.packed = description.contains("packed");
  if (auto scale = description.getAs<FloatAttr>("scale"))
    problem.scale = scale.getValueAsDouble();
  else
    problem.scale = 1 / std::sqrt(static_cast<double>(problem.head_dim));
  if (auto lse = description.getAs<BoolAttr>("lse"))
    problem.lse = lse.getValue();
  std::fill(std::begin(problem.shape), std::end(problem.shape), -1);
  return problem;
}

static sage_recipe getRecipe(RecipeAttr recipe) {
  sage_recipe result{};
  result.name = "custom";
  result.qk = static_cast<sage_score_type>(recipe.getQk());
  result.granularity = static_cast<sage_granularity>(recipe.getGranularity());
  result.smooth_q = recipe.smoothsQuery();
  result.smooth_k = recipe.smoothsKey();
  result.smooth_v = recipe.smoothsValue();
  result.pv = static_cast<sage_value_type>(recipe.getPv());
  result.accumulation = static_cast<sage_accumulation>(recipe.getAccumulation());
  result.inner = static_cast<sage_inner>(recipe.getInner());
  result.row_sum = static_cast<sage_row_sum>(recipe.getRowSum());
  result.interval = recipe.getInterval();
  result.rotate = static_cast<sage_rotation>(recipe.getRotate());
  result.range = static_cast<sage_score_range>(recipe.getRange());
  return result;
}

static std::vector<double> toDouble(const std::vector<uint16_t> &elements, sage_element_type type) {
  std::vector<double> values;
  for (uint16_t bits : elements)
    values.push_back(type == SAGE_F16 ? runtime::f16ToFloat(bits) : runtime::bf16ToFloat(bits));
  return values;
}

std::string runReference(DictionaryAttr description, Tensors &tensors,
                         std::vector<uint16_t> &output, std::vector<float> &lse) {
  auto recipe = description.getAs<RecipeAttr>("recipe");
  auto geometry = description.getAs<GeometryAttr>("geometry");
  if (!recipe || !geometry)
    return "the program must record a recipe and a geometry to be compared with the reference";
  sage_program program{tensors.problem, getRecipe(recipe), {}};
  std::string queryGroups = printExpression(geometry.getQueryGroupMap().getResult(0));
  std::string keyGroups = printExpression(geometry.getKeyGroupMap().getResult(0));
  std::string valueOrder = printExpression(geometry.getValueOrderMap().getResult(0));
  std::string keyParts;
  if (geometry.getKeyParts())
    keyParts = printMinimum(geometry.getKeyParts().getValue());
  program.geometry = {geometry.getQueryBlock(), geometry.getKeyTile(),
                      queryGroups.c_str(),      keyGroups.c_str(),
                      valueOrder.c_str(),       keyParts.empty() ? nullptr : keyParts.c_str()};

  // Rows in no sequence stay what they were.
  output.assign(tensors.output.size(), Tensors::poison);
  lse.assign(tensors.lse.size(), Tensors::lsePoison);
  sage_call call = tensors.getCall(output.data(), tensors.problem.lse ? lse.data() : nullptr);
  if (sage_status *status = sage_reference_run(&program, &call, nullptr, nullptr)) {
    std::string message = sage_status_get_message(status);
    sage_status_destroy(status);
    return "the reference failed: " + message;
  }
  return {};
}

std::string checkAgainstReference(DictionaryAttr description, Tensors &tensors,
                                  Tolerance tolerance) {
  std::vector<uint16_t> output;
  std::vector<float> lse;
  std::string failed = runReference(description, tensors, output, lse);
  if (!failed.empty())
    return failed;

  evaluation::Accuracy accuracy =
      evaluation::compare(toDouble(tensors.output, tensors.problem.element_type),
                          toDouble(output, tensors.problem.element_type));
  llvm::outs() << llvm::format(
      "output: cosine %.7f, relative L1 %.2e, maximum %.2e, mismatches %lld\n", accuracy.cosine,
      accuracy.relativeL1, accuracy.maximum, static_cast<long long>(accuracy.mismatches));
  std::string wrong;
  if (accuracy.mismatches || !(accuracy.relativeL1 <= tolerance.relativeL1))
    wrong = "the output differs from the reference";
  if (tensors.problem.lse) {
    evaluation::Accuracy difference =
        evaluation::compare({tensors.lse.begin(), tensors.lse.end()}, {lse.begin(), lse.end()});
    llvm::outs() << llvm::format("lse: maximum %.2e, mismatches %lld\n", difference.maximum,
                                 static_cast<long long>(difference.mismatches));
    if (difference.mismatches || !(difference.maximum <= tolerance.lse))
      wrong = "the LSE differs from the reference";
  }
  return wrong;
}

} // namespace sage::interpret
