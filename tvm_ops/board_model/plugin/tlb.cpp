#include "tlb.h"

#include <algorithm>
#include <cstring>

namespace board_model {
namespace {
constexpr uint64_t kNoPage = ~0ull;
}

Tlb::Tlb(const CoreParameters& core)
    : first_(core.tlb_entries, kNoPage),
      second_(core.tlb2_entries, kNoPage),
      penalty_(core.tlb_penalty),
      second_penalty_(core.tlb2_penalty) {}

int Tlb::access(uint64_t page) {
  if (first_[0] == page) return 0;
  size_t i = std::find(first_.begin() + 1, first_.end(), page) - first_.begin();
  int lost = 0;
  if (i == first_.size()) {
    i--;
    lost = penalty_;
    uint64_t& entry = second_[page % second_.size()];
    if (entry != page) lost += second_penalty_;
    entry = page;
  }
  memmove(&first_[1], &first_[0], i * sizeof page);
  first_[0] = page;
  return lost;
}

void Tlb::clear() {
  std::fill(first_.begin(), first_.end(), kNoPage);
  std::fill(second_.begin(), second_.end(), kNoPage);
}

}  // namespace board_model
