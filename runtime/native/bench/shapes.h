// The shapes of models and calls that the benchmark measures, the operations of each stage, and the clock.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "leanbert_native.h"
#include "random_model.h"

inline double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct ModelShape {
  const char* name;
  uint32_t layers, hidden, heads, intermediate;
  RandomModel::Family family;
};

constexpr ModelShape model_shapes[] = {{"BERT-base", 12, 768, 12, 3072, RandomModel::Family::bert},
                                       {"MiniLM", 6, 384, 12, 1536, RandomModel::Family::bert},
                                       {"BERT-tiny", 2, 128, 2, 512, RandomModel::Family::bert},
                                       {"MPNet-base", 12, 768, 12, 3072, RandomModel::Family::mpnet},
                                       {"ModernBERT-base", 22, 768, 12, 1152, RandomModel::Family::modernbert},
                                       {"DeBERTa-base", 12, 768, 12, 3072, RandomModel::Family::deberta}};

struct CallShape {
  uint32_t batch, length;
  std::string name() const { return std::to_string(batch) + "x" + std::to_string(length); }
};

constexpr CallShape call_shapes[] = {{1, 8}, {1, 32}, {1, 64}, {1, 128}, {8, 32}, {8, 128}, {1, 512}};

// What the user chose; an empty list stands for all.
struct Choice {
  std::vector<std::string> models, shapes;
  bool every_token = false;  // last_hidden_state instead of the first-token head
  double slow = 1;           // so many times slower is the last thread (--stages alone)

  bool has(const ModelShape& m) const { return among(models, m.name); }
  std::vector<CallShape> calls() const {
    std::vector<CallShape> found(std::begin(call_shapes), std::end(call_shapes));
    if (!shapes.empty()) found.clear();
    for (const std::string& shape : shapes) {
      CallShape s{0, 0};
      char rest;
      if (std::sscanf(shape.c_str(), "%ux%u%c", &s.batch, &s.length, &rest) != 2 || !s.batch || !s.length ||
          s.length > 512) {
        std::fprintf(stderr, "shapes are texts x tokens of each, 1 to 512, as in 8x128; not \"%s\"\n", shape.c_str());
        std::exit(2);
      }
      found.push_back(s);
    }
    return found;
  }

 private:
  static bool among(const std::vector<std::string>& names, const std::string& name) {
    return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
  }
};

// Operations of a call (2 x multiply-adds) and rows. The last layer computes everything for all tokens only where the
// head reads every token.
struct Work {
  Work(const ModelShape& m, const CallShape& s, bool gated, bool every_token) {
    const double h = m.hidden, f = m.intermediate, last = every_token ? s.batch * s.length : s.batch;
    tokens = s.batch * s.length;
    rows = tokens * (m.layers - 1) + last;
    qkv = 2 * h * h * (rows + 2 * tokens * m.layers);
    output = 2 * h * h * rows;
    up = (gated ? 2 : 1) * 2 * h * f * rows;
    down = 2 * h * f * rows;
    attention = 4 * h * s.length * rows;
    head = 2 * h * h * (every_token ? 0 : s.batch);
  }
  double linear() const { return qkv + output + up + down; }

  double tokens, rows;  // rows: of all layers, behind attention
  double qkv, attention, output, up, down, head;
};

// An encoder of a shape, and calls to it. The program ends where one fails.
class Caller {
 public:
  Caller(const RandomModel& model, uint32_t threads) {
    lb_model_desc desc = model.desc;
    desc.threads = threads;
    if (lb_open(&desc, &encoder_, message_, sizeof message_) != LB_OK) fail();
  }
  ~Caller() { lb_close(encoder_); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  void prepare(const CallShape& s) {
    lengths_.assign(s.batch, static_cast<int32_t>(s.length));
    ids_.resize(s.batch * s.length);
    for (auto& id : ids_) id = static_cast<int32_t>(generator_() % 30522);
    out_.resize(lb_output_size(encoder_, s.batch, ids_.size()));
  }
  const std::vector<float>& answers() const { return out_; }
  void run() {
    if (lb_run(encoder_, lengths_.size(), lengths_.data(), ids_.size(), ids_.data(), nullptr, out_.data(), out_.size(),
               message_, sizeof message_) != LB_OK)
      fail();
  }

 private:
  [[noreturn]] void fail() const {
    std::fprintf(stderr, "%s\n", message_);
    std::exit(1);
  }
  lb_encoder* encoder_ = nullptr;
  char message_[256];
  std::mt19937 generator_{1};
  std::vector<int32_t> lengths_, ids_;
  std::vector<float> out_;
};
