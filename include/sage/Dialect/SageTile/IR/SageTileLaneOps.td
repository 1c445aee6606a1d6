//===- SageTileLaneOps.td - what one lane does after distribution ---------------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILELANEOPS_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILELANEOPS_TD

include "sage/Dialect/SageTile/IR/SageTileProgramOps.td"

def SageTile_LaneIdOp : SageTile_Op<"lane_id", [Pure]> {
  let summary = "Index of the executing lane in its warp.";
  let results = (outs Index:$result);
  let assemblyFormat = "attr-dict";
}

def SageTile_WarpIdOp : SageTile_Op<"warp_id", [Pure]> {
  let summary = "Index of the executing warp in its unit.";
  let results = (outs Index:$result);
  let assemblyFormat = "attr-dict";
}

def SageTile_LaneLoadOp : SageTile_Op<"lane_load", [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Loads neighbouring elements of a shared tile or of device memory.";
  let description = [{
    The result holds the bytes from element `indices` on; 8-bit elements are read as words. It is aligned to
    its size, at most 16 bytes, and so lies inside one of the chunks that swizzling moves as a whole.
    A `volatile` load is never merged with another: loads into separate registers are cheaper than moves.

    ```mlir
    %x = sage_tile.lane_load %tile[%row, %column] : !sage_tile.shared<64x128xi8, swizzle = 128> to vector<4xi32>
    ```
  }];
  let arguments = (ins SageTile_Memory:$source, Variadic<Index>:$indices, UnitAttr:$is_volatile);
  let results = (outs VectorOfRankAndType<[1], [AnyType]>:$result);
  let assemblyFormat = [{ (`volatile` $is_volatile^)? $source `[` $indices `]` attr-dict
                          `:` type($source) `to` type($result) }];
  let hasVerifier = 1;
}

def SageTile_LaneStoreOp : SageTile_Op<"lane_store", [MemoryEffects<[MemWrite]>]> {
  let summary = "Stores neighbouring elements to a shared tile or to device memory; see `sage_tile.lane_load`.";
  let description = [{
    ```mlir
    sage_tile.lane_store %x, %output[%row, %column] : vector<2xf16> to memref<?x128xf16>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [AnyType]>:$value, SageTile_Memory:$target,
                       Variadic<Index>:$indices);
  let assemblyFormat = "$value `,` $target `[` $indices `]` attr-dict `:` type($value) `to` type($target)";
  let hasVerifier = 1;
}

def SageTile_LoadMatrixOp : SageTile_Op<"load_matrix", [MemoryEffects<[MemRead]>]> {
  let summary = "Loads 8x16-byte matrices of a shared tile, one 4-byte word of each per lane.";
  let description = [{
    Lanes 8i .. 8i+7 name the rows of matrix i by the position of their first element; lane l receives word
    l mod 4 of row l floordiv 4 of every matrix (PTX ISA, "ldmatrix"). All lanes of the warp take part.

    ```mlir
    %a = sage_tile.load_matrix %tile[%row, %column] : !sage_tile.shared<64x128xi8, swizzle = 128> to vector<4xi32>
    ```
  }];
  let arguments = (ins SageTile_SharedType:$source, Index:$row, Index:$column);
  let results = (outs VectorOfLengthAndType<[1, 2, 4], [I32]>:$result);
  let assemblyFormat = "$source `[` $row `,` $column `]` attr-dict `:` type($source) `to` type($result)";
}

def SageTile_PackOp : SageTile_Op<"pack", [Pure]> {
  let summary = "Rounds floats to an 8-bit type and packs four to a word, the first in the low byte.";
  let description = [{
    Rounds as `sage_tile.convert` does.

    ```mlir
    %w = sage_tile.pack %x as f8E4M3FN : vector<64xf32> to vector<16xi32>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [F32]>:$source, TypeAttr:$element_type);
  let results = (outs VectorOfRankAndType<[1], [I32]>:$result);
  let assemblyFormat = "$source `as` $element_type attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_LaneButterflyOp : SageTile_Op<"lane_butterfly", [Pure, AllTypesMatch<["source", "result"]>]> {
  let summary = "Sums and differences with other lanes of the warp, one distance after the other.";
  let description = [{
    At each of `distances`, a lane multiplies its values by a factor and adds those of the lane whose number differs
    by XOR, rounding once. With the factors 1 and, in lanes that have the bit, -1, these are sums and differences. All
    lanes of the warp take part.

    ```mlir
    %y = sage_tile.lane_butterfly %x distances [1, 2] factors(%a, %b) : vector<64xf32>
    ```
  }];
  let arguments = (ins VectorOfRankAndType<[1], [F32]>:$source, DenseI64ArrayAttr:$distances,
                       Variadic<F32>:$factors);
  let results = (outs VectorOfRankAndType<[1], [F32]>:$result);
  let assemblyFormat = [{ $source `distances` $distances `factors` `(` $factors `)` attr-dict
                          `:` type($source) }];
  let hasVerifier = 1;
}

#endif
