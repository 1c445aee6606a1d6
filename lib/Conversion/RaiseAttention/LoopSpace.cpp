// Index expressions, simplified by what is known of the loops' extents.

#include "LoopSpace.h"

#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace sage::raising;

void IndexSum::addTerm(AffineExpr atom, int64_t coefficient) {
  for (IndexTerm &term : terms)
    if (term.atom == atom) {
      term.coefficient += coefficient;
      return;
    }
  terms.push_back({atom, coefficient});
}

void IndexSum::add(AffineExpr expr, int64_t factor) {
  if (auto value = dyn_cast<AffineConstantExpr>(expr)) {
    constant += value.getValue() * factor;
    return;
  }
  if (expr.getKind() == AffineExprKind::Add) {
    auto sum = cast<AffineBinaryOpExpr>(expr);
    add(sum.getLHS(), factor);
    add(sum.getRHS(), factor);
    return;
  }
  if (expr.getKind() == AffineExprKind::Mul) {
    auto product = cast<AffineBinaryOpExpr>(expr);
    if (auto value = dyn_cast<AffineConstantExpr>(product.getRHS()))
      return add(product.getLHS(), factor * value.getValue());
  }
  addTerm(expr, factor);
}

/// c·(x floordiv c) + x mod c is x.
void IndexSum::joinRemainders() {
  for (size_t i = 0; i < terms.size(); ++i) {
    if (terms[i].atom.getKind() != AffineExprKind::Mod)
      continue;
    auto remainder = cast<AffineBinaryOpExpr>(terms[i].atom);
    auto divisor = dyn_cast<AffineConstantExpr>(remainder.getRHS());
    if (!divisor)
      continue;
    AffineExpr quotient = remainder.getLHS().floorDiv(divisor.getValue());
    int64_t wanted = terms[i].coefficient * divisor.getValue();
    auto found = llvm::find_if(terms, [&](const IndexTerm &term) {
      return term.atom == quotient && term.coefficient == wanted;
    });
    if (found == terms.end())
      continue;
    terms[i].atom = remainder.getLHS();
    terms.erase(found);
    i = static_cast<size_t>(-1);
  }
}

IndexSum IndexSum::get(AffineExpr expr) {
  IndexSum sum;
  sum.add(expr, 1);
  sum.joinRemainders();
  llvm::erase_if(sum.terms, [](const IndexTerm &term) { return term.coefficient == 0; });
  // One order for all, so that equal sums are equal expressions.
  llvm::stable_sort(sum.terms, [](const IndexTerm &a, const IndexTerm &b) {
    auto x = dyn_cast<AffineDimExpr>(a.atom), y = dyn_cast<AffineDimExpr>(b.atom);
    return x && y ? x.getPosition() < y.getPosition() : bool(x) > bool(y);
  });
  return sum;
}

AffineExpr IndexSum::toExpr(MLIRContext *context) const {
  AffineExpr result = getAffineConstantExpr(constant, context);
  for (const IndexTerm &term : terms)
    result = result + term.atom * term.coefficient;
  return result;
}

unsigned LoopSpace::add(int64_t extent) {
  extents.push_back(extent);
  return extents.size() - 1;
}

AffineExpr LoopSpace::get(unsigned loop) const {
  return extents[loop] == 1 ? getConstant(0) : getAffineDimExpr(loop, context);
}

AffineExpr LoopSpace::getConstant(int64_t value) const {
  return getAffineConstantExpr(value, context);
}

std::optional<int64_t> LoopSpace::getMaximum(AffineExpr expr) const {
  if (auto loop = dyn_cast<AffineDimExpr>(expr)) {
    int64_t extent = extents[loop.getPosition()];
    if (ShapedType::isDynamic(extent))
      return std::nullopt;
    return std::max<int64_t>(extent - 1, 0);
  }
  if (auto value = dyn_cast<AffineConstantExpr>(expr))
    return value.getValue() < 0 ? std::nullopt : std::optional<int64_t>(value.getValue());
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  auto right = dyn_cast<AffineConstantExpr>(binary.getRHS());
  std::optional<int64_t> left = getMaximum(binary.getLHS());
  switch (expr.getKind()) {
  case AffineExprKind::Mod:
    if (!right)
      return std::nullopt;
    return left ? std::min(*left, right.getValue() - 1) : right.getValue() - 1;
  case AffineExprKind::FloorDiv:
    if (!right || !left)
      return std::nullopt;
    return *left / right.getValue();
  case AffineExprKind::Mul:
    if (!right || !left || right.getValue() < 0)
      return std::nullopt;
    return *left * right.getValue();
  case AffineExprKind::Add: {
    std::optional<int64_t> other = getMaximum(binary.getRHS());
    if (!left || !other)
      return std::nullopt;
    return *left + *other;
  }
  default:
    return std::nullopt;
  }
}

