#include "cache.h"

#include <algorithm>
#include <cstring>

namespace board_model {

Cache::Cache(int kib, int ways)
    : set_mask_((static_cast<uint64_t>(kib) * 1024 >> kLineShift) / ways - 1),
      ways_(ways),
      tags_((set_mask_ + 1) * ways, kNoLine),
      ready_(tags_.size(), 0),
      flags_(tags_.size(), 0) {}

int Cache::find(uint64_t line) const {
  const uint64_t* tags = &tags_[first(line)];
  for (int way = 0; way < ways_; way++) {
    if (tags[way] == line) return way;
  }
  return -1;
}

void Cache::move_to_front(size_t first, int way) {
  uint64_t tag = tags_[first + way], ready = ready_[first + way];
  uint8_t flags = flags_[first + way];
  memmove(&tags_[first + 1], &tags_[first], way * sizeof tag);
  memmove(&ready_[first + 1], &ready_[first], way * sizeof ready);
  memmove(&flags_[first + 1], &flags_[first], way * sizeof flags);
  tags_[first] = tag;
  ready_[first] = ready;
  flags_[first] = flags;
}

bool Cache::touch(uint64_t line) {
  int way = find(line);
  if (way > 0) move_to_front(first(line), way);
  return way >= 0;
}

bool Cache::mark_dirty(uint64_t line) {
  int way = find(line);
  if (way < 0) return false;
  flags_[first(line) + way] |= kDirty;
  return true;
}

uint64_t Cache::insert(uint64_t line, uint64_t ready, uint8_t flags) {
  size_t set = first(line);
  move_to_front(set, ways_ - 1);
  uint64_t victim = flags_[set] & kDirty ? tags_[set] : kNoLine;
  tags_[set] = line;
  ready_[set] = ready;
  flags_[set] = flags;
  return victim;
}

void Cache::restart_clock() { std::fill(ready_.begin(), ready_.end(), 0); }

void Cache::clear() {
  std::fill(tags_.begin(), tags_.end(), kNoLine);
  std::fill(flags_.begin(), flags_.end(), 0);
  restart_clock();
}

}  // namespace board_model
