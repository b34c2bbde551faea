// An out-of-order core (Cortex-A72, Cortex-A76): dispatch width, reorder buffer, issue queues, pipes.

#include "core.h"

namespace board_model {
namespace {

// Which pipes are taken in which cycle, for the cycles around now.
class PipeCalendar {
 public:
  PipeCalendar() { clear(); }

  void clear() { days_.fill(~0ull); }

  // Takes one of `pipes` for `occupancy` cycles, from cycle `from` on; the cycle at which it starts.
  // `prefer_second` takes the second of the free pipes, so that halves of an instruction spread.
  uint64_t reserve(uint8_t pipes, uint64_t from, int occupancy, bool prefer_second) {
    for (uint64_t cycle = from; cycle < from + kFarthest; cycle++) {
      uint64_t& day = at(cycle);
      uint64_t free = pipes & ~day;
      if (!free) continue;
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

class OutOfOrderCore final : public Core {
 public:
  explicit OutOfOrderCore(const CoreParameters& parameters)
      : Core(parameters),
        reorder_buffer_(parameters.reorder_buffer),
        integer_(parameters.queue_integer),
        memory_(parameters.queue_memory),
        vector_(parameters.queue_vector) {}
  uint64_t cycles() const override { return last_retired_; }

 protected:
  void replay(const Block& block, uint64_t next) override;
  void restart_pipeline() override;

 private:
  Queue& queue_of(const Operation& operation);
  void stall_dispatch_until(uint64_t cycle);
  void dispatch(const Operation& operation);
  uint64_t operands_ready(const Operation& operation) const;
  uint64_t issue(const Operation& operation);
  uint64_t finish_load(const Operation& operation, size_t index, uint64_t issued);
  uint64_t finish_store(const Operation& operation, size_t index, uint64_t issued);
  void finish_branch(const Block& block, const Operation& operation, uint64_t next, uint64_t done);

  uint64_t dispatch_cycle_ = 0;
  int dispatched_ = 0;  // in dispatch_cycle_
  uint64_t last_retired_ = 0;
  PipeCalendar pipes_;
  Queue reorder_buffer_, integer_, memory_, vector_;
};

void OutOfOrderCore::restart_pipeline() {
  dispatch_cycle_ = last_retired_ = 0;
  dispatched_ = 0;
  pipes_.clear();
  for (Queue* queue : {&reorder_buffer_, &integer_, &memory_, &vector_}) queue->clear();
}

Queue& OutOfOrderCore::queue_of(const Operation& operation) {
  if (operation.cost.pipes & (kPipeV0 | kPipeV1)) return vector_;
  if (operation.cost.pipes & (kPipeL0 | kPipeL1)) return memory_;
  return integer_;
}

void OutOfOrderCore::stall_dispatch_until(uint64_t cycle) {
  if (cycle <= dispatch_cycle_) return;
  dispatch_cycle_ = cycle;
  dispatched_ = 0;
}

void OutOfOrderCore::dispatch(const Operation& operation) {
  if (dispatched_ >= parameters_.issue_width) stall_dispatch_until(dispatch_cycle_ + 1);
  stall_dispatch_until(reorder_buffer_.entry_free());
  if (operation.cost.pipes) stall_dispatch_until(queue_of(operation).entry_free());
  dispatched_ += parameters_.dispatch_by_micro_op ? operation.cost.micro_ops : 1;
  while (dispatched_ > parameters_.issue_width) {
    dispatch_cycle_++;
    dispatched_ -= parameters_.issue_width;
  }
}

uint64_t OutOfOrderCore::operands_ready(const Operation& operation) const {
  uint64_t ready = dispatch_cycle_ + 1;
  // A store issues with its address; its data may come later.
  int n = operation.kind == Kind::store ? operation.n_address_reads : operation.n_reads;
  for (int i = 0; i < n; i++) ready = std::max(ready, source_ready(operation, i));
  return ready;
}

// The cycle at which the last micro-operation starts.
uint64_t OutOfOrderCore::issue(const Operation& operation) {
  uint64_t ready = operands_ready(operation);
  const Cost& cost = operation.cost;
  if (!cost.pipes) return ready;
  uint64_t issued = ready;
  for (int i = 0; i < cost.micro_ops; i++) {
    issued = std::max(issued, pipes_.reserve(cost.pipes, ready, cost.occupancy, i & 1));
  }
  queue_of(operation).enter(issued);
  return issued;
}

uint64_t OutOfOrderCore::finish_load(const Operation& operation, size_t index, uint64_t issued) {
  uint64_t done = issued + operation.cost.latency;
  uint64_t arrived = access_memory(index, issued, false);
  return arrived > issued ? std::max(done, arrived + operation.cost.latency - 1) : done;
}

uint64_t OutOfOrderCore::finish_store(const Operation& operation, size_t index, uint64_t issued) {
  uint64_t retired = issued + operation.cost.latency;
  for (int i = operation.n_address_reads; i < operation.n_reads; i++) {
    retired = std::max(retired, ready_[operation.reads[i]]);
  }
  uint64_t arrived = access_memory(index, retired, true);
  if (arrived > retired + kHiddenStoreCycles) {
    retired = std::max(retired, enter_store_buffer(arrived));
  }
  return retired;
}

void OutOfOrderCore::finish_branch(const Block& block, const Operation& operation, uint64_t next,
                                   uint64_t done) {
  if (!predict(block, operation, next)) {
    dispatch_cycle_ = std::max(dispatch_cycle_, done + parameters_.mispredict_penalty);
    dispatched_ = 0;
  } else if (next != block.end && parameters_.taken_branch_ends_group) {
    dispatched_ = parameters_.issue_width;
  }
}

void OutOfOrderCore::replay(const Block& block, uint64_t next) {
  uint64_t done = 0;
  for (size_t i = 0; i < block.operations.size(); i++) {
    const Operation& operation = block.operations[i];
    dispatch(operation);
    uint64_t issued = issue(operation);
    done = issued + operation.cost.latency;
    uint64_t retired = done;
    if (operation.kind == Kind::load) retired = done = finish_load(operation, i, issued);
    if (operation.kind == Kind::store) retired = finish_store(operation, i, issued);
    last_retired_ = std::max(last_retired_, retired);
    reorder_buffer_.enter(last_retired_);
    for (int d = 0; d < operation.n_writes; d++) {
      ready_[operation.writes[d]] = d == operation.writeback ? issued + 1 : done;
    }
  }
  if (block.operations.empty()) return;
  const Operation& last = block.operations.back();
  if (last.is_branch()) finish_branch(block, last, next, done);
}

}  // namespace

std::unique_ptr<Core> make_out_of_order_core(const CoreParameters& parameters) {
  return std::make_unique<OutOfOrderCore>(parameters);
}

}  // namespace board_model
