!tensor = tensor<?x?x?xHEAD_DIMxf16>
func.func @attend(%q: !tensor, %k: !tensor, %v: !tensor, %o0: !tensor) -> !tensor {
  %o = sage.attention ins(%q, %k, %v : !tensor, !tensor, !tensor) outs(%o0 : !tensor)
      {recipe = #sage.recipe<"sage2-4b">, mask = #sage.mask<none>} -> !tensor
  return %o : !tensor
}
