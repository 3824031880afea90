#include "text/json.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <system_error>
#include <utility>
#ifndef __cpp_lib_to_chars  // of doubles, which libc++ lacked for long
#include <locale>
#include <sstream>
#endif

#include "text/utf8.h"

namespace leanbert::text {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether a number in decimal notation is less than 1, whatever its sign.
bool is_below_one(std::string_view digits) {
  constexpr std::int64_t many = 1'000'000'000'000;  // more than a file has digits
  std::int64_t order = 0, exponent = 0;             // digits before the point, or zeros behind it, with the first digit
  bool has_begun = false, is_fraction = false;
  std::size_t at = 0;
  for (; at < digits.size() && digits[at] != 'e' && digits[at] != 'E'; at++) {
    is_fraction = is_fraction || digits[at] == '.';
    if (!is_digit(digits[at]) || (is_fraction && has_begun)) continue;
    has_begun = has_begun || digits[at] != '0';
    if (is_fraction && !has_begun) order--;
    if (!is_fraction && has_begun) order++;
  }
  const bool is_negative = at + 1 < digits.size() && digits[at + 1] == '-';
  for (; at < digits.size(); at++)
    if (is_digit(digits[at])) exponent = std::min(many, exponent * 10 + (digits[at] - '0'));
  return order + (is_negative ? -exponent : exponent) <= 0;
}

// A number that was checked already; correctly rounded, whatever the locale. Out of range it is 0 or infinite.
double to_double(std::string_view digits) {
  double value = 0;
#ifdef __cpp_lib_to_chars
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool is_out_of_range = error == std::errc::result_out_of_range;
#else
  std::istringstream in{std::string(digits)};
  in.imbue(std::locale::classic());
  in >> value;
  const bool is_out_of_range = in.fail();
#endif
  if (!is_out_of_range) return value;
  const double size = is_below_one(digits) ? 0 : std::numeric_limits<double>::infinity();
  return digits[0] == '-' ? -size : size;
}

std::uint64_t hash(std::string_view key) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : key) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return value;
}

}  // namespace

// Reads without recursion: `open_` holds the containers around the present value.
class JsonReader {
 public:
  explicit JsonReader(Document& document) : text_(document.text_), nodes_(document.nodes_) {}

  void read() {
    if (text_.size() > Document::most_bytes) fail(0, "it has more than 128 MiB");
    if (const std::size_t wrong = first_invalid_utf8(text_); wrong != text_.size()) fail(wrong, "not UTF-8");
    skip_space();
    for (;;) {
      if (!value()) continue;  // a container was opened, and its first value comes next
      while (!open_.empty() && end_of_element()) close();
      if (open_.empty()) break;
    }
    skip_space();
    if (at_ != text_.size()) fail(at_, "something stands after the value");
  }

 private:
  using Kind = Json::Kind;

  struct Open {
    std::uint32_t node, count;
    bool is_object;
  };

