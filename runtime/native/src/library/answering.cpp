#include "library/answering.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "library/failure.h"
#include "library/numerics.h"
#include "scores/scores.h"
#include "text/json.h"
#include "text/refused.h"

namespace leanbert::library {
namespace {

// Of a group: enough for every thread, and few enough that its vectors take little memory (4,096 tokens of BERT-base:
// 12 MB). A text may have more tokens.
constexpr std::size_t most_tokens = 4096, most_texts = 1024;

bool is_json(const std::string& content) {
  try {
    return text::Document(content).root().is_object();
  } catch (const text::Refused&) {
    return false;
  }
}

text::Tokenizer read_tokenizer(const Bundle& bundle) {
  const std::string where = bundle.directory.shown("tokenizer.json");
  const auto side_file = [&](const char* name) { return bundle.content(name, most_json_bytes).value_or(""); };
  const std::string content = *bundle.content("tokenizer.json", most_tokenizer_bytes),
                    config = side_file("tokenizer_config.json"), map = side_file("special_tokens_map.json");
  try {
    return text::Tokenizer::read(content, config, map);
  } catch (const text::Refused& error) {
    throw Failure(is_json(content) ? LEANBERT_UNSUPPORTED : LEANBERT_CORRUPT, where + ": " + error.what());
  }
}

struct Check {
  const Bundle* bundle;
  std::optional<Failure> failure;
};

// Called by the engine between reading the weights and using them. The engine is compiled without exceptions, so none
// may pass through it.
int check_weights(void* context, const char* data, uint64_t bytes, Error& error) {
  Check& check = *static_cast<Check*>(context);
  try {
    check_content(check.bundle->directory, check.bundle->description->file, check.bundle->weights(), {data, bytes});
    return LB_OK;
  } catch (const Failure& failure) {
    check.failure = failure;
  } catch (...) {
    check.failure.emplace(LEANBERT_NO_MEMORY, "out of memory");
  }
  return error.fail(LB_INVALID_MODEL, "the weights are not the manifest's");
}

int status_of(int engine_status) {
  switch (engine_status) {
    case LB_NO_MEMORY: return LEANBERT_NO_MEMORY;
    case LB_UNSUPPORTED:
    case LB_NO_ISA: return LEANBERT_UNSUPPORTED;
    default: return LEANBERT_CORRUPT;
  }
}

Encoder* open_encoder(const Bundle& bundle, std::uint32_t threads) {
  const std::string where = bundle.directory.shown(bundle.description->file);
  const char* why_not;
  const Kernels* kernels = choose_kernels(std::getenv("LEANBERT_ISA"), &why_not);
  if (!kernels) throw Failure(LEANBERT_UNSUPPORTED, std::string("this machine cannot compute: ") + why_not);
  bundle.directory.check_place(bundle.description->file);
  const std::string path = bundle.directory.file(bundle.description->file);
  const lb_model_desc desc = bundle.description->record(path.c_str(), threads);
  Check check{&bundle, std::nullopt};
  const FileCheck file_check{bundle.weights().size, check_weights, &check};
  char line[256];
  Error error(line, sizeof line);
  int status;
  Encoder* encoder = Encoder::create(desc, *kernels, error, &status, &file_check);
  if (encoder) return encoder;
  if (check.failure) throw *check.failure;
  if (status == LB_IO) {  // the engine's own line names the whole path, which may be too long for a caller's buffer
    platform::FileCopy again;
    const char* why_not = again.open(path.c_str(), file_check.most);
    throw Failure(
        again.missing() ? LEANBERT_NOT_FOUND : LEANBERT_CORRUPT,
        where + ": cannot be read (" + (why_not ? why_not : "it changes") + "); copy or export the bundle again");
  }
  throw Failure(status_of(status), where + ": the engine refuses its layout (" + line + ")");
}

}  // namespace

std::string_view Texts::operator[](std::size_t i) const {
  if (!texts[i]) {
    if (sizes && !sizes[i]) return {};
    throw Failure(LEANBERT_INVALID_ARGUMENT, "texts[" + std::to_string(i) + "] is NULL");
  }
  return {texts[i], sizes ? sizes[i] : std::strlen(texts[i])};
}

Answering::Answering(const std::string& directory, std::uint32_t threads)
    : bundle_(directory), tokenizer_(read_tokenizer(bundle_)), encoder_(open_encoder(bundle_, threads)) {
  if (bundle_.task == Task::token_classification) entities_.emplace(tokenizer_, bundle_.labels);
  if (bundle_.max_length <= tokenizer_.special_tokens())
    throw Failure(LEANBERT_CORRUPT, library::shown(directory) + ": max_length is " +
                                        std::to_string(bundle_.max_length) +
                                        ", which leaves no room beside the special tokens; export it again");
}

void Answering::check_task(Task task) const {
  if (bundle_.task != task)
    throw Failure(LEANBERT_INVALID_ARGUMENT, std::string("the model's task is ") + name_of(bundle_.task) +
                                                 ", this function's is " + name_of(task));
}

void Answering::compute(const Texts& texts, const std::string& prompt, const std::function<void(Group&)>& take) const {
  Group group;
  std::size_t tokens = 0;
  std::string prompted;
  for (std::size_t i = 0; i < texts.count; i++) {
    std::string_view text = texts[i];
    if (!prompt.empty()) text = prompted.assign(prompt).append(text);
    text::Encoding encoding;
    try {
      tokenizer_.encode(text, bundle_.max_length, encoding);
    } catch (const text::Refused& error) {
      throw Failure(LEANBERT_INVALID_ARGUMENT, "text " + std::to_string(i) + ": " + error.what());
    }
    if (texts.cut) texts.cut[i] = encoding.cut;
    if (encoding.ids.empty())
      throw Failure(LEANBERT_FAILED, "text " + std::to_string(i) + ": has no tokens, so the model has no answer");
    if (!group.encodings.empty() &&
        (tokens + encoding.ids.size() > most_tokens || group.encodings.size() == most_texts)) {
      run(group);
      take(group);
      group.first = i;
      group.encodings.clear();
      tokens = 0;
    }
    tokens += encoding.ids.size();
    group.encodings.push_back(std::move(encoding));
  }
  if (group.encodings.empty()) return;
  run(group);
  take(group);
}

void Answering::run(Group& group) const {
  std::vector<std::int32_t> lengths, ids, types;
  for (const text::Encoding& encoding : group.encodings) {
    lengths.push_back(static_cast<std::int32_t>(encoding.ids.size()));
    ids.insert(ids.end(), encoding.ids.begin(), encoding.ids.end());
    types.insert(types.end(), encoding.types.begin(), encoding.types.end());
  }
  const Model& model = encoder_->model();
  group.rows.resize(model.output_rows(lengths.size(), ids.size()) * model.output_width());
  char line[256];
  Error error(line, sizeof line);
  const int status = encoder_->run(
      {lengths.size(), lengths.data(), ids.size(), ids.data(),
       bundle_.description->token_type_ids ? types.data() : nullptr, group.rows.data(), group.rows.size()},
      error);
  if (status != LB_OK)
    throw Failure(status == LB_NO_MEMORY ? LEANBERT_NO_MEMORY : LEANBERT_FAILED,
                  library::shown(bundle_.directory.path()) + ": failed to run (" + line + ")");
  if (!all_finite(group.rows.data(), group.rows.size()))
    throw Failure(LEANBERT_FAILED, library::shown(bundle_.directory.path()) +
                                       ": the model gives NaN or infinite numbers for one of texts " +
                                       std::to_string(group.first) + " to " +
                                       std::to_string(group.first + group.encodings.size() - 1));
}

void Answering::classify(const Texts& texts, std::uint32_t function, float* scores) const {
  check_task(Task::text_classification);
  const std::size_t labels = bundle_.labels.size();
  const Function chosen = function == LEANBERT_FUNCTION_BUNDLE    ? bundle_.function
                          : function == LEANBERT_FUNCTION_SOFTMAX ? Function::softmax
                          : function == LEANBERT_FUNCTION_SIGMOID ? Function::sigmoid
                                                                  : Function::none;
  compute(texts, "", [&](Group& group) {
    const PlainFloats mode;
    for (std::size_t i = 0; i < group.encodings.size() && chosen == Function::softmax; i++)
      softmax(group.rows.data() + i * labels, labels);
    if (chosen == Function::sigmoid) sigmoid(group.rows.data(), group.rows.size());
    std::copy(group.rows.begin(), group.rows.end(), scores + group.first * labels);
  });
}

std::vector<std::vector<Entity>> Answering::tag(const Texts& texts, Aggregation aggregation) const {
  check_task(Task::token_classification);
  std::vector<std::vector<Entity>> found(texts.count);
  const std::size_t labels = bundle_.labels.size();
  compute(texts, "", [&](Group& group) {
    const PlainFloats mode;
    float* scores = group.rows.data();
    for (std::size_t i = 0; i < group.encodings.size(); i++) {
      const text::Encoding& tokens = group.encodings[i];
      for (std::size_t t = 0; t < tokens.ids.size(); t++) softmax(scores + t * labels, labels);
      found[group.first + i] = entities_->read(texts[group.first + i], tokens, scores, aggregation);
      scores += tokens.ids.size() * labels;
    }
  });
  return found;
}

std::size_t Answering::vector_size(std::uint32_t pooling) const {
  if (bundle_.task != Task::feature_extraction) return 0;
  const std::size_t width = bundle_.description->width();
  if (pooling != LEANBERT_POOLING_BUNDLE || !bundle_.sentence) return width;
  const std::size_t all = width * bundle_.sentence->pooling.size(), kept = bundle_.sentence->truncate_dim;
  return kept && kept < all ? kept : all;
}

void Answering::embed(const Texts& texts, std::uint32_t pooling, bool normalizes, float* vectors) const {
  check_task(Task::feature_extraction);
  Sentence how;
  if (pooling != LEANBERT_POOLING_BUNDLE)
    how.pooling = {pooling == LEANBERT_POOLING_MEAN  ? Pooling::mean
                   : pooling == LEANBERT_POOLING_CLS ? Pooling::cls
                                                     : Pooling::max};
  else if (bundle_.sentence)
    how = *bundle_.sentence;
  else
    throw Failure(LEANBERT_INVALID_ARGUMENT,
                  "the bundle does not say how the vectors of a text's tokens become one: give a pooling");
  const std::size_t width = bundle_.description->width(), size = vector_size(pooling);
  std::vector<float> pooled(width * how.pooling.size());
  compute(texts, how.prompt, [&](Group& group) {
    const PlainFloats mode;
    const float* rows = group.rows.data();
    for (std::size_t i = 0; i < group.encodings.size(); i++) {
      const std::size_t tokens = group.encodings[i].ids.size();
      for (std::size_t j = 0; j < how.pooling.size(); j++)
        pool(how.pooling[j], rows, tokens, width, pooled.data() + j * width);
      if (how.normalize) normalize(pooled.data(), pooled.size());
      float* vector = vectors + (group.first + i) * size;
      std::copy(pooled.begin(), pooled.begin() + static_cast<std::ptrdiff_t>(size), vector);
      if (normalizes) normalize(vector, size);
      rows += tokens * width;
    }
    if (!all_finite(vectors + group.first * size, group.encodings.size() * size))
      throw Failure(LEANBERT_FAILED,
                    library::shown(bundle_.directory.path()) + ": the model gives vectors that are not finite");
  });
}

}  // namespace leanbert::library
