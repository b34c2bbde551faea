// An out-of-order core (Cortex-A72, Cortex-A76): dispatch, reorder buffer, issue queues, pipes.
//
// Instructions are dispatched in order, as many a cycle as the core is wide, each into the entry of
// the reorder buffer and of its queue that has been taken the longest. Micro-operations start as
// soon as their operands are there and a pipe is free; those that put a load's data into a register
// when the data have arrived. Time is when the last instruction retired.

#include "core.h"
#include "issue.h"

namespace board_model {
namespace {

template <class Recorder>
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
  void replay(Block& block, uint64_t next) override;
  void restart_pipeline() override;

 private:
  Queue& queue_of(const Operation& operation);
  void stall_dispatch_until(uint64_t cycle, Wait cause);
  void dispatch(const Operation& operation);
  uint64_t operands_ready(const Operation& operation) const;
  uint64_t issue(const Operation& operation);
  uint64_t finish_load(const Operation& operation, size_t index, uint64_t issued);
  uint64_t pass_data_pipes(const Cost& cost, uint64_t issued, uint64_t done);
  uint64_t finish_store(const Operation& operation, size_t index, uint64_t issued);
  void finish_branch(const Block& block, const Operation& operation, uint64_t next, uint64_t done);
  void record(const Operation& operation, uint64_t issued, uint64_t done, uint64_t retired);

