// Address translation.
#pragma once

#include <cstdint>
#include <vector>

#include "core_file.h"

namespace board_model {

constexpr int kPageShift = 12;  // pages of 4 KiB

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

}  // namespace board_model
