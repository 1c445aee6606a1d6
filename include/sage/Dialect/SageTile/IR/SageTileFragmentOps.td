//===- SageTileFragmentOps.td - arithmetic on fragments -------------------------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILEFRAGMENTOPS_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILEFRAGMENTOPS_TD

include "sage/Dialect/SageTile/IR/SageTileOps.td"

def SageTile_SplatOp : SageTile_Op<"splat", [Pure]> {
  let summary = "A fragment whose elements are all `value`.";
  let arguments = (ins AnyType:$value);
  let results = (outs SageTile_Value:$result);
  let assemblyFormat = "$value attr-dict `:` type($value) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_MapOp : SageTile_Op<"map", [
    RecursiveMemoryEffects, SingleBlockImplicitTerminator<"YieldOp">]> {
  let summary = "Applies a scalar body to every element.";
  let description = [{
    `maps[i]` is an affine map (row, column) -> (row', column') from the result's
    element to the element of operand `i`; without `maps` an operand of extent 1 is
    broadcast and an equal extent is identity. The body's arguments are the operands' elements; with
    `positions`, the row and the column (i32) come first. The body holds
    `arith` and `math` operations only and may use scalars defined outside.

    ```mlir
    %p = sage_tile.map ins(%s, %c : !sage_tile.fragment<64x128xf32, #acc>, !sage_tile.fragment<64x1xf32, #row>)
           to !sage_tile.fragment<64x128xf32, #acc> {
    ^bb0(%x: f32, %y: f32):
      %0 = arith.addf %x, %y : f32
      sage_tile.yield %0 : f32
    }
    ```
  }];
  let arguments = (ins Variadic<SageTile_FragmentType>:$inputs, OptionalAttr<AffineMapArrayAttr>:$maps,
                       UnitAttr:$positions);
  let results = (outs SageTile_FragmentType:$result);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{ (`positions` $positions^)? (`ins` `(` $inputs^ `:` type($inputs) `)`)? (`maps` $maps^)?
                          `to` type($result) $body attr-dict }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The map of input `i`, explicit or by broadcast.
    ::mlir::AffineMap getInputMap(unsigned i);
  }];
}

def SageTile_YieldOp : SageTile_Op<"yield", [Pure, Terminator, HasParent<"MapOp">]> {
  let summary = "The result's element.";
  let arguments = (ins Variadic<AnyType>:$values);
  let builders = [OpBuilder<(ins), "build($_builder, $_state, ::mlir::ValueRange());">];
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
}

def SageTile_ReduceOp : SageTile_Op<"reduce", [Pure]> {
  let summary = "Combines elements over the rows, columns or groups that `map` merges.";
  let description = [{
    Element e of the result combines the source elements (r, c) with `map`(r, c) = e. Without
    `map`, extents of 1 in the result are reduced. Sums of floats are halving trees (Spec N1)
    over rows; over columns the order is unspecified.

    ```mlir
    %m = sage_tile.reduce <maximumf> %s : !sage_tile.fragment<64x128xf32, #acc> to !sage_tile.fragment<64x1xf32, #row>
    ```
  }];
  let arguments = (ins SageTile_ReduceKindAttr:$kind, SageTile_FragmentType:$source, OptionalAttr<AffineMapAttr>:$map);
  let results = (outs SageTile_FragmentType:$result);
  let assemblyFormat = "$kind $source (`map` $map^)? attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{ ::mlir::AffineMap getReductionMap(); }];
}

def SageTile_HadamardOp : SageTile_Op<"hadamard", [Pure, AllTypesMatch<["source", "result"]>]> {
  let summary = "Hadamard transform of every row, in blocks of `block` columns.";
  let description = [{
    For the distances 1, 2, 4, … below `block`, columns c and c + distance of a pair become their sum and their
    difference (Spec N3). `block` is a power of two that divides the columns. Not normalized.

    ```mlir
    %r = sage_tile.hadamard %x {block = 128} : !sage_tile.fragment<16x128xf32, #rows>
    ```
  }];
  let arguments = (ins SageTile_FragmentType:$source, I64Attr:$block);
  let results = (outs SageTile_FragmentType:$result);
  let assemblyFormat = "$source attr-dict `:` type($source)";
  let hasVerifier = 1;
}

def SageTile_ConvertOp : SageTile_Op<"convert", [Pure]> {
  let summary = "Converts elements to another type, and columns to another order or layout.";
  let description = [{
    To e4m3 and e5m2: nearest even, saturating; to i8: nearest even, saturating at ±127, NaN becomes 0; to f16 and
    bf16: nearest even. With `order`, a map from the result's column to the source's column: element
    (r, c) is the source's (r, order(c)). A layout change must not move data between lanes.

    ```mlir
    %p8 = sage_tile.convert %p order affine_map<(p) -> (p)> : !sage_tile.fragment<64x128xf32, #acc>
            to !sage_tile.fragment<64x128xf8E4M3FN, #a>
    ```
  }];
  let arguments = (ins SageTile_FragmentType:$source, OptionalAttr<AffineMapAttr>:$order);
  let results = (outs SageTile_FragmentType:$result);
  let assemblyFormat = "$source (`order` $order^)? attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_PackNibblesOp : SageTile_Op<"pack_nibbles", [Pure]> {
  let summary = "Two 4-bit integers a byte: the low half of columns 2c (low nibble) and 2c + 1 becomes column c.";
  let description = [{
    ```mlir
    %p = sage_tile.pack_nibbles %q : !sage_tile.fragment<16x128xi8, #rows> to !sage_tile.fragment<16x64xi8, #packed>
    ```
  }];
  let arguments = (ins SageTile_FragmentType:$source);
  let results = (outs SageTile_FragmentType:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_SliceOp : SageTile_Op<"slice", [Pure]> {
  let summary = "Columns [column, column + columns of the result) of a fragment.";
  let arguments = (ins SageTile_FragmentType:$source, I64Attr:$column);
  let results = (outs SageTile_FragmentType:$result);
  let assemblyFormat = "$source `[` $column `]` attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_ConcatOp : SageTile_Op<"concat", [Pure]> {
  let summary = "Joins fragments along the columns.";
  let arguments = (ins Variadic<SageTile_FragmentType>:$sources);
  let results = (outs SageTile_FragmentType:$result);
  let assemblyFormat = "$sources attr-dict `:` type($sources) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_OrderAfterOp : SageTile_Op<"order_after", [Pure, AllTypesMatch<["value", "result"]>]> {
  let summary = "`value`, but not available before `dependence`: keeps the assembler from bunching instructions.";
  let arguments = (ins SageTile_Value:$value, SageTile_Value:$dependence);
  let results = (outs SageTile_Value:$result);
  let assemblyFormat = "$value `,` $dependence attr-dict `:` type($value) `,` type($dependence)";
}

def SageTile_ScheduleBarrierOp : SageTile_Op<"schedule_barrier", [MemoryEffects<[MemWrite]>]> {
  let summary = "Keeps the assembler from moving instructions of a warp across it; does nothing else.";
  let description = [{
    The assembler moves loads of operands up and additions down, as if registers were free, and spills.

    ```mlir
    sage_tile.schedule_barrier
    ```
  }];
  let assemblyFormat = "attr-dict";
}

#endif
