#include "families.h"

#include <capstone/capstone.h>

#include <initializer_list>
#include <vector>

namespace board_model {
namespace {

#define I(name) ARM64_INS_##name

struct Group {
  Family family;
  std::initializer_list<unsigned> ids;
};

// Not listed: "alu".
const Group kGeneral[] = {
    {{"alu", Use::modify}, {I(MOVK)}},
    {{"alu", Use::compare}, {I(CMP), I(CMN), I(TST), I(CCMP), I(CCMN)}},
    {{"alu_shift"},
     {I(ASR),   I(LSL),    I(LSR),    I(ROR),    I(EXTR),   I(SBFM),   I(SBFIZ),   I(SBFX),
      I(SXTB),  I(SXTH),   I(SXTW),   I(UBFM),   I(UBFIZ),  I(UBFX),   I(UXTB),    I(UXTH),
      I(UXTW),  I(CLZ),    I(CLS),    I(RBIT),   I(REV),    I(REV16),  I(REV32),   I(CRC32B),
      I(CRC32H), I(CRC32W), I(CRC32X), I(CRC32CB), I(CRC32CH), I(CRC32CW), I(CRC32CX)}},
    {{"alu_shift", Use::modify}, {I(BFM), I(BFI), I(BFXIL)}},
    {{"multiply"},
     {I(MUL), I(MNEG), I(SMULL), I(UMULL), I(SMNEGL), I(UMNEGL), I(SMULH), I(UMULH)}},
    {{"multiply", Use::accumulate_last},
     {I(MADD), I(MSUB), I(SMADDL), I(UMADDL), I(SMSUBL), I(UMSUBL)}},
    {{"divide"}, {I(SDIV), I(UDIV)}},
};

// Not listed: "vector_alu".
const Group kVector[] = {
    {{"vector_alu", Use::modify}, {I(SUQADD), I(USQADD), I(AESE), I(AESD)}},
    {{"bit_select", Use::modify}, {I(BSL), I(BIT), I(BIF)}},
    {{"vector_alu", Use::write, true},
     {I(SADDL), I(SADDL2), I(UADDL), I(UADDL2), I(SSUBL), I(SSUBL2), I(USUBL), I(USUBL2),
      I(SADDW), I(SADDW2), I(UADDW), I(UADDW2), I(SSUBW), I(SSUBW2), I(USUBW), I(USUBW2),
      I(SABDL), I(SABDL2), I(UABDL), I(UABDL2), I(ADDHN), I(SUBHN), I(RADDHN), I(RSUBHN)}},
    {{"vector_alu", Use::modify, true}, {I(ADDHN2), I(SUBHN2), I(RADDHN2), I(RSUBHN2)}},
    {{"vector_shift"},
     {I(SSHR), I(USHR), I(SHL), I(SQSHLU), I(SSHLL), I(SSHLL2), I(USHLL), I(USHLL2)}},
    {{"vector_shift_complex"},
     {I(SSHL),   I(USHL),   I(SQSHL),  I(UQSHL),   I(SRSHL),   I(URSHL),   I(SQRSHL),
      I(UQRSHL), I(SRSHR),  I(URSHR),  I(XTN),     I(SQXTN),   I(UQXTN),   I(SQXTUN),
      I(SHLL),   I(SHLL2),  I(SHRN),   I(RSHRN),   I(SQSHRN),  I(SQSHRUN), I(SQRSHRN),
      I(SQRSHRUN), I(UQSHRN), I(UQRSHRN)}},
    {{"vector_shift_complex", Use::modify},
     {I(XTN2), I(SQXTN2), I(UQXTN2), I(SQXTUN2), I(SHRN2), I(RSHRN2), I(SQSHRN2), I(SQSHRUN2),
      I(SQRSHRN2), I(SQRSHRUN2), I(UQSHRN2), I(UQRSHRN2)}},
    {{"vector_shift_complex", Use::accumulate},
     {I(SSRA), I(USRA), I(SRSRA), I(URSRA), I(SLI), I(SRI)}},
    {{"vector_multiply"}, {I(MUL), I(PMUL), I(SQDMULH), I(SQRDMULH)}},
    {{"vector_multiply_long", Use::write, true},
     {I(SMULL), I(SMULL2), I(UMULL), I(UMULL2), I(SQDMULL), I(SQDMULL2), I(PMULL), I(PMULL2)}},
    {{"vector_mac", Use::accumulate}, {I(MLA), I(MLS)}},
    {{"vector_mac_long", Use::accumulate, true},
     {I(SMLAL), I(SMLAL2), I(UMLAL), I(UMLAL2), I(SMLSL), I(SMLSL2), I(UMLSL), I(UMLSL2),
      I(SQDMLAL), I(SQDMLAL2), I(SQDMLSL), I(SQDMLSL2)}},
    {{"add_long_pairwise"}, {I(SADDLP), I(UADDLP)}},
    {{"accumulate_pairwise", Use::accumulate}, {I(SADALP), I(UADALP), I(SABA), I(UABA)}},
    {{"accumulate_pairwise", Use::accumulate, true},
     {I(SABAL), I(SABAL2), I(UABAL), I(UABAL2)}},
    {{"across"}, {I(ADDV), I(SADDLV), I(UADDLV), I(SMAXV), I(SMINV), I(UMAXV), I(UMINV)}},
    {{"permute"},
     {I(DUP), I(EXT), I(ZIP1), I(ZIP2), I(UZP1), I(UZP2), I(TRN1), I(TRN2)}},
    {{"permute", Use::modify}, {I(INS)}},
    {{"table"}, {I(TBL)}},
    {{"table", Use::modify}, {I(TBX)}},
    {{"popcount"}, {I(CNT)}},
    {{"fadd"},
     {I(FADD),   I(FSUB),    I(FABD),    I(FADDP),   I(FMAX),  I(FMIN),  I(FMAXNM), I(FMINNM),
      I(FMAXP),  I(FMINP),   I(FMAXNMP), I(FMINNMP), I(FCMEQ), I(FCMGE), I(FCMGT),  I(FCMLE),
      I(FCMLT),  I(FACGE),   I(FACGT),   I(FCSEL)}},
    {{"fcompare", Use::compare}, {I(FCMP), I(FCMPE), I(FCCMP), I(FCCMPE)}},
    {{"fmul"}, {I(FMUL), I(FMULX), I(FNMUL)}},
    {{"fmla"}, {I(FRECPS), I(FRSQRTS)}},
    {{"fmla", Use::accumulate}, {I(FMLA), I(FMLS)}},
    {{"fmla", Use::accumulate_last}, {I(FMADD), I(FMSUB), I(FNMADD), I(FNMSUB)}},
    {{"fdiv"}, {I(FDIV)}},
    {{"fsqrt"}, {I(FSQRT)}},
    {{"fconvert"},
     {I(FCVT),   I(SCVTF),  I(UCVTF),  I(FCVTAS), I(FCVTAU), I(FCVTMS), I(FCVTMU), I(FCVTNS),
      I(FCVTNU), I(FCVTPS), I(FCVTPU), I(FCVTZS), I(FCVTZU), I(FRINTA), I(FRINTI), I(FRINTM),
      I(FRINTN), I(FRINTP), I(FRINTX), I(FRINTZ), I(FRECPX)}},
    {{"fconvert_resize"}, {I(FCVTL), I(FCVTL2), I(FCVTN), I(FCVTXN)}},
    {{"fconvert_resize", Use::modify}, {I(FCVTN2), I(FCVTXN2)}},
    {{"festimate"}, {I(FRECPE), I(FRSQRTE), I(URECPE), I(URSQRTE)}},
    {{"fmove"}, {I(FABS), I(FNEG), I(FMOV)}},
    {{"freduce"}, {I(FMAXV), I(FMINV), I(FMAXNMV), I(FMINNMV)}},
    {{"move_immediate"}, {I(MOVI), I(MVNI)}},
};

#undef I

template <size_t n>
std::vector<Family> by_id(const Group (&groups)[n], Family otherwise) {
  std::vector<Family> table(ARM64_INS_ENDING, otherwise);
  for (const Group& group : groups) {
    for (unsigned id : group.ids) table[id] = group.family;
  }
  return table;
}

}  // namespace

Family general_family(unsigned id) {
  static const std::vector<Family> table = by_id(kGeneral, {"alu"});
  return table[id];
}

Family vector_family(unsigned id) {
  static const std::vector<Family> table = by_id(kVector, {"vector_alu"});
  return table[id];
}

}  // namespace board_model
