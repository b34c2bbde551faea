/* One-bit convolution: tiles of pixels and 32 output channels over all of the sum, from a padded
 * copy of x; thresholds and packing on the sums in registers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bitserial_plan.h"

#if defined(HANDWRITTEN_IN_ORDER) && defined(__aarch64__)
#include "bitserial_tile_in_order.h"
enum { IN_ORDER = 1 };
#else
enum { IN_ORDER = 0 };
#define sum_tile_in_order(steps, from, weights, sums) (void)0
#define turn_upper(sums) (sums)
#endif

/* int16 sums, and differing bits that 16 bits hold. */
enum { MAX_K = 32767 };

int handwritten_bitserial_conv2d_check(const bitserial_params* q) {
  if (!q) return HANDWRITTEN_NULL;
  if (q->word != 1 && q->word != 4 && q->word != 8) return HANDWRITTEN_UNSUPPORTED;
  if (q->sums != 0 && q->sums != 1) return HANDWRITTEN_UNSUPPORTED;
  const handwritten_params same = {q->n, q->ci, q->h, q->w, q->co, q->kh, q->kw, q->stride_h,
                                   q->stride_w, q->pad_h, q->pad_w, 1, 1, 1, 0};
  const int code = check_params(&same);
  if (code) return code;
  const int64_t k[] = {q->ci, q->kh, q->kw};
  if (product(k, 3) > MAX_K) return HANDWRITTEN_LONG_SUMS;
  /* Words of 64 bits at most, in bytes; strides beyond the image make nothing larger. */
  const int64_t height = q->h + 2 * (int64_t)q->pad_h + 1, width = q->w + 2 * (int64_t)q->pad_w;
  const int64_t in[] = {q->n, q->ci + 64, height, width}, out[] = {q->n, q->co + 64, height, width};
  const int64_t weights[] = {q->co + 64, q->ci + 64, q->kh, q->kw};
  if (product(in, 4) > HANDWRITTEN_MAX_FLOATS || product(out, 4) > HANDWRITTEN_MAX_FLOATS ||
      product(weights, 4) > HANDWRITTEN_MAX_FLOATS)
    return HANDWRITTEN_TOO_LARGE;
  return HANDWRITTEN_OK;
}

size_t handwritten_bitserial_conv2d_packed_size(const bitserial_params* q) {
  return handwritten_bitserial_conv2d_check(q) ? 0 : (size_t)make_plan(q).packed;
}

size_t handwritten_bitserial_conv2d_workspace(const bitserial_params* q) {
  return handwritten_bitserial_conv2d_check(q) ? 0 : (size_t)make_plan(q).workspace;
}

/* With T the differing bits y = K - 2 T, so y >= t where T <= (K - t) / 2. A bound below zero is
 * never met: it is one that always is, and its flip. */
static int32_t fold_threshold(int k, int32_t threshold, int sign, int* flip) {
  const int64_t reach = (int64_t)k - threshold; /* y <= t where not 2 T <= reach - 1 */
  const int64_t twice = sign > 0 ? reach : reach - 1;
  *flip = (sign <= 0) ^ (twice < 0);
  return twice < 0 ? UINT16_MAX : (int32_t)(twice / 2 < UINT16_MAX ? twice / 2 : UINT16_MAX);
}

static void pack_thresholds(const bitserial_params* q, const plan_t* p,
                            const int32_t (*thresholds)[2], uint8_t* packed) {
  for (int c = 0; c < p->vectors * LANES; c++) {
    int flip = 1;
    uint16_t bound = UINT16_MAX; /* a padded channel's bit is zero */
    if (c < q->co && !q->sums)
      bound = (uint16_t)fold_threshold(q->ci * q->kh * q->kw, thresholds[c][0], thresholds[c][1],
                                       &flip);
    memcpy(packed + p->bounds + c * sizeof bound, &bound, sizeof bound);
    packed[p->flips + c / LANES] |= (uint8_t)(flip << c % LANES);
  }
}

/* 16 bits of a channel's weights, from one that begins at w on. */
static uint16_t weight_step(const int8_t* w, int count) {
  uint16_t bits = 0;
  for (int i = 0; i < count; i++) bits |= (uint16_t)((w[i] > 0) << i);
  return bits;
}

