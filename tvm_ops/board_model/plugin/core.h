// What in-order and out-of-order cores have in common: registers, memory, branches.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "block.h"
#include "branch_predictor.h"
#include "core_file.h"
#include "memory.h"

namespace board_model {

class Core {
 public:
  explicit Core(const CoreParameters& parameters)
      : parameters_(parameters), memory_(parameters_), store_buffer_(parameters.store_buffer, 0) {}
  virtual ~Core() = default;

  // Replays one executed block, after which the program went on at address `next`.
  void execute(Block& block, const AccessList& accesses, uint64_t next);
  virtual uint64_t cycles() const = 0;

  // Sets time and counters to zero; caches, TLB and predictors keep what they hold.
  void restart_clock();
  void flush_caches() { memory_.flush(); }
  void power_on();

  const CoreParameters& parameters() const { return parameters_; }
  const MemoryCounters& memory_counters() const { return memory_.counters(); }
  const BranchPredictor& branch_predictor() const { return branches_; }

 protected:
  virtual void replay(Block& block, uint64_t next) = 0;
  virtual void restart_pipeline() = 0;

  // The cycle at which the data of instruction `index` are there; 0: nothing to wait for.
  uint64_t access_memory(size_t index, uint64_t now, bool store);
  // The cycle at which source `index` of the operation can be used.
  uint64_t source_ready(const Operation& operation, int index) const;

  // For profiles. How long sources [first, last) are waited for, and why; `late` is by register.
  using LateRegisters = std::array<Lateness, kRegisters>;
  OperandWait operand_wait(const Operation& operation, int first, int last,
                           const LateRegisters& late) const;
  // As access_memory; leaves with the recorder which part of its time was whose.
  uint64_t access_memory(size_t index, uint64_t now, bool store, WaitRecorder& recorder);
  uint64_t access_memory(size_t index, uint64_t now, bool store, NoRecorder&) {
    return access_memory(index, now, store);
  }
  bool predict(const Block& block, const Operation& branch, uint64_t next) {
    return branches_.predict(block, branch, next);
  }
  // Enters a store that completes at `done`; the cycle at which its buffer entry became free.
  uint64_t enter_store_buffer(uint64_t done);

  const CoreParameters parameters_;
  std::array<uint64_t, kRegisters> ready_{};

 private:
  Memory memory_;
  BranchPredictor branches_;
  std::vector<uint64_t> store_buffer_;
  size_t next_store_ = 0;
  const Access* next_access_ = nullptr;  // of the block being replayed
  const Access* last_access_ = nullptr;
  uint64_t slowest_line_ = 0;  // of the last instruction that accessed memory
  int translation_ = 0;        // cycles of it
};

// With `profile` they fill in the waits of the blocks' instructions; cycles are the same.
std::unique_ptr<Core> make_in_order_core(const CoreParameters& parameters, bool profile);
std::unique_ptr<Core> make_out_of_order_core(const CoreParameters& parameters, bool profile);

// A store whose line is there within these cycles needs no store buffer entry of its own.
constexpr uint64_t kHiddenStoreCycles = 4;

inline uint64_t Core::source_ready(const Operation& operation, int index) const {
  uint64_t ready = ready_[operation.reads[index]];
  if (index != operation.accumulator) return ready;
  // The accumulator is needed only when the product is there.
  uint64_t lead = operation.cost.latency - operation.cost.accumulate;
  return ready > lead ? ready - lead : 0;
}

inline uint64_t Core::enter_store_buffer(uint64_t done) {
  uint64_t free = store_buffer_[next_store_];
  store_buffer_[next_store_] = done;
  next_store_ = (next_store_ + 1) % store_buffer_.size();
  return free;
}

}  // namespace board_model
