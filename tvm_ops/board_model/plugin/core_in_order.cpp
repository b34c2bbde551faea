// A dual-issue in-order core with a scoreboard (Cortex-A53).
//
// Each instruction issues at the first cycle at which its operands and its unit are ready and the
// issue group has a slot for it. The NEON datapath is two 64-bit halves: one 128-bit or two 64-bit
// instructions a cycle. An access of more than the datapath's width issues alone and holds the
// load/store unit for several cycles.

#include "core.h"

namespace board_model {
namespace {

template <class Recorder>
class InOrderCore final : public Core {
 public:
  using Core::Core;
  uint64_t cycles() const override { return cycle_; }

 protected:
  void replay(Block& block, uint64_t next) override;
  void restart_pipeline() override;

 private:
  // What the instructions issued in the current cycle have taken.
  struct Group {
    int instructions = 0;
    int neon_slots = 0;
    bool memory = false;
    bool branch = false;
  };

  [[gnu::always_inline]] inline uint64_t units_ready(const Operation& operation,
                                                     uint64_t from) const;
  uint64_t operands_and_units_ready(const Operation& operation) const;
  bool fits(const Operation& operation) const;
  uint64_t issue(const Operation& operation);
  uint64_t finish_load(const Operation& operation, size_t index, uint64_t issued);
  void finish_store(const Operation& operation, size_t index, uint64_t issued);
  void hold_memory_unit(const Operation& operation, uint64_t issued);
  void finish_branch(const Block& block, const Operation& operation, uint64_t next);
  void close_group() { group_.instructions = parameters_.issue_width; }
  void record_issue(const Operation& operation);
  void record_data(const Operation& operation, uint64_t late);

