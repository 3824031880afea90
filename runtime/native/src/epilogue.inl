// What happens to a block of finished sums, on both paths alike (included inside an ISA's namespace).
//
//   value = sum * column scale * row scale + bias, rounded in this order:  fma(sum * column, row, bias)
//
// The sums arrive as block[row][Panel] (int32, or f32 for f32 weights), still in the first-level cache.

template <Store S, Activation A, bool Int8>
LB_INLINE void finish(const ProductCall& call, const void* block, size_t panel_width, size_t row, size_t rows,
                      size_t column) {
  const Product& product = *call.product;
  for (size_t v = 0; v < panel_width; v += 16) {
    const F bias = load(product.bias + column + v);
    const F scale = Int8 ? load(product.scale + column + v) : zeros();
    for (size_t i = 0; i < rows; i++) {
      F y;
      if (Int8) {
        const F sum = from_int(static_cast<const int32_t*>(block) + i * panel_width + v);
        y = fma(mul(sum, scale), all(call.input.scale[row + i]), bias);
      } else {
        y = add(load(static_cast<const float*>(block) + i * panel_width + v), bias);
      }
      y = activation_lanes<A>(y);
      float* out = call.out + (row + i) * call.out_stride + (column - call.first_panel * panel_width) + v;
      if (S == Store::residual) y = add(y, load(out));
      store(out, y);
      if (S == Store::activated) {
        float* range = call.range + (row + i) * range_floats;
        store(range, min(load(range), y));
        store(range + 16, max(load(range + 16), y));
      }
    }
  }
}

template <bool Int8>
LB_INLINE void finish_any(const ProductCall& call, const void* block, size_t panel_width, size_t row, size_t rows,
                          size_t column) {
  switch (call.store) {
    case Store::plain:
      return finish<Store::plain, Activation::identity, Int8>(call, block, panel_width, row, rows, column);
    case Store::residual:
      return finish<Store::residual, Activation::identity, Int8>(call, block, panel_width, row, rows, column);
    case Store::activated: break;
  }
  switch (call.activation) {
    case Activation::gelu:
      return finish<Store::activated, Activation::gelu, Int8>(call, block, panel_width, row, rows, column);
    case Activation::gelu_tanh:
      return finish<Store::activated, Activation::gelu_tanh, Int8>(call, block, panel_width, row, rows, column);
    default: return finish<Store::activated, Activation::relu, Int8>(call, block, panel_width, row, rows, column);
  }
}
