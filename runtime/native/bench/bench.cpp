// What the kernels and the whole encoder cost on this machine, as one table.
//
//   native_bench [kernels] [encoder] [--threads 1,2] [--seconds 1.0] [--isa avx512_vnni,avx2]
//                [--models BERT-base,MiniLM,BERT-tiny,MPNet-base,ModernBERT-base,DeBERTa-base] [--shapes 1x8,8x128] [--every-token]
//                [--stages] [--slow 3]
//
// kernels  one thread, operands in cache: matmuls as GOP/s and share of the measured roof (the matmul's own register
//          block on operands that stay in the first-level cache), attention as GFLOP/s, row operations as ns per row.
// encoder  random weights of the named shapes, first-token head: median ms per call, GOP/s of the linear
//          layers (2 x multiply-adds, last layer for the first token alone) and their share of the roof of all
//          threads at once, measured in turns with the calls (roof.h); then the share with attention's multiply-adds
//          counted, too. Both over the whole call, with all that is no matmul:
//            native_bench encoder --isa avx512_vnni --threads 2 --models BERT-base --shapes 8x128
// --stages instead of the encoder's table: the time of each stage by thread (stages.cpp). With --slow the last thread takes
//          so many times as long for everything, as a small core does, and the others have to make up for it.
// Times of kernels are the median of the calls that fit into the given seconds, after two that do not count; those of
// `encoder` likewise, after one at first and one after each measurement of the roof.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "model/packing.h"
#include "roof.h"
#include "shapes.h"
#include "stages.h"

using namespace leanbert;

namespace {

double median(std::vector<double> samples) {
  std::nth_element(samples.begin(), samples.begin() + static_cast<long>(samples.size() / 2), samples.end());
  return samples[samples.size() / 2];
}

double median_seconds(double budget, const std::function<void()>& f) {
  f();
  f();
  std::vector<double> samples;
  const double end = now() + budget;
  do {
    const double start = now();
    f();
    samples.push_back(now() - start);
  } while (now() < end || samples.size() < 3);
  return median(samples);
}

template <class T>
T* aligned(size_t n) {
  void* p = nullptr;
  if (posix_memalign(&p, 2 << 20, n * sizeof(T) + 4096) != 0) std::abort();
  std::memset(p, 0, n * sizeof(T) + 4096);
  return static_cast<T*>(p);
}

std::mt19937 generator(1);

// What attention reads of distances: biases, and tables of DeBERTa-v3's size (rows of their own up to a distance of 128).
struct Distances {
  static constexpr size_t rows = 512, reach = 544, middle = reach;

  Distances(const Kernels& kernels, size_t width)
      : bias(2 * reach), after(2 * reach), straight(2 * reach), packed(2 * rows * width) {
    std::vector<float> table(rows * width);
    std::normal_distribution<float> normal;
    for (float& x : table) x = normal(generator);
    for (size_t i = 0; i < 2 * reach; i++) {
      const int distance = static_cast<int>(i) - static_cast<int>(middle), far = std::abs(distance);
      const int place = far > 128 ? 128 + (far - 128) / 4 : far;
      after[i] = std::min(std::max(256 + (distance < 0 ? -place : place), 0), 511);
      straight[i] = far < 112;
      bias[i] = normal(generator);
    }
    const RowOfDistance of{after.data() + middle, straight.data() + middle};
    int16_t* queries = packed.data() + rows * width;
    const float scale = kernels.pack_relative(table.data(), rows, width, packed.data());
    kernels.pack_relative(table.data(), rows, width, queries);
    head = {packed.data(), queries, scale, scale, rows, of, of};
  }

