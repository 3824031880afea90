// native_bench --stages. A call's time is that of the faster half of the calls that fit into the given seconds: their mean,
// for the whole and for each stage of each thread, so that the stages add up to the call. What a thread does not count
// is waiting: until it wakes, at barriers, until the others are done.
//
// With --slow the time on equal threads is measured first. What the speeds allow is that time, times the threads, through
// the sum of their speeds.
//
// The last column is an ideal schedule of the same kernels: every stage divided evenly among the threads, nobody waits.
//   matmuls         at the int8 roof, measured in turns with the calls (roof.h), or as long as reading their weights
//                   takes, where that is longer
//   attention       at half the int8 roof, which is that of its 16-bit operands; softmax is not counted
//   row operations  as long as they take on a row in the first-level cache
#include "stages.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstring>
#include <functional>

#include "roof.h"
#include "schedule/stages.h"

using namespace leanbert;

namespace {

constexpr size_t stages = static_cast<size_t>(Stage::count);
constexpr const char* names[stages] = {
    "check, schedule, copies", "embed",          "Q, K, V", "attention", "quantize", "output matmul",
    "norm, quantize",          "up, activation", "down",    "head",      "wait"};

struct Reader {
  const uint64_t* data;
  size_t words;
  uint64_t sum;
};

void* read_all(void* argument) {
  Reader& r = *static_cast<Reader*>(argument);
  uint64_t sums[8] = {};
  for (size_t i = 0; i + 64 <= r.words; i += 64)  // one word of each cache line
    for (size_t j = 0; j < 8; j++) sums[j] += r.data[i + 8 * j];
  for (const uint64_t s : sums) r.sum += s;
  return nullptr;
}

// Bytes per second that `threads` threads read together, each its own part of `bytes` over and over.
double read_rate(size_t bytes, uint32_t threads) {
  constexpr size_t huge = 2 << 20;
  bytes = (bytes + huge - 1) / huge * huge;
  void* memory = nullptr;
  if (posix_memalign(&memory, huge, bytes) != 0) std::abort();
#if defined(MADV_HUGEPAGE)
  madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  std::memset(memory, 1, bytes);
  const size_t words = bytes / 8 / threads;
  double best = 1e300;
  for (int round = 0; round < 5; round++) {
    std::vector<Reader> readers;
    std::vector<pthread_t> ids(threads);
    for (uint32_t t = 0; t < threads; t++) readers.push_back({static_cast<uint64_t*>(memory) + t * words, words, 0});
    const double start = now();
    for (uint32_t t = 1; t < threads; t++)
      if (pthread_create(&ids[t], nullptr, read_all, &readers[t]) != 0) std::abort();
    read_all(&readers[0]);
    for (uint32_t t = 1; t < threads; t++) pthread_join(ids[t], nullptr);
    best = std::min(best, now() - start);
  }
  std::free(memory);
  return static_cast<double>(bytes) / best;
}

double least_seconds(const std::function<void()>& f) {
  double best = 1e300;
  for (int round = 0; round < 9; round++) {
    const double start = now();
    for (int i = 0; i < 200; i++) f();
    best = std::min(best, (now() - start) / 200);
  }
  return best;
}

// Seconds of each row operation on one row.
struct RowTimes {
  double embed, norm, quantize, quantize_inner;

  RowTimes(const Kernels& kernels, const ModelShape& m) {
    const size_t widest = std::max(m.hidden, m.intermediate);
    std::vector<float> x(widest), ones(widest, 1.f), ranges(range_floats), space(2 * widest + 64);
    for (size_t i = 0; i < widest; i++) x[i] = static_cast<float>(i % 37) - 18.f;
    for (size_t i = 0; i < range_floats; i++) ranges[i] = i < range_floats / 2 ? -18.f : 18.f;
    std::vector<int8_t> word(m.hidden, 3);
    float scale;
    int32_t zero;
    QuantizedRows row;
    row.data = reinterpret_cast<uint8_t*>((reinterpret_cast<uintptr_t>(space.data()) + 63) / 64 * 64);
    row.scale = &scale;
    row.zero = &zero;
    std::vector<float> sum(m.hidden);
    norm = least_seconds([&] {
      kernels.layer_norm_quantize(x.data(), m.hidden, ones.data(), ones.data(), 1e-12f, ones.data(), row, 0);
    });
    quantize = least_seconds([&] { kernels.quantize(x.data(), m.hidden, nullptr, row, 0); });
    quantize_inner =
        least_seconds([&] { kernels.quantize_ranged(x.data(), m.intermediate, ranges.data(), 0, 1, row, 0); });
    embed = norm + least_seconds([&] {
              kernels.embed(sum.data(), m.hidden, word.data(), true, .1f, ones.data(), false, 1.f, nullptr);
            });
  }
};

struct Sample {
  double seconds;
  double roof;  // of all threads at once; after the call, or some calls later
  double of[max_team][stages];
};

Sample mean_of_faster_half(std::vector<Sample>& samples, uint32_t threads) {
  std::sort(samples.begin(), samples.end(), [](const Sample& a, const Sample& b) { return a.seconds < b.seconds; });
  const size_t half = (samples.size() + 1) / 2;
  Sample mean{};
  for (size_t i = 0; i < half; i++) {
    mean.seconds += samples[i].seconds / static_cast<double>(half);
    mean.roof += samples[i].roof / static_cast<double>(half);
    for (uint32_t t = 0; t < threads; t++)
      for (size_t s = 0; s < stages; s++) mean.of[t][s] += samples[i].of[t][s] / static_cast<double>(half);
  }
  return mean;
}

double seconds_per_tick() {
  const double start = now();
  const uint64_t ticks = platform::ticks_now();
  while (now() < start + .05) {
  }
  return (now() - start) / static_cast<double>(platform::ticks_now() - ticks);
}

Sample measure(const Kernels& kernels, Caller& caller, double seconds, uint32_t threads, double tick) {
  std::vector<Sample> samples;
  caller.run();
  const std::vector<float> expected = caller.answers();
  count_stages = true;
  for (int i = 0; i < 5; i++) {  // the engine remembers the speeds of four calls
    begin_stages(0);
    caller.run();
  }
  const auto call = [&] {
    for (uint32_t t = 0; t < threads; t++) std::fill_n(stage_times[t].ticks, stages, uint64_t{0});
    begin_stages(0);
    const double start = now();
    caller.run();
    return now() - start;
  };
  const std::vector<double> roofs = in_turns_with_roof(
      kernels, threads, seconds, 4, [&] { call(); },
      [&] {
        Sample sample{call(), 0, {}};
        for (uint32_t t = 0; t < threads; t++) {
          double all = 0;
          for (size_t s = 0; s < stages; s++)
            all += sample.of[t][s] = static_cast<double>(stage_times[t].ticks[s]) * tick;
          sample.of[t][static_cast<size_t>(Stage::wait)] += sample.seconds - all;
        }
        samples.push_back(sample);
      });
  for (size_t i = 0; i < samples.size(); i++) samples[i].roof = roofs[i];
  count_stages = false;
  if (std::memcmp(expected.data(), caller.answers().data(), expected.size() * sizeof(float)) != 0) {
    std::fprintf(stderr, "the answers of the first and the last call differ\n");
    std::exit(1);
  }
  return mean_of_faster_half(samples, threads);
}

}  // namespace

