// A model of random numbers for the benchmark and the stress test: no bundle is needed. Its records are those of an
// exported first-token model: smoothing where a norm feeds a matmul, the last layer's query apart, a bias for Q only.
// Other families than BERT's have what their attention asks for: MPNet biases by distance, ModernBERT rotary tables,
// windows, gates and norms before, DeBERTa tables of 512 rows and biases for K.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "leanbert_native.h"

class RandomModel {
 public:
  enum class Family { bert, mpnet, modernbert, deberta };

  RandomModel(uint32_t count, uint32_t h, uint32_t heads, uint32_t f, uint32_t vocabulary = 30522,
              Family family = Family::bert) {
    const bool modern = family == Family::modernbert, deberta = family == Family::deberta;
    desc.struct_size = sizeof desc;
    desc.layer_size = sizeof(lb_layer);
    desc.hidden_size = desc.embedding_size = h;
    desc.num_attention_heads = heads;
    desc.intermediate_size = f;
    desc.vocab_size = vocabulary;
    desc.max_positions = 512;
    desc.activation = LB_GELU;
    desc.layer_norm_eps = 1e-12f;
    desc.word = tensor(LB_INT8, vocabulary, h, 0, 0);
    desc.word_scale = tensor(LB_FLOAT32, 1, vocabulary, .03f, .03f);
    if (!modern && !deberta) desc.position = tensor(LB_FLOAT32, 512, h, -1, 1);
    desc.pre_norm = desc.gated = modern;
    if (modern) desc.final_norm = norm(h);
    for (int i = 0; modern && i < 2; i++) {
      desc.rotary_cos[i] = tensor(LB_FLOAT32, 512, h / heads / 2, -1, 1);
      desc.rotary_sin[i] = tensor(LB_FLOAT32, 512, h / heads / 2, -1, 1);
    }
    if (family == Family::mpnet) {
      desc.relative_bias = tensor(LB_FLOAT32, 32, heads, -1, 1);
      for (uint32_t i = 0; i < 183; i++) buckets_.push_back(i * 32 / 183);
    }
    for (int32_t i = -511; deberta && i < 512; i++) {  // key - query: near ones have a row each, far ones share
      const int32_t far = std::abs(i) > 128 ? 128 + (std::abs(i) - 128) / 4 : std::abs(i);
      buckets_.push_back(static_cast<uint32_t>(std::min(256 + (i < 0 ? far : -far), 511)));
    }
    desc.embedding_norm = norm(h);
    desc.head = LB_HEAD_FIRST_TOKEN;
    desc.head_activation = LB_TANH;
    desc.head_dense = matmul(h, h, h, true);
    desc.classifier.weight = tensor(LB_FLOAT32, h, 3, -.1f, .1f);
    desc.classifier.bias = tensor(LB_FLOAT32, 1, 3, 0, 0);
    for (uint32_t i = 0; i < count; i++) {
      lb_layer layer{};
      const bool last = i + 1 == count;
      layer.qkv = matmul(h, last ? 2 * h : 3 * h, deberta && !last ? 2 * h : h, true);
      if (last) {
        layer.query = matmul(h, h, h, true);
        layer.query.smoothing = layer.qkv.smoothing;
      }
      layer.attention_output = matmul(h, h, h, false);
      if (!modern || i) layer.attention_norm = norm(h);
      layer.ffn_up = matmul(h, modern ? 2 * f : f, f, true);
      layer.ffn_down = matmul(f, h, h, false);
      layer.ffn_norm = norm(h);
      layer.window = modern && i % 3 ? 64 : 0;
      layer.rotary = modern ? (i % 3 ? 2 : 1) : 0;
      if (deberta) {
        layer.position_key = tensor(LB_FLOAT32, 512, h, -.1f, .1f);
        layer.position_query = tensor(LB_FLOAT32, 512, h, -.1f, .1f);
      }
      layers_.push_back(layer);
    }
    desc.num_layers = count;
    desc.layers = layers_.data();
    desc.num_relative_buckets = static_cast<uint32_t>(buckets_.size());
    desc.relative_buckets = buckets_.data();
    desc.data = content_.data();
    desc.data_bytes = content_.size();
  }

  lb_model_desc desc{};

 private:
  lb_tensor tensor(uint32_t dtype, uint32_t rows, uint32_t cols, float low, float high) {
    content_.resize((content_.size() + 63) / 64 * 64);
    const uint64_t count = uint64_t{rows} * cols, bytes = count * (dtype == LB_INT8 ? 1 : 4);
    const lb_tensor t{content_.size(), bytes, dtype, rows, cols, 0};
    content_.resize(content_.size() + bytes);
    char* p = content_.data() + t.offset;
    std::uniform_real_distribution<float> uniform(low, high);
    for (uint64_t i = 0; i < count; i++) {
      if (dtype == LB_INT8) {
        p[i] = static_cast<char>(static_cast<int>(generator_() >> 25) - 64);
      } else {
        const float v = low < high ? uniform(generator_) : low;
        std::memcpy(p + 4 * i, &v, 4);
      }
    }
    return t;
  }
  lb_matmul matmul(uint32_t k, uint32_t n, uint32_t biases, bool smooth) {
    const float s = 1.f / (37.f * std::sqrt(static_cast<float>(k)));
    return {tensor(LB_INT8, k, n, 0, 0), tensor(LB_FLOAT32, 1, n, s, s), tensor(LB_FLOAT32, 1, biases, -.1f, .1f),
            smooth ? tensor(LB_FLOAT32, 1, k, .5f, 1.5f) : lb_tensor{}};
  }
  lb_norm norm(uint32_t n) { return {tensor(LB_FLOAT32, 1, n, 1, 1), tensor(LB_FLOAT32, 1, n, 0, 0)}; }

  std::mt19937 generator_{1};
  std::vector<char> content_;
  std::vector<lb_layer> layers_;
  std::vector<uint32_t> buckets_;
};
