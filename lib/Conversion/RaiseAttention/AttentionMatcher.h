// Recognizes softmax(scale · Q · Kᵀ + mask) · V in what computes an element of a tensor.

#ifndef SAGE_CONVERSION_RAISEATTENTION_ATTENTIONMATCHER_H
#define SAGE_CONVERSION_RAISEATTENTION_ATTENTIONMATCHER_H

#include "ElementReader.h"

#include <string>

namespace sage::raising {

/// Why something is no attention, and the op that says so.
struct Obstacle {
  mlir::Operation *op = nullptr;
  std::string reason;
};

/// What changes a score of natural-logarithm units beside the scale.
struct ScoreTerm {
  /// A float that is added times `factor`; or, of a visibility, a boolean.
  Element element;
  double factor = 1;
  bool isVisibility = false;
  /// The boolean says which keys are hidden.
  bool isNegated = false;
  /// What a hidden score is, or what is added to it: -inf, or a finite number that is so low that
  /// its exponential is 0 beside that of any score.
  double fill = 0;
  /// Where it is applied.
  mlir::Operation *op = nullptr;
};

struct AttentionMatch {
  /// The result that is replaced, and the loops of its dimensions.
  mlir::Value root;
  llvm::SmallVector<unsigned> rootLoops;
  /// The loops over keys, and over the channels of Q·Kᵀ.
  unsigned keyLoop = 0, channelLoop = 0;
  Element query, key, value;
  double scale = 1;
  std::optional<double> softcap;
  llvm::SmallVector<ScoreTerm> terms;
  /// Rows without a visible key are 0.
  bool isGuarded = false;
  /// The product of queries and keys; null where one op is the whole attention.
  mlir::Operation *product = nullptr;
};

/// Masks that are not -inf: the exponential of anything lower is 0 beside that of scores, which are
/// far above it.
constexpr double highestFill = -9000;

class AttentionMatcher {
public:
  explicit AttentionMatcher(ElementReader &reader) : reader(reader) {}

  /// Whether a product with the weights of a softmax, or with exponentials, is summed.
  bool isCandidate(mlir::Value tensor);
  /// Whether `tensor` is a candidate whose weights are not divided by their sum before it is
  /// summed.
  bool isUnnormalized(mlir::Value tensor);
  /// Whether `tensor` is a quotient of a sum of products.
  bool isDivision(mlir::Value tensor);
  std::optional<AttentionMatch> match(mlir::Value root);
  const Obstacle &getObstacle() const { return obstacle; }

private:
  /// Weights up to their normalization: toNatural · scores are in the units of exp.
  struct Softmax {
    Element scores;
    double toNatural = 1;
    bool isGuarded = false;
  };

  /// A selection of 0 where all scores of a row are -inf.
  struct Guard {
    Element weights;
    /// The score that is tested, in `loop`.
    Element score;
    unsigned loop = 0;
  };

  /// What an exponential is of, and the factor that makes it one to the base e.
  struct Exponent {
    Element element;
    double toNatural = 1;
  };

  // Softmax.cpp
  std::optional<Exponent> getExponent(const Node &node);
  bool leadsToSoftmax(const Element &element, int depth);
  std::optional<Softmax> matchWeights(Element weights, std::optional<Element> sum, unsigned key);
  std::optional<Softmax> matchQuotient(const Element &exponential, Element sum, unsigned key);
  std::optional<Softmax> matchExponential(const Element &exponential, unsigned key);
  std::optional<Guard> matchGuard(const Node &select);
  std::optional<Element> skipMaximumGuard(const Node &node);
  bool isSumOf(const Element &sum, const Element &exponential, unsigned key);
  bool isMaximumOf(const Element &maximum, const Element &scores, unsigned key);
  /// Numerator and denominator, if `node` divides.
  std::optional<std::pair<Element, Element>> getQuotient(const Node &node);

  // Scores.cpp
  bool matchScores(const Element &scores, double factor, AttentionMatch &match);
  bool matchSum(const Node &node, double factor, AttentionMatch &match);
  bool matchSelection(const Node &node, double factor, AttentionMatch &match);
  bool matchSoftcap(const Node &node, double factor, AttentionMatch &match);
  bool matchProduct(const Node &node, double factor, AttentionMatch &match);
  bool containsProduct(const Element &element, int depth = 12);
  /// The element without conversions and constant factors, which are multiplied into `factor`.
  Element skipFactors(Element element, double &factor);

  std::nullopt_t stop(mlir::Operation *op, const llvm::Twine &reason);

  ElementReader &reader;
  Obstacle obstacle;
};

} // namespace sage::raising

#endif // SAGE_CONVERSION_RAISEATTENTION_ATTENTIONMATCHER_H
