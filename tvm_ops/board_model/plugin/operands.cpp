#include "operands.h"

#include <cstring>

namespace board_model {

int general_number(unsigned reg) {
  if (reg >= ARM64_REG_X0 && reg <= ARM64_REG_X28) return static_cast<int>(reg - ARM64_REG_X0);
  if (reg >= ARM64_REG_W0 && reg <= ARM64_REG_W30) return static_cast<int>(reg - ARM64_REG_W0);
  if (reg == ARM64_REG_X29) return 29;
  if (reg == ARM64_REG_X30) return kLinkRegister;
  if (reg == ARM64_REG_SP || reg == ARM64_REG_WSP) return kStackPointer;
  return kNone;  // the zero register and system registers
}

int vector_number(unsigned reg) {
  for (unsigned first : {ARM64_REG_B0, ARM64_REG_H0, ARM64_REG_S0, ARM64_REG_D0, ARM64_REG_Q0,
                         ARM64_REG_V0}) {
    if (is_one_of(reg, first)) return kFirstVector + static_cast<int>(reg - first);
  }
  return kNone;
}

int register_number(unsigned reg) {
  int vector = vector_number(reg);
  return vector != kNone ? vector : general_number(reg);
}

bool is_register(const cs_arm64_op& op) { return op.type == ARM64_OP_REG; }
bool is_vector(const cs_arm64_op& op) {
  return is_register(op) && vector_number(op.reg) != kNone;
}
bool is_general(const cs_arm64_op& op) { return is_register(op) && !is_vector(op); }
bool is_64_bit_general(const cs_arm64_op& op) {
  return is_general(op) && !(op.reg >= ARM64_REG_W0 && op.reg <= ARM64_REG_W30) &&
         op.reg != ARM64_REG_WZR;
}

bool is_128(arm64_vas arrangement) {
  return arrangement == ARM64_VAS_16B || arrangement == ARM64_VAS_8H ||
         arrangement == ARM64_VAS_4S || arrangement == ARM64_VAS_2D ||
         arrangement == ARM64_VAS_1Q;
}

bool works_on_128(const Instruction& in, const Family& family) {
  if (family.always_128) return true;
  const cs_arm64_op& first = in.operand(0);
  if (is_one_of(first.reg, ARM64_REG_Q0)) return true;
  if (!is_one_of(first.reg, ARM64_REG_V0)) {  // a scalar, or a reduction to a scalar
    bool reduces = !strcmp(family.row, "across") || !strcmp(family.row, "freduce");
    bool pair = in.id == ARM64_INS_ADDP;  // adds the two halves of one register
    return reduces && !pair && is_128(in.operand(1).vas);
  }
  if (first.vas != ARM64_VAS_INVALID) return is_128(first.vas);
  // Capstone leaves the arrangement out of aliases and element moves. Bit 30 is Q in every
  // Advanced SIMD encoding that has a vector destination (Arm ARM C4.1.96).
  return in.word >> 30 & 1;
}

}  // namespace board_model
