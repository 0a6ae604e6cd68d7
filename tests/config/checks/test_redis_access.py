"""Settings that say how a Redis server is reached."""

from __future__ import annotations

import pytest

from wampush.config.checks.redis import RedisUrl
from wampush.config.checks.redis_access import RedisAccess, access_problems

SECRET = "correct-horse"


@pytest.mark.parametrize(
    ("access", "names"),
    [
        (RedisAccess(RedisUrl("h")), []),
        (RedisAccess(RedisUrl("h", password="p"), password_file="f"), ["password_file"]),
        (RedisAccess(RedisUrl("h", user="u")), ["url"]),
        (RedisAccess(RedisUrl("h"), sentinel_password_file="f"), ["sentinel_password_file"]),
        (RedisAccess(RedisUrl("h", 7), sentinels=("s:26379",)), ["url"]),
        (RedisAccess(RedisUrl("", path="/r"), sentinels=("s:26379",)), ["url"]),
        (RedisAccess(RedisUrl("h"), ca="c"), ["ca"]),
        (RedisAccess(RedisUrl("h", tls=True), certificate="c"), ["key"]),
        (RedisAccess(RedisUrl("h", tls=True), certificate="c", key="k"), []),
    ],
)
def test_settings_of_a_server_that_do_not_fit_together(
    access: RedisAccess, names: list[str]
) -> None:
    problems = dict(access_problems(access))
    assert list(problems) == names
    assert all("must be" in each or "has a user" in each for each in problems.values())


def test_the_address_of_a_server_shows_no_secret() -> None:
    url = RedisUrl("h", user="u", password=SECRET)
    assert RedisAccess(url).address == "redis://h:6379"
    sentinels = RedisAccess(RedisUrl("shop"), sentinels=("s:26379",))
    assert sentinels.address == "redis+sentinel://shop"
