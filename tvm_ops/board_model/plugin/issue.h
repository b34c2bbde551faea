// What instructions of an out-of-order core wait for before they start: pipes and queue entries.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace board_model {

// Which pipes are taken in which cycle, for the cycles around now.
class PipeCalendar {
 public:
  PipeCalendar() { clear(); }

  void clear() {
    days_.fill(~0ull);
    for (auto& taken : taken_) taken.fill({0, 0});
  }

  // Takes one of `pipes` for `occupancy` cycles, at `from` or later; the cycle at which it starts.
  // `prefer_second` takes the second of the free pipes, so that halves of an instruction spread.
  // Not inlined, which the compiler may think best where two cores use it, it costs 5 %.
  // `kAhead`: for later than what is reserved before and after it, as for data that are underway.
  template <bool kAhead = false>
  [[gnu::always_inline]] inline uint64_t reserve(uint8_t pipes, uint64_t from, int occupancy,
                                                 bool prefer_second) {
    // A kernel that keeps its pipes busy would look through a queue's length of taken cycles for
    // each instruction, 40 % of the model's time; so the last run of them is remembered.
    Run& run = taken_[kAhead][pipes];
    if (from < run.first || from > run.end) run = {from, from};
    for (uint64_t cycle = run.end; cycle < from + kFarthest; cycle++) {
      uint64_t& day = at(cycle);
      uint64_t free = pipes & ~day;
      if (!free) {
        if (cycle == run.end) run.end++;
        continue;
      }
      uint64_t pipe = lowest(free);
      uint64_t others = free & ~pipe;
      if (prefer_second && others) pipe = lowest(others);
      if (occupancy > 1 && !take(pipe, cycle + 1, occupancy - 1)) continue;
      day |= pipe;
      return cycle;
    }
    return from + kFarthest;
  }

 private:
  static constexpr size_t kDays = 8192;
  static constexpr uint64_t kFarthest = 4000;

  // Cycles [first, end) in which none of a set of pipes is free.
  struct Run {
    uint64_t first, end;
  };

  static uint64_t lowest(uint64_t pipes) { return pipes & -pipes; }

  // The cycle's number in the upper 56 bits, the pipes taken in the lower 8.
  uint64_t& at(uint64_t cycle) {
    uint64_t& day = days_[cycle % kDays];
    if (day >> 8 != cycle) day = cycle << 8;
    return day;
  }

  bool take(uint64_t pipe, uint64_t first, int count) {
    for (int i = 0; i < count; i++) {
      if (at(first + i) & pipe) return false;
    }
    for (int i = 0; i < count; i++) at(first + i) |= pipe;
    return true;
  }

  std::array<uint64_t, kDays> days_;
  // By set of pipes. Those ahead have their own: each would forget the other's run.
  std::array<std::array<Run, 256>, 2> taken_;
};

// A ring of the cycles at which entries of a queue become free.
class Queue {
 public:
  explicit Queue(int entries) : free_(entries, 0) {}
  uint64_t entry_free() const { return free_[next_]; }
  void enter(uint64_t until) {
    free_[next_] = until;
    if (++next_ == free_.size()) next_ = 0;
  }
  void clear() { std::fill(free_.begin(), free_.end(), 0); }

 private:
  std::vector<uint64_t> free_;
  size_t next_ = 0;
};

}  // namespace board_model
