// A translated block: decoded instructions, and what its executions cost in the region.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operation.h"
#include "waits.h"

namespace board_model {

struct Block {
  uint64_t address = 0;
  uint64_t end = 0;  // address after the last instruction
  std::string symbol;
  std::vector<uint32_t> words;
  std::vector<Operation> operations;
  uint32_t unknown_instructions = 0;

  uint64_t executions = 0;
  uint64_t cycles = 0;
  uint64_t l1_misses = 0;
  uint64_t l2_misses = 0;
  std::vector<InstructionWaits> waits;  // one for each instruction, in a profile; else empty

  void clear_counts() {
    executions = cycles = l1_misses = l2_misses = 0;
    waits.clear();
  }
};

// One memory access of an executed block: which instruction, which address. 16-byte accesses are
// two of these.
struct Access {
  uint32_t instruction;
  uint64_t address;
};

// The accesses of one executed block in their order. A vector of its own counts faster than
// std::vector's push_back, and half of all callbacks end here.
class AccessList {
 public:
  void add(uint32_t instruction, uint64_t address) {
    if (count_ == slots_.size()) slots_.resize(2 * count_);
    slots_[count_++] = {instruction, address};
  }
  void clear() { count_ = 0; }
  const Access* begin() const { return slots_.data(); }
  const Access* end() const { return slots_.data() + count_; }

 private:
  std::vector<Access> slots_ = std::vector<Access>(1024);
  size_t count_ = 0;
};

}  // namespace board_model