/* packed: [block of 4 vectors][step][vector][channel], 16 bits each; bounds; flips. */
int handwritten_bitserial_conv2d_pack(const bitserial_params* q, const int8_t* weights,
                                      const int32_t (*thresholds)[2], void* packed) {
  const int code = handwritten_bitserial_conv2d_check(q);
  if (code) return code;
  if (!weights || !packed || !(thresholds || q->sums)) return HANDWRITTEN_NULL;
  const plan_t p = make_plan(q);
  const int taps = q->kh * q->kw, of_tap = p.steps / taps;
  uint8_t* to = packed;
  memset(packed, 0, (size_t)p.packed);
  for (int block = 0; block < p.vectors; block += VECTORS) {
    const int vectors = min_int(VECTORS, p.vectors - block);
    for (int s = 0; s < p.steps; s++, to += vectors * VECTOR)
      for (int c = 0; c < min_int(vectors * LANES, q->co - block * LANES); c++) {
        const int first = s % of_tap * 16, in_order = IN_ORDER && vectors == VECTORS;
        const int8_t* w = weights + ((size_t)(block * LANES + c) * taps + s / of_tap) * q->ci;
        const uint16_t bits = weight_step(w + first, min_int(16, q->ci - first));
        /* Upper halves of vectors in order: their halves change places. */
        const int lane = in_order && c % LANES >= 4 ? c ^ 2 : c;
        memcpy(to + lane * STEP, &bits, STEP);
      }
  }
  pack_thresholds(q, &p, thresholds, packed);
  return HANDWRITTEN_OK;
}

typedef struct {
  const uint8_t* const* from; /* where each output pixel begins to read */
  const uint8_t *weights, *bounds, *flips;
  steps_t steps;
  int sums, k;
  uint8_t* y;
  ptrdiff_t pixel; /* bytes of y */
  int channels;    /* that are stored of the sums */
} job_t;

/* One bit of each sum: the mask of a channel, its bit of the byte, added up over eight channels. */
INLINE void store_bits(const int pixels, const int vectors, const job_t* job, uint8_t* y,
                       sums_t sums[TILE_PIXELS][VECTORS]) {
  static const uint8_t bit[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const bytes_t bits = bytes_load(bit);
  sums_t bounds[VECTORS], met[TILE_PIXELS][VECTORS];
  bytes_t byte[TILE_PIXELS][2], pair[2];
  UNROLL for (int v = 0; v < VECTORS; v++)
    bounds[v] = sums_load((const uint16_t*)(const void*)(job->bounds + v * VECTOR));
  UNROLL for (int p = 0; p < TILE_PIXELS; p++)
    UNROLL for (int v = 0; v < VECTORS; v++)
      met[p][v] = sums_at_most(sums[min_int(p, pixels - 1)][min_int(v, vectors - 1)], bounds[v]);
  UNROLL for (int p = 0; p < TILE_PIXELS; p++)
    UNROLL for (int i = 0; i < 2; i++) byte[p][i] = bytes_narrow(met[p][2 * i], met[p][2 * i + 1]);
  UNROLL for (int p = 0; p < TILE_PIXELS; p++)
    UNROLL for (int i = 0; i < 2; i++) byte[p][i] = bytes_and(byte[p][i], bits);
  UNROLL for (int p = 0; p < TILE_PIXELS; p++) byte[p][0] = bytes_pairs(byte[p][0], byte[p][1]);
  UNROLL for (int i = 0; i < 2; i++)
    pair[i] = bytes_pairs(byte[2 * i % TILE_PIXELS][0], byte[(2 * i + 1) % TILE_PIXELS][0]);
  const bytes_t all = bytes_xor(bytes_pairs(pair[0], pair[1]), bytes_repeat4(job->flips));
#define STORE(p)                                      \
  if ((p) < pixels) {                                 \
    const uint32_t word = bytes_word(all, p);         \
    memcpy(y + (p) * job->pixel, &word, vectors);     \
  }
  STORE(0)
  STORE(1)
  STORE(2)
  STORE(3)
#undef STORE
}

INLINE void store_sums(const int pixels, const int vectors, const job_t* job, uint8_t* y,
                       sums_t sums[TILE_PIXELS][VECTORS]) {
  int16_t values[LANES];
  UNROLL for (int p = 0; p < pixels; p++)
    UNROLL for (int v = 0; v < vectors; v++) {
      uint8_t* to = y + p * job->pixel + v * VECTOR;
      sums_store_from(values, job->k, sums[p][v]);
      if (job->channels >= (v + 1) * LANES)
        memcpy(to, values, VECTOR);
      else
        for (int c = v * LANES; c < job->channels; c++)
          memcpy(to + (c - v * LANES) * 2, &values[c - v * LANES], 2);
    }
}

typedef void (*sum_t)(const steps_t*, const uint8_t* const*, const uint8_t*,
                      sums_t (*)[VECTORS]);

/* The tiles of the pixels first ... last - 1, which are whole ones. */
INLINE void convolve(const int pixels, const int vectors, const sum_t sum, const job_t* arguments,
                     int first, int last) {
  const job_t local = *arguments, *const job = &local; /* stores to y cannot change it */
  sums_t sums[TILE_PIXELS][VECTORS];
  const uint8_t* from[TILE_PIXELS];
  uint8_t* y = job->y + first * job->pixel;
  for (int tile = first; tile < last; tile += pixels, y += pixels * job->pixel) {
    UNROLL for (int p = 0; p < pixels; p++) from[p] = job->from[tile + p];
    sum(&job->steps, from, job->weights, sums);
    if (job->sums)
      store_sums(pixels, vectors, job, y, sums);
    else
      store_bits(pixels, vectors, job, y, sums);
  }
}

/* All sums of a tile, by way of what nothing else points to. */
INLINE void sum_any(const int pixels, const int vectors, const steps_t* steps,
                    const uint8_t* const* from, const uint8_t* weights, sums_t (*sums)[VECTORS]) {
  sums_t found[TILE_PIXELS][VECTORS];
  if (IN_ORDER && pixels == 4 && vectors == VECTORS)
    sum_tile_in_order(steps, from, weights, found);
  else
    sum_tile(pixels, vectors, steps, from, weights, found);
  UNROLL for (int p = 0; p < pixels; p++)
    UNROLL for (int v = 0; v < vectors; v++)
      sums[p][v] = IN_ORDER && pixels == 1 && vectors == VECTORS ? turn_upper(found[p][v])
                                                                 : found[p][v];
}

/* With 16 registers GCC spills sums within their loop for the sake of what follows it, so there
 * the loop is a function. */
#if defined(__arm__)
#define SUM_FUNCTION ORDERED
#else
#define SUM_FUNCTION INLINE
#endif

#define TILES(pixels, vectors)                                                             \
  SUM_FUNCTION void sum_##pixels##_##vectors(                                              \
      const steps_t* steps, const uint8_t* const* from, const uint8_t* weights,            \
      sums_t (*sums)[VECTORS]) {                                                           \
    sum_any(pixels, vectors, steps, from, weights, sums);                                  \
  }                                                                                        \
  ORDERED void tiles_##pixels##_##vectors(const job_t* job, int first, int last) {         \
    convolve(pixels, vectors, sum_##pixels##_##vectors, job, first, last);                 \
  }
