"""The comparisons of scripts/gpu-check on values made by hand. `python3 -B -m unittest discover -s scripts/gpu/tests`"""

import math
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import compare  # noqa: E402
import report  # noqa: E402
from compare import FAILED, IMPOSSIBLE, OK  # noqa: E402

HGMMA, HMMA = "sm__ops_path_tensor_op_hgmma_src_bf16_dst_fp32_sparsity_", "sm__ops_path_tensor_op_hmma_src_bf16_dst_fp32_sparsity_"
TOTAL = "sm__ops_path_tensor_src_bf16_dst_fp32"


def verdicts(rows):
    return [row["verdict"] for row in rows]


class Within(unittest.TestCase):
    def test_limits_belong_to_what_passes(self):
        self.assertEqual([compare.within("c", 100, value, 0.9, 1.1, "")["verdict"] for value in (90, 110, 89.9, 110.1)],
                         [OK, OK, FAILED, FAILED])

    def test_a_value_that_is_no_finite_number_fails_and_an_absent_one_is_not_possible(self):
        self.assertEqual([compare.within("c", 1, value, 0, 2, "")["verdict"] for value in (math.nan, math.inf, "1", True, None)],
                         [FAILED, FAILED, FAILED, FAILED, IMPOSSIBLE])
        self.assertEqual(compare.within("c", 0, 1, 0, 2, "")["verdict"], FAILED)


class Times(unittest.TestCase):
    def kernels(self, total):
        # 2 of warm-up and 10 timed; a second kernel belongs to each product.
        return [{"name": "gemm", "launches": 12, "total_ns": total}, {"name": "reduce", "launches": 12, "total_ns": 1200}]

    def test_gaps_may_be_missing_and_nothing_may_be_too_much(self):
        found = [compare.kernel_time("bf16", 10_000, 10, self.kernels(total))["verdict"] for total in (10_560, 10_000, 11_200)]
        self.assertEqual(found, [OK, FAILED, FAILED])
        self.assertEqual(compare.kernel_time("bf16", 10_000, 10, [], "no CUPTI")["verdict"], IMPOSSIBLE)
        self.assertEqual(compare.kernel_time("bf16", 10_000, 10, [])["verdict"], FAILED)

    def test_launches_are_equal_or_not(self):
        same = compare.launches("c", {"a": 1.0}, "ncu", {"b": 1.0}, "CUPTI")
        more = compare.launches("c", {"a": 1.0}, "ncu", {"b": 2.0}, "CUPTI")
        none = compare.launches("c", {"a": 1.0}, "ncu", None, "CUPTI")
        self.assertEqual(verdicts([same, more, none]), [OK, FAILED, IMPOSSIBLE])


class Counts(unittest.TestCase):
    def test_a_product_counts_2n3_a_launch(self):
        def of(flop, **more):
            return compare.flop_of_gemm("ncu", "f32", 10, [{"name": "gemm", "flop": flop, "launches": 3, **more}])["verdict"]
        self.assertEqual([of(6000), of(6030), of(5900), of(6100), of(12_000)], [OK, OK, FAILED, FAILED, FAILED])
        self.assertEqual(of(4000, matched_launches=2), OK)
        self.assertEqual(of(None), FAILED)
        self.assertEqual(compare.flop_of_gemm("ncu", "f32", 10, [], why_none="no such metric")["verdict"], IMPOSSIBLE)

    def test_written_bytes_may_stand_in_the_cache_and_read_ones_may_not(self):
        def of(counted, l2_bytes=50, emptied=True):
            known = {"read_bytes": 100, "written_bytes": 100, "l2_bytes": l2_bytes}
            return compare.dram("ncu", "stream", known, counted, 1.05, emptied)["verdict"]
        self.assertEqual([of(200), of(150), of(140), of(215), of(0)], [OK, OK, FAILED, FAILED, FAILED])
        self.assertEqual([of(100), of(100, emptied=False)], [FAILED, OK])
        self.assertEqual([of(200, None), of(None)], [IMPOSSIBLE, IMPOSSIBLE])

    def test_leaves_of_an_aggregate_add_up(self):
        values = {TOTAL: 30.0, HGMMA + "off": 20.0, HGMMA + "on": 0.0, HMMA + "off": 10.0, "sm__ops_path_tensor_src_fp16": 0.0,
                  "sm__ops_path_tensor_op_hmma_src_fp16_dst_fp32_sparsity_off": 0.0}
        self.assertEqual(verdicts(compare.aggregates(values)), [OK])
        self.assertEqual(verdicts(compare.aggregates(values | {HMMA + "off": 11.0})), [FAILED])
        self.assertEqual(verdicts(compare.aggregates({TOTAL: 30.0})), [IMPOSSIBLE])

    def test_an_aggregate_without_destination_has_the_leaves_of_every_destination(self):
        half = "sm__ops_path_tensor_op_hmma_src_fp16_dst_{}_sparsity_off"
        names = ["sm__ops_path_tensor_src_fp16", half.format("fp16"), half.format("fp32"), HMMA + "off"]
        self.assertEqual(compare.tensor_sums(names), {names[0]: sorted(names[1:3])})

    def test_names_of_every_chip_can_be_parsed(self):
        self.assertEqual(compare.parse_tensor("sm__ops_path_tensor_op_utcqmma_src_fp4_fp6_fp8_dst_fp32_sparsity_on.sum"),
                         ("utcqmma", "fp4_fp6_fp8", "fp32", "on"))
        self.assertEqual(compare.parse_tensor("sm__ops_path_tensor_src_fp64"), (None, "fp64", None, None))
        self.assertIsNone(compare.parse_tensor("dram__bytes.sum"))

    def test_reads_and_writes_are_all_bytes(self):
        def of(total, kind=""):
            parts = {f"dram__bytes_{kind}read.sum": 60.0, f"dram__bytes_{kind}write.sum": 40.0, "dram__bytes.sum": total}
            return compare.directions({name: value for name, value in parts.items() if value is not None})["verdict"]
        self.assertEqual([of(100.0), of(100.0, "op_"), of(90.0), of(None)], [OK, OK, FAILED, IMPOSSIBLE])


