#include "block_store.h"

#include <algorithm>

namespace board_model {

Block& BlockStore::get(uint64_t address, const std::vector<uint32_t>& words,
                       const std::string& symbol) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto [begin, end] = blocks_.equal_range(address);
  for (auto it = begin; it != end; ++it) {
    if (it->second->words == words) return *it->second;
  }
  auto it = blocks_.emplace(address, decode(address, words));
  it->second->symbol = symbol;
  return *it->second;
}

std::unique_ptr<Block> BlockStore::decode(uint64_t address, const std::vector<uint32_t>& words) {
  auto block = std::make_unique<Block>();
  block->address = address;
  block->end = address + words.size() * sizeof(uint32_t);
  block->words = words;
  for (uint32_t word : words) {
    Decoded decoded = decoder_.decode(word);
    Operation& operation = decoded.operation;
    operation.cost = core_.costs.at(decoded.row);
    if (operation.cost.accumulate == 0) operation.accumulator = kNone;
    if (!decoded.known) block->unknown_instructions++;
    block->operations.push_back(operation);
  }
  return block;
}

void BlockStore::clear_counts() {
  std::lock_guard<std::mutex> lock(mutex_);
  for (auto& entry : blocks_) entry.second->clear_counts();
}

uint64_t BlockStore::executed_instructions() const {
  std::lock_guard<std::mutex> lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [address, block] : blocks_) sum += block->executions * block->words.size();
  return sum;
}

uint64_t BlockStore::executed_unknown_instructions() const {
  std::lock_guard<std::mutex> lock(mutex_);
  uint64_t sum = 0;
  for (const auto& [address, block] : blocks_) {
    sum += block->executions * block->unknown_instructions;
  }
  return sum;
}

std::vector<const Block*> BlockStore::hottest(size_t count) const {
  std::lock_guard<std::mutex> lock(mutex_);
  std::vector<const Block*> executed;
  for (const auto& entry : blocks_) {
    if (count && entry.second->executions) executed.push_back(entry.second.get());
  }
  std::sort(executed.begin(), executed.end(), [](const Block* a, const Block* b) {
    return a->cycles != b->cycles ? a->cycles > b->cycles : a->address < b->address;
  });
  if (executed.size() > count) executed.resize(count);
  return executed;
}

}  // namespace board_model
