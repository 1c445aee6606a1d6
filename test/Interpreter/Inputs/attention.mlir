// RECIPE, QUERYDIM, VALUEDIM, ELEMENT and ATTRIBUTES are replaced by the tests that read this file.
func.func @attention(%q: tensor<?x?x?xQUERYDIMxELEMENT>, %k: tensor<?x?x?xQUERYDIMxELEMENT>,
                     %v: tensor<?x?x?xVALUEDIMxELEMENT>, %o0: tensor<?x?x?xVALUEDIMxELEMENT>, %lse0: tensor<?x?x?xf32>)
    -> (tensor<?x?x?xVALUEDIMxELEMENT>, tensor<?x?x?xf32>) {
  %o, %lse = sage.attention
      ins(%q, %k, %v : tensor<?x?x?xQUERYDIMxELEMENT>, tensor<?x?x?xQUERYDIMxELEMENT>, tensor<?x?x?xVALUEDIMxELEMENT>)
      outs(%o0, %lse0 : tensor<?x?x?xVALUEDIMxELEMENT>, tensor<?x?x?xf32>)
      {recipe = #sage.recipe<RECIPE>, ATTRIBUTES}
      -> tensor<?x?x?xVALUEDIMxELEMENT>, tensor<?x?x?xf32>
  return %o, %lse : tensor<?x?x?xVALUEDIMxELEMENT>, tensor<?x?x?xf32>
}
