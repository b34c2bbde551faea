#include "branch_predictor.h"

namespace board_model {

bool BranchPredictor::predict(const Block& block, const Operation& branch, uint64_t next) {
  bool correct = true;
  if (branch.kind == Kind::indirect_branch) {
    correct = predict_indirect(block, next);
  } else if (branch.conditional) {
    correct = predict_conditional(block, next);
  } else {
    return true;
  }
  branches_++;
  if (!correct) mispredicts_++;
  return correct;
}

bool BranchPredictor::predict_indirect(const Block& block, uint64_t next) {
  uint64_t& target = targets_[(block.address >> 2) % kTargets];
  bool correct = target == next;
  target = next;
  return correct;
}

bool BranchPredictor::predict_conditional(const Block& block, uint64_t next) {
  bool taken = next != block.end;
  uint8_t& counter = counters_[((block.end >> 2) ^ (history_ << 4)) % kCounters];
  bool predicted = counter >= kWeaklyTaken;
  if (taken && counter < kStronglyTaken) counter++;
  if (!taken && counter > 0) counter--;
  history_ = (history_ << 1 | taken) & ((1u << kHistoryBits) - 1);
  return predicted == taken;
}

}  // namespace board_model
