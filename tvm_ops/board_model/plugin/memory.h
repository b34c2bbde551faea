// Caches, stream prefetcher and TLB. Addresses are virtual; a line is 64 bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "core_file.h"

namespace board_model {

constexpr int kLineShift = 6;
constexpr int kPageShift = 12;
constexpr int kLinesPerPageShift = kPageShift - kLineShift;

// A set-associative cache with true LRU. A line knows the cycle at which its data are there.
class Cache {
 public:
  static constexpr uint8_t kPrefetched = 1;  // fetched ahead and not used yet
  static constexpr uint8_t kDirty = 2;
  static constexpr uint64_t kNoLine = ~0ull;

  struct Slot {
    uint64_t& ready;
    uint8_t& flags;
  };

  Cache(int kib, int ways);

  bool contains(uint64_t line) const { return find(line) >= 0; }
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

// Two levels of translation: a small fully associative LRU one, a large direct-mapped one.
class Tlb {
 public:
  explicit Tlb(const CoreParameters& core);
  // Cycles lost on the translation of `page`.
  int access(uint64_t page);
  void clear();

 private:
  std::vector<uint64_t> first_, second_;
  int penalty_, second_penalty_;
};

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

struct MemoryCounters {
  uint64_t l1_misses = 0, l2_misses = 0, l3_misses = 0;
};

class Memory {
 public:
  explicit Memory(const CoreParameters& core);

  // An access to one line at cycle `now`: the cycle at which its data are there (0: long ago).
  uint64_t access(uint64_t line, uint64_t now, bool store);
  int translate(uint64_t page) { return tlb_.access(page); }
  const MemoryCounters& counters() const { return counters_; }

  void restart_clock();  // keeps contents
  void flush();          // empties the caches
  void power_on();       // forgets everything

 private:
  uint64_t fetch(uint64_t line, uint64_t now, bool prefetch);
  uint64_t fetch_from_l3(uint64_t line, uint64_t now, bool prefetch);
  uint64_t fetch_from_dram(uint64_t now);
  void fill(size_t level, uint64_t line, uint64_t ready, uint8_t flags);
  void prefetch_after(uint64_t line, uint64_t now);

  const CoreParameters& core_;
  std::vector<Cache> levels_;
  Tlb tlb_;
  StreamPrefetcher prefetcher_;
  std::vector<uint64_t> misses_until_;  // one for each miss that can be in flight
  uint64_t l2_free_ = 0, l3_free_ = 0, dram_free_ = 0;
  MemoryCounters counters_;
};

}  // namespace board_model
