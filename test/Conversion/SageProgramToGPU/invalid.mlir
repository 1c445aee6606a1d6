// RUN: sage-opt %s --convert-sage-program-to-gpu --split-input-file --verify-diagnostics

// expected-error @below {{problem must have head_dim, element_type, layout and shape, but got}}
sage_tile.program @attend {head_dim = 64 : i64} {
}

// -----

sage_tile.program @attend {element_type = f16, head_dim = 64 : i64, layout = #sage.layout<head_major>, lse = false,
                           shape = array<i64: -1, -1, -1, -1, -1>} {
  // expected-error @below {{kernel must be at the NVVM level, but got @kernels::@first}}
  // expected-note @below {{run sage-to-nvvm before this pass, and gpu-module-to-binary after it}}
  sage_tile.launch @kernels::@first grid affine_map<()[b] -> (b)> args []
}
gpu.module @kernels {
  sage_tile.kernel @first() attributes {unit = #sage_tile.unit<warp>, units = 4 : i32} {
    sage_tile.return
  }
}

// -----

module attributes {gpu.container_module} {
  sage_tile.program @attend {element_type = f16, head_dim = 64 : i64, layout = #sage.layout<head_major>, lse = false,
                             shape = array<i64: -1, -1, -1, -1, -1>} {
    sage_tile.launch @kernels::@first grid affine_map<()[b] -> (b)> args []
  }
  gpu.module @kernels {
    // expected-error @below {{must have nvvm.maxntid, from which the launch takes its block size}}
    llvm.func @first() attributes {gpu.kernel, nvvm.kernel} {
      llvm.return
    }
  }
}

// -----

// expected-error @below {{function @attend_workspace_bytes must be new, but the module has one}}
sage_tile.program @attend {element_type = f16, head_dim = 64 : i64, layout = #sage.layout<head_major>, lse = false,
                           shape = array<i64: -1, -1, -1, -1, -1>} {
}
// expected-note @below {{rename this symbol}}
func.func private @attend_workspace_bytes()

// -----

// expected-note @below {{the program's functions replace it}}
module {
  func.func @caller(%q: memref<1x2x?x64xf16>) {
    // expected-error @below {{program must be a sage_tile.program of the module, but got @attend}}
    sage_tile.invoke @attend ins(%q, %q, %q : memref<1x2x?x64xf16>, memref<1x2x?x64xf16>, memref<1x2x?x64xf16>)
      outs(%q : memref<1x2x?x64xf16>)
    return
  }
}

// -----

// expected-note @below {{the program takes query, key, value, then what its problem names, output and lse}}
sage_tile.program @attend {element_type = f16, head_dim = 64 : i64, layout = #sage.layout<head_major>, lse = true,
                           shape = array<i64: -1, -1, -1, -1, -1>} {
}
func.func @caller(%q: memref<1x2x?x64xf16>) {
  // expected-error @below {{must have 5 operands, but got 4}}
  sage_tile.invoke @attend ins(%q, %q, %q : memref<1x2x?x64xf16>, memref<1x2x?x64xf16>, memref<1x2x?x64xf16>)
    outs(%q : memref<1x2x?x64xf16>)
  return
}

// -----

sage_tile.program @attend {element_type = f16, head_dim = 64 : i64, layout = #sage.layout<head_major>, lse = false,
                           shape = array<i64: -1, -1, -1, -1, -1>} {
}
func.func @caller(%q: memref<1x2x?x64xf16>, %k: memref<1x2x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>) {
  // expected-error @below {{key must be a buffer of type 'memref<?x?x?x64xf16, strided<[?, ?, ?, 1], offset: ?>>', but got}}
  // expected-note @below {{the last dimension must be dense, in the default memory space}}
  sage_tile.invoke @attend ins(%q, %k, %q : memref<1x2x?x64xf16>, memref<1x2x?x64xf16, strided<[?, ?, ?, ?], offset: ?>>, memref<1x2x?x64xf16>)
    outs(%q : memref<1x2x?x64xf16>)
  return
}

// -----

sage_tile.program @attend {element_type = f16, head_dim = 64 : i64, layout = #sage.layout<head_major>, lse = false,
                           shape = array<i64: -1, -1, -1, -1, -1>} {
}
func.func @caller(%q: memref<1x2x?x64xf16>, %o: memref<1x2x?x64xf16, 3>) {
  // expected-error @below {{output must be a buffer of type}}
  // expected-note @below {{the last dimension must be dense, in the default memory space}}
  sage_tile.invoke @attend ins(%q, %q, %q : memref<1x2x?x64xf16>, memref<1x2x?x64xf16>, memref<1x2x?x64xf16>)
    outs(%o : memref<1x2x?x64xf16, 3>)
  return
}
