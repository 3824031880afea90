// Hostile bundles and hostile texts for the C library: no call may read out of bounds, hang, throw or lie.
//
//   native_library_fuzz SECONDS SEED WORK_FOLDER BUNDLE...   (bundles: python -m tests.native.c_library.bundles FOLDER)
//
// Each round copies one of the (tiny) bundles into the work folder with some of its files changed: bytes, numbers, words
// of JSON, pieces of other files. Most rounds then seal the bundle again, as an attacker could, so that the change gets
// past the hashes and into the parsers and the engine. Where the bundle opens, it answers texts: random bytes, broken
// UTF-8, special tokens, pieces of the bundle's own files, a long text now and then. Needs ASan and UBSan to tell
// anything (tests/sanitize.sh). LEANBERT_FUZZ_ROUND repeats one round.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "leanbert.h"
#include "library/sha256.h"

namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

constexpr const char* manifest = "leanbert.json";

// Numbers from the input, and from a generator once it is used up.
class Input {
 public:
  Input(const std::uint8_t* bytes, std::size_t size) : bytes_(bytes), left_(size) {
    for (std::size_t i = 0; i < size; i++) state_ = (state_ ^ bytes[i]) * 1099511628211u;
  }
  std::uint64_t word() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    if (left_) {
      state_ += *bytes_++;
      left_--;
    }
    return state_ >> 8;
  }
  std::size_t below(std::size_t n) { return n ? static_cast<std::size_t>(word() % n) : 0; }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  const std::uint8_t* bytes_;
  std::size_t left_;
  std::uint64_t state_ = 14695981039346656037u;
};

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

Files read_bundle(const fs::path& folder) {
  Files files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder).generic_string()] = read(entry.path());
  return files;
}

std::string digest(std::string_view data) {
  leanbert::library::Sha256 hash;
  hash.update(data.data(), data.size());
  return hash.hex();
}

void change(std::string& data, const Files& files, Input& in) {
  static const char* const words[] = {"null",
                                      "true",
                                      "false",
                                      "-1",
                                      "0",
                                      "1",
                                      "1e999",
                                      "-0.0",
                                      "4294967296",
                                      "18446744073709551615",
                                      "99999999999999999999",
                                      "1e-320",
                                      "[]",
                                      "{}",
                                      "\"\"",
                                      "\"\\ud800\"",
                                      "\"\\u0000\"",
                                      "[[[[",
                                      "}}",
                                      "\\",
                                      "\"",
                                      "\xff",
                                      "\xf0\x9f",
                                      "##",
                                      "[UNK]",
                                      "[CLS]",
                                      "../",
                                      "/",
                                      "model.onnx.data",
                                      "int8",
                                      "float32",
                                      "none",
                                      "mean",
                                      "every_token",
                                      "first_token",
                                      "BertNormalizer",
                                      "Sequence",
                                      "WordPiece",
                                      "Lowercase",
                                      "NFKC",
                                      "StripAccents",
                                      "TemplateProcessing",
                                      "Replace",
                                      "Whitespace",
                                      "Dense",
                                      "Normalize",
                                      "NaN",
                                      ":",
                                      ",",
                                      " "};
  const std::size_t at = in.below(data.size() + 1), length = in.below(1 + std::min<std::size_t>(data.size() - at, 40));
  switch (in.below(8)) {
    case 0:
      if (at < data.size()) data[at] = static_cast<char>(data[at] ^ 1 << in.below(8));
      break;
    case 1: data.erase(at, length); break;
    case 2: data.insert(at, data.substr(in.below(data.size() + 1), in.below(60))); break;
    case 3: data.replace(at, length, words[in.below(std::size(words))]); break;
    case 4: {  // a value, or a word in quotes, becomes another
      std::size_t from = data.find_first_of("0123456789\"tfn[{", at);
      if (from == std::string::npos) break;
      std::size_t to = data.find_first_of(",}]\n", from);
      if (to == std::string::npos) to = data.size();
      data.replace(from, to - from, words[in.below(std::size(words))]);
      break;
    }
    case 5: {  // a number moves a little, or far
      const std::size_t from = data.find_first_of("0123456789", at);
      if (from == std::string::npos) break;
      std::size_t to = data.find_first_not_of("0123456789", from);
      if (to == std::string::npos) to = data.size();
      const std::uint64_t number = std::strtoull(data.substr(from, to - from).c_str(), nullptr, 10);
      const std::uint64_t moved = in.one_in(2) ? number + in.below(9) - 4 : number << in.below(40);
      data.replace(from, to - from, std::to_string(moved));
      break;
    }
    case 6: {  // a piece of another file
      const std::string& other = std::next(files.begin(), static_cast<std::ptrdiff_t>(in.below(files.size())))->second;
      data.insert(at, other.substr(in.below(other.size() + 1), in.below(200)));
      break;
    }
    default: data.resize(at);
  }
}

