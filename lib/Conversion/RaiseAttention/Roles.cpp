// Which operands depend on a loop decides what it is.

#include "Roles.h"

#include <map>
#include <numeric>
#include <set>

using namespace mlir;
using namespace sage::raising;

Loops Roles::getQueryHeads() const {
  Loops heads(keyHeads);
  heads.append(groups);
  return heads;
}

Roles Roles::withQuery(unsigned loop) const {
  Roles roles = *this;
  if (llvm::is_contained(groups, loop)) {
    llvm::erase(roles.groups, loop);
    roles.groups.append(query);
    roles.query = {loop};
  }
  return roles;
}

Sources sage::raising::collectSources(ElementReader &reader, Element element, bool skipsFactors) {
  Sources sources;
  while (true) {
    element = reader.skipMoves(element, &sources);
    Node node = reader.read(element);
    if (node.is(Form::FloatCast)) {
      element = node.operands[0];
      continue;
    }
    bool found = false;
    if (skipsFactors && (node.is(Form::Multiply) || node.is(Form::Divide)))
      for (unsigned side : {1, 0})
        // A constant divided by the operand is no factor.
        if (!found && (side == 1 || node.is(Form::Multiply)) &&
            (found = reader.getConstant(node.operands[side]).has_value()))
          element = node.operands[1 - side];
    if (!found && skipsFactors && node.is(Form::Negate)) {
      element = node.operands[0];
      found = true;
    }
    if (!found)
      break;
    // Before the factor it is another tensor.
    sources.clear();
  }
  return sources;
}

/// The loop that `expr` divides, and by what: (loop floordiv a) mod b, and so on; 0 for others.
static std::pair<unsigned, int64_t> getDividedLoop(AffineExpr expr) {
  if (auto loop = dyn_cast<AffineDimExpr>(expr))
    return {loop.getPosition(), 1};
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  auto divisor = binary ? dyn_cast<AffineConstantExpr>(binary.getRHS()) : AffineConstantExpr();
  if (!divisor)
    return {0, 0};
  auto [loop, scale] = getDividedLoop(binary.getLHS());
  if (binary.getKind() == AffineExprKind::Mod)
    return {loop, scale};
  return {loop, binary.getKind() == AffineExprKind::FloorDiv ? scale * divisor.getValue() : 0};
}

namespace {

class RoleAssigner {
public:
  RoleAssigner(ElementReader &reader, AttentionMatch &match, Obstacle &obstacle)
      : reader(reader), match(match), obstacle(obstacle) {}

  std::optional<Roles> run();

private:
  std::nullopt_t stop(const Twine &reason) {
    obstacle = {match.product ? match.product : match.root.getDefiningOp(), reason.str()};
    return std::nullopt;
  }
  void collectAllSources();
  std::map<unsigned, std::set<int64_t>> collectDivisors();
  bool splitLoop(Loops &loops, std::set<int64_t> divisors);
  bool splitLoops();
  bool depends(const Sources &sources, unsigned loop);
  std::optional<unsigned> findQuery(const Loops &candidates);
  bool hasUnitBatch();
  std::optional<Roles> classify();

  ElementReader &reader;
  AttentionMatch &match;
  Obstacle &obstacle;
  Roles roles;
};

} // namespace

void RoleAssigner::collectAllSources() {
  roles.querySources = collectSources(reader, match.query, /*skipsFactors=*/true);
  roles.keySources = collectSources(reader, match.key, /*skipsFactors=*/true);
  roles.valueSources = collectSources(reader, match.value, /*skipsFactors=*/false);
}

std::map<unsigned, std::set<int64_t>> RoleAssigner::collectDivisors() {
  std::map<unsigned, std::set<int64_t>> divisors;
  auto collect = [&](const Sources &sources) {
    for (const Element &source : sources)
      for (AffineExpr index : source.at)
        index.walk([&](AffineExpr expr) {
          auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
          if (!binary ||
              (expr.getKind() != AffineExprKind::FloorDiv && expr.getKind() != AffineExprKind::Mod))
            return;
          auto divisor = dyn_cast<AffineConstantExpr>(binary.getRHS());
          auto [loop, scale] = getDividedLoop(binary.getLHS());
          if (divisor && scale > 0)
            divisors[loop].insert(scale * divisor.getValue());
        });
  };
  collect(roles.querySources);
  collect(roles.keySources);
  collect(roles.valueSources);
  for (const ScoreTerm &term : match.terms)
    collect(collectSources(reader, term.element, /*skipsFactors=*/true));
  return divisors;
}

