// What the blocks of one launch share: counters in device memory.

#ifndef SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_GRID_H
#define SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_GRID_H

#include <condition_variable>
#include <cstdint>
#include <list>
#include <mutex>

namespace sage::tile::interpreter {

/// Blocks run on `workers` threads, each of which takes one block after the other.
class Grid {
public:
  explicit Grid(int64_t workers) : active(workers) {}

  /// Adds one to a counter; what it was.
  int64_t count(uint8_t *counter);
  /// Waits until a counter is at least `number`. False where it never will be: every block that
  /// runs waits, or one has failed.
  bool await(const uint8_t *counter, int64_t number);
  /// A thread takes no more blocks.
  void leave();
  /// A block has failed.
  void stop();

private:
  struct Wait {
    const uint8_t *counter;
    int64_t number;
    bool isOver() const;
  };

  std::mutex mutex;
  std::condition_variable changed;
  std::list<Wait> waits;
  int64_t active;
  bool stopped = false;
};

} // namespace sage::tile::interpreter

#endif // SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_GRID_H
