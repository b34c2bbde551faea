/* 3x3 convolution, stride 1, by Winograd's F(4x4, 3x3) or F(2x2, 3x3) (Lavin and Gray, "Fast
 * Algorithms for Convolutional Neural Networks", 2015).
 *
 * An image is cut into tiles of m x m outputs, which need a x a inputs, a = m + 2. For a block of
 * tiles: V = B'dB of all channels; for each of the a * a points a matrix product M = U V over the
 * channels; y = A'MA. Four neighbouring tiles of a row are the four lanes of a vector, from the
 * interleaving loads of the input to the interleaving stores of the output.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "winograd_plan.h"
#include "winograd_transforms.h"

int handwritten_winograd_conv2d_check(const handwritten_params* q) {
  int code = check_params(q);
  if (code) return code;
  if (q->kh != 3 || q->kw != 3 || q->stride_h != 1 || q->stride_w != 1 || q->dilation_h != 1 ||
      q->dilation_w != 1 || q->groups != 1)
    return HANDWRITTEN_UNSUPPORTED;
  const int64_t oh = q->h + 2 * (int64_t)q->pad_h, ow = q->w + 2 * (int64_t)q->pad_w;
  const int64_t in[] = {q->n, q->ci, oh, ow}, out[] = {q->n, q->co + CO_TILE, oh, ow};
  const int64_t weights[] = {36, q->ci, q->co + CO_TILE};
  if (product(in, 4) > HANDWRITTEN_MAX_FLOATS || product(out, 4) > HANDWRITTEN_MAX_FLOATS ||
      product(weights, 3) > HANDWRITTEN_MAX_FLOATS)
    return HANDWRITTEN_TOO_LARGE;
  return make_plan(q).floats > HANDWRITTEN_MAX_FLOATS ? HANDWRITTEN_TOO_LARGE : HANDWRITTEN_OK;
}

size_t handwritten_winograd_conv2d_packed_size(const handwritten_params* q) {
  if (handwritten_winograd_conv2d_check(q)) return 0;
  plan_t p = make_plan(q);
  return (size_t)p.points * p.co * q->ci;
}

size_t handwritten_winograd_conv2d_workspace(const handwritten_params* q) {
  if (handwritten_winograd_conv2d_check(q)) return 0;
  return (size_t)make_plan(q).floats * sizeof(float) + 64;
}

/* packed[point][co / CO_TILE][ci][CO_TILE] = G g G', with zeros for the channels past co. */
int handwritten_winograd_conv2d_pack(const handwritten_params* q, const float* weights,
                                     float* packed) {
  int code = handwritten_winograd_conv2d_check(q);
  if (code) return code;
  if (!weights || !packed) return HANDWRITTEN_NULL;
  const plan_t p = make_plan(q);
  const size_t plane = (size_t)p.co * q->ci;
  memset(packed, 0, p.points * plane * sizeof(float));
  for (int co = 0; co < q->co; co++)
    for (int ci = 0; ci < q->ci; ci++) {
      const size_t at = ((size_t)(co / CO_TILE) * q->ci + ci) * CO_TILE + co % CO_TILE;
      transform_weights(p.m, weights + ((size_t)co * q->ci + ci) * 9, packed + at, plane);
    }
  return HANDWRITTEN_OK;
}

/* A block of tiles: its first row and column, its rows and columns, all in tiles. */
typedef struct {
  int y, x, rows, cols;
} block_t;

/* Copies the part of one channel that the block needs to the middle of the strip, whose border
 * is zero where the block is at the border of the image, for every channel. */
static void copy_to_strip(const handwritten_params* q, const plan_t* p, const block_t* b,
                          const float* x, float* strip) {
  const int y0 = b->y * p->m - q->pad_h, x0 = b->x * p->m - q->pad_w;
  const int first = max_int(x0, 0);
  const int last = min_int(x0 + b->cols * p->m + 2, q->w);
  if (last <= first) return;
  for (int r = max_int(0, -y0); r < b->rows * p->m + 2 && y0 + r < q->h; r++)
    memcpy(strip + r * p->strip_w + (first - x0), x + (size_t)(y0 + r) * q->w + first,
           (last - first) * sizeof(float));
}

/* Tile t of the block is in the panel that starts at *start and has 4 * result tiles. */
static int find_panel(int tiles, int t, int* start) {
  int first = 0, vectors = tile_vectors(tiles / 4);
  while (t >= first + 4 * vectors) {
    first += 4 * vectors;
    vectors = tile_vectors((tiles - first) / 4);
  }
  *start = first;
  return vectors;
}

/* V[point][panel][ci][tile of the panel] of one channel. */
static void transform_channel(const plan_t* p, const block_t* b, int channels, int ci,
                              const float* strip, float* v) {
  float split[36 * 4];
  const int tiles = round_up(b->rows * b->cols, 4);
  for (int row = 0; row < b->rows; row++) {
    const float* source = strip + row * p->m * p->strip_w;
    for (int col = 0; col < b->cols; col += 4) {
      int start, t = row * b->cols + col;
      int width = 4 * find_panel(tiles, t, &start);
      float* target = v + start * channels + ci * width + (t - start);
      if (t - start + 4 <= width) {
        /* Lanes past the end of the row are overwritten by the next row of tiles. */
        transform_input(p->m, source + col * p->m, p->strip_w, target, p->v_plane);
        continue;
      }
      transform_input(p->m, source + col * p->m, p->strip_w, split, 4);
      for (int lane = 0; lane < min_int(4, b->cols - col); lane++) {
        width = 4 * find_panel(tiles, t + lane, &start);
        target = v + start * channels + ci * width + (t + lane - start);
        for (int e = 0; e < p->points; e++) target[e * p->v_plane] = split[e * 4 + lane];
      }
    }
  }
}

