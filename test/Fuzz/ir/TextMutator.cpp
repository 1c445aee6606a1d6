#include "TextMutator.h"

#include <algorithm>
#include <cctype>
#include <regex>

namespace sage::fuzz {
namespace {

bool isWordPart(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '$';
}

/// Words with their sigil, numbers, strings, runs of blanks, and single characters. Together they
/// are the text.
std::vector<std::string> tokenize(const std::string &text) {
  std::vector<std::string> tokens;
  for (size_t i = 0; i < text.size();) {
    size_t end = i + 1;
    char c = text[i];
    if (c == '"') {
      while (end < text.size() && text[end] != '"' && text[end] != '\n')
        ++end;
      end = std::min(end + 1, text.size());
    } else if (isWordPart(c) || c == '%' || c == '@' || c == '^') {
      while (end < text.size() && isWordPart(text[end]))
        ++end;
    } else if (std::isspace(static_cast<unsigned char>(c))) {
      while (end < text.size() && std::isspace(static_cast<unsigned char>(text[end])))
        ++end;
    }
    tokens.push_back(text.substr(i, end - i));
    i = end;
  }
  return tokens;
}

bool isNumber(const std::string &token) {
  return std::isdigit(static_cast<unsigned char>(token[0])) != 0;
}

std::string boundaryNumber(Random &random) {
  if (random.oneIn(12))
    return random.pick<std::string>({"18446744073709551615", "18446744073709551616",
                                     "99999999999999999999999999", "1.0e308", "0x7FC00000", "0.0",
                                     "1e-400", "?", "-0.0"});
  return std::to_string(random.pick(boundaryIntegers));
}

/// A token of that kind, tried for a few times: rejection needs no list of them.
template <typename Predicate>
size_t findToken(Random &random, const std::vector<std::string> &tokens, Predicate accepts) {
  for (int i = 0; i < 40; ++i)
    if (size_t at = random.below(tokens.size()); accepts(tokens[at]))
      return at;
  return random.below(tokens.size());
}

bool isBlank(const std::string &token) {
  return std::isspace(static_cast<unsigned char>(token[0])) != 0;
}

void changeNumber(Random &random, std::string &token) {
  // `128x64xf16` is one token: change one of its extents.
  size_t at = token.find_first_of("0123456789");
  for (int skips = int(random.below(4)); at != std::string::npos && skips > 0; --skips) {
    size_t next = token.find_first_of("0123456789", token.find_first_not_of("0123456789", at));
    if (next == std::string::npos || token.find_first_not_of("0123456789", at) == std::string::npos)
      break;
    at = next;
  }
  if (at == std::string::npos)
    return;
  size_t end = token.find_first_not_of("0123456789", at);
  token.replace(at, end == std::string::npos ? end : end - at, boundaryNumber(random));
}

/// Exchanges the `#...` or `!...` that begins at `at` for another one.
void splicePiece(Random &random, const Corpus &corpus, std::vector<std::string> &tokens,
                 size_t at) {
  size_t end = at + 1;
  int depth = 0;
  for (; end < tokens.size() && end < at + 300; ++end) {
    depth += tokens[end] == "<";
    if (tokens[end] == ">" && tokens[end - 1] != "-" && --depth == 0)
      break;
    if (depth == 0 && !isWordPart(tokens[end][0]))
      break;
  }
  tokens[at] = random.pick(corpus.pieces);
  tokens.erase(tokens.begin() + std::ptrdiff_t(at) + 1,
               tokens.begin() + std::ptrdiff_t(std::min(end + 1, tokens.size())));
}

/// Whether the text has what upstream's parsers do not survive: see docs/Robustness.md, "results"
/// and "iterators".
bool hitsUpstreamLimit(const std::string &text) {
  // `%x#99999999` makes room for that many results.
  constexpr size_t mostDigits = 5;
  for (size_t at = text.find('#'); at != std::string::npos; at = text.find('#', at + 1)) {
    size_t end = std::min(text.find_first_not_of("0123456789", at + 1), text.size());
    if (end - at - 1 > mostDigits)
      return true;
  }
  // The ops of linalg take the elements of `iterator_types` for strings unchecked.
  static const std::string key = "iterator_types";
  static const std::regex strings(key + R"re( = \[("\w*"(, "\w*")*)?\])re");
  for (size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1))
    if (!std::regex_search(text.begin() + std::ptrdiff_t(at), text.end(), strings,
                           std::regex_constants::match_continuous))
      return true;
  return false;
}

void nest(Random &random, std::vector<std::string> &tokens, size_t at) {
  // Upstream's parsers recurse without a bound: see docs/Robustness.md, "nesting".
  static constexpr size_t nestingLimit = 150;
  size_t depth = 1 + random.below(nestingLimit);
  const auto &brackets = random.pick<std::pair<char, char>>({{'(', ')'}, {'[', ']'}, {'<', '>'}});
  tokens[at] =
      std::string(depth, brackets.first) + tokens[at] + std::string(depth, brackets.second);
}

std::string randomLine(Random &random, const std::string &text) {
  size_t at = random.below(text.size()), begin = text.rfind('\n', at), end = text.find('\n', at);
  begin = begin == std::string::npos ? 0 : begin + 1;
  return text.substr(begin, end == std::string::npos ? end : end - begin + 1);
}

void mutateOnce(Random &random, const Corpus &corpus, std::vector<std::string> &tokens) {
  auto isWord = [](const std::string &t) { return isWordPart(t[0]) && !isNumber(t); };
  auto hasDigit = [](const std::string &t) {
    return t.find_first_of("0123456789") != std::string::npos && t[0] != '%' && t[0] != '"';
  };
  size_t any = findToken(random, tokens, [](const auto &t) { return !isBlank(t); });
  switch (random.below(12)) {
  case 0:
    tokens.erase(tokens.begin() + std::ptrdiff_t(any));
    return;
  case 1:
    tokens.insert(tokens.begin() + std::ptrdiff_t(any), tokens[any]);
    return;
  case 2:
    std::swap(tokens[any],
              tokens[findToken(random, tokens, [](const auto &t) { return !isBlank(t); })]);
    return;
  case 3:
  case 4:
  case 5:
    changeNumber(random, tokens[findToken(random, tokens, hasDigit)]);
    return;
  case 6:
    tokens[findToken(random, tokens, isWord)] = random.pick(corpus.words);
    return;
  case 7:
  case 8:
    splicePiece(random, corpus, tokens, findToken(random, tokens, [](const auto &t) {
                  return t[0] == '#' || t[0] == '!';
                }));
    return;
  case 9: { // another value
    auto isValue = [](const auto &t) { return t[0] == '%'; };
    tokens[findToken(random, tokens, isValue)] = tokens[findToken(random, tokens, isValue)];
    return;
  }
  case 10: {
    size_t line = findToken(random, tokens, [](const auto &t) { return t[0] == '\n'; });
    tokens[line] += randomLine(random, random.pick(corpus.modules));
    return;
  }
  default:
    nest(random, tokens, any);
  }
}

} // namespace

std::string mutateText(Random &random, const Corpus &corpus, const std::string &module) {
  std::vector<std::string> tokens = tokenize(module);
  for (size_t changes = 1 + random.below(4); changes > 0 && tokens.size() > 1; --changes)
    mutateOnce(random, corpus, tokens);
  std::string text;
  for (const std::string &token : tokens)
    text += token;
  return hitsUpstreamLimit(text) ? module : text;
}

} // namespace sage::fuzz
