// A translated block: decoded instructions, and what its executions cost in the region.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "operation.h"

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

  void clear_counts() { executions = cycles = l1_misses = l2_misses = 0; }
};

// One memory access of an executed block: which instruction, which address. 16-byte accesses are
// two of these.
struct Access {
  uint32_t instruction;
  uint64_t address;
};

}  // namespace board_model
