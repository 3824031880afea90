// Any bytes as JSON, as a tokenizer's files and as a text: nothing may be read out of bounds, hang, or contradict itself.
//
// LLVMFuzzerTestOneInput is libFuzzer's entry (clang, LEANBERT_NATIVE_FUZZ). Without libFuzzer the program makes the
// inputs itself, from pieces of its own, and needs ASan and UBSan to tell anything (tests/sanitize.sh):
//
//   native_text_fuzz SECONDS SEED     the seconds are the processor's
//   native_text_fuzz FILE…            repeats inputs
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/json.h"
#include "text/tokenizer.h"

namespace {

using namespace leanbert::text;

void check(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "text fuzzer: %s\n", what);
  std::abort();
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::size_t below(std::size_t n) {
    if (size_ == 0) return 0;
    size_--;
    return *data_++ % n;
  }
  // A copy of its own, so that the address sanitizer sees one byte too far.
  std::string rest() const { return std::string(reinterpret_cast<const char*>(data_), size_); }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

// Visits every value, and returns how many there are.
std::size_t visit(const Json& value) {
  std::size_t count = 1, members = 0;
  switch (value.kind()) {
    case Json::Kind::object:
      for (const auto& [key, item] : value.members()) {
        check(members++ > 64 || value.find(key).kind() == item.kind(), "a key is found with another value");
        count += visit(item);
      }
      check(members == value.size(), "an object has another number of members");
      break;
    case Json::Kind::list:
      for (const auto& [key, item] : value.items()) {
        check(key.empty(), "an item of a list has a key");
        members++;
        count += visit(item);
      }
      check(members == value.size() && !value.at(members), "a list has another number of items");
      break;
    case Json::Kind::string: check(value.string().size() < Document::most_bytes, "a string is too long"); break;
    case Json::Kind::whole:
      check(!value.natural() || static_cast<double>(*value.natural()) == value.number(), "a whole number is two");
      check(!value.integer() || static_cast<double>(*value.integer()) == value.number(), "a whole number is two");
      break;
    case Json::Kind::real: check(value.number() == value.number(), "a number is none"); break;
    case Json::Kind::boolean: count += value.boolean() ? 0 : 0; break;
    case Json::Kind::null: break;
  }
  return count;
}

void try_json(const std::string& text) {
  try {
    const Document document{std::string(text)};
    check(visit(document.root()) <= text.size(), "more values than bytes");
  } catch (const Refused& refused) {
    check(std::strchr(refused.what(), '\n') == nullptr, "an error of several lines");
  }
}

void check_tokens(const Encoding& encoding, std::string_view text, std::size_t most, std::size_t special) {
  const std::size_t count = encoding.ids.size();
  check(count <= most && count >= special, "another number of tokens");
  check(encoding.types.size() == count && encoding.begin.size() == count && encoding.end.size() == count &&
            encoding.word.size() == count,
        "lists of different lengths");
  check(count <= text.size() + special, "more tokens than bytes");
  std::int32_t word = -1;
  for (std::size_t i = 0; i < count; i++) {
    check(encoding.begin[i] <= encoding.end[i] && encoding.end[i] <= text.size(), "a place outside the text");
    check(encoding.ids[i] >= 0, "an id below 0");
    if (encoding.word[i] < 0) continue;
    check(encoding.word[i] >= word, "words out of order");
    word = encoding.word[i];
  }
}

// A text with and without a limit: what is kept must be the same.
void try_text(const Tokenizer& tokenizer, const std::string& text, std::size_t room) {
  const std::size_t special = tokenizer.special_tokens(), most = special + 1 + room;
  Encoding whole, part;
  tokenizer.encode(text, SIZE_MAX, whole);
  check_tokens(whole, text, SIZE_MAX, special);
  check(!whole.cut, "cut without a limit");
  tokenizer.encode(text, most, part);
  check_tokens(part, text, most, special);
  check(part.cut == (whole.ids.size() > most), "cut, or not, against the number of tokens");
  check(part.ids.size() == std::min(most, whole.ids.size()), "another number of tokens is kept");
  std::vector<std::int32_t> own, all;
  for (std::size_t i = 0; i < part.ids.size(); i++)
    if (part.word[i] >= 0) own.push_back(part.ids[i]);
  for (std::size_t i = 0; i < whole.ids.size(); i++)
    if (whole.word[i] >= 0) all.push_back(whole.ids[i]);
  check(std::equal(own.begin(), own.end(), all.begin()) || std::equal(own.rbegin(), own.rend(), all.rbegin()),
        "other tokens are kept");
}

const char* const vocabulary =
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,\"a\":5,\"##a\":6,\"b\":7,\"##b\":8,"
    "\"ab\":9,\"##abab\":10,\".\":11,\"e\":12,\"##\\u00e9\":13,\"\\u6771\":14,\"##1\":15,\"1\":16,\"[\":17}";

std::string file_of(std::size_t kind) {
  const char* const normalizers[] = {
      "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":null,"
      "\"lowercase\":true}",
      "{\"type\":\"BertNormalizer\",\"clean_text\":false,\"handle_chinese_chars\":true,\"strip_accents\":false,"
      "\"lowercase\":true}",
      "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},{\"type\":\"Lowercase\"},{\"type\":\"StripAccents\"},"
      "{\"type\":\"NFD\"}]}",
      "null"};
  const char* const processors[] = {
      "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]}",
      "{\"type\":\"RobertaProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2],\"trim_offsets\":true,"
      "\"add_prefix_space\":true}",
      "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{"
      "\"id\":\"A\",\"type_id\":1}}],\"pair\":[],\"special_tokens\":{\"[CLS]\":{\"id\":\"[CLS]\",\"ids\":[2,2],"
      "\"tokens\":[\"[CLS]\",\"[CLS]\"]}}}",
      "null"};
  const bool strips = kind & 16, normalizes = (kind & 48) == 32 && (kind >> 2 & 3) != 1;
  const auto added = [&](int id, const char* content) {
    return "{\"id\":" + std::to_string(id) + ",\"content\":\"" + content +
           "\",\"single_word\":" + (kind & 64 ? "true" : "false") + ",\"lstrip\":" + (strips ? "true" : "false") +
           ",\"rstrip\":" + (strips ? "true" : "false") + ",\"normalized\":" + (normalizes ? "true" : "false") +
           ",\"special\":true}";
  };
  return std::string("{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[") +
         added(4, "[MASK]") + "," + added(18, "[M") + "," + added(19, "Foo \\u00c9") +
         "],\"normalizer\":" + normalizers[kind & 3] +
         ",\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":" + processors[kind >> 2 & 3] +
         ",\"decoder\":null,\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
         "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":" +
         (kind & 128 ? "4" : "100") + "," + vocabulary + "}}";
}

const char* const configs[] = {
    "", "{\"truncation_side\":\"left\",\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":true}",
    "{\"split_special_tokens\":true,\"model_input_names\":[\"input_ids\"],\"unk_token\":{\"content\":\"[UNK]\"}}"};

