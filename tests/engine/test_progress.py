import pytest

from astrodlkit.engine import progress_bar


def test_a_callable_gets_what_is_done_and_what_there_is():
    calls = []
    with progress_bar(5, lambda *call: calls.append(call)) as advance:
        advance(2)
        advance(3)
    assert calls == [(2, 5), (5, 5)]


@pytest.mark.parametrize(("progress", "shown"), [(True, True), (False, False), (None, False)])
def test_the_bar_shows_when_asked(capsys, progress, shown):
    # Standard error is no terminal here, so None shows nothing.
    with progress_bar(3, progress, description="galaxies") as advance:
        advance(3)
    err = capsys.readouterr().err
    assert ("galaxies" in err and "3/3" in err) if shown else err == ""


@pytest.mark.parametrize("progress", [1, "yes", []])
def test_progress_of_the_wrong_type(progress):
    with (
        pytest.raises(TypeError, match="progress must be True, False, None or a callable, got"),
        progress_bar(3, progress),
    ):
        pass
