// The functions each instruction set defines; included inside its namespace. kernels.h says what they do.
void product(const ProductCall& call);
void quantize(const float* x, size_t n, const float* smoothing, const QuantizedRows& out, size_t row);
void quantize_ranged(const float* x, size_t n, const float* ranges, size_t range_stride, size_t count,
                     const QuantizedRows& out, size_t row);
void layer_norm(float* x, size_t n, const float* gamma, const float* beta, float eps);
void layer_norm_quantize(float* x, size_t n, const float* gamma, const float* beta, float eps, const float* smoothing,
                         const QuantizedRows& out, size_t row);
void activate(float* x, size_t n, Activation activation);
void embed(float* out, size_t n, const void* word, bool word_int8, float word_scale, const void* position,
           bool position_int8, float position_scale, const float* token_type);
void attention(const AttentionCall& call);
void attention_int16(const AttentionCall& call);
size_t attention_scratch(size_t length, size_t width);
double roof(double seconds);
