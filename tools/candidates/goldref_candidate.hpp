// Lets goldref ask a C++17 program of yours. Needs the standard library and a POSIX system.
//
//     goldref::Arrays attention(const goldref::Question& question) {
//         const goldref::Array& q = question.array("q");
//         ...
//         return {{"out", {shape, numbers, "float32"}}};
//     }
//     int main() { return goldref::serve({{"attention", attention}}); }
//
// docs/candidates.md has the protocol. An operation without a function, and one that throws goldref::Unsupported, is
// unsupported; anything else that is thrown is an error. Once `serve` runs, what is printed to standard output, by
// child processes too, goes to standard error; print nothing before.
#pragma once

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace goldref {

struct Unsupported : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void need(bool holds, const std::string& otherwise) {
    if (!holds) throw std::runtime_error(otherwise);
}

// -------------------------------------------------------------------------------------------------------------- JSON

/// A JSON value. Those of an object stand in `items` too, in the order of their `names`; `true` has the number 1.
struct Json {
    enum Kind { Null, Bool, Number, Text, List, Object } kind = Null;
    double number = 0;
    std::string text;
    std::vector<Json> items;
    std::vector<std::string> names;

    /// The value of this name, or null.
    const Json& operator[](const std::string& name) const {
        static const Json null;
        const auto found = std::find(names.begin(), names.end(), name);
        return found == names.end() ? null : items[static_cast<size_t>(found - names.begin())];
    }
    double number_or(const std::string& name, double otherwise) const {
        const Json& value = (*this)[name];
        need(value.kind == Number || value.kind == Null, name + " is not a number");
        return value.kind == Number ? value.number : otherwise;
    }
    std::string text_or(const std::string& name, const std::string& otherwise) const {
        const Json& value = (*this)[name];
        need(value.kind == Text || value.kind == Null, name + " is not a string");
        return value.kind == Text ? value.text : otherwise;
    }
};

class JsonReader {
    const std::string& line;
    size_t at = 0;

    void must(bool holds) { need(holds, "the question is no JSON at byte " + std::to_string(at)); }
    char peek() {  // the next character that is no blank; 0 at the end
        at = std::min(line.find_first_not_of(" \t\r\n", at), line.size());
        return at < line.size() ? line[at] : '\0';
    }
    char next() {
        must(at < line.size());
        return line[at++];
    }
    bool take(const std::string& word) {
        const bool found = line.compare(at, word.size(), word) == 0;
        at += found ? word.size() : 0;
        return found;
    }

    Json value(int depth) {
        must(depth < 100);  // deeper than any question, and less than the stack holds
        Json json;
        const char first = peek();
        if (first == '{' || first == '[') {
            json.kind = first == '{' ? Json::Object : Json::List;
            const char last = first == '{' ? '}' : ']';
            for (next(); peek() != last;) {
                must(json.items.empty() || (next() == ',' && peek() != last));
                if (first == '{') {
                    const std::string name = string();
                    must(std::count(json.names.begin(), json.names.end(), name) == 0 && peek() == ':' && next());
                    json.names.push_back(name);
                }
                json.items.push_back(value(depth + 1));
            }
            next();
        } else if (first == '"') {
            json.kind = Json::Text;
            json.text = string();
        } else if (take("true") || take("false")) {
            json.kind = Json::Bool;
            json.number = first == 't';
        } else if (!take("null")) {
            json.kind = Json::Number;
            json.number = number();
        }
        return json;
    }

    double number() {  // strtod takes more than JSON has, so the grammar is looked at first
        const size_t begin = at;
        take("-");
        if (!take("0")) digits();
        if (take(".")) digits();
        if (take("e") || take("E")) {
            if (!take("+")) take("-");
            digits();
        }
        return std::strtod(line.substr(begin, at - begin).c_str(), nullptr);
    }
    void digits() {
        const size_t begin = at;
        at = std::min(line.find_first_not_of("0123456789", at), line.size());
        must(at > begin);
    }

    std::string string() {
        static const std::string escapes = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
        std::string text;
        must(peek() == '"' && next());
        while (!take("\"")) {
            const char c = next();
            must(static_cast<unsigned char>(c) >= 0x20);
            if (c != '\\') {
                text += c;
            } else if (take("u")) {
                text += character();
            } else {
                const size_t which = escapes.find(next());
                must(which != std::string::npos);
                text += meant[which];
            }
        }
        return text;
    }
    std::string character() {  // what stands behind \u, as UTF-8
        uint32_t code = unit();
        must(code >> 10 != 0x37);  // the second half of a pair
        if (code >> 10 == 0x36) {
            must(take("\\u"));
            const uint32_t second = unit();
            must(second >> 10 == 0x37);
            code = 0x10000 + ((code & 1023) << 10) + (second & 1023);
        }
        const auto rest = [&](int bits) { return static_cast<char>(0x80 | (code >> bits & 63)); };
        if (code < 0x80) return {static_cast<char>(code)};
        if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), rest(0)};
        if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), rest(6), rest(0)};
        return {static_cast<char>(0xf0 | code >> 18), rest(12), rest(6), rest(0)};
    }
    uint32_t unit() {
        for (int i = 0; i < 4; i++) must(std::isxdigit(static_cast<unsigned char>(next())));
        return static_cast<uint32_t>(std::stoul(line.substr(at - 4, 4), nullptr, 16));
    }

