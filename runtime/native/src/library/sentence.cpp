#include "library/sentence.h"

#include <algorithm>
#include <array>
#include <utility>

#include "library/failure.h"

namespace leanbert::library {
namespace {

constexpr std::uint64_t longest = 1 << 20;

constexpr std::array<std::string_view, 7> transformers = {"bert",   "roberta",     "distilbert", "camembert",
                                                          "albert", "xlm-roberta", "xlnet"};
struct Mode {
  std::string_view name, flag;
  Pooling pooling;
};
constexpr Mode modes[] = {{"cls", "pooling_mode_cls_token", Pooling::cls},
                          {"max", "pooling_mode_max_tokens", Pooling::max},
                          {"mean", "pooling_mode_mean_tokens", Pooling::mean},
                          {"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens", Pooling::mean_sqrt_len_tokens},
                          {"weightedmean", "pooling_mode_weightedmean_tokens", Pooling::weightedmean},
                          {"lasttoken", "pooling_mode_lasttoken", Pooling::lasttoken}};
// What changes no vector: where numbers are kept meanwhile, and how attention is computed.
constexpr std::string_view harmless[] = {"add_pooling_layer", "attn_implementation", "dtype",
                                         "torch_dtype",       "unpad_inputs",        "trust_remote_code"};
constexpr std::string_view arguments[] = {"model_args",   "tokenizer_args",   "config_args",
                                          "model_kwargs", "processor_kwargs", "config_kwargs"};

template <class List>
bool among(std::string_view name, const List& list) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

class Reader {
 public:
  Reader(const ReadFile& read, const std::string& where) : read_(read), where_(where) {}

  std::optional<Sentence> modules(std::string content) {
    const text::Document document(std::move(content));
    const Json chain = list("modules.json", document.root());
    Sentence found;
    std::size_t i = 0;
    for (const auto [unused, item] : chain.items()) {
      name = "modules.json";  // again, after a module's own files
      const Json module = object("a module", item);
      const std::string type(string("type", member(module, "type")));
      std::string folder(string("path", member(module, "path")));
      if (!folder.empty() && !is_plain(folder)) throw Wrong{"path is " + library::brief(folder)};
      while (!folder.empty() && folder.back() == '/') folder.pop_back();
      const std::string kind = type.substr(type.rfind('.') + 1);
      if (type.compare(0, 22, "sentence_transformers.") != 0) refuse("code of its own, " + library::brief(type));
      if (i == 0 && kind == "Transformer" && folder.empty())
        transformer();
      else if (i == 1 && kind == "Pooling")
        pooling(folder, found);
      else if (i > 1 && kind == "Normalize" && !named(folder))
        found.normalize = true;
      else if (i <= 1 || kind != "Dropout")  // which does nothing after training
        refuse(kind + " (" + (folder.empty() ? "without a folder" : folder) + ")");
      i++;
    }
    if (!i) refuse("an empty list of modules");
    if (i == 1) return std::nullopt;
    settings(found);
    return found;
  }

  std::string name = "modules.json";  // the file that is being read

 private:
  [[noreturn]] void refuse(const std::string& what) const {
    throw Failure(LEANBERT_UNSUPPORTED, where_ + ": a sentence-transformers model with " + what +
                                            ", which the C library does not compute; use LeanBERT's Python package");
  }

  // An empty object where there is no such file.
  text::Document parse(const std::string& file) {
    name = file;
    return text::Document(read_(file).value_or("{}"));
  }

  void transformer() {
    for (const std::string_view family : transformers) {
      const text::Document document = parse("sentence_" + std::string(family) + "_config.json");
      const Json settings = object("the file", document.root());
      if (!settings.size()) continue;
      for (const auto [key, value] : settings.members()) {
        if (key == "max_seq_length" || key == "do_lower_case" || among(key, harmless)) continue;
        if (among(key, arguments)) {
          for (const auto [argument, unused] : object(key, value).members())
            if (!among(argument, harmless)) refuse("the argument " + library::brief(argument));
        } else if (key == "modality_config" && !is_falsy(value)) {
          if (object(key, value).size() != 1 || !value.find("text")) refuse("other inputs than text");
        } else if (key == "transformer_task" && !is_falsy(value)) {
          if (string(key, value) != "feature-extraction") refuse("the transformer_task " + library::brief(value));
        } else if (key == "module_output_name" && !is_falsy(value)) {
          if (string(key, value) != "token_embeddings") refuse("the module_output_name " + library::brief(value));
        } else if (!is_falsy(value)) {
          refuse("the setting " + library::brief(key));
        }
      }
      return;
    }
  }

