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
  Grid(int64_t blocks, int64_t workers) : blocks(blocks), active(workers) {}

  int64_t getBlocks() const { return blocks; }

  /// Adds one to a counter, which is 0 again at `wraps` (0: never); what it was.
  int64_t count(uint8_t *counter, int64_t wraps);
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
  const int64_t blocks;
  int64_t active;
  bool stopped = false;
};

} // namespace sage::tile::interpreter

#endif // SAGE_LIB_DIALECT_SAGETILE_INTERPRETER_GRID_H
