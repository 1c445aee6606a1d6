// Elementwise ops of arith and math, on scalars of bodies and on tensors.

#include "ElementReader.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace sage::raising;

static bool isPlainFloat(Type type) {
  Type element = getElementTypeOrSelf(type);
  return element.isF16() || element.isBF16() || element.isF32() || element.isF64();
}

static std::optional<Relation> getRelation(arith::CmpFPredicate predicate) {
  switch (predicate) {
  case arith::CmpFPredicate::OEQ:
  case arith::CmpFPredicate::UEQ:
    return Relation::Equal;
  case arith::CmpFPredicate::ONE:
  case arith::CmpFPredicate::UNE:
    return Relation::NotEqual;
  case arith::CmpFPredicate::OLT:
  case arith::CmpFPredicate::ULT:
    return Relation::Less;
  case arith::CmpFPredicate::OLE:
  case arith::CmpFPredicate::ULE:
    return Relation::LessEqual;
  case arith::CmpFPredicate::OGT:
  case arith::CmpFPredicate::UGT:
    return Relation::Greater;
  case arith::CmpFPredicate::OGE:
  case arith::CmpFPredicate::UGE:
    return Relation::GreaterEqual;
  default:
    return std::nullopt;
  }
}

/// Unsigned comparisons have none: differences of indices may be negative.
static std::optional<Relation> getRelation(arith::CmpIPredicate predicate) {
  switch (predicate) {
  case arith::CmpIPredicate::eq:
    return Relation::Equal;
  case arith::CmpIPredicate::ne:
    return Relation::NotEqual;
  case arith::CmpIPredicate::slt:
    return Relation::Less;
  case arith::CmpIPredicate::sle:
    return Relation::LessEqual;
  case arith::CmpIPredicate::sgt:
    return Relation::Greater;
  case arith::CmpIPredicate::sge:
    return Relation::GreaterEqual;
  default:
    return std::nullopt;
  }
}

static Form getForm(Operation *op) {
  return llvm::TypeSwitch<Operation *, Form>(op)
      .Case<arith::AddFOp, arith::AddIOp>([](auto) { return Form::Add; })
      .Case<arith::SubFOp, arith::SubIOp>([](auto) { return Form::Subtract; })
      .Case<arith::MulFOp, arith::MulIOp>([](auto) { return Form::Multiply; })
      .Case<arith::DivFOp>([](auto) { return Form::Divide; })
      .Case<arith::NegFOp>([](auto) { return Form::Negate; })
      .Case<math::AbsFOp, math::AbsIOp>([](auto) { return Form::Absolute; })
      .Case<arith::MaximumFOp, arith::MaxNumFOp, arith::MaxSIOp>([](auto) { return Form::Maximum; })
      .Case<arith::MinimumFOp, arith::MinNumFOp, arith::MinSIOp>([](auto) { return Form::Minimum; })
      .Case<math::ExpOp>([](auto) { return Form::Exp; })
      .Case<math::Exp2Op>([](auto) { return Form::Exp2; })
      .Case<math::PowFOp>([](auto) { return Form::Power; })
      .Case<math::TanhOp>([](auto) { return Form::Tanh; })
      .Case<math::SqrtOp>([](auto) { return Form::SquareRoot; })
      .Case<math::RsqrtOp>([](auto) { return Form::ReciprocalRoot; })
      .Case<arith::SelectOp>([](auto) { return Form::Select; })
      .Case<arith::AndIOp>([](auto) { return Form::And; })
      .Case<arith::OrIOp>([](auto) { return Form::Or; })
      .Case<arith::XOrIOp>([](auto) { return Form::Xor; })
      .Case<arith::ExtFOp, arith::TruncFOp>([](auto cast) {
        return isPlainFloat(cast.getIn().getType()) && isPlainFloat(cast.getType())
                   ? Form::FloatCast
                   : Form::Opaque;
      })
      .Case<arith::IndexCastOp, arith::ExtSIOp, arith::SIToFPOp>([](auto cast) {
        // True would become -1, and large indices other numbers.
        Type from = getElementTypeOrSelf(cast.getIn().getType());
        Type to = getElementTypeOrSelf(cast.getType());
        bool isNarrow = to.isInteger() && to.getIntOrFloatBitWidth() < 32;
        return from.isInteger(1) || isNarrow ? Form::Opaque : Form::NumberCast;
      })
      .Case<arith::ExtUIOp, arith::UIToFPOp, arith::IndexCastUIOp>([](auto cast) {
        // A negative number would become a large one.
        Type from = getElementTypeOrSelf(cast.getIn().getType());
        return from.isInteger(1) || from.isIndex() ? Form::NumberCast : Form::Opaque;
      })
      .Case<arith::TruncIOp>([](auto cast) {
        // Indices fit 32 bits.
        Type to = getElementTypeOrSelf(cast.getType());
        return to.isInteger(32) ? Form::NumberCast : Form::Opaque;
      })
      .Default([](auto) { return Form::Opaque; });
}

void ElementReader::readElementwise(const Element &element, Node &node) const {
  if (!node.op->hasTrait<OpTrait::Elementwise>())
    return;
  std::optional<Relation> relation;
  if (auto compare = dyn_cast<arith::CmpFOp>(node.op))
    relation = getRelation(compare.getPredicate());
  else if (auto compare = dyn_cast<arith::CmpIOp>(node.op))
    relation = getRelation(compare.getPredicate());
  if (relation) {
    node.form = Form::Compare;
    node.relation = *relation;
  } else {
    node.form = getForm(node.op);
  }
  if (node.is(Form::Opaque))
    return;
  // Bitwise ops are logical on booleans only.
  bool isLogical = node.is(Form::And) || node.is(Form::Or) || node.is(Form::Xor);
  if (isLogical && !getElementTypeOrSelf(element.value).isInteger(1)) {
    node.form = Form::Opaque;
    return;
  }
  for (Value operand : node.op->getOperands())
    node.operands.push_back(getOperand(element, operand));
}
