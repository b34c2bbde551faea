// Loads and stores.

#include <string>

#include "operands.h"

namespace board_model {
namespace {

enum class Form { single, pair, multiple, interleaved, lane, duplicate };

struct Transfer {
  bool load = false;
  bool store = false;
  Form form = Form::single;
};

Transfer transfer_of(const Instruction& in) {
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

std::string memory_row(const Instruction& in, const Transfer& transfer, int registers) {
  std::string row = transfer.load ? "load" : "store";
  const cs_arm64_op& first = in.operand(0);
  std::string bits = works_on_128(in, {""}) ? "128" : "64";
  std::string count = "x" + std::to_string(registers);
  switch (transfer.form) {
    case Form::single:
      return row + "." + (is_vector(first) ? bits : "gpr");
    case Form::pair:
      row += "_pair.";
      if (is_general(first)) {
        bool words = !is_64_bit_general(first) || in.id == ARM64_INS_LDPSW;
        return row + (words ? "gpr32" : "gpr64");
      }
      return row + (is_one_of(first.reg, ARM64_REG_S0) ? "32" : bits);
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
void decode_transfer(const Instruction& in, const Transfer& transfer) {
  Operation& operation = in.operation();
  operation.kind = transfer.load ? Kind::load : Kind::store;
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
    operation.add_write(register_number(in.operand(0).reg));
    first_data = 1;
  }
  for (int i = first_data; i < address; i++) {
    int reg = register_number(in.operand(i).reg);
    if (transfer.load) operation.add_write(reg);
    if (transfer.store || transfer.form == Form::lane) operation.add_read(reg);
  }
  if (in.arm.writeback) {
    operation.writeback = static_cast<int8_t>(operation.n_writes);
    operation.add_write(base);
  }
  in.out.row = memory_row(in, transfer, address - first_data);
}

}  // namespace

bool decode_memory(const Instruction& in) {
  Transfer transfer = transfer_of(in);
  if (!transfer.load && !transfer.store) return false;
  decode_transfer(in, transfer);
  return true;
}

}  // namespace board_model
