// RECIPE and DIM are replaced by the test.
func.func @f(%q: tensor<?x?x?xDIMxf16>, %k: tensor<?x?x?xDIMxf16>, %v: tensor<?x?x?xDIMxf16>, %l: tensor<?x?x?xf32>)
    -> (tensor<?x?x?xDIMxf16>, tensor<?x?x?xf32>) {
  %o, %s = sage.attention ins(%q, %k, %v : tensor<?x?x?xDIMxf16>, tensor<?x?x?xDIMxf16>, tensor<?x?x?xDIMxf16>)
      outs(%q, %l : tensor<?x?x?xDIMxf16>, tensor<?x?x?xf32>)
      {recipe = #sage.recipe<RECIPE>, layout = #sage.layout<head_major>} -> tensor<?x?x?xDIMxf16>, tensor<?x?x?xf32>
  return %o, %s : tensor<?x?x?xDIMxf16>, tensor<?x?x?xf32>
}