class Roofs(unittest.TestCase):
    def roof(self, source, value, clock=None):
        return {"device": 0, "kind": "compute", "precision": "matrix_bf16", "level": None, "sparse": False, "source": source, "value": value, "clock_hz": clock}

    def of(self, measured, fastest=None):
        rows = [self.roof("datasheet", 100.0, 1000.0), self.roof("measured", measured / 2), self.roof("measured", measured)]
        return verdicts(compare.ceilings(rows, fastest))

    def test_a_measured_roof_lies_between_half_and_the_datasheet_at_the_largest_clock(self):
        self.assertEqual([self.of(80.0), self.of(40.0), self.of(105.0), self.of(105.0, 1100.0), self.of(115.0, 1100.0)],
                         [[OK], [FAILED], [FAILED], [OK], [FAILED]])

    def test_of_two_peaks_of_a_precision_the_larger_one_is_the_limit(self):
        rows = [self.roof("datasheet", value) for value in (100.0, 50.0)] + [self.roof("measured", 90.0)]
        self.assertEqual(verdicts(compare.ceilings(rows, None)), [OK])

    def test_what_was_not_measured_is_said(self):
        self.assertEqual(verdicts(compare.ceilings([self.roof("datasheet", 1.0)], None)), [IMPOSSIBLE])
        self.assertEqual(verdicts(compare.ceilings([], None)), [IMPOSSIBLE])


class Energy(unittest.TestCase):
    def samples(self, watts, count=30, name="power_instant_w"):
        middle = [(at * 100_000_000, watts, 300.0 * at / 10) for at in range(count)]
        return [{"device": 0, "begin_ns": at, "end_ns": at, "values": {name: power, "energy_j": energy}} for at, power, energy in middle]

    def test_power_times_time_is_the_counters_difference_within_a_tenth(self):
        self.assertEqual([verdicts(compare.energy(self.samples(watts))) for watts in (300.0, 325.0, 340.0)], [[OK], [OK], [FAILED]])

    def test_a_mean_over_a_second_may_lag(self):
        found = [verdicts(compare.energy(self.samples(watts, name="power_w"))) for watts in (340.0, 400.0)]
        self.assertEqual(found, [[OK], [FAILED]])
        self.assertEqual(verdicts(compare.energy(self.samples(1.0, name="fan"))), [IMPOSSIBLE])

    def test_a_short_run_and_a_device_without_counter_say_so(self):
        self.assertEqual(verdicts(compare.energy(self.samples(300.0, 5))), [IMPOSSIBLE])
        self.assertEqual(verdicts(compare.energy([])), [IMPOSSIBLE])


class Outputs(unittest.TestCase):
    def test_a_target_without_a_check_is_not_verified(self):
        check = {"max_relative_error": 1e-6, "tolerance": 1e-4}
        told = [{"results": {"verified": True, "checks": [check]}}, {"results": {"verified": False, "checks": [check]}},
                {"results": {"verified": True, "checks": []}}]
        self.assertEqual([compare.outputs("p", one)["verdict"] for one in told], [OK, FAILED, FAILED])


class Verdict(unittest.TestCase):
    def of(self, *found):
        return report.exit_code({"steps": [], "checks": [{"verdict": verdict} for verdict in found]})

    def test_only_ok_and_impossible_together_pass_and_nothing_possible_is_no_success(self):
        self.assertEqual([self.of(OK, IMPOSSIBLE), self.of(OK, FAILED), self.of(IMPOSSIBLE), self.of()], [0, 1, 1, 1])


if __name__ == "__main__":
    unittest.main()
