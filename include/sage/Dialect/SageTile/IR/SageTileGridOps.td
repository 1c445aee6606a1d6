//===- SageTileGridOps.td - between thread blocks, and between launches ---------===//

#ifndef SAGE_DIALECT_SAGETILE_IR_SAGETILEGRIDOPS_TD
#define SAGE_DIALECT_SAGETILE_IR_SAGETILEGRIDOPS_TD

include "sage/Dialect/SageTile/IR/SageTileFragmentOps.td"

def SageTile_BlockCountOp : SageTile_Op<"block_count", [Pure]> {
  let summary = "Number of thread blocks of the (one-dimensional) grid.";
  let results = (outs Index:$result);
  let assemblyFormat = "attr-dict";
}

def SageTile_CountOp : SageTile_Op<"count", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Adds one to a counter in device memory, and gives what it was; all units together.";
  let description = [{
    What the block's units wrote to device memory before is visible to every block for which `sage_tile.await` saw the
    new number; the number itself makes nothing visible (an atomic addition that releases).
    The numbers of one counter are a ticket for each block, given out in the order of arrival, whatever
    order blocks are started in. In a producer's region only the producer counts. With
    `wraps`, the counter is 0 again after that many additions.

    ```mlir
    %ticket = sage_tile.count %counters[%c0] : memref<?xi32>
    ```
  }];
  let arguments = (ins AnyMemRef:$counters, Index:$index, Optional<Index>:$wraps);
  let results = (outs Index:$result);
  let assemblyFormat = "$counters `[` $index `]` (`wraps` $wraps^)? attr-dict `:` type($counters)";
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

def SageTile_TicketsOp : SageTile_Op<"tickets", [HasParent<"KernelOp">, MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Allows fewer thread blocks than block ids: what `sage-tile-make-persistent` hands out further ids with.";
  let description = [{
    The kernel computes something for every block id below `ids`; the counter in device memory is 0 when it starts.
    By itself the operation does nothing: the grid has `ids` blocks.

    ```mlir
    sage_tile.tickets %counters[%c0] ids %tiles : memref<?xi32>
    ```
  }];
  let arguments = (ins AnyMemRef:$counters, Index:$index, Index:$ids);
  let assemblyFormat = "$counters `[` $index `]` `ids` $ids attr-dict `:` type($counters)";
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

def SageTile_PutOp : SageTile_Op<"put", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Writes a number into a vector in shared memory; by a producer.";
  let description = [{
    Consumers see it after a wait for a barrier that the producer arrived on since.

    ```mlir
    sage_tile.put %number in %numbers[%slot] : !sage_tile.shared<4xi32>
    ```
  }];
  let arguments = (ins Index:$number, SageTile_SharedType:$target, Index:$index);
  let assemblyFormat = "$number `in` $target `[` $index `]` attr-dict `:` type($target)";
  let hasVerifier = 1;
}

def SageTile_GetOp : SageTile_Op<"get", [MemoryEffects<[MemRead, MemWrite]>]> {
  let summary = "Reads a number that a producer has put; the same for all lanes and units.";
  let description = [{
    It is read where the operation stands, and what is computed from it is not merged with what was computed from
    another one (as with `reload` of `sage_tile.block_id`).

    ```mlir
    %number = sage_tile.get %numbers[%slot] : !sage_tile.shared<4xi32>
    ```
  }];
  let arguments = (ins SageTile_SharedType:$source, Index:$index);
  let results = (outs Index:$result);
  let assemblyFormat = "$source `[` $index `]` attr-dict `:` type($source)";
  let hasVerifier = 1;
}

#endif
