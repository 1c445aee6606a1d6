// Every level parses back and continues to the same artifact.
// REQUIRES: sage-compile
// DEFINE: %{level} =
// DEFINE: %{continue} = sage-opt %t/%{level}.mlir -o %t/again.mlir && sage-compile %t/again.mlir -o %t/again.ptx && cmp %t/direct.ptx %t/again.ptx
// RUN: rm -rf %t && mkdir %t

// RUN: sage-compile %sage_src/examples/attention.mlir --chip=sm_90a --save-temps=%t -o %t/direct.ptx
// REDEFINE: %{level} = 1-legal
// RUN: %{continue}
// REDEFINE: %{level} = 2-sage
// RUN: %{continue}
// REDEFINE: %{level} = 3-tile-sequential
// RUN: %{continue}
// REDEFINE: %{level} = 4-tile
// RUN: %{continue}
// REDEFINE: %{level} = 5-lanes
// RUN: %{continue}
// REDEFINE: %{level} = 6-nvvm
// RUN: %{continue}

// RUN: sage-compile %sage_src/examples/attention.mlir --chip=sm_89 --save-temps=%t -o %t/direct.ptx
// REDEFINE: %{level} = 2-sage
// RUN: %{continue}
// REDEFINE: %{level} = 3-tile-sequential
// RUN: %{continue}
// REDEFINE: %{level} = 4-tile
// RUN: %{continue}
// REDEFINE: %{level} = 5-lanes
// RUN: %{continue}
// REDEFINE: %{level} = 6-nvvm
// RUN: %{continue}
