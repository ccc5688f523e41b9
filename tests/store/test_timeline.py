"""The pure arithmetic of a store's time: what is shown keeps its order and finds back, leases and ages know what passed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastgood_daemon.store.timeline import GRACE, MOST_COUNTED, MOST_EPOCHS, SECOND, STEADY, Epoch, Timeline

DAY = 24 * 3600 * SECOND
START = 1_000 * DAY


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Draw what a clock may have done in several lives of a daemon."""
    timeline, now = Timeline(), START
    for _ in range(draw(st.integers(0, 8))):
        now += draw(st.sampled_from([1, SECOND, 600 * SECOND, STEADY, 3 * STEADY]))
        leap = draw(st.sampled_from([0, 0, 1, SECOND, STEADY, 2 * DAY]))
        offset = draw(st.sampled_from([0, 0, 1, -SECOND, SECOND, -STEADY, STEADY, -2 * DAY, 2 * DAY, -200 * DAY]))
        now += leap or 1
        timeline = timeline.with_epoch(Epoch(now, offset, leap))
    return timeline


def moments(timeline: Timeline) -> list[int]:
    """Return the moments about which something could be wrong, in order."""
    near = [start + step for start, _, _ in timeline.epochs for step in (-2 * DAY, -STEADY, -1, 0, 1, STEADY)]
    return sorted({moment for moment in [*near, START, START + 500 * DAY] if moment >= 0})


def lived(timeline: Timeline, moment: int) -> bool:
    """Whether a moment was lived through, and not leapt over."""
    return not any(epoch.start - epoch.leap < moment < epoch.start for epoch in timeline.epochs)


@given(timelines())
def test_what_is_shown_never_goes_backwards(timeline: Timeline) -> None:
    shown = [timeline.shown(moment) for moment in moments(timeline)]
    assert shown == sorted(shown)


@given(timelines())
def test_a_time_finds_the_last_moment_that_is_shown_by_then(timeline: Timeline) -> None:
    for moment in moments(timeline):
        found = timeline.moment(timeline.shown(moment))
        assert found >= moment
        assert timeline.shown(found) == timeline.shown(moment)
        assert timeline.shown(found + 1) > timeline.shown(moment)
    assert timeline.moment(timeline.shown(0) - 1) == -1


@given(timelines())
def test_the_present_is_shown_as_the_clock_shows_it(timeline: Timeline) -> None:
    now = timeline.epochs[-1].start + 5
    assert timeline.shown(now) == now + timeline.epochs[-1].offset


@given(timelines(), st.sampled_from([0, SECOND, STEADY, 3 * DAY]))
def test_nothing_is_older_than_it_can_be_and_what_is_earlier_is_not_younger(timeline: Timeline, since: int) -> None:
    now = max(timeline.epochs[-1].start, START) + since
    ages = timeline.ages(now)
    looked_at = [moment for moment in moments(timeline) if moment <= now and lived(timeline, moment)]
    for age in (ages, ages.known):
        found = [age(moment) for moment in looked_at]
        assert found == sorted(found, reverse=True)
        assert all(0 <= each <= now - moment for each, moment in zip(found, looked_at, strict=True))
    for length in (1, SECOND, STEADY, DAY):
        before = ages.before(length)
        assert all((ages.known(moment) >= length) == (moment <= before) for moment in looked_at)


@given(timelines(), st.sampled_from([0, 1, SECOND, STEADY, 3 * DAY]), st.sampled_from([0, 1, SECOND, STEADY, 3 * DAY]))
def test_what_is_known_to_have_passed_never_becomes_less(timeline: Timeline, since: int, later: int) -> None:
    now = timeline.epochs[-1].start + since
    for moment in moments(timeline):
        if moment <= now and lived(timeline, moment):
            before, after = (timeline.ages(each).known(moment) for each in (now, now + later))
            assert after >= before + later


@given(timelines())
def test_it_reads_back(timeline: Timeline) -> None:
    assert Timeline.decoded(timeline.encoded()).epochs == timeline.epochs


