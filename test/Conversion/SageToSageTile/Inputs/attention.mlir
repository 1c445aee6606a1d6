func.func @attend(%q: tensor<2x384x3x64xf16>, %k: tensor<2x384x3x64xf16>, %v: tensor<2x384x3x64xf16>, %o: tensor<2x384x3x64xf16>,
                  %l: tensor<2x3x384xf32>, %n: tensor<2xi32>) -> (tensor<2x384x3x64xf16>, tensor<2x3x384xf32>) {
  %r, %lse = sage.attention ins(%q, %k, %v : tensor<2x384x3x64xf16>, tensor<2x384x3x64xf16>, tensor<2x384x3x64xf16>)
      key_lengths(%n : tensor<2xi32>) outs(%o, %l : tensor<2x384x3x64xf16>, tensor<2x3x384xf32>)
      {recipe = #sage.recipe<RECIPE>, layout = #sage.layout<token_major>} -> tensor<2x384x3x64xf16>, tensor<2x3x384xf32>
  return %r, %lse : tensor<2x384x3x64xf16>, tensor<2x3x384xf32>
}