public:
    explicit JsonReader(const std::string& text) : line(text) {}
    Json read() {
        Json json = value(0);
        peek();
        must(at == line.size());
        return json;
    }
};

// ------------------------------------------------------------------------------------------------------------ arrays

/// Numbers in C order: the last index runs fastest. Integers beyond 2^53 are rounded.
struct Array {
    std::vector<size_t> shape;
    std::vector<double> data;
    std::string dtype;  // as NumPy calls it; an answer's is float64, float32 or int64
};
using Arrays = std::map<std::string, Array>;

/// What a file says of itself may be wrong: all access to its bytes goes through here.
inline std::string slice(const std::string& bytes, size_t at, size_t size) {
    need(at <= bytes.size() && size <= bytes.size() - at, "ends too early");
    return bytes.substr(at, size);
}
inline uint64_t word(const std::string& bytes, size_t at, size_t size) {  // little-endian, as all numbers here
    const std::string part = slice(bytes, at, size);
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;) value = value << 8 | static_cast<unsigned char>(part[i]);
    return value;
}
inline std::string bytes_of(uint64_t value, size_t size) {
    std::string bytes;
    for (size_t i = 0; i < size; i++, value >>= 8) bytes += static_cast<char>(value & 0xff);
    return bytes;
}
template <typename To, typename From>
To same_bits(From from) {
    To to;
    static_assert(sizeof to == sizeof from, "as many bits");
    std::memcpy(&to, &from, sizeof to);
    return to;
}

inline double number(char kind, size_t size, uint64_t bits) {
    if (kind == 'f' && size == 8) return same_bits<double>(bits);
    if (kind == 'f' && size == 4) return same_bits<float>(static_cast<uint32_t>(bits));
    if (kind == 'f') {
        const int exponent = bits >> 10 & 31;
        const double fraction = static_cast<double>(bits & 1023), sign = bits >> 15 ? -1 : 1;
        if (exponent == 31) return fraction == 0 ? sign * HUGE_VAL : NAN;
        return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
    }
    const uint64_t sign = uint64_t(1) << (8 * size - 1);
    return kind == 'i' ? static_cast<double>(static_cast<int64_t>((bits ^ sign) - sign)) : static_cast<double>(bits);
}

/// The product of the lengths. Beside a 0 as well, none is so large that sums of some overflow.
inline size_t count(const std::vector<size_t>& shape) {
    size_t product = 1;
    for (size_t length : shape) {
        need(length <= SIZE_MAX / 8 / std::max<size_t>(product, 1), "has a shape that no memory holds");
        product *= length;
    }
    return product;
}

/// What stands between two marks. NumPy and goldref write all headers alike, so no parser is needed.
inline std::string between(const std::string& header, const std::string& open, const std::string& close) {
    const size_t at = header.find(open);
    need(at != std::string::npos, "has a header without " + open);
    const size_t begin = at + open.size(), end = header.find(close, begin);
    need(end != std::string::npos, "has a header that ends in " + open);
    return header.substr(begin, end - begin);
}

