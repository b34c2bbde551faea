// A64 instruction words to operations, by libcapstone.
#pragma once

#include <capstone/capstone.h>

#include <string>
#include <vector>

#include "core_file.h"
#include "operation.h"

namespace board_model {

// What the decoder finds out before costs are known: registers, and the name of a row in the core
// file ("fmla.128", "load_pair.gpr64", ...).
struct Decoded {
  Operation operation;
  std::string row;
  bool known = true;
};

class Decoder {
 public:
  Decoder();
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  Decoded decode(uint32_t word);

 private:
  csh handle_ = 0;
  cs_insn* instruction_ = nullptr;
};

// Instructions that capstone 4.0 does not know (decode_gaps.cpp). Returns false for others.
bool decode_gap(uint32_t word, Decoded& out);

// Every row name that the decoder can ask for; a core file must have them all.
std::vector<std::string> all_rows();

}  // namespace board_model
