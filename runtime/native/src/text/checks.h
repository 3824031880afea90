// What is asked of the values of a JSON file. Each throws Refused with one line that names the value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "text/json.h"

namespace leanbert::text {

[[noreturn]] void refuse(const std::string& line);

std::string quoted(std::string_view text);  // in quotes, without control characters, of at most some 60 bytes
std::string brief(const Json& value);       // what a value is, in a few words

// Refuses an object that has other keys: what they say could change ids.
void only_keys(const Json& object, const std::string& name, std::initializer_list<std::string_view> keys);

std::string_view string_in(const std::string& name, const Json& value);
std::uint64_t whole_in(const std::string& name, const Json& value, std::uint64_t most);  // from 0 on
bool flag_in(const std::string& name, const Json& value);

}  // namespace leanbert::text
