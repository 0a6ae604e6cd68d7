"""The metrics of all workers in one scrape."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from wampush.node.monitoring.all_workers import joined

ONE = b"""# HELP wampush_sessions Open WAMP sessions.
# TYPE wampush_sessions gauge
wampush_sessions 3.0
# HELP wampush_inputs_received_total Inputs received: {pushes}, messages.
# TYPE wampush_inputs_received_total counter
wampush_inputs_received_total{source="zeromq"} 7.0
wampush_inputs_received_total{source="a b"} 1.0
# HELP wampush_loop_lag_seconds Lag.
# TYPE wampush_loop_lag_seconds histogram
wampush_loop_lag_seconds_bucket{le="0.1"} 1.0
wampush_loop_lag_seconds_bucket{le="+Inf"} 2.0
wampush_loop_lag_seconds_count 2.0
wampush_loop_lag_seconds_sum 0.5
# HELP wampush_worker_info Always 1.
# TYPE wampush_worker_info gauge
wampush_worker_info{worker="1",workers="3"} 1.0
"""
TWO = ONE.replace(b" 3.0", b" 4.0").replace(b'{worker="1"', b'{worker="2"')
#: Of another release, in an upgrade.
NEWER = b"""# HELP wampush_new New.
# TYPE wampush_new gauge
wampush_new 1.0
"""


def test_each_sample_says_of_which_worker_it_is() -> None:
    text = joined({2: TWO + NEWER, 1: ONE, 3: None}).decode()
    families = {each.name: each for each in text_string_to_metric_families(text)}
    assert len(families) == text.count("# HELP") == 6
    samples = {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in families.values()
        for each in family.samples
    }
    assert len(samples) == text.count("\n") - text.count("#")
    assert samples["wampush_sessions", (("worker", "1"),)] == 3
    assert samples["wampush_sessions", (("worker", "2"),)] == 4
    received = "wampush_inputs_received_total"
    assert samples[received, (("source", "a b"), ("worker", "2"))] == 1
    assert samples["wampush_loop_lag_seconds_bucket", (("le", "+Inf"), ("worker", "1"))] == 2
    assert families["wampush_loop_lag_seconds"].type == "histogram"
    assert samples["wampush_worker_info", (("worker", "2"), ("workers", "3"))] == 1
    assert samples["wampush_new", (("worker", "2"),)] == 1
    up = {each.labels["worker"]: each.value for each in families["wampush_worker_up"].samples}
    assert up == {"1": 1, "2": 1, "3": 0}


def test_a_metric_is_in_one_piece() -> None:
    lines = joined({1: ONE, 2: TWO}).decode().splitlines()
    places = [index for index, line in enumerate(lines) if line.startswith("wampush_sessions{")]
    assert places == [2, 3]
