#include "OpMutator.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"

#include <vector>

using namespace mlir;

namespace sage::fuzz {
namespace {

/// What a module has, to take from.
struct Parts {
  std::vector<Operation *> ops; // without the module
  std::vector<Value> values;
  std::vector<Attribute> attributes;
  std::vector<Type> types;

  explicit Parts(ModuleOp module) {
    module->walk([&](Operation *op) {
      if (op != module)
        ops.push_back(op);
      for (Value result : op->getResults())
        add(result);
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (Value argument : block.getArguments())
            add(argument);
      for (NamedAttribute attribute : op->getAttrs())
        attributes.push_back(attribute.getValue());
    });
  }

private:
  void add(Value value) {
    values.push_back(value);
    types.push_back(value.getType());
  }
};

Attribute randomAttribute(Random &random, const Parts &parts, MLIRContext *context) {
  Builder builder(context);
  switch (random.below(4)) {
  case 0:
    return builder.getI64IntegerAttr(random.pick(boundaryIntegers));
  case 1:
    return builder.getI32IntegerAttr(int32_t(random.pick(boundaryIntegers)));
  case 2:
    return random.pick({Attribute(builder.getUnitAttr()), Attribute(builder.getStringAttr("x")),
                        Attribute(builder.getF32FloatAttr(0)),
                        Attribute(builder.getDenseI64ArrayAttr({-1, INT64_MAX})),
                        Attribute(builder.getArrayAttr({}))});
  default:
    return parts.attributes.empty() ? builder.getUnitAttr() : random.pick(parts.attributes);
  }
}

void changeAttribute(Random &random, const Parts &parts, Operation *op) {
  DictionaryAttr all = op->getAttrDictionary();
  if (all.empty())
    return;
  StringAttr name = all.getValue()[random.below(all.size())].getName();
  // Upstream reads these without checking their type: see docs/Robustness.md, "segments".
  if (name.getValue().ends_with("SegmentSizes"))
    return;
  if (random.oneIn(4))
    op->removeAttr(name);
  else
    op->setAttr(name, randomAttribute(random, parts, op->getContext()));
  // Generated accessors take it that attributes with a default are there: see docs/Robustness.md,
  // "defaults".
  op->getName().populateDefaultProperties(op->getPropertiesStorage());
}

/// Whether a value inside `op` is used outside, as earlier changes may have made it.
bool leaksValues(Operation *op) {
  auto leaks = [&](Value value) {
    return llvm::any_of(value.getUsers(), [&](Operation *user) { return !op->isAncestor(user); });
  };
  bool found = false;
  op->walk([&](Operation *nested) {
    found |= nested != op && llvm::any_of(nested->getResults(), leaks);
    for (Region &region : nested->getRegions())
      for (Block &block : region)
        found |= llvm::any_of(block.getArguments(), leaks);
  });
  return found;
}

void eraseOp(Random &random, const Parts &parts, Operation *op) {
  if (leaksValues(op))
    return;
  std::vector<Value> others;
  for (Value value : parts.values)
    if (!value.getDefiningOp() || !op->isAncestor(value.getDefiningOp()))
      if (!isa<BlockArgument>(value) ||
          !op->isAncestor(cast<BlockArgument>(value).getOwner()->getParentOp()))
        others.push_back(value);
  for (Value result : op->getResults())
    if (!result.use_empty()) {
      if (others.empty())
        return;
      result.replaceAllUsesWith(random.pick(others));
    }
  // Operands that were exchanged may reach from one region of the op into another, whose values go
  // first.
  op->dropAllReferences();
  op->erase();
}

void changeOperand(Random &random, const Parts &parts, Operation *op) {
  if (op->getNumOperands() == 0 || parts.values.empty())
    return;
  op->setOperand(unsigned(random.below(op->getNumOperands())), random.pick(parts.values));
}

void mutateOnce(Random &random, ModuleOp module) {
  Parts parts(module);
  if (parts.ops.empty())
    return;
  Operation *op = random.pick(parts.ops), *other = random.pick(parts.ops);
  switch (random.below(10)) {
  case 0:
    return eraseOp(random, parts, op);
  case 1:
    op->getBlock()->getOperations().insert(std::next(Block::iterator(op)), op->clone());
    return;
  case 2:
    if (!op->isAncestor(other))
      op->moveBefore(other);
    return;
  case 3:
  case 4:
    return changeOperand(random, parts, op);
  case 5:
  case 6:
  case 7:
    return changeAttribute(random, parts, op);
  case 8:
    if (!parts.values.empty()) {
      Value value = random.pick(parts.values);
      value.setType(random.pick(parts.types));
    }
    return;
  default:
    if (op->getNumOperands() > 0)
      op->eraseOperand(unsigned(random.below(op->getNumOperands())));
  }
}

} // namespace

void mutateOps(Random &random, ModuleOp module) {
  for (size_t changes = 1 + random.below(3); changes > 0; --changes)
    mutateOnce(random, module);
}

} // namespace sage::fuzz