void try_files(Input in) {
  std::string file = file_of(in.below(256));
  std::string config = configs[in.below(3)];
  for (std::size_t edits = in.below(4); edits > 0; edits--) {
    std::string& edited = in.below(4) || config.empty() ? file : config;
    const std::size_t place = (in.below(256) << 8 | in.below(256)) % edited.size();
    const std::size_t kind = in.below(3);
    const char byte = static_cast<char>(in.below(256));
    if (kind == 0) edited[place] = byte;
    if (kind == 1) edited.erase(place, 1 + in.below(8));
    if (kind == 2) edited.insert(place, 1 + in.below(3), byte);
    if (edited.empty()) break;
  }
  const std::size_t room = in.below(8);
  std::optional<Tokenizer> tokenizer;
  try {
    tokenizer.emplace(Tokenizer::read(file, config));
  } catch (const Refused& refused) {
    check(std::strchr(refused.what(), '\n') == nullptr, "an error of several lines");
    return;
  }
  check(tokenizer->token(tokenizer->unknown()).size() <= file.size(), "a token longer than the file");
  try_text(*tokenizer, in.rest(), room);
}

void try_fixed(Input in) {
  static std::vector<std::optional<Tokenizer>> known(256);
  const std::size_t kind = in.below(256);
  if (!known[kind]) {
    try {
      known[kind].emplace(Tokenizer::read(file_of(kind), configs[kind % 2]));
    } catch (const Refused&) {
      return;  // some of these contradict themselves
    }
  }
  const std::size_t room = in.below(16);
  try_text(*known[kind], in.rest(), room);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input in(data, size);
  switch (in.below(3)) {
    case 0: try_json(in.rest()); break;
    case 1: try_files(in); break;
    default: try_fixed(in); break;
  }
  return 0;
}

