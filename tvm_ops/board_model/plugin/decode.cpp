#include "decode.h"

#include <cstring>
#include <stdexcept>

#include "families.h"

namespace board_model {
namespace {

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
    if (reg >= first && reg < first + 32) return kFirstVector + static_cast<int>(reg - first);
  }
  return kNone;
}

bool in_range(unsigned reg, unsigned first) { return reg >= first && reg < first + 32; }

int number(unsigned reg) {
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

bool has(const uint16_t* regs, uint8_t count, unsigned reg) {
  for (uint8_t i = 0; i < count; i++) {
    if (regs[i] == reg) return true;
  }
  return false;
}

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

bool works_on_128(const Instruction& in, const Family& family) {
  if (family.always_128) return true;
  const cs_arm64_op& first = in.operand(0);
  if (in_range(first.reg, ARM64_REG_Q0)) return true;
  if (!in_range(first.reg, ARM64_REG_V0)) {  // a scalar, or a reduction to a scalar
    bool reduces = !strcmp(family.row, "across") || !strcmp(family.row, "freduce");
    return reduces && is_128(in.operand(1).vas);
  }
  if (first.vas != ARM64_VAS_INVALID) return is_128(first.vas);
  // Capstone leaves the arrangement out of aliases and element moves. Bit 30 is Q in every
  // Advanced SIMD encoding that has a vector destination (Arm ARM C4.1.96).
  return in.word >> 30 & 1;
}

void read_operands(const Instruction& in, int first, bool last_is_accumulator) {
  for (int i = first; i < in.arm.op_count; i++) {
    if (!is_register(in.operand(i))) continue;
    int reg = number(in.operand(i).reg);
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
  int destination = number(in.operand(0).reg);
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

bool has_shifted_operand(const Instruction& in) {
  if (in.id == ARM64_INS_MOV) return false;
  bool stack_pointer = false;
  for (int i = 0; i < in.arm.op_count; i++) {
    const cs_arm64_op& op = in.operand(i);
    if (!is_register(op)) continue;
    if (op.ext != ARM64_EXT_INVALID) return true;
    if (op.shift.type != ARM64_SFT_INVALID && op.shift.value != 0) return true;
    // With the stack pointer, "add x0, sp, x1" is the extended-register encoding.
    if (i == in.arm.op_count - 1 && stack_pointer) return true;
    stack_pointer |= op.reg == ARM64_REG_SP;
  }
  return false;
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
  bool scalar = !in_range(first.reg, ARM64_REG_V0);
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

bool has_one_width(const std::string& row) { return row == "gpr_to_vector" || row == "vector_to_gpr"; }

void decode_vector(const Instruction& in) {
  Family family = family_by_operands(in);
  use_registers(in, family.use);
  use_flags(in);
  std::string row = family.row;
  if (row == "table") {  // destination, n table registers, indices
    row += std::to_string(in.arm.op_count - 2);
  }
  bool scalar_pairwise = in.id == ARM64_INS_ADDP;  // reduces one 128-bit register to 64 bits
  bool wide = works_on_128(in, family) &&
              !(scalar_pairwise && !in_range(in.operand(0).reg, ARM64_REG_V0));
  if (!has_one_width(row)) row += wide ? ".128" : ".64";
  in.out.row = row;
}

enum class Form { single, pair, multiple, interleaved, lane, duplicate };

struct Access {
  bool load = false;
  bool store = false;
  Form form = Form::single;
};

Access access_of(const Instruction& in) {
  bool lane = false;
  for (int i = 0; i < in.arm.op_count; i++) lane |= in.operand(i).vector_index >= 0;
  switch (in.id) {
    case ARM64_INS_LDP:
    case ARM64_INS_LDNP:
    case ARM64_INS_LDPSW:
      return {true, false, Form::pair};
    case ARM64_INS_STP:
    case ARM64_INS_STNP:
      return {false, true, Form::pair};
    case ARM64_INS_LD1:
      return {true, false, lane ? Form::lane : Form::multiple};
    case ARM64_INS_LD2:
    case ARM64_INS_LD3:
    case ARM64_INS_LD4:
      return {true, false, lane ? Form::lane : Form::interleaved};
    case ARM64_INS_LD1R:
    case ARM64_INS_LD2R:
    case ARM64_INS_LD3R:
    case ARM64_INS_LD4R:
      return {true, false, Form::duplicate};
    case ARM64_INS_ST1:
      return {false, true, lane ? Form::lane : Form::multiple};
    case ARM64_INS_ST2:
    case ARM64_INS_ST3:
    case ARM64_INS_ST4:
      return {false, true, lane ? Form::lane : Form::interleaved};
    default:
      break;
  }
  if (in.id >= ARM64_INS_LDARB && in.id <= ARM64_INS_LDXR) return {true, false, Form::single};
  if (in.id >= ARM64_INS_STLRB && in.id <= ARM64_INS_STXR) return {false, true, Form::single};
  return {};
}

bool is_exclusive_store(unsigned id) {
  return (id >= ARM64_INS_STLXP && id <= ARM64_INS_STLXR) ||
         (id >= ARM64_INS_STXP && id <= ARM64_INS_STXR);
}

std::string memory_row(const Instruction& in, const Access& access, int registers) {
  std::string row = access.load ? "load" : "store";
  const cs_arm64_op& first = in.operand(0);
  std::string bits = works_on_128(in, {""}) ? "128" : "64";
  std::string count = "x" + std::to_string(registers);
  switch (access.form) {
    case Form::single:
      return row + "." + (is_vector(first) ? bits : "gpr");
    case Form::pair:
      row += "_pair.";
      if (is_general(first)) {
        bool words = !is_64_bit_general(first) || in.id == ARM64_INS_LDPSW;
        return row + (words ? "gpr32" : "gpr64");
      }
      return row + (in_range(first.reg, ARM64_REG_S0) ? "32" : bits);
    case Form::multiple:
      return row + "_multiple." + bits + count;
    case Form::interleaved:
      return row + "_interleaved." + bits + count;
    case Form::lane:
      return row + "_lane." + count;
    case Form::duplicate:
      return row + "_duplicate." + count;
  }
  return row;
}

// Operands of a load or store: data registers, then the address, then an index to be added.
void decode_memory(const Instruction& in, const Access& access) {
  Operation& operation = in.operation();
  operation.kind = access.load ? Kind::load : Kind::store;
  int address = 0;
  while (address < in.arm.op_count && is_register(in.operand(address))) address++;
  int base = kNone;
  if (address < in.arm.op_count && in.operand(address).type == ARM64_OP_MEM) {
    base = general_number(in.operand(address).mem.base);
    operation.add_read(base);
    operation.add_read(general_number(in.operand(address).mem.index));
  }
  for (int i = address + 1; i < in.arm.op_count; i++) {
    if (is_register(in.operand(i))) operation.add_read(general_number(in.operand(i).reg));
  }
  operation.n_address_reads = operation.n_reads;
  int first_data = 0;
  if (is_exclusive_store(in.id)) {  // its first operand receives the status
    operation.add_write(number(in.operand(0).reg));
    first_data = 1;
  }
  for (int i = first_data; i < address; i++) {
    int reg = number(in.operand(i).reg);
    if (access.load) operation.add_write(reg);
    if (access.store || access.form == Form::lane) operation.add_read(reg);
  }
  if (in.arm.writeback) {
    operation.writeback = static_cast<int8_t>(operation.n_writes);
    operation.add_write(base);
  }
  in.out.row = memory_row(in, access, address - first_data);
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
  Access access = access_of(in);
  if (access.load || access.store) {
    decode_memory(in, access);
  } else if (in.arm.op_count > 0 && is_vector(in.operand(0))) {
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
  if (cs_disasm_iter(handle_, &code, &size, &address, instruction_)) {
    const cs_detail& detail = *instruction_->detail;
    decode_known({word, instruction_->id, detail, detail.arm64, out});
  } else if (!decode_gap(word, out)) {
    out.row = "system";
    out.known = false;
  }
  return out;
}

std::vector<std::string> all_rows() {
  std::vector<std::string> rows = {"alu",    "alu_shift",       "multiply", "multiply_64",
                                   "divide", "branch",          "branch_indirect",
                                   "nop",    "system",          "gpr_to_vector",
                                   "vector_to_gpr"};
  for (const char* stem :
       {"vector_alu", "vector_shift", "vector_shift_complex", "vector_multiply", "vector_mac",
        "add_long_pairwise", "accumulate_pairwise", "across", "permute", "table1", "table2",
        "table3", "table4", "popcount", "dup_from_gpr", "move_immediate", "fadd", "fcompare",
        "fmul", "fmla", "fdiv", "fsqrt", "fconvert", "fconvert_resize", "festimate", "fmove",
        "freduce", "dot"}) {
    rows.push_back(std::string(stem) + ".64");
    rows.push_back(std::string(stem) + ".128");
  }
  rows.insert(rows.end(), {"vector_multiply_long.128", "vector_mac_long.128"});
  for (const char* direction : {"load", "store"}) {
    std::string stem = direction;
    for (const char* data : {".gpr", ".64", ".128", "_pair.gpr32", "_pair.gpr64", "_pair.32",
                             "_pair.64", "_pair.128"}) {
      rows.push_back(stem + data);
    }
    for (int count = 1; count <= 4; count++) {
      std::string registers = "x" + std::to_string(count);
      rows.push_back(stem + "_multiple.64" + registers);
      rows.push_back(stem + "_multiple.128" + registers);
      rows.push_back(stem + "_lane." + registers);
      if (stem == "load") rows.push_back("load_duplicate." + registers);
      if (count == 1) continue;
      rows.push_back(stem + "_interleaved.64" + registers);
      rows.push_back(stem + "_interleaved.128" + registers);
    }
  }
  return rows;
}

}  // namespace board_model
