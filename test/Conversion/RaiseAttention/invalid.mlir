// RUN: not sage-opt %s --sage-raise-attention=recipe=sage9 --allow-unregistered-dialect 2>&1 | FileCheck %s --check-prefix=RECIPE
// RUN: not sage-opt %s --sage-raise-attention=element-type=f64 --allow-unregistered-dialect 2>&1 | FileCheck %s --check-prefix=TYPE
// RUN: sage-opt %s --sage-raise-attention --allow-unregistered-dialect 2>&1 | FileCheck %s --check-prefix=FORM

// RECIPE: error: recipe must be a named one, but got 'sage9'
// RECIPE: note: the recipes are sage2-8b
// TYPE: error: element-type must be f16 or bf16, but got 'f64'
module {
  // FORM: remark: attention was not raised: the scale of tm_tensor.attention must be known, but the head dim is dynamic
  // FORM: tm_tensor.attention
  func.func @dynamic_channels(%q: tensor<2x8x?xf32>, %k: tensor<2x8x?xf32>, %v: tensor<2x8x16xf32>, %o: tensor<2x8x16xf32>) -> tensor<2x8x16xf32> {
    %r = "tm_tensor.attention"(%q, %k, %v, %o) : (tensor<2x8x?xf32>, tensor<2x8x?xf32>, tensor<2x8x16xf32>, tensor<2x8x16xf32>) -> tensor<2x8x16xf32>
    return %r : tensor<2x8x16xf32>
  }
}
