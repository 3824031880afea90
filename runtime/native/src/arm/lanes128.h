// Sixteen f32 lanes in four NEON registers; kernels/lanes.h says what each function does.
//
// The smaller and the larger of two numbers are chosen by comparison, as on x86: vminq_f32 and vmaxq_f32 treat NaN and
// zeros in another way. Memory is read and written through memcpy, because scores change their type in place.
#pragma once

#include <arm_neon.h>

#include "arm/strips128.h"
#include "kernels/lanes.h"

namespace leanbert {
namespace {

struct Lanes128 {
  static constexpr bool scales_blocks = false;  // matmul.h
  struct F {
    float32x4_t q[4];
  };
  struct W {
    int32x4_t q[4];
  };

  template <class T>
  LB_INLINE T load_register(const void* p, size_t i) {
    T v;
    __builtin_memcpy(&v, static_cast<const char*>(p) + 16 * i, 16);
    return v;
  }
  template <class T>
  LB_INLINE void store_register(void* p, size_t i, T v) {
    __builtin_memcpy(static_cast<char*>(p) + 16 * i, &v, 16);
  }

  LB_INLINE F load(const float* p) {
    return {{load_register<float32x4_t>(p, 0), load_register<float32x4_t>(p, 1), load_register<float32x4_t>(p, 2),
             load_register<float32x4_t>(p, 3)}};
  }
  LB_INLINE void store(float* p, F v) {
    for (size_t i = 0; i < 4; i++) store_register(p, i, v.q[i]);
  }
  LB_INLINE F load_part(const float* p, size_t n) {
    if (n == 16) return load(p);
    float copy[16] = {};
    __builtin_memcpy(copy, p, n * sizeof(float));
    return load(copy);
  }
  LB_INLINE void store_part(float* p, F v, size_t n) {
    if (n == 16) return store(p, v);
    float copy[16];
    store(copy, v);
    __builtin_memcpy(p, copy, n * sizeof(float));
  }

  LB_INLINE float32x4_t least(float32x4_t a, float32x4_t b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
  LB_INLINE float32x4_t most(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

  LB_INLINE F all(float x) {
    const float32x4_t v = vdupq_n_f32(x);
    return {{v, v, v, v}};
  }
  LB_INLINE F zeros() { return all(0.f); }
  template <class Function>
  LB_INLINE F each(const Function& f) {
    return {{f(0), f(1), f(2), f(3)}};
  }
  LB_INLINE F add(F a, F b) {
    return each([&](int i) { return vaddq_f32(a.q[i], b.q[i]); });
  }
  LB_INLINE F sub(F a, F b) {
    return each([&](int i) { return vsubq_f32(a.q[i], b.q[i]); });
  }
  LB_INLINE F mul(F a, F b) {
    return each([&](int i) { return vmulq_f32(a.q[i], b.q[i]); });
  }
  LB_INLINE F div(F a, F b) {
    return each([&](int i) { return vdivq_f32(a.q[i], b.q[i]); });
  }
  LB_INLINE F sqrt(F a) {
    return each([&](int i) { return vsqrtq_f32(a.q[i]); });
  }
  LB_INLINE F fma(F a, F b, F c) {
    return each([&](int i) { return vfmaq_f32(c.q[i], a.q[i], b.q[i]); });
  }
  LB_INLINE F fma_negated(F a, F b, F c) {
    return each([&](int i) { return vfmsq_f32(c.q[i], a.q[i], b.q[i]); });
  }
  LB_INLINE F min(F a, F b) {
    return each([&](int i) { return least(a.q[i], b.q[i]); });
  }
  LB_INLINE F max(F a, F b) {
    return each([&](int i) { return most(a.q[i], b.q[i]); });
  }
  LB_INLINE F magnitude(F a) {
    return each([&](int i) { return vabsq_f32(a.q[i]); });
  }
  LB_INLINE F round(F a) {
    return each([&](int i) { return vrndnq_f32(a.q[i]); });
  }
  LB_INLINE float round_one(float x) { return vrndns_f32(x); }
  LB_INLINE int32_t integer(float x) { return vcvtns_s32_f32(x); }
  LB_INLINE F shift_exponent(F a, F n) {
    return each([&](int i) {
      return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a.q[i]), vshlq_n_s32(vcvtnq_s32_f32(n.q[i]), 23)));
    });
  }
  LB_INLINE F at_least_exponent(F x) { return max(x, all(-126.f)); }
  LB_INLINE uint32x4_t among_first(size_t n, int i) {  // of the lanes of register i
    const uint32x4_t count = vdupq_n_u32(static_cast<uint32_t>(n)), indices = {0, 1, 2, 3};
    return vcltq_u32(vaddq_u32(indices, vdupq_n_u32(static_cast<uint32_t>(4 * i))), count);
  }
  LB_INLINE F first_or(F v, size_t n, float other) {
    return each([&](int i) { return vbslq_f32(among_first(n, i), v.q[i], vdupq_n_f32(other)); });
  }
  LB_INLINE F from_or(F v, size_t n, float other) {
    return each([&](int i) { return vbslq_f32(among_first(n, i), vdupq_n_f32(other), v.q[i]); });
  }