inline Array read_npy(const std::string& file) {
    need(slice(file, 0, 6) == "\x93NUMPY", "is no npy file");
    const size_t start = word(file, 6, 1) == 1 ? 10 : 12, length = word(file, 8, start - 8), begin = start + length;
    const std::string header = slice(file, start, length), descr = between(header, "'descr': '", "'");
    const size_t known = std::string("<f8 <f4 <f2 <i8 <i4 <i2 |i1 <u8 <u4 <u2 |u1 |b1").find(descr);
    need(descr.size() == 3 && known % 4 == 0, "has the dtype " + descr + ", which is not read here");
    need(between(header, "'fortran_order': ", ",") == "False", "is in Fortran order, which is not read here");

    const char kind = descr[1];
    const size_t size = static_cast<size_t>(descr[2] - '0');
    const std::string word_of = kind == 'f' ? "float" : kind == 'i' ? "int" : kind == 'u' ? "uint" : "bool";
    Array array{{}, {}, word_of + (kind == 'b' ? "" : std::to_string(8 * size))};
    std::istringstream lengths(between(header, "'shape': (", ")"));
    for (std::string text; std::getline(lengths >> std::ws, text, ',');) {
        need(!text.empty() && text.find_first_not_of("0123456789") == std::string::npos, "has a malformed shape");
        array.shape.push_back(std::stoull(text));
    }
    // By division: a product of numbers of a file may overflow.
    const size_t numbers = count(array.shape), left = file.size() - begin;
    need(left / size == numbers && left % size == 0, "has more or less data than its shape says");
    array.data.reserve(numbers);
    for (size_t at = begin; at < file.size(); at += size) {
        array.data.push_back(number(kind, size, word(file, at, size)));
    }
    return array;
}

inline std::string npy(const std::string& name, const Array& array) {
    const bool f8 = array.dtype == "float64", f4 = array.dtype == "float32";
    need(f8 || f4 || array.dtype == "int64", name + " is \"" + array.dtype + "\", which is not written here");
    need(count(array.shape) == array.data.size(), name + " has more or less data than its shape says");
    std::string header = std::string("{'descr': '") + (f8 ? "<f8" : f4 ? "<f4" : "<i8");
    header += "', 'fortran_order': False, 'shape': (";
    for (size_t length : array.shape) header += std::to_string(length) + ", ";
    header += "), }\n";
    std::string file = "\x93NUMPY\1" + bytes_of(0, 1) + bytes_of(header.size(), 2) + header;
    for (double x : array.data) {
        need(f8 || f4 || (std::abs(x) <= 0x1p53 && std::trunc(x) == x), name + " has a number that is no int64");
        file += f8   ? bytes_of(same_bits<uint64_t>(x), 8)
                : f4 ? bytes_of(same_bits<uint32_t>(static_cast<float>(x)), 4)
                     : bytes_of(static_cast<uint64_t>(static_cast<int64_t>(x)), 8);
    }
    return file;
}

