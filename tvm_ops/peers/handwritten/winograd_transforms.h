/* The transforms of F(4x4, 3x3), points 0, 1, -1, 2, -2, infinity, and F(2x2, 3x3), points 0, 1,
 * -1, infinity, on vectors of four tiles.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef HANDWRITTEN_WINOGRAD_TRANSFORMS_H_
#define HANDWRITTEN_WINOGRAD_TRANSFORMS_H_

#include "common.h"

/* One weight g[3][3] to (m + 2)^2 points, plane floats apart. */
static void transform_weights(int m, const float* g, float* u, size_t plane) {
  static const float g4[6][3] = {{1.0f / 4, 0, 0},
                                 {-1.0f / 6, -1.0f / 6, -1.0f / 6},
                                 {-1.0f / 6, 1.0f / 6, -1.0f / 6},
                                 {1.0f / 24, 1.0f / 12, 1.0f / 6},
                                 {1.0f / 24, -1.0f / 12, 1.0f / 6},
                                 {0, 0, 1}};
  static const float g2[4][3] = {{1, 0, 0}, {0.5f, 0.5f, 0.5f}, {0.5f, -0.5f, 0.5f}, {0, 0, 1}};
  const float(*matrix)[3] = m == 4 ? g4 : g2;
  const int a = m + 2;
  double half[6][3];
  for (int i = 0; i < a; i++)
    for (int c = 0; c < 3; c++)
      half[i][c] = (double)matrix[i][0] * g[c] + (double)matrix[i][1] * g[3 + c] +
                   (double)matrix[i][2] * g[6 + c];
  for (int i = 0; i < a; i++)
    for (int j = 0; j < a; j++)
      u[(i * a + j) * plane] = (float)(half[i][0] * matrix[j][0] + half[i][1] * matrix[j][1] +
                                       half[i][2] * matrix[j][2]);
}

/* out = B' d */
INLINE void input_points4(const vec4 d[6], vec4 out[6]) {
  const vec4 even = vec4_sub_times(d[4], d[2], 4), odd = vec4_sub_times(d[3], d[1], 4);
  const vec4 far_even = vec4_sub(d[4], d[2]), far_odd = vec4_sub(d[3], d[1]);
  out[0] = vec4_sub_times(vec4_add_times(d[4], d[0], 4), d[2], 5);
  out[1] = vec4_add(even, odd);
  out[2] = vec4_sub(even, odd);
  out[3] = vec4_add_times(far_even, far_odd, 2);
  out[4] = vec4_sub_times(far_even, far_odd, 2);
  out[5] = vec4_sub_times(vec4_add_times(d[5], d[1], 4), d[3], 5);
}

INLINE void input_points2(const vec4 d[4], vec4 out[4]) {
  out[0] = vec4_sub(d[0], d[2]);
  out[1] = vec4_add(d[1], d[2]);
  out[2] = vec4_sub(d[2], d[1]);
  out[3] = vec4_sub(d[1], d[3]);
}

/* out = A' m */
INLINE void output_points4(const vec4 m[6], vec4 out[4]) {
  const vec4 even = vec4_add(m[1], m[2]), odd = vec4_sub(m[1], m[2]);
  const vec4 far_even = vec4_add(m[3], m[4]), far_odd = vec4_sub(m[3], m[4]);
  out[0] = vec4_add(vec4_add(m[0], even), far_even);
  out[1] = vec4_add_times(odd, far_odd, 2);
  out[2] = vec4_add_times(even, far_even, 4);
  out[3] = vec4_add(vec4_add_times(odd, far_odd, 8), m[5]);
}

INLINE void output_points2(const vec4 m[4], vec4 out[2]) {
  out[0] = vec4_add(vec4_add(m[0], m[1]), m[2]);
  out[1] = vec4_sub(vec4_sub(m[1], m[2]), m[3]);
}

/* Four tiles of a row, s[a][4 m + 2], rows row floats apart, to points, plane floats apart. */
static void transform_input4(const float* s, int row, float* v, int plane) {
  vec4 half[6][6], column[6];
  for (int r = 0; r < 6; r++, s += row) {
    const vec4x4 d = vec4_load4(s);
    const vec4 all[6] = {d.val[0], d.val[1], d.val[2], d.val[3],
                         vec4_shift_in(d.val[0], vec4_load_one(s + 16)),
                         vec4_shift_in(d.val[1], vec4_load_one(s + 17))};
    input_points4(all, half[r]);
  }
  for (int c = 0; c < 6; c++) {
    for (int r = 0; r < 6; r++) column[r] = half[r][c];
    vec4 out[6];
    input_points4(column, out);
    for (int r = 0; r < 6; r++) vec4_store(v + (r * 6 + c) * plane, out[r]);
  }
}

static void transform_input2(const float* s, int row, float* v, int plane) {
  vec4 half[4][4], column[4];
  for (int r = 0; r < 4; r++, s += row) {
    const vec4x2 d = vec4_load2(s);
    const vec4 all[4] = {d.val[0], d.val[1], vec4_shift_in(d.val[0], vec4_load_one(s + 8)),
                         vec4_shift_in(d.val[1], vec4_load_one(s + 9))};
    input_points2(all, half[r]);
  }
  for (int c = 0; c < 4; c++) {
    for (int r = 0; r < 4; r++) column[r] = half[r][c];
    vec4 out[4];
    input_points2(column, out);
    for (int r = 0; r < 4; r++) vec4_store(v + (r * 4 + c) * plane, out[r]);
  }
}

/* Four tiles of a row, points plane floats apart, to y[m][4 m] with row floats between rows. */
static void transform_output4(const float* points, int plane, float bias,
                              const activation_t* activation, float* y, int row) {
  vec4 half[6][4];
  for (int c = 0; c < 6; c++) {
    vec4 column[6];
    for (int r = 0; r < 6; r++) column[r] = vec4_load(points + (r * 6 + c) * plane);
    output_points4(column, half[c]);
  }
  for (int r = 0; r < 4; r++) {
    const vec4 all[6] = {half[0][r], half[1][r], half[2][r], half[3][r], half[4][r], half[5][r]};
    vec4x4 out;
    output_points4(all, out.val);
    for (int c = 0; c < 4; c++)
      out.val[c] = activate(vec4_add(out.val[c], vec4_set(bias)), activation);
    vec4_store4(y + r * row, out);
  }
}

static void transform_output2(const float* points, int plane, float bias,
                              const activation_t* activation, float* y, int row) {
  vec4 half[4][2];
  for (int c = 0; c < 4; c++) {
    vec4 column[4];
    for (int r = 0; r < 4; r++) column[r] = vec4_load(points + (r * 4 + c) * plane);
    output_points2(column, half[c]);
  }
  for (int r = 0; r < 2; r++) {
    const vec4 all[4] = {half[0][r], half[1][r], half[2][r], half[3][r]};
    vec4x2 out;
    output_points2(all, out.val);
    for (int c = 0; c < 2; c++)
      out.val[c] = activate(vec4_add(out.val[c], vec4_set(bias)), activation);
    vec4_store2(y + r * row, out);
  }
}

INLINE void transform_input(int m, const float* s, int row, float* v, int plane) {
  if (m == 4) transform_input4(s, row, v, plane);
  else transform_input2(s, row, v, plane);
}

INLINE void transform_output(int m, const float* points, int plane, float bias,
                             const activation_t* activation, float* y, int row) {
  if (m == 4) transform_output4(points, plane, bias, activation, y, row);
  else transform_output2(points, plane, bias, activation, y, row);
}

#endif /* HANDWRITTEN_WINOGRAD_TRANSFORMS_H_ */
