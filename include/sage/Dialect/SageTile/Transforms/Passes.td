//===- Passes.td - passes on sage_tile kernels ----------------------------------===//
//
// In pipeline order. Every pass takes and leaves a program that verifies and that the
// interpreter can execute.

#ifndef SAGE_DIALECT_SAGETILE_TRANSFORMS_PASSES_TD
#define SAGE_DIALECT_SAGETILE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

class SageTile_Pass<string argument> : Pass<argument, "::sage::tile::KernelOp"> {
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::math::MathDialect", "::mlir::scf::SCFDialect"
  ];
}

def TwoLevelAccumulation : SageTile_Pass<"sage-tile-two-level-accumulation"> {
  let summary = "Accumulates each product in a fresh fragment and adds it with the rescale in one FMA";
  let description = [{
    Tensor cores add e4m3 products in about 22 bits. A product whose accumulator is the rescaled
    value of the tiles before, `mma(p, v, O * alpha)`, becomes `T = mma(p, v, 0)` and
    `O = fma(O, alpha, T)` in float32 (Spec N10), which costs registers, but no instructions. With `value-chunks`
    the columns of the product (the rows of `v`) are cut into products of their own, so that fewer
    registers hold T; boundaries are multiples of 8, and what is left over joins the last chunk.
    Products that add to one another, `mma(p1, v1, mma(p0, v0, O * alpha))`, are promoted together, or after every
    `interval` tokens (columns of `v`): the first time with the rescale, then by additions. With `inner=f16` they accumulate in float16, which is
    twice as fast on some chips and takes half of the registers.

    ```mlir
    %Os = sage_tile.map ins(%O, %alpha : ...) { arith.mulf }
    %O1 = sage_tile.mma %p, %v, %Os : ...
    // becomes, with two chunks of 64 and 72 of 136 columns,
    %T0 = sage_tile.mma %p, %v0, %zero0 : ... to !sage_tile.fragment<64x64xf32, #acc64>
    %T1 = sage_tile.mma %p, %v1, %zero1 : ... to !sage_tile.fragment<64x72xf32, #acc72>
    %N0 = sage_tile.map ins(%O0, %alpha, %T0 : ...) { math.fma }
    %N1 = sage_tile.map ins(%O1, %alpha, %T1 : ...) { math.fma }
    %O1 = sage_tile.concat %N0, %N1 : ...
    ```
  }];
  let options = [
    Option<"valueChunks", "value-chunks", "int64_t", "1",
           "Number of products into which the columns of the output are cut">,
    Option<"inner", "inner", "std::string", "\"f32\"", "Type in which a product accumulates: f32 or f16">,
    Option<"inFlight", "in-flight", "int64_t", "2",
           "Products of column chunks that are made before the first of them is added">,
    Option<"interval", "interval", "int64_t", "0", "Tokens between two promotions; 0: the whole chain">
  ];
}

def FoldScoreConversion : SageTile_Pass<"sage-tile-fold-score-conversion"> {
  let summary = "Takes the maximum of the scores as integers, and removes their conversion to float";
  let description = [{
    Rewrites what follows `x = sitofp(mma(q, k, 0))`:

    * `conversion=convert`: the maximum is taken of the integers, which is exact and cheaper;
      elements are still converted for the exponentials.
    * `conversion=magic`: the accumulators start at 0x4B400000, so that their bits are the float
      12582912 + S, exact as |S| < 2^22. Nothing is converted; `fma(x, a, c)` becomes
      `fma(bits, a, fma(-12582912, a, c))`, whose second constant is computed once per row and
      scale group. That rounds c to a multiple of a's unit times 2^23: harmless for INT8 values,
      not for INT4 ones, whose scales are larger by 18²; use `convert` for those.

    Masks move to the integers too; a masked score is the smallest integer (`convert`) or the bits
    of -∞ (`magic`), which are negative and hence below every score.
  }];
  let options = [
    Option<"conversion", "conversion", "std::string", "\"magic\"",
           "How scores become floats: magic (folded into the exponentials' FMA) or convert">
  ];
}

def InterleaveExponentials : SageTile_Pass<"sage-tile-interleave-exponentials"> {
  let summary = "Computes and packs the probabilities in column chunks that wait for each other";
  let description = [{
    The assembler hoists all multiply-adds above the exponentials and leaves a tail in which only
    the special function unit works. This pass splits `convert(map{exp2(fma(x, a, c))})` into
    chunks of columns (multiples of 16, so that the packing order stays inside a chunk), and makes
    c of each chunk depend on the probabilities of the chunk before (`sage_tile.order_after`).
    Float row sums, and conversions of the scores that only the exponentials use, are split likewise.

    ```mlir
    %y = sage_tile.map ins(%x, %a, %c : ...) { math.exp2(math.fma) }
    %p = sage_tile.convert %y order #order : ...
    // becomes, with two chunks of 64 columns,
    %x0 = sage_tile.slice %x[0] : ...
    %y0 = sage_tile.map ins(%x0, %a, %c : ...) { math.exp2(math.fma) }
    %p0 = sage_tile.convert %y0 order #order : ...
    %x1 = sage_tile.slice %x[64] : ...
    %c1 = sage_tile.order_after %c, %y0 : ...
    %y1 = sage_tile.map ins(%x1, %a, %c1 : ...) { math.exp2(math.fma) }
    %p1 = sage_tile.convert %y1 order #order : ...
    %p = sage_tile.concat %p0, %p1 : ...
    ```
  }];
  let options = [
    Option<"chunks", "chunks", "int64_t", "8",
           "Number of column chunks; lowered until a chunk is a multiple of 16 columns">
  ];
}

