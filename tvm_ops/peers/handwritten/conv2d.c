/* Any 2-d convolution as a matrix product: y[co][pixel] = sum over k of weights[co][k] times
 * columns[k][pixel], k = (ci, ky, kx). The columns of a block of pixels and a part of k at a time
 * are packed into panels as wide as the register tile (Goto and van de Geijn, "Anatomy of
 * High-Performance Matrix Multiplication", 2008); pixels are the vectors, so that y is written as
 * it lies. Groups of one input channel go another way, conv2d_depthwise.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "conv2d_depthwise.h"

/* A part of k: 256 * (8 + 12) * 4 bytes, 20 KiB, of weights and columns stay in an L1 cache of
 * 32 KiB. A block of 240 pixels has 240 KiB of columns in L2, half of the A53's. */
enum { MAX_DEPTH = 256, BLOCK = 240 };

typedef struct {
  source_t source;
  int depthwise;
  int ci, co; /* of one group */
  int co_padded;
  int oh, ow;
  int k;     /* ci * kh * kw */
  int depth; /* of k at a time */
  int block; /* pixels at a time, a multiple of 4 */
  int64_t taps, columns, floats; /* offsets in the workspace, and its size */
} plan_t;

static plan_t make_plan(const handwritten_params* q) {
  plan_t p = {.source = plan_source(q), .ci = q->ci / q->groups, .co = q->co / q->groups};
  p.oh = out_size(q->h, q->kh, q->stride_h, q->pad_h, q->dilation_h);
  p.ow = out_size(q->w, q->kw, q->stride_w, q->pad_w, q->dilation_w);
  p.k = p.ci * q->kh * q->kw;
  if (p.ci == 1 && q->groups > 1) {
    p.depthwise = 1;
    p.floats = round_up(p.k + 3, 16) + (int64_t)p.source.plane + SLACK;
    return p;
  }
  p.co_padded = round_up(p.co, CO_TILE);
  p.depth = divide_up(p.k, divide_up(p.k, MAX_DEPTH));
  p.block = min_int(BLOCK, round_up(p.oh * p.ow, 4));
  p.taps = p.source.copied ? ((int64_t)q->ci * p.source.plane + 15) / 16 * 16 : 0;
  p.columns = p.taps + round_up(p.k, 16);
  p.floats = p.columns + (int64_t)p.depth * p.block;
  return p;
}

int handwritten_conv2d_check(const handwritten_params* q) {
  int code = check_params(q);
  if (code) return code;
  /* One more of each but n, for all roundings: stride of columns, CO_TILE of each group. */
  const int64_t height = q->h + 2 * (int64_t)q->pad_h;
  const int64_t width = q->w + 2 * (int64_t)q->pad_w + q->stride_w;
  const int64_t co = q->co + (int64_t)q->groups * CO_TILE;
  const int64_t in[] = {q->n, q->ci, height, width}, out[] = {q->n, co, height, width};
  const int64_t weights[] = {co, q->ci / q->groups, q->kh, q->kw};
  if (product(in, 4) > HANDWRITTEN_MAX_FLOATS || product(out, 4) > HANDWRITTEN_MAX_FLOATS ||
      product(weights, 4) > HANDWRITTEN_MAX_FLOATS)
    return HANDWRITTEN_TOO_LARGE;
  return make_plan(q).floats > HANDWRITTEN_MAX_FLOATS ? HANDWRITTEN_TOO_LARGE : HANDWRITTEN_OK;
}

size_t handwritten_conv2d_packed_size(const handwritten_params* q) {
  if (handwritten_conv2d_check(q)) return 0;
  const plan_t p = make_plan(q);
  return (size_t)q->groups * (p.depthwise ? p.co : p.co_padded) * p.k;
}

size_t handwritten_conv2d_workspace(const handwritten_params* q) {
  if (handwritten_conv2d_check(q)) return 0;
  return (size_t)make_plan(q).floats * sizeof(float) + 64;
}

