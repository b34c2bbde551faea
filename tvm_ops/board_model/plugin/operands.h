// What capstone's operands mean to the model: register numbers, kinds, widths.
#pragma once

#include <capstone/capstone.h>

#include "decode.h"
#include "families.h"
#include "operation.h"

namespace board_model {

// The model's number of a general register; kNone for the zero register and system registers.
int general_number(unsigned reg);
// The model's number of a SIMD&FP register under any of its names; kNone for others.
int vector_number(unsigned reg);
int register_number(unsigned reg);

// Whether `reg` is one of the 32 registers of a kind, the first of which is `first`.
inline bool is_one_of(unsigned reg, unsigned first) { return reg >= first && reg < first + 32; }

bool is_register(const cs_arm64_op& operand);
bool is_vector(const cs_arm64_op& operand);
bool is_general(const cs_arm64_op& operand);
bool is_64_bit_general(const cs_arm64_op& operand);
bool is_128(arm64_vas arrangement);

// One decoding in progress.
struct Instruction {
  uint32_t word;
  unsigned id;
  const cs_detail& detail;
  const cs_arm64& arm;
  Decoded& out;

  const cs_arm64_op& operand(int i) const { return arm.operands[i]; }
  Operation& operation() const { return out.operation; }
};

// Whether an instruction on SIMD&FP registers works on 128 bits (true) or on at most 64.
bool works_on_128(const Instruction& in, const Family& family);

// Loads and stores (decode_memory.cpp). Returns false for the others.
bool decode_memory(const Instruction& in);

}  // namespace board_model
