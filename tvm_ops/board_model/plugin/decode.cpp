#include "decode.h"

#include <cstring>
#include <stdexcept>

#include "families.h"
#include "operands.h"

namespace board_model {
namespace {

bool has(const uint16_t* regs, uint8_t count, unsigned reg) {
  for (uint8_t i = 0; i < count; i++) {
    if (regs[i] == reg) return true;
  }
  return false;
}

void read_operands(const Instruction& in, int first, bool last_is_accumulator) {
  for (int i = first; i < in.arm.op_count; i++) {
    if (!is_register(in.operand(i))) continue;
    int reg = register_number(in.operand(i).reg);
    if (last_is_accumulator && i == in.arm.op_count - 1 && reg != kNone) {
      in.operation().accumulator = static_cast<int8_t>(in.operation().n_reads);
    }
    in.operation().add_read(reg);
  }
}

void use_registers(const Instruction& in, Use use) {
  Operation& operation = in.operation();
  read_operands(in, use == Use::compare ? 0 : 1, use == Use::accumulate_last);
  if (use == Use::compare) return;
  int destination = register_number(in.operand(0).reg);
  operation.add_write(destination);
  if (use == Use::accumulate) operation.accumulator = static_cast<int8_t>(operation.n_reads);
  if (use == Use::accumulate || use == Use::modify) operation.add_read(destination);
}

void use_flags(const Instruction& in) {
  const cs_detail& detail = in.detail;
  if (has(detail.regs_read, detail.regs_read_count, ARM64_REG_NZCV)) {
    in.operation().add_read(kFlags);
  }
  if (in.arm.update_flags || has(detail.regs_write, detail.regs_write_count, ARM64_REG_NZCV)) {
    in.operation().add_write(kFlags);
  }
}

// Whether the last source is shifted or extended: "add x0, x1, x2, lsl #3". With the stack pointer,
// "add x0, sp, x1" is the extended encoding, though nothing of it is to be seen.
bool has_shifted_operand(const Instruction& in) {
  int last = in.arm.op_count - 1;
  while (last > 0 && !is_register(in.operand(last))) last--;
  const cs_arm64_op& source = in.operand(last);
  if (source.ext != ARM64_EXT_INVALID) return true;
  if (source.shift.type != ARM64_SFT_INVALID && source.shift.value != 0) return true;
  if (in.id == ARM64_INS_MOV || last == 0 || last != in.arm.op_count - 1) return false;
  return in.operand(last - 1).reg == ARM64_REG_SP;
}

void decode_general(const Instruction& in) {
  Family family = general_family(in.id);
  use_registers(in, family.use);
  use_flags(in);
  in.out.row = family.row;
  if (in.arm.op_count > 1 && is_vector(in.operand(1))) {
    in.out.row = "vector_to_gpr";
  } else if (in.out.row == "multiply" && is_64_bit_general(in.operand(0)) &&
             is_64_bit_general(in.operand(1)) && in.id != ARM64_INS_SMULH &&
             in.id != ARM64_INS_UMULH) {
    in.out.row = "multiply_64";
  } else if (in.out.row == "alu" && has_shifted_operand(in)) {
    in.out.row = "alu_shift";
  }
}

// Instructions whose family depends on what their operands are.
Family family_by_operands(const Instruction& in) {
  Family family = vector_family(in.id);
  if (in.arm.op_count < 2) return family;
  const cs_arm64_op& first = in.operand(0);
  const cs_arm64_op& second = in.operand(1);
  bool into_element = first.vector_index >= 0;
  bool immediate = second.type == ARM64_OP_IMM || second.type == ARM64_OP_FP;
  bool scalar = !is_one_of(first.reg, ARM64_REG_V0);
  switch (in.id) {
    case ARM64_INS_FMOV:
      if (immediate) return {"move_immediate"};
      break;
    case ARM64_INS_ORR:
    case ARM64_INS_BIC:
      if (immediate) return {"move_immediate", Use::modify};
      break;
    case ARM64_INS_SQSHL:
    case ARM64_INS_UQSHL:
      if (in.operand(2).type == ARM64_OP_IMM) return {"vector_shift"};
      break;
    case ARM64_INS_MOV:
      if (second.vector_index >= 0) return {"permute", into_element ? Use::modify : Use::write};
      break;
    case ARM64_INS_ADDP:
      if (scalar) return {"across"};
      break;
    default:
      break;
  }
  if (is_general(second)) {
    if (in.id == ARM64_INS_DUP) return {"dup_from_gpr"};
    return {"gpr_to_vector", into_element ? Use::modify : Use::write};
  }
  return family;
}

bool has_one_width(const std::string& row) {
  return row == "gpr_to_vector" || row == "vector_to_gpr";
}

void decode_vector(const Instruction& in) {
  Family family = family_by_operands(in);
  use_registers(in, family.use);
  use_flags(in);
  std::string row = family.row;
  if (row == "table") {  // destination, n table registers, indices
    row += std::to_string(in.arm.op_count - 2);
  }
  if (!has_one_width(row)) row += works_on_128(in, family) ? ".128" : ".64";
  in.out.row = row;
}

void decode_branch(const Instruction& in, bool indirect) {
  Operation& operation = in.operation();
  operation.kind = indirect ? Kind::indirect_branch : Kind::branch;
  bool tests_register = in.id == ARM64_INS_CBZ || in.id == ARM64_INS_CBNZ ||
                        in.id == ARM64_INS_TBZ || in.id == ARM64_INS_TBNZ;
  bool tests_flags = in.id == ARM64_INS_B && in.arm.cc != ARM64_CC_INVALID;
  operation.conditional = tests_register || tests_flags;
  read_operands(in, 0, false);
  if (tests_flags) operation.add_read(kFlags);
  if (in.id == ARM64_INS_RET && in.arm.op_count == 0) operation.add_read(kLinkRegister);
  if (in.id == ARM64_INS_BL || in.id == ARM64_INS_BLR) operation.add_write(kLinkRegister);
  in.out.row = indirect ? "branch_indirect" : "branch";
}

// Branches, hints, prefetches and system instructions. Returns false for the others.
bool decode_control(const Instruction& in) {
  switch (in.id) {
    case ARM64_INS_B:
    case ARM64_INS_BL:
    case ARM64_INS_CBZ:
    case ARM64_INS_CBNZ:
    case ARM64_INS_TBZ:
    case ARM64_INS_TBNZ:
      decode_branch(in, false);
      return true;
    case ARM64_INS_BR:
    case ARM64_INS_BLR:
    case ARM64_INS_RET:
      decode_branch(in, true);
      return true;
    case ARM64_INS_NOP:
    case ARM64_INS_HINT:
    case ARM64_INS_YIELD:
    case ARM64_INS_WFE:
    case ARM64_INS_WFI:
    case ARM64_INS_SEV:
    case ARM64_INS_SEVL:
      in.out.row = "nop";
      return true;
    case ARM64_INS_PRFM:
    case ARM64_INS_PRFUM:  // QEMU reports no address for it, so it prefetches nothing
      if (in.operand(1).type == ARM64_OP_MEM) {
        in.operation().add_read(general_number(in.operand(1).mem.base));
      }
      in.out.row = "nop";
      return true;
    case ARM64_INS_MRS:
      in.operation().add_write(general_number(in.operand(0).reg));
      in.out.row = "system";
      return true;
    default:
      return false;
  }
}

void decode_known(const Instruction& in) {
  if (decode_control(in)) return;
  if (decode_memory(in)) return;
  if (in.arm.op_count > 0 && is_vector(in.operand(0))) {
    decode_vector(in);
  } else if (in.arm.op_count > 0 && is_general(in.operand(0)) && in.id != ARM64_INS_SYSL) {
    decode_general(in);
  } else {
    in.out.row = "system";
  }
}

}  // namespace

Decoder::Decoder() {
  if (cs_open(CS_ARCH_ARM64, CS_MODE_LITTLE_ENDIAN, &handle_) != CS_ERR_OK) {
    throw std::runtime_error("libcapstone has no ARM64 support");
  }
  cs_option(handle_, CS_OPT_DETAIL, CS_OPT_ON);
  instruction_ = cs_malloc(handle_);
}

Decoder::~Decoder() {
  cs_free(instruction_, 1);
  cs_close(&handle_);
}

Decoded Decoder::decode(uint32_t word) {
  Decoded out;
  uint8_t bytes[4];
  memcpy(bytes, &word, sizeof bytes);
  const uint8_t* code = bytes;
  size_t size = sizeof bytes;
  uint64_t address = 0;
  if (decode_gap(word, out)) return out;
  if (cs_disasm_iter(handle_, &code, &size, &address, instruction_)) {
    const cs_detail& detail = *instruction_->detail;
    decode_known({word, instruction_->id, detail, detail.arm64, out});
  } else {
    out.row = "system";
    out.known = false;
  }
  return out;
}

}  // namespace board_model
