#include "RecipeTable.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace sage;

static constexpr unsigned maxNesting = 64;

/// LLVM's JSON parser recurses without a bound.
static bool nestsTooDeep(StringRef text) {
  unsigned depth = 0;
  bool isInString = false;
  for (size_t i = 0; i < text.size(); ++i)
    if (isInString && text[i] == '\\')
      ++i;
    else if (text[i] == '"')
      isInString = !isInString;
    else if (!isInString && (text[i] == '[' || text[i] == '{') && ++depth > maxNesting)
      return true;
    else if (!isInString && (text[i] == ']' || text[i] == '}') && depth > 0)
      --depth;
  return false;
}

namespace {
struct Reader {
  Location loc;
  StringRef file;

  /// Every error has the same remedy.
  LogicalResult fail(const Twine &what) {
    auto diagnostic = emitError(loc) << "file of recipes '" << file << "' " << what;
    diagnostic.attachNote() << "sage-calibrate writes such files";
    return diagnostic;
  }

  FailureOr<RecipeTable> read();
  FailureOr<RecipeTable> parse(const llvm::json::Value &content);
  FailureOr<RecipeAttr> parseRecipe(const llvm::json::Value &name, const Twine &where);
};
} // namespace

FailureOr<RecipeAttr> Reader::parseRecipe(const llvm::json::Value &value, const Twine &where) {
  std::optional<StringRef> name = value.getAsString();
  if (!name)
    return fail(where + " must be a text");
  RecipeAttr recipe = RecipeAttr::getNamed(loc.getContext(), *name);
  if (!recipe)
    return fail(where + " must be one of " + RecipeAttr::listNames() + ", but got '" + *name + "'");
  return recipe;
}

FailureOr<RecipeTable> Reader::parse(const llvm::json::Value &content) {
  const llvm::json::Object *object = content.getAsObject();
  if (!object || object->getInteger("version") != 1)
    return fail("must be an object with version 1");
  const llvm::json::Array *layers = object->getArray("layers");
  if (!layers || layers->empty())
    return fail("must have layers, an array with a layer in it");
  RecipeTable table;
  for (const llvm::json::Value &layer : *layers) {
    const llvm::json::Array *heads = layer.getAsArray();
    if (!heads || heads->empty())
      return fail("layer " + Twine(table.size()) + " must be an array of recipes' names");
    SmallVector<RecipeAttr> &recipes = table.emplace_back();
    for (const llvm::json::Value &head : *heads) {
      auto recipe = parseRecipe(head, "recipe of layer " + Twine(table.size() - 1) + ", key head " +
                                          Twine(recipes.size()) + ",");
      if (failed(recipe))
        return failure();
      recipes.push_back(*recipe);
    }
  }
  return table;
}

FailureOr<RecipeTable> Reader::read() {
  auto buffer = llvm::MemoryBuffer::getFile(file, /*IsText=*/true);
  if (!buffer)
    return fail("cannot be read: " + buffer.getError().message());
  if (nestsTooDeep((*buffer)->getBuffer()))
    return fail("must nest at most " + Twine(maxNesting) + " deep");
  llvm::Expected<llvm::json::Value> content = llvm::json::parse((*buffer)->getBuffer());
  if (!content)
    return fail("is not JSON: " + llvm::toString(content.takeError()));
  return parse(*content);
}

FailureOr<RecipeTable> sage::readRecipeTable(Location loc, StringRef file) {
  if (file.empty()) {
    auto diagnostic = emitError(loc) << "option 'file' must name a file of recipes, but is empty";
    diagnostic.attachNote() << "--sage-assign-recipes=file=recipes.json";
    return diagnostic;
  }
  return Reader{loc, file}.read();
}
