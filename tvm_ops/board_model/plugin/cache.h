// One level of cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace board_model {

constexpr int kLineShift = 6;  // lines of 64 bytes

// A set-associative cache with true LRU. A line knows the cycle at which its data are there.
class Cache {
 public:
  static constexpr uint8_t kPrefetched = 1;  // fetched ahead and not used yet
  static constexpr uint8_t kDirty = 2;
  static constexpr uint8_t kFromL3 = 4;  // where the line came from; neither: from L2
  static constexpr uint8_t kFromDram = 8;
  static constexpr uint64_t kNoLine = ~0ull;

  struct Slot {
    uint64_t& ready;
    uint8_t& flags;
  };

  Cache(int kib, int ways);

  bool contains(uint64_t line) const { return find(line) >= 0; }
  // The flags of a line; 0 if it is not there.
  uint8_t flags_of(uint64_t line) const {
    int way = find(line);
    return way < 0 ? 0 : flags_[first(line) + way];
  }
  // Makes the line the most recently used one of its set; false if it is not there.
  bool touch(uint64_t line);
  // The most recently used line of the set of `line`.
  Slot newest(uint64_t line) { return {ready_[first(line)], flags_[first(line)]}; }
  // Marks the line as dirty if it is there, without using it.
  bool mark_dirty(uint64_t line);
  // Puts the line in place of the least recently used one. Returns the line that is to be written
  // back, kNoLine if there is none.
  uint64_t insert(uint64_t line, uint64_t ready, uint8_t flags);
  void restart_clock();
  void clear();

 private:
  size_t first(uint64_t line) const { return (line & set_mask_) * ways_; }
  int find(uint64_t line) const;
  void move_to_front(size_t first, int way);

  uint64_t set_mask_;
  int ways_;
  std::vector<uint64_t> tags_, ready_;
  std::vector<uint8_t> flags_;
};

}  // namespace board_model
