// Runs kept inputs without the fuzzer, so that any compiler's build can: each file that is named, and each in folders
// that are. --describe says first what is in each.
#include "case.hpp"
#include "instruction_sets.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

// libFuzzer's name.
// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size);

namespace {

namespace files = std::filesystem;

std::vector<files::path> inputs_in(const files::path &place) {
    if (!files::is_directory(place)) {
        return {place};
    }
    std::vector<files::path> inputs;
    for (const files::directory_entry &entry : files::directory_iterator(place)) {
        inputs.push_back(entry.path());
    }
    std::sort(inputs.begin(), inputs.end());
    return inputs;
}

bool replay(const files::path &input, bool describes) {
    std::ifstream file(input, std::ios::binary);
    const std::vector<char> text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (!file.is_open() || file.bad()) {
        std::fprintf(stderr, "cannot read %s\n", input.c_str());
        return false;
    }
    const std::vector<std::uint8_t> bytes(text.begin(), text.end());
    // Said beforehand: what fails ends the program.
    std::printf("%s\n", input.c_str());
    if (describes) {
        std::printf("%s\n", simdnorm_test::describe(simdnorm_test::decode(simdnorm_test::Input(bytes))).c_str());
    }
    std::fflush(stdout);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
    return true;
}

} // namespace

int main(int argc, char **argv) {
    const std::vector<std::string_view> words(argv + 1, argv + argc);
    const bool describes = !words.empty() && words.front() == "--describe";
    std::size_t count = 0;
    for (std::size_t i = describes ? 1 : 0; i < words.size(); ++i) {
        for (const files::path &input : inputs_in(words[i])) {
            if (!replay(input, describes)) {
                return 1;
            }
            ++count;
        }
    }
    if (count == 0) {
        std::fprintf(stderr, "usage: %s [--describe] FILE|FOLDER...\nNo inputs: nothing has been tested.\n", argv[0]);
        return 2;
    }
    std::printf("%zu inputs passed on", count);
    for (const std::string &set : simdnorm_test::usable_instruction_sets()) {
        std::printf(" %s", set.c_str());
    }
    std::printf("\n");
    return 0;
}