def IssueMmaAsync : SageTile_Pass<"sage-tile-issue-mma-async"> {
  let summary = "Splits the products of a warpgroup into issue and wait";
  let description = [{
    `mma` becomes `mma_async`, and `wait` directly before the first use of the result. A product
    whose operands are there is issued together with the one before it, unless both are added to the same sum and
    can share registers. A product that accumulates onto the one before needs no wait between. Waits also precede what
    must not happen while a product is in flight: a write to a tile that it reads, packing of an
    A operand while a product reads registers, the end of the block. Kernels whose unit is a warp
    have no asynchronous products and are left alone.
  }];
}

def SpecializeWarps : SageTile_Pass<"sage-tile-specialize-warps"> {
  let summary = "Moves copies to a producer, and everything else to consumers, joined by barriers";
  let description = [{
    Copies with no consumer operation between them share a *full* barrier (the producer announces
    their bytes) and, in a loop, an *empty* barrier on which every unit arrives after its last use.
    The producer's loop has no loop-carried values; its indices must be functions of the induction
    variable and of values above the loop. Allocations, fills and scalars stay above both regions.
    Vectors whose size is no multiple of 16 bytes are not copied: their users load them from device memory.
    Prefetches move to the producer where they stand, with the scalars they need; no barrier follows them.
    There is one stage: `sage-tile-pipeline-copies` adds more.
  }];
  let options = [
    Option<"producerRegisters", "producer-registers", "int64_t", "-1",
           "Registers per thread of the producer; 0 leaves them; -1 computes both from the launch">,
    Option<"consumerRegisters", "consumer-registers", "int64_t", "-1",
           "Registers per thread of the consumers; 0 leaves them; -1 computes both from the launch">
  ];
}

def PipelineCopies : SageTile_Pass<"sage-tile-pipeline-copies"> {
  let summary = "Gives the tiles that a loop copies several stages, and copies ahead";
  let description = [{
    In a specialized kernel, tiles and barriers of a loop get `stages` stages: iteration i uses
    slot i mod stages and parity (i floordiv stages) mod 2; a producer's parity is inverted, so
    that its first waits pass. In other kernels the copies of iteration i + stages - 1 are issued
    by all units (cp.async groups) at the start of iteration i, after a prologue for the first
    stages - 1 iterations; one stage waits for its own copies. Parts of a tile that are filled
    before the loop (the rows of ones that sum the probabilities) are filled in every stage.
  }];
  let options = [
    Option<"stages", "stages", "int64_t", "2", "Number of stages of every tile that a loop copies">
  ];
}

def PeelMasks : SageTile_Pass<"sage-tile-peel-masks"> {
  let summary = "Splits a loop whose first and last iterations are masked, so that the others have no mask code";
  let description = [{
    A loop over [lower, T) that holds `scf.if (i < M)` becomes one over [lower, min(M, T)), in
    which the condition is true, and one over [min(M, T), T), in which it is false. With
    `scf.if (i >= L)`, or a condition that is either, a third loop over the last iterations follows,
    in which it is true.
  }];
  let options = [
    Option<"dropsGuards", "drop-guards", "bool", "false",
           "Remove comparisons with the score of a masked key from the unmasked loop; valid if every unmasked score is "
           "above -infinity, which holds for scores that come from integer products with finite scales">
  ];
}

def SinkConversions : SageTile_Pass<"sage-tile-sink-conversions"> {
  let summary = "Converts scores where their exponentials are, and probabilities below the barrier of their product";
  let description = [{
    Conversions of the scores to floats, and masks of floats, move behind the maximum, which is taken of integers: then they
    fill the time in which its lanes wait for each other.

    The assembler packs two probabilities as soon as they are there, and an instruction that waits for the special
    function unit holds up all behind it, the next exponentials among them. Waiting for the barrier of V
    ends a basic block, over which the assembler moves nothing: with the packing below it the exponentials
    stream. Packing that anything but products uses stays, and so does what would pass a product in flight.

    ```mlir
    %p = sage_tile.convert %y order #order : ...
    sage_tile.barrier_wait %full[%slot] parity(%parity) : <2>
    %T = sage_tile.mma_async %p, %v, %zero : ...
    // becomes
    sage_tile.barrier_wait %full[%slot] parity(%parity) : <2>
    %p = sage_tile.convert %y order #order : ...
    %T = sage_tile.mma_async %p, %v, %zero : ...
    ```
  }];
}

