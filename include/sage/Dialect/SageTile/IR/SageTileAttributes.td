//===- SageTileAttributes.td - layouts, units, arguments of a launch ----------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILEATTRIBUTES_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILEATTRIBUTES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "sage/Dialect/SageTile/IR/SageTileDialect.td"

class SageTile_Attr<string name, string attrMnemonic> : AttrDef<SageTile_Dialect, name> {
  let mnemonic = attrMnemonic;
}

def SageTile_Unit : I32EnumAttr<"Unit", "what executes a kernel's program: one warp or one warpgroup", [
    I32EnumAttrCase<"Warp", 0, "warp">, I32EnumAttrCase<"Warpgroup", 1, "warpgroup">]> {
  let cppNamespace = "::sage::tile";
  let genSpecializedAttr = 0;
}
def SageTile_UnitAttr : EnumAttr<SageTile_Dialect, SageTile_Unit, "unit"> {
  let assemblyFormat = "`<` $value `>`";
}

def SageTile_ReduceKind : I32EnumAttr<"ReduceKind", "how elements are combined", [
    I32EnumAttrCase<"AddF", 0, "addf">, I32EnumAttrCase<"MaximumF", 1, "maximumf">,
    I32EnumAttrCase<"MaxSI", 2, "maxsi">]> {
  let cppNamespace = "::sage::tile";
  let genSpecializedAttr = 0;
}
def SageTile_ReduceKindAttr : EnumAttr<SageTile_Dialect, SageTile_ReduceKind, "reduce_kind"> {
  let assemblyFormat = "`<` $value `>`";
}

def SageTile_LayoutAttr : SageTile_Attr<"Layout", "layout"> {
  let summary = "Which lane and register of a unit hold which element of a fragment.";
  let description = [{
    Three lists of *modes*. A mode `n:(r, c)` is a digit with `n` values; value `i`
    contributes `i * r` to the row and `i * c` to the column. The first mode of a
    list varies fastest. `warp` numbers the warps of a unit (absent for a warp
    unit), `lane` the 32 lanes of a warp, `reg` the elements that a lane holds. A
    stride of (0, 0) in `warp` or `lane` means that the element is replicated.
    The accumulator of a 16×8 matrix product (PTX ISA, "Matrix fragments for
    mma.m16n8k32") with 128 columns:

    ```mlir
    #acc = #sage_tile.layout<lane = [4:(0, 2), 8:(1, 0)],
                             reg = [2:(0, 1), 2:(8, 0), 16:(0, 8)]>
    ```
  }];
  let parameters = (ins ArrayRefParameter<"::sage::tile::LayoutMode">:$warp,
                        ArrayRefParameter<"::sage::tile::LayoutMode">:$lane,
                        ArrayRefParameter<"::sage::tile::LayoutMode">:$reg);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Elements that one lane holds.
    int64_t getNumRegisters() const;
    /// Row and column of the element that lane `lane` of warp `warp` holds in register `reg`.
    std::pair<int64_t, int64_t> getPosition(int64_t warp, int64_t lane, int64_t reg) const;
    /// Number of warps that the layout spans (1 without a `warp` list).
    int64_t getNumWarps() const;

    /// Accumulator of m16n8 products, `warps` × 16 rows and `columns` (multiple of 8) columns.
    static LayoutAttr accumulator(::mlir::MLIRContext *context, int64_t warps, int64_t columns);
    /// A operand of 8-bit m16n8k32 products; `depth` is a multiple of 32.
    static LayoutAttr operandA8(::mlir::MLIRContext *context, int64_t warps, int64_t depth);
    /// One value per row (`columns` = 1) of the accumulator layout, replicated over the quad.
    static LayoutAttr accumulatorRow(::mlir::MLIRContext *context, int64_t warps);
    /// One value per row and lane of the quad (rows × 4).
    static LayoutAttr accumulatorQuad(::mlir::MLIRContext *context, int64_t warps);
    /// One value per lane of the quad (1 × 4), replicated over rows and warps.
    static LayoutAttr quad(::mlir::MLIRContext *context, int64_t warps);
    /// One value per column (1 × columns) of the accumulator layout, replicated over rows.
    static LayoutAttr accumulatorColumn(::mlir::MLIRContext *context, int64_t warps, int64_t columns);
    /// One warp; every lane holds `vectorLength` neighbouring columns; rows and columns are
    /// powers of two, all modes have two values, the high row bits are in registers.
    static LayoutAttr rowMajor(::mlir::MLIRContext *context, int64_t rows, int64_t columns,
                               int64_t vectorLength);
    /// The layout of a value in which the rows (columns) of `this` are reduced to extent 1:
    /// strides become 0 and register modes that no longer distinguish elements are dropped.
    LayoutAttr dropRows() const;
    LayoutAttr dropColumns() const;
    /// The layout after `map`, a function (row, column) -> (row', column'): the modes whose
    /// steps `map` does not see are dropped. Null if the result is not of this form.
    LayoutAttr project(::mlir::AffineMap map) const;
  }];
}

def SageTile_PointerArgAttr : SageTile_Attr<"PointerArg", "pointer"> {
  let summary = "Launch argument: address of a caller's tensor or of a workspace slice.";
  let parameters = (ins StringRefParameter<"buffer name">:$buffer);
  let assemblyFormat = "`<` $buffer `>`";
}

def SageTile_IntegerArgAttr : SageTile_Attr<"IntegerArg", "integer"> {
  let summary = "Launch argument: an integer computed from the problem's shape (see `sage_tile.program`).";
  let parameters = (ins "::mlir::Type":$type, "::mlir::AffineMap":$value);
  let assemblyFormat = "`<` $type `,` $value `>`";
}

def SageTile_ScaleArgAttr : SageTile_Attr<"ScaleArg", "scale"> {
  let summary = "Launch argument: (float) (factor · softmax scale).";
  let parameters = (ins "::mlir::FloatAttr":$factor);
  let assemblyFormat = "`<` $factor `>`";
}

def SageTile_TensorMapArgAttr : SageTile_Attr<"TensorMapArg", "tensor_map"> {
  let summary = "Launch argument: description of a tensor for bulk tensor copies (TMA).";
  let description = [{
    `extents` (elements, innermost first) and `strides` (bytes, one fewer) are affine in
    the problem's shape; `box` is the tile that one copy moves. PTX ISA, "Tensor-map".
  }];
  let parameters = (ins StringRefParameter<"buffer name">:$buffer, "::mlir::Type":$elementType,
                        "::mlir::AffineMap":$extents, "::mlir::AffineMap":$strides,
                        ArrayRefParameter<"int64_t">:$box, "int64_t":$swizzle);
  let assemblyFormat = [{ `<` $buffer `,` $elementType `,` `extents` `=` $extents `,`
    `strides` `=` $strides `,` `box` `=` `[` $box `]` `,` `swizzle` `=` $swizzle `>` }];
}

#endif
