// Enumerations of the `sage` dialect. Spellings are those of the artifact's manifest (docs/Artifact.md).

#ifndef SAGE_DIALECT_SAGE_IR_SAGEENUMS_TD
#define SAGE_DIALECT_SAGE_IR_SAGEENUMS_TD

include "mlir/IR/EnumAttr.td"
include "sage/Dialect/Sage/IR/SageDialect.td"

class Sage_Enum<string name, string summary, list<I32EnumAttrCase> cases>
    : I32EnumAttr<name, summary, cases> {
  let cppNamespace = "::sage";
  let genSpecializedAttr = 0;
}

def Sage_ScoreType : Sage_Enum<"ScoreType", "element type of the QK product", [
  I32EnumAttrCase<"Int8", 0, "int8">, I32EnumAttrCase<"Int4", 1, "int4">,
  I32EnumAttrCase<"E4M3", 2, "e4m3">, I32EnumAttrCase<"F16", 3, "f16">]>;

def Sage_Granularity : Sage_Enum<"Granularity", "which tokens share one scale", [
  I32EnumAttrCase<"PerTensor", 0, "per_tensor">, I32EnumAttrCase<"PerBlock", 1, "per_block">,
  I32EnumAttrCase<"PerWarp", 2, "per_warp">, I32EnumAttrCase<"PerThread", 3, "per_thread">,
  I32EnumAttrCase<"PerToken", 4, "per_token">]>;

def Sage_Smoothing : I32BitEnumAttr<"Smoothing", "operands that are centred before quantization", [
  I32BitEnumAttrCaseNone<"None", "none">, I32BitEnumAttrCaseBit<"Query", 0, "q">,
  I32BitEnumAttrCaseBit<"Key", 1, "k">, I32BitEnumAttrCaseBit<"Value", 2, "v">]> {
  let cppNamespace = "::sage";
  let genSpecializedAttr = 0;
  let separator = "|";
}

def Sage_PvType : Sage_Enum<"PvType", "element type of the PV product", [
  I32EnumAttrCase<"E4M3", 0, "e4m3">, I32EnumAttrCase<"E5M2", 1, "e5m2">,
  I32EnumAttrCase<"F16", 2, "f16">]>;

def Sage_Accumulation : Sage_Enum<"Accumulation", "how PV is summed", [
  I32EnumAttrCase<"Single", 0, "single">, I32EnumAttrCase<"TwoLevel", 1, "two_level">]>;

def Sage_InnerType : Sage_Enum<"InnerType", "accumulator type of the PV instruction", [
  I32EnumAttrCase<"F32", 0, "f32">, I32EnumAttrCase<"F16", 1, "f16">]>;

def Sage_RowSum : Sage_Enum<"RowSum", "what the softmax denominator sums", [
  I32EnumAttrCase<"Float", 0, "float">, I32EnumAttrCase<"Quantized", 1, "quantized">]>;

def Sage_Rotation : Sage_Enum<"Rotation", "transform of Q and K along the head dim", [
  I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"Hadamard", 1, "hadamard">]>;

def Sage_ScoreRange : Sage_Enum<"ScoreRange", "what the ends of the range of quantized Q and K stand for", [
  I32EnumAttrCase<"Full", 0, "full">, I32EnumAttrCase<"Clipped", 1, "clipped">]>;

def Sage_Layout : Sage_Enum<"Layout", "order of the dimensions of a 16-bit operand", [
  I32EnumAttrCase<"HeadMajor", 0, "head_major">, I32EnumAttrCase<"TokenMajor", 1, "token_major">]>;

def Sage_Mask : Sage_Enum<"Mask", "which keys a query sees", [
  I32EnumAttrCase<"None", 0, "none">, I32EnumAttrCase<"CausalTopLeft", 1, "causal_top_left">,
  I32EnumAttrCase<"CausalBottomRight", 2, "causal_bottom_right">,
  I32EnumAttrCase<"WindowTopLeft", 3, "window_top_left">,
  I32EnumAttrCase<"WindowBottomRight", 4, "window_bottom_right">]>;

def Sage_Family : Sage_Enum<"Family", "matrix instruction family", [
  I32EnumAttrCase<"MmaSync", 0, "mma_sync">, I32EnumAttrCase<"Wgmma", 1, "wgmma">]>;

def Sage_Copy : Sage_Enum<"Copy", "how tiles reach shared memory", [
  I32EnumAttrCase<"CpAsync", 0, "cp_async">, I32EnumAttrCase<"Tma", 1, "tma">]>;

def Sage_Conversion : Sage_Enum<"Conversion", "how int32 scores become float32", [
  I32EnumAttrCase<"Convert", 0, "convert">, I32EnumAttrCase<"Magic", 1, "magic">]>;

#endif // SAGE_DIALECT_SAGE_IR_SAGEENUMS_TD
