// Counters that blocks add to and wait for.

#include "Grid.h"

#include <algorithm>
#include <cstring>

namespace sage::tile::interpreter {

static int32_t read(const uint8_t *counter) {
  int32_t number;
  std::memcpy(&number, counter, sizeof(number));
  return number;
}

bool Grid::Wait::isOver() const { return read(counter) >= number; }

int64_t Grid::count(uint8_t *counter, int64_t wraps) {
  std::lock_guard<std::mutex> lock(mutex);
  int32_t before = read(counter), after = int32_t(uint32_t(before) + 1);
  if (wraps != 0 && after >= wraps)
    after = 0;
  std::memcpy(counter, &after, sizeof(after));
  changed.notify_all();
  return before;
}

bool Grid::await(const uint8_t *counter, int64_t number) {
  std::unique_lock<std::mutex> lock(mutex);
  auto wait = waits.insert(waits.end(), Wait{counter, number});
  while (!wait->isOver() && !stopped) {
    bool canGoOn =
        static_cast<int64_t>(waits.size()) < active ||
        std::any_of(waits.begin(), waits.end(), [](const Wait &w) { return w.isOver(); });
    if (canGoOn) {
      changed.wait(lock);
      continue;
    }
    stopped = true;
    changed.notify_all();
  }
  bool isOver = wait->isOver();
  waits.erase(wait);
  return isOver;
}

void Grid::leave() {
  std::lock_guard<std::mutex> lock(mutex);
  --active;
  changed.notify_all();
}

void Grid::stop() {
  std::lock_guard<std::mutex> lock(mutex);
  stopped = true;
  changed.notify_all();
}

} // namespace sage::tile::interpreter
