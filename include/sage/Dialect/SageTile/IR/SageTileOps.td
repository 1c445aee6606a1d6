//===- SageTileOps.td - operations of the sage_tile dialect ---------------------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILEOPS_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILEOPS_TD

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/FunctionInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "sage/Dialect/SageTile/IR/SageTileTypes.td"

class SageTile_Op<string mnemonic, list<Trait> traits = []> : Op<SageTile_Dialect, mnemonic, traits>;

// A fragment, or what one lane holds of it after `sage-tile-distribute`.
def SageTile_Value : AnyTypeOf<[SageTile_FragmentType, AnyVectorOfNonZeroRank], "fragment or lane vector">;
def SageTile_ValueInFlight : AnyTypeOf<[SageTile_FragmentType, AnyVectorOfNonZeroRank, SageTile_AsyncType],
                                       "fragment, lane vector or product in flight">;
def SageTile_Operand : AnyTypeOf<[SageTile_FragmentType, AnyVectorOfNonZeroRank, SageTile_SharedType],
                                 "fragment, lane vector or shared tile">;
def SageTile_Memory : AnyTypeOf<[SageTile_SharedType, AnyMemRef], "shared tile or memref">;
def SageTile_Source : AnyTypeOf<[AnyMemRef, SageTile_TensorMapType], "memref or tensor map">;

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

