// The C library under many threads, for the thread sanitizer: exit status 0 if every answer was right.
//
//   native_library_stress CALLS BUNDLE...   (bundles: python -m tests.native.c_library.bundles FOLDER)
//
// Of each bundle two models are opened, of one thread and of three. Four callers ask both at once, each CALLS times, about
// texts that one call alone answered before; meanwhile another thread opens, asks and closes models of its own. Every
// answer has to have the bits of the first one.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "leanbert.h"

namespace {

using Bytes = std::vector<std::uint8_t>;

const std::vector<std::string>& texts() {
  static const std::vector<std::string> all = [] {
    std::vector<std::string> some{"", "Operating profit rose to EUR 13.1 mn.",
                                  "e\xcc\x81t\xc3\xa9 \xe4\xb8\xad\xe6\x96\x87", "\xff broken \xe2\x80"};
    std::string longer;
    for (int i = 0; i < 60; i++) longer += "the bank said sales fell ";
    some.push_back(longer);
    return some;
  }();
  return all;
}

template <class Number>
void append(Bytes& to, const Number* numbers, std::size_t count) {
  const std::size_t before = to.size();
  to.resize(before + count * sizeof(Number));
  if (count) std::memcpy(to.data() + before, numbers, count * sizeof(Number));
}

[[noreturn]] void fail(const char* what, const char* message) {
  std::fprintf(stderr, "native_library_stress: %s: %s\n", what, message);
  std::exit(1);
}

leanbert_model* open(const char* bundle, std::uint32_t threads) {
  leanbert_model* model = nullptr;
  char message[LEANBERT_MESSAGE_SIZE];
  const leanbert_options options{sizeof options, threads};
  if (leanbert_open(bundle, &options, &model, message, sizeof message) != LEANBERT_OK) fail(bundle, message);
  return model;
}

// What a model says of the texts from `first` on, whichever task it has.
Bytes ask(const leanbert_model* model, std::size_t first) {
  std::vector<const char*> pointers;
  std::vector<std::size_t> sizes;
  for (std::size_t i = first; i < texts().size(); i++) {
    pointers.push_back(texts()[i].data());
    sizes.push_back(texts()[i].size());
  }
  const std::size_t count = pointers.size();
  std::vector<std::uint8_t> cut(count);
  char message[LEANBERT_MESSAGE_SIZE];
  Bytes answer;
  const std::string task = leanbert_task(model);
  if (task == "text-classification") {
    std::vector<float> scores(count * leanbert_label_count(model));
    if (leanbert_classify(model, nullptr, count, pointers.data(), sizes.data(), scores.data(), scores.size(),
                          cut.data(), message, sizeof message) != LEANBERT_OK)
      fail("classify", message);
    append(answer, scores.data(), scores.size());
  } else if (task == "token-classification") {
    leanbert_tags* tags = nullptr;
    if (leanbert_tag(model, nullptr, count, pointers.data(), sizes.data(), &tags, cut.data(), message,
                     sizeof message) != LEANBERT_OK)
      fail("tag", message);
    for (std::size_t text = 0; text < count; text++)
      for (std::size_t i = 0; i < leanbert_tags_count(tags, text); i++) {
        leanbert_entity entity{};
        entity.struct_size = sizeof entity;
        if (leanbert_tags_get(tags, text, i, &entity) != LEANBERT_OK) fail("tags_get", "an entity that is none");
        append(answer, entity.label, std::strlen(entity.label));
        append(answer, &entity.score, 1);
        append(answer, &entity.begin, 1);
        append(answer, &entity.end, 1);
      }
    leanbert_tags_free(tags);
  } else {
    std::vector<float> vectors(count * leanbert_vector_size(model, nullptr));
    if (leanbert_embed(model, nullptr, count, pointers.data(), sizes.data(), vectors.data(), vectors.size(), cut.data(),
                       message, sizeof message) != LEANBERT_OK)
      fail("embed", message);
    append(answer, vectors.data(), vectors.size());
  }
  append(answer, cut.data(), cut.size());
  return answer;
}

bool right(const char* bundle, int calls) {
  leanbert_model* const models[] = {open(bundle, 1), open(bundle, 3)};
  std::vector<Bytes> expected;
  for (std::size_t first = 0; first < texts().size(); first++) expected.push_back(ask(models[0], first));
  std::atomic<int> wrong{0};
  const auto call = [&](std::size_t caller, int i) {
    const std::size_t number = caller + static_cast<std::size_t>(i), first = number % texts().size();
    if (ask(models[number % 2], first) != expected[first]) wrong++;
  };
  std::vector<std::thread> threads;
  for (std::size_t caller = 0; caller < 4; caller++)
    threads.emplace_back([&, caller] {
      for (int i = 0; i < calls; i++) call(caller, i);
    });
  threads.emplace_back([&] {
    for (int i = 0; i < (calls + 3) / 4; i++) {
      leanbert_model* own = open(bundle, 2);
      if (ask(own, 0) != expected[0]) wrong++;
      leanbert_close(own);
    }
  });
  for (std::thread& thread : threads) thread.join();
  for (leanbert_model* model : models) leanbert_close(model);
  if (wrong) std::fprintf(stderr, "%s: %d answers differ\n", bundle, wrong.load());
  return wrong == 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: native_library_stress CALLS BUNDLE...\n");
    return 2;
  }
  bool good = true;
  for (int i = 2; i < argc; i++) good = right(argv[i], std::atoi(argv[1])) && good;
  return good ? 0 : 1;
}