  void pooling(const std::string& folder, Sentence& found) {
    const text::Document document = parse(folder + "/config.json");
    const Json settings = object("the file", document.root());
    for (const auto [key, value] : settings.members()) {
      const bool known = key == "word_embedding_dimension" || key == "embedding_dimension" || key == "pooling_mode" ||
                         key == "include_prompt";
      const auto same_flag = [key = key](const Mode& mode) { return mode.flag == key; };
      if (!known && !std::any_of(std::begin(modes), std::end(modes), same_flag) && !is_falsy(value))
        refuse("the pooling " + library::brief(key));
    }
    if (const Json include = settings.find("include_prompt")) includes_prompt_ = boolean("include_prompt", include);
    const auto add = [&](Json value) {
      const std::string_view said = string("pooling_mode", value);
      const auto same = [&](const Mode& mode) { return mode.name == said; };
      const Mode* mode = std::find_if(std::begin(modes), std::end(modes), same);
      if (mode == std::end(modes)) refuse("the pooling " + library::brief(said));
      found.pooling.push_back(mode->pooling);
    };
    const Json said = settings.find("pooling_mode");
    if (said.is_string()) {
      add(said);
    } else if (!is_falsy(said)) {
      for (const auto [unused, value] : list("pooling_mode", said).items()) add(value);
    } else {
      for (const Mode& mode : modes)
        if (!is_falsy(settings.find(mode.flag))) found.pooling.push_back(mode.pooling);
    }
    if (found.pooling.empty()) found.pooling.push_back(Pooling::mean);
    if (found.pooling.size() > std::size(modes)) throw Wrong{"pooling_mode names more ways than there are"};
  }

  // Whether a step takes or gives another vector than the sentence's.
  bool named(const std::string& folder) {
    if (folder.empty()) return false;
    const text::Document document = parse(folder + "/config.json");
    const Json settings = object("the file", document.root());
    for (const char* key : {"module_input_name", "module_output_name"})
      if (const Json said = given(settings, key))
        if (string(key, said) != "sentence_embedding") return true;
    return false;
  }

  void settings(Sentence& found) {
    const text::Document document = parse("config_sentence_transformers.json");
    const Json settings = object("the file", document.root());
    if (const Json kind = given(settings, "model_type"))
      if (string("model_type", kind) != "SentenceTransformer") refuse("the model_type " + library::brief(kind));
    if (const Json dim = given(settings, "truncate_dim"))
      found.truncate_dim = static_cast<std::size_t>(whole("truncate_dim", dim, 1, longest));
    const Json chosen = given(settings, "default_prompt_name");
    if (!chosen) return;
    const std::string_view wanted = string("default_prompt_name", chosen);
    const Json prompts = given(settings, "prompts");
    const Json prompt = prompts ? object("prompts", prompts).find(wanted) : Json();
    if (prompt && !prompt.is_null()) found.prompt = string("a prompt", prompt);
    if (!prompt && wanted != "query" && wanted != "document")
      throw Wrong{"default_prompt_name is " + library::brief(wanted) + ", which prompts lacks"};
    if (!found.prompt.empty() && !includes_prompt_) refuse("a prompt whose tokens are not pooled");
  }

  const ReadFile& read_;
  const std::string& where_;
  bool includes_prompt_ = true;
};

}  // namespace

std::optional<Sentence> read_sentence(const ReadFile& read, const std::string& where) {
  std::optional<std::string> modules = read("modules.json");
  if (!modules) return std::nullopt;
  Reader reader(read, where);
  try {
    return reader.modules(std::move(*modules));
  } catch (const Wrong& wrong) {
    throw Failure(LEANBERT_CORRUPT, where + '/' + reader.name + ": " + wrong.line + "; copy the model again");
  } catch (const text::Refused& error) {
    throw Failure(LEANBERT_CORRUPT, where + '/' + reader.name + ": " + error.what() + "; copy the model again");
  }
}

}  // namespace leanbert::library
