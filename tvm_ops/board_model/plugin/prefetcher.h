// Stream prefetching.
#pragma once

#include <cstdint>
#include <vector>

#include "core_file.h"

namespace board_model {

// Detects lines fetched at a steady stride and runs ahead of them.
class StreamPrefetcher {
 public:
  explicit StreamPrefetcher(const CoreParameters& core);
  // Tells of a line that was missed, or hit for the first time after it had been prefetched.
  // Returns the stride in lines if lines ahead are to be fetched now, else 0.
  int64_t observe(uint64_t line);
  void clear();

 private:
  struct Stream {
    uint64_t last = 0, used = 0;
    int64_t stride = 0;
    int confidence = 0;
  };
  static bool follows(const Stream& stream, int64_t distance);

  std::vector<Stream> streams_;
  uint64_t clock_ = 0;
};

}  // namespace board_model
