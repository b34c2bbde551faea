/* Which of Winograd's algorithms, which blocks of tiles, and where they lie in the workspace.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_WINOGRAD_PLAN_H_
#define HANDWRITTEN_WINOGRAD_PLAN_H_

#include "common.h"

/* What V of a block may take, and M. V is larger than the A53's L2 cache: the fewer the blocks, the
 * less often the transformed weights are streamed from memory, which costs more than V does. On
 * the modelled A72 28 tiles of 128 channels (516 KiB) took 12.0 Mcycles, 14 tiles 15.3, 49 12.9. */
enum { V_BYTES = 600 * 1024, M_BYTES = HANDWRITTEN_L2_KIB * 1024 / 4, LEAST_TILES = 16 };

/* Streaming the transformed weights once costs about as much as multiplying this many tiles. */
enum { WEIGHT_COST = 8 };

typedef struct {
  int m, a, points;
  int oh, ow;
  int tiles_h, tiles_w; /* of the image */
  int rows, cols;       /* of a block, in tiles */
  int tiles;            /* of a block, a multiple of 4 */
  int co;               /* a multiple of CO_TILE */
  int co_block;         /* output channels of M */
  int strip_w;          /* floats of one row of the padded input of a block */
  int v_plane;          /* floats of V between points */
  int64_t strip, v, floats; /* offsets in the workspace, and its size */
} plan_t;

/* Tiles to multiply for the whole image, with the padding of each block to vectors. */
static int64_t count_tiles(const plan_t* p, int rows) {
  int64_t whole = (int64_t)(p->tiles_h / rows) * round_up(rows * p->tiles_w, 4);
  return whole + round_up(p->tiles_h % rows * p->tiles_w, 4);
}

/* The rows of tiles with the least work whose V fits; part of a row where a whole one does not. */
static void choose_block(plan_t* p, int ci) {
  const int64_t fitting = max_int(LEAST_TILES, V_BYTES / 4 / p->points / ci);
  int64_t best = INT64_MAX;
  p->rows = 1;
  p->cols = p->tiles_w;
  if (p->tiles_w > fitting) p->cols = (int)fitting / 4 * 4;
  for (int rows = 1; rows <= p->tiles_h && rows * (int64_t)p->tiles_w <= fitting; rows++) {
    int64_t cost = count_tiles(p, rows) + WEIGHT_COST * (int64_t)divide_up(p->tiles_h, rows);
    if (cost <= best) {
      best = cost;
      p->rows = rows;
    }
  }
  p->tiles = round_up(p->rows * p->cols, 4);
}

static plan_t plan_tiles(const handwritten_params* q, int m) {
  plan_t p = {.m = m, .a = m + 2, .points = (m + 2) * (m + 2)};
  p.oh = q->h + 2 * q->pad_h - 2;
  p.ow = q->w + 2 * q->pad_w - 2;
  p.tiles_h = divide_up(p.oh, m);
  p.tiles_w = divide_up(p.ow, m);
  return p;
}

static plan_t make_plan(const handwritten_params* q) {
  plan_t p = plan_tiles(q, 4), small = plan_tiles(q, 2);
  int64_t tiles = round_up(p.tiles_h * p.tiles_w, 4);
  int64_t small_tiles = round_up(small.tiles_h * small.tiles_w, 4);
  if (small.points * (small_tiles + WEIGHT_COST) < p.points * (tiles + WEIGHT_COST)) p = small;
  choose_block(&p, q->ci);
  p.co = round_up(q->co, CO_TILE);
  int fitting = M_BYTES / 4 / p.points / p.tiles / CO_TILE * CO_TILE;
  p.co_block = min_int(p.co, max_int(CO_TILE, fitting));
  p.strip_w = round_up(p.cols, 4) * p.m + 4;
  /* An odd number of cache lines, lest the planes of a vector fall into the same cache set. */
  p.v_plane = round_up(p.tiles * q->ci, 32) + 16;
  p.strip = 0;
  p.v = p.strip + round_up((p.rows * p.m + 2) * p.strip_w, 16);
  p.floats = p.v + (int64_t)p.points * p.v_plane;
  p.floats += (int64_t)p.points * p.tiles * p.co_block + 4;
  return p;
}

#endif /* HANDWRITTEN_WINOGRAD_PLAN_H_ */