// The manifest says what the other files now are, and its own seal holds.
void seal(Files& files, const Files& before) {
  std::string& text = files[manifest];
  for (const auto& [name, data] : files) {
    const auto old = before.find(name);
    if (name == manifest || old == before.end() || old->second == data) continue;
    const std::size_t at = text.find(digest(old->second));
    if (at == std::string::npos) continue;
    text.replace(at, 64, digest(data));
    const std::size_t size = text.find("\"size\": ", at);
    if (size == std::string::npos) continue;
    const std::size_t end = text.find_first_not_of("0123456789", size + 8);
    text.replace(size + 8, end - size - 8, std::to_string(data.size()));
  }
  const std::size_t at = text.find("\"sha256\": \"");
  if (at == std::string::npos || at + 11 + 64 > text.size()) return;
  text.replace(at + 11, 64, std::string(64, '0'));
  text.replace(at + 11, 64, digest(text));
}

std::string hostile_text(const Files& files, Input& in) {
  static const char* const pieces[] = {"Operating profit rose ",
                                       "[CLS]",
                                       "[SEP][MASK]",
                                       "##ing",
                                       "\xed\xa0\x80",
                                       "\xff\xfe",
                                       "e\xcc\x81",
                                       "\xe4\xb8\xad",
                                       "\xf0\x9f\x91\xa9\xe2\x80\x8d",
                                       "\xc2\xa0",
                                       "\xef\xbf\xbd",
                                       "\xf4\x90\x80\x80",
                                       "\xe2",
                                       "\xcc\x81\xcc\x81\xcc\x81",
                                       "\n",
                                       "\t",
                                       "-",
                                       "1,000.5"};
  std::string text;
  const std::size_t parts = in.one_in(50) ? 5000 : in.below(60);
  for (std::size_t i = 0; i < parts; i++) {
    if (in.one_in(4))
      text += static_cast<char>(in.below(256));
    else
      text += pieces[in.below(std::size(pieces))];
  }
  if (in.one_in(4)) {
    const std::string& file = std::next(files.begin(), static_cast<std::ptrdiff_t>(in.below(files.size())))->second;
    text += file.substr(in.below(file.size() + 1), in.below(2000));
  }
  if (in.one_in(20)) text += std::string(in.below(30000), "a1# \xcc"[in.below(5)]);
  return text;
}

void check(bool good, const char* what, const char* message) {
  if (good) return;
  std::fprintf(stderr, "%s: %s\n", what, message);
  std::abort();
}

// A line, and none without an error.
void check_line(int status, const char* message) {
  const std::size_t length = std::strlen(message);
  check((status == LEANBERT_OK) == (length == 0), "status and message disagree", message);
  for (std::size_t i = 0; i < length; i++)
    check(static_cast<unsigned char>(message[i]) >= 0x20 && message[i] != 0x7F, "a control character in a line",
          message);
}

