#include "memory.h"

#include <algorithm>

namespace board_model {
namespace {
constexpr size_t kL1 = 0, kL2 = 1, kL3 = 2;
constexpr uint8_t kFromBelowL2 = Cache::kFromL3 | Cache::kFromDram;
constexpr int kLinesPerPageShift = kPageShift - kLineShift;
}

Memory::Memory(const CoreParameters& core)
    : core_(core), tlb_(core), prefetcher_(core), misses_until_(core.misses_in_flight, 0) {
  levels_.emplace_back(core.l1_kib, core.l1_ways);
  levels_.emplace_back(core.l2_kib, core.l2_ways);
  if (core.l3_kib) levels_.emplace_back(core.l3_kib, core.l3_ways);
}

// A dirty victim is written to the next level if that holds the line, else to memory.
void Memory::fill(size_t level, uint64_t line, uint64_t ready, uint8_t flags) {
  uint64_t victim = levels_[level].insert(line, ready, flags);
  if (victim == Cache::kNoLine) return;
  bool held_below = level + 1 < levels_.size() && levels_[level + 1].mark_dirty(victim);
  if (!held_below) dram_free_ += core_.dram_occupancy;
}

uint64_t Memory::fetch_from_dram(uint64_t now) {
  uint64_t start = std::max(now, dram_free_);
  dram_free_ = start + core_.dram_occupancy;
  fetched_from_ = Cache::kFromDram;
  return start + core_.dram_latency;
}

uint64_t Memory::fetch_from_l3(uint64_t line, uint64_t now, bool prefetch) {
  uint64_t start = std::max(now, l3_free_);
  l3_free_ = start + core_.l3_occupancy;
  fetched_from_ = Cache::kFromL3;
  if (levels_[kL3].touch(line)) {
    uint64_t ready = levels_[kL3].newest(line).ready, soonest = start + core_.l3_latency;
    if (ready > soonest) fetched_from_ = Cache::kFromDram;
    return std::max(soonest, ready);
  }
  if (!prefetch) counters_.l3_misses++;
  uint64_t ready = fetch_from_dram(start);
  fill(kL3, line, ready, 0);
  return ready;
}

// Fetches a line from below the L1; the cycle at which it arrives.
uint64_t Memory::fetch(uint64_t line, uint64_t now, bool prefetch) {
  uint64_t start = std::max(now, l2_free_);
  l2_free_ = start + core_.l2_occupancy;
  if (levels_[kL2].touch(line)) {
    Cache::Slot slot = levels_[kL2].newest(line);
    uint64_t soonest = start + core_.l2_latency;
    fetched_from_ = slot.ready > soonest ? slot.flags & kFromBelowL2 : 0;
    return std::max(soonest, slot.ready);
  }
  if (!prefetch) counters_.l2_misses++;
  bool has_l3 = levels_.size() > kL3;
  uint64_t ready = has_l3 ? fetch_from_l3(line, start, prefetch) : fetch_from_dram(start);
  fill(kL2, line, ready, fetched_from_);
  return ready;
}

void Memory::prefetch_after(uint64_t line, uint64_t now) {
  int64_t stride = prefetcher_.observe(line);
  if (stride == 0) return;
  for (int ahead = 1; ahead <= core_.prefetch_degree; ahead++) {
    uint64_t next = line + ahead * stride;
    bool same_page = next >> kLinesPerPageShift == line >> kLinesPerPageShift;
    if (!same_page && !core_.prefetch_crosses_pages) break;
    if (levels_[kL1].contains(next)) continue;
    uint64_t ready = fetch(next, now, true);
    fill(kL1, next, ready, Cache::kPrefetched | fetched_from_);
  }
}

uint64_t Memory::access(uint64_t line, uint64_t now, bool store) {
  Cache& l1 = levels_[kL1];
  if (l1.touch(line)) {
    Cache::Slot slot = l1.newest(line);
    if (store) slot.flags |= Cache::kDirty;
    uint64_t ready = slot.ready;
    if (slot.flags & Cache::kPrefetched) {
      slot.flags &= static_cast<uint8_t>(~Cache::kPrefetched);
      prefetch_after(line, now);
    }
    return ready;
  }
  counters_.l1_misses++;
  uint64_t& in_flight = *std::min_element(misses_until_.begin(), misses_until_.end());
  uint64_t ready = fetch(line, std::max(now, in_flight), false);
  in_flight = ready;
  fill(kL1, line, ready, (store ? Cache::kDirty : 0) | fetched_from_);
  prefetch_after(line, now);
  return ready;
}

Wait Memory::source(uint64_t line) const {
  uint8_t flags = levels_[kL1].flags_of(line);
  if (flags & Cache::kFromDram) return Wait::dram;
  return flags & Cache::kFromL3 ? Wait::l3 : Wait::l2;
}

void Memory::restart_clock() {
  for (Cache& level : levels_) level.restart_clock();
  std::fill(misses_until_.begin(), misses_until_.end(), 0);
  l2_free_ = l3_free_ = dram_free_ = 0;
  counters_ = {};
}

void Memory::flush() {
  for (Cache& level : levels_) level.clear();
}

void Memory::power_on() {
  restart_clock();
  flush();
  tlb_.clear();
  prefetcher_.clear();
}

}  // namespace board_model
