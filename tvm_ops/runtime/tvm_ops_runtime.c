/* The threads that kernels run on.
 *
 * A small pool that starts with the first parallel loop and then sleeps on a condition variable.
 * One launch at a time uses it; a launch from inside a task, or while another thread's launch has
 * the pool, runs its tasks one after the other on the calling thread. How a loop is cut into tasks
 * depends on the thread count alone, and each task writes its own part of the output, so results
 * are the same bits for any number of threads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include "tvm_ops_internal.h"

/* As TVM's generated code declares them. */
typedef struct {
  void* sync_handle;
  int32_t num_task;
} group_env;
typedef int (*parallel_lambda)(int task_id, group_env* env, void* closure);

static atomic_int chosen_threads; /* 0: not chosen yet */

static struct {
  pthread_mutex_t lock; /* guards everything below */
  pthread_cond_t work;  /* a launch has tasks, or the pool stops */
  pthread_cond_t done;  /* the last running task ended */
  int n_workers;
  bool stopping;
  pthread_t workers[TVM_OPS_MAX_THREADS];

  bool launched; /* a launch owns the fields below */
  parallel_lambda lambda;
  void* closure;
  int n_tasks;
  int next_task;
  int n_running;
  int n_helpers; /* workers that may help: the first ones */
  int code;      /* non-zero once a task failed */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static int clamp_threads(long n) {
  return n < 1 ? 1 : n > TVM_OPS_MAX_THREADS ? TVM_OPS_MAX_THREADS : (int)n;
}

static int default_threads(void) {
  const char* text = getenv("TVM_NUM_THREADS");
  if (text != NULL) {
    char* end;
    long n = strtol(text, &end, 10);
    if (end != text && *end == '\0' && n >= 1) return clamp_threads(n);
  }
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return 1;
  return clamp_threads(CPU_COUNT(&cores));
}

int tvm_ops_get_threads(void) {
  int n = atomic_load(&chosen_threads);
  if (n == 0) {
    n = default_threads();
    atomic_store(&chosen_threads, n);
  }
  return n;
}

/* Called from tvm_ops_set_threads, which checks n. */
void tvm_ops_choose_threads(int n) { atomic_store(&chosen_threads, n); }

/* Takes and runs the launch's tasks until none is left. Called and left with the lock held. */
static void run_tasks(void) {
  while (pool.next_task < pool.n_tasks) {
    int id = pool.next_task++;
    group_env env = {NULL, pool.n_tasks};
    parallel_lambda lambda = pool.lambda;
    void* closure = pool.closure;
    pool.n_running++;
    pthread_mutex_unlock(&pool.lock);
    int code = lambda(id, &env, closure);
    pthread_mutex_lock(&pool.lock);
    pool.n_running--;
    if (code != 0) pool.code = code;
  }
}

static void* worker(void* argument) {
  int index = (int)(intptr_t)argument;
  pthread_mutex_lock(&pool.lock);
  while (!pool.stopping) {
    if (index < pool.n_helpers && pool.next_task < pool.n_tasks) {
      run_tasks();
      if (pool.n_running == 0) pthread_cond_signal(&pool.done);
    } else {
      pthread_cond_wait(&pool.work, &pool.lock);
    }
  }
  pthread_mutex_unlock(&pool.lock);
  return NULL;
}

/* Fewer workers than wanted are no error: whoever launches runs what nobody takes. */
static void start_workers(int wanted) {
  while (pool.n_workers < wanted && !pool.stopping) {
    void* index = (void*)(intptr_t)pool.n_workers;
    if (pthread_create(&pool.workers[pool.n_workers], NULL, worker, index) != 0) return;
    pool.n_workers++;
  }
}

/* Called with the lock held, returns without it. */
static int launch_on_pool(parallel_lambda lambda, void* closure, int n_tasks, int threads) {
  int helpers = (n_tasks < threads ? n_tasks : threads) - 1;
  start_workers(helpers);
  pool.launched = true;
  pool.lambda = lambda;
  pool.closure = closure;
  pool.n_tasks = n_tasks;
  pool.next_task = 0;
  pool.n_helpers = helpers;
  pool.code = 0;
  pthread_cond_broadcast(&pool.work);
  run_tasks();
  while (pool.n_running > 0) pthread_cond_wait(&pool.done, &pool.lock);
  int code = pool.code;
  pool.launched = false;
  pthread_mutex_unlock(&pool.lock);
  return code;
}

static int launch_here(parallel_lambda lambda, void* closure, int n_tasks) {
  int failed = 0;
  for (int id = 0; id < n_tasks; ++id) {
    group_env env = {NULL, n_tasks};
    int code = lambda(id, &env, closure);
    if (code != 0) failed = code;
  }
  return failed;
}

/* n_tasks = 0: one task per thread. */
static int launch(parallel_lambda lambda, void* closure, int n_tasks) {
  int threads = tvm_ops_get_threads();
  if (n_tasks <= 0) n_tasks = threads;
  if (n_tasks == 1 || threads == 1) return launch_here(lambda, closure, n_tasks);
  pthread_mutex_lock(&pool.lock);
  if (!pool.launched) return launch_on_pool(lambda, closure, n_tasks, threads);
  pthread_mutex_unlock(&pool.lock);
  return launch_here(lambda, closure, n_tasks);
}

/* The pointer through which TVM's code calls; a kernel's object has it weak and null. */
int (*__TVMBackendParallelLaunch)(parallel_lambda, void*, int) = launch;

static void before_fork(void) { pthread_mutex_lock(&pool.lock); }
static void after_fork_in_parent(void) { pthread_mutex_unlock(&pool.lock); }

/* A child has the forking thread alone: an empty pool, which starts anew with the next launch. */
static void after_fork_in_child(void) {
  pool.n_workers = 0;
  pool.launched = false;
  pool.n_tasks = pool.next_task = pool.n_running = pool.n_helpers = 0;
  pool.work = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
  pool.done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
  pthread_mutex_unlock(&pool.lock);
}

__attribute__((constructor)) static void watch_forks(void) {
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

/* At exit and at dlclose: no thread may stay in code that goes away. */
__attribute__((destructor)) static void stop_workers(void) {
  pthread_mutex_lock(&pool.lock);
  pool.stopping = true;
  int n = pool.n_workers;
  pthread_cond_broadcast(&pool.work);
  pthread_mutex_unlock(&pool.lock);
  for (int i = 0; i < n; ++i) pthread_join(pool.workers[i], NULL);
}
