#include "PassMutator.h"

#include "Corpus.h"

namespace sage::fuzz {
namespace {

std::string number(Random &random) {
  return std::to_string(random.oneIn(4) ? random.pick(boundaryIntegers)
                                        : int64_t(random.below(10)));
}

std::string tilePass(Random &random) {
  switch (random.below(10)) {
  case 0:
    return "sage-tile-two-level-accumulation{value-chunks=" + number(random) +
           random.pick<std::string>({"", " inner=f16", " inner=f64"}) +
           (random.oneIn(3) ? " in-flight=" + number(random) : "") + "}";
  case 1:
    return "sage-tile-fold-score-conversion{conversion=" +
           random.pick<std::string>({"magic", "convert", "other"}) + "}";
  case 2:
    return "sage-tile-interleave-exponentials{chunks=" + number(random) + "}";
  case 3:
    return "sage-tile-issue-mma-async";
  case 4:
    return random.oneIn(2)
               ? "sage-tile-specialize-warps"
               : "sage-tile-specialize-warps{producer-registers=" +
                     random.pick<std::string>({"24", "40", "0", number(random)}) +
                     " consumer-registers=" +
                     random.pick<std::string>({"240", "232", "0", number(random)}) + "}";
  case 5:
    return "sage-tile-pipeline-copies{stages=" + number(random) + "}";
  case 6:
    return std::string("sage-tile-peel-masks") +
           random.pick<std::string>({"", "{drop-guards=true}"});
  case 7:
    return "sage-tile-apply-schedule";
  case 8:
    return "sage-tile-inject-fault{kind=" +
           random.pick<std::string>({"wrong-scale-index", "missing-rescale", "mask-off-by-one",
                                     "swapped-value-order", "dropped-lse-correction",
                                     "missing-value-scale", "wrong-tile-order", "unmasked-tail",
                                     "stale-stage", "missing-full-wait", "missing-empty-wait",
                                     "other"}) +
           "}";
  default:
    return random.pick<std::string>({"sage-tile-distribute", "canonicalize", "cse"});
  }
}

std::string sagePass(Random &random) {
  switch (random.below(9)) {
  case 0:
    return "sage-legalize-recipe{chip=" + randomChip(random) +
           random.pick<std::string>(
               {"", " substitute=true", " recipe=" + randomRecipeName(random)}) +
           "}";
  case 1:
    return "sage-assign-schedule";
  case 2:
    return "sage-smooth";
  case 3:
    return "sage-quantize";
  case 4:
    return "sage-decompose" + random.pick<std::string>({"", "{family=wgmma}", "{expand-f8=false}"});
  case 5:
    return "convert-sage-to-sage-tile" + random.pick<std::string>({"", "{preparation-only=true}"});
  case 6:
    return "sage-unpack-sequences";
  case 7:
    return "convert-sage-program-to-gpu" +
           random.pick<std::string>(
               {"", "{checks=false}", "{workspace=host}", "{workspace=host checks=false}"});
  default:
    return random.pick<std::string>({"canonicalize", "cse"});
  }
}

template <typename MakePass> std::string passes(Random &random, MakePass make) {
  std::string list;
  for (size_t count = 1 + random.below(6); count > 0; --count)
    list += (list.empty() ? "" : ",") + make(random);
  return list;
}

std::string roadOptions(Random &random) {
  std::string options = "{chip=" + randomChip(random);
  if (random.oneIn(4))
    options += " recipe=" + randomRecipeName(random);
  return options + random.pick<std::string>({"", " substitute=true"}) + "}";
}

} // namespace

std::string randomAttentionPipeline(Random &random, bool generated) {
  switch (random.below(12)) {
  case 0:
  case 1:
    return "builtin.module(sage-to-tile" + roadOptions(random) + ")";
  case 2:
    return "builtin.module(sage-to-nvvm" + roadOptions(random) + ")";
  case 3:
    return generated && random.oneIn(4) ? "builtin.module(sage-to-ptx" + roadOptions(random) + ")"
                                        : "builtin.module(sage-to-nvvm" + roadOptions(random) + ")";
  case 4:
  case 5:
    return "builtin.module(sage-unpack-sequences,sage-decompose,canonicalize)";
  case 6:
    return "builtin.module(sage-to-tile" + roadOptions(random) + ",convert-sage-program-to-gpu)";
  case 7:
    return "builtin.module(sage-unpack-sequences,sage-decompose{family=wgmma expand-f8=false})";
  default:
    return "builtin.module(" + passes(random, sagePass) + ")";
  }
}

std::string randomKernelPipeline(Random &random) {
  std::string kernel = "sage_tile.kernel(" + passes(random, tilePass) + ")";
  if (random.oneIn(2))
    kernel += ",convert-sage-tile-to-nvvm";
  return "builtin.module(gpu.module(" + kernel + "))";
}

} // namespace sage::fuzz
