// Cache levels, prefetcher, TLB and DRAM together. Addresses are virtual.
#pragma once

#include <cstdint>
#include <vector>

#include "cache.h"
#include "core_file.h"
#include "prefetcher.h"
#include "tlb.h"
#include "waits.h"

namespace board_model {

struct MemoryCounters {
  uint64_t l1_misses = 0, l2_misses = 0, l3_misses = 0;
};

class Memory {
 public:
  explicit Memory(const CoreParameters& core);

  // An access to one line at cycle `now`: the cycle at which its data are there (0: long ago).
  uint64_t access(uint64_t line, uint64_t now, bool store);
  int translate(uint64_t page) { return tlb_.access(page); }
  const MemoryCounters& counters() const { return counters_; }
  // Which level a line came from that was accessed last.
  Wait source(uint64_t line) const;

  void restart_clock();  // keeps contents
  void flush();          // empties the caches
  void power_on();       // forgets everything

 private:
  uint64_t fetch(uint64_t line, uint64_t now, bool prefetch);
  uint64_t fetch_from_l3(uint64_t line, uint64_t now, bool prefetch);
  uint64_t fetch_from_dram(uint64_t now);
  void fill(size_t level, uint64_t line, uint64_t ready, uint8_t flags);
  void prefetch_after(uint64_t line, uint64_t now);

  const CoreParameters& core_;
  std::vector<Cache> levels_;
  Tlb tlb_;
  StreamPrefetcher prefetcher_;
  std::vector<uint64_t> misses_until_;  // one for each miss that can be in flight
  uint64_t l2_free_ = 0, l3_free_ = 0, dram_free_ = 0;
  uint8_t fetched_from_ = 0;  // the last line: a flag of Cache
  MemoryCounters counters_;
};

}  // namespace board_model
