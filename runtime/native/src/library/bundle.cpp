#include "library/bundle.h"

#include <cstring>
#include <iterator>

#include "library/failure.h"
#include "library/sha256.h"
#include "text/refused.h"

namespace leanbert::library {
namespace {

constexpr const char* manifest_name = "leanbert.json";
constexpr std::uint64_t format_version = 1, shortest = 4, longest = 1 << 20, most_labels = 1 << 20;
constexpr std::size_t most_files = 1000, most_name = 255, digest_size = 64;
constexpr std::uint64_t most_file_bytes = std::uint64_t{1} << 40;

constexpr const char* task_names[] = {"text-classification", "token-classification", "feature-extraction"};

bool is_digest(std::string_view text) {
  return text.size() == digest_size && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

// Where the 64 digits of the seal stand, or 0: ^\{\s*"sha256": "
std::size_t seal_of(std::string_view data) {
  if (data.empty() || data[0] != '{') return 0;
  std::size_t at = 1;
  while (at < data.size() && std::strchr(" \t\r\n\f\v", data[at]) && data[at]) at++;
  constexpr std::string_view key = "\"sha256\": \"";
  if (data.substr(at, key.size()) != key) return 0;
  at += key.size();
  const std::string_view rest = data.substr(at);
  return is_digest(rest.substr(0, digest_size)) && rest.size() > digest_size && rest[digest_size] == '"' ? at : 0;
}

std::string seal(std::string_view data, std::size_t at) {
  Sha256 hash;
  hash.update(data.data(), at);
  hash.update(std::string(digest_size, '0').data(), digest_size);
  hash.update(data.data() + at + digest_size, data.size() - at - digest_size);
  return hash.hex();
}

text::Document parse(std::string_view content, const std::string& where) {
  try {
    return text::Document(std::string(content));
  } catch (const text::Refused& error) {
    throw Failure(LEANBERT_CORRUPT, where + ": " + error.what() + "; export it again");
  }
}

// The label as Python's str() has it.
std::string label_of(Json value) {
  if (value.is_whole()) return std::to_string(whole("a label", value, 0, INT64_MAX));
  std::string label(string("a label of id2label", value));
  if (label.find('\0') != std::string::npos) throw Wrong{"id2label has a label with a null character"};
  return label;
}

}  // namespace

const char* name_of(Task task) { return task_names[static_cast<std::size_t>(task)]; }

Bundle::Bundle(const std::string& path) : directory(path) {
  read_manifest();
  read_config();
  check_head();
  if (task == Task::feature_extraction)
    sentence =
        read_sentence([this](const std::string& name) { return content(name, most_json_bytes); }, library::shown(path));
}

std::optional<std::string> Bundle::content(const std::string& name, std::uint64_t most) const {
  const auto entry = files_.find(name);
  if (entry == files_.end()) return std::nullopt;
  return std::string(File(directory, name, &entry->second, most).content());
}

void Bundle::read_manifest() {
  const std::string where = directory.shown(manifest_name);
  std::string data;
  try {
    data = File(directory, manifest_name, nullptr, most_json_bytes).content();
  } catch (const Failure& failure) {
    if (failure.status != LEANBERT_NOT_FOUND) throw;
    throw Failure(LEANBERT_NOT_FOUND, where + ": is not there, so the directory is no bundle; make one with " +
                                          "leanbert export MODEL -o DIR");
  }
  const text::Document document = parse(data, where);
  const Json manifest = document.root();
  if (!manifest.is_object()) throw Failure(LEANBERT_CORRUPT, where + ": not a JSON object; export it again");
  // Looked at before the seal: a newer format may seal itself otherwise.
  const Json version = manifest.find("format_version");
  if (!version.is_whole() || version.natural() != format_version)
    throw Failure(LEANBERT_UNSUPPORTED,
                  where + ": bundle format " + brief(version) +
                      " is unknown here (this library reads format 1); use a newer one, or export the bundle again");
  const std::size_t digest = seal_of(data);
  if (!digest || seal(data, digest) != data.substr(digest, digest_size))
    throw Failure(LEANBERT_CORRUPT, where + ": was changed after the export; export it again");
  try {
    const std::string_view named = string("task", member(manifest, "task"));
    std::size_t i = 0;
    while (i < std::size(task_names) && task_names[i] != named) i++;
    if (i == std::size(task_names))
      throw Failure(LEANBERT_UNSUPPORTED,
                    library::shown(directory.path()) + ": its task is " + library::brief(named) +
                        "; the C library does text-classification, token-classification and feature-extraction");
    task = static_cast<Task>(i);
    max_length = static_cast<std::size_t>(whole("max_length", member(manifest, "max_length"), shortest, longest));
    const Json files = object("files", member(manifest, "files"));
    if (files.size() > most_files) throw Wrong{"files has more than 1000 entries"};
    for (const auto [name, entry] : files.members()) {
      const std::string key = "files." + library::brief(name);
      if (!is_plain(name) || name.size() > most_name)
        throw Wrong{"the file name " + library::brief(name) + " leaves the bundle"};
      const std::string_view digest_said = string(key + ".sha256", member(object(key, entry), "sha256"));
      if (!is_digest(digest_said)) throw Wrong{key + ".sha256 is not 64 digits of hex"};
      files_[std::string(name)] = {std::string(digest_said),
                                   whole(key + ".size", member(entry, "size"), 0, most_file_bytes)};
    }
    for (const char* needed : {"config.json", "tokenizer.json"})
      if (!files_.count(needed)) throw Wrong{std::string("files does not list ") + needed};
  } catch (const Wrong& wrong) {
    throw Failure(LEANBERT_CORRUPT, where + ": malformed manifest (" + wrong.line + "); export it again");
  }
  read_layout(manifest);
}

void Bundle::read_layout(Json manifest) {
  const std::string where = library::shown(directory.path());
  const Json native = given(manifest, "native");
  if (!native) {
    const Json card = manifest.find("card"), said = card.is_object() ? card.find("native engine") : Json();
    std::string reason(said.is_string() ? said.string() : "");
    if (reason.compare(0, 4, "no, ") == 0) reason = reason.substr(4);
    throw Failure(LEANBERT_UNSUPPORTED, where + ": has no layout for the native engine" +
                                            (reason.empty() ? "" : " (" + library::brief(reason) + ")") +
                                            ", which the C library computes with; export it again, or use Python");
  }
  try {
    description.emplace(object("native", native));
    if (!files_.count(description->file))
      throw Wrong{"file " + library::brief(description->file) + " is not one of the bundle's"};
  } catch (const Wrong& wrong) {
    throw Failure(LEANBERT_UNSUPPORTED,
                  where + ": its layout for the native engine is unusable (" + wrong.line + "); export it again");
  }
}

void Bundle::read_config() {
  const std::string where = directory.shown("config.json");
  const text::Document document = parse(*content("config.json", most_json_bytes), where);
  try {
    const Json config = object("the file", document.root());
    string("model_type", member(config, "model_type"));
    if (const Json named = given(config, "id2label")) {
      const Json listed = object("id2label", named);
      if (listed.size() > most_labels) throw Wrong{"id2label has too many labels"};
      labels.resize(listed.size());
      std::vector<bool> seen(listed.size());
      for (const auto [key, value] : listed.members()) {
        std::size_t number = 0;
        if (key.empty() || key.size() > 7 || key.find_first_not_of("0123456789") != std::string_view::npos)
          throw Wrong{"id2label has the key " + library::brief(key) + "; expected a number"};
        for (const char digit : key) number = 10 * number + static_cast<std::size_t>(digit - '0');
        if (number >= listed.size() || seen[number])
          throw Wrong{"id2label must name each of the logits 0 to " + std::to_string(listed.size() - 1) + " once"};
        seen[number] = true;
        labels[number] = label_of(value);
      }
    } else {
      const Json count = config.find("num_labels");
      const std::uint64_t number = count ? whole("num_labels", count, 0, most_labels) : 2;
      for (std::uint64_t i = 0; i < number; i++) labels.push_back("LABEL_" + std::to_string(i));
    }
    // As ModelConfig.default_function in bundle/config.py.
    std::size_t problem = 3;
    if (const Json type = given(config, "problem_type"))
      problem =
          one_of("problem_type", type, {"regression", "single_label_classification", "multi_label_classification"});
    if (problem == 0)
      function = Function::none;
    else if (problem == 2 || labels.size() == 1)
      function = Function::sigmoid;
    else
      function = Function::softmax;
  } catch (const Wrong& wrong) {
    throw Failure(LEANBERT_CORRUPT, where + ": " + wrong.line + "; export it again");
  }
}

// The head must be the task's, and its columns the labels.
void Bundle::check_head() {
  const std::string where = library::shown(directory.path());
  const std::uint32_t head = description->head();
  const bool per_text = head == LB_HEAD_FIRST_TOKEN || head == LB_HEAD_MEAN;
  const bool fits = task == Task::text_classification    ? per_text
                    : task == Task::token_classification ? head == LB_HEAD_EVERY_TOKEN
                                                         : head == LB_HEAD_NONE;
  if (!fits)
    throw Failure(LEANBERT_UNSUPPORTED, where + ": its layout has another head than its task; export it again");
  if (task == Task::feature_extraction)
    labels.clear();
  else if (labels.size() != description->labels())
    throw Failure(LEANBERT_CORRUPT, directory.shown("config.json") + ": id2label names " +
                                        std::to_string(labels.size()) + " labels, but the model gives " +
                                        std::to_string(description->labels()) + " logits; export it again");
  if (max_length > description->longest())
    throw Failure(LEANBERT_CORRUPT, where + ": max_length is " + std::to_string(max_length) +
                                        ", but the model has positions for " + std::to_string(description->longest()) +
                                        " tokens; export it again");
}

}  // namespace leanbert::library