  LB_INLINE float sum_lanes(F a) {
    const float32x4_t b = vaddq_f32(vaddq_f32(a.q[0], a.q[2]), vaddq_f32(a.q[1], a.q[3]));
    const float32x2_t c = vadd_f32(vget_low_f32(b), vget_high_f32(b));
    return vget_lane_f32(c, 0) + vget_lane_f32(c, 1);
  }
  LB_INLINE F sum_each(const F* rows) {
    alignas(16) float sums[16];
    for (int i = 0; i < 16; i++) sums[i] = sum_lanes(rows[i]);
    return load(sums);
  }
  LB_INLINE float min_lanes(F a) {
    const float32x4_t b = least(least(a.q[0], a.q[2]), least(a.q[1], a.q[3]));
    const float c = vgetq_lane_f32(b, 0), d = vgetq_lane_f32(b, 1), e = vgetq_lane_f32(b, 2), f = vgetq_lane_f32(b, 3);
    const float g = c < e ? c : e, h = d < f ? d : f;
    return g < h ? g : h;
  }
  LB_INLINE float max_lanes(F a) {
    const float32x4_t b = most(most(a.q[0], a.q[2]), most(a.q[1], a.q[3]));
    const float c = vgetq_lane_f32(b, 0), d = vgetq_lane_f32(b, 1), e = vgetq_lane_f32(b, 2), f = vgetq_lane_f32(b, 3);
    const float g = c > e ? c : e, h = d > f ? d : f;
    return g > h ? g : h;
  }

  template <class Function>
  LB_INLINE W each_word(const Function& f) {
    return {{f(0), f(1), f(2), f(3)}};
  }
  LB_INLINE W all_words(int32_t x) {
    const int32x4_t v = vdupq_n_s32(x);
    return {{v, v, v, v}};
  }
  LB_INLINE W no_words() { return all_words(0); }
  LB_INLINE W load_words(const void* p) {
    return each_word([&](int i) { return load_register<int32x4_t>(p, static_cast<size_t>(i)); });
  }
  LB_INLINE void store_words(int32_t* p, W v) {
    for (size_t i = 0; i < 4; i++) store_register(p, i, v.q[i]);
  }
  LB_INLINE W add_words(W a, W b) {
    return each_word([&](int i) { return vaddq_s32(a.q[i], b.q[i]); });
  }
  LB_INLINE W sub_words(W a, W b) {
    return each_word([&](int i) { return vsubq_s32(a.q[i], b.q[i]); });
  }
  LB_INLINE W max_words(W a, W b) {
    return each_word([&](int i) { return vmaxq_s32(a.q[i], b.q[i]); });
  }
  LB_INLINE W all_largest(W a) {
    return all_words(vmaxvq_s32(vmaxq_s32(vmaxq_s32(a.q[0], a.q[1]), vmaxq_s32(a.q[2], a.q[3]))));
  }
  LB_INLINE F from_words(W v) {
    return each([&](int i) { return vcvtq_f32_s32(v.q[i]); });
  }
  LB_INLINE W to_words(F v) {
    return each_word([&](int i) { return vcvtnq_s32_f32(v.q[i]); });
  }
  LB_INLINE F from_int(const int32_t* p) { return from_words(load_words(p)); }
  LB_INLINE F from_int8(const int8_t* p) {
    const int8x16_t bytes = vld1q_s8(p);
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    return from_words(
        {{vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)}});
  }

