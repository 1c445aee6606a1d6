//===- SageTileLaneOps.td - what one lane does after distribution ---------------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILELANEOPS_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILELANEOPS_TD

include "sage/Dialect/SageTile/IR/SageTileOps.td"

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

def SageTile_SharedLoadOp : SageTile_Op<"shared_load", [MemoryEffects<[MemRead]>]> {
  let summary = "Loads neighbouring elements of one row of a shared tile.";
  let description = [{
    The result holds the bytes from element `indices` on; 8-bit elements are read as words. It lies inside
    one 16-byte chunk, which swizzling moves as a whole.

    ```mlir
    %x = sage_tile.shared_load %tile[%row, %column] : !sage_tile.shared<64x128xi8, swizzle = 128> to vector<4xi32>
    ```
  }];
  let arguments = (ins SageTile_SharedType:$source, Variadic<Index>:$indices);
  let results = (outs AnyVectorOfNonZeroRank:$result);
  let assemblyFormat = "$source `[` $indices `]` attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_SharedStoreOp : SageTile_Op<"shared_store", [MemoryEffects<[MemWrite]>]> {
  let summary = "Stores neighbouring elements of one row of a shared tile; see `sage_tile.shared_load`.";
  let arguments = (ins AnyVectorOfNonZeroRank:$value, SageTile_SharedType:$target, Variadic<Index>:$indices);
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

#endif