  std::vector<float> bias;
  std::vector<int32_t> after;
  std::vector<uint8_t> straight;
  std::vector<int16_t> packed;
  RelativeHead head;
};

void bench_kernels(const Kernels& kernels, double seconds) {
  const double roof = kernels.roof(0.3);
  std::printf("\n%s: roof of one thread %.0f GOP/s\n", kernels.name, roof * 1e-9);
  std::printf("| matmul | rows | K | N | us | GOP/s | share of roof |\n|---|---|---|---|---|---|---|\n");
  const struct {
    const char* name;
    size_t rows, k, n;
    Store store;
  } shapes[] = {{"qkv", 64, 768, 2304, Store::plain},     {"output", 64, 768, 768, Store::residual},
                {"up", 64, 768, 3072, Store::activated},  {"down", 64, 3072, 768, Store::residual},
                {"qkv", 16, 768, 2304, Store::plain},     {"up", 16, 768, 3072, Store::activated},
                {"down", 16, 3072, 768, Store::residual}, {"qkv", 64, 384, 1152, Store::plain},
                {"up", 64, 384, 1536, Store::activated}};
  for (const auto& s : shapes) {
    int8_t* plain = aligned<int8_t>(s.k * s.n);
    for (size_t i = 0; i < s.k * s.n; i++) plain[i] = static_cast<int8_t>(generator() % 255 - 127);
    int8_t* packed = aligned<int8_t>(s.k * s.n);
    int32_t* sums = aligned<int32_t>(s.n);
    pack_int8(plain, s.k, s.n, kernels.panel, kernels.group, packed, sums);
    Matmul matmul;
    matmul.weight = packed;
    matmul.column_sum = sums;
    matmul.scale = aligned<float>(s.n);
    matmul.bias = aligned<float>(s.n);
    matmul.k = static_cast<uint32_t>(s.k);
    matmul.n = matmul.columns = static_cast<uint32_t>(s.n);
    QuantizedRows in;
    in.stride = s.k * kernels.activation_bytes + 64;
    in.data = aligned<uint8_t>(s.rows * in.stride);
    in.scale = aligned<float>(s.rows);
    in.zero = aligned<int32_t>(s.rows);
    float* out = aligned<float>(s.rows * (s.n + 16));
    float* ranges = aligned<float>(s.rows * range_floats);
    const MatmulCall call{&matmul,  in,      nullptr,          0,      s.rows, 0, s.n / kernels.panel, out,
                          s.n + 16, s.store, Activation::gelu, ranges, packed};
    const double t = median_seconds(seconds, [&] { kernels.matmul(call); });
    const double rate = 2. * static_cast<double>(s.rows * s.k * s.n) / t;
    std::printf("| %s | %zu | %zu | %zu | %.1f | %.0f | %.1f%% |\n", s.name, s.rows, s.k, s.n, t * 1e6, rate * 1e-9,
                100 * rate / roof);
    for (void* p :
         {static_cast<void*>(plain), static_cast<void*>(packed), static_cast<void*>(out), static_cast<void*>(in.data)})
      std::free(p);
  }
  std::printf("\n| attention, one head | operands | length | us | GFLOP/s |\n|---|---|---|---|---|\n");
  const size_t lengths[] = {8, 32, 64, 128, 512}, widths[] = {64, 32};
  for (size_t width : widths)
    for (size_t length : lengths) {
      const size_t stride = 2304 + 16;
      float* qkv = aligned<float>(length * stride);
      std::normal_distribution<float> normal;
      for (size_t i = 0; i < length * stride; i++) qkv[i] = normal(generator);
      float* out = aligned<float>(length * 784);
      const Distances distances(kernels, width);
      float* scratch =
          aligned<float>(kernels.attention_scratch(length, width) + kernels.relative_scratch(length, Distances::rows));
      AttentionCall call{qkv, qkv + 768, qkv + 1536, stride, length, length, width, out, 784, 0.18f, scratch};
      call.window = 64;
      call.bias = distances.bias.data() + Distances::middle;
      call.relative = &distances.head;
      const struct {
        const char* name;
        Attention attention;
      } kinds[] = {{"f32", kernels.attention},
                   {"int16", kernels.attention_int16},
                   {"int16, window of 64", kernels.attention_window},
                   {"int16, biases", kernels.attention_biased},
                   {"int16, disentangled", kernels.attention_disentangled}};
      for (const auto& kind : kinds) {
        const double t = median_seconds(seconds, [&] { kind.attention(call); });
        std::printf("| width %zu | %s | %zu | %.2f | %.0f |\n", width, kind.name, length, t * 1e6,
                    4e-9 * static_cast<double>(length * length * width) / t);
      }
      std::free(qkv);
      std::free(out);
      std::free(scratch);
    }
  std::printf("\n| row operation | floats | ns |\n|---|---|---|\n");
  float* x = aligned<float>(3072);
  float* ones = aligned<float>(3072);
  float* ranges = aligned<float>(range_floats);
  for (int i = 0; i < 3072; i++) {
    x[i] = static_cast<float>(i % 37) - 18.f;
    ones[i] = 1.f;
  }
  QuantizedRows row;
  row.data = aligned<uint8_t>(8192);
  row.scale = aligned<float>(1);
  row.zero = aligned<int32_t>(1);
  const double n = 1000;
  const auto each = [&](const char* name, size_t width, const std::function<void()>& f) {
    const double t = median_seconds(seconds / 4, [&] {
      for (int i = 0; i < 1000; i++) f();
    });
    std::printf("| %s | %zu | %.0f |\n", name, width, t / n * 1e9);
  };
  each("layer norm + quantize", 768, [&] { kernels.layer_norm_quantize(x, 768, ones, ones, 1e-12f, nullptr, row, 0); });
  each("layer norm + smooth + quantize", 768,
       [&] { kernels.layer_norm_quantize(x, 768, ones, ones, 1e-12f, ones, row, 0); });
  each("quantize", 768, [&] { kernels.quantize(x, 768, nullptr, row, 0); });
  each("quantize, range known", 3072, [&] { kernels.quantize_ranged(x, 3072, ranges, 0, 1, row, 0); });
}

void bench_encoder(const Kernels& kernels, double seconds, const std::vector<uint32_t>& threads, const Choice& choice) {
  setenv("LEANBERT_ISA", kernels.name, 1);
  std::printf(
      "\n| %s | threads | batch x length | ms | GOP/s | roof, GOP/s | share of roof | with attention "
      "|\n|---|---|---|---|---|---|---|---|\n",
      kernels.name);
  for (const auto& m : model_shapes) {
    if (!choice.has(m)) continue;
    RandomModel model(m.layers, m.hidden, m.heads, m.intermediate, 30522, m.family);
    if (choice.every_token) model.desc.head = LB_HEAD_NONE;
    for (const uint32_t count : threads) {
      Caller caller(model, count);
      for (const auto& s : choice.calls()) {
        caller.prepare(s);
        std::vector<double> times;
        std::vector<double> at_roof = in_turns_with_roof(
            kernels, count, seconds, 3, [&] { caller.run(); },
            [&] {
              const double start = now();
              caller.run();
              times.push_back(now() - start);
            });
        for (size_t i = 0; i < times.size(); i++) at_roof[i] *= times[i];  // operations at the roof
        const Work work(m, s, model.desc.gated, choice.every_token);
        const double t = median(times), possible = median(at_roof);
        const auto share = [&](double operations) { return 100 * operations / possible; };
        std::printf("| %s | %u | %u x %u | %.2f | %.0f | %.0f | %.1f%% | %.1f%% |\n", m.name, count, s.batch, s.length,
                    t * 1e3, work.linear() / t * 1e-9, possible / t * 1e-9, share(work.linear()),
                    share(work.linear() + work.attention));
        std::fflush(stdout);
      }
    }
  }
}

std::vector<std::string> split(const char* text) {
  std::vector<std::string> parts(1);
  for (; *text; text++)
    if (*text == ',')
      parts.emplace_back();
    else
      parts.back() += *text;
  return parts;
}

}  // namespace

