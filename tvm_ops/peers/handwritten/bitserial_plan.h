/* Where a one-bit convolution reads and writes: the padded copy of x, the packed weights.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_BITSERIAL_PLAN_H_
#define HANDWRITTEN_BITSERIAL_PLAN_H_

#include "bitserial.h"
#include "bitserial_tile.h"
#include "common.h"

/* Output pixels at a time, for all channels: their input and the weights of 32 channels, 18 KiB
 * for 512 of 3x3, stay in an L1 cache of 32 KiB. */
enum { BLOCK_BYTES = 8192, ALIGN = 64 };

typedef struct {
  int oh, ow;
  int x_pixel, y_pixel; /* bytes */
  int copied;           /* 0: x itself will do */
  int pixel, row;       /* bytes of a pixel and of a row as the tiles read them */
  int row_steps, steps; /* of a row and of all of the kernel */
  int vectors;          /* of output channels */
  int block;            /* output pixels at a time */
  int64_t bounds, flips, packed;    /* offsets in the packed weights, and their size */
  int64_t next, copy, workspace; /* the same in the workspace */
} plan_t;

static int pixel_bytes(int channels, int word) {
  return round_up(divide_up(channels, 8), word);
}

static plan_t make_plan(const bitserial_params* q) {
  plan_t p = {.x_pixel = pixel_bytes(q->ci, q->word), .y_pixel = pixel_bytes(q->co, q->word)};
  p.oh = out_size(q->h, q->kh, q->stride_h, q->pad_h, 1);
  p.ow = out_size(q->w, q->kw, q->stride_w, q->pad_w, 1);
  const int read = round_up(divide_up(q->ci, 8), STEP);
  p.copied = q->pad_h || q->pad_w || q->kh > 1 || q->kw > 1 || q->word < 4;
  p.pixel = p.copied ? read : p.x_pixel;
  p.row = p.pixel * (q->w + 2 * q->pad_w);
  p.row_steps = q->kw * read / STEP;
  p.steps = q->kh * p.row_steps;
  p.vectors = divide_up(q->co, LANES);
  const int area = min_int(q->stride_h, q->kh) * min_int(q->stride_w, q->kw);
  p.block = round_up(max_int(64, BLOCK_BYTES / (area * p.pixel)), TILE_PIXELS);
  const int whole = round_up(p.vectors, VECTORS); /* what a tile reads of bounds and flips */
  p.bounds = (int64_t)(p.steps * (int64_t)p.vectors + VECTORS) * VECTOR;
  p.flips = p.bounds + (int64_t)whole * VECTOR;
  p.packed = p.flips + whole;
  p.next = round_up(p.oh * p.ow * (int)sizeof(void*), ALIGN);
  p.copy = p.next + round_up(p.steps * (int)sizeof(uint32_t), ALIGN);
  p.workspace = p.copy + (p.copied ? (int64_t)p.row * (q->h + 2 * q->pad_h) : 0) + ALIGN;
  return p;
}

/* Copies an image between pads that are zero bits already. */
static void copy_image(const bitserial_params* q, const plan_t* p, const uint8_t* x,
                       uint8_t* copy) {
  const int bytes = min_int(p->pixel, p->x_pixel);
  copy += (size_t)q->pad_h * p->row + q->pad_w * p->pixel;
  for (int y = 0; y < q->h; y++, copy += p->row, x += (size_t)q->w * p->x_pixel) {
    if (p->pixel == p->x_pixel) {
      memcpy(copy, x, (size_t)q->w * bytes);
      continue;
    }
    for (int i = 0; i < q->w; i++) memcpy(copy + i * p->pixel, x + i * p->x_pixel, bytes);
  }
}

/* next[step]: bytes from there to the next one, 0 from the last. */
static void fill_steps(const plan_t* p, uint32_t* next) {
  for (int s = 1; s < p->steps; s++)
    *next++ = (uint32_t)(s % p->row_steps ? STEP : p->row - (p->row_steps - 1) * STEP);
  *next = 0;
}

/* from[pixel]: where each output pixel begins to read. */
static void fill_pixels(const bitserial_params* q, const plan_t* p, const uint8_t* source,
                        const uint8_t** from) {
  for (int y = 0; y < p->oh; y++)
    for (int x = 0; x < p->ow; x++)
      *from++ = source + (ptrdiff_t)y * q->stride_h * p->row + x * q->stride_w * p->pixel;
}

#endif /* HANDWRITTEN_BITSERIAL_PLAN_H_ */