/// Makes of the loop in `loops` one for each part that the divisors cut it into.
bool RoleAssigner::splitLoop(Loops &loops, std::set<int64_t> divisors) {
  unsigned loop = loops[0];
  int64_t extent = reader.loops.getExtent(loop);
  if (!ShapedType::isDynamic(extent))
    for (auto it = divisors.begin(); it != divisors.end();)
      it = *it >= extent ? divisors.erase(it) : std::next(it);
  divisors.erase(1);
  if (divisors.empty())
    return true;
  int64_t inner = 1;
  AffineExpr replacement = reader.loops.getConstant(0);
  Loops parts;
  auto addPart = [&](int64_t partExtent) {
    parts.insert(parts.begin(), reader.loops.add(partExtent));
    replacement = replacement + reader.loops.get(parts.front()) * inner;
  };
  for (int64_t divisor : divisors) {
    if (divisor % inner != 0)
      return false;
    addPart(divisor / inner);
    inner = divisor;
  }
  if (!ShapedType::isDynamic(extent) && extent % inner != 0)
    return false;
  addPart(ShapedType::isDynamic(extent) ? extent : extent / inner);
  for (Element *element : {&match.query, &match.key, &match.value})
    *element = reader.substitute(*element, loop, replacement);
  for (ScoreTerm &term : match.terms)
    term.element = reader.substitute(term.element, loop, replacement);
  loops = parts;
  return true;
}

bool RoleAssigner::splitLoops() {
  // Taking one apart may show divisions of its parts.
  for (int round = 0; round < 4; ++round) {
    collectAllSources();
    std::map<unsigned, std::set<int64_t>> divisors = collectDivisors();
    bool changed = false;
    for (Loops &dimension : roles.output) {
      Loops result;
      for (unsigned loop : dimension) {
        Loops parts = {loop};
        if (auto it = divisors.find(loop); it != divisors.end())
          if (!splitLoop(parts, it->second))
            return false;
        changed |= parts.size() > 1;
        result.append(parts);
      }
      dimension = result;
    }
    if (!changed)
      return true;
  }
  return false;
}

bool RoleAssigner::depends(const Sources &sources, unsigned loop) {
  return sources.back().uses(reader.loops.get(loop));
}

/// The innermost of the loops in the queries that are multiplied: the one beside the channels.
std::optional<unsigned> RoleAssigner::findQuery(const Loops &candidates) {
  std::optional<unsigned> found;
  for (AffineExpr index : roles.querySources.front().at) {
    int64_t lowest = std::numeric_limits<int64_t>::max();
    for (const IndexTerm &term : IndexSum::get(index).terms) {
      auto loop = dyn_cast<AffineDimExpr>(term.atom);
      if (!loop || !llvm::is_contained(candidates, loop.getPosition()) ||
          term.coefficient >= lowest)
        continue;
      lowest = term.coefficient;
      found = loop.getPosition();
    }
  }
  if (!found && !candidates.empty())
    found = candidates.back();
  return found;
}

/// Whether the queries were [1, heads, tokens, channels] somewhere on their way.
bool RoleAssigner::hasUnitBatch() {
  return llvm::any_of(roles.querySources, [](const Element &source) {
    return source.at.size() >= 4 && isa<AffineConstantExpr>(source.at.front());
  });
}

std::optional<Roles> RoleAssigner::classify() {
  Loops shared, ofQuery;
  for (Loops &dimension : roles.output) {
    llvm::erase_if(dimension, [&](unsigned loop) { return reader.loops.getExtent(loop) == 1; });
    for (unsigned loop : dimension) {
      bool inQuery = depends(roles.querySources, loop), inKey = depends(roles.keySources, loop),
           inValue = depends(roles.valueSources, loop);
      if (inKey && inValue)
        shared.push_back(loop);
      else if (inKey || (inQuery && inValue))
        return stop("keys and values must have the same batch and heads");
      else if (inQuery)
        ofQuery.push_back(loop);
      else if (inValue)
        roles.valueChannel.push_back(loop);
      else
        return stop("every dimension of the output must be one of the queries, keys or values");
    }
  }
  if (roles.valueChannel.size() > 1)
    return stop("the values must have one dimension of channels");
  if (std::optional<unsigned> loop = findQuery(ofQuery))
    roles.query = {*loop};
  llvm::copy_if(ofQuery, std::back_inserter(roles.groups),
                [&](unsigned loop) { return !llvm::is_contained(roles.query, loop); });
  // Batch and heads mean the same but for biases.
  bool isBatch = shared.size() > 1 || (!roles.groups.empty() && !hasUnitBatch());
  size_t first = isBatch && !shared.empty() ? 1 : 0;
  roles.batch.append(shared.begin(), shared.begin() + first);
  roles.keyHeads.append(shared.begin() + first, shared.end());
  return roles;
}

std::optional<Roles> RoleAssigner::run() {
  for (unsigned loop : match.rootLoops)
    roles.output.push_back({loop});
  if (!splitLoops())
    return stop("the operands must be reshaped alike");
  if (roles.querySources.empty() || roles.keySources.empty() || roles.valueSources.empty())
    return stop("queries, keys and values must be tensors");
  return classify();
}

std::optional<Roles> sage::raising::assignRoles(ElementReader &reader, AttentionMatch &match,
                                                Obstacle &obstacle) {
  return RoleAssigner(reader, match, obstacle).run();
}