def SageTile_KernelOp : SageTile_Op<"kernel", [
    FunctionOpInterface, IsolatedFromAbove, Symbol, AutomaticAllocationScope]> {
  let summary = "A kernel: the program of one thread block.";
  let description = [{
    `units` units of kind `unit` run the body (before specialization). Lives in a `gpu.module`. Arguments: memrefs (dynamic strides are
    passed, sizes are not), tensor maps, i32, i64 and f32 scalars. Memrefs that no launch writes have the attribute `sage_tile.input`.

    ```mlir
    sage_tile.kernel @k(%n: i32) attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
      sage_tile.return
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<FunctionType>:$function_type,
                       SageTile_UnitAttr:$unit, ConfinedAttr<I32Attr, [IntPositive]>:$units,
                       OptionalAttr<DictArrayAttr>:$arg_attrs, OptionalAttr<DictArrayAttr>:$res_attrs);
  let regions = (region AnyRegion:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let extraClassDeclaration = [{
    static constexpr ::llvm::StringLiteral inputAttrName = "sage_tile.input";
    ::mlir::Region *getCallableRegion() { return &getBody(); }
    ::llvm::ArrayRef<::mlir::Type> getArgumentTypes() { return getFunctionType().getInputs(); }
    ::llvm::ArrayRef<::mlir::Type> getResultTypes() { return getFunctionType().getResults(); }
    /// Threads of one unit: 32 or 128.
    int64_t getThreadsPerUnit();
  }];
}

def SageTile_ReturnOp : SageTile_Op<"return", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "Ends a kernel.";
  let assemblyFormat = "attr-dict";
}

def SageTile_BlockIdOp : SageTile_Op<"block_id", [DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "Index of the thread block in the (one-dimensional) grid.";
  let description = [{
    With `reload` it is read again where the operation stands, and what is computed from it is not merged with
    what was computed before: cheaper than registers that hold it across a loop.

    ```mlir
    %block = sage_tile.block_id reload
    ```
  }];
  let arguments = (ins UnitAttr:$reload);
  let results = (outs Index:$result);
  let assemblyFormat = "(`reload` $reload^)? attr-dict";
}

def SageTile_UnitIdOp : SageTile_Op<"unit_id", [Pure]> {
  let summary = "Index of the executing unit among the units that run this region.";
  let results = (outs Index:$result);
  let assemblyFormat = "attr-dict";
}

def SageTile_SpecializeOp : SageTile_Op<"specialize", [SingleBlock, NoTerminator, HasParent<"KernelOp">]> {
  let summary = "Gives the units of a block different programs: one producer, many consumers.";
  let description = [{
    The producer region is executed by one elected thread of an additional unit
    (issue of bulk copies and barrier operations only); the consumer region by the
    kernel's `units`. Register counts (0: leave them) are per thread (PTX ISA,
    "setmaxnreg"). Values defined above are visible in both.

    ```mlir
    sage_tile.specialize producer registers(32) {
    } consumer registers(160) {
    }
    ```
  }];
  let arguments = (ins I32Attr:$producer_registers, I32Attr:$consumer_registers);
  let regions = (region SizedRegion<1>:$producer, SizedRegion<1>:$consumer);
  let assemblyFormat = [{ `producer` `registers` `(` $producer_registers `)` $producer
                          `consumer` `registers` `(` $consumer_registers `)` $consumer attr-dict }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

def SageTile_AllocOp : SageTile_Op<"alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "A tile in shared memory that lives as long as the thread block.";
  let results = (outs SageTile_SharedType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def SageTile_StageOp : SageTile_Op<"stage", [Pure]> {
  let summary = "One stage of a staged tile; the stages of a vector are the rows of a tile.";
  let arguments = (ins SageTile_SharedType:$source, Index:$index);
  let results = (outs SageTile_SharedType:$result);
  let assemblyFormat = "$source `[` $index `]` attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_SubtileOp : SageTile_Op<"subtile", [Pure]> {
  let summary = "Rows [row, row + rows of the result) of a tile; all columns. `row` is a multiple of 8 (swizzle atom).";
  let arguments = (ins SageTile_SharedType:$source, Index:$row);
  let results = (outs SageTile_SharedType:$result);
  let assemblyFormat = "$source `[` $row `]` attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_FillOp : SageTile_Op<"fill", [MemoryEffects<[MemWrite]>]> {
  let summary = "Writes one value to every element of a tile; all units together, synchronized before and after.";
  let arguments = (ins TypedAttrInterface:$value, SageTile_SharedType:$target);
  let assemblyFormat = "$target `with` $value attr-dict `:` type($target)";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Copies from device memory
//===----------------------------------------------------------------------===//

def SageTile_CopyOp : SageTile_Op<"copy", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Copies a tile from device memory to shared memory; complete and visible to all units afterwards.";
  let description = [{
    All units take part; they are synchronized before and after. `indices` are the
    position of the tile's first element: as many as the memref's rank (the tile spans the
    last dimensions), row and column for a tensor map.

    ```mlir
    sage_tile.copy %k[%row, %c0] to %tile : memref<?x128xi8> to !sage_tile.shared<64x128xi8, swizzle = 128>
    ```
  }];
  let arguments = (ins SageTile_Source:$source, Variadic<Index>:$indices, SageTile_SharedType:$target);
  let assemblyFormat = "$source `[` $indices `]` `to` $target attr-dict `:` type($source) `to` type($target)";
  let hasVerifier = 1;
}

def SageTile_CopyAsyncOp : SageTile_Op<"copy_async", [
    MemoryEffects<[MemRead, MemWrite]>, AttrSizedOperandSegments]> {
  let summary = "Starts a copy; completion is seen through an mbarrier (bulk copies) or a copy group.";
  let description = [{
    With `arrive`, the bytes count towards the current phase of that mbarrier (PTX ISA,
    "cp.async.bulk"); executed by one producer. Without, all units take part and the copy
    belongs to the group that the next `sage_tile.commit_group` closes (PTX ISA, "cp.async").
  }];
  let arguments = (ins SageTile_Source:$source, Variadic<Index>:$indices, SageTile_SharedType:$target,
                       Optional<SageTile_BarrierType>:$barrier, Optional<Index>:$slot);
  let assemblyFormat = [{ $source `[` $indices `]` `to` $target (`arrive` $barrier^ `[` $slot `]`)? attr-dict
                          `:` type($source) `to` type($target) (`,` type($barrier)^)? }];
  let hasVerifier = 1;
}

def SageTile_CommitGroupOp : SageTile_Op<"commit_group", [MemoryEffects<[MemWrite]>]> {
  let summary = "Closes the group of this thread's copies in flight (cp.async.commit_group).";
  let assemblyFormat = "attr-dict";
}

def SageTile_WaitGroupOp : SageTile_Op<"wait_group", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits until at most `pending` copy groups of this thread are in flight; others' need a `sage_tile.sync` too.";
  let arguments = (ins I32Attr:$pending);
  let assemblyFormat = "$pending attr-dict";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

def SageTile_SyncOp : SageTile_Op<"sync", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Barrier over all units that run this region, or over the lanes of each `unit` alone; orders their memory accesses.";
  let description = [{
    In kernels with bulk copies or warpgroups, what was stored is then visible to copies and products too.

    ```mlir
    sage_tile.sync
    sage_tile.sync unit
    ```
  }];
  let arguments = (ins UnitAttr:$unit);
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, /*unit=*/false); }]>];
  let assemblyFormat = "(`unit` $unit^)? attr-dict";
}

def SageTile_BarrierAllocOp : SageTile_Op<"barrier_alloc", [MemoryEffects<[MemAlloc]>]> {
  let summary = "mbarriers, initialized before any unit starts; a phase completes after `arrivals` arrivals and all announced bytes.";
  let arguments = (ins ConfinedAttr<I32Attr, [IntPositive]>:$arrivals);
  let results = (outs SageTile_BarrierType:$result);
  let assemblyFormat = "`arrivals` `(` $arrivals `)` attr-dict `:` type($result)";
}

def SageTile_BarrierExpectOp : SageTile_Op<"barrier_expect", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Announces `bytes` of bulk copies for the current phase, and arrives.";
  let arguments = (ins SageTile_BarrierType:$barrier, Index:$slot, I32Attr:$bytes);
  let assemblyFormat = "$barrier `[` $slot `]` `bytes` `(` $bytes `)` attr-dict `:` type($barrier)";
  let hasVerifier = 1;
}

def SageTile_BarrierArriveOp : SageTile_Op<"barrier_arrive", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "The executing unit arrives (one arrival per unit).";
  let arguments = (ins SageTile_BarrierType:$barrier, Index:$slot);
  let assemblyFormat = "$barrier `[` $slot `]` attr-dict `:` type($barrier)";
}

def SageTile_BarrierWaitOp : SageTile_Op<"barrier_wait", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits until the phase of parity `parity` (0 or 1) has completed; parity 1 passes on a fresh barrier.";
  let arguments = (ins SageTile_BarrierType:$barrier, Index:$slot, Index:$parity);
  let assemblyFormat = "$barrier `[` $slot `]` `parity` `(` $parity `)` attr-dict `:` type($barrier)";
}

//===----------------------------------------------------------------------===//
// Fragments: memory
//===----------------------------------------------------------------------===//

def SageTile_LoadOp : SageTile_Op<"load", [MemoryEffects<[MemRead]>, AttrSizedOperandSegments]> {
  let summary = "Loads a fragment from a shared tile or from device memory.";
  let description = [{
    Element (r, c) comes from `indices` + `map`(r, c), where `map` has one or two results
    that are added to the trailing indices. The default is (r, c) -> (r, c) for rank ≥ 2;
    for a vector (r, c) -> (r + c): one extent is 1, or both name the same element.

    Elements outside read as zero and are not accessed. Outside are: with `limit`, those whose index in the
    first mapped dimension (after adding) is not below it; with `column_limit`, likewise for the last dimension;
    with `columns`, those at or past that column of the fragment.

    Memrefs start at a multiple of 16 bytes, and so do their rows, unless `aligned` is given and false at run
    time: then the access is made element by element.

    ```mlir
    %x = sage_tile.load %q[%b, %h, %n, %c0] limit(%len) aligned(%wide) columns(72)
           : memref<?x?x?x72xf16, strided<[?, ?, ?, 1]>> to !sage_tile.fragment<16x128xf16, #rows>
    ```
  }];
  let arguments = (ins SageTile_Memory:$source, Variadic<Index>:$indices, Optional<Index>:$limit,
                       Optional<Index>:$column_limit, Optional<I1>:$aligned, OptionalAttr<I64Attr>:$columns,
                       OptionalAttr<AffineMapAttr>:$map);
  let results = (outs SageTile_FragmentType:$result);
  let builders = [OpBuilder<(ins "::mlir::Type":$type, "::mlir::Value":$source, "::mlir::ValueRange":$indices,
                                 "::mlir::Value":$limit, "::mlir::AffineMapAttr":$map), [{
    build($_builder, $_state, type, source, indices, limit, ::mlir::Value(), ::mlir::Value(), ::mlir::IntegerAttr(), map);
  }]>];
  let assemblyFormat = [{ $source `[` $indices `]` (`limit` `(` $limit^ `)`)? (`column_limit` `(` $column_limit^ `)`)?
                          (`aligned` `(` $aligned^ `)`)? (`columns` `(` $columns^ `)`)? (`map` $map^)? attr-dict
                          `:` type($source) `to` type($result) }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{ ::mlir::AffineMap getAccessMap(); }];
}

def SageTile_StoreOp : SageTile_Op<"store", [MemoryEffects<[MemWrite]>, AttrSizedOperandSegments]> {
  let summary = "Stores a fragment to a shared tile or to device memory; options as in `sage_tile.load`.";
  let description = [{
    Replicated elements are written once. Elements outside the limits are not written.

    ```mlir
    sage_tile.store %x, %o[%b, %h, %n, %c0] limit(%len) aligned(%wide) columns(72)
      : !sage_tile.fragment<16x128xf16, #rows> to memref<?x?x?x72xf16, strided<[?, ?, ?, 1]>>
    ```
  }];
  let arguments = (ins SageTile_FragmentType:$value, SageTile_Memory:$target, Variadic<Index>:$indices,
                       Optional<Index>:$limit, Optional<Index>:$column_limit, Optional<I1>:$aligned,
                       OptionalAttr<I64Attr>:$columns, OptionalAttr<AffineMapAttr>:$map);
  let builders = [OpBuilder<(ins "::mlir::Value":$value, "::mlir::Value":$target, "::mlir::ValueRange":$indices,
                                 "::mlir::Value":$limit, "::mlir::AffineMapAttr":$map), [{
    build($_builder, $_state, value, target, indices, limit, ::mlir::Value(), ::mlir::Value(), ::mlir::IntegerAttr(), map);
  }]>];
  let assemblyFormat = [{ $value `,` $target `[` $indices `]` (`limit` `(` $limit^ `)`)?
                          (`column_limit` `(` $column_limit^ `)`)? (`aligned` `(` $aligned^ `)`)?
                          (`columns` `(` $columns^ `)`)? (`map` $map^)? attr-dict
                          `:` type($value) `to` type($target) }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{ ::mlir::AffineMap getAccessMap(); }];
}

def SageTile_ReadOp : SageTile_Op<"read", [
    NoMemoryEffect,
    TypesMatchWith<"the result is an element of the source", "source", "result",
                   "::llvm::cast<::mlir::MemRefType>($_self).getElementType()">]> {
  let summary = "One element of device memory as a scalar, the same for all lanes and units.";
  let description = [{
    The memory is not written while the kernel runs, so that a read may be repeated or merged: a producer and its
    consumers both compute bounds from it.

    ```mlir
    %length = sage_tile.read %key_lengths[%batch] : memref<?xi32> to i32
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices);
  let results = (outs AnyTypeOf<[I32, F32]>:$result);
  let assemblyFormat = "$source `[` $indices `]` attr-dict `:` type($source) `to` type($result)";
  let hasVerifier = 1;
}

def SageTile_PrefetchOp : SageTile_Op<"prefetch", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Asks for rows of device memory to be in L2 soon; changes no result.";
  let description = [{
    The rows begin at `indices` and follow each other in the dimension before the last, `columns` elements each. Nothing is
    asked for where `aligned` is false at run time (bulk copies begin at multiples of 16 bytes), or where rows are more than
    `columns` apart: one request costs a producer nothing, one for each row more than it gains.
    A producer asks while the consumers of a persistent block are at the tile before.

    ```mlir
    sage_tile.prefetch %q[%b, %h, %n, %c0] rows(%count) columns(128) aligned(%wide) : memref<?x?x?x128xf16, strided<[?, ?, ?, 1]>>
    ```
  }];
  let arguments = (ins AnyMemRef:$source, Variadic<Index>:$indices, Index:$rows, I1:$aligned,
                       ConfinedAttr<I64Attr, [IntPositive]>:$columns);
  let assemblyFormat = [{ $source `[` $indices `]` `rows` `(` $rows `)` `columns` `(` $columns `)`
                          `aligned` `(` $aligned `)` attr-dict `:` type($source) }];
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Matrix products
//===----------------------------------------------------------------------===//

class SageTile_MmaBase<string mnemonic, Type accumulatorType, list<Trait> traits> : SageTile_Op<mnemonic, traits> {
  let arguments = (ins SageTile_Operand:$a, SageTile_SharedType:$b, accumulatorType:$accumulator, UnitAttr:$int4);
  let assemblyFormat = [{ $a `,` $b `,` $accumulator (`int4` $int4^)? attr-dict
                          `:` type($a) `,` type($b) `to` type($accumulator) }];
  let hasVerifier = 1;
}

def SageTile_MmaOp : SageTile_MmaBase<"mma", SageTile_Value, [MemoryEffects<[MemRead]>, AllTypesMatch<["accumulator", "result"]>]> {
  let summary = "result[m, n] = accumulator[m, n] + Σ_k a[m, k] · b[n, k].";
  let description = [{
    `b` is K-major: its rows are the columns of the product. i8 × i8 adds exactly into i32; e4m3 × e4m3, e5m2 × e5m2
    and f16 × f16 add into f32 or f16; bf16 × bf16 into f32. With `int4` every byte of both operands holds two
    4-bit integers, the low half first.

    ```mlir
    %s = sage_tile.mma %q, %k, %zero : !sage_tile.shared<64x128xi8, swizzle = 128>,
           !sage_tile.shared<128x128xi8, swizzle = 128> to !sage_tile.fragment<64x128xi32, #acc>
    ```
  }];
  let results = (outs SageTile_Value:$result);
}

def SageTile_MmaAsyncOp : SageTile_MmaBase<"mma_async", SageTile_ValueInFlight, [
    MemoryEffects<[MemRead, MemWrite]>,
    TypesMatchWith<"the result is the accumulator's type in flight", "accumulator", "result",
                   "::sage::tile::AsyncType::getInFlight($_self)">]> {
  let summary = "Starts a matrix product as a group of its own (wgmma); `sage_tile.wait` gives the result.";
  let description = [{
    The accumulator may be the result of the product before, which is still in flight: products of one shape
    add to the same registers in their order (PTX ISA, "wgmma.fence").

    ```mlir
    %s0 = sage_tile.mma_async %q0, %k0, %zero : !sage_tile.shared<64x128xi8, swizzle = 128>,
            !sage_tile.shared<128x128xi8, swizzle = 128> to !sage_tile.fragment<64x128xi32, #acc>
    %s1 = sage_tile.mma_async %q1, %k1, %s0 : !sage_tile.shared<64x128xi8, swizzle = 128>,
            !sage_tile.shared<128x128xi8, swizzle = 128> to !sage_tile.async<!sage_tile.fragment<64x128xi32, #acc>>
    %s = sage_tile.wait %s1 pending(0) : !sage_tile.async<!sage_tile.fragment<64x128xi32, #acc>>
    ```
  }];
  let results = (outs SageTile_AsyncType:$result);
}

def SageTile_WaitOp : SageTile_Op<"wait", [
    MemoryEffects<[MemRead, MemWrite]>,
    TypesMatchWith<"the result is the value in flight", "source", "result",
                   "::llvm::cast<::sage::tile::AsyncType>($_self).getValueType()">]> {
  let summary = "Waits until at most `pending` later products are in flight and yields the result of `source`.";
  let description = [{
    Products complete in order of issue. The verifier refuses a `sage_tile.convert` that packs an A operand
    while a product that reads registers is in flight: ptxas would serialize the products.
  }];
  let arguments = (ins SageTile_AsyncType:$source, I32Attr:$pending);
  let results = (outs SageTile_Value:$result);
  let assemblyFormat = "$source `pending` `(` $pending `)` attr-dict `:` type($source)";
  let hasVerifier = 1;
}

#endif
