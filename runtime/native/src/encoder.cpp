// A call from its check to its answers: a slot of memory, a plan, the team or the caller alone.
//
// A call computes nothing before every number that it was given is checked. It allocates nothing once a slot has grown to
// what its calls need (BERT-base, two threads: 6.6 MB for a text of 512 tokens), and takes no lock: a busy team or slot
// is passed by. A call of 8 tokens to a model of one layer of 32 takes 1.6 us on one thread and 2.4 us on two (Zen 4),
// all of this included.
#include "encoder.h"

#include <xmmintrin.h>

#include <cstdlib>
#include <new>

#include "pass.h"

namespace leanbert {
namespace {

// Every float operation of a call runs with rounding to nearest and denormals flushed, whatever the caller's thread
// has set: the same bits everywhere, and no slow path for tiny numbers.
class FloatMode {
 public:
  FloatMode() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80 | 0x8040); }
  ~FloatMode() { _mm_setcsr(before_); }
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;

 private:
  const unsigned before_;
};

struct Job {
  const Model* model;
  const Plan* plan;
  const Workspace* workspace;
  Barrier* barrier;
  alignas(128) std::atomic<size_t> next{0};  // group to be taken
};

void work(void* context, size_t index) {
  const FloatMode mode;
  Job& job = *static_cast<Job*>(context);
  const Plan& plan = *job.plan;
  const Private& own = job.workspace->own[index];
  const Member alone{1, 0, nullptr};
  for (;;) {
    const size_t i = job.next.fetch_add(1, std::memory_order_relaxed);
    if (i >= plan.alone_count) break;
    compute_group(*job.model, plan, plan.groups[i], alone, own.alone, own);
  }
  if (plan.team_group.tokens)
    compute_group(*job.model, plan, plan.team_group, {plan.members, index, job.barrier}, job.workspace->team, own);
}

}  // namespace

Encoder* Encoder::create(const lb_model_desc& desc, const Kernels& kernels, Error& error, int* status) {
  void* memory = nullptr;
  if (!watch_forks() || posix_memalign(&memory, 128, sizeof(Encoder)) != 0) {
    *status = error.fail(LB_NO_MEMORY, "out of memory");
    return nullptr;
  }
  Encoder* encoder = new (memory) Encoder(desc.threads >= 1 && desc.threads <= max_team ? desc.threads : 1);
  *status = encoder->model_.open(desc, kernels, error);
  if (*status == LB_OK) return encoder;
  destroy(encoder);
  return nullptr;
}

void Encoder::destroy(Encoder* encoder) {
  if (!encoder) return;
  encoder->adopt_process();  // a forked child has no workers to join
  encoder->~Encoder();
  std::free(encoder);
}

// A fork copies this thread only: workers, and calls of other threads, exist in the parent alone. Their marks are
// cleared before the first call in the child, when no call of its own has a slot yet; the memory of a slot that was busy
// is abandoned, as its caller may have been about to replace it.
// `generation_` is even: whose marks these are; or one more while a thread of that generation clears them. A child that
// was forked in that very moment finds an odd number that is not its own, and clears them itself.
void Encoder::adopt_process() {
  const uint64_t mine = 2 * fork_generation();
  uint64_t found = generation_.load(std::memory_order_acquire);
  while (found != mine) {
    if (found != mine + 1 && generation_.compare_exchange_strong(found, mine + 1, std::memory_order_acq_rel)) {
      team_.forget();
      under_way_.store(0, std::memory_order_relaxed);
      team_busy_.store(false, std::memory_order_relaxed);
      for (Slot& slot : slots_) {
        if (!slot.busy.load(std::memory_order_relaxed)) continue;
        slot.lists.abandon();
        slot.memory.abandon();
        slot.busy.store(false, std::memory_order_relaxed);
      }
      generation_.store(mine, std::memory_order_release);
      return;
    }
    relax();
    found = generation_.load(std::memory_order_acquire);
  }
}

