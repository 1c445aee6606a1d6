//===- SageTileGridOps.td - between thread blocks, and between launches ---------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILEGRIDOPS_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILEGRIDOPS_TD

include "sage/Dialect/SageTile/IR/SageTileOps.td"

def SageTile_CountOp : SageTile_Op<"count", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Adds one to a counter in device memory, and gives what it was; all units together.";
  let description = [{
    What the block's units wrote to device memory before is visible to every block for which `sage_tile.await` saw the
    new number; the number itself makes nothing visible (an atomic addition that releases).
    The numbers of one counter are a ticket for each block, given out in the order of arrival, whatever
    order blocks are started in.

    ```mlir
    %ticket = sage_tile.count %counters[%c0] : memref<?xi32>
    ```
  }];
  let arguments = (ins AnyMemRef:$counters, Index:$index);
  let results = (outs Index:$result);
  let assemblyFormat = "$counters `[` $index `]` attr-dict `:` type($counters)";
  let hasVerifier = 1;
}

def SageTile_AwaitOp : SageTile_Op<"await", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits until a counter in device memory is at least `number`; all units together.";
  let description = [{
    Afterwards the units see what the blocks wrote before they counted. Only what blocks with an earlier ticket
    of `sage_tile.count` do without waiting may be waited for: other blocks need not run yet.

    ```mlir
    sage_tile.await %counters[%head] reaches %tiles : memref<?xi32>
    ```
  }];
  let arguments = (ins AnyMemRef:$counters, Index:$index, Index:$number);
  let assemblyFormat = "$counters `[` $index `]` `reaches` $number attr-dict `:` type($counters)";
  let hasVerifier = 1;
}

def SageTile_GridWaitOp : SageTile_Op<"grid_wait", [HasParent<"KernelOp">, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Waits until the launches before this one are complete, where it overlaps with them.";
  let description = [{
    A launch that `overlaps` may start while the one before it runs (PTX ISA, "griddepcontrol"): above the wait its kernel
    touches nothing that an earlier launch of the program writes, and writes nothing that one reads.

    ```mlir
    sage_tile.kernel @late() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
      sage_tile.grid_wait
      sage_tile.return
    }
    ```
  }];
  let assemblyFormat = "attr-dict";
}

def SageTile_GridReleaseOp : SageTile_Op<"grid_release", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Lets a next launch that `overlaps` start as soon as every block is here or has ended.";
  let assemblyFormat = "attr-dict";
}

#endif