int main(int argc, char** argv) {
  bool kernels = false, encoder = false, stages = false;
  double seconds = 0.5;
  Choice choice;
  std::vector<uint32_t> threads = {1, 2};
  std::vector<std::string> isas;
  for (const Kernels* const* path = all_kernels; *path; path++) isas.emplace_back((*path)->name);
  for (int i = 1; i < argc; i++) {
    const std::string a = argv[i];
    if (a == "kernels")
      kernels = true;
    else if (a == "encoder")
      encoder = true;
    else if (a == "--seconds" && i + 1 < argc)
      seconds = std::atof(argv[++i]);
    else if (a == "--stages")
      stages = true;
    else if (a == "--slow" && i + 1 < argc)
      choice.slow = std::atof(argv[++i]);
    else if (a == "--every-token")
      choice.every_token = true;
    else if (a == "--models" && i + 1 < argc)
      choice.models = split(argv[++i]);
    else if (a == "--shapes" && i + 1 < argc)
      choice.shapes = split(argv[++i]);
    else if (a == "--isa" && i + 1 < argc)
      isas = split(argv[++i]);
    else if (a == "--threads" && i + 1 < argc) {
      threads.clear();
      for (const auto& t : split(argv[++i])) threads.push_back(static_cast<uint32_t>(std::atoi(t.c_str())));
    } else {
      std::fprintf(stderr,
                   "usage: native_bench [kernels] [encoder] [--threads 1,2] [--seconds 0.5] [--isa avx512_vnni,avx2]\n"
                   "                    [--models BERT-base,DeBERTa-base] [--shapes 1x8,8x128] [--every-token]\n"
                   "                    [--stages] [--slow 3]\n");
      return 2;
    }
  }
  if (choice.slow > 1 && !stages) {
    std::fprintf(stderr, "--slow needs --stages\n");
    return 2;
  }
  if (!kernels && !encoder && !stages) kernels = encoder = true;
  for (const auto& isa : isas) {
    const char* why_not;
    const Kernels* chosen = choose_kernels(isa.c_str(), &why_not);
    if (!chosen || isa != chosen->name) {
      std::printf("\n%s: not on this CPU\n", isa.c_str());
      continue;
    }
    if (kernels) bench_kernels(*chosen, seconds / 4);
    if (stages)
      bench_stages(*chosen, seconds, threads, choice);
    else if (encoder)
      bench_encoder(*chosen, seconds, threads, choice);
  }
  return 0;
}
