// An out-of-order core (Cortex-A72, Cortex-A76): dispatch, reorder buffer, issue queues, pipes.
//
// Instructions are dispatched in order, as many a cycle as the core is wide, each into the entry of
// the reorder buffer and of its queue that has been taken the longest. Micro-operations start as
// soon as their operands are there and a pipe is free. Time is when the last instruction retired.

#include "core.h"
#include "issue.h"

namespace board_model {
namespace {

class OutOfOrderCore final : public Core {
 public:
  explicit OutOfOrderCore(const CoreParameters& parameters)
      : Core(parameters),
        reorder_buffer_(parameters.reorder_buffer),
        integer_queue_(parameters.queue_integer),
        memory_queue_(parameters.queue_memory),
        vector_queue_(parameters.queue_vector) {}
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
  Queue reorder_buffer_, integer_queue_, memory_queue_, vector_queue_;
};

void OutOfOrderCore::restart_pipeline() {
  dispatch_cycle_ = last_retired_ = 0;
  dispatched_ = 0;
  pipes_.clear();
  for (Queue* queue : {&reorder_buffer_, &integer_queue_, &memory_queue_, &vector_queue_}) {
    queue->clear();
  }
}

Queue& OutOfOrderCore::queue_of(const Operation& operation) {
  if (operation.cost.pipes & (kPipeV0 | kPipeV1)) return vector_queue_;
  if (operation.cost.pipes & (kPipeL0 | kPipeL1)) return memory_queue_;
  return integer_queue_;
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
