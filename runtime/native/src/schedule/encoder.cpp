// A call from its check to its answers: a slot of memory, a schedule, the team or the caller alone.
//
// A call computes nothing before every number that it was given is checked. It allocates nothing once its slot has grown
// to what such calls need (BERT-base, two threads: 6.6 MB for a text of 512 tokens). It takes no lock: where the team or
// a slot is busy, the call does without. A call of 8 tokens to a model with one layer of width 32 takes 1.6 us on one
// thread and 2.4 us on two (Zen 4), all of this included.
#include "schedule/encoder.h"

#include <new>

#include "schedule/forward.h"

namespace leanbert {
namespace {

struct Job {
  const Model* model;
  const Schedule* schedule;
  const Workspace* workspace;
  Team* team;
  alignas(128) std::atomic<size_t> next{0};  // the group that the next free thread takes
};

void work(void* context, size_t index) {
  const platform::FloatMode mode;
  begin_stages(index);
  Job& job = *static_cast<Job*>(context);
  const Schedule& schedule = *job.schedule;
  const Private& own = job.workspace->own[index];
  const Member alone{1, 0, nullptr, nullptr};
  Speeds::Work done[Speeds::kinds];
  const auto fast = [&] { return Speeds::now(schedule.split, index, done[schedule.kind]) >= 1; };
  for (uint32_t taken = 0; taken < schedule.most[index] || fast(); taken++) {
    const size_t i = job.next.fetch_add(1, std::memory_order_relaxed);
    if (i >= schedule.alone_count) break;
    compute_group(*job.model, schedule, schedule.groups[i], alone, own.alone, own, done);
  }
  if (schedule.team_group.tokens)
    compute_group(*job.model, schedule, schedule.team_group, {schedule.members, index, job.team, &schedule.split},
                  job.workspace->team, own, done);
  if (schedule.members > 1) job.team->speeds.note(schedule.kind, index, done[schedule.kind]);
  enter(Stage::wait);
}

}  // namespace

Encoder* Encoder::create(const lb_model_desc& desc, const Kernels& kernels, Error& error, int* status,
                         const FileCheck* check) {
  void* memory = platform::watch_forks() ? platform::allocate_aligned(sizeof(Encoder), alignof(Encoder)) : nullptr;
  if (!memory) {
    *status = error.fail(LB_NO_MEMORY, "out of memory");
    return nullptr;
  }
  Encoder* encoder = new (memory) Encoder(desc.threads >= 1 && desc.threads <= max_team ? desc.threads : 1);
  *status = encoder->model_.open(desc, kernels, check, error);
  if (*status == LB_OK) return encoder;
  destroy(encoder);
  return nullptr;
}

void Encoder::destroy(Encoder* encoder) {
  if (!encoder) return;
  encoder->adopt_process();  // a forked child has no workers to join
  encoder->~Encoder();
  platform::free_aligned(encoder);
}

// A fork copies the calling thread only: the workers, and the calls of other threads, go on in the parent alone, but the
// child has a copy of what they had marked as busy. The child clears these marks before its first call, when no call of
// its own has a slot yet. The memory of a slot that was busy is abandoned, because its caller may have been about to
// replace it.
//
// `generation_` says which process the marks belong to: twice its fork generation, and one more while one of its threads
// clears them. A child that is forked in that very moment finds an odd number that is not its own, and clears the marks
// itself.
void Encoder::adopt_process() {
  const uint64_t mine = 2 * platform::fork_generation();
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
    platform::relax();
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
  Schedule schedule{};
  schedule.call = &call;
  schedule.sequences = slot.lists.take<Sequence>(n);
  schedule.groups = slot.lists.take<Group>(n);
  list_sequences(schedule);
  for (;;) {
    schedule.members = team ? team_.size() : 1;
    schedule.kind = by_columns(call.n_tokens, schedule.members) ? Speeds::columns : Speeds::rows;
    schedule.split = team ? team_.speeds.split(schedule.kind, schedule.members) : Split();
    make_schedule(schedule);
    const size_t bytes = workspace_bytes(model_, schedule);
    if (bytes > slot.memory.bytes() && !slot.memory.allocate(bytes))
      return error.fail(LB_NO_MEMORY, "out of memory for %zu bytes of working memory", bytes);
    Workspace workspace;
    make_workspace(model_, schedule, slot.memory, &workspace);
    Job job{&model_, &schedule, &workspace, &team_, {}};
    if (!team) {
      work(&job, 0);
      return LB_OK;
    }
    if (team_.run(work, &job)) return LB_OK;
    team = false;  // the system starts no more threads: this thread computes alone
  }
}

int Encoder::run(const Call& call, Error& error) {
  if (int status = check(call, error)) return status;
  if (call.n_sequences == 0) return LB_OK;
  adopt_process();
  // The team computes for a call that is alone. Of two calls at the same time each runs best on its own thread.
  const bool only = under_way_.fetch_add(1, std::memory_order_acq_rel) == 0;
  const bool team = only && team_.size() > 1 && !team_busy_.exchange(true, std::memory_order_acquire);
  Slot spare;  // memory for this call alone, where all 32 slots are busy
  Slot* slot = take_slot();
  const int status = compute(call, team, slot ? *slot : spare, error);
  if (slot) slot->busy.store(false, std::memory_order_release);
  if (team) team_busy_.store(false, std::memory_order_release);
  under_way_.fetch_sub(1, std::memory_order_acq_rel);
  return status;
}

}  // namespace leanbert