def test_a_clock_that_was_ahead_shows_what_it_should_have_shown() -> None:
    """The example of the module."""
    timeline = Timeline([Epoch(0, 0, 0), Epoch(1101, 3600, 0), Epoch(1201, 0, 0), Epoch(1900, 0, 600)])
    assert [timeline.shown(each) for each in (1050, 1150, 1250, 2000)] == [1050, 1150, 1250, 2000]
    assert Timeline(timeline.epochs[:2]).shown(1150) == 4750


def test_a_clock_that_is_set_back_for_no_reason_moves_only_what_it_contradicts() -> None:
    timeline = Timeline([Epoch(0, 0, 0), Epoch(10_000, -2_000, 0)])
    shown = [timeline.shown(each) for each in (7_000, 7_999, 8_000, 8_500, 9_999, 10_000, 10_500)]
    assert shown == [7_000, 7_999, 8_000, 8_000, 8_000, 8_000, 8_500]


def jumped(ahead: int, *, started: bool) -> Timeline:
    """Return what happened when a clock went ahead: at a start of the daemon, or while it was there."""
    return Timeline([Epoch(0, 0, 0), Epoch(START + ahead, 0, ahead) if started else Epoch(START + 1, ahead, 0)])


@pytest.mark.parametrize("started", [True, False], ids=["at a start", "within a life"])
def test_a_clock_that_jumps_makes_nothing_old(*, started: bool) -> None:
    timeline = jumped(2 * DAY, started=started)
    now = timeline.epochs[-1].start + 60 * SECOND
    assert timeline.ages(now)(START - 60 * SECOND) == pytest.approx(120 * SECOND, abs=2)
    right = timeline.with_epoch(Epoch(now + 1, timeline.epochs[-1].offset - 2 * DAY, 0))
    assert right.ages(now + DAY)(START - 60 * SECOND) == pytest.approx(DAY + 120 * SECOND, abs=3)


def test_the_time_without_a_daemon_counts_when_the_clock_has_stood_by_it() -> None:
    timeline = jumped(7 * DAY, started=True)
    started = timeline.epochs[-1].start
    assert timeline.ages(started + STEADY - 1)(START) == STEADY - 1
    assert timeline.ages(started + STEADY)(START) == 7 * DAY + STEADY


def test_it_counts_over_many_short_lives() -> None:
    """A daemon that is started for a command a day, and stays for a minute."""
    timeline, now = Timeline(), START
    for _ in range(100):
        now += DAY
        timeline = timeline.with_epoch(Epoch(now, 0, DAY))
        now += 60 * SECOND
    assert timeline.ages(now)(START) >= 35 * DAY
    assert timeline.ages(now)(START) <= 100 * DAY + 100 * 60 * SECOND


def test_what_an_earlier_version_has_stored_while_its_clock_was_ahead_makes_nothing_old() -> None:
    """It stored the time of the wall, kept from going backwards: from one write to the next, decades may have passed."""
    ahead = START + 27_000 * DAY
    timeline = Timeline([Epoch(0, 0, 0), Epoch(ahead + 1, START + 60 * SECOND - ahead, 1)])
    ages = timeline.ages(ahead + 60 * SECOND)
    assert ages(START) == pytest.approx(120 * SECOND, abs=2)
    assert timeline.shown(START) == START
    assert timeline.shown(ahead) == START + 60 * SECOND + 1


def test_a_lease_counts_little_of_the_time_without_a_daemon() -> None:
    timeline = jumped(DAY, started=True)
    started = timeline.epochs[-1].start
    assert timeline.lease_end(START + 30 * SECOND, START) == started + 30 * SECOND - MOST_COUNTED
    assert timeline.lease_end(START + SECOND, START) == started + GRACE
    assert timeline.lease_end(START, START - SECOND) == started - MOST_COUNTED, "it had expired"
    assert timeline.lease_end(started + 5, started) == started + 5, "it was reckoned since"


def test_of_too_many_epochs_those_go_that_say_little() -> None:
    timeline, now = Timeline(), START
    for number in range(2 * MOST_EPOCHS):
        now += DAY
        timeline = timeline.with_epoch(Epoch(now, 5 * SECOND if number == 3 else 0, 1))
    assert len(timeline.epochs) == MOST_EPOCHS
    assert timeline.shown(START + 4 * DAY + 7) == START + 4 * DAY + 7 + 5 * SECOND
    assert timeline.epochs[-1] == Epoch(now, 0, 1)
