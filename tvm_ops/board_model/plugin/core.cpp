#include "core.h"

namespace board_model {

void Core::execute(Block& block, const AccessList& accesses, uint64_t next) {
  next_access_ = accesses.begin();
  last_access_ = accesses.end();
  uint64_t cycles_before = cycles();
  MemoryCounters before = memory_.counters();
  replay(block, next);
  block.executions++;
  block.cycles += cycles() - cycles_before;
  block.l1_misses += memory_.counters().l1_misses - before.l1_misses;
  block.l2_misses += memory_.counters().l2_misses - before.l2_misses;
}

uint64_t Core::access_memory(size_t index, uint64_t now, bool store) {
  while (next_access_ != last_access_ && next_access_->instruction < index) next_access_++;
  uint64_t ready = 0, last_line = ~0ull;
  int translation = 0;
  for (; next_access_ != last_access_ && next_access_->instruction == index; next_access_++) {
    uint64_t line = next_access_->address >> kLineShift;
    if (line == last_line) continue;
    translation += memory_.translate(next_access_->address >> kPageShift);
    uint64_t there = memory_.access(line, now, store);
    if (there > ready) {
      ready = there;
      slowest_line_ = line;
    }
    last_line = line;
  }
  translation_ = translation;
  return translation ? std::max(ready, now) + translation : ready;
}

uint64_t Core::access_memory(size_t index, uint64_t now, bool store, WaitRecorder& recorder) {
  MemoryCounters before = memory_.counters();
  uint64_t ready = access_memory(index, now, store);
  const MemoryCounters& after = memory_.counters();
  recorder.add_misses(after.l1_misses - before.l1_misses, after.l2_misses - before.l2_misses);
  recorder.translation = {static_cast<uint64_t>(translation_), Wait::tlb};
  recorder.cache = {ready > now + translation_ ? ready - now - translation_ : 0, Wait::l2};
  if (recorder.cache.cycles) recorder.cache.cause = memory_.source(slowest_line_);
  return ready;
}

OperandWait Core::operand_wait(const Operation& operation, int first, int last,
                               const LateRegisters& late) const {
  OperandWait wait;
  for (int i = first; i < last; i++) {
    uint64_t ready = source_ready(operation, i);
    const Lateness& lateness = late[operation.reads[i]];
    wait.in_time = std::max(wait.in_time, ready - std::min(ready, lateness.cycles));
    if (ready <= wait.ready) continue;
    wait.ready = ready;
    wait.source = i;
    wait.cause = lateness.cause;
  }
  return wait;
}

void Core::restart_clock() {
  ready_.fill(0);
  std::fill(store_buffer_.begin(), store_buffer_.end(), 0);
  memory_.restart_clock();
  branches_.restart_counters();
  restart_pipeline();
}

void Core::power_on() {
  restart_clock();
  memory_.power_on();
  branches_.clear();
}

}  // namespace board_model
