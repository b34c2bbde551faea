/* test_dlopen LIBRARY LIBRARY: loads, runs on four threads, unloads; no thread may stay behind.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tvm_ops.h"

static _Alignas(64) float x[37 * 129], weights[129], bias[37], y[37 * 129];

static int threads(void) {
  int n = -2; /* . and .. */
  DIR* tasks = opendir("/proc/self/task");
  while (readdir(tasks) != NULL) ++n;
  closedir(tasks);
  return n;
}

static void* load(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    exit(1);
  }
  int (*set_threads)(int) = (int (*)(int))dlsym(library, "tvm_ops_set_threads");
  int (*rows)(const float*, const float*, const float*, float*) =
      (int (*)(const float*, const float*, const float*, float*))dlsym(library, "rows");
  memset(y, 0xff, sizeof y);
  if (set_threads(4) != 0 || rows(x, weights, bias, y) != 0 || y[37 * 129 - 1] != 0.0f) exit(1);
  return library;
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  for (int i = 0; i < 10; ++i) {
    void* first = load(argv[1]);
    if (threads() != 4) return 1;
    void* second = load(argv[2]); /* has its own pool */
    if (threads() != 7) return 1;
    dlclose(first);
    dlclose(second);
    /* A joined thread's entry may outlive it by a moment. */
    for (int wait = 0; threads() != 1 && wait < 1000; ++wait) usleep(1000);
    if (threads() != 1) return 1;
  }
  return 0;
}