  // Eight int16 of words 0 to 7, or 8 to 15, saturated.
  LB_INLINE int16x8_t narrow(W v, int half) { return vqmovn_high_s32(vqmovn_s32(v.q[2 * half]), v.q[2 * half + 1]); }
  LB_INLINE F narrow16(W a, W b) {
    return {{vreinterpretq_f32_s16(narrow(a, 0)), vreinterpretq_f32_s16(narrow(a, 1)),
             vreinterpretq_f32_s16(narrow(b, 0)), vreinterpretq_f32_s16(narrow(b, 1))}};
  }
  LB_INLINE F pack16(F a, F b) { return narrow16(to_words(a), to_words(b)); }
  // Pairs of int16 are multiplied in this order: the first numbers of pairs 0 to 7, the second ones, and so for pairs 8
  // to 15.
  LB_INLINE F of_halves(int16x8_t first, int16x8_t second, int16x8_t last_first, int16x8_t last_second) {
    return {{vreinterpretq_f32_s16(first), vreinterpretq_f32_s16(second), vreinterpretq_f32_s16(last_first),
             vreinterpretq_f32_s16(last_second)}};
  }
  LB_INLINE F pairs(F v) {
    const int16x8_t a = vreinterpretq_s16_f32(v.q[0]), b = vreinterpretq_s16_f32(v.q[1]),
                    c = vreinterpretq_s16_f32(v.q[2]), d = vreinterpretq_s16_f32(v.q[3]);
    return of_halves(vuzp1q_s16(a, b), vuzp2q_s16(a, b), vuzp1q_s16(c, d), vuzp2q_s16(c, d));
  }
  LB_INLINE F interleave16(F a, F b) {
    const W x = to_words(a), y = to_words(b);
    return of_halves(narrow(x, 0), narrow(y, 0), narrow(x, 1), narrow(y, 1));
  }
  LB_INLINE void store16(int16_t* p, F v) {
    for (size_t i = 0; i < 4; i++) store_register(p, i, v.q[i]);
  }

  static constexpr bool own_blocks = true;
  template <size_t M>
  LB_INLINE void multiply_rows(F (&sums)[M][1], const float* a, size_t stride, const float* b, size_t step, size_t k) {
    strips::add_all<strips::Numbers>(sums, a, stride, b, step, k);
  }
  template <size_t M>
  LB_INLINE void multiply_pairs(W (&sums)[M][1], const int16_t* a, size_t stride, const int16_t* b, size_t step,
                                size_t count) {
    strips::add_all<strips::Pairs>(sums, a, stride, b, step, count);
  }

  LB_INLINE void transpose(const F* in, F* out) {
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) {  // the block of rows 4i.. and columns 4j..
        const float32x4x2_t a = vtrnq_f32(in[4 * i].q[j], in[4 * i + 1].q[j]),
                            b = vtrnq_f32(in[4 * i + 2].q[j], in[4 * i + 3].q[j]);
        out[4 * j].q[i] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
        out[4 * j + 1].q[i] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
        out[4 * j + 2].q[i] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
        out[4 * j + 3].q[i] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
      }
  }

  // Sixteen u8, rounded and saturated.
  LB_INLINE uint8x16_t bytes_of(F v) {
    const W words = to_words(v);
    return vqmovun_high_s16(vqmovun_s16(narrow(words, 0)), narrow(words, 1));
  }

  // Attention's blocks, and those of f32 matmuls: 8 rows x 16 lanes, in two strips.
  static constexpr size_t f32_block_rows = strips::most_rows, query_rows = strips::most_rows;
  static constexpr size_t key_vectors = 1, value_vectors = 1;
  static constexpr size_t value_rows(size_t) { return strips::most_rows; }
};

}  // namespace
}  // namespace leanbert