#ifndef LEANBERT_LIBFUZZER
namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15 + 1) {}
  std::size_t below(std::size_t n) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::size_t>((state_ >> 16) % n);
  }

 private:
  std::uint64_t state_;
};

std::string make(Random& random) {
  static const char* const pieces[] = {"a",
                                       "b",
                                       "abab",
                                       "ab",
                                       " ",
                                       "\t",
                                       "\n",
                                       "\xc2\x85",
                                       "\xe3\x80\x80",
                                       "[MASK]",
                                       "[M",
                                       " [MASK] ",
                                       "Foo \xc3\x89",
                                       "foo e\xcc\x81",
                                       "\xc3\xa9",
                                       "e\xcc\x81",
                                       "\xcc\x81\xcc\xa3",
                                       "\xe3\x80\xae",
                                       "\xe6\x9d\xb1",
                                       "\xea\xb0\x81",
                                       "\xc4\xb0",
                                       "\xce\xa3",
                                       "\xc4\xa0",
                                       "\xf0\x9f\x98\x80",
                                       "\xf0\x9f",
                                       "\xed\xa0\x80",
                                       "\xff",
                                       "\xef\xbf\xbd",
                                       "\xcd\x84",
                                       "\xf0\x9d\x85\xa0",
                                       ".",
                                       "1",
                                       "{",
                                       "}",
                                       "[",
                                       "]",
                                       "\"",
                                       ":",
                                       ",",
                                       "\\",
                                       "\\u00e9",
                                       "\\ud83d\\ude00",
                                       "null",
                                       "true",
                                       "1e5",
                                       "-0.5",
                                       "18446744073709551616",
                                       "{\"a\":[1,{\"b\":2}]}"};
  std::string input(1, static_cast<char>(random.below(256)));
  for (std::size_t i = 0; i < 9; i++) input += static_cast<char>(random.below(256));
  const std::size_t count = random.below(random.below(8) == 0 ? 400 : 24);
  for (std::size_t i = 0; i < count; i++) {
    if (random.below(12) == 0) {
      input += static_cast<char>(random.below(256));
      continue;
    }
    const char* piece = pieces[random.below(sizeof pieces / sizeof *pieces)];
    for (std::size_t times = random.below(20) == 0 ? random.below(300) : 1; times > 0; times--) input += piece;
  }
  return input;
}

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

bool is_number(const char* text) { return *text && std::strspn(text, "0123456789") == std::strlen(text); }

}  // namespace

int main(int count, char** arguments) {
  if (count == 3 && is_number(arguments[1]) && is_number(arguments[2])) {
    const double seconds = std::atof(arguments[1]);
    const std::uint64_t seed = std::strtoull(arguments[2], nullptr, 10);
    std::uint64_t rounds = 0;
    for (; static_cast<double>(std::clock()) < seconds * CLOCKS_PER_SEC; rounds++) {
      Random random(seed << 32 | rounds);
      run(make(random));
    }
    std::printf("%llu inputs\n", static_cast<unsigned long long>(rounds));
    return 0;
  }
  if (count < 2) {
    std::fprintf(stderr, "usage: native_text_fuzz SECONDS SEED, or native_text_fuzz FILE...\n");
    return 2;
  }
  for (int i = 1; i < count; i++) {
    std::FILE* file = std::fopen(arguments[i], "rb");
    if (!file) {
      std::perror(arguments[i]);
      return 2;
    }
    std::string input;
    for (int byte; (byte = std::fgetc(file)) != EOF;) input += static_cast<char>(byte);
    std::fclose(file);
    run(input);
  }
  return 0;
}
#endif
