// The plugin's dialects parse, verify and print in stock mlir-opt, and its errors are those of sage-opt.

// REQUIRES: sage-plugin
// RUN: %mlir_opt --load-dialect-plugin=%sage_plugin %s | FileCheck %s
// RUN: %mlir_opt --load-dialect-plugin=%sage_plugin --show-dialects | FileCheck %s --check-prefix=DIALECTS
// RUN: not %mlir_opt --load-dialect-plugin=%sage_plugin --load-pass-plugin=%sage_plugin %s \
// RUN:     --pass-pipeline='builtin.module(sage-legalize-recipe{chip=sm_70})' 2>&1 | FileCheck %s --check-prefix=CHIP
// RUN: not %mlir_opt --load-pass-plugin=%sage_plugin %s 2>&1 | FileCheck %s --check-prefix=NODIALECT

// DIALECTS: sage
// DIALECTS-SAME: sage_tile

// CHECK-LABEL: func.func @attention
// CHECK: sage.attention
// CHECK-SAME: #sage.recipe<"sage2-8b">
// CHIP: plugin.mlir:{{.*}}: error: chip must be one of {{.*}}sm_90a{{.*}}, but got 'sm_70'
// NODIALECT: error: {{.*}}sage
func.func @attention(%q: tensor<1x4x?x128xf16>, %o: tensor<1x4x?x128xf16>) -> tensor<1x4x?x128xf16> {
  %r = sage.attention ins(%q, %q, %q : tensor<1x4x?x128xf16>, tensor<1x4x?x128xf16>, tensor<1x4x?x128xf16>)
      outs(%o : tensor<1x4x?x128xf16>) {recipe = #sage.recipe<"sage2-8b">} -> tensor<1x4x?x128xf16>
  return %r : tensor<1x4x?x128xf16>
}
