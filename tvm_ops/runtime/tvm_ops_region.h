/* Region marks for a C program on the modelled board.
 *
 * A mark is a system call that no kernel has: the modelled board sees it, a real kernel (and plain
 * qemu-aarch64, qemu-arm) answers ENOSYS and nothing happens.
 *
 * Outside of regions nothing is modelled, and caches do not fill. For a warm measurement:
 *
 *     tvm_ops_region_start(); warm_up();
 *     tvm_ops_region_start(); measured(); tvm_ops_region_stop(1);
 */
#ifndef TVM_OPS_REGION_H_
#define TVM_OPS_REGION_H_

#define TVM_OPS_REGION_SYSTEM_CALL 7777

static inline void tvm_ops_region_mark(long mark, long region) {
#if defined(__aarch64__)
  register long x8 __asm__("x8") = TVM_OPS_REGION_SYSTEM_CALL;
  register long x0 __asm__("x0") = mark;
  register long x1 __asm__("x1") = region;
  __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1) : "memory");
#elif defined(__arm__)
  /* r7 holds the number; it may be the frame pointer, which no clobber list can name. */
  long saved_r7;
  register long r0 __asm__("r0") = mark;
  register long r1 __asm__("r1") = region;
  __asm__ volatile(
      "mov %[saved], r7\n\t"
      "mov r7, %[number]\n\t"
      "svc #0\n\t"
      "mov r7, %[saved]"
      : [saved] "=&r"(saved_r7), "+r"(r0)
      : [number] "r"((long)TVM_OPS_REGION_SYSTEM_CALL), "r"(r1)
      : "memory");
#elif defined(__x86_64__)
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"((long)TVM_OPS_REGION_SYSTEM_CALL), "D"(mark), "S"(region)
                   : "rcx", "r11", "memory");
  (void)result;
#else
  (void)mark;
  (void)region;
#endif
}

/* Starts a region: clears time and counters, keeps what the caches hold. */
static inline void tvm_ops_region_start(void) { tvm_ops_region_mark(1, 0); }

/* Ends the region and reports it under the number `region`. */
static inline void tvm_ops_region_stop(int region) { tvm_ops_region_mark(2, region); }

/* Empties the modelled caches. */
static inline void tvm_ops_region_flush(void) { tvm_ops_region_mark(3, 0); }

#endif /* TVM_OPS_REGION_H_ */
