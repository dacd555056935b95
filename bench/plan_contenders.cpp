#include "plan_contenders.hpp"

#include "simdnorm_contender.hpp"

#include "execution_plan.hpp"
#include "instruction_set.hpp"
#include "layer_norm.hpp"

#include <functional>
#include <stdexcept>
#include <utility>

namespace bench {

namespace {

using simdnorm::any_number_of_lines;
using simdnorm::BackwardPlan;
using simdnorm::ExecutionPlan;
using simdnorm::FetchInto;
using simdnorm::Grouping;
using simdnorm::Traffic;
using simdnorm::Walk;

// Of one choice.
template <class Arguments, class Plan>
struct Value {
    std::string choice;
    std::string name;
    std::function<Plan(const Arguments &, const Plan &)> put_into; // what a plan for these arguments becomes with it
};

// What passes do not share, under names that they do.
struct Forward {
    using Arguments = simdnorm_layer_norm_args;
    using Problem = ForwardProblem;
    using Plan = ExecutionPlan;
    using Value = bench::Value<Arguments, Plan>;

    static Plan plan(const Arguments &args) { return simdnorm::plan_layer_norm(args, simdnorm::machine_in_use()); }
    static Plan with_group(const Arguments &args, const Plan &plan, Grouping grouping) {
        return simdnorm::plan_layer_norm(args, grouping, plan.traffic, simdnorm::machine_in_use());
    }
    static Plan with_traffic(const Arguments &args, const Plan &plan, Traffic traffic) {
        return simdnorm::plan_layer_norm(args, plan.grouping, traffic, simdnorm::machine_in_use());
    }
    static bool fits(const Plan &plan, std::size_t columns) {
        return !simdnorm::is_overlapped(plan.grouping) || columns <= simdnorm::statistics_block;
    }
    static void run(const Arguments &args, const Plan &plan) { simdnorm::layer_norm(args, plan); }
    static std::vector<Value> values();
};

struct Backward {
    using Arguments = simdnorm_layer_norm_backward_args;
    using Problem = BackwardProblem;
    using Plan = BackwardPlan;
    using Value = bench::Value<Arguments, Plan>;

