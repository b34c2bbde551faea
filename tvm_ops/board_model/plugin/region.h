// Which part of which thread is modelled, and the report about it.
//
// A program marks regions by a system call that no kernel has: start, stop, flush. While no region
// is open nothing is modelled, so that the rest of the program runs fast. The thread that opens a
// region owns it: the others run unmodelled, and their marks do nothing meanwhile. The whole
// program, while it is the region, is owned by the main thread; the first mark of any thread takes
// the model over. A forked child is not modelled until it opens a region of its own, with a copy of
// the model as it was at the fork; it reports to the same file.
#pragma once

#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>

#include "block_store.h"
#include "core.h"

namespace board_model {

constexpr int64_t kMarkSystemCall = 7777;
enum class Mark : uint64_t { start = 1, stop = 2, flush = 3 };

// The exit code of a program that was cut off at the cycle limit.
constexpr int kCutOffExitCode = 93;

struct RegionOptions {
  std::string report;              // path of the report, one JSON object a line
  uint64_t cycle_limit = 0;        // 0: none
  size_t hot_blocks = 0;           // how many blocks to list in the report
  bool from_program_start = true;  // until a mark is seen, the whole program is the region
};

class RegionTracker {
 public:
  RegionTracker(const RegionOptions& options, Core& core, BlockStore& blocks);

  // Whether what this thread does is being modelled.
  bool models(unsigned vcpu) const { return vcpu == owner_.load(std::memory_order_relaxed); }
  void block_starts(Block& block);
  void memory_accessed(uint32_t instruction, uint64_t address) {
    accesses_.add(instruction, address);
  }
  void system_call(unsigned vcpu, int64_t number, uint64_t mark, uint64_t region);
  void system_call_returns(unsigned vcpu);
  void thread_exits(unsigned vcpu);
  void program_exits();

 private:
  // Owners that are no threads.
  static constexpr unsigned kNobody = ~0u;
  static constexpr unsigned kClaimed = ~0u - 1;  // a thread without a region handles a mark
  static constexpr unsigned kWaiting = ~0u - 2;  // the main thread, in a system call

  // Makes this thread the only one that touches the model; false if another one has it.
  bool claim(unsigned vcpu);
  // As claim, but takes the model from the main thread if the whole program is the region so far.
  bool claim_for_mark(unsigned vcpu);
  void handle(unsigned vcpu, Mark mark, uint64_t region);
  void restart();
  [[noreturn]] void cut_off();
  void report(uint64_t region, bool was_cut_off);
  void report_hot_blocks();

  const RegionOptions options_;
  Core& core_;
  BlockStore& blocks_;
  pid_t process_ = getpid();
  FILE* file_;
  std::atomic<bool> whole_program_;
  std::atomic<bool> takeover_requested_{false};
  std::atomic<unsigned> owner_{kNobody};
  Block* current_ = nullptr;  // being executed; replayed when the next one starts
  AccessList accesses_;
};

}  // namespace board_model
