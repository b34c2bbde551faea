#include "region.h"

#include <sched.h>

#include <cinttypes>
#include <stdexcept>

#include "waits_report.h"

namespace board_model {
namespace {

constexpr uint64_t kWholeProgramRegion = 0;
constexpr unsigned kMainThread = 0;

std::string json_string(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) >= ' ') quoted += c;
  }
  return quoted + '"';
}

}  // namespace

RegionTracker::RegionTracker(const RegionOptions& options, Core& core, BlockStore& blocks)
    : options_(options),
      core_(core),
      blocks_(blocks),
      file_(fopen(options.report.c_str(), "w")),
      whole_program_(options.from_program_start) {
  if (!file_) throw std::runtime_error(options.report + ": cannot be written");
  if (whole_program_) owner_.store(kMainThread);
}

void RegionTracker::restart() {
  blocks_.clear_counts();
  core_.restart_clock();
  current_ = nullptr;
  accesses_.clear();
}

// Replays the block that ran before: only now are all its accesses and its successor known.
void RegionTracker::block_starts(Block& block) {
  if (takeover_requested_.load(std::memory_order_relaxed) && whole_program_) {
    owner_.store(kWaiting);
    return;
  }
  if (current_) {
    core_.execute(*current_, accesses_, block.address);
    if (options_.cycle_limit && core_.cycles() > options_.cycle_limit) cut_off();
  }
  current_ = &block;
  accesses_.clear();
}

void RegionTracker::cut_off() {
  report(kWholeProgramRegion, true);
  _exit(kCutOffExitCode);
}

bool RegionTracker::claim(unsigned vcpu) {
  unsigned nobody = kNobody, waiting = kWaiting;
  return owner_.load() == vcpu || owner_.compare_exchange_strong(nobody, kClaimed) ||
         owner_.compare_exchange_strong(waiting, kClaimed);
}

// The main thread gives way when it enters a system call or the next block, so this ends soon.
bool RegionTracker::claim_for_mark(unsigned vcpu) {
  while (!claim(vcpu)) {
    if (!whole_program_) return false;
    takeover_requested_ = true;
    sched_yield();
  }
  return true;
}

void RegionTracker::system_call(unsigned vcpu, int64_t number, uint64_t mark, uint64_t region) {
  if (getpid() != process_) {  // a forked child inherits no region, but may open its own
    process_ = getpid();
    owner_.store(kNobody);
  }
  if (number != kMarkSystemCall) {
    if (owner_.load() == vcpu && whole_program_) owner_.store(kWaiting);
    return;
  }
  if (!claim_for_mark(vcpu)) return;
  if (whole_program_) {  // the program has regions of its own; they start on a cold machine
    whole_program_ = false;
    core_.power_on();
    owner_.store(kClaimed);
  }
  handle(vcpu, static_cast<Mark>(mark), region);
}

void RegionTracker::handle(unsigned vcpu, Mark mark, uint64_t region) {
  bool open = owner_.load() == vcpu;
  if (mark == Mark::start) {
    restart();
    open = true;
  } else if (mark == Mark::stop && open) {
    report(region, false);
    open = false;
  } else if (mark == Mark::flush) {
    core_.flush_caches();
  }
  owner_.store(open ? vcpu : kNobody);
}

void RegionTracker::system_call_returns(unsigned vcpu) {
  unsigned waiting = kWaiting;
  if (vcpu == kMainThread) owner_.compare_exchange_strong(waiting, kMainThread);
}

void RegionTracker::thread_exits(unsigned vcpu) {
  if (owner_.load() == vcpu && !whole_program_) owner_.store(kNobody);
}

void RegionTracker::program_exits() {
  if (!whole_program_ || owner_.load() == kNobody) return;
  owner_.store(kNobody);
  report(kWholeProgramRegion, false);
}

void RegionTracker::report(uint64_t region, bool was_cut_off) {
  const MemoryCounters& memory = core_.memory_counters();
  const BranchPredictor& branches = core_.branch_predictor();
  fprintf(file_,
          "{\"id\":%" PRIu64 ",\"cycles\":%" PRIu64 ",\"instructions\":%" PRIu64
          ",\"l1_misses\":%" PRIu64 ",\"l2_misses\":%" PRIu64 ",\"l3_misses\":%" PRIu64
          ",\"branches\":%" PRIu64 ",\"mispredicts\":%" PRIu64 ",\"unknown_instructions\":%" PRIu64
          ",\"whole_program\":%s,\"cut_off\":%s",
          region, core_.cycles(), blocks_.executed_instructions(), memory.l1_misses,
          memory.l2_misses, memory.l3_misses, branches.branches(), branches.mispredicts(),
          blocks_.executed_unknown_instructions(), whole_program_ ? "true" : "false",
          was_cut_off ? "true" : "false");
  report_hot_blocks();
  fputs("}\n", file_);
  fflush(file_);
}

void RegionTracker::report_hot_blocks() {
  fputs(",\"hot_blocks\":[", file_);
  const char* separator = "";
  for (const Block* block : blocks_.hottest(options_.hot_blocks)) {
    fprintf(file_,
            "%s{\"address\":%" PRIu64 ",\"symbol\":%s,\"executions\":%" PRIu64
            ",\"cycles\":%" PRIu64 ",\"l1_misses\":%" PRIu64 ",\"l2_misses\":%" PRIu64
            ",\"code\":\"",
            separator, block->address, json_string(block->symbol).c_str(), block->executions,
            block->cycles, block->l1_misses, block->l2_misses);
    for (uint32_t word : block->words) fprintf(file_, "%08" PRIx32, word);
    fputs("\"", file_);
    report_waits(file_, *block, core_.parameters());
    fputs("}", file_);
    separator = ",";
  }
  fputs("]", file_);
}

}  // namespace board_model
