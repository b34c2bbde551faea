// All translated blocks. QEMU may translate the same code again; counts then go on in one block.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "block.h"
#include "core_file.h"
#include "decode.h"

namespace board_model {

class BlockStore {
 public:
  explicit BlockStore(const CoreFile& core) : core_(core) {}

  // The block of these instruction words, decoded. Blocks are never moved nor freed.
  Block& get(uint64_t address, const std::vector<uint32_t>& words, const std::string& symbol);

  void clear_counts();
  uint64_t executed_instructions() const;
  uint64_t executed_unknown_instructions() const;
  // The blocks with the most cycles, at most `count`, only those executed.
  std::vector<const Block*> hottest(size_t count) const;

 private:
  std::unique_ptr<Block> decode(uint64_t address, const std::vector<uint32_t>& words);

  const CoreFile& core_;
  Decoder decoder_;
  mutable std::mutex mutex_;  // other threads of the program translate while one is reported
  std::unordered_multimap<uint64_t, std::unique_ptr<Block>> blocks_;
};

}  // namespace board_model