int Encoder::check(const Call& call, Error& error) const {
  const Model& m = model_;
  if (call.n_sequences && (!call.lengths || !call.ids || !call.out))
    return error.fail(LB_INVALID_ARGUMENT, "lengths, input_ids or out is NULL");
  if (call.n_sequences > (uint64_t{1} << 40) || call.n_tokens > (uint64_t{1} << 40))
    return error.fail(LB_INVALID_ARGUMENT, "too many sequences or tokens");
  uint64_t sum = 0;
  for (uint64_t i = 0; i < call.n_sequences; i++) {
    const int32_t length = call.lengths[i];
    if (length < 1 || static_cast<uint64_t>(length) > m.longest)
      return error.fail(LB_INVALID_ARGUMENT, "lengths[%llu] is %d: must be 1 to %zu",
                        static_cast<unsigned long long>(i), length, m.longest);
    sum += static_cast<uint64_t>(length);
  }
  if (sum != call.n_tokens)
    return error.fail(LB_INVALID_ARGUMENT, "n_tokens is %llu, the lengths add up to %llu",
                      static_cast<unsigned long long>(call.n_tokens), static_cast<unsigned long long>(sum));
  const uint64_t floats = m.output_rows(call.n_sequences, call.n_tokens) * m.output_width();
  if (call.out_floats != floats)
    return error.fail(LB_INVALID_ARGUMENT, "out has %llu floats, %llu are needed",
                      static_cast<unsigned long long>(call.out_floats), static_cast<unsigned long long>(floats));
  for (uint64_t i = 0; i < call.n_tokens; i++) {
    if (call.ids[i] < 0 || static_cast<uint64_t>(call.ids[i]) >= m.vocabulary)
      return error.fail(LB_INVALID_ARGUMENT, "input_ids[%llu] is %d: must be 0 to %zu",
                        static_cast<unsigned long long>(i), call.ids[i], m.vocabulary - 1);
  }
  if (call.types) {
    const uint64_t types = m.types ? m.types : 1;
    for (uint64_t i = 0; i < call.n_tokens; i++)
      if (call.types[i] < 0 || static_cast<uint64_t>(call.types[i]) >= types)
        return error.fail(LB_INVALID_ARGUMENT, "token_type_ids[%llu] is %d: must be 0 to %llu",
                          static_cast<unsigned long long>(i), call.types[i],
                          static_cast<unsigned long long>(types - 1));
  }
  return LB_OK;
}

Encoder::Slot* Encoder::take_slot() {
  for (Slot& slot : slots_)
    if (!slot.busy.load(std::memory_order_relaxed) && !slot.busy.exchange(true, std::memory_order_acquire))
      return &slot;
  return nullptr;
}

int Encoder::compute(const Call& call, bool team, Slot& slot, Error& error) {
  const size_t n = call.n_sequences, sequence_bytes = Region::piece<Sequence>(n);
  const size_t list_bytes = sequence_bytes + Region::piece<Group>(n);
  if (list_bytes > slot.lists.bytes() && !slot.lists.allocate(list_bytes))
    return error.fail(LB_NO_MEMORY, "out of memory for %zu sequences", n);
  slot.lists.rewind();
  Plan plan{};
  plan.call = &call;
  plan.sequences = slot.lists.take<Sequence>(n);
  plan.groups = slot.lists.take<Group>(n);
  list_sequences(plan);
  for (;;) {
    plan.members = team ? team_.size() : 1;
    make_plan(plan);
    const size_t bytes = workspace_bytes(model_, plan);
    if (bytes > slot.memory.bytes() && !slot.memory.allocate(bytes))
      return error.fail(LB_NO_MEMORY, "out of memory for %zu bytes of working memory", bytes);
    Workspace workspace;
    make_workspace(model_, plan, slot.memory, &workspace);
    Job job{&model_, &plan, &workspace, &team_.barrier, {}};
    if (!team) {
      work(&job, 0);
      return LB_OK;
    }
    if (team_.run(work, &job)) return LB_OK;
    team = false;  // no threads to be had: compute alone
  }
}

int Encoder::run(const Call& call, Error& error) {
  if (int status = check(call, error)) return status;
  if (call.n_sequences == 0) return LB_OK;
  adopt_process();
  // The team serves a call that is alone; two calls at once run best on one thread each.
  const bool only = under_way_.fetch_add(1, std::memory_order_acq_rel) == 0;
  const bool team = only && team_.size() > 1 && !team_busy_.exchange(true, std::memory_order_acquire);
  Slot spare;  // for the 33rd caller at once
  Slot* slot = take_slot();
  const int status = compute(call, team, slot ? *slot : spare, error);
  if (slot) slot->busy.store(false, std::memory_order_release);
  if (team) team_busy_.store(false, std::memory_order_release);
  under_way_.fetch_sub(1, std::memory_order_acq_rel);
  return status;
}

}  // namespace leanbert
