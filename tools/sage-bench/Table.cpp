//===- Table.cpp - figures on standard output -----------------------------===//
#include "Table.h"

#include <algorithm>
#include <cstdio>

namespace sage::bench {
namespace {

std::string format(const char *pattern, double value) {
  char text[64];
  std::snprintf(text, sizeof(text), pattern, value);
  return text;
}

using Line = std::vector<std::string>;

/// Columns as wide as they must be; the first `left` are aligned left.
void printLines(const std::vector<Line> &lines, size_t left) {
  std::vector<size_t> widths;
  for (const Line &line : lines)
    for (size_t i = 0; i < line.size(); ++i) {
      widths.resize(std::max(widths.size(), line.size()));
      widths[i] = std::max(widths[i], line[i].size());
    }
  for (const Line &line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      std::string gap(widths[i] - line[i].size(), ' ');
      text += (i == 0 ? "" : "  ") + (i < left ? line[i] + gap : gap + line[i]);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    std::printf("%s\n", text.c_str());
  }
}

Line lineOf(const Row &row, const Comparison &comparison, std::optional<size_t> index) {
  bool hasFigures = row.median > 0;
  auto figure = [&](const char *pattern, double value) {
    return hasFigures ? format(pattern, value) : std::string("-");
  };
  Line line = {row.provider == "sage" ? row.name : row.provider,
               std::to_string(row.headDim),
               row.mask,
               textOf(row.shape),
               row.scope,
               figure("%.1f", row.teraflops),
               figure("%.4f", row.median),
               figure("%.4f", row.p10) + ".." + figure("%.4f", row.p90),
               row.megahertz ? std::to_string(row.megahertz) : "-",
               row.relativeL1 ? format("%.4f", *row.relativeL1) : "-"};
  if (comparison.hasBaseline()) {
    std::optional<double> ratio = index ? comparison.ratio(*index) : std::nullopt;
    line.push_back(!ratio
                       ? (index ? "new" : "-")
                       : format("%.3f", *ratio) + (comparison.isSlower(*index) ? " SLOWER" : ""));
  }
  return line;
}

void printKernels(const Results &results) {
  std::vector<Line> lines = {{"artifact", "shape", "kernel", "ms", "MB", "GB/s", "of copies"}};
  for (const Row &row : results.rows)
    for (const KernelFigures &kernel : row.kernels) {
      std::optional<double> rate = kernel.gigabytesPerSecond();
      bool hasShare = rate && results.copyGigabytesPerSecond > 0;
      lines.push_back(
          {row.name, textOf(row.shape), kernel.name, format("%.4f", kernel.milliseconds),
           kernel.bytes ? format("%.1f", double(*kernel.bytes) * 1e-6) : "-",
           rate ? format("%.0f", *rate) : "-",
           hasShare ? format("%.0f %%", 100 * *rate / results.copyGigabytesPerSecond) : "-"});
    }
  if (lines.size() == 1)
    return;
  std::printf("\nPreparation kernels: the bytes are those of the buffers they name, each once\n");
  printLines(lines, 3);
}

} // namespace

void printTable(const Results &results, const Comparison &comparison, const Results &peers) {
  std::printf("%s", results.device.value("name", "").c_str());
  if (results.copyGigabytesPerSecond > 0)
    std::printf(", device-to-device copies at %.0f GB/s", results.copyGigabytesPerSecond);
  std::printf("\n\n");
  std::vector<Line> lines = {{"artifact", "D", "mask", "B,Hq,Hkv,Nq,Nk", "scope", "TFLOP/s", "ms",
                              "p10..p90", "MHz", "rel. L1"}};
  if (comparison.hasBaseline())
    lines[0].push_back("to baseline");
  for (size_t i = 0; i < results.rows.size(); ++i)
    lines.push_back(lineOf(results.rows[i], comparison, i));
  for (const Row &peer : peers.rows)
    if (std::any_of(results.rows.begin(), results.rows.end(),
                    [&](const Row &row) { return row.isComparableWith(peer); }))
      lines.push_back(lineOf(peer, comparison, std::nullopt));
  printLines(lines, 5);
  printKernels(results);
  for (const Row &row : results.rows)
    if (!row.error.empty())
      std::printf("FAIL  %s at %s: %s\n", row.name.c_str(), textOf(row.shape).c_str(),
                  row.error.c_str());
}

} // namespace sage::bench