INLINE void multiply(const int vectors, int channels, const float* u, const float* v, float* m,
                     ptrdiff_t channel_stride) {
  vec4 acc[CO_TILE][MAX_VECTORS];
  UNROLL for (int c = 0; c < CO_TILE; c++)
    UNROLL for (int i = 0; i < vectors; i++) acc[c][i] = vec4_set(0);
  multiply_tile(vectors, channels, u, v, acc);
  UNROLL for (int c = 0; c < CO_TILE; c++, m += channel_stride)
    UNROLL for (int i = 0; i < vectors; i++) vec4_store(m + 4 * i, acc[c][i]);
}

/* Functions of their own: inlined, the addresses of all stores would be spilled and reloaded. */
NOINLINE void multiply3(int channels, const float* u, const float* v, float* m, ptrdiff_t stride) {
  multiply(3, channels, u, v, m, stride);
}
NOINLINE void multiply2(int channels, const float* u, const float* v, float* m, ptrdiff_t stride) {
  multiply(2, channels, u, v, m, stride);
}
NOINLINE void multiply1(int channels, const float* u, const float* v, float* m, ptrdiff_t stride) {
  multiply(1, channels, u, v, m, stride);
}

/* M[co][point][tile] of one point: CO_TILE channels times all tiles of the block. */
static void multiply_point(int tiles, int channels, const float* u, const float* v, float* m,
                           ptrdiff_t channel_stride) {
  for (int t = 0, vectors; t < tiles; t += 4 * vectors) {
    vectors = tile_vectors((tiles - t) / 4);
    const float* panel = v + t * channels;
    if (vectors == 3) multiply3(channels, u, panel, m + t, channel_stride);
    if (vectors == 2) multiply2(channels, u, panel, m + t, channel_stride);
    if (vectors == 1) multiply1(channels, u, panel, m + t, channel_stride);
  }
}

/* One channel of the block's output from M[point][tile]. */
static void write_channel(const plan_t* p, const block_t* b, const float* m, float bias,
                          const activation_t* activation, float* y) {
  float edge[4 * 16];
  const int plane = round_up(b->rows * b->cols, 4);
  for (int row = 0; row < b->rows; row++) {
    const int y0 = (b->y + row) * p->m, height = min_int(p->m, p->oh - y0);
    for (int col = 0; col < b->cols; col += 4) {
      const float* source = m + row * b->cols + col;
      const int x0 = (b->x + col) * p->m;
      const int width = min_int(4 * p->m, min_int(b->cols - col, 4) * p->m);
      const int valid = min_int(width, p->ow - x0);
      float* target = y + (size_t)y0 * p->ow + x0;
      if (valid == 4 * p->m && height == p->m) {
        transform_output(p->m, source, plane, bias, activation, target, p->ow);
        continue;
      }
      transform_output(p->m, source, plane, bias, activation, edge, 16);
      for (int r = 0; r < height; r++)
        for (int c = 0; c < valid; c += 4)
          vec4_store_part(target + r * p->ow + c, vec4_load(edge + r * 16 + c), valid - c);
    }
  }
}

static void convolve_block(const handwritten_params* q, const plan_t* p, const block_t* b,
                           const float* x, const float* u, const float* bias, float* y,
                           float* workspace) {
  const activation_t activation = make_activation(q->activation);
  const int tiles = round_up(b->rows * b->cols, 4), channel_stride = p->points * tiles;
  float *strip = workspace + p->strip, *v = workspace + p->v;
  float* m = v + (size_t)p->points * p->v_plane;
  memset(strip, 0, (p->rows * p->m + 2) * p->strip_w * sizeof(float));
  for (int ci = 0; ci < q->ci; ci++) {
    copy_to_strip(q, p, b, x + (size_t)ci * q->h * q->w, strip);
    transform_channel(p, b, q->ci, ci, strip, v);
  }
  for (int first = 0; first < p->co; first += p->co_block) {
    const int count = min_int(p->co_block, p->co - first);
    for (int e = 0; e < p->points; e++)
      for (int co = 0; co < count; co += CO_TILE)
        multiply_point(tiles, q->ci, u + ((size_t)e * p->co + first + co) * q->ci,
                       v + (size_t)e * p->v_plane, m + (size_t)co * channel_stride + e * tiles,
                       channel_stride);
    for (int co = 0; co < count && first + co < q->co; co++)
      write_channel(p, b, m + (size_t)co * channel_stride, bias[first + co], &activation,
                    y + (size_t)(first + co) * p->oh * p->ow);
  }
}

int handwritten_winograd_conv2d(const handwritten_params* q, const float* x, const float* packed,
                                const float* bias, float* y, void* workspace) {
  int code = handwritten_winograd_conv2d_check(q);
  if (code) return code;
  if (!x || !packed || !bias || !y || !workspace) return HANDWRITTEN_NULL;
  const plan_t p = make_plan(q);
  for (int n = 0; n < q->n; n++)
    for (int row = 0; row < p.tiles_h; row += p.rows)
      for (int col = 0; col < p.tiles_w; col += p.cols) {
        const block_t b = {row, col, min_int(p.rows, p.tiles_h - row),
                           min_int(p.cols, p.tiles_w - col)};
        convolve_block(q, &p, &b, x + (size_t)n * q->ci * q->h * q->w, packed, bias,
                       y + (size_t)n * q->co * p.oh * p.ow, align_line(workspace));
      }
  return HANDWRITTEN_OK;
}