  [[noreturn]] static void fail(std::size_t byte, const char* why) {
    throw Refused("not valid JSON (byte " + std::to_string(byte) + ": " + why + ")");
  }

  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      at_++;
  }

  Document::Node& add(Kind kind) {
    if (nodes_.size() == Document::most_values) fail(at_, "it has too many values");
    Document::Node node{};
    node.kind = kind;
    nodes_.push_back(node);
    return nodes_.back();
  }

  // Reads one value; false where it is a container that is not empty.
  bool value() {
    switch (peek()) {
      case '{': return container(Kind::object, '}');
      case '[': return container(Kind::list, ']');
      case '"': string(); return true;
      case 't': word("true", Kind::boolean, true); return true;
      case 'f': word("false", Kind::boolean, false); return true;
      case 'n': word("null", Kind::null, false); return true;
      default: number(); return true;
    }
  }

  bool container(Kind kind, char end) {
    if (open_.size() == Document::most_depth) fail(at_, "it is nested too deeply");
    at_++;
    const auto index = static_cast<std::uint32_t>(nodes_.size());
    add(kind);
    skip_space();
    if (peek() == end) {
      at_++;
      nodes_[index].pair = {0, index + 1};
      return true;
    }
    open_.push_back({index, 0, kind == Kind::object});
    if (kind == Kind::object) key();
    return false;
  }

  void key() {
    if (peek() != '"') fail(at_, "expected a key in quotes");
    string();
    skip_space();
    if (peek() != ':') fail(at_, "expected a colon");
    at_++;
    skip_space();
  }

  // After a value: whether its container ends here. Otherwise the next value begins at `at_`.
  bool end_of_element() {
    Open& open = open_.back();
    open.count++;
    skip_space();
    if (peek() == (open.is_object ? '}' : ']')) {
      at_++;
      return true;
    }
    if (peek() != ',') fail(at_, open.is_object ? "expected a comma or }" : "expected a comma or ]");
    at_++;
    skip_space();
    if (open.is_object) key();
    return false;
  }

  void close() {
    const Open open = open_.back();
    open_.pop_back();
    nodes_[open.node].pair = {open.count, static_cast<std::uint32_t>(nodes_.size())};
    if (open.is_object && open.count > 1) check_keys(open);
  }

  std::string_view text_of(std::uint32_t node) const {
    return {text_.data() + nodes_[node].pair.first, nodes_[node].pair.second};
  }

  std::uint32_t after(std::uint32_t node) const {
    const Kind kind = nodes_[node].kind;
    return kind == Kind::list || kind == Kind::object ? nodes_[node].pair.second : node + 1;
  }

  // Refuses a key that stands twice: by sorted hashes, so that no choice of keys makes it slow.
  void check_keys(const Open& open) {
    keys_.clear();
    for (std::uint32_t key = open.node + 1; key < nodes_.size(); key = after(key + 1))
      keys_.emplace_back(hash(text_of(key)), key);
    std::sort(keys_.begin(), keys_.end(), [this](const auto& a, const auto& b) {
      return a.first != b.first ? a.first < b.first : text_of(a.second) < text_of(b.second);
    });
    for (std::size_t i = 1; i < keys_.size(); i++)
      if (keys_[i].first == keys_[i - 1].first && text_of(keys_[i].second) == text_of(keys_[i - 1].second))
        fail(nodes_[keys_[i].second].pair.first, "a key stands twice in an object");
  }

  void word(std::string_view expected, Kind kind, bool flag) {
    if (std::string_view(text_).substr(at_, expected.size()) != expected) fail(at_, "expected a value");
    at_ += expected.size();
    add(kind).flag = flag;
  }

  void number() {
    const std::size_t start = at_;
    const bool below = peek() == '-';
    if (below) at_++;
    if (!is_digit(peek())) fail(start, "expected a value");
    const std::size_t digits = at_;
    std::uint64_t bits = 0;
    bool huge = false;
    while (is_digit(peek())) {
      const unsigned digit = static_cast<unsigned>(text_[at_++] - '0');
      huge = huge || bits > (UINT64_MAX - digit) / 10;
      bits = bits * 10 + digit;
    }
    if (text_[digits] == '0' && at_ > digits + 1) fail(start, "a number begins with 0");
    bool real = false;
    if (peek() == '.') {
      real = true;
      at_++;
      if (!is_digit(peek())) fail(start, "a number lacks digits");
      while (is_digit(peek())) at_++;
    }
    if (peek() == 'e' || peek() == 'E') {
      real = true;
      at_++;
      if (peek() == '+' || peek() == '-') at_++;
      if (!is_digit(peek())) fail(start, "a number lacks digits");
      while (is_digit(peek())) at_++;
    }
    const std::string_view whole(text_.data() + start, at_ - start);
    if (real) {
      add(Kind::real).real = to_double(whole);
      return;
    }
    huge = huge || (below && bits > std::uint64_t{1} << 63);
    Document::Node& node = add(Kind::whole);
    node.flag = below;
    node.huge = huge;
    if (huge) {
      node.real = to_double(whole);
    } else {
      node.bits = below ? 0 - bits : bits;
    }
  }

  // Unescapes in place: what comes out is never longer than what stands there.
  void string() {
    const std::size_t start = ++at_;
    std::size_t to = start;
    for (;;) {
      const std::size_t from = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) >= 0x20)
        at_++;
      if (to != from) std::memmove(&text_[to], &text_[from], at_ - from);
      to += at_ - from;
      if (at_ == text_.size()) fail(start - 1, "a string does not end");
      const char c = text_[at_];
      if (c == '"') break;
      if (c != '\\') fail(at_, "a control character stands in a string");
      to = escape(to);
    }
    at_++;
    add(Kind::string).pair = {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(to - start)};
  }

  std::size_t escape(std::size_t to) {
    const std::size_t start = at_++;
    const char c = peek();
    at_++;
    switch (c) {
      case '"':
      case '\\':
      case '/': text_[to] = c; return to + 1;
      case 'b': text_[to] = '\b'; return to + 1;
      case 'f': text_[to] = '\f'; return to + 1;
      case 'n': text_[to] = '\n'; return to + 1;
      case 'r': text_[to] = '\r'; return to + 1;
      case 't': text_[to] = '\t'; return to + 1;
      case 'u': break;
      default: fail(start, "an unknown escape");
    }
    std::uint32_t code = hexadecimal(start);
    if (code >= 0xD800 && code < 0xDC00 && peek() == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == 'u') {
      at_ += 2;
      const std::uint32_t low = hexadecimal(start);
      if (low < 0xDC00 || low > 0xDFFF) fail(start, "half a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code < 0xE000) fail(start, "half a surrogate pair");
    return to + put_utf8(code, &text_[to]);  // at most 4 bytes for 12, or 3 for 6
  }

  std::uint32_t hexadecimal(std::size_t start) {
    std::uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
      const char c = peek();
      at_++;
      if (is_digit(c))
        code = code * 16 + static_cast<std::uint32_t>(c - '0');
      else if (c >= 'a' && c <= 'f')
        code = code * 16 + static_cast<std::uint32_t>(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F')
        code = code * 16 + static_cast<std::uint32_t>(c - 'A' + 10);
      else
        fail(start, "an escape lacks hexadecimal digits");
    }
    return code;
  }

  std::string& text_;
  std::vector<Document::Node>& nodes_;
  std::size_t at_ = 0;
  std::vector<Open> open_;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> keys_;
};

Document::Document(std::string text) : text_(std::move(text)) { JsonReader(*this).read(); }

namespace {

void check(bool is_right, const char* expected) {
  if (!is_right) throw Refused(std::string("a value of a JSON file is not ") + expected);
}

}  // namespace

Json::Kind Json::kind() const {
  check(document_, "there");
  return document_->nodes_[index_].kind;
}

bool Json::boolean() const {
  check(is_boolean(), "true or false");
  return document_->nodes_[index_].flag;
}

double Json::number() const {
  check(is_number(), "a number");
  const Document::Node& node = document_->nodes_[index_];
  if (node.kind == Kind::real || node.huge) return node.real;
  return node.flag ? static_cast<double>(static_cast<std::int64_t>(node.bits)) : static_cast<double>(node.bits);
}

std::optional<std::int64_t> Json::integer() const {
  check(is_whole(), "a whole number");
  const Document::Node& node = document_->nodes_[index_];
  if (node.huge || (!node.flag && node.bits > static_cast<std::uint64_t>(INT64_MAX))) return std::nullopt;
  return static_cast<std::int64_t>(node.bits);
}

std::optional<std::uint64_t> Json::natural() const {
  check(is_whole(), "a whole number");
  const Document::Node& node = document_->nodes_[index_];
  if (node.huge || (node.flag && node.bits != 0)) return std::nullopt;
  return node.bits;
}

std::string_view Json::string() const {
  check(is_string(), "a string");
  const Document::Node& node = document_->nodes_[index_];
  return {document_->text_.data() + node.pair.first, node.pair.second};
}

std::size_t Json::size() const {
  check(is_list() || is_object(), "a list or an object");
  return document_->nodes_[index_].pair.first;
}

std::uint32_t Json::after() const {
  return is_list() || is_object() ? document_->nodes_[index_].pair.second : index_ + 1;
}

Json Json::at(std::size_t index) const {
  for (const JsonMember& item : items())
    if (index-- == 0) return item.value;
  return {};
}

Json Json::find(std::string_view key) const {
  for (const JsonMember& member : members())
    if (member.key == key) return member.value;
  return {};
}

Json::Range Json::items() const {
  check(is_list(), "a list");
  return {Iterator(document_, index_ + 1, false), Iterator(document_, after(), false)};
}

Json::Range Json::members() const {
  check(is_object(), "an object");
  return {Iterator(document_, index_ + 1, true), Iterator(document_, after(), true)};
}

JsonMember Json::Iterator::operator*() const {
  if (!has_keys_) return {{}, Json(document_, at_)};
  return {Json(document_, at_).string(), Json(document_, at_ + 1)};
}

Json::Iterator& Json::Iterator::operator++() {
  at_ = Json(document_, at_ + has_keys_).after();
  return *this;
}

}  // namespace leanbert::text
