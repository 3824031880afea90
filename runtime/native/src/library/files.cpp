#include "library/files.h"

#include <cstdlib>

#include "library/failure.h"
#include "library/sha256.h"

namespace leanbert::library {
namespace {

#if !defined(_WIN32)
std::string resolved(const std::string& path) {
  char* found = realpath(path.c_str(), nullptr);
  const std::string copy = found ? found : "";
  std::free(found);
  return copy;
}

std::string parent(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Where a snapshot in the hub's cache keeps its files: models--NAME/snapshots/COMMIT/file is a link to
// models--NAME/blobs/HASH. Empty for any other directory.
std::string blobs_of(const std::string& home) {
  for (std::string folder = home; !folder.empty(); folder = parent(folder))
    if (name_of(parent(folder)) == "snapshots") return parent(parent(folder)) + "/blobs";
  return "";
}
#endif

}  // namespace

std::string Directory::shown(std::string_view name) const { return library::shown(file(name)); }

void Directory::check_place(std::string_view name) const {
#if !defined(_WIN32)
  const std::string home = resolved(path_), target = resolved(file(name));
  if (home.empty() || target.empty()) return;  // reading it says why
  const bool inside = target.compare(0, home.size() + (home != "/"), home == "/" ? home : home + '/') == 0;
  if (inside || (parent(target) == blobs_of(home) && !blobs_of(home).empty())) return;
  throw Failure(LEANBERT_CORRUPT, shown(name) + ": a link out of the bundle; put the file itself there");
#else
  (void)name;
#endif
}

File::File(const Directory& directory, std::string_view name, const Entry* entry, std::uint64_t most) {
  const std::string where = directory.shown(name);
  if (entry && entry->size > most)
    throw Failure(LEANBERT_CORRUPT, where + ": has " + std::to_string(entry->size) + " bytes, such a file may have " +
                                        std::to_string(most) + "; export the bundle again");
  directory.check_place(name);
  if (const char* why_not = copy_.open(directory.file(name).c_str(), most))
    throw Failure(copy_.missing() ? LEANBERT_NOT_FOUND : LEANBERT_CORRUPT,
                  where + ": cannot be read (" + why_not + "); copy or export the bundle again");
  if (entry) check_content(directory, name, *entry, content());
}

void check_content(const Directory& directory, std::string_view name, const Entry& entry, std::string_view content) {
  if (content.size() != entry.size)
    throw Failure(LEANBERT_CORRUPT, directory.shown(name) + ": " + std::to_string(content.size()) +
                                        " bytes instead of " + std::to_string(entry.size) +
                                        " (truncated or replaced); copy or export the bundle again");
  Sha256 hash;
  hash.update(content.data(), content.size());
  if (hash.hex() != entry.sha256)
    throw Failure(LEANBERT_CORRUPT, directory.shown(name) + ": content differs from its sha256 in leanbert.json; " +
                                        "copy or export the bundle again");
}

}  // namespace leanbert::library