#define EACH_COUNT(pixels) TILES(pixels, 1) TILES(pixels, 2) TILES(pixels, 3) TILES(pixels, 4)
#define TABLE(pixels) \
  {tiles_##pixels##_1, tiles_##pixels##_2, tiles_##pixels##_3, tiles_##pixels##_4}
EACH_COUNT(1)
#if TILE_PIXELS == 2
EACH_COUNT(2)
#else
EACH_COUNT(4)
#endif

typedef void (*tiles_t)(const job_t*, int, int);
static const tiles_t one_pixel[VECTORS] = TABLE(1);
#if TILE_PIXELS == 2
static const tiles_t whole_tiles[VECTORS] = TABLE(2);
#else
static const tiles_t whole_tiles[VECTORS] = TABLE(4);
#endif

/* All channels of the output pixels first ... last - 1 of one image. */
static void convolve_pixels(const plan_t* p, const job_t* image, const uint8_t* packed, int co,
                            int first, int last) {
  const int whole = first + (last - first) / TILE_PIXELS * TILE_PIXELS;
  job_t job = *image;
  job.weights = packed;
  for (int block = 0; block < p->vectors; block += VECTORS) {
    const int vectors = min_int(VECTORS, p->vectors - block);
    job.bounds = packed + p->bounds + (size_t)block * VECTOR;
    job.flips = packed + p->flips + block;
    job.channels = co - block * LANES;
    whole_tiles[vectors - 1](&job, first, whole);
    one_pixel[vectors - 1](&job, whole, last);
    job.weights += (size_t)p->steps * vectors * VECTOR;
    job.y += vectors * (job.sums ? VECTOR : 1);
  }
}

int handwritten_bitserial_conv2d(const bitserial_params* q, const uint8_t* x, const void* packed,
                                 void* y, void* workspace) {
  const int code = handwritten_bitserial_conv2d_check(q);
  if (code) return code;
  if (!x || !packed || !y || !workspace) return HANDWRITTEN_NULL;
  const plan_t p = make_plan(q);
  const int pixels = p.oh * p.ow, k = q->ci * q->kh * q->kw;
  uint8_t* space = (uint8_t*)align_line(workspace);
  uint8_t* copy = space + p.copy;
  const uint8_t** from = (const uint8_t**)(void*)space;
  uint32_t* next = (uint32_t*)(void*)(space + p.next);
  job_t job = {.from = from, .steps = {next, p.steps}, .sums = q->sums, .k = k, .y = y,
               .pixel = q->sums ? q->co * (int)sizeof(int16_t) : p.y_pixel};
  fill_steps(&p, next);
  if (p.copied) memset(copy, 0, (size_t)(p.workspace - p.copy - ALIGN));
  if (!q->sums && p.y_pixel > p.vectors) memset(y, 0, (size_t)q->n * pixels * p.y_pixel);
  for (int n = 0; n < q->n; n++, x += (size_t)q->h * q->w * p.x_pixel) {
    if (p.copied) copy_image(q, &p, x, copy);
    if (n == 0 || !p.copied) fill_pixels(q, &p, p.copied ? copy : x, from);
    for (int first = 0; first < pixels; first += p.block)
      convolve_pixels(&p, &job, packed, q->co, first, min_int(pixels, first + p.block));
    job.y += (size_t)pixels * job.pixel;
  }
  return HANDWRITTEN_OK;
}
