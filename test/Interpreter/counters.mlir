// RUN: sage-interpret %s --print-buffer=sums:f32 | FileCheck %s
// RUN: sage-interpret %s --print-buffer=sums:f32 --schedule-seed=5 --block-threads=1 | FileCheck %s
// RUN: sed s/reaches\ %c3/reaches\ %c4/ %s | not sage-interpret - 2>&1 | FileCheck %s --check-prefix=DEADLOCK
// REQUIRES: sage-interpret

// Tickets 0 to 2 write 1, 2 and 3 and count; those behind wait for them and add them up.

#one = #sage_tile.layout<lane = [32:(0, 0)], reg = []>
#three = #sage_tile.layout<lane = [32:(0, 0)], reg = [3:(0, 1)]>

sage_tile.program @p {} {
  sage_tile.workspace "progress" bytes affine_map<() -> (8)>
  sage_tile.workspace "parts" bytes affine_map<() -> (12)>
  sage_tile.workspace "sums" bytes affine_map<() -> (12)>
  sage_tile.launch @reset grid affine_map<() -> (1)> args [#sage_tile.pointer<"progress">]
  sage_tile.launch @k grid affine_map<() -> (6)> args [
    #sage_tile.pointer<"progress">, #sage_tile.pointer<"parts">, #sage_tile.pointer<"sums">] overlaps
}

sage_tile.kernel @reset(%progress: memref<?xi32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0 : i32
  sage_tile.grid_release
  %zeros = sage_tile.splat %zero : i32 to !sage_tile.fragment<1x3xi32, #three>
  %c2 = arith.constant 2 : index
  sage_tile.store %zeros, %progress[%c0] limit(%c2) : !sage_tile.fragment<1x3xi32, #three> to memref<?xi32>
  sage_tile.return
}

// CHECK: sums = [6, 6, 6]
// DEADLOCK: error: 'sage_tile.await' op deadlock: counter 1 must reach 4, but no block that runs can raise it
// DEADLOCK: note: in block
sage_tile.kernel @k(%progress: memref<?xi32>, %parts: memref<?xf32>, %sums: memref<?xf32>)
    attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %c4 = arith.constant 4 : index
  sage_tile.grid_wait
  %ticket = sage_tile.count %progress[%c0] : memref<?xi32>
  %writes = arith.cmpi slt, %ticket, %c3 : index
  scf.if %writes {
    %next = arith.addi %ticket, %c1 : index
    %word = arith.index_cast %next : index to i32
    %number = arith.sitofp %word : i32 to f32
    %unit = sage_tile.unit_id
    %first = arith.cmpi eq, %unit, %c0 : index
    scf.if %first {
      %part = sage_tile.splat %number : f32 to !sage_tile.fragment<1x1xf32, #one>
      sage_tile.store %part, %parts[%ticket] : !sage_tile.fragment<1x1xf32, #one> to memref<?xf32>
    }
    %before = sage_tile.count %progress[%c1] : memref<?xi32>
  } else {
    sage_tile.await %progress[%c1] reaches %c3 : memref<?xi32>
    %part = sage_tile.load %parts[%c0] : memref<?xf32> to !sage_tile.fragment<1x3xf32, #three>
    %sum = sage_tile.reduce <addf> %part : !sage_tile.fragment<1x3xf32, #three> to !sage_tile.fragment<1x1xf32, #one>
    %place = arith.subi %ticket, %c3 : index
    sage_tile.store %sum, %sums[%place] : !sage_tile.fragment<1x1xf32, #one> to memref<?xf32>
  }
  sage_tile.return
}
