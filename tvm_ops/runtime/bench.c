/* bench: runs one task of the library, times each repeat, reads and writes raw little-endian arrays.
 *
 * The same source is linked statically with one candidate while tuning, and with the library in a
 * bundle. Exit code 0: done; 1: the kernel or a write failed; 2: wrong input.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* clock_gettime, getopt_long */
#include <alloca.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "tvm_ops_region.h"

static const char usage[] =
    "usage: bench [--list] [--task KEY] [--input NAME=FILE]... [--output FILE]\n"
    "             [--warmup N] [--repeat N] [--threads N] [--json FILE]\n"
    "Runs a task on raw little-endian arrays (random ones where no file is given), writes its\n"
    "output and the seconds of each repeat.\n";

typedef struct {
  bool list;
  const char* task;
  const char* inputs[TVM_OPS_MAX_ARGUMENTS]; /* NAME=FILE */
  int n_inputs;
  const char* output;
  const char* json;
  int warmup;
  int repeat;
  int threads;
} options;

static int parse_number(const char* option, const char* text, int lowest, int highest) {
  char* end;
  long n = strtol(text, &end, 10);
  if (end == text || *end != '\0' || n < lowest || n > highest)
    bench_stop(WRONG_INPUT, "--%s '%s': a number from %d to %d is allowed", option, text, lowest, highest);
  return (int)n;
}

static options parse_options(int argc, char** argv) {
  static const struct option names[] = {
      {"help", no_argument, NULL, 'h'},          {"list", no_argument, NULL, 'l'},
      {"task", required_argument, NULL, 'k'},    {"input", required_argument, NULL, 'i'},
      {"output", required_argument, NULL, 'o'},  {"warmup", required_argument, NULL, 'w'},
      {"repeat", required_argument, NULL, 'r'},  {"threads", required_argument, NULL, 't'},
      {"json", required_argument, NULL, 'j'},    {NULL, 0, NULL, 0},
  };
  options chosen = {.warmup = 1, .repeat = 5, .threads = 1};
  for (int c; (c = getopt_long(argc, argv, "", names, NULL)) != -1;) {
    switch (c) {
      case 'h': fputs(usage, stdout); exit(0);
      case 'l': chosen.list = true; break;
      case 'k': chosen.task = optarg; break;
      case 'o': chosen.output = optarg; break;
      case 'j': chosen.json = optarg; break;
      case 'w': chosen.warmup = parse_number("warmup", optarg, 0, 1000000); break;
      case 'r': chosen.repeat = parse_number("repeat", optarg, 1, 1000000); break;
      case 't': chosen.threads = parse_number("threads", optarg, 1, TVM_OPS_MAX_THREADS); break;
      case 'i':
        if (chosen.n_inputs == TVM_OPS_MAX_ARGUMENTS)
          bench_stop(WRONG_INPUT, "--input: at most %d are allowed", TVM_OPS_MAX_ARGUMENTS);
        chosen.inputs[chosen.n_inputs++] = optarg;
        break;
      default: fputs(usage, stderr); exit(WRONG_INPUT);
    }
  }
  if (optind < argc) bench_stop(WRONG_INPUT, "'%s': no argument without an option is allowed", argv[optind]);
  return chosen;
}

static void list_tasks(void) {
  const tvm_ops_task* task;
  for (int i = 0; (task = tvm_ops_get_task(i)) != NULL; ++i) {
    printf("%s\n", task->key);
    for (int a = 0; a < task->n_arguments; ++a) {
      const tvm_ops_argument* argument = &task->arguments[a];
      printf("  %s", argument->name);
      for (int d = 0; d < argument->ndim; ++d)
        printf("%s%" PRId64, d == 0 ? " " : "x", argument->shape[d]);
      printf(" of %d bytes\n", tvm_ops_dtype_size(argument->dtype));
    }
  }
}

static const tvm_ops_task* choose_task(const char* key) {
  const tvm_ops_task* first = tvm_ops_get_task(0);
  if (key == NULL && first != NULL && tvm_ops_get_task(1) == NULL) return first;
  if (key == NULL) bench_stop(WRONG_INPUT, "--task is needed: this library has several (--list)");
  const tvm_ops_task* task;
  for (int i = 0; (task = tvm_ops_get_task(i)) != NULL; ++i)
    if (strcmp(task->key, key) == 0) return task;
  bench_stop(WRONG_INPUT, "--task '%s': this library has no such task (--list)", key);
}

