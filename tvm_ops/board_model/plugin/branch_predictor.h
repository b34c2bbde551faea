// Conditional branches: gshare with two-bit counters. Indirect ones: the last target.
#pragma once

#include <cstdint>
#include <vector>

#include "block.h"
#include "operation.h"

namespace board_model {

class BranchPredictor {
 public:
  // Whether the last instruction of `block` was predicted to go to `next`; learns what it did.
  bool predict(const Block& block, const Operation& branch, uint64_t next);
  uint64_t branches() const { return branches_; }
  uint64_t mispredicts() const { return mispredicts_; }
  void restart_counters() { branches_ = mispredicts_ = 0; }
  void clear() { *this = BranchPredictor(); }

 private:
  static constexpr size_t kCounters = 65536;
  static constexpr size_t kTargets = 4096;
  static constexpr uint32_t kHistoryBits = 12;
  static constexpr uint8_t kWeaklyTaken = 2, kStronglyTaken = 3;

  bool predict_indirect(const Block& block, uint64_t next);
  bool predict_conditional(const Block& block, uint64_t next);

  std::vector<uint8_t> counters_ = std::vector<uint8_t>(kCounters, 0);
  std::vector<uint64_t> targets_ = std::vector<uint64_t>(kTargets, 0);
  uint32_t history_ = 0;
  uint64_t branches_ = 0, mispredicts_ = 0;
};

}  // namespace board_model