  uint64_t dispatch_cycle_ = 0;
  int dispatched_ = 0;  // in dispatch_cycle_
  uint64_t last_retired_ = 0;
  PipeCalendar pipes_;
  Queue reorder_buffer_, integer_queue_, memory_queue_, vector_queue_;
  Recorder recorder_;
  Wait dispatch_wait_ = Wait::fetch;  // why dispatch_cycle_ is not earlier; for profiles
};

template <class Recorder>
void OutOfOrderCore<Recorder>::restart_pipeline() {
  dispatch_cycle_ = last_retired_ = 0;
  dispatched_ = 0;
  pipes_.clear();
  for (Queue* queue : {&reorder_buffer_, &integer_queue_, &memory_queue_, &vector_queue_}) {
    queue->clear();
  }
  if constexpr (Recorder::kOn) recorder_ = {};
  dispatch_wait_ = Wait::fetch;
}

template <class Recorder>
Queue& OutOfOrderCore<Recorder>::queue_of(const Operation& operation) {
  if (operation.cost.pipes & (kPipeV0 | kPipeV1)) return vector_queue_;
  if (operation.cost.pipes & (kPipeL0 | kPipeL1)) return memory_queue_;
  return integer_queue_;
}

template <class Recorder>
void OutOfOrderCore<Recorder>::stall_dispatch_until(uint64_t cycle, Wait cause) {
  if (cycle <= dispatch_cycle_) return;
  if constexpr (Recorder::kOn) dispatch_wait_ = cause;
  dispatch_cycle_ = cycle;
  dispatched_ = 0;
}

template <class Recorder>
void OutOfOrderCore<Recorder>::dispatch(const Operation& operation) {
  if (dispatched_ >= parameters_.issue_width) {
    stall_dispatch_until(dispatch_cycle_ + 1, Wait::fetch);
  }
  stall_dispatch_until(reorder_buffer_.entry_free(), Wait::reorder_buffer);
  if (operation.cost.pipes) {
    stall_dispatch_until(queue_of(operation).entry_free(), Wait::queue);
  }
  int micro_ops = operation.cost.micro_ops;
  if (operation.cost.data_micro_ops) {
    stall_dispatch_until(vector_queue_.entry_free(), Wait::queue);
    micro_ops += operation.cost.data_micro_ops;
  }
  dispatched_ += parameters_.dispatch_by_micro_op ? micro_ops : 1;
  while (dispatched_ > parameters_.issue_width) {
    dispatch_cycle_++;
    if constexpr (Recorder::kOn) dispatch_wait_ = Wait::fetch;
    dispatched_ -= parameters_.issue_width;
  }
}

template <class Recorder>
uint64_t OutOfOrderCore<Recorder>::operands_ready(const Operation& operation) const {
  uint64_t ready = dispatch_cycle_ + 1;
  // A store issues with its address; its data may come later.
  int n = operation.kind == Kind::store ? operation.n_address_reads : operation.n_reads;
  for (int i = 0; i < n; i++) ready = std::max(ready, source_ready(operation, i));
  return ready;
}

// The cycle at which the last micro-operation starts.
template <class Recorder>
uint64_t OutOfOrderCore<Recorder>::issue(const Operation& operation) {
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

template <class Recorder>
uint64_t OutOfOrderCore<Recorder>::finish_load(const Operation& operation, size_t index,
                                               uint64_t issued) {
  uint64_t done = issued + operation.cost.latency;
  uint64_t arrived = access_memory(index, issued, false, recorder_);
  if (arrived > issued) done = std::max(done, arrived + operation.cost.latency - 1);
  if constexpr (Recorder::kOn) recorder_.data_pipes = 0;
  return operation.cost.data_micro_ops ? pass_data_pipes(operation.cost, issued, done) : done;
}

// When data that would be in their registers at `done` are there, with the other pipes as they are.
// Their entry of the vector queue counts until the load has started: a ring gives entries back in
// their order, and would hold all behind this one for the time that the data are underway. Two
// additions beside each ld2 would take an A72 1.77 cycles, and its pipes allow 1.5.
template <class Recorder>
[[gnu::noinline]] uint64_t OutOfOrderCore<Recorder>::pass_data_pipes(  // inlined costs others 2 %
    const Cost& cost, uint64_t issued, uint64_t done) {
  uint64_t from = done - cost.data_lead, last = from;
  for (int i = 0; i < cost.data_micro_ops; i++) {
    last = std::max(last, pipes_.template reserve<true>(cost.data_pipes, from, 1, i & 1));
  }
  vector_queue_.enter(issued);
  uint64_t there = std::max(done, last + cost.data_latency);
  if constexpr (Recorder::kOn) recorder_.data_pipes = there - done;
  return there;
}

template <class Recorder>
uint64_t OutOfOrderCore<Recorder>::finish_store(const Operation& operation, size_t index,
                                                uint64_t issued) {
  uint64_t retired = issued + operation.cost.latency;
  for (int i = operation.n_address_reads; i < operation.n_reads; i++) {
    retired = std::max(retired, ready_[operation.reads[i]]);
  }
  uint64_t arrived = access_memory(index, retired, true, recorder_);
  if (arrived > retired + kHiddenStoreCycles) {
    retired = std::max(retired, enter_store_buffer(arrived));
  }
  return retired;
}

template <class Recorder>
void OutOfOrderCore<Recorder>::finish_branch(const Block& block, const Operation& operation,
                                             uint64_t next, uint64_t done) {
  if (!predict(block, operation, next)) {
    stall_dispatch_until(done + parameters_.mispredict_penalty, Wait::branch);
    dispatched_ = 0;
  } else if (next != block.end && parameters_.taken_branch_ends_group) {
    dispatched_ = parameters_.issue_width;
  }
}

// The instruction retires at `retired`, its value is there at `done`. Latency that nothing hides
// belongs to what kept dispatch back.
template <class Recorder>
void OutOfOrderCore<Recorder>::record(const Operation& operation, uint64_t issued, uint64_t done,
                                      uint64_t retired) {
  uint64_t dispatched = dispatch_cycle_ + 1, in_time = issued + operation.cost.latency;
  bool store = operation.kind == Kind::store, load = operation.kind == Kind::load;
  int n_waited = store ? operation.n_address_reads : operation.n_reads;
  Backwards advance(recorder_, retired > last_retired_ ? retired - last_retired_ : 0);
  uint64_t data_pipes = load ? recorder_.data_pipes : 0;
  uint64_t late = load ? done - data_pipes - in_time : 0;
  if (advance.left()) {
    advance.take(Wait::unit, data_pipes);
    if (store) {
      OperandWait data =
          operand_wait(operation, operation.n_address_reads, operation.n_reads, recorder_.late);
      advance.take(Wait::store_buffer, retired - std::max(in_time, data.ready));
      advance.take_operands(data, in_time);
    }
    uint64_t translation = std::min(late, load ? recorder_.translation.cycles : 0);
    advance.take(Wait::tlb, translation);
    advance.take(recorder_.cache.cause, late - translation);
    OperandWait operands = operand_wait(operation, 0, n_waited, recorder_.late);
    advance.take(Wait::unit, issued - std::max(operands.ready, dispatched));
    advance.take_operands(operands, dispatched);
    advance.take(dispatch_wait_, advance.left());
  }
  bool translated = load && recorder_.translation.cycles > recorder_.cache.cycles;
  Wait cause = translated ? Wait::tlb : recorder_.cache.cause;
  for (int d = 0; d < operation.n_writes; d++) {
    recorder_.late[operation.writes[d]] = {d == operation.writeback ? 0 : late, cause};
  }
}

template <class Recorder>
void OutOfOrderCore<Recorder>::replay(Block& block, uint64_t next) {
  if constexpr (Recorder::kOn) block.waits.resize(block.operations.size());
  uint64_t done = 0;
  for (size_t i = 0; i < block.operations.size(); i++) {
    const Operation& operation = block.operations[i];
    if constexpr (Recorder::kOn) recorder_.start(block.waits[i]);
    dispatch(operation);
    uint64_t issued = issue(operation);
    done = issued + operation.cost.latency;
    uint64_t retired = done;
    if (operation.kind == Kind::load) retired = done = finish_load(operation, i, issued);
    if (operation.kind == Kind::store) retired = finish_store(operation, i, issued);
    if constexpr (Recorder::kOn) record(operation, issued, done, retired);
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

std::unique_ptr<Core> make_out_of_order_core(const CoreParameters& parameters, bool profile) {
  if (profile) return std::make_unique<OutOfOrderCore<WaitRecorder>>(parameters);
  return std::make_unique<OutOfOrderCore<NoRecorder>>(parameters);
}

}  // namespace board_model