void bench_stages(const Kernels& kernels, double seconds, const std::vector<uint32_t>& threads, const Choice& choice) {
  setenv("LEANBERT_ISA", kernels.name, 1);
  const double tick = seconds_per_tick();
  for (const auto& m : model_shapes) {
    if (!choice.has(m)) continue;
    RandomModel model(m.layers, m.hidden, m.heads, m.intermediate, 30522, m.family);
    if (choice.every_token) model.desc.head = LB_HEAD_NONE;
    const RowTimes rows(kernels, m);
    const double h = m.hidden, f = m.intermediate, gates = model.desc.gated ? 2 : 1;
    const double weights = m.layers * (4 * h * h + (1 + gates) * h * f);
    for (const uint32_t count : threads) {
      const double rate = read_rate(static_cast<size_t>(weights), count);
      Caller caller(model, count);
      for (const auto& s : choice.calls()) {
        caller.prepare(s);
        const double equal = choice.slow > 1 ? measure(kernels, caller, seconds, count, tick).seconds : 0;
        stage_times[count - 1].slowness = choice.slow;
        const Sample sample = measure(kernels, caller, seconds, count, tick);
        stage_times[count - 1].slowness = 1;
        const Work work(m, s, model.desc.gated, choice.every_token);
        const auto matmul = [&](double operations, double bytes) {
          return std::max(operations / sample.roof, bytes / rate);
        };
        double ideal[stages] = {};
        const auto set = [&](Stage stage, double time) { ideal[static_cast<size_t>(stage)] = time; };
        set(Stage::embed, work.tokens * rows.embed / count);
        set(Stage::qkv, matmul(work.qkv, m.layers * 3 * h * h));
        set(Stage::attention, 2 * work.attention / sample.roof);
        set(Stage::quantize, work.rows * (rows.quantize + rows.quantize_inner) / count);
        set(Stage::output, matmul(work.output, m.layers * h * h));
        set(Stage::norm, 2 * work.rows * rows.norm / count);
        set(Stage::up, matmul(work.up, gates * m.layers * h * f));
        set(Stage::down, matmul(work.down, m.layers * h * f));
        set(Stage::head, matmul(work.head, work.head ? h * h : 0));
        double all = 0;
        for (const double time : ideal) all += time;
        std::printf("\n%s %s, %s, roof %.0f GOP/s, weights (%.0f MB) at %.0f GB/s", m.name, s.name().c_str(),
                    kernels.name, sample.roof * 1e-9, weights * 1e-6, rate * 1e-9);
        if (choice.slow > 1) {
          const double allowed = equal * count / (count - 1 + 1 / choice.slow);
          std::printf(", the last thread %.1f times slower: %.3f ms, %.2f of the %.3f ms that the speeds allow",
                      choice.slow, sample.seconds * 1e3, sample.seconds / allowed, allowed * 1e3);
        }
        std::printf("\n| stage |");
        for (uint32_t t = 0; t < count; t++) std::printf(" thread %u, ms |", t);
        std::printf(" share of the call | ideal, ms |\n|---|");
        for (uint32_t t = 0; t < count + 2; t++) std::printf("--:|");
        std::printf("\n");
        for (size_t i = 0; i < stages; i++) {
          double sum = 0;
          std::printf("| %s |", names[i]);
          for (uint32_t t = 0; t < count; t++) {
            std::printf(" %.3f |", sample.of[t][i] * 1e3);
            sum += sample.of[t][i];
          }
          std::printf(" %.1f%% | %.3f |\n", 100 * sum / count / sample.seconds, ideal[i] * 1e3);
        }
        std::printf("| the call |");
        for (uint32_t t = 0; t < count; t++) std::printf(" %.3f |", sample.seconds * 1e3);
        std::printf(" 100.0%% | %.3f |\n", all * 1e3);
        std::fflush(stdout);
      }
    }
  }
}
