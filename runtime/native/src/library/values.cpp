#include "library/values.h"

#include <algorithm>
#include <optional>

#include "text/utf8.h"

namespace leanbert::library {
namespace {

[[noreturn]] void wrong(std::string_view name, Json value, const char* expected) {
  throw Wrong{std::string(name) + " is " + brief(value) + "; expected " + expected};
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

std::string brief(Json value) {
  if (!value) return "missing";
  switch (value.kind()) {
    case Json::Kind::null: return "null";
    case Json::Kind::boolean: return value.boolean() ? "true" : "false";
    case Json::Kind::whole:
      if (const auto n = value.integer()) return std::to_string(*n);
      return "a large number";
    case Json::Kind::real: return std::to_string(value.number());
    case Json::Kind::string: return brief(value.string());
    case Json::Kind::list: return "a list of " + std::to_string(value.size());
    case Json::Kind::object: return "an object of " + std::to_string(value.size()) + " keys";
  }
  return "a value";
}

Json object(std::string_view name, Json value) {
  if (!value.is_object()) wrong(name, value, "an object");
  return value;
}

Json list(std::string_view name, Json value) {
  if (!value.is_list()) wrong(name, value, "a list");
  return value;
}

std::string_view string(std::string_view name, Json value) {
  if (!value.is_string()) wrong(name, value, "a string");
  return value.string();
}

bool boolean(std::string_view name, Json value) {
  if (!value.is_boolean()) wrong(name, value, "true or false");
  return value.boolean();
}

std::uint64_t whole(std::string_view name, Json value, std::uint64_t least, std::uint64_t most) {
  const auto number = value.is_whole() ? value.natural() : std::nullopt;
  if (!number || *number < least || *number > most)
    wrong(name, value, ("a whole number from " + std::to_string(least) + " to " + std::to_string(most)).c_str());
  return *number;
}

double number(std::string_view name, Json value) {
  if (!value.is_number()) wrong(name, value, "a number");
  return value.number();
}

Json member(Json object, std::string_view key) {
  const Json value = object.find(key);
  if (!value) throw Wrong{std::string(key) + " is missing"};
  return value;
}

Json given(Json object, std::string_view key) {
  const Json value = object.find(key);
  return value.is_null() ? Json() : value;
}

std::size_t one_of(std::string_view name, Json value, std::initializer_list<std::string_view> known) {
  std::size_t place = 0;
  std::string names;
  for (const std::string_view one : known) {
    if (value.is_string() && value.string() == one) return place;
    names.append(place++ ? ", " : "").append(one);
  }
  wrong(name, value, ("one of " + names).c_str());
}

bool is_falsy(Json value) {
  if (!value || value.is_null()) return true;
  if (value.is_boolean()) return !value.boolean();
  if (value.is_number()) return value.number() == 0;
  return value.is_string() ? value.string().empty() : value.size() == 0;
}

bool is_plain(std::string_view name) {
  if (name.empty() || name[0] == '/' || name.find('\\') != std::string_view::npos) return false;
  if (name.size() > 1 && name[1] == ':' && is_letter(name[0])) return false;  // a drive
  for (std::size_t at = 0; at < name.size();) {
    const text::Decoded c = text::decode_utf8(name, at);
    if (!c.valid || text::is_control(c.code)) return false;
    at += c.size;
  }
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t slash = std::min(name.find('/', at), name.size());
    if (name.substr(at, slash - at) == "..") return false;
    at = slash + 1;
  }
  return true;
}

}  // namespace leanbert::library
