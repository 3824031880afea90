// What weights of 4 bits would gain where a call is bound by reading them: the linear layers of a BERT-base, read from
// memory, with the shipped int8 kernel and with the prototype of int4.h.
//
//   native_int4 [--threads 1,2] [--tokens 8,16,32] [--turns 31]
//   native_int4 --check
//
// Prints JSON: for each number of threads and tokens the milliseconds of every variant by turn. In a turn all variants
// run once; before each, 64 MB of other memory are read, so that weights come from memory. The threads share columns.
// Attention, norms and quantization, which take the same time whatever the weights are, are left out.
//
// --check compares the prototype with plain loops, bit by bit, and prints what it compared.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "int4_linear.h"
#include "platform/platform.h"
#include "shapes.h"

using namespace leanbert;

namespace {

// ---- the check -----------------------------------------------------------------------------------

bool equals_plain_loops(const Kernels& kernels, Weights variant, size_t group, size_t rows, size_t k, size_t n) {
  Region region;
  allocate(region, Linear::bytes(variant, group, k, n));
  const Linear linear(kernels, variant, group, k, n, region);
  const Rows data(rows, k, n);
  linear.run(data.call(rows, 0, n / 32, Store::plain, nullptr));
  const Matmul& m = linear.int4.matmul;
  const size_t part = group ? group : k, groups = (k + part - 1) / part;
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < n; c++) {
      const uint8_t* row = data.in.data + r * data.in.stride;
      float sum = group ? static_cast<float>(-data.in.zero[r]) * linear.int4.compensation[c] : 0.f, found;
      for (size_t g = 0; g < groups; g++) {
        int32_t of_group = 0;
        for (size_t i = g * part; i < k && i < (g + 1) * part; i++)
          of_group += (row[i] - (group ? 0 : data.in.zero[r])) * 16 * linear.levels[i * n + c];
        const float whole = static_cast<float>(of_group);
        sum = group ? std::fma(whole, number_of(linear.scales[(c / 32 * groups + g) * 32 + c % 32]), sum) : whole;
      }
      if (group)
        found = sum * data.in.scale[r] + m.bias[c];
      else
        found = std::fma(sum * m.scale[c], data.in.scale[r], m.bias[c]);
      if (std::memcmp(&found, data.out + r * data.out_stride + c, sizeof found) != 0) {
        std::fprintf(stderr, "%zu rows, K %zu, N %zu, group %zu: row %zu, column %zu is %a; plain loops give %a\n",
                     rows, k, n, group, r, c, static_cast<double>(data.out[r * data.out_stride + c]),
                     static_cast<double>(found));
        return false;
      }
    }
  return true;
}

int check(const Kernels& kernels) {
  size_t compared = 0;
  for (const auto& v : variants) {
    if (v.weights == Weights::int8) continue;
    for (size_t rows = 1; rows <= 30; rows++) {
      // 4,096 inputs at most: a sum of 16 * level * u8 stays below 2^31
      for (const size_t k : {8, 32, 136, 384, 4096}) {
        if (rows > 3 && k == 4096) continue;
        if (!equals_plain_loops(kernels, v.weights, v.group, rows, k, 64)) return 1;
        compared++;
      }
    }
  }
  std::printf("%zu matmuls are equal to plain loops, bit by bit\n", compared);
  return 0;
}

// ---- the times -----------------------------------------------------------------------------------

// The linear layers of a BERT-base, one after another, with all rows in each.
class Layers {
 public:
  static constexpr size_t hidden = 768, inner = 3072, layers = 12, per_layer = 4;

  Layers(const Kernels& kernels, Weights variant, size_t group) {
    size_t bytes = 0;
    for (const auto& s : shapes) bytes += layers * Linear::bytes(variant, group, s.k, s.n);
    allocate(region_, bytes);  // one piece, so that all of it may have huge pages, as the engine's weights have
    for (size_t i = 0; i < layers; i++)
      for (const auto& s : shapes) {
        linears_.emplace_back(new Linear(kernels, variant, group, s.k, s.n, region_));
        linears_.back()->levels = {};
      }
  }

  // One forward of `threads` threads, of which this is number `index`.
  template <class Wait>
  void forward(const Rows& data, size_t rows, size_t threads, size_t index, const Wait& wait) const {
    for (size_t i = 0; i < linears_.size(); i++) {
      const Shape& s = shapes[i % per_layer];
      const size_t panels = s.n / 32, from = panels * index / threads, to = panels * (index + 1) / threads;
      const void* next = nullptr;
      if (i + 1 < linears_.size()) {
        const Matmul& after = linears_[i + 1]->int4.matmul;
        const size_t bytes = after.n / 32 * index / threads * 32 * after.k / linears_[i + 1]->per_byte();
        next = after.weight + bytes;
      }
      linears_[i]->run(data.call(rows, from, to, s.store, next));
      wait();
    }
  }

 private:
  struct Shape {
    size_t k, n;
    Store store;
  };
  static constexpr Shape shapes[] = {{hidden, 3 * hidden, Store::plain},
                                     {hidden, hidden, Store::residual},
                                     {hidden, inner, Store::activated},
                                     {inner, hidden, Store::residual}};
  Region region_;
  std::vector<std::unique_ptr<Linear>> linears_;
};
constexpr Layers::Shape Layers::shapes[];

