#include "text/checks.h"

#include <algorithm>

#include "text/utf8.h"

namespace leanbert::text {

void refuse(const std::string& line) { throw Refused(line); }

std::string quoted(std::string_view text) {
  constexpr std::size_t most = 60;
  std::string line = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const Decoded character = decode_utf8(text, at);
    if (at + character.size > most) {
      line += "…";
      break;
    }
    if (!character.valid || is_control(character.code))
      line += "?";
    else
      line += text.substr(at, character.size);
    at += character.size;
  }
  return line + "\"";
}

std::string brief(const Json& value) {
  if (!value) return "missing";
  switch (value.kind()) {
    case Json::Kind::null: return "null";
    case Json::Kind::boolean: return value.boolean() ? "true" : "false";
    case Json::Kind::whole:
      if (const auto whole = value.integer()) return std::to_string(*whole);
      return "a number out of range";
    case Json::Kind::real: return "a number that is not whole";
    case Json::Kind::string: return quoted(value.string());
    case Json::Kind::list: return "a list";
    case Json::Kind::object: break;
  }
  return "an object";
}

void only_keys(const Json& object, const std::string& name, std::initializer_list<std::string_view> keys) {
  if (!object.is_object()) refuse(name + " is " + brief(object) + "; expected an object");
  for (const auto& [key, value] : object.members())
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      refuse(name + " has the key " + quoted(key) + ", which the C library does not know");
}

std::string_view string_in(const std::string& name, const Json& value) {
  if (!value.is_string()) refuse(name + " is " + brief(value) + "; expected a string");
  return value.string();
}

std::uint64_t whole_in(const std::string& name, const Json& value, std::uint64_t most) {
  const auto number = value.is_whole() ? value.natural() : std::nullopt;
  if (!number || *number > most)
    refuse(name + " is " + brief(value) + "; expected a whole number from 0 to " + std::to_string(most));
  return *number;
}

bool flag_in(const std::string& name, const Json& value) {
  if (!value.is_boolean()) refuse(name + " is " + brief(value) + "; expected true or false");
  return value.boolean();
}

}  // namespace leanbert::text
