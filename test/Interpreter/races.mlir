// RUN: not sage-interpret %s --program=race 2>&1 | FileCheck %s --check-prefix=RACE
// RUN: not sage-interpret %s --program=race --schedule-seed=3 2>&1 | FileCheck %s --check-prefix=RACE
// RUN: sage-interpret %s --program=synchronized --print-buffer=synchronized_out:f32 | FileCheck %s --check-prefix=GOOD
// RUN: sage-interpret %s --program=columns
// RUN: not sage-interpret %s --program=uninitialized 2>&1 | FileCheck %s --check-prefix=UNINITIALIZED
// RUN: not sage-interpret %s --program=divergent 2>&1 | FileCheck %s --check-prefix=DIVERGENT
// RUN: not sage-interpret %s --program=outside 2>&1 | FileCheck %s --check-prefix=OUTSIDE
// RUN: not sage-interpret %s --program=groups 2>&1 | FileCheck %s --check-prefix=GROUPS
// REQUIRES: sage-interpret

#lanes = #sage_tile.layout<lane = [32:(0, 1)], reg = []>
!vector = !sage_tile.fragment<1x32xf32, #lanes>
!tile = !sage_tile.shared<2x32xf32>

sage_tile.program @race {} {
  sage_tile.launch @race_k grid affine_map<() -> (1)> args []
}
// Each unit writes its row and reads the other's.
// RACE: error: 'sage_tile.{{load|store}}' op race: unit {{.}} {{reads|writes}} a tile !sage_tile.shared<2x32xf32>
// RACE: note: the other access is here
sage_tile.kernel @race_k() attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %f = arith.constant 1.0 : f32
  %tile = sage_tile.alloc : !tile
  sage_tile.fill %tile with 0.0 : f32 : !tile
  %unit = sage_tile.unit_id
  %other = arith.subi %c1, %unit : index
  %x = sage_tile.splat %f : f32 to !vector
  sage_tile.store %x, %tile[%unit, %c0] : !vector to !tile
  %y = sage_tile.load %tile[%other, %c0] : !tile to !vector
  sage_tile.return
}

sage_tile.program @synchronized {} {
  sage_tile.workspace "synchronized_out" bytes affine_map<() -> (256)>
  sage_tile.launch @synchronized_k grid affine_map<() -> (1)> args [#sage_tile.pointer<"synchronized_out">]
}
// GOOD: synchronized_out = [1, 1,
// GOOD-SAME: 0, 0]
sage_tile.kernel @synchronized_k(%out: memref<2x32xf32>) attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %tile = sage_tile.alloc : !tile
  %unit = sage_tile.unit_id
  %other = arith.subi %c1, %unit : index
  %number = arith.index_cast %unit : index to i32
  %f = arith.sitofp %number : i32 to f32
  %x = sage_tile.splat %f : f32 to !vector
  sage_tile.store %x, %tile[%unit, %c0] : !vector to !tile
  sage_tile.sync
  %y = sage_tile.load %tile[%other, %c0] : !tile to !vector
  sage_tile.store %y, %out[%unit, %c0] : !vector to memref<2x32xf32>
  sage_tile.return
}

sage_tile.program @columns {} {
  sage_tile.launch @columns_k grid affine_map<() -> (1)> args []
}
// Units may write columns of one row without synchronization.
sage_tile.kernel @columns_k() attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %c32 = arith.constant 32 : index
  %f = arith.constant 1.0 : f32
  %tile = sage_tile.alloc : !sage_tile.shared<1x64xf32>
  %unit = sage_tile.unit_id
  %column = arith.muli %unit, %c32 : index
  %x = sage_tile.splat %f : f32 to !vector
  sage_tile.store %x, %tile[%c0, %column] : !vector to !sage_tile.shared<1x64xf32>
  %y = sage_tile.load %tile[%c0, %column] : !sage_tile.shared<1x64xf32> to !vector
  sage_tile.return
}

sage_tile.program @uninitialized {} {
  sage_tile.launch @uninitialized_k grid affine_map<() -> (1)> args []
}
// UNINITIALIZED: error: 'sage_tile.load' op reads shared memory that was never written
sage_tile.kernel @uninitialized_k() attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %tile = sage_tile.alloc : !tile
  %y = sage_tile.load %tile[%c0, %c0] : !tile to !vector
  sage_tile.return
}

sage_tile.program @divergent {} {
  sage_tile.launch @divergent_k grid affine_map<() -> (1)> args []
}
// DIVERGENT: error: 'sage_tile.sync' op deadlock: no unit can continue
// DIVERGENT: note: unit 0 waits for unit 1 to arrive here
sage_tile.kernel @divergent_k() attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %unit = sage_tile.unit_id
  %first = arith.cmpi eq, %unit, %c0 : index
  scf.if %first {
    sage_tile.sync
  }
  sage_tile.return
}

sage_tile.program @outside {} {
  sage_tile.workspace "outside_in" bytes affine_map<() -> (256)>
  sage_tile.launch @outside_k grid affine_map<() -> (3)> args [#sage_tile.pointer<"outside_in">]
}
// OUTSIDE: error: 'sage_tile.load' op element must be inside the buffer's 256 bytes, but got byte 256
// OUTSIDE: note: in block 2
sage_tile.kernel @outside_k(%in: memref<?x32xf32>) attributes {unit = #sage_tile.unit<warp>, units = 1 : i32} {
  %c0 = arith.constant 0 : index
  %block = sage_tile.block_id
  %y = sage_tile.load %in[%block, %c0] : memref<?x32xf32> to !vector
  sage_tile.return
}

sage_tile.program @groups {} {
  sage_tile.workspace "groups_in" bytes affine_map<() -> (256)>
  sage_tile.launch @groups_k grid affine_map<() -> (1)> args [#sage_tile.pointer<"groups_in">]
}
// A unit has waited for its own part of the copy, not for the other's.
// GROUPS: error: 'sage_tile.load' op unit {{.}} reads a tile {{.*}} whose copy may still be in flight
sage_tile.kernel @groups_k(%in: memref<?x32xf32>) attributes {unit = #sage_tile.unit<warp>, units = 2 : i32} {
  %c0 = arith.constant 0 : index
  %tile = sage_tile.alloc : !tile
  sage_tile.copy_async %in[%c0, %c0] to %tile : memref<?x32xf32> to !tile
  sage_tile.commit_group
  sage_tile.wait_group 0
  %y = sage_tile.load %tile[%c0, %c0] : !tile to !vector
  sage_tile.return
}
