// Replays calls that were written to files, where there is no Python: on another CPU or system, or under an emulator.
//
//   native_replay ISA FILE...
//
// ISA is what LEANBERT_ISA takes, or "" for the path that the library chooses; the path that ran must be of that name.
// For every FILE one line with a hash of the answer's bits: "FILE: HASH". The call is run with
// 1, 2 and 4 threads, as a whole and text by text, and all answers must be the same. Exit status 0 if they were.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "case.h"
#include "leanbert_native.h"

namespace {

// Texts [from, to) of the case; false if the library refuses the call.
bool run(lb_encoder* encoder, const Case& c, size_t from, size_t to, std::vector<float>* out) {
  size_t first = 0, tokens = 0;
  for (size_t i = 0; i < from; i++) first += static_cast<size_t>(c.lengths[i]);
  for (size_t i = from; i < to; i++) tokens += static_cast<size_t>(c.lengths[i]);
  const size_t before = out->size(), floats = lb_output_size(encoder, to - from, tokens);
  out->resize(before + floats);
  char message[256];
  if (lb_run(encoder, to - from, &c.lengths[from], tokens, &c.ids[first], c.types.empty() ? nullptr : &c.types[first],
             out->data() + before, floats, message, sizeof message) == LB_OK)
    return true;
  std::fprintf(stderr, "%s\n", message);
  return false;
}

bool replay(const char* isa, const char* path) {
  Case c;
  if (!c.load(path)) {
    std::fprintf(stderr, "%s: not a whole case of this machine's lb_model_desc\n", path);
    return false;
  }
  std::vector<float> expected;
  for (const uint32_t threads : {1u, 2u, 4u}) {
    c.desc.threads = threads;
    lb_encoder* encoder;
    char message[256];
    if (lb_open(&c.desc, &encoder, message, sizeof message) != LB_OK) {
      std::fprintf(stderr, "%s: %s\n", path, message);
      return false;
    }
    std::vector<float> whole, parts;
    const std::string ran = lb_encoder_isa(encoder);
    bool good = !*isa || ran == isa;
    if (!good) std::fprintf(stderr, "this CPU runs %s, not %s\n", ran.c_str(), isa);
    good = good && run(encoder, c, 0, c.lengths.size(), &whole);
    for (size_t i = 0; good && i < c.lengths.size(); i++) good = run(encoder, c, i, i + 1, &parts);
    lb_close(encoder);
    if (!good) return false;
    if (expected.empty()) {
      expected = whole;
      std::fprintf(stderr, "%s ran %s\n", path, ran.c_str());
    }
    if (whole.size() != expected.size() || parts.size() != expected.size() ||
        std::memcmp(whole.data(), expected.data(), whole.size() * sizeof(float)) != 0 ||
        std::memcmp(parts.data(), expected.data(), parts.size() * sizeof(float)) != 0) {
      std::fprintf(stderr, "%s: other bits with %u threads, or text by text\n", path, threads);
      return false;
    }
  }
  std::printf("%s: %016llx\n", path, static_cast<unsigned long long>(hash(expected)));
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: native_replay ISA FILE...\n");
    return 2;
  }
#if defined(_WIN32)
  _putenv_s("LEANBERT_ISA", argv[1]);
#else
  setenv("LEANBERT_ISA", argv[1], 1);
#endif
  bool good = true;
  for (int i = 2; i < argc; i++) good = replay(argv[1], argv[i]) && good;
  return good ? 0 : 1;
}