/* packed[group][part of k][co / CO_TILE][depth][CO_TILE]; of depthwise groups as they are. */
int handwritten_conv2d_pack(const handwritten_params* q, const float* weights, float* packed) {
  int code = handwritten_conv2d_check(q);
  if (code) return code;
  if (!weights || !packed) return HANDWRITTEN_NULL;
  const plan_t p = make_plan(q);
  if (p.depthwise) {
    memcpy(packed, weights, (size_t)q->co * p.k * sizeof(float));
    return HANDWRITTEN_OK;
  }
  for (int g = 0; g < q->groups; g++, weights += (size_t)p.co * p.k)
    for (int k0 = 0; k0 < p.k; k0 += p.depth)
      for (int co = 0; co < p.co_padded; co += CO_TILE)
        for (int k = k0; k < min_int(k0 + p.depth, p.k); k++)
          for (int c = co; c < co + CO_TILE; c++)
            *packed++ = c < p.co ? weights[(size_t)c * p.k + k] : 0;
  return HANDWRITTEN_OK;
}

/* columns[k][4 * vectors] of the pixels from first on; past the last pixel it is repeated.
 * Offsets of pixels grow, so those of whole vectors are neighbours if the last fits the first. */
static void pack_panel(const plan_t* p, int vectors, int first, const float* source,
                       const int32_t* taps, int depth, float* columns) {
  const int width = 4 * vectors, pixels = p->oh * p->ow, whole = (pixels - first) / 4;
  int at[4 * MAX_VECTORS];
  for (int i = 0; i < width; i++) {
    const int pixel = min_int(first + i, pixels - 1);
    at[i] = pixel / p->ow * p->source.step + pixel % p->ow;
  }
  if (vectors == 3 && whole >= 3 && at[11] - at[0] == 11) {
    for (int k = 0; k < depth; k++, columns += 12) {
      const float* from = source + at[0] + taps[k];
      for (int v = 0; v < 3; v++) vec4_store(columns + 4 * v, vec4_load(from + 4 * v));
    }
    return;
  }
  for (int v = 0; v < vectors; v++, columns += 4) {
    const int a = at[4 * v], b = at[4 * v + 1], c = at[4 * v + 2], d = at[4 * v + 3];
    if (v < whole && d - a == 3) {
      for (int k = 0; k < depth; k++)
        vec4_store(columns + k * width, vec4_load(source + a + taps[k]));
      continue;
    }
    for (int k = 0; k < depth; k++) {
      const float* from = source + taps[k];
      float* to = columns + k * width;
      to[0] = from[a];
      to[1] = from[b];
      to[2] = from[c];
      to[3] = from[d];
    }
  }
}

/* What a register tile does besides the product. */
typedef struct {
  int first, last; /* of the parts of k: start from the bias, end with the activation */
  ptrdiff_t channel; /* floats between the output channels */
  activation_t activation;
} finish_t;

INLINE void convolve(const int vectors, int depth, const float* weights, const float* columns,
                     const float* bias, const finish_t* f, float* y) {
  vec4 acc[CO_TILE][MAX_VECTORS];
  const float* from = y;
  UNROLL for (int c = 0; c < CO_TILE; c++, from += f->channel)
    UNROLL for (int v = 0; v < vectors; v++)
      acc[c][v] = f->first ? vec4_load_one(bias + c) : vec4_load(from + 4 * v);
  multiply_tile(vectors, depth, weights, columns, acc);
  if (f->last) {
    UNROLL for (int c = 0; c < CO_TILE; c++)
      UNROLL for (int v = 0; v < vectors; v++) acc[c][v] = activate(acc[c][v], &f->activation);
  }
  UNROLL for (int c = 0; c < CO_TILE; c++, y += f->channel)
    UNROLL for (int v = 0; v < vectors; v++) vec4_store(y + 4 * v, acc[c][v]);
}

NOINLINE void convolve3(int depth, const float* weights, const float* columns, const float* bias,
                        const finish_t* f, float* y) {
  convolve(3, depth, weights, columns, bias, f, y);
}
NOINLINE void convolve2(int depth, const float* weights, const float* columns, const float* bias,
                        const finish_t* f, float* y) {
  convolve(2, depth, weights, columns, bias, f, y);
}
NOINLINE void convolve1(int depth, const float* weights, const float* columns, const float* bias,
                        const finish_t* f, float* y) {
  convolve(1, depth, weights, columns, bias, f, y);
}

INLINE void convolve_tile(int vectors, int depth, const float* weights, const float* columns,
                          const float* bias, const finish_t* f, float* y) {
  if (vectors == 3) convolve3(depth, weights, columns, bias, f, y);
  if (vectors == 2) convolve2(depth, weights, columns, bias, f, y);
  if (vectors == 1) convolve1(depth, weights, columns, bias, f, y);
}