def MakePersistent : SageTile_Pass<"sage-tile-make-persistent"> {
  let summary = "Thread blocks of a specialized kernel compute one block id after the other, as long as there are tickets";
  let description = [{
    A thread block begins with its own id, and takes the next with a ticket (`sage_tile.tickets`), until there are no more. The
    producer copies for the next id while the consumers are at this one, so that neither the first copies nor
    the stores of results leave the tensor cores idle. Rings of stages go on from id to id; what was copied once
    has two slots. The kernel is marked `persistent`: its launch needs no more blocks than run at once.

    ```mlir
    sage_tile.tickets %counters[%c0] ids %tiles : memref<?xi32>
    %block = sage_tile.block_id
    sage_tile.specialize producer registers(32) { copies } consumer registers(160) { computes }
    // becomes
    sage_tile.specialize producer registers(32) {
      scf.while ... { puts the id; while there is one } do { copies; takes a ticket }
    } consumer registers(160) {
      scf.while ... { gets the id; while there is one } do { computes; frees the slot }
    }
    ```
  }];
}

def FenceProducts : SageTile_Pass<"sage-tile-fence-products"> {
  let summary = "Keeps instructions from moving into or out of the products of a loop";
  let description = [{
    Puts a `sage_tile.schedule_barrier` before every product whose first operand is computed in the loop (P; the
    operand of the scores is not), except where the product before it is its accumulator. Where the output takes most
    registers this keeps operands and fresh fragments of one column chunk at a time in the others.

    ```mlir
    %T0 = sage_tile.mma %p, %v0, %zero : ...
    %O0 = sage_tile.map ins(%O, %alpha, %T0 : ...) { math.fma }
    %T1 = sage_tile.mma %p, %v1, %zero : ...
    // becomes
    sage_tile.schedule_barrier
    %T0 = sage_tile.mma %p, %v0, %zero : ...
    %O0 = sage_tile.map ins(%O, %alpha, %T0 : ...) { math.fma }
    sage_tile.schedule_barrier
    %T1 = sage_tile.mma %p, %v1, %zero : ...
    ```
  }];
}

def Distribute : SageTile_Pass<"sage-tile-distribute"> {
  let summary = "Rewrites fragments into what one lane holds of them";
  let description = [{
    Every fragment becomes a `vector` of the layout's registers, 8-bit elements packed four to an
    i32. Arithmetic works on whole vectors; where an operand has fewer registers, or another order,
    than the result, `vector.shuffle` picks them. Reductions combine the registers of a lane, then
    lanes by `gpu.shuffle`. Loads and stores are as wide as the layout and the alignment allow: memref
    arguments start at a multiple of 16 bytes, and their dynamic strides are multiples of 16 bytes.
    A shared tile that is loaded as an accumulator is read again for every register: loads are
    cheaper there than moves.

    Reductions across warps, and maps that would move elements between lanes, are refused.

    ```mlir
    %m = sage_tile.reduce <maximumf> %s : !sage_tile.fragment<16x8xf32, #acc> to !sage_tile.fragment<16x1xf32, #row>
    // becomes, for the first of two rows,
    %0 = arith.maximumf %s0, %s1 : f32
    %1, %valid = gpu.shuffle xor %0, %c1, %c32 : f32
    ...
    ```
  }];
  let dependentDialects = [
    "::mlir::arith::ArithDialect", "::mlir::gpu::GPUDialect", "::mlir::math::MathDialect",
    "::mlir::memref::MemRefDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"
  ];
}

def InjectFault : SageTile_Pass<"sage-tile-inject-fault"> {
  let summary = "Plants a known error in a kernel (for tests of the tests)";
  let description = [{
    Test-only: an accuracy or race test that passes with one of these faults is too weak. A kernel
    to which the fault does not apply is an error. Kinds:

    * `wrong-scale-index`: columns take the key scales of the groups in reverse.
    * `missing-rescale`: the output of earlier tiles is not rescaled (alpha = 1).
    * `mask-off-by-one`: one key too many is visible.
    * `swapped-value-order`: neighbouring probabilities are packed in each other's place.
    * `dropped-lse-correction`: the LSE lacks the term of smooth K.
    * `missing-value-scale`: the output is not multiplied by the scales of V.
    * `wrong-tile-order`: tiles are visited from the first to the last; masks still expect the last first.
    * `unmasked-tail`: no score is masked.
    * `stale-stage`: a consumer reads the next slot of a staged tile.
    * `missing-full-wait`: a consumer reads a tile without waiting for its copy.
    * `missing-empty-wait`: a copy does not wait until the tile has been read.
  }];
  let options = [
    Option<"kind", "kind", "std::string", "\"\"", "Which error to plant (see the description)">,
    Option<"kernelName", "kernel", "std::string", "\"\"",
           "Symbol of the kernel to plant it in; others are left alone (empty: all)">
  ];
}

#endif
