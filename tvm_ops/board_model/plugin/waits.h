// What instructions waited for: the cycles by which each advanced the core's time, by cause.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "operation.h"

namespace board_model {

// In the report they have the names of kWaitNames.
enum class Wait : uint8_t {
  operand,         // a register that is not ready, not because of a miss
  issue,           // the issue group has no slot for it, or may not hold both
  unit,            // its unit or all its pipes are busy
  queue,           // its issue queue is full
  l2,              // data from L2, L3 or DRAM: its own, or those in a register that it needs
  l3,
  dram,
  tlb,             // address translation
  store_buffer,    // stores that miss have taken it
  fetch,           // dispatch width, and a taken branch that ends the fetch group
  branch,          // a mispredicted branch
  reorder_buffer,  // the reorder buffer is full
};
constexpr size_t kWaits = 12;
constexpr const char* kWaitNames[kWaits] = {
    "operand", "issue", "unit",         "queue", "l2",     "l3",
    "dram",    "tlb",   "store_buffer", "fetch", "branch", "reorder_buffer"};

// One instruction of a block over all executions.
struct InstructionWaits {
  std::array<uint64_t, kWaits> cycles{};         // their sum: the instruction's part of the block
  std::array<uint64_t, kMaxReads> for_source{};  // the part that waited for one of its registers
  uint64_t l1_misses = 0, l2_misses = 0;
};

// How much later than from L1 a register's value came, and from where; how much later data came.
struct Lateness {
  uint64_t cycles = 0;
  Wait cause = Wait::l2;
};

// The wait for registers: until `in_time` for calculations, from then until `ready` for memory.
struct OperandWait {
  uint64_t in_time = 0, ready = 0;
  Wait cause = Wait::l2;
  int source = kNone;  // index in the operation's reads of the last one
};

// Without a profile: nothing is recorded, and what would record is not compiled.
struct NoRecorder {
  static constexpr bool kOn = false;
};

// Adds to one instruction's waits.
class WaitRecorder {
 public:
  static constexpr bool kOn = true;

  void start(InstructionWaits& instruction) { waits_ = &instruction; }
  void add(Wait cause, uint64_t cycles) { waits_->cycles[static_cast<size_t>(cause)] += cycles; }
  void add_source(int source, uint64_t cycles) {
    if (source != kNone) waits_->for_source[source] += cycles;
  }
  void add_misses(uint64_t l1, uint64_t l2) {
    waits_->l1_misses += l1;
    waits_->l2_misses += l2;
  }

  std::array<Lateness, kRegisters> late{};  // by register
  Lateness cache, translation;              // of the instruction's own data
  uint64_t data_pipes = 0;                  // cycles that its data waited for other pipes
  bool fetch_ended = false;                 // the issue group, by a taken branch before it was full

 private:
  InstructionWaits* waits_ = nullptr;
};

// Hands the cycles by which an instruction advanced time to its waits, from the newest backwards:
// an older one was hidden behind what the instructions before it waited for.
class Backwards {
 public:
  Backwards(WaitRecorder& recorder, uint64_t cycles) : recorder_(recorder), left_(cycles) {}

  void take(Wait cause, uint64_t most) {
    uint64_t part = std::min(left_, most);
    left_ -= part;
    recorder_.add(cause, part);
  }
  // A wait for registers that began at cycle `from`.
  void take_operands(const OperandWait& wait, uint64_t from) {
    if (wait.ready <= from) return;
    uint64_t in_time = std::max(wait.in_time, from), before = left_;
    take(wait.cause, wait.ready - in_time);
    take(Wait::operand, in_time - from);
    recorder_.add_source(wait.source, before - left_);
  }
  uint64_t left() const { return left_; }

 private:
  WaitRecorder& recorder_;
  uint64_t left_;
};

}  // namespace board_model
