// The files of a bundle: regular ones, up to a size, with the content that the manifest says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "platform/platform.h"

namespace leanbert::library {

constexpr std::uint64_t most_json_bytes = 16 << 20, most_tokenizer_bytes = 128 << 20;

// What the manifest says of a file.
struct Entry {
  std::string sha256;
  std::uint64_t size = 0;
};

class Directory {
 public:
  explicit Directory(std::string path) : path_(std::move(path)) {}
  std::string file(std::string_view name) const { return path_ + '/' + std::string(name); }
  // For a line.
  std::string shown(std::string_view name) const;
  const std::string& path() const { return path_; }

  // Throws where the file is a link out of the directory. Only where the system has such links and says where they go.
  void check_place(std::string_view name) const;

 private:
  std::string path_;
};

// The content of a file, read into memory of its own: who changes the file later changes no answer.
class File {
 public:
  // Without an entry, as for the manifest itself, the content may be anything.
  // Throws a Failure: the file is missing, irregular, unreadable, too large, or not what the entry says.
  File(const Directory& directory, std::string_view name, const Entry* entry, std::uint64_t most);
  std::string_view content() const { return {copy_.data(), copy_.bytes()}; }

 private:
  platform::FileCopy copy_;
};

// Throws unless the content is what the entry says.
void check_content(const Directory& directory, std::string_view name, const Entry& entry, std::string_view content);

}  // namespace leanbert::library
