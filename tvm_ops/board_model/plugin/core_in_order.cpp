// A dual-issue in-order core with a scoreboard (Cortex-A53).
//
// Each instruction issues at the first cycle at which its operands and its unit are ready and the
// issue group has a slot for it. The NEON datapath is two 64-bit halves: one 128-bit or two 64-bit
// instructions a cycle. An access of more than the datapath's width issues alone and holds the
// load/store unit for several cycles.

#include "core.h"

namespace board_model {
namespace {

class InOrderCore final : public Core {
 public:
  using Core::Core;
  uint64_t cycles() const override { return cycle_; }

 protected:
  void replay(const Block& block, uint64_t next) override;
  void restart_pipeline() override;

 private:
  // What the instructions issued in the current cycle have taken.
  struct Group {
    int instructions = 0;
    int neon_slots = 0;
    bool memory = false;
    bool branch = false;
  };

  uint64_t operands_and_units_ready(const Operation& operation) const;
  bool fits(const Operation& operation) const;
  uint64_t issue(const Operation& operation);
  uint64_t finish_load(const Operation& operation, size_t index, uint64_t issued);
  void finish_store(const Operation& operation, size_t index, uint64_t issued);
  void hold_memory_unit(const Operation& operation, uint64_t issued);
  void finish_branch(const Block& block, const Operation& operation, uint64_t next);
  void close_group() { group_.instructions = parameters_.issue_width; }

  uint64_t cycle_ = 0;
  uint64_t neon_free_ = 0, memory_free_ = 0, divider_free_ = 0;
  Group group_;
};

void InOrderCore::restart_pipeline() {
  cycle_ = neon_free_ = memory_free_ = divider_free_ = 0;
  group_ = {};
}

bool is_division(const Operation& operation) {
  return operation.cost.occupancy > 1 && operation.cost.neon_slots == 0;
}

uint64_t InOrderCore::operands_and_units_ready(const Operation& operation) const {
  uint64_t ready = cycle_;
  for (int i = 0; i < operation.n_reads; i++) ready = std::max(ready, source_ready(operation, i));
  if (operation.cost.neon_slots) ready = std::max(ready, neon_free_);
  if (operation.cost.memory_cycles) ready = std::max(ready, memory_free_);
  if (is_division(operation)) ready = std::max(ready, divider_free_);
  return ready;
}

bool InOrderCore::fits(const Operation& operation) const {
  const Cost& cost = operation.cost;
  if (group_.instructions >= parameters_.issue_width) return false;
  if (cost.issues_alone && group_.instructions) return false;
  if (cost.neon_slots && group_.neon_slots + cost.neon_slots > parameters_.neon_slots) return false;
  if (cost.memory_cycles && group_.memory) return false;
  return !(operation.is_branch() && group_.branch);
}

uint64_t InOrderCore::issue(const Operation& operation) {
  uint64_t at = operands_and_units_ready(operation);
  if (at == cycle_ && !fits(operation)) at = cycle_ + 1;
  if (at > cycle_) {
    cycle_ = at;
    group_ = {};
  }
  group_.instructions++;
  group_.neon_slots += operation.cost.neon_slots;
  group_.memory |= operation.cost.memory_cycles > 0;
  group_.branch |= operation.is_branch();
  return at;
}

void InOrderCore::hold_memory_unit(const Operation& operation, uint64_t issued) {
  if (operation.cost.memory_cycles <= 1) return;
  memory_free_ = issued + operation.cost.memory_cycles;
  cycle_ = std::max(cycle_, memory_free_ - 1);
  close_group();
  group_.neon_slots = parameters_.neon_slots;
  group_.memory = true;
}

uint64_t InOrderCore::finish_load(const Operation& operation, size_t index, uint64_t issued) {
  uint64_t done = issued + operation.cost.latency;
  uint64_t arrived = access_memory(index, issued, false);
  if (arrived > issued) done = std::max(done, arrived + operation.cost.latency - 1);
  hold_memory_unit(operation, issued);
  return done;
}

void InOrderCore::finish_store(const Operation& operation, size_t index, uint64_t issued) {
  uint64_t arrived = access_memory(index, issued, true);
  if (arrived > issued + kHiddenStoreCycles) {
    uint64_t entry_free = enter_store_buffer(std::max(issued + 1, arrived));
    if (entry_free > issued) {
      cycle_ = entry_free;
      group_ = {};
    }
  }
  hold_memory_unit(operation, issued);
}

void InOrderCore::finish_branch(const Block& block, const Operation& operation, uint64_t next) {
  if (!predict(block, operation, next)) {
    cycle_ += parameters_.mispredict_penalty;
    group_ = {};
  } else if (next != block.end && parameters_.taken_branch_ends_group) {
    close_group();
  }
}

void InOrderCore::replay(const Block& block, uint64_t next) {
  for (size_t i = 0; i < block.operations.size(); i++) {
    const Operation& operation = block.operations[i];
    uint64_t issued = issue(operation);
    uint64_t done = issued + operation.cost.latency;
    if (operation.kind == Kind::load) done = finish_load(operation, i, issued);
    if (operation.kind == Kind::store) finish_store(operation, i, issued);
    if (operation.cost.occupancy > 1) {
      (is_division(operation) ? divider_free_ : neon_free_) = issued + operation.cost.occupancy;
    }
    for (int d = 0; d < operation.n_writes; d++) {
      uint64_t written = done + d * operation.cost.stagger;
      ready_[operation.writes[d]] = d == operation.writeback ? issued + 1 : written;
    }
  }
  if (block.operations.empty()) return;
  const Operation& last = block.operations.back();
  if (last.is_branch()) finish_branch(block, last, next);
}

}  // namespace

std::unique_ptr<Core> make_in_order_core(const CoreParameters& parameters) {
  return std::make_unique<InOrderCore>(parameters);
}

}  // namespace board_model