/* A tile with only channels x pixels of it inside y, by way of a whole one. */
static void convolve_edge(int vectors, int depth, const float* weights, const float* columns,
                          const float* bias, const finish_t* f, float* y, int channels,
                          int pixels) {
  float tile[CO_TILE * 4 * MAX_VECTORS] = {0}, tile_bias[CO_TILE] = {0};
  finish_t finish = *f;
  finish.channel = 4 * vectors;
  memcpy(tile_bias, bias, channels * sizeof(float));
  for (int c = 0; c < channels && !f->first; c++)
    memcpy(tile + c * finish.channel, y + c * f->channel, pixels * sizeof(float));
  convolve_tile(vectors, depth, weights, columns, tile_bias, &finish, tile);
  for (int c = 0; c < channels; c++)
    memcpy(y + c * f->channel, tile + c * finish.channel, pixels * sizeof(float));
}

/* One part of k for the pixels from first on: count of them, from packed columns. */
static void convolve_block(const plan_t* p, int first, int count, int depth, const float* weights,
                           const float* columns, const float* bias, const finish_t* f, float* y) {
  for (int co = 0; co < p->co; co += CO_TILE, weights += (size_t)depth * CO_TILE) {
    const int channels = min_int(CO_TILE, p->co - co);
    for (int t = 0, vectors; t < count; t += 4 * vectors) {
      vectors = tile_vectors(divide_up(count - t, 4));
      const float* panel = columns + (size_t)t * depth;
      float* target = y + (size_t)co * f->channel + first + t;
      const int pixels = min_int(4 * vectors, count - t);
      if (channels == CO_TILE && pixels == 4 * vectors)
        convolve_tile(vectors, depth, weights, panel, bias + co, f, target);
      else
        convolve_edge(vectors, depth, weights, panel, bias + co, f, target, channels, pixels);
    }
  }
}

static void convolve_group(const handwritten_params* q, const plan_t* p, const float* source,
                           const int32_t* taps, const float* packed, const float* bias, float* y,
                           float* columns) {
  const int pixels = p->oh * p->ow;
  finish_t finish = {.channel = pixels, .activation = make_activation(q->activation)};
  for (int first = 0; first < pixels; first += p->block) {
    const int count = min_int(p->block, pixels - first);
    for (int k = 0; k < p->k; k += p->depth) {
      const int depth = min_int(p->depth, p->k - k);
      finish.first = k == 0;
      finish.last = k + depth == p->k;
      for (int t = 0, vectors; t < count; t += 4 * vectors) {
        vectors = tile_vectors(divide_up(count - t, 4));
        pack_panel(p, vectors, first + t, source, taps + k, depth, columns + (size_t)t * depth);
      }
      convolve_block(p, first, count, depth, packed + (size_t)k * p->co_padded, columns, bias,
                     &finish, y);
    }
  }
}

int handwritten_conv2d(const handwritten_params* q, const float* x, const float* packed,
                       const float* bias, float* y, void* workspace) {
  int code = handwritten_conv2d_check(q);
  if (code) return code;
  if (!x || !packed || !bias || !y || !workspace) return HANDWRITTEN_NULL;
  const plan_t p = make_plan(q);
  const size_t image = (size_t)q->ci * q->h * q->w, out = (size_t)p.oh * p.ow;
  float* space = align_line(workspace);
  int32_t* taps = (int32_t*)(space + p.taps);
  if (!p.depthwise) fill_taps(q, &p.source, p.ci, taps);
  if (!p.depthwise && p.source.copied)
    memset(space, 0, (size_t)q->ci * p.source.plane * sizeof(float));
  for (int n = 0; n < q->n; n++, x += image, y += q->co * out) {
    if (p.depthwise) {
      depthwise(q, &p.source, x, packed, bias, y, space);
      continue;
    }
    if (p.source.copied)
      for (int c = 0; c < q->ci; c++)
        copy_plane(q, &p.source, x + (size_t)c * q->h * q->w, space + (size_t)c * p.source.plane);
    const float* source = p.source.copied ? space : x;
    for (int g = 0; g < q->groups; g++)
      convolve_group(q, &p, source + (size_t)g * p.ci * p.source.plane, taps,
                     packed + (size_t)g * p.co_padded * p.k, bias + g * p.co, y + g * p.co * out,
                     space + p.columns);
  }
  return HANDWRITTEN_OK;
}
