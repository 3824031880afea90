// A bundle as the C library reads it: manifest, config, labels, layout and tokenizer, each checked before it is used.
//
//   leanbert.json        sealed by its own sha256; lists the sha256 and the size of every other file
//   config.json          labels and the function from logits to scores
//   tokenizer.json, tokenizer_config.json, special_tokens_map.json
//   modules.json and the files that it names, of sentence-transformers
//   model.onnx.data      the weights, which the engine reads (model.h)
//
// What the library does not read, such as the ONNX graph, it does not check either.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "library/description.h"
#include "library/files.h"
#include "library/sentence.h"

namespace leanbert::library {

enum class Task { text_classification, token_classification, feature_extraction };
enum class Function { softmax, sigmoid, none };

// As transformers and the manifest call it.
const char* name_of(Task task);

struct Bundle {
  // Throws Failure.
  explicit Bundle(const std::string& directory);

  Directory directory;
  Task task;
  std::size_t max_length = 0;  // tokens
  std::vector<std::string> labels;
  Function function = Function::softmax;
  std::optional<Description> description;
  std::optional<Sentence> sentence;

  const Entry& weights() const { return files_.at(description->file); }
  // The content of a file, or nothing where the manifest does not list it.
  std::optional<std::string> content(const std::string& name, std::uint64_t most) const;

 private:
  void read_manifest();
  void read_layout(Json manifest);
  void read_config();
  void check_head();

  std::map<std::string, Entry, std::less<>> files_;
};

}  // namespace leanbert::library
