//===- ErrorBound.h - how far a right kernel may be from the reference -----===//
// The reference and a kernel start from the same integers, scales and e4m3 V (which
// are compared bit for bit), and integer scores are exact. What may differ, by the
// specification (docs/Spec.md), and what each is worth in O:
//
// 0. *Scores of floats (N8).* Integer products are exact. Those of e4m3 and of 16-bit
//    operands are added in another order and cut off behind 13 or 22 bits: each of
//    the addends loses up to u; so x moves, and p by its share. The same holds for dS
//    of smooth Q, a float32 sum.
// 1. *Rounding of P (N9).* The kernel's exp2 and its argument have rounding errors of
//    their own, so p differs by a relative eta (`argumentError`, below). Where e4m3
//    rounds p·(1-eta) and p·(1+eta) alike, P8 is the same on both sides; elsewhere it
//    may be one code off, and O moves by at most (that code's width)·|V8[j,d]|. The
//    bound adds exactly these places up: `codes`. No place is a tie by assumption;
//    each is looked at.
// 2. *22-bit accumulation (N10).* A product of 32 keys is aligned to its largest
//    exponent e and cut off behind 13 bits: each of the at most 33 addends loses
//    between 0 and u = 2^(e-13). Hardware may do so, or add in float32 (sm_89's e4m3
//    products on a Hopper GPU). So the distance to the float32 reference is at most
//    that of the 22-bit reference, |O22 - O32|, plus the spread of both around their
//    common expectation. By Hoeffding's inequality the sum of independent errors of
//    widths u leaves its mean by more than sqrt(sum u^2 · ln(2/d)/2) with probability
//    d; d = 1e-11 gives 3.6·sqrt(sum u^2) each: `spread`, the sum over u^2.
//    16-bit products and the f16 inner accumulator go the same way with their own widths.
// 3. *Row sums (N11).* As 1 and 2, with V = 1; relative to O. The LSE is log2 of the sum:
//    a tolerance holds the spread, |LSE22 - LSE32| the mean of what is cut off.
// 4. *Rescaling, normalization (N10, N12)*: some float32 roundings; `relative`.
// 5. *Rounding of O*: two nearby numbers may round to neighbouring f16 or bf16: one
//    unit in the last place.
//
// Per element: |O - O32| <= codes + |O22 - O32| + 2·3.6·sqrt(spread) + relative·|O| + ulp(O).
// In the mean (relative L1) independent errors average out; there the bound is
//    sum(codes + 2·|O22 - O32| + relative·|O| + ulp(O)/4) / sum|O|:
// a rounding error is a quarter of a unit on average, and hardware deviates as much as
// the 22-bit model, up to a factor of 2 for another order of addition.
//===----------------------------------------------------------------------===//
#ifndef SAGE_GPU_TEST_ERRORBOUND_H
#define SAGE_GPU_TEST_ERRORBOUND_H

#include "Reference.h"

#include <vector>

namespace sage::gpu {

/// How the kernel turns integer scores into exponents: what decides the error of the
/// exponent's argument.
enum class ScoreConversion {
  Exact, ///< float(S), then one fused multiply-add as in the specification
  /// S + 12582912 as it comes out of the accumulator; the constant
  /// fma(-12582912, a, log2 448 - m) is rounded once, at its own magnitude.
  FoldedMagic
};

/// Everything but |O22 - O32| and the rounding of O, in units of O.
struct ErrorBounds {
  std::vector<float> codes, spread; // B×Hq×Nq×Dv
  std::vector<float> relative;      // B×Hq×Nq
  std::vector<float> lse;           // B×Hq×Nq: what points 0 and 3 add to the LSE's tolerance
  bool hasModel;                    ///< whether O22 models the accumulator
};

/// `queryMeans`: B×Hq×blocks×D under smooth Q, else empty.
/// Of a call without lengths.
ErrorBounds computeErrorBounds(const runtime::ReferenceOperands &operands, const sage_call &call,
                               const std::vector<float> &queryMeans, ScoreConversion conversion);

/// A unit in the last place of the element type at that magnitude.
float unitInLastPlace(sage_element_type type, float magnitude);

/// How an output compares with the reference.
struct OutputComparison {
  double elementRatio = 0; ///< largest error / bound of an element
  int64_t worstIndex = -1;
  double relativeL1 = 0, relativeL1Bound = 0;
  double largestError = 0;
  int64_t mismatches = 0; ///< NaN or infinity on one side only
  double worst() const;   ///< the larger ratio; infinite after a mismatch
};

/// Dense B×H×N×D elements of the problem's type.
OutputComparison compareOutputs(const std::vector<uint16_t> &output,
                                const std::vector<uint16_t> &reference32,
                                const std::vector<uint16_t> &reference22, const ErrorBounds &bounds,
                                sage_element_type type);

/// Largest |LSE - LSE32| / (tolerance·max(1, |LSE32|) + |LSE22 - LSE32| + the row's bound);
/// infinite where only one side is.
double compareLse(const std::vector<float> &lse, const std::vector<float> &reference32,
                  const std::vector<float> &reference22, const ErrorBounds &bounds,
                  double tolerance);

} // namespace sage::gpu

#endif
