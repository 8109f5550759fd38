// Softmax attention in float, as a program that goldref can ask: README.md says how.
#include "goldref_candidate.hpp"

#include <set>

using goldref::Array;
using goldref::Arrays;
using goldref::need;
using goldref::Question;
using goldref::Unsupported;

// [batch, heads, len, dim] in float.
struct Tensor {
    size_t batch, heads, len, dim;
    std::vector<float> data;

    float* row(size_t b, size_t h, size_t i) { return data.data() + ((b * heads + h) * len + i) * dim; }
};

Tensor tensor(const Array& array) {
    const auto& shape = array.shape;
    // bfloat16 comes as uint16, whose numbers are others.
    if (array.dtype.compare(0, 5, "float") != 0) throw Unsupported("numbers stored as " + array.dtype);
    if (shape.size() != 4) throw Unsupported("arrays without four axes");
    return {shape[0], shape[1], shape[2], shape[3], {array.data.begin(), array.data.end()}};
}

// Keys or values: those of the cache, if there is one, and the new ones behind them.
Tensor joined(const Question& question, const std::string& past_name, const std::string& name) {
    Tensor now = tensor(question.array(name));
    if (!question.arrays.count(past_name)) return now;
    Tensor past = tensor(question.array(past_name)), all{now.batch, now.heads, past.len + now.len, now.dim, {}};
    need(past.batch == now.batch && past.heads == now.heads && past.dim == now.dim, past_name + " does not fit");
    for (size_t b = 0; b < all.batch; b++) {
        for (size_t h = 0; h < all.heads; h++) {
            all.data.insert(all.data.end(), past.row(b, h, 0), past.row(b, h, past.len));
            all.data.insert(all.data.end(), now.row(b, h, 0), now.row(b, h, now.len));
        }
    }
    return all;
}

float dot(const float* a, const float* b, size_t dim) {
    float sum = 0;
    for (size_t d = 0; d < dim; d++) sum += a[d] * b[d];
    return sum;
}

// out = softmax(scale q kᵀ) v, over the keys that a query may attend to.
Arrays attention(const Question& question) {
    // What is not known here may change the answer, so nothing is passed over.
    const std::set<std::string> known_params{"scale", "causal"};
    const std::set<std::string> known_arrays{"q", "k", "v", "past_key", "past_value", "attention_mask"};
    for (const auto& name : question.params.names)
        if (!known_params.count(name)) throw Unsupported("the parameter " + name);
    for (const auto& [name, array] : question.arrays)
        if (!known_arrays.count(name)) throw Unsupported("the array " + name);

    Tensor q = tensor(question.array("q"));
    Tensor k = joined(question, "past_key", "k"), v = joined(question, "past_value", "v");
    need(k.batch == q.batch && k.dim == q.dim && k.heads > 0 && q.heads % k.heads == 0, "k does not fit q");
    need(v.batch == k.batch && v.heads == k.heads && v.len == k.len, "v does not fit k");
    const Array* mask = question.arrays.count("attention_mask") ? &question.array("attention_mask") : nullptr;
    need(!mask || mask->shape == std::vector<size_t>{k.batch, k.len}, "attention_mask is not [batch, kv_len]");

    const auto scale = static_cast<float>(question.params.number_or("scale", 1 / std::sqrt(double(q.dim))));
    const std::string causal = question.params.text_or("causal", "none");
    // Query i is aligned with key i + offset, and attends to none behind it.
    const ptrdiff_t q_len = q.len, kv_len = k.len, past_len = kv_len - ptrdiff_t(question.array("k").shape[2]);
    const std::map<std::string, ptrdiff_t> offsets{
        {"none", kv_len}, {"top_left", 0}, {"past", past_len}, {"bottom_right", kv_len - q_len}};
    if (!offsets.count(causal)) throw Unsupported("causal: " + causal);
    const ptrdiff_t offset = offsets.at(causal);

    Tensor out{q.batch, q.heads, q.len, v.dim, {}};
    out.data.resize(goldref::count({out.batch, out.heads, out.len, out.dim}));
    for (size_t b = 0; b < q.batch; b++) for (size_t h = 0; h < q.heads; h++) for (ptrdiff_t i = 0; i < q_len; i++) {
        const size_t kv_head = h / (q.heads / k.heads);
        // Keys behind the mask are not read at all: there may stand NaN.
        std::vector<size_t> keys;
        std::vector<float> probs;
        float largest = -INFINITY, sum = 0;
        for (ptrdiff_t j = 0; j < kv_len && j - i <= offset; j++) {
            if (mask && mask->data[b * k.len + j] == 0) continue;
            keys.push_back(j);
            probs.push_back(scale * dot(q.row(b, h, i), k.row(b, kv_head, j), q.dim));
            largest = std::max(largest, probs.back());
        }
        for (float& prob : probs) sum += prob = std::exp(prob - largest);
        // A query without keys has no term here: its output stays 0.
        for (size_t n = 0; n < keys.size(); n++)
            for (size_t d = 0; d < v.dim; d++) out.row(b, h, i)[d] += probs[n] / sum * v.row(b, kv_head, keys[n])[d];
    }
    return {{"out", {{out.batch, out.heads, out.len, out.dim}, {out.data.begin(), out.data.end()}, "float32"}}};
}

int main() { return goldref::serve({{"attention", attention}}); }