void ask(const leanbert_model* model, const Files& files, Input& in) {
  const std::size_t count = in.below(5);
  std::vector<std::string> texts;
  std::vector<char*> owned;  // without a NUL behind them, so that ASan sees a byte too many
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < count; i++) {
    const std::string text = hostile_text(files, in);
    owned.push_back(static_cast<char*>(std::malloc(text.size() + !text.size())));
    std::memcpy(owned.back(), text.data(), text.size());
    sizes.push_back(text.size());
  }
  char message[200];
  std::vector<std::uint8_t> cut(count);
  const std::size_t labels = leanbert_label_count(model);
  const leanbert_classify_options function{sizeof function, static_cast<std::uint32_t>(in.below(5))};
  std::vector<float> scores(count * labels);
  int status = leanbert_classify(model, &function, count, owned.data(), sizes.data(), scores.data(), scores.size(),
                                 cut.data(), message, sizeof message);
  check_line(status, message);
  leanbert_tags* tags = nullptr;
  const leanbert_tag_options aggregation{sizeof aggregation, static_cast<std::uint32_t>(in.below(6))};
  status =
      leanbert_tag(model, &aggregation, count, owned.data(), sizes.data(), &tags, cut.data(), message, sizeof message);
  check_line(status, message);
  check((status == LEANBERT_OK) == (tags != nullptr), "status and tags disagree", message);
  for (std::size_t text = 0; text < count; text++) {
    for (std::size_t i = 0; i < leanbert_tags_count(tags, text); i++) {
      leanbert_entity entity{};
      entity.struct_size = sizeof entity;
      check(leanbert_tags_get(tags, text, i, &entity) == LEANBERT_OK, "an entity that is none", "");
      check(entity.begin <= entity.end && entity.end <= sizes[text], "an entity outside its text", entity.label);
      check(entity.score >= 0 && entity.score <= 1, "a score that is no probability", entity.label);
    }
  }
  leanbert_tags_free(tags);
  leanbert_embed_options pooling{sizeof pooling, static_cast<std::uint32_t>(in.below(5)),
                                 static_cast<std::uint32_t>(in.below(2))};
  std::vector<float> vectors(count * leanbert_vector_size(model, &pooling));
  status = leanbert_embed(model, &pooling, count, owned.data(), sizes.data(), vectors.data(), vectors.size(), nullptr,
                          message, sizeof message);
  check_line(status, message);
  for (char* text : owned) std::free(text);
}

std::vector<Files> bundles;
fs::path work;
std::size_t opened = 0, rounds = 0;
std::map<int, std::size_t> statuses;

void one(const std::uint8_t* bytes, std::size_t size) {
  Input in(bytes, size);
  const Files& before = bundles[in.below(bundles.size())];
  Files files = before;
  for (std::size_t edits = in.below(4); edits; edits--) {
    auto file = std::next(files.begin(), static_cast<std::ptrdiff_t>(in.below(files.size())));
    if (in.one_in(2)) file = files.find(in.one_in(2) ? "tokenizer.json" : manifest);
    if (file->first != "model.onnx") change(file->second, before, in);
  }
  if (!in.one_in(10)) seal(files, before);
  for (const auto& [name, data] : files) {
    if (name == "model.onnx") continue;
    fs::create_directories((work / name).parent_path());
    std::ofstream(work / name, std::ios::binary) << data;
  }
  leanbert_model* model = nullptr;
  char message[300];
  const leanbert_options options{sizeof options, static_cast<std::uint32_t>(in.below(3))};
  const int status = leanbert_open(work.c_str(), &options, &model, message, 1 + in.below(sizeof message));
  check((status == LEANBERT_OK) == (model != nullptr), "status and model disagree", message);
  rounds++;
  statuses[status]++;
  if (!model) return;
  opened++;
  for (std::size_t i = 0; i <= leanbert_label_count(model); i++)
    if (const char* label = leanbert_label(model, i))
      check(std::strlen(label) < (16u << 20), "a label without end", "");
  ask(model, files, in);
  leanbert_close(model);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: native_library_fuzz SECONDS SEED WORK_FOLDER BUNDLE...\n");
    return 2;
  }
  const double seconds = std::atof(argv[1]);
  const std::uint64_t seed = std::strtoull(argv[2], nullptr, 10);
  work = argv[3];
  for (int i = 4; i < argc; i++) bundles.push_back(read_bundle(argv[i]));
  // Of the processor, so that a busy machine is no slow round.
  const auto now = [] { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; };
  const char* only = std::getenv("LEANBERT_FUZZ_ROUND");  // this round alone
  const double start = now();
  double slowest = 0;
  for (std::uint64_t round = only ? std::strtoull(only, nullptr, 10) : 0; now() - start < seconds; round++) {
    const double before = now();
    const std::uint64_t number[2] = {seed, round};
    one(reinterpret_cast<const std::uint8_t*>(number), sizeof number);
    if (now() - before > slowest) {
      slowest = now() - before;
      std::fprintf(stderr, "round %llu took %.2f s\n", static_cast<unsigned long long>(round), slowest);
    }
    check(slowest < 20, "a round without end", "");
    if (only) break;
  }
  std::printf("%zu rounds, %zu opened; statuses", rounds, opened);
  for (const auto& [status, count] : statuses) std::printf(" %d: %zu", status, count);
  std::printf("\n");
  return !only && (opened == 0 || opened == rounds);  // of no use: everything is refused, or nothing
}