bool LoopSpace::isUnbounded(AffineExpr expr) const {
  bool found = false;
  expr.walk([&](AffineExpr part) {
    if (auto loop = dyn_cast<AffineDimExpr>(part))
      found |= ShapedType::isDynamic(extents[loop.getPosition()]);
  });
  return found;
}

AffineExpr LoopSpace::simplify(AffineExpr expr) const {
  if (auto loop = dyn_cast<AffineDimExpr>(expr))
    return get(loop.getPosition());
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return expr;
  AffineExpr left = simplify(binary.getLHS()), right = simplify(binary.getRHS());
  if (expr.getKind() == AffineExprKind::Add)
    return IndexSum::get(left + right).toExpr(context);
  if (expr.getKind() == AffineExprKind::Mul)
    return IndexSum::get(left * right).toExpr(context);
  auto divisor = dyn_cast<AffineConstantExpr>(right);
  bool isDivision = expr.getKind() == AffineExprKind::FloorDiv;
  if (!divisor || divisor.getValue() <= 0 || (!isDivision && expr.getKind() != AffineExprKind::Mod))
    return expr;
  int64_t d = divisor.getValue();
  IndexSum sum = IndexSum::get(left), multiples, rest;
  for (const IndexTerm &term : sum.terms)
    (term.coefficient % d == 0 ? multiples : rest).terms.push_back(term);
  (sum.constant % d == 0 ? multiples : rest).constant = sum.constant;
  AffineExpr restExpr = rest.toExpr(context);
  std::optional<int64_t> most = getMaximum(restExpr);
  bool fits = most && *most < d;
  if (!isDivision)
    return fits ? restExpr : restExpr % d;
  for (IndexTerm &term : multiples.terms)
    term.coefficient /= d;
  multiples.constant /= d;
  AffineExpr quotient = multiples.toExpr(context);
  return fits ? quotient : IndexSum::get(quotient + restExpr.floorDiv(d)).toExpr(context);
}

AffineExpr LoopSpace::substitute(AffineExpr expr, unsigned loop, AffineExpr replacement) const {
  return simplify(expr.replace(getAffineDimExpr(loop, context), replacement));
}

std::optional<SmallVector<AffineExpr, 4>>
LoopSpace::reshape(ArrayRef<AffineExpr> at, ArrayRef<int64_t> to, ArrayRef<int64_t> from) const {
  // Row-major position; only the outermost extent may be unknown.
  AffineExpr position = getConstant(0);
  int64_t stride = 1;
  for (size_t k = to.size(); k-- > 0;) {
    if (to[k] == 1)
      continue;
    if (ShapedType::isDynamic(stride))
      return std::nullopt;
    position = position + at[k] * stride;
    stride = ShapedType::isDynamic(to[k]) ? ShapedType::kDynamic : stride * to[k];
  }
  SmallVector<AffineExpr, 4> result(from.size(), getConstant(0));
  std::optional<size_t> outermost;
  for (size_t k = 0; k < from.size() && !outermost; ++k)
    if (from[k] != 1)
      outermost = k;
  stride = 1;
  for (size_t k = from.size(); k-- > 0;) {
    if (from[k] == 1)
      continue;
    if (ShapedType::isDynamic(stride) || stride == 0 || from[k] == 0)
      return std::nullopt;
    AffineExpr index = simplify(position).floorDiv(stride);
    if (k != *outermost && !ShapedType::isDynamic(from[k]))
      index = index % from[k];
    result[k] = simplify(index);
    stride = ShapedType::isDynamic(from[k]) ? ShapedType::kDynamic : stride * from[k];
  }
  return result;
}