/* The input that this --input names, or -1. */
static int named_input(const tvm_ops_task* task, const char* input) {
  const char* equals = strchr(input, '=');
  if (equals == NULL) return -1;
  size_t length = (size_t)(equals - input);
  for (int a = 0; a < task->n_arguments - 1; ++a) {
    const char* name = task->arguments[a].name;
    if (strlen(name) == length && strncmp(name, input, length) == 0) return a;
  }
  return -1;
}

static void prepare(const options* chosen, const tvm_ops_task* task, void** data) {
  int last = task->n_arguments - 1;
  for (int a = 0; a <= last; ++a) {
    data[a] = bench_allocate(&task->arguments[a]);
    if (a < last) bench_fill_random(&task->arguments[a], data[a], (uint32_t)a + 1);
  }
  /* NaNs, as floats, and bits of padding that are not zero: what stays unwritten is seen. */
  memset(data[last], 0xff, tvm_ops_argument_size(&task->arguments[last]));
  for (int i = 0; i < chosen->n_inputs; ++i) {
    const char* input = chosen->inputs[i];
    int a = named_input(task, input);
    if (a < 0) bench_stop(WRONG_INPUT, "--input '%s': has to be NAME=FILE, for the names see --list", input);
    bench_read(strchr(input, '=') + 1, &task->arguments[a], data[a]);
  }
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_once(const tvm_ops_task* task, void* const* data) {
  if (task->kernel(data) != 0) bench_stop(FAILED, "%s: no memory for its workspace", task->key);
}

/* The first start, before the warm-up, lets the modelled board see what the warm-up caches. That is
 * also what the clock reads: from memory it is 620 cycles of an A76, and small kernels take 300. */
static void measure(const options* chosen, const tvm_ops_task* task, void* const* data,
                    double* seconds) {
  tvm_ops_region_start();
  for (int i = 0; i < chosen->warmup; ++i) run_once(task, data);
  (void)now();
  for (int i = 0; i < chosen->repeat; ++i) {
    tvm_ops_region_start();
    double start = now();
    run_once(task, data);
    seconds[i] = now() - start;
    tvm_ops_region_stop(i);
  }
}

static void write_json(const options* chosen, const tvm_ops_task* task, const double* seconds) {
  FILE* file = fopen(chosen->json, "w");
  if (file == NULL) bench_stop(WRONG_INPUT, "--json: cannot write %s", chosen->json);
  fprintf(file, "{\"task\": \"%s\", \"threads\": %d, \"warmup\": %d, \"seconds\": [", task->key,
          chosen->threads, chosen->warmup);
  for (int i = 0; i < chosen->repeat; ++i) fprintf(file, "%s%.9f", i ? ", " : "", seconds[i]);
  fputs("]}\n", file);
  bool written = !ferror(file);
  if (fclose(file) != 0 || !written) bench_stop(FAILED, "writing %s failed", chosen->json);
}

static int compare_doubles(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

static void print_median(const options* chosen, const tvm_ops_task* task, double* seconds) {
  qsort(seconds, (size_t)chosen->repeat, sizeof *seconds, compare_doubles);
  double median = seconds[chosen->repeat / 2];
  printf("%s: median %.4f ms of %d, %d thread(s), %.2f GMAC/s\n", task->key, median * 1e3,
         chosen->repeat, chosen->threads, median > 0 ? task->macs / median * 1e-9 : 0.0);
}

__attribute__((noinline)) static int run(int argc, char** argv) {
  options chosen = parse_options(argc, argv);
  if (chosen.list) {
    list_tasks();
    return 0;
  }
  const tvm_ops_task* task = choose_task(chosen.task);
  tvm_ops_set_threads(chosen.threads);
  void* data[TVM_OPS_MAX_ARGUMENTS];
  prepare(&chosen, task, data);
  double* seconds = calloc((size_t)chosen.repeat, sizeof *seconds);
  if (seconds == NULL) bench_stop(FAILED, "no memory for %d repeats", chosen.repeat);
  measure(&chosen, task, data, seconds);
  int last = task->n_arguments - 1;
  if (chosen.output != NULL) bench_write(chosen.output, &task->arguments[last], data[last]);
  if (chosen.json != NULL) write_json(&chosen, task, seconds);
  print_median(&chosen, task, seconds);
  for (int a = 0; a < task->n_arguments; ++a) free(data[a]);
  free(seconds);
  return 0;
}

/* The sizes of arguments and environment move the stack, and with it the cache lines of what a kernel
 * spills: run() gets a stack that starts on a page. */
int main(int argc, char** argv) {
  char* page = alloca((uintptr_t)__builtin_frame_address(0) % 4096 + 1);
  __asm__ volatile("" ::"r"(page) : "memory"); /* else the compiler drops it */
  return run(argc, argv);
}