inline uint32_t crc32(const std::string& bytes) {
    uint32_t crc = ~0u;
    for (char byte : bytes) {
        crc ^= static_cast<unsigned char>(byte);
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/// An npz file is a zip archive of npy files, with a directory at its end.
inline Arrays read_npz(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    need(stream.good(), path + " cannot be opened");
    const std::string file{std::istreambuf_iterator<char>(stream), {}};
    const size_t end = file.rfind("PK\5\6");
    need(end != std::string::npos, path + " is no npz file, or not all of one");
    const std::string last = slice(file, end, 22);
    Arrays arrays;
    size_t at = word(last, 16, 4);
    for (uint64_t left = word(last, 10, 2); left > 0; left--) {
        need(slice(file, at, 4) == "PK\1\2", path + " has a damaged directory");
        const size_t crc = word(file, at + 16, 4), size = word(file, at + 20, 4), local = word(file, at + 42, 4);
        const std::string member = slice(file, at + 46, word(file, at + 28, 2));
        const std::string name = member.substr(0, member.rfind(".npy"));
        try {
            need(word(file, at + 10, 2) == 0, "is compressed; write it with numpy.savez");
            need(slice(file, local, 4) == "PK\3\4", "is not where the directory says");
            const size_t before = 30 + word(file, local + 26, 2) + word(file, local + 28, 2);
            const std::string data = slice(file, local + before, size);
            need(crc32(data) == crc, "is damaged");
            need(arrays.emplace(name, read_npy(data)).second, "is there twice");
        } catch (const std::exception& error) {
            throw std::runtime_error("the array " + name + " " + error.what());
        }
        at += 46 + word(file, at + 28, 2) + word(file, at + 30, 2) + word(file, at + 32, 2);
    }
    return arrays;
}

inline void write_npz(const std::string& path, const Arrays& arrays) {
    std::string file, directory;
    for (const auto& [name, array] : arrays) {
        const std::string member = name + ".npy", data = npy(name, array), size = bytes_of(data.size(), 4);
        // For version 2.0 of zip, no flags, stored, dated 1980-01-01.
        const std::string entry = bytes_of(20, 8) + bytes_of(33, 2) + bytes_of(crc32(data), 4) + size + size +
                                  bytes_of(member.size(), 2) + bytes_of(0, 2);
        directory += "PK\1\2" + bytes_of(20, 2) + entry + bytes_of(0, 10) + bytes_of(file.size(), 4) + member;
        file += "PK\3\4" + entry + member + data;
    }
    need(file.size() < 0xffffffff, "answers of 4 GiB are not written here");
    const std::string entries = bytes_of(arrays.size(), 2);
    const std::string end = "PK\5\6" + bytes_of(0, 4) + entries + entries + bytes_of(directory.size(), 4) +
                            bytes_of(file.size(), 4) + bytes_of(0, 2);
    // goldref never sees half a file.
    const std::string part = path + ".part";
    std::ofstream stream(part, std::ios::binary);
    stream << file << directory << end;
    stream.close();
    const bool written = stream.good() && std::rename(part.c_str(), path.c_str()) == 0;
    if (!written) std::remove(part.c_str());
    need(written, path + " cannot be written");
}

// ----------------------------------------------------------------------------------------------------------- serving

struct Question {
    Json params;
    Arrays arrays;
    std::string model;  // folder of the checkpoint; empty where there is none

    const Array& array(const std::string& name) const {
        need(arrays.count(name) == 1, "there is no array " + name);
        return arrays.at(name);
    }
};
using Functions = std::map<std::string, std::function<Arrays(const Question&)>>;

/// As a JSON string, of ASCII alone: a message may hold anything, and what is cut from UTF-8 is no UTF-8.
inline std::string quoted(const std::string& text) {
    std::string json = "\"";
    for (char c : text.substr(0, 2000)) {
        if (c == '"' || c == '\\') json += '\\';
        json += c >= ' ' && c <= '~' ? c : c == '\n' || c == '\t' ? ' ' : '?';
    }
    return json + '"';
}

inline void answer(const Json& asked, const Functions& functions) {
    need(asked.number_or("protocol", 0) == 1, "this goldref_candidate.hpp speaks protocol 1 alone");
    const std::string op = asked.text_or("op", ""), inputs = asked.text_or("inputs", "");
    const auto function = functions.find(op);
    if (function == functions.end()) throw Unsupported("no function for " + op);
    const Question question{asked["params"], inputs.empty() ? Arrays() : read_npz(inputs), asked.text_or("model", "")};
    write_npz(asked.text_or("outputs", ""), function->second(question));
}

/// Answers questions until standard input ends; each function is named by the operation that it evaluates.
inline int serve(const Functions& functions) {
    // What the functions print or read must not get among questions and answers, so these move to other descriptors.
    std::FILE* const questions = fdopen(fcntl(0, F_DUPFD_CLOEXEC, 3), "r");
    std::FILE* const answers = fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "w");
    if (!questions || !answers || !std::freopen("/dev/null", "r", stdin) || dup2(2, 1) < 0) return 1;
    std::cout << std::unitbuf;  // lest prints are lost in a crash
    char* line = nullptr;
    size_t room = 0;
    for (ssize_t length; (length = getline(&line, &room, questions)) > 0;) {
        const char* status = "ok";
        std::string id = "null", message;
        try {
            const Json asked = JsonReader(std::string(line, static_cast<size_t>(length))).read();
            id = quoted(asked.text_or("id", ""));
            answer(asked, functions);
        } catch (const Unsupported& why) {
            status = "unsupported", message = why.what();
        } catch (const std::exception& error) {
            status = "error", message = error.what();
        } catch (...) {
            status = "error", message = "something was thrown that is no std::exception";
        }
        std::fflush(stdout);
        message = quoted(message);
        std::fprintf(answers, R"({"id": %s, "status": "%s", "message": %s})" "\n", id.c_str(), status, message.c_str());
        std::fflush(answers);
    }
    std::free(line);
    return 0;
}

}  // namespace goldref
