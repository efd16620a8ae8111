"""With authorization used throughout, the balance never goes below zero, whatever happens.

Bridges do as the answers say: they report or begin to hang up by `hangUpAfterSeconds`, hang up
within two seconds, and the end of a call reaches us before what it has reserved lapses; where lots
expire, before what was granted to it last does. Their clocks are at most 30 s behind, and ringing
and a clock that is ahead take no more than a minute. All else is left to chance: who calls whom and
for how long, how requests and the ends of calls are mixed, what comes twice, which answers are
lost, how lots expire, where the minutes of a pool go, whether a day, a month and a rate end
meanwhile, which rate card is published, and whether the end of a call that was reported is ever
sent.
"""

from __future__ import annotations

from datetime import timedelta

from bridged import CARDS, CHANGING, MONTHS_END, NUMBERS, World
from builders import ANSWERED
from hypothesis import given
from hypothesis import strategies as st

BEGINNINGS = (ANSWERED, MONTHS_END - timedelta(minutes=8), MONTHS_END - timedelta(seconds=45))
STEPS = st.sampled_from(
    [
        *[
            "call",
            "call",
            "call",
            "update",
            "repeat",
            "hang up",
            "deliver",
            "deliver",
            "time",
            "buy",
        ],
        *["lose", "run", "tell", "lost answer", "publish"],
    ]
)


TIMES = st.tuples(st.integers(0, 60), st.integers(-30, 60))
"""How long a call rings, and how long after the request it is answered by its own clock."""

WANTED = st.sampled_from([None, None, 1, 60, 90, 600])
CREDIT = st.sampled_from([15_000, 60_000, 200_000, 800_000])


@given(st.booleans(), st.booleans(), st.data())
def test_the_balance_never_goes_below_zero(  # noqa: C901, PLR0912 - a case for each step
    limited: bool,  # noqa: FBT001 - drawn
    lots_expire: bool,  # noqa: FBT001 - drawn
    data: st.DataObject,
) -> None:
    world = World(limited, lots_expire)
    begins_at = data.draw(st.sampled_from(BEGINNINGS))
    # The credit is set up before the first call, by whatever clock that was answered.
    world.now = begins_at - timedelta(hours=1)
    world.buy(data.draw(CREDIT), timedelta(days=300))
    world.now = begins_at
    for step in data.draw(st.lists(STEPS, min_size=12, max_size=50)):
        calls, ended = sorted(world.calls), sorted(world.ended)
        heard = [call_id for call_id in calls if not world.calls[call_id].deaf]
        untold = sorted(world.untold)
        match step:
            case "call":
                world.call(
                    data.draw(st.sampled_from(["adele", "bob", "bob", "carol"])),
                    data.draw(st.sampled_from(NUMBERS)),
                    data.draw(st.sampled_from([None, 1, 60, 90, 241, 290, 600])),
                    data.draw(TIMES),
                )
            case "update" if heard:
                world.update(data.draw(st.sampled_from(heard)), data.draw(WANTED))
            case "lost answer" if heard:
                world.update(data.draw(st.sampled_from(heard)), data.draw(WANTED), heard=False)
            case "publish":
                world.rate_cards.publish(data.draw(st.sampled_from(CARDS)))
            case "repeat" if calls:
                world.repeat(data.draw(st.sampled_from(calls)))
            case "hang up" if calls:
                call_id = data.draw(st.sampled_from(calls))
                takes = timedelta(milliseconds=data.draw(st.sampled_from([0, 1, 1_001, 2_000])))
                world.hang_up(call_id, released=data.draw(st.booleans()), takes=takes)
            case "deliver" if ended:
                world.deliver(data.draw(st.lists(st.sampled_from(ended), min_size=1, unique=True)))
            case "lose" if heard:
                waits = timedelta(seconds=data.draw(st.sampled_from([0, 0, 30, 200])))
                world.lose(data.draw(st.sampled_from(heard)), waits)
            case "run" if untold:
                world.run()
            case "tell" if untold:
                world.tell(data.draw(st.sampled_from(untold)))
            case "time":
                world.pass_time(
                    timedelta(seconds=data.draw(st.sampled_from([1, 30, 60, 120, 300, 400])))
                )
            case "buy":
                lasts = data.draw(
                    st.sampled_from([600, 690, 780, 1_200, 200_000] if lots_expire else [10**7])
                )
                world.buy(data.draw(CREDIT), timedelta(seconds=lasts))
            case _:
                continue
        world.check()
        world.work_off()
        world.check()


@given(st.integers(-65, 35), st.sampled_from(CHANGING), TIMES, st.sampled_from([160_000, 700_000]))
def test_no_call_around_a_change_of_its_rate_is_undercharged(
    second: int, number: str, times: tuple[int, int], credit_micros: int
) -> None:
    world = World(limited=False, lots_expire=False)
    world.now = MONTHS_END - timedelta(hours=1)
    world.buy(credit_micros, timedelta(days=300))
    world.now = MONTHS_END + timedelta(seconds=second)
    world.call("adele", number, 600, times)
    world.pass_time(timedelta(minutes=12))
    for call_id in sorted(world.calls):
        world.hang_up(call_id, released=False)
    world.deliver(sorted(world.ended))
    world.check()


@given(st.sampled_from(NUMBERS), st.integers(1, 290), WANTED, st.booleans(), st.data())
def test_what_an_answer_frees_that_gets_lost_is_for_nobody_else(
    number: str,
    seconds: int,
    wanted: int | None,
    stricter: bool,  # noqa: FBT001 - drawn
    data: st.DataObject,
) -> None:
    world = World(limited=False, lots_expire=False)
    world.now = ANSWERED - timedelta(hours=1)
    world.buy(data.draw(CREDIT), timedelta(days=300))
    world.now = ANSWERED
    world.call("adele", number, 600, (0, 0))
    world.pass_time(timedelta(seconds=seconds))
    if stricter:
        world.limit()
    for call_id in [call_id for call_id, call in world.calls.items() if not call.deaf]:
        world.update(call_id, wanted, heard=False)
    world.pass_time(timedelta(seconds=data.draw(st.integers(0, 60))))
    for _ in range(3):
        world.call("adele", number, 600, (0, 0))
    # Who calls later ends first, and is charged first.
    for call_id in sorted(world.calls, reverse=True):
        world.pass_time(timedelta(seconds=data.draw(st.integers(0, 300))))
        if call_id in world.calls:
            world.hang_up(call_id, released=False)
        world.deliver(sorted(world.ended))
        world.check()