    static Plan plan(const Arguments &args) {
        return simdnorm::plan_layer_norm_backward(args, simdnorm::machine_in_use());
    }
    static Plan with_group(const Arguments &args, const Plan &plan, std::size_t rows_of_group) {
        return simdnorm::plan_layer_norm_backward(args, rows_of_group, plan.traffic, simdnorm::machine_in_use());
    }
    static Plan with_traffic(const Arguments &args, const Plan &plan, Traffic traffic) {
        return simdnorm::plan_layer_norm_backward(args, plan.rows_of_group, traffic, simdnorm::machine_in_use());
    }
    static bool fits(const Plan &plan, std::size_t columns) {
        return !plan.in_turns || simdnorm::can_take_turns(columns, plan.rows_of_group, plan.traffic);
    }
    static void run(const Arguments &args, const Plan &plan) {
        if (simdnorm::layer_norm_backward(args, plan) != SIMDNORM_OK) {
            throw std::runtime_error(simdnorm_last_error());
        }
    }
    static std::vector<Value> values();
};

template <class Direction, class Group>
typename Direction::Value group(const char *choice, const char *name, Group group) {
    return {choice, name,
            [group](const auto &args, const auto &plan) { return Direction::with_group(args, plan, group); }};
}

template <class Direction>
typename Direction::Value traffic(const char *name, Traffic traffic) {
    return {"traffic", name,
            [traffic](const auto &args, const auto &plan) { return Direction::with_traffic(args, plan, traffic); }};
}

// Of a choice on which no other depends.
template <class Direction, class Field>
typename Direction::Value field(const char *choice, const char *name, Field Direction::Plan::*member, Field value) {
    return {choice, name, [member, value](const auto &, auto plan) {
                plan.*member = value;
                return plan;
            }};
}

template <class Direction>
std::vector<typename Direction::Value> values_of_both_passes() {
    using Plan = typename Direction::Plan;
    return {traffic<Direction>("cached", Traffic::cached),
            traffic<Direction>("fetched", Traffic::fetched),
            traffic<Direction>("streamed", Traffic::streamed),
            traffic<Direction>("packed", Traffic::packed),
            field<Direction>("lines_at_once", "4", &Plan::lines_at_once, std::size_t{4}),
            field<Direction>("lines_at_once", "8", &Plan::lines_at_once, std::size_t{8}),
            field<Direction>("lines_at_once", "12", &Plan::lines_at_once, std::size_t{12}),
            field<Direction>("lines_at_once", "16", &Plan::lines_at_once, std::size_t{16}),
            field<Direction>("lines_at_once", "24", &Plan::lines_at_once, std::size_t{24}),
            field<Direction>("lines_at_once", "any", &Plan::lines_at_once, any_number_of_lines),
            field<Direction>("fetch_into", "l1", &Plan::fetch_into, FetchInto::l1),
            field<Direction>("fetch_into", "l2", &Plan::fetch_into, FetchInto::l2),
            field<Direction>("walk", "unrolled", &Plan::walk, Walk::unrolled),
            field<Direction>("walk", "in_loops", &Plan::walk, Walk::in_loops)};
}

std::vector<Forward::Value> Forward::values() {
    std::vector<Value> values = {
        group<Forward>("grouping", "interleaved_eights", Grouping::interleaved_eights),
        group<Forward>("grouping", "overlapped_eights", Grouping::overlapped_eights),
        group<Forward>("grouping", "overlapped_fours", Grouping::overlapped_fours),
        group<Forward>("grouping", "overlapped_pairs", Grouping::overlapped_pairs),
        group<Forward>("grouping", "overlapped_rows", Grouping::overlapped_rows),
        group<Forward>("grouping", "fours_in_turns", Grouping::fours_in_turns),
        group<Forward>("grouping", "pairs_in_turns", Grouping::pairs_in_turns),
        group<Forward>("grouping", "rows_in_turns", Grouping::rows_in_turns),
        group<Forward>("grouping", "fours", Grouping::fours),
        group<Forward>("grouping", "rows", Grouping::rows),
        field<Forward>("fetches_twice", "no", &Plan::fetches_twice, false),
        field<Forward>("fetches_twice", "yes", &Plan::fetches_twice, true),
        field<Forward>("asks_for_y", "no", &Plan::asks_for_y, false),
        field<Forward>("asks_for_y", "yes", &Plan::asks_for_y, true),
    };
    const auto shared = values_of_both_passes<Forward>();
    values.insert(values.end(), shared.begin(), shared.end());
    return values;
}

std::vector<Backward::Value> Backward::values() {
    std::vector<Value> values = {
        group<Backward>("rows_of_group", "8", std::size_t{8}),
        group<Backward>("rows_of_group", "4", std::size_t{4}),
        group<Backward>("rows_of_group", "2", std::size_t{2}),
        group<Backward>("rows_of_group", "1", std::size_t{1}),
        field<Backward>("in_turns", "no", &Plan::in_turns, false),
        field<Backward>("in_turns", "yes", &Plan::in_turns, true),
        field<Backward>("prefetch_lead", "64", &Plan::prefetch_lead, std::size_t{64}),
        field<Backward>("prefetch_lead", "256", &Plan::prefetch_lead, std::size_t{256}),
        field<Backward>("prefetch_lead", "1024", &Plan::prefetch_lead, std::size_t{1024}),
        field<Backward>("prefetch_lead", "2048", &Plan::prefetch_lead, std::size_t{2048}),
        field<Backward>("prefetch_lead", "4096", &Plan::prefetch_lead, std::size_t{4096}),
    };
    const auto shared = values_of_both_passes<Backward>();
    values.insert(values.end(), shared.begin(), shared.end());
    return values;
}

// A plan looks at where arrays lie, not into them: the output begins a line, as that of the workspace does.
alignas(simdnorm::cache_line_floats * sizeof(float)) float some_input[1] = {};
alignas(simdnorm::cache_line_floats * sizeof(float)) float some_output[1] = {};

Forward::Arguments forward_arguments(const Shape &shape, int threads) {
    return arguments(
        ForwardProblem{shape, threads, some_input, some_input, some_input, 0.0, some_output, some_output, some_output});
}

Backward::Arguments backward_arguments(const Shape &shape, int threads) {
    return arguments(BackwardProblem{shape, threads, some_input, some_input, some_input, some_input, some_input, 0.0,
                                     some_output, some_output, some_output});
}

// Streaming stores write whole lines.
template <class Direction>
bool is_possible(const typename Direction::Plan &plan, std::size_t columns) {
    return Direction::fits(plan, columns) &&
           (plan.traffic != Traffic::streamed || columns % simdnorm::cache_line_floats == 0);
}

template <class Direction>
Prepare<typename Direction::Problem> prepare_with(const typename Direction::Value &value, const std::string &set) {
    return [value, set](const typename Direction::Problem &problem) -> Call {
        use_instruction_set(set);
        const auto args = arguments(problem);
        return {[args, plan = value.put_into(args, Direction::plan(args))] { Direction::run(args, plan); }};
    };
}

template <class Direction, class ArgumentsOf>
std::vector<Contender> contenders_of(const std::string &set, const ArgumentsOf &arguments_of,
                                     Prepare<typename Direction::Problem> Contender::*prepare) {
    std::vector<Contender> contenders;
    for (const typename Direction::Value &value : Direction::values()) {
        Contender contender = {value.choice, value.name, Kind::simdnorm, false, {}, {}};
        contender.*prepare = prepare_with<Direction>(value, set);
        contender.can_take = [value, arguments_of](const Shape &shape) {
            const auto args = arguments_of(shape, 1);
            return is_possible<Direction>(value.put_into(args, Direction::plan(args)), shape.columns);
        };
        contenders.push_back(std::move(contender));
    }
    return contenders;
}

template <class Direction>
std::string value_in_plan(const std::string &choice, const typename Direction::Arguments &args) {
    const typename Direction::Plan plan = Direction::plan(args);
    for (const typename Direction::Value &value : Direction::values()) {
        if (value.choice == choice && value.put_into(args, plan) == plan) {
            return value.name;
        }
    }
    throw std::logic_error("a plan has a value of " + choice + " that is not measured");
}

} // namespace

std::vector<Contender> plan_contenders(const std::string &instruction_set) {
    use_instruction_set(instruction_set); // on which plans depend
    std::vector<Contender> all = contenders_of<Forward>(instruction_set, forward_arguments, &Contender::forward);
    const auto backward = contenders_of<Backward>(instruction_set, backward_arguments, &Contender::backward);
    all.insert(all.end(), backward.begin(), backward.end());
    return all;
}

std::string planned_value(const std::string &instruction_set, Pass pass, const std::string &choice, const Shape &shape,
                          int threads) {
    use_instruction_set(instruction_set);
    return pass == Pass::forward ? value_in_plan<Forward>(choice, forward_arguments(shape, threads))
                                 : value_in_plan<Backward>(choice, backward_arguments(shape, threads));
}

} // namespace bench