// Threads that wait for each other by spinning within a run, as the engine's do, and sleep between runs.
class Team {
 public:
  explicit Team(size_t threads) : count_(threads) {
    for (size_t i = 1; i < threads; i++) workers_.emplace_back([this, i] { serve(i); });
  }
  ~Team() {
    wake(nullptr);
    for (auto& worker : workers_) worker.join();
  }
  // Seconds from where all threads are awake to where all are ready.
  double run(const std::function<void(size_t)>& task) {
    wake(&task);
    wait();
    const double start = now();
    task(0);
    wait();
    return now() - start;
  }
  void wait() {
    if (count_ == 1) return;
    const size_t phase = phase_.load();
    if (arrived_.fetch_add(1) + 1 == count_) {
      arrived_.store(0);
      phase_.fetch_add(1);
    } else {
      while (phase_.load(std::memory_order_acquire) == phase) platform::relax();
    }
  }

 private:
  void wake(const std::function<void(size_t)>* task) {
    const std::lock_guard<std::mutex> lock(mutex_);
    task_ = task;
    round_++;
    awake_.notify_all();
  }
  void serve(size_t index) {
    for (size_t seen = 0;; seen++) {
      const std::function<void(size_t)>* task;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        awake_.wait(lock, [&] { return round_ != seen; });
        task = task_;
      }
      if (!task) return;
      wait();
      (*task)(index);
      wait();
    }
  }
  const size_t count_;
  std::mutex mutex_;
  std::condition_variable awake_;
  const std::function<void(size_t)>* task_ = nullptr;
  size_t round_ = 0;
  std::atomic<size_t> arrived_{0}, phase_{0};
  std::vector<std::thread> workers_;
};

std::vector<uint32_t> numbers(const char* text) {
  std::vector<uint32_t> found;
  for (char* end; *text; text = *end ? end + 1 : end) {
    found.push_back(static_cast<uint32_t>(std::strtoul(text, &end, 10)));
    if (end == text || (*end && *end != ',') || found.back() == 0) {
      std::fprintf(stderr, "%s: expected numbers from 1, separated by commas\n", text);
      std::exit(2);
    }
  }
  return found;
}

void measure(const Kernels& kernels, const std::vector<uint32_t>& threads, const std::vector<uint32_t>& tokens,
             uint32_t turns) {
  std::vector<std::unique_ptr<Layers>> layers;
  for (const auto& v : variants) layers.emplace_back(new Layers(kernels, v.weights, v.group));
  const size_t most = *std::max_element(tokens.begin(), tokens.end());
  const Rows data(most, Layers::inner, Layers::inner);
  Region other;
  constexpr size_t other_words = (64 << 20) / 8;
  volatile uint64_t* swept = taken<uint64_t>(other, other_words);
  for (size_t i = 0; i < other_words; i++) swept[i] = i;
  const auto sweep = [&] {
    for (size_t i = 0; i < other_words; i += 8) static_cast<void>(swept[i]);
  };
  const char* comma = "";
  std::printf("[");
  for (const uint32_t count : threads) {
    Team team(count);
    for (const uint32_t rows : tokens) {
      std::vector<std::vector<double>> times(layers.size());
      for (uint32_t turn = 0; turn < turns + 2; turn++) {
        std::vector<double> found;
        for (const auto& each : layers) {
          const std::function<void(size_t)> task = [&](size_t index) {
            each->forward(data, rows, count, index, [&] { team.wait(); });
          };
          sweep();
          found.push_back(1e3 * team.run(task));
        }
        for (size_t i = 0; turn >= 2 && i < found.size(); i++) times[i].push_back(found[i]);  // two do not count
      }
      for (size_t i = 0; i < times.size(); i++) {
        std::printf("%s\n{\"threads\": %u, \"tokens\": %u, \"variant\": \"%s\", \"ms\": [", comma, count, rows,
                    variants[i].name);
        for (size_t j = 0; j < times[i].size(); j++) std::printf("%s%.4f", j ? ", " : "", times[i][j]);
        std::printf("]}");
        comma = ",";
      }
      std::fflush(stdout);
    }
  }
  std::printf("\n]\n");
}

}  // namespace

int main(int argc, char** argv) {
  bool checking = false;
  std::vector<uint32_t> threads = {1}, tokens = {8, 16, 32}, turns = {31};
  for (int i = 1; i < argc; i++) {
    const std::string a = argv[i];
    if (a == "--check")
      checking = true;
    else if (a == "--threads" && i + 1 < argc)
      threads = numbers(argv[++i]);
    else if (a == "--tokens" && i + 1 < argc)
      tokens = numbers(argv[++i]);
    else if (a == "--turns" && i + 1 < argc)
      turns = numbers(argv[++i]);
    else {
      std::fprintf(stderr,
                   "usage: native_int4 [--threads 1,2] [--tokens 8,16,32] [--turns 31]\n"
                   "       native_int4 --check\n");
      return 2;
    }
  }
  if (threads.empty() || tokens.empty() || turns.size() != 1) {
    std::fprintf(stderr, "--threads and --tokens take numbers separated by commas, --turns takes one\n");
    return 2;
  }
  const char* why_not = "";
  const Kernels* kernels = choose_kernels("avx512_vnni", &why_not);
  if (!kernels || std::strcmp(kernels->name, "avx512_vnni") != 0) {
    std::fprintf(stderr, "the prototype needs AVX-512 VNNI, which this CPU has not\n");
    return 3;
  }
  if (checking) return check(*kernels);
  measure(*kernels, threads, tokens, turns[0]);
  return 0;
}