  uint64_t cycle_ = 0;
  uint64_t neon_free_ = 0, memory_free_ = 0, divider_free_ = 0;
  Group group_;
  Recorder recorder_;
};

template <class Recorder>
void InOrderCore<Recorder>::restart_pipeline() {
  cycle_ = neon_free_ = memory_free_ = divider_free_ = 0;
  group_ = {};
  if constexpr (Recorder::kOn) recorder_ = {};
}

bool is_division(const Operation& operation) {
  return operation.cost.occupancy > 1 && operation.cost.neon_slots == 0;
}

template <class Recorder>
uint64_t InOrderCore<Recorder>::units_ready(const Operation& operation, uint64_t from) const {
  uint64_t ready = from;
  if (operation.cost.neon_slots) ready = std::max(ready, neon_free_);
  if (operation.cost.memory_cycles) ready = std::max(ready, memory_free_);
  if (is_division(operation)) ready = std::max(ready, divider_free_);
  return ready;
}

template <class Recorder>
uint64_t InOrderCore<Recorder>::operands_and_units_ready(const Operation& operation) const {
  uint64_t ready = cycle_;
  for (int i = 0; i < operation.n_reads; i++) ready = std::max(ready, source_ready(operation, i));
  return units_ready(operation, ready);
}

template <class Recorder>
bool InOrderCore<Recorder>::fits(const Operation& operation) const {
  const Cost& cost = operation.cost;
  if (group_.instructions >= parameters_.issue_width) return false;
  if (cost.issues_alone && group_.instructions) return false;
  if (cost.neon_slots && group_.neon_slots + cost.neon_slots > parameters_.neon_slots) return false;
  if (cost.memory_cycles && group_.memory) return false;
  return !(operation.is_branch() && group_.branch);
}

// What would hold the instruction up if all registers were ready comes first, then calculations,
// then memory.
template <class Recorder>
void InOrderCore<Recorder>::record_issue(const Operation& operation) {
  uint64_t slot = units_ready(operation, cycle_);
  recorder_.add(Wait::unit, slot - cycle_);
  if (slot == cycle_ && !fits(operation)) {
    slot++;
    recorder_.add(recorder_.fetch_ended ? Wait::fetch : Wait::issue, 1);
  }
  recorder_.fetch_ended = false;
  OperandWait wait = operand_wait(operation, 0, operation.n_reads, recorder_.late);
  if (wait.ready <= slot) return;
  uint64_t in_time = std::max(slot, wait.in_time);
  recorder_.add(Wait::operand, in_time - slot);
  recorder_.add(wait.cause, wait.ready - in_time);
  recorder_.add_source(wait.source, wait.ready - slot);
}

// Data that come `late` cycles later than from L1 make registers late.
template <class Recorder>
void InOrderCore<Recorder>::record_data(const Operation& operation, uint64_t late) {
  bool translated = recorder_.translation.cycles > recorder_.cache.cycles;
  Wait cause = translated ? Wait::tlb : recorder_.cache.cause;
  for (int d = 0; d < operation.n_writes; d++) {
    recorder_.late[operation.writes[d]] = {d == operation.writeback ? 0 : late, cause};
  }
}

template <class Recorder>
uint64_t InOrderCore<Recorder>::issue(const Operation& operation) {
  if constexpr (Recorder::kOn) record_issue(operation);
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

template <class Recorder>
void InOrderCore<Recorder>::hold_memory_unit(const Operation& operation, uint64_t issued) {
  if (operation.cost.memory_cycles <= 1) return;
  memory_free_ = issued + operation.cost.memory_cycles;
  if constexpr (Recorder::kOn) {
    recorder_.add(Wait::unit, std::max(cycle_, memory_free_ - 1) - cycle_);
  }
  cycle_ = std::max(cycle_, memory_free_ - 1);
  close_group();
  group_.neon_slots = parameters_.neon_slots;
  group_.memory = true;
}

template <class Recorder>
uint64_t InOrderCore<Recorder>::finish_load(const Operation& operation, size_t index,
                                            uint64_t issued) {
  uint64_t done = issued + operation.cost.latency;
  uint64_t arrived = access_memory(index, issued, false, recorder_);
  if (arrived > issued) done = std::max(done, arrived + operation.cost.latency - 1);
  hold_memory_unit(operation, issued);
  return done;
}

template <class Recorder>
void InOrderCore<Recorder>::finish_store(const Operation& operation, size_t index,
                                         uint64_t issued) {
  uint64_t arrived = access_memory(index, issued, true, recorder_);
  if (arrived > issued + kHiddenStoreCycles) {
    uint64_t entry_free = enter_store_buffer(std::max(issued + 1, arrived));
    if (entry_free > issued) {
      if constexpr (Recorder::kOn) recorder_.add(Wait::store_buffer, entry_free - cycle_);
      cycle_ = entry_free;
      group_ = {};
    }
  }
  hold_memory_unit(operation, issued);
}

template <class Recorder>
void InOrderCore<Recorder>::finish_branch(const Block& block, const Operation& operation,
                                          uint64_t next) {
  if (!predict(block, operation, next)) {
    if constexpr (Recorder::kOn) recorder_.add(Wait::branch, parameters_.mispredict_penalty);
    cycle_ += parameters_.mispredict_penalty;
    group_ = {};
  } else if (next != block.end && parameters_.taken_branch_ends_group) {
    if constexpr (Recorder::kOn) {
      recorder_.fetch_ended = group_.instructions < parameters_.issue_width;
    }
    close_group();
  }
}

template <class Recorder>
void InOrderCore<Recorder>::replay(Block& block, uint64_t next) {
  if constexpr (Recorder::kOn) block.waits.resize(block.operations.size());
  for (size_t i = 0; i < block.operations.size(); i++) {
    const Operation& operation = block.operations[i];
    if constexpr (Recorder::kOn) recorder_.start(block.waits[i]);
    uint64_t issued = issue(operation);
    uint64_t done = issued + operation.cost.latency;
    if (operation.kind == Kind::load) done = finish_load(operation, i, issued);
    if (operation.kind == Kind::store) finish_store(operation, i, issued);
    if constexpr (Recorder::kOn) record_data(operation, done - issued - operation.cost.latency);
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

std::unique_ptr<Core> make_in_order_core(const CoreParameters& parameters, bool profile) {
  if (profile) return std::make_unique<InOrderCore<WaitRecorder>>(parameters);
  return std::make_unique<InOrderCore<NoRecorder>>(parameters);
}

}  // namespace board_model
