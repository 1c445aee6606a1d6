//===- SageTileProgramOps.td - the host program --------------------------------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILEPROGRAMOPS_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILEPROGRAMOPS_TD

include "sage/Dialect/SageTile/IR/SageTileGridOps.td"

def SageTile_InvokeOp : SageTile_Op<"invoke", [AttrSizedOperandSegments, DestinationStyleOpInterface]> {
  let summary = "Runs a host program on tensors: what is left of an attention in the function that contained it.";
  let description = [{
    ```mlir
    %r = sage_tile.invoke @attention ins(%q, %k, %v : tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>, tensor<1x8x?x128xf16>)
           outs(%o : tensor<1x8x?x128xf16>) -> tensor<1x8x?x128xf16>
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$program, Variadic<AnyShaped>:$inputs, Variadic<AnyShaped>:$outputs);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{ $program `ins` `(` $inputs `:` type($inputs) `)` `outs` `(` $outputs `:` type($outputs) `)`
                          attr-dict (`->` type($results)^)? }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutputsMutable(); }
  }];
}

def SageTile_ProgramOp : SageTile_Op<"program", [
    IsolatedFromAbove, Symbol, SingleBlock, NoTerminator, NoRegionArguments]> {
  let summary = "What the host does: workspace slices and kernels in launch order.";
  let description = [{
    `problem`, `recipe`, `geometry` and `schedule` are what the artifact's manifest records
    (docs/Artifact.md). Expressions are affine maps without dimensions over the symbols
    [B, Hq, Hkv, Nq, Nk, query_b, query_h, query_n, key_b, key_h, key_n, value_b, value_h, value_n, output_b,
    output_h, output_n, step, S, query_align, key_align, value_align, output_align, bias_b, bias_h, bias_q, bias_k,
    parts]:
    the shape; strides in elements; the number of the turn in a `sage_tile.repeat`; sequences of a packed batch; the
    largest power of two up to 16 that divides, in bytes, the address and all strides of extents above 1; strides
    of the bias in elements, 0 where it is broadcast; the parts of the key tiles, as the geometry's `key_parts` says.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, DictionaryAttr:$problem);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name $problem attr-dict-with-keyword $body";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Names of the symbols, in order; `step` among them.
    static ::llvm::ArrayRef<::llvm::StringLiteral> getSymbolNames();
    static constexpr unsigned stepSymbol = 17, partsSymbol = 27;
    /// The launches in order, those of repetitions once.
    ::llvm::SmallVector<LaunchOp> getLaunches();
  }];
}

def SageTile_WorkspaceOp : SageTile_Op<"workspace", [HasParent<"ProgramOp">]> {
  let summary = "A slice of the workspace, aligned to 1024 bytes.";
  let arguments = (ins StrAttr:$name, AffineMapAttr:$bytes);
  let assemblyFormat = "$name `bytes` $bytes attr-dict";
  let hasVerifier = 1;
}

def SageTile_RepeatOp : SageTile_Op<"repeat", [HasParent<"ProgramOp">, SingleBlock, NoTerminator]> {
  let summary = "Launches the kernels of its body `count` times.";
  let description = [{
    In the body the symbol `step` counts the turns from 0: a workspace slice that holds a part of the heads is
    written and read again by every turn.

    ```mlir
    sage_tile.program @chunks {} {
      sage_tile.repeat affine_map<()[b, hq] -> (b * (hq ceildiv 8))> {
        sage_tile.launch @kernels::@chunk grid affine_map<() -> (8)> args []
      }
    }
    ```
  }];
  let arguments = (ins AffineMapAttr:$count);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$count $body attr-dict";
  let hasVerifier = 1;
}

def SageTile_LaunchOp : SageTile_Op<"launch", [
    ParentOneOf<["ProgramOp", "RepeatOp"]>, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Launches a kernel on a one-dimensional grid.";
  let description = [{
    A launch that `overlaps` may start before the one in front of it has ended; its kernel has a `sage_tile.grid_wait`.

    ```mlir
    sage_tile.program @overlapping {} {
      sage_tile.launch @kernels::@early grid affine_map<() -> (8)> args []
      sage_tile.launch @kernels::@late grid affine_map<() -> (8)> args [] overlaps
    }
    ```
  }];
  let arguments = (ins SymbolRefAttr:$kernel, AffineMapAttr:$grid, ArrayAttr:$args, UnitAttr:$overlaps);
  let assemblyFormat = "$kernel `grid` $grid `args` $args (`overlaps` $overlaps^)? attr-dict";
}

#endif
